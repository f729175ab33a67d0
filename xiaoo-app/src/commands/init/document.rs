//! `config.toml` as a document: read for what it says already, changed where an answer is new, and
//! left as it is everywhere else.

use std::path::Path;

use anyhow::Context as _;
use toml_edit::{Array, ArrayOfTables, DocumentMut, Item, Table, TableLike, Value};
use xiaoo_agent::Provider;

use super::answers::{Answers, Variable};
use super::texts::Texts;
use crate::cli::InitTransport;
use crate::config::Cloud;

/// In front of some texts, and no part of them.
const MARK: char = '\u{feff}';
/// As the configuration has it for a bot without a name.
const FIRST_BOT: &str = "feishu";

/// The file.
pub(super) struct Document {
    document: DocumentMut,
    before: Option<String>,
    place: Place,
    texts: &'static Texts,
}

/// Where a bot stands in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// `[channels.feishu]` itself.
    Channel,
    /// One of its accounts.
    Account(usize),
}

impl Document {
    /// What is in the file, or a new one. It is about the first bot until another is chosen.
    pub(super) fn open(
        before: Option<String>,
        path: &Path,
        texts: &'static Texts,
    ) -> anyhow::Result<Self> {
        let text = before.as_deref().unwrap_or(texts.template);
        let text = text.strip_prefix(MARK).unwrap_or(text);
        let document: DocumentMut = text
            .parse()
            .with_context(|| (texts.not_toml)(&path.display().to_string()))?;
        let mut opened = Self {
            document,
            before,
            place: Place::Channel,
            texts,
        };
        if let Some((_, first)) = opened.places().first() {
            opened.place = *first;
        }
        Ok(opened)
    }

    pub(super) fn is_new(&self) -> bool {
        self.before.is_none()
    }

    pub(super) fn has_changed(&self) -> bool {
        self.before.as_ref() != Some(&self.text_now())
    }

    /// As it would be written: with the ends of lines that it had, and the mark that Windows
    /// editors put in front.
    pub(super) fn text_now(&self) -> String {
        let mut text = self.document.to_string();
        let Some(before) = &self.before else {
            return text;
        };
        if !before.ends_with('\n') && text.ends_with('\n') {
            text.pop();
        }
        if before.contains("\r\n") {
            text = text.replace("\r\n", "\n").replace('\n', "\r\n");
        }
        if before.starts_with(MARK) {
            text.insert(0, MARK);
        }
        text
    }

    /// Lines that go and lines that come, marked: never a secret.
    pub(super) fn changed_lines(&self) -> Vec<String> {
        let before = self.before.as_deref().unwrap_or_default();
        let now = self.text_now();
        let marked = |mark: char, line: &str| format!("{mark} {}", without_token(line));
        let gone = lines_of_first_alone(before, &now).into_iter();
        let new = lines_of_first_alone(&now, before).into_iter();
        let gone = gone.map(|line| marked('-', line));
        let new = new.map(|line| marked('+', line));
        gone.chain(new).collect()
    }

    /// The bots' names, the first one in front.
    pub(super) fn bots(&self) -> Vec<String> {
        self.places().into_iter().map(|(name, _)| name).collect()
    }

    /// Has it be about this bot; `None` if there is none of that name.
    pub(super) fn choose(&mut self, name: &str) -> Option<()> {
        let mut places = self.places().into_iter();
        let (_, place) = places.find(|(known, _)| known == name)?;
        self.place = place;
        Some(())
    }

    /// Whether it is about the bot that has the usual routes.
    pub(super) fn is_first_bot(&self) -> bool {
        let is_on = |place| {
            let enabled = self.section(place).and_then(|bot| bot.get("enabled"));
            enabled.and_then(Item::as_bool) != Some(false)
        };
        let mut places = self.places().into_iter();
        let first = places.find(|(_, place)| *place == self.place || is_on(*place));
        first.is_none_or(|(_, first)| first == self.place)
    }

    /// The name of the bot that it is about.
    pub(super) fn bot(&self) -> String {
        let mut places = self.places().into_iter();
        let found = places.find(|(_, place)| *place == self.place);
        found.map_or_else(|| FIRST_BOT.to_owned(), |(name, _)| name)
    }

    /// As the configuration's own check finds them, and those that are switched off.
    fn places(&self) -> Vec<(String, Place)> {
        let name = |bot: &dyn TableLike| {
            let name = bot.get("channel_instance_id").and_then(Item::as_str);
            name.unwrap_or(FIRST_BOT).to_owned()
        };
        let Some(channel) = self.channel() else {
            return Vec::new();
        };
        let accounts = channel.get("accounts");
        let count = accounts.map_or(0, count);
        // With accounts, the section itself need not be a bot.
        let own =
            (count == 0 || channel.contains_key("app_id")).then(|| (name(channel), Place::Channel));
        let accounts = (0..count).filter_map(|at| {
            let account = account(accounts?, at)?;
            Some((name(account), Place::Account(at)))
        });
        own.into_iter().chain(accounts).collect()
    }

