//! Sections and the environment to a checked configuration.
//!
//! Each `check_*` reports what it finds and returns what it could make; the
//! result counts only when nothing was reported.

use std::path::{Path, PathBuf};
use std::time::Duration;

use proto_core::{HOST_BYTES_MAX, SECRET_BYTES_MAX};
use reqwest::Url;
use secrecy::SecretString;
use xiaoo_agent::Provider;
use xiaoo_store::StoreUrl;

use super::document::{Section, Source, Spot};
use super::environment::{self, Env};
use super::problem::Report;
use super::{
    Access, AccessConfig, AgentConfig, ChatConfig, Config, ConfigErrors, FeishuConfig, HttpConfig,
    LimitsConfig, LlmConfig, ProgressStyle, SkillsConfig, StoreConfig, Transport, Warning, schema,
};

pub(super) fn check(
    source: &Source<'_>,
    env: &dyn Env,
) -> Result<(Config, Vec<Warning>), ConfigErrors> {
    let mut report = Report::default();
    let Some(table) = source.parse(&mut report) else {
        return Err(report.into_errors());
    };
    let root = Source::root(&table);
    source.walk(&root, &mut report);
    source.demand_required(&root, &mut report);

    let mut checker = Checker {
        source,
        env,
        directory: source.path.parent().unwrap_or_else(|| Path::new("")),
        report,
    };
    let config = checker.config(&root);
    let report = checker.report;
    match config {
        Some(config) if !report.has_errors() => Ok((config, report.into_warnings())),
        _ => Err(report.into_errors()),
    }
}

struct Checker<'a> {
    source: &'a Source<'a>,
    env: &'a dyn Env,
    /// Of the file; relative paths start here.
    directory: &'a Path,
    report: Report,
}

impl<'a> Checker<'a> {
    fn config(&mut self, root: &Section<'_>) -> Option<Config> {
        let llm = self.llm(&root.section(self.source, "llm"));
        let channels = root.section(self.source, "channels");
        let feishu = self.feishu(&channels.section(self.source, "feishu"));
        let agent = self.agent(&root.section(self.source, "agents"));
        let skills = self.skills(&root.section(self.source, "skills"));
        let limits = limits(&root.section(self.source, "limits"));
        let http = self.http(&root.section(self.source, "http"));
        let store = self.store(&root.section(self.source, "store"), agent.as_ref());
        Some(Config {
            llm: llm?,
            feishu: feishu?,
            agent: agent?,
            skills,
            store: store?,
            limits,
            http,
        })
    }

    fn llm(&mut self, section: &Section<'_>) -> Option<LlmConfig> {
        if !section.is_present() {
            return None;
        }
        self.source.demand_required(section, &mut self.report);
        let api_base = section.text(self.source, "api_base");
        let provider = self.provider(section, api_base.is_some());
        let api_base = match api_base {
            Some(written) => self.api_base(&written),
            None => provider
                .and_then(Provider::default_api_base)
                .map(str::to_owned),
        };
        let api_key = self.secret(section, "api_key_env", KEY_BYTES_MAX);
        if let Some(provider) = provider
            && provider.needs_api_key()
            && !section.has_or_means("api_key_env")
        {
            let message = format!(
                "missing; {provider} wants a key: name the environment variable that holds it"
            );
            self.error(&section.missing("api_key_env"), message);
        }
        let model = section.text(self.source, "model");
        let model = model.and_then(|model| self.not_blank(model));
        Some(LlmConfig {
            provider: provider?,
            api_base: api_base?,
            model: model?,
            api_key,
            max_tokens: small(section.optional_count("max_tokens")),
            timeout: Duration::from_secs(section.count("timeout_secs")),
            context_window: small(section.optional_count("context_window")),
            fallback_models: Vec::new(),
            extra_body: section
                .free(self.source, "extra_body")
                .map(|spot| spot.value)
                .unwrap_or_default(),
        })
    }

