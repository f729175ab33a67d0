//! `config.toml` and `xiaoo.env`: read, changed where an answer is new, and written so that
//! nobody ever sees half of one.

use std::fs::{self, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use toml_edit::{Array, ArrayOfTables, DocumentMut, Item, Table, Value};

use super::answers::Answers;
use crate::config::{Config, Env};

/// What a new file begins as.
const TEMPLATE: &str = include_str!("template.toml");
const ENV_HEADER: &str = "# Secrets of the daemon, by the names that config.toml gives them.\n";
/// A configuration has some kilobytes.
const FILE_BYTES_MAX: u64 = 1 << 20;
const CONFIG_MODE: u32 = 0o644;
const ENV_MODE: u32 = 0o600;

/// Both files.
pub(super) struct Files {
    path: PathBuf,
    document: DocumentMut,
    config_before: Option<String>,
    env_path: PathBuf,
    env_lines: Vec<String>,
    env_before: Option<String>,
}

impl Files {
    /// As they are; new ones where there are none.
    pub(super) fn open(path: &Path) -> anyhow::Result<Self> {
        let path = std::path::absolute(path).context("no path")?;
        let config_before = read(&path)?;
        let document = config_before.as_deref().unwrap_or(TEMPLATE);
        let document: DocumentMut = document
            .parse()
            .with_context(|| format!("{} is not TOML; mend it or move it away", path.display()))?;
        let has_accounts = document
            .get("channels")
            .and_then(|channels| channels.get("feishu")?.get("accounts"))
            .is_some();
        if has_accounts {
            bail!(
                "{} has several accounts; init can only tell one app from another by asking, so \
                 change this file by hand",
                path.display()
            );
        }
        let env_path = path.with_file_name("xiaoo.env");
        let env_before = read(&env_path)?;
        let env_lines = env_before.as_deref().unwrap_or(ENV_HEADER);
        Ok(Self {
            env_lines: env_lines.lines().map(str::to_owned).collect(),
            path,
            document,
            config_before,
            env_path,
            env_before,
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn env_path(&self) -> &Path {
        &self.env_path
    }

    /// Whether none of them is there yet.
    pub(super) fn are_new(&self) -> bool {
        self.config_before.is_none() && self.env_before.is_none()
    }

    pub(super) fn is_in(&self, directory: &str) -> bool {
        self.path.parent() == Some(Path::new(directory))
    }

    /// What is written under a key. What the template says is nobody's answer.
    pub(super) fn text(&self, tables: &[&str], key: &str) -> Option<String> {
        self.config_before.as_ref()?;
        let mut at = self.document.as_item();
        for table in tables {
            at = at.get(table)?;
        }
        let text = at.get(key)?.as_str().filter(|text| !is_placeholder(text))?;
        Some(text.to_owned())
    }

    /// Of the first agent.
    pub(super) fn agent_text(&self, key: &str) -> Option<String> {
        self.config_before.as_ref()?;
        let agents = self.document.get("agents")?.get("list")?;
        let first = agents.as_array_of_tables()?.get(0)?;
        first.get(key)?.as_str().map(str::to_owned)
    }

    /// A secret that is written already.
    pub(super) fn secret(&self, variable: &str) -> Option<String> {
        let mut values = self
            .env_lines
            .iter()
            .filter_map(|line| assigned(line, variable));
        let value = values.next_back()?;
        (!value.is_empty() && !is_placeholder(&value)).then_some(value)
    }

    /// Takes all answers in.
    pub(super) fn take(&mut self, answers: &Answers) -> anyhow::Result<()> {
        let llm = table(self.document.as_table_mut(), "llm")?;
        set(llm, "provider", answers.provider.text());
        set(llm, "api_base", answers.api_base.text());
        set(llm, "model", answers.model.text());
        match answers.api_key.expose() {
            Some(_) => set(llm, "api_key_env", &answers.api_key.variable),
            None => drop(llm.remove("api_key_env")),
        }
        let channels = table(self.document.as_table_mut(), "channels")?;
        let feishu = table(channels, "feishu")?;
        put(feishu, "enabled", true.into());
        set(feishu, "transport", answers.transport.text());
        set(feishu, "app_id", answers.app_id.text());
        set(feishu, "app_secret_env", &answers.app_secret.variable);
        match answers.verification_token.text() {
            "" => drop(feishu.remove("verification_token")),
            token => set(feishu, "verification_token", token),
        }
        match answers.encrypt_key.expose() {
            Some(_) => set(feishu, "encrypt_key_env", &answers.encrypt_key.variable),
            None => drop(feishu.remove("encrypt_key_env")),
        }
        // The address says more than the name of a cloud, and both could disagree.
        feishu.remove("domain");
        set(feishu, "base_url", answers.base_url.text());
        if let Some(ca_file) = answers.ca_file.as_deref().and_then(Path::to_str) {
            set(feishu, "ca_file", ca_file);
        }
        let agents = table(self.document.as_table_mut(), "agents")?;
        let agent = first_agent(agents)?;
        set(agent, "workspace", answers.workspace.text());
        match &answers.agent_dir {
            Some(directory) => set(agent, "agent_dir", directory),
            None => drop(agent.remove("agent_dir")),
        }
        if self.config_before.is_none() && self.is_in("/opt/xiaoo/config") {
            let skills = table(self.document.as_table_mut(), "skills")?;
            let dirs: Array = ["/opt/xiaoo/adt/skills"].into_iter().collect();
            put(skills, "dirs", dirs.into());
        }
        for secret in [&answers.app_secret, &answers.api_key, &answers.encrypt_key] {
            if let Some(value) = secret.expose() {
                self.set_secret(&secret.variable, value)?;
            }
        }
        Ok(())
    }

    fn set_secret(&mut self, variable: &str, value: &str) -> anyhow::Result<()> {
        if self.secret(variable).as_deref() == Some(value) {
            return Ok(());
        }
        if value.contains(['\'', '"', '\\', '$', '`']) || value.contains(char::is_control) {
            bail!(
                "${variable} holds a quote, a backslash or the like, which systemd and shells read \
                 differently: no secret of Feishu's has one. Was it copied whole?"
            );
        }
        let line = format!("{variable}={}", quoted(value));
        let at = self
            .env_lines
            .iter()
            .rposition(|line| assigned(line, variable).is_some());
        match at.and_then(|at| self.env_lines.get_mut(at)) {
            Some(old) => *old = line,
            None => self.env_lines.push(line),
        }
        Ok(())
    }

    /// That a daemon would start with them.
    pub(super) fn check(&self, env: &dyn Env) -> anyhow::Result<()> {
        let env = |name: &str| self.secret(name).or_else(|| env.var(name));
        Config::parse(&self.path, &self.document.to_string(), &env)?;
        Ok(())
    }

    /// What writing would do, a line for each: never a secret.
    pub(super) fn changes(&self) -> Vec<String> {
        let mut changes = Vec::new();
        let config = self.document.to_string();
        match &self.config_before {
            None => changes.push(format!("{} (new)", self.path.display())),
            Some(before) if *before != config => {
                let line = format!("{} (changed)", self.path.display());
                changes.push(line);
                let is_new = |line: &&str| !before.lines().any(|old| old == *line);
                let lines = config.lines().filter(is_new);
                changes.extend(lines.map(|line| format!("  {}", without_token(line))));
            }
            Some(_) => {}
        }
        let env = self.env_text();
        let mode = "readable by its owner alone";
        match &self.env_before {
            None => changes.push(format!("{} (new, {mode})", self.env_path.display())),
            Some(before) if *before != env => {
                changes.push(format!("{} (changed, {mode})", self.env_path.display()));
            }
            Some(_) => {}
        }
        changes
    }

    /// Writes what has changed.
    pub(super) fn write(&self) -> anyhow::Result<()> {
        // Secrets first: a configuration without them starts nothing.
        let env = self.env_text();
        if self.env_before.as_ref() != Some(&env) {
            write(&self.env_path, &env, Some(ENV_MODE))?;
        }
        let config = self.document.to_string();
        if self.config_before.as_ref() != Some(&config) {
            write(&self.path, &config, None)?;
        }
        Ok(())
    }

    fn env_text(&self) -> String {
        let mut text = self.env_lines.join("\n");
        text.push('\n');
        text
    }
}

/// Puts a file in place in one step. What was there keeps its owner, and its mode unless another
/// is demanded.
pub(super) fn write(path: &Path, text: &str, mode: Option<u32>) -> anyhow::Result<()> {
    let name = path.display();
    let directory = path.parent().context("a file is in a directory")?;
    fs::create_dir_all(directory).with_context(|| format!("no directory for {name}"))?;
    let written = (|| {
        // Nobody else can read it before its mode is right.
        let mut file = tempfile::NamedTempFile::new_in(directory)?;
        file.write_all(text.as_bytes())?;
        let before = fs::metadata(path).ok();
        let usual = before
            .as_ref()
            .map_or(CONFIG_MODE, |before| before.mode() & 0o777);
        if let Some(before) = &before
            && (before.uid(), before.gid()) != owner(&file)?
        {
            chown(file.path(), Some(before.uid()), Some(before.gid()))?;
        }
        let mode = Permissions::from_mode(mode.unwrap_or(usual));
        file.as_file().set_permissions(mode)?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        Ok::<(), io::Error>(())
    })();
    written.with_context(|| format!("{name} cannot be written"))
}

fn owner(file: &tempfile::NamedTempFile) -> io::Result<(u32, u32)> {
    let metadata = file.as_file().metadata()?;
    Ok((metadata.uid(), metadata.gid()))
}

fn read(path: &Path) -> anyhow::Result<Option<String>> {
    let name = path.display();
    match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(|| format!("{name} cannot be read")),
        Ok(file) if file.len() > FILE_BYTES_MAX => bail!("{name} is too large to be one of ours"),
        Ok(_) => {}
    }
    fs::read_to_string(path)
        .map(Some)
        .with_context(|| format!("{name} cannot be read"))
}

/// The table of this name, made if there is none.
fn table<'a>(parent: &'a mut Table, name: &str) -> anyhow::Result<&'a mut Table> {
    let made = || {
        let mut made = Table::new();
        // It holds tables alone, and needs no line of its own.
        made.set_implicit(name == "channels");
        Item::Table(made)
    };
    let item = parent.entry(name).or_insert_with(made);
    item.as_table_mut().with_context(|| {
        format!("`{name}` is no table with a line of its own, [{name}]; make it one")
    })
}

fn first_agent(agents: &mut Table) -> anyhow::Result<&mut Table> {
    let item = agents
        .entry("list")
        .or_insert_with(|| Item::ArrayOfTables(ArrayOfTables::new()));
    let list = item
        .as_array_of_tables_mut()
        .context("`agents.list` is no list of [[agents.list]]; make it one")?;
    if list.is_empty() {
        let mut agent = Table::new();
        set(&mut agent, "id", "main");
        put(&mut agent, "default", true.into());
        list.push(agent);
    }
    list.get_mut(0).context("there is no agent")
}

fn set(table: &mut Table, key: &str, value: &str) {
    put(table, key, value.into());
}

/// Changes a value and leaves what stands around it.
fn put(table: &mut Table, key: &str, mut value: Value) {
    match table.get_mut(key).and_then(Item::as_value_mut) {
        Some(old) => {
            *value.decor_mut() = old.decor().clone();
            *old = value;
        }
        None => drop(table.insert(key, Item::Value(value))),
    }
}

/// What a line gives to a variable, if it does.
fn assigned(line: &str, variable: &str) -> Option<String> {
    let line = line.trim_start();
    let line = line.strip_prefix("export ").unwrap_or(line);
    let value = line.strip_prefix(variable)?.strip_prefix('=')?.trim();
    let inner = |mark| value.strip_prefix(mark)?.strip_suffix(mark);
    let value = inner('\'').or_else(|| inner('"')).unwrap_or(value);
    Some(value.to_owned())
}

/// As both systemd and a shell read it.
fn quoted(value: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-./:=+,@%".contains(&byte);
    if value.bytes().all(is_plain) {
        value.to_owned()
    } else {
        format!("'{value}'")
    }
}

/// What the examples have where an answer belongs.
fn is_placeholder(text: &str) -> bool {
    let rest = text.strip_prefix("cli_").unwrap_or(text);
    text.starts_with("your-real-") || (!rest.is_empty() && rest.bytes().all(|byte| byte == b'x'))
}

/// The token is no secret of the first order, and still nobody else's.
fn without_token(line: &str) -> String {
    match line.split_once('=') {
        Some((key, _)) if key.trim() == "verification_token" => format!("{key}= \"…\""),
        Some(_) | None => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_to_a_variable_is_found_in_every_spelling() {
        for (line, expected) in [
            ("KEY=value", Some("value")),
            ("  export KEY='a value' ", Some("a value")),
            ("KEY=\"quoted\"", Some("quoted")),
            ("KEY=", Some("")),
            ("#KEY=value", None),
            ("KEY2=value", None),
            ("OTHER_KEY=value", None),
        ] {
            assert_eq!(assigned(line, "KEY").as_deref(), expected, "{line}");
        }
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
    fn a_secret_that_a_shell_would_read_differently_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let mut files = Files::open(&folder.path().join("config.toml")).unwrap();
        for secret in ["it's", "a\"b", "a\\b", "a$b", "a`b", "a\nb"] {
            assert!(files.set_secret("KEY", secret).is_err(), "{secret:?}");
        }
        files.set_secret("KEY", "with space #1").unwrap();
        assert_eq!(files.env_lines.last().unwrap(), "KEY='with space #1'");
        assert_eq!(files.secret("KEY").as_deref(), Some("with space #1"));
        files.set_secret("KEY", "plain").unwrap();
        assert_eq!(files.env_lines.last().unwrap(), "KEY=plain");
        assert_eq!(files.env_lines.len(), 2);
    }
}