    fn channel(&self) -> Option<&dyn TableLike> {
        let channels = self.document.get("channels")?;
        channels.get("feishu")?.as_table_like()
    }

    fn section(&self, place: Place) -> Option<&dyn TableLike> {
        let channel = self.channel()?;
        match place {
            Place::Channel => Some(channel),
            Place::Account(at) => account(channel.get("accounts")?, at),
        }
    }

    /// What is written under a key. What the template says is nobody's answer.
    pub(super) fn text(&self, tables: &[&str], key: &str) -> Option<String> {
        self.before.as_ref()?;
        let mut at = self.document.as_item();
        for table in tables {
            at = at.get(table)?;
        }
        answered(at.get(key)?)
    }

    /// What is written of the bot.
    pub(super) fn bot_text(&self, key: &str) -> Option<String> {
        self.before.as_ref()?;
        answered(self.section(self.place)?.get(key)?)
    }

    /// Of the first agent.
    pub(super) fn agent_text(&self, key: &str) -> Option<String> {
        self.before.as_ref()?;
        let agents = self.document.get("agents")?.get("list")?;
        let first = agents.as_array_of_tables()?.get(0)?;
        first.get(key)?.as_str().map(str::to_owned)
    }

    /// Where the bot's platform is, in whatever way that is written.
    pub(super) fn base_url(&self) -> Option<String> {
        self.bot_text("base_url").or_else(|| {
            let domain = self.bot_text("domain");
            let cloud = match domain.as_deref() {
                Some(domain) => Cloud::of_domain(domain)?,
                None => self.bot_text("app_id").map(|_| Cloud::Feishu)?,
            };
            Some(cloud.base_url().to_owned())
        })
    }

    /// How the bot's events come in, in whatever way that is written.
    pub(super) fn transport(&self) -> Option<String> {
        let usual = || {
            let is_bot = self.bot_text("app_id").is_some();
            is_bot.then(|| InitTransport::Webhook.name().to_owned())
        };
        self.bot_text("transport").or_else(usual)
    }

    /// A variable of the bot's own where none is written: bots must not share their secrets.
    pub(super) fn variable_of_bot(&self, usual: &str) -> String {
        if self.is_first_bot() {
            return usual.to_owned();
        }
        let of_name = |letter: char| match letter.to_ascii_uppercase() {
            letter @ ('A'..='Z' | '0'..='9') => letter,
            _ => '_',
        };
        let bot: String = self.bot().chars().map(of_name).collect();
        format!("{usual}_{bot}")
    }

    /// Takes all answers in.
    pub(super) fn take(&mut self, answers: &Answers, is_servers: bool) -> anyhow::Result<()> {
        let texts = self.texts;
        let is_new = self.is_new();
        let llm = table(self.document.as_table_mut(), "llm", texts)?;
        set(llm, "provider", answers.provider.text());
        let usual_base = answers
            .known_provider()
            .and_then(Provider::default_api_base);
        set_unless_usual(llm, "api_base", answers.api_base.text(), usual_base);
        set(llm, "model", answers.model.text());
        set_variable(llm, "api_key_env", &answers.api_key);

        let base_url = answers.base_url.text();
        let is_there_already = self.base_url().as_deref() == Some(base_url);
        let bot = self.own_section_mut()?;
        // Off is what nobody asks for who is asked about it.
        if bot.get("enabled").and_then(Item::as_bool) == Some(false) {
            put(bot, "enabled", true.into());
        }
        let usual_transport = Some(InitTransport::Webhook.name());
        set_unless_usual(bot, "transport", answers.transport.text(), usual_transport);
        set(bot, "app_id", answers.app_id.text());
        set(bot, "app_secret_env", &answers.app_secret.name);
        match answers.verification_token.expose() {
            None => drop(bot.remove("verification_token")),
            Some(token) => set(bot, "verification_token", token),
        }
        set_variable(bot, "encrypt_key_env", &answers.encrypt_key);
        if !is_there_already {
            // The address says more than the name of a cloud, and both could disagree.
            bot.remove("domain");
            set(bot, "base_url", base_url);
        }
        if let Some(ca_file) = answers.ca_file.as_deref().and_then(Path::to_str) {
            set(bot, "ca_file", ca_file);
        }

        let agents = table(self.document.as_table_mut(), "agents", texts)?;
        let agent = first_agent(agents, texts)?;
        set(agent, "workspace", answers.workspace.text());
        match &answers.agent_dir {
            Some(directory) => set(agent, "agent_dir", directory),
            None => drop(agent.remove("agent_dir")),
        }
        if is_new && is_servers {
            let skills = table(self.document.as_table_mut(), "skills", texts)?;
            let dirs: Array = ["/opt/xiaoo/adt/skills"].into_iter().collect();
            put(skills, "dirs", dirs.into());
        }
        Ok(())
    }