    /// An unknown provider at a known address is taken for an ordinary one.
    fn provider(&mut self, section: &Section<'_>, has_address: bool) -> Option<Provider> {
        let written = section.text(self.source, "provider")?;
        if let Some(provider) = Provider::from_name(written.value) {
            if !has_address && provider.default_api_base().is_none() {
                let message = format!("missing; only you know where {provider} answers");
                self.error(&section.missing("api_base"), message);
            }
            return Some(provider);
        }
        let names = Provider::ALL.map(Provider::name);
        if has_address {
            let message = format!(
                "{:?} is not known by name; spoken to as \"compatible\"",
                written.value
            );
            self.warn(&written, message);
            return Some(Provider::Compatible);
        }
        let meant = match schema::nearest(written.value, names) {
            Some(meant) => format!("; did you mean \"{meant}\"?"),
            None => format!(
                "; known are {}; any other needs `api_base`",
                names.join(", ")
            ),
        };
        self.error(&written, format!("{:?} is not known{meant}", written.value));
        None
    }

    fn api_base(&mut self, written: &Spot<&str>) -> Option<String> {
        let url = self.url(written)?;
        match url.strip_suffix("/chat/completions") {
            Some(base) => {
                self.warn(written, "`/chat/completions` is added by itself; left out");
                Some(base.to_owned())
            }
            None => Some(url),
        }
    }

    /// `Some(None)` is a channel that is off.
    fn feishu(&mut self, section: &Section<'_>) -> Option<Option<FeishuConfig>> {
        if !section.is_present() || !section.flag("enabled") {
            let message = "no channel is enabled; nobody will be answered";
            self.warn(&section.spot(), message);
            return Some(None);
        }
        self.source.demand_required(section, &mut self.report);
        let transport = match section.choice("transport") {
            "webhook" => Some(Transport::Webhook),
            "websocket" => Some(Transport::Websocket),
            _ => None,
        };
        let app_id = self.app_id(section);
        let app_secret = self.secret(section, "app_secret_env", KEY_BYTES_MAX);
        let verification_token = self.verification_token(section);
        let encrypt_key = self.secret(section, "encrypt_key_env", SECRET_BYTES_MAX);
        if transport == Some(Transport::Webhook) {
            self.origin_is_proven(section);
        }
        let base_url = self.base_url(section);
        let access = self.access(section);
        let reaction = self.reaction(section);
        let instance = self.instance(section);
        let allowed_ws_hosts = self.allowed_ws_hosts(section);
        let (base_url, base_url_is_loopback) = base_url?;
        Some(Some(FeishuConfig {
            transport: transport?,
            app_id: app_id?,
            app_secret: app_secret?,
            verification_token,
            encrypt_key,
            accept_unverified_events: section.flag("accept_unverified_events"),
            base_url,
            base_url_is_loopback,
            instance,
            access,
            reaction,
            progress: match section.choice("progress") {
                "stream" => ProgressStyle::Stream,
                "off" => ProgressStyle::Off,
                _ => ProgressStyle::Card,
            },
            ca_file: self.path(section, "ca_file"),
            allowed_ws_hosts,
        }))
    }

    fn app_id(&mut self, section: &Section<'_>) -> Option<String> {
        let written = section.text(self.source, "app_id")?;
        let Some(rest) = written.value.strip_prefix("cli_") else {
            let message = "an App ID begins with `cli_`; copy it from the app's credentials page";
            self.error(&written, message);
            return None;
        };
        // Every App ID seen so far is 16 hex digits; nothing promises it.
        let is_usual = rest.len() == 16 && rest.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !rest.bytes().all(|byte| byte.is_ascii_alphanumeric()) || rest.is_empty() {
            self.error(&written, "an App ID is `cli_` and letters and digits");
            return None;
        }
        if !is_usual {
            let message = "does not look like an App ID (`cli_` and 16 hex digits); a placeholder?";
            self.warn(&written, message);
        }
        Some(written.value.to_owned())
    }

    fn verification_token(&mut self, section: &Section<'_>) -> Option<SecretString> {
        let written = section.text(self.source, "verification_token")?;
        let fits = written.value.len() <= SECRET_BYTES_MAX;
        if !fits {
            let message = format!("longer than {SECRET_BYTES_MAX} bytes, which no token is");
            self.error(&written, message);
        }
        let token = self.not_blank(written)?;
        fits.then(|| SecretString::from(token))
    }

    /// Guarantee: nobody can speak as somebody else, unless the operator wrote so.
    fn origin_is_proven(&mut self, section: &Section<'_>) {
        let has = |name| section.has_or_means(name);
        if has("verification_token") || has("encrypt_key_env") {
            return;
        }
        let spot = section.missing("verification_token");
        if section.flag("accept_unverified_events") {
            let message = "webhook events are taken in without any proof of their origin";
            self.warn(&spot, message);
        } else {
            let message = "missing; without it (or `encrypt_key_env`) anyone who finds the URL \
                           can speak as anyone: copy the Verification Token from the app's \
                           event page";
            self.error(&spot, message);
        }
    }

    /// The address, and whether it is on this machine.
    fn base_url(&mut self, section: &Section<'_>) -> Option<(String, bool)> {
        let domain = section.choice("domain");
        let Some(written) = section.text(self.source, "base_url") else {
            let address = match domain {
                "lark" => "https://open.larksuite.com",
                _ => "https://open.feishu.cn",
            };
            return Some((address.to_owned(), false));
        };
        let url = self.url(&written)?;
        if url.ends_with("/open-apis") {
            self.error(&written, "leave `/open-apis` out");
            return None;
        }
        let is_loopback = is_loopback(&url);
        if url.starts_with("http:") && !is_loopback {
            let message = "the App Secret would travel unencrypted; use https";
            self.error(&written, message);
            return None;
        }
        Some((url, is_loopback))
    }

    fn access(&mut self, section: &Section<'_>) -> AccessConfig {
        let policy = |name| match section.choice(name) {
            "allowlist" => Access::Allowlist,
            "disabled" => Access::Disabled,
            _ => Access::Open,
        };
        let allow_users = self.ids(section, "allow_users", "ou_", "an open id");
        let allow_chats = self.ids(section, "allow_chats", "oc_", "a chat id");
        let admins = self.ids(section, "admins", "ou_", "an open id");
        let chats = section.named_sections(self.source, "chats");
        let chats = chats
            .into_iter()
            .filter_map(|(name, chat)| {
                Some(ChatConfig {
                    chat_id: self.id(&name, "oc_", "a chat id")?,
                    enabled: chat.optional_flag("enabled"),
                    require_mention: chat.optional_flag("require_mention"),
                    respond_to_all: chat.optional_flag("respond_to_all"),
                })
            })
            .collect();
        let access = AccessConfig {
            dm_policy: policy("dm_policy"),
            group_policy: policy("group_policy"),
            require_mention: section.flag("require_mention"),
            respond_to_all: section.flag("respond_to_all"),
            allow_users,
            allow_chats,
            admins,
            chats,
        };
        if access.dm_policy == Access::Allowlist
            && access.allow_users.is_empty()
            && access.admins.is_empty()
        {
            let message = "lets nobody in: `allow_users` is empty";
            self.warn(&section.missing("dm_policy"), message);
        }
        access
    }

    fn ids(&mut self, section: &Section<'_>, name: &str, prefix: &str, what: &str) -> Vec<String> {
        let written = section.texts(self.source, name);
        written
            .iter()
            .filter_map(|item| self.id(item, prefix, what))
            .collect()
    }

    fn id(&mut self, written: &Spot<&str>, prefix: &str, what: &str) -> Option<String> {
        let is_one = written.value.len() > prefix.len() && written.value.starts_with(prefix);
        if !is_one {
            let message = format!("{:?}: {what} begins with `{prefix}`", written.value);
            self.error(written, message);
        }
        is_one.then(|| written.value.to_owned())
    }