    /// The bot's section, made if there is none.
    fn own_section_mut(&mut self) -> anyhow::Result<&mut dyn TableLike> {
        let texts = self.texts;
        let channels = table(self.document.as_table_mut(), "channels", texts)?;
        match self.place {
            Place::Channel => Ok(table(channels, "feishu", texts)?),
            Place::Account(at) => channels
                .get_mut("feishu")
                .and_then(|channel| account_mut(channel.get_mut("accounts")?, at))
                .with_context(|| (texts.no_table)("channels.feishu")),
        }
    }
}

/// How many accounts are listed, in either spelling.
fn count(accounts: &Item) -> usize {
    match accounts {
        Item::ArrayOfTables(tables) => tables.len(),
        Item::Value(Value::Array(items)) => items.len(),
        Item::None | Item::Table(_) | Item::Value(_) => 0,
    }
}

fn account(accounts: &Item, at: usize) -> Option<&dyn TableLike> {
    match accounts {
        Item::ArrayOfTables(tables) => Some(tables.get(at)?),
        Item::Value(Value::Array(items)) => Some(items.get(at)?.as_inline_table()?),
        Item::None | Item::Table(_) | Item::Value(_) => None,
    }
}

fn account_mut(accounts: &mut Item, at: usize) -> Option<&mut dyn TableLike> {
    match accounts {
        Item::ArrayOfTables(tables) => Some(tables.get_mut(at)?),
        Item::Value(Value::Array(items)) => Some(items.get_mut(at)?.as_inline_table_mut()?),
        Item::None | Item::Table(_) | Item::Value(_) => None,
    }
}

/// The table of this name, made if there is none.
fn table<'a>(
    parent: &'a mut Table,
    name: &str,
    texts: &'static Texts,
) -> anyhow::Result<&'a mut Table> {
    let made = || {
        let mut made = Table::new();
        // It holds tables alone, and needs no line of its own.
        made.set_implicit(name == "channels");
        Item::Table(made)
    };
    let item = parent.entry(name).or_insert_with(made);
    item.as_table_mut().with_context(|| (texts.no_table)(name))
}

fn first_agent<'a>(agents: &'a mut Table, texts: &'static Texts) -> anyhow::Result<&'a mut Table> {
    let item = agents
        .entry("list")
        .or_insert_with(|| Item::ArrayOfTables(ArrayOfTables::new()));
    let list = item.as_array_of_tables_mut().context(texts.no_agents)?;
    if list.is_empty() {
        let mut agent = Table::new();
        set(&mut agent, "id", "main");
        put(&mut agent, "default", true.into());
        list.push(agent);
    }
    list.get_mut(0).context(texts.no_agents)
}

fn set(table: &mut dyn TableLike, key: &str, value: &str) {
    put(table, key, value.into());
}

/// A key that isn't there says what is usual, and need not be there for that.
fn set_unless_usual(table: &mut dyn TableLike, key: &str, value: &str, usual: Option<&str>) {
    if table.contains_key(key) || usual != Some(value) {
        set(table, key, value);
    }
}

fn set_variable(table: &mut dyn TableLike, key: &str, variable: &Variable) {
    if variable.is_named || variable.secret.value.is_some() {
        set(table, key, &variable.name);
    } else {
        table.remove(key);
    }
}

/// Changes a value and leaves what stands around it.
fn put(table: &mut dyn TableLike, key: &str, mut value: Value) {
    match table.get_mut(key).and_then(Item::as_value_mut) {
        // How it is spelt is its author's.
        Some(old) if old.as_str().is_some() && old.as_str() == value.as_str() => {}
        Some(old) => {
            *value.decor_mut() = old.decor().clone();
            *old = value;
        }
        None => drop(table.insert(key, Item::Value(value))),
    }
}

fn answered(item: &Item) -> Option<String> {
    let text = item.as_str().filter(|text| !is_placeholder(text))?;
    Some(text.to_owned())
}

/// What the examples have where an answer belongs.
pub(super) fn is_placeholder(text: &str) -> bool {
    let rest = text.strip_prefix("cli_").unwrap_or(text);
    text.starts_with("your-real-") || (!rest.is_empty() && rest.bytes().all(|byte| byte == b'x'))
}