    fn reaction(&mut self, section: &Section<'_>) -> Option<String> {
        let written = section.text_or_default(self.source, "reaction");
        if matches!(written.value, "" | "off") {
            return None;
        }
        let is_emoji = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        if !written.value.bytes().all(is_emoji) {
            let message =
                "one of Feishu's emoji names, such as `Get`, `OK` or `THUMBSUP`, or `off`";
            self.error(&written, message);
        }
        Some(written.value.to_owned())
    }

    fn instance(&mut self, section: &Section<'_>) -> String {
        let written = section.text_or_default(self.source, "channel_instance_id");
        let is_plain =
            |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
        let fits = (1..=NAME_BYTES_MAX).contains(&written.value.len());
        if !fits || !written.value.bytes().all(is_plain) {
            let message = format!("letters, digits, `_`, `-` and `.`, at most {NAME_BYTES_MAX}");
            self.error(&written, message);
        }
        written.value.to_owned()
    }

    fn allowed_ws_hosts(&mut self, section: &Section<'_>) -> Vec<String> {
        let written = section.texts(self.source, "allowed_ws_hosts");
        if written.len() > ALLOWED_WS_HOSTS_MAX {
            let message = "one host, or one suffix with a leading dot, which covers many";
            self.error(&section.missing("allowed_ws_hosts"), message);
        }
        for host in &written {
            let name = host.value.strip_prefix('.').unwrap_or(host.value);
            let is_host = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-');
            let fits = (1..HOST_BYTES_MAX).contains(&name.len());
            if !fits || name.starts_with('.') || !name.bytes().all(is_host) {
                let message = format!(
                    "{:?} is no host name; leave scheme and port out",
                    host.value
                );
                self.error(host, message);
            }
        }
        written.iter().map(|host| host.value.to_owned()).collect()
    }

    /// The agent that answers; a plain `main` when none is described.
    fn agent(&mut self, section: &Section<'_>) -> Option<AgentConfig> {
        let described = section.sections(self.source, "list");
        let mut agents: Vec<(Spot<&str>, &Section<'_>)> = Vec::new();
        for agent in &described {
            self.source.demand_required(agent, &mut self.report);
            let Some(id) = agent.text(self.source, "id") else {
                continue;
            };
            if id.value.trim().is_empty() || id.value.len() > NAME_BYTES_MAX {
                self.error(&id, format!("between 1 and {NAME_BYTES_MAX} bytes"));
            }
            match agents.iter().find(|(known, _)| known.value == id.value) {
                Some((first, _)) => {
                    let message = format!("{:?} is the id of `{}` already", id.value, first.key);
                    self.error(&id, message);
                }
                None => agents.push((id, agent)),
            }
        }
        let chosen = self.chosen_agent(section, &agents)?;
        for (id, _) in agents.iter().filter(|(id, _)| id.value != chosen.id) {
            let message = format!("not used: `{}` is the agent that answers", chosen.id);
            self.warn(id, message);
        }
        Some(chosen)
    }

    fn chosen_agent(
        &mut self,
        section: &Section<'_>,
        agents: &[(Spot<&str>, &Section<'_>)],
    ) -> Option<AgentConfig> {
        let mut defaults = agents.iter().filter(|(_, agent)| agent.flag("default"));
        let by_flag = defaults.next();
        for (_, second) in defaults {
            let message = "another agent is the default already; there can be one";
            self.error(&second.missing("default"), message);
        }
        let Some(wanted) = section.text(self.source, "default_agent_id") else {
            return Some(match by_flag.or_else(|| agents.first()) {
                Some((id, agent)) => self.agent_config(id.value, agent),
                None => AgentConfig::plain("main"),
            });
        };
        if let Some((id, _)) = by_flag.filter(|(id, _)| id.value != wanted.value) {
            let message = format!(
                "`{}` says that it is the default, too; `{}` answers",
                id.key, wanted.value
            );
            self.warn(&wanted, message);
        }
        match agents.iter().find(|(id, _)| id.value == wanted.value) {
            Some((id, agent)) => Some(self.agent_config(id.value, agent)),
            None if agents.is_empty() && !section.has("list") => {
                Some(AgentConfig::plain(wanted.value))
            }
            None => {
                let known: Vec<&str> = agents.iter().map(|(id, _)| id.value).collect();
                let hint = match schema::nearest(wanted.value, known.iter().copied()) {
                    Some(meant) => format!("; did you mean \"{meant}\"?"),
                    None if known.is_empty() => String::new(),
                    None => format!("; there are: {}", known.join(", ")),
                };
                let message = format!("no agent has the id {:?}{hint}", wanted.value);
                self.error(&wanted, message);
                None
            }
        }
    }

    fn agent_config(&mut self, id: &str, section: &Section<'_>) -> AgentConfig {
        let system_prompt = section.text(self.source, "system_prompt");
        if let Some(prompt) = &system_prompt
            && prompt.value.len() > SYSTEM_PROMPT_BYTES_MAX
        {
            let message = format!("longer than {SYSTEM_PROMPT_BYTES_MAX} bytes");
            self.error(prompt, message);
        }
        let model = section.text(self.source, "model");
        AgentConfig {
            id: id.to_owned(),
            workspace: self.path(section, "workspace"),
            agent_dir: self.path(section, "agent_dir"),
            model: model.and_then(|model| self.not_blank(model)),
            system_prompt: system_prompt.map(|prompt| prompt.value.to_owned()),
        }
    }

    fn skills(&mut self, section: &Section<'_>) -> SkillsConfig {
        let written = section.texts(self.source, "dirs");
        if let Some(first) = written.first() {
            let spot = first.with(());
            self.warn(
                &spot,
                "skills are not read yet; the directories have no effect",
            );
        }
        SkillsConfig {
            dirs: written.iter().map(|dir| self.resolve(dir.value)).collect(),
        }
    }

    fn store(&mut self, section: &Section<'_>, agent: Option<&AgentConfig>) -> Option<StoreConfig> {
        if let Some(written) = section.text(self.source, "url") {
            return match written.value.parse() {
                Ok(StoreUrl::Sqlite(path)) => Some(StoreConfig {
                    url: StoreUrl::Sqlite(self.resolve(&path.to_string_lossy())),
                }),
                // An engine that knows no files has nothing to resolve.
                Ok(url) => Some(StoreConfig { url }),
                Err(why) => {
                    self.error(&written, why.to_string());
                    None
                }
            };
        }
        let path = match agent?.agent_dir.as_ref() {
            Some(directory) => Some(directory.join("xiaoo.db")),
            None => environment::default_store(self.env),
        };
        if path.is_none() {
            let message = "missing; without `agent_dir` and without HOME there is no usual place: \
                           for example `url = \"sqlite:/var/lib/xiaoo/xiaoo.db\"`";
            self.error(&section.missing("url"), message);
        }
        Some(StoreConfig {
            url: StoreUrl::Sqlite(path?),
        })
    }

    fn http(&mut self, section: &Section<'_>) -> HttpConfig {
        HttpConfig {
            bearer_token: self.secret(section, "bearer_token_env", KEY_BYTES_MAX),
            metrics: section.flag("metrics"),
            dashboard: section.flag("dashboard"),
        }
    }

    /// What the variable holds that the key names. Whoever mistakes the key for
    /// the place of the secret itself must not find it in the log.
    fn secret(
        &mut self,
        section: &Section<'_>,
        name: &str,
        bytes_max: usize,
    ) -> Option<SecretString> {
        let written = section.text(self.source, name)?;
        let variable = written.value;
        if !is_variable_name(variable) || looks_like_a_secret(variable) {
            let message = "must be the name of an environment variable, such as \
                           FEISHU_APP_SECRET, not the secret itself";
            self.error(&written, message);
            return None;
        }
        let Some(value) = self.env.var(variable) else {
            let message = format!("the environment variable {variable} is not set");
            self.error(&written, message);
            return None;
        };
        let trimmed = value.trim();
        if trimmed.is_empty() {
            let message = format!("the environment variable {variable} is empty");
            self.error(&written, message);
            return None;
        }
        if trimmed.len() > bytes_max {
            let message = format!("the value of {variable} is longer than {bytes_max} bytes");
            self.error(&written, message);
            return None;
        }
        if trimmed.len() != value.len() {
            let message = format!("the value of {variable} has blanks around it; left out");
            self.warn(&written, message);
        }
        Some(SecretString::from(trimmed))
    }

    /// An absolute `http` or `https` URL without a slash at its end.
    fn url(&mut self, written: &Spot<&str>) -> Option<String> {
        let text = written.value.trim_end_matches('/');
        let is_good = Url::parse(text).is_ok_and(|url| {
            matches!(url.scheme(), "http" | "https")
                && url.has_host()
                && url.username().is_empty()
                && url.password().is_none()
                && url.query().is_none()
                && url.fragment().is_none()
        });
        if !is_good {
            // Not shown: it may hold a password.
            let message = "must be a URL such as https://host/path, without user, query or `#`";
            self.error(written, message);
        }
        is_good.then(|| text.to_owned())
    }

    fn not_blank(&mut self, written: Spot<&str>) -> Option<String> {
        let text = written.value.trim();
        if text.is_empty() {
            self.error(&written, "must not be empty");
        }
        (!text.is_empty()).then(|| text.to_owned())
    }

    fn path(&mut self, section: &Section<'_>, name: &str) -> Option<PathBuf> {
        let written = section.text(self.source, name)?;
        self.not_blank(written).map(|path| self.resolve(&path))
    }

    fn resolve(&self, written: &str) -> PathBuf {
        environment::resolve(written, self.directory, self.env)
    }

    fn error<T>(&mut self, spot: &Spot<T>, message: impl Into<String>) {
        self.report.error(self.source.problem(spot, message));
    }

    fn warn<T>(&mut self, spot: &Spot<T>, message: impl Into<String>) {
        self.report.warn(self.source.problem(spot, message));
    }
}

impl AgentConfig {
    /// An agent with nothing of its own.
    #[must_use]
    pub fn plain(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            workspace: None,
            agent_dir: None,
            model: None,
            system_prompt: None,
        }
    }
}

/// Names become parts of ids and file names.
const NAME_BYTES_MAX: usize = 64;
/// Keys travel in one header line, and servers take 8 KiB of those; a whole
/// file pasted into a variable is no key.
const KEY_BYTES_MAX: usize = 8 << 10;
/// It is sent with every question; longer ones would leave no room for the answer.
const SYSTEM_PROMPT_BYTES_MAX: usize = 64 << 10;
/// What the long-connection machine has room for.
const ALLOWED_WS_HOSTS_MAX: usize = 1;

fn limits(section: &Section<'_>) -> LimitsConfig {
    let count = |name| section.count(name);
    LimitsConfig {
        max_concurrent_turns: usize::try_from(count("max_concurrent_turns")).unwrap_or(usize::MAX),
        turn_timeout: Duration::from_secs(count("turn_timeout_secs")),
        max_steps: small(Some(count("max_steps"))).unwrap_or(u32::MAX),
        max_queue_per_conversation: count("max_queue_per_conversation"),
        max_queue: count("max_queue"),
        ack_deadline: Duration::from_millis(count("ack_deadline_ms")),
        shutdown_grace: Duration::from_secs(count("shutdown_grace_secs")),
    }
}

/// The schema keeps these counts below `u32::MAX`.
fn small(count: Option<u64>) -> Option<u32> {
    count.and_then(|count| u32::try_from(count).ok())
}

fn is_loopback(url: &str) -> bool {
    let Ok(url) = Url::parse(url) else {
        return false;
    };
    url.host_str().is_some_and(|host| {
        let host = host.trim_start_matches('[').trim_end_matches(']');
        host.eq_ignore_ascii_case("localhost")
            || host
                .parse::<std::net::IpAddr>()
                .is_ok_and(|address| address.is_loopback())
    })
}

fn is_variable_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// App secrets and keys are long, without underscores, and have digits; names
/// of variables are not.
fn looks_like_a_secret(name: &str) -> bool {
    name.len() >= 16 && !name.contains('_') && name.bytes().any(|byte| byte.is_ascii_digit())
}