/// A line that stands there twice is gone when one of both is.
fn lines_of_first_alone<'a>(first: &'a str, second: &str) -> Vec<&'a str> {
    let mut others: Vec<&str> = second.lines().collect();
    let mut is_alone = |line: &&str| match others.iter().position(|other| other == line) {
        Some(at) => {
            others.swap_remove(at);
            false
        }
        None => true,
    };
    first.lines().filter(|line| is_alone(line)).collect()
}

/// The token is no secret of the first order, and still nobody else's.
fn without_token(line: &str) -> String {
    const KEY: &str = "verification_token";
    match line.split_once(KEY) {
        Some((before, _)) => format!("{before}{KEY} = \"…\""),
        None => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::init::texts;
    use crate::render::language::Language;

    fn document(text: &str) -> Document {
        let texts = texts::of(Language::English);
        Document::open(Some(text.to_owned()), Path::new("c.toml"), texts).unwrap()
    }

    #[test]
    fn examples_are_nobodys_answers() {
        for (text, is_one) in [
            ("cli_xxxxxxxxxxxxx", true),
            ("xxxxxxxxxxxxxxxx", true),
            ("your-real-model-key", true),
            ("cli_a1b2c3d4e5f6a7b8", false),
            ("cli_", false),
            ("", false),
        ] {
            assert_eq!(is_placeholder(text), is_one, "{text}");
        }
    }

    #[test]
    fn a_bot_is_found_by_its_name_wherever_it_stands() {
        let with_own = "[channels.feishu]\napp_id = \"cli_1\"\n\
                        [[channels.feishu.accounts]]\nchannel_instance_id = \"desk\"\n\
                        app_id = \"cli_2\"\n";
        let accounts_alone = "[channels.feishu]\naccounts = [{ app_id = \"cli_3\" }, \
                              { channel_instance_id = \"desk\", app_id = \"cli_2\" }]\n";
        for (text, bots) in [
            ("", &[][..]),
            ("[channels.feishu]\n", &["feishu"]),
            (with_own, &["feishu", "desk"]),
            (accounts_alone, &["feishu", "desk"]),
        ] {
            let mut document = document(text);
            assert_eq!(document.bots(), bots, "{text}");
            assert!(document.is_first_bot());
            assert_eq!(document.choose("nobody"), None);
            if bots.contains(&"desk") {
                document.choose("desk").unwrap();
                assert_eq!(document.bot_text("app_id").as_deref(), Some("cli_2"));
                assert!(!document.is_first_bot());
                assert_eq!(document.variable_of_bot("SECRET"), "SECRET_DESK");
            }
        }
    }

    #[test]
    fn what_a_bots_section_means_is_known_also_where_it_is_not_written() {
        for (keys, base_url, transport) in [
            ("", None, None),
            (
                "app_id = \"cli_1\"",
                Some("https://open.feishu.cn"),
                Some("webhook"),
            ),
            (
                "app_id = \"cli_1\"\ndomain = \"lark\"\ntransport = \"websocket\"",
                Some("https://open.larksuite.com"),
                Some("websocket"),
            ),
            (
                "domain = \"lark\"\nbase_url = \"https://gateway.example\"",
                Some("https://gateway.example"),
                None,
            ),
        ] {
            let document = document(&format!("[channels.feishu]\n{keys}\n"));
            assert_eq!(document.base_url().as_deref(), base_url, "{keys}");
            assert_eq!(document.transport().as_deref(), transport, "{keys}");
        }
    }

    #[test]
    fn a_change_leaves_every_other_byte_as_it_is() {
        for (before, after) in [
            (
                "[llm]\r\nmodel = 'a' # mine\r\n\r\n[x]\r\ny = [\r\n 1,\r\n]\r\n",
                "[llm]\r\nmodel = \"b\" # mine\r\n\r\n[x]\r\ny = [\r\n 1,\r\n]\r\n",
            ),
            ("[ llm ]\n  model=\t'a'", "[ llm ]\n  model=\t\"b\""),
            ("\u{feff}llm.model = 'a'\n", "\u{feff}llm.model = \"b\"\n"),
        ] {
            let mut document = document(before);
            assert_eq!(document.text_now(), before);
            let llm = document.document["llm"].as_table_like_mut().unwrap();
            set(llm, "model", "b");
            assert_eq!(document.text_now(), after);
        }
    }

    #[test]
    fn no_line_shows_a_token() {
        for (line, shown) in [
            ("app_id = \"cli_1\"", "app_id = \"cli_1\""),
            ("verification_token = \"t\"", "verification_token = \"…\""),
            (
                "accounts = [{ verification_token=\"t\" }]",
                "accounts = [{ verification_token = \"…\"",
            ),
        ] {
            assert_eq!(without_token(line), shown);
        }
    }
}
