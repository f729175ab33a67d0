//! From a TOML file and the environment to a checked [`Config`].
//!
//! Nothing is bound or dialled before the whole configuration is known to be
//! good, and everything that is wrong is said at once, each with its line, its
//! key and the nearest right name.
//!
//! | step | module |
//! | --- | --- |
//! | which keys there are, of which kind, with which default | [`schema`] |
//! | text to tables, with positions | `source` |
//! | unknown keys, wrong types | `walk` |
//! | typed access, with defaults | `section` |
//! | sections and environment to a [`Config`] | `check` |
//! | how problems read | [`problem`] |
//! | the schema as a commented file | [`reference`](mod@reference) |
//! | what is set, to be shown | [`in_force`] |
//! | the schema as a page, also in Chinese | [`document`] |
//!
//! Relative paths are relative to the directory of the configuration file, so
//! that a daemon does the same from wherever it is started; `~/` is the home
//! directory. Secrets are never in the file: a key that ends in `_env` names
//! the environment variable.

mod check;
mod chinese;
mod cloud;
pub mod document;
pub mod environment;
pub mod in_force;
mod price;
pub mod problem;
pub mod reference;
pub mod schema;
mod section;
mod source;
mod walk;

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use proto_core::HostPolicy;
use secrecy::SecretString;
use serde_json::{Map, Value};
use xiaoo_agent::{ModelConfig, Provider};
use xiaoo_store::StoreUrl;

pub use cloud::Cloud;
pub(crate) use environment::home;
pub use environment::{Env, ProcessEnv, locate, with_usual_password};
pub use price::{Price, Prices};
pub use problem::{ConfigErrors, Problem, Warning};

pub use in_force::InForce;
use source::Source;

/// Everything an operator can set, checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// The model: `[llm]`.
    pub llm: LlmConfig,
    /// The bots: the one of `[channels.feishu]`, then its accounts. None when the channel is not
    /// enabled.
    pub channels: Vec<FeishuConfig>,
    /// The agents of `[[agents.list]]`, the default one first; never empty.
    pub agents: Vec<AgentConfig>,
    /// `[skills]`.
    pub skills: SkillsConfig,
    /// `[tools]`.
    pub tools: ToolsConfig,
    /// `[store]`.
    pub store: StoreConfig,
    /// `[limits]`.
    pub limits: LimitsConfig,
    /// `[http]`.
    pub http: HttpConfig,
    /// All of it as it may be shown.
    pub in_force: InForce,
}

/// The model and how it is asked.
#[derive(Clone, Debug)]
pub struct LlmConfig {
    /// The one that is asked first.
    pub main: EndpointConfig,
    /// Those that are asked, in this order, when the one before is down.
    pub fallbacks: Vec<EndpointConfig>,
    /// How long a model may send nothing at all.
    pub timeout: Duration,
    /// What prices are in, here and at the agents.
    pub currency: String,
}

/// One model at one server.
#[derive(Clone, Debug)]
pub struct EndpointConfig {
    /// Whose dialect is spoken.
    pub provider: Provider,
    /// Up to and including the version part, without a slash at its end.
    pub api_base: String,
    /// The model's name; an agent may have its own.
    pub model: String,
    /// `None` for servers that want none.
    pub api_key: Option<SecretString>,
    /// Upper limit for one answer, in tokens; the server's default when `None`.
    pub max_tokens: Option<u32>,
    /// Tokens that the model can read; the agent's default bound when `None`.
    pub context_window: Option<u32>,
    /// Whether it can see.
    pub vision: bool,
    /// What it costs, if the operator says.
    pub price: Option<Price>,
    /// Further fields of the request body.
    pub extra_body: Map<String, Value>,
}

/// The Feishu app and how its bot behaves.
#[derive(Clone, Debug)]
pub struct FeishuConfig {
    /// How events come in.
    pub transport: Transport,
    /// `cli_…`.
    pub app_id: String,
    /// The app's secret.
    pub app_secret: SecretString,
    /// What webhook bodies must carry.
    pub verification_token: Option<SecretString>,
    /// What webhook bodies are encrypted and signed with.
    pub encrypt_key: Option<SecretString>,
    /// Webhook events without any proof of their origin are taken in. Only ever
    /// true when the operator wrote so.
    pub accept_unverified_events: bool,
    /// Where the OpenAPI is, without a slash at its end.
    pub base_url: String,
    /// Whether [`FeishuConfig::base_url`] is on this machine; then the long
    /// connection may go there too, unencrypted.
    pub base_url_is_loopback: bool,
    /// The first part of every conversation's id; `feishu` unless set.
    pub instance: String,
    /// Who is answered.
    pub access: AccessConfig,
    /// The reaction shown while a turn runs; `None` for none.
    pub reaction: Option<String>,
    /// What is shown of a turn while it runs.
    pub progress: ProgressStyle,
    /// The length of an outage after which known chats are read back; `None` for
    /// never.
    pub recover_after: Option<Duration>,
    /// Further certificate authorities (PEM), for proxies with their own.
    pub ca_file: Option<PathBuf>,
    /// Where the long connection may go beside the vendor's own hosts.
    pub allowed_ws_hosts: Vec<String>,
    /// The agent that answers here; the default one when `None`.
    pub agent: Option<String>,
    /// Turns that run at once for this bot; as [`LimitsConfig::max_concurrent_turns`] when `None`.
    pub max_concurrent_turns: Option<usize>,
}

/// How events come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// Feishu posts to a public URL.
    Webhook,
    /// The daemon opens a long connection.
    Websocket,
}

/// What is shown of a turn while it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProgressStyle {
    /// A card that says what happens and turns green or red.
    Card,
    /// The answer itself, as it grows.
    Stream,
    /// Nothing; the reaction alone.
    Off,
}

/// Who is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessConfig {
    /// Direct messages.
    pub dm_policy: DirectAccess,
    /// Groups.
    pub group_policy: Access,
    /// In groups, answer only when the bot is mentioned.
    pub require_mention: bool,
    /// A mention of everyone counts as a mention of the bot.
    pub respond_to_all: bool,
    /// Open ids (`ou_…`) that an allow list lets in.
    pub allow_users: Vec<String>,
    /// Chat ids (`oc_…`) that an allow list lets in.
    pub allow_chats: Vec<String>,
    /// Open ids that pass every rule but the mention.
    pub admins: Vec<String>,
    /// Exceptions for single chats.
    pub chats: Vec<ChatConfig>,
    /// Whether other bots are answered.
    pub allow_bots: bool,
    /// Answers in a row that other bots get in one chat.
    pub bot_turns_max: u32,
}

/// Who may talk to the bot directly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DirectAccess {
    /// Everyone.
    Open,
    /// Those on the list.
    Allowlist,
    /// Those on the list, and whoever an admin has let in by a code.
    Pairing,
    /// Nobody.
    Disabled,
}

/// Who gets in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Everyone.
    Open,
    /// Those on the list.
    Allowlist,
    /// Nobody.
    Disabled,
}

/// An exception for one chat; `None` leaves the general rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChatConfig {
    /// `oc_…`.
    pub chat_id: String,
    /// `false` switches the bot off there, `true` on.
    pub enabled: Option<bool>,
    /// Overrides [`AccessConfig::require_mention`].
    pub require_mention: Option<bool>,
    /// Overrides [`AccessConfig::respond_to_all`].
    pub respond_to_all: Option<bool>,
}

/// One agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentConfig {
    /// Its name.
    pub id: String,
    /// The directory it works in.
    pub workspace: Option<PathBuf>,
    /// The directory of its own data.
    pub agent_dir: Option<PathBuf>,
    /// Overrides [`EndpointConfig::model`].
    pub model: Option<String>,
    /// What that model costs, if the operator says.
    pub price: Option<Price>,
    /// Overrides the built-in prompt.
    pub system_prompt: Option<String>,
    /// The tools it has; the usual ones when `None`.
    pub tools: Option<Vec<String>>,
    /// The skills it has; all when `None`.
    pub skills: Option<Vec<String>>,
    /// Chats in which it answers instead of the default agent.
    pub chats: Vec<String>,
    /// People whom it answers, where the chat does not say.
    pub people: Vec<String>,
}

/// Where skills are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SkillsConfig {
    /// Directories, in order of precedence.
    pub dirs: Vec<PathBuf>,
    /// The home directory, which has some, too.
    pub home: Option<PathBuf>,
}

/// What the model may do.
#[derive(Clone, Debug)]
pub struct ToolsConfig {
    /// Tools beyond the usual ones.
    pub enable: Vec<String>,
    /// Tools that ask the person first: names, or beginnings with a `*` behind.
    pub ask_first: Vec<String>,
    /// In which time somebody must agree.
    pub approval_timeout: Duration,
    /// `[tools.shell]`.
    pub shell: ShellConfig,
    /// Hosts that may be fetched although their addresses are private.
    pub private_hosts: Vec<String>,
    /// `[tools.mcp.NAME]`.
    pub mcp: Vec<McpConfig>,
}

/// Commands in a sandbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShellConfig {
    /// How long one command may take.
    pub timeout: Duration,
    /// Whether commands may use the network.
    pub network: bool,
    /// Memory of one process, in bytes.
    pub memory_bytes_max: u64,
    /// Processes of one command.
    pub processes_max: u64,
    /// Commands run without a sandbox where the kernel has none.
    pub unsandboxed: bool,
}

/// One server of the Model Context Protocol.
#[derive(Clone, Debug)]
pub struct McpConfig {
    /// Its name here.
    pub name: String,
    /// How it is reached.
    pub transport: McpTransport,
    /// Which of its tools are offered; all when `None`.
    pub tools: Option<Vec<String>>,
    /// Whether tools that are not declared read-only ask first.
    pub ask_first: bool,
    /// How long one call may take.
    pub timeout: Duration,
}

/// How a server of the Model Context Protocol is reached.
#[derive(Clone, Debug)]
pub enum McpTransport {
    /// It is started as a program and talked to over its standard input and output.
    Program {
        /// The program.
        command: String,
        /// Its arguments.
        args: Vec<String>,
        /// What it gets of the environment: names and values.
        env: Vec<(String, SecretString)>,
    },
    /// It answers at an address.
    Http {
        /// The address.
        url: String,
        /// The token for it.
        bearer_token: Option<SecretString>,
    },
}

/// Where what must not be lost is kept.
#[derive(Clone, Debug)]
pub struct StoreConfig {
    /// The store's address; relative paths are resolved already.
    pub url: StoreUrl,
}

/// What may be used up at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitsConfig {
    /// Turns that run at once.
    pub max_concurrent_turns: usize,
    /// How long one turn may take.
    pub turn_timeout: Duration,
    /// Questions to the model in one turn.
    pub max_steps: u32,
    /// Turns that may wait in one conversation.
    pub max_queue_per_conversation: u64,
    /// Turns that may wait in all.
    pub max_queue: u64,
    /// The age after which a message is no longer answered; `None` for no limit.
    pub message_age_max: Option<Duration>,
    /// Whether the sender of such a message is told.
    pub late_notice: bool,
    /// How long an event may wait to be durable before it is refused.
    pub ack_deadline: Duration,
    /// How long running turns may go on after the daemon was told to stop.
    pub shutdown_grace: Duration,
    /// What one person may use in a day.
    pub person_per_day: BudgetConfig,
    /// What one chat may use in a day.
    pub chat_per_day: BudgetConfig,
    /// Bytes of one file that is taken from a chat.
    pub file_bytes_max: u64,
    /// Bytes that the files of one conversation may take together.
    pub conversation_bytes_max: u64,
}

/// What may be used in a day; `None` for no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BudgetConfig {
    /// Answered messages.
    pub turns: Option<u64>,
    /// Tokens, those that are read and those that are written.
    pub tokens: Option<u64>,
}

/// The HTTP surface.
#[derive(Clone, Debug)]
pub struct HttpConfig {
    /// What callers from elsewhere must present for everything but health and events.
    pub bearer_token: Option<SecretString>,
    /// Whether `/metrics` answers.
    pub metrics: bool,
    /// Whether `/` shows the dashboard.
    pub dashboard: bool,
}

/// The store of a bot: the first one's is the store itself, others' are derived from it.
#[must_use]
pub fn store_of_bot(store: &StoreUrl, is_first: bool, instance: &str) -> StoreUrl {
    if is_first {
        store.clone()
    } else {
        store.for_instance(instance)
    }
}

impl Config {
    /// Reads and checks the file at `path`.
    ///
    /// # Errors
    /// Everything that is wrong with it, in the order of the file.
    pub fn load(path: &Path, env: &dyn Env) -> Result<(Self, Vec<Warning>), ConfigErrors> {
        match read(path) {
            Ok(text) => Self::parse(path, &text, env),
            Err(why) => Err(ConfigErrors::unreadable(path, &why)),
        }
    }

    /// Checks `text` as if it had been read from `path`.
    ///
    /// # Errors
    /// Everything that is wrong with it, in the order of the file.
    pub fn parse(
        path: &Path,
        text: &str,
        env: &dyn Env,
    ) -> Result<(Self, Vec<Warning>), ConfigErrors> {
        check::check(&Source::new(path, text), env)
    }

    /// The store that the file at `path` names. Nothing else of it need be right, and
    /// no secret be in the environment: a store must be reachable when its daemon
    /// can't start.
    ///
    /// # Errors
    /// What is wrong with what says where the store is.
    pub fn store_url(path: &Path, env: &dyn Env) -> Result<StoreUrl, ConfigErrors> {
        match read(path) {
            Ok(text) => check::check_store(&Source::new(path, &text), env),
            Err(why) => Err(ConfigErrors::unreadable(path, &why)),
        }
    }

    /// The stores of the bots of the daemon with the file at `path`, the first bot's in front, each
    /// with the bot's name. As with [`Config::store_url`], nothing else need be right.
    ///
    /// # Errors
    /// What is wrong with what says where they are.
    pub fn stores(path: &Path, env: &dyn Env) -> Result<Vec<(String, StoreUrl)>, ConfigErrors> {
        match read(path) {
            Ok(text) => check::check_stores(&Source::new(path, &text), env),
            Err(why) => Err(ConfigErrors::unreadable(path, &why)),
        }
    }

    /// Where the skills of the daemon with the file at `path` are: its agent's workspace,
    /// and `[skills]`. As with [`Config::store_url`], nothing else need be right.
    ///
    /// # Errors
    /// What is wrong with what says where they are.
    pub fn skill_places(
        path: &Path,
        env: &dyn Env,
    ) -> Result<(Option<PathBuf>, SkillsConfig), ConfigErrors> {
        match read(path) {
            Ok(text) => check::check_skills(&Source::new(path, &text), env),
            Err(why) => Err(ConfigErrors::unreadable(path, &why)),
        }
    }
}

impl LlmConfig {
    /// What the clients of the models want to know, the one that is asked first in front; with
    /// the agent's own model in its place, if it has one.
    #[must_use]
    pub fn model_configs(&self, own_model: Option<&str>) -> Vec<ModelConfig> {
        let own = own_model.map(|model| EndpointConfig {
            model: model.to_owned(),
            ..self.main.clone()
        });
        let first = own.as_ref().unwrap_or(&self.main);
        core::iter::once(first)
            .chain(&self.fallbacks)
            .map(|endpoint| endpoint.model_config(self.timeout))
            .collect()
    }
}

impl EndpointConfig {
    fn model_config(&self, timeout: Duration) -> ModelConfig {
        let mut config = ModelConfig::new(self.provider, &self.api_base, &self.model)
            .with_api_key(self.api_key.clone());
        config.max_tokens = self.max_tokens;
        config.extra = self.extra_body.clone();
        config.context_window = self.context_window;
        config.vision = self.vision;
        config.timeouts.headers = timeout;
        config.timeouts.idle = timeout;
        config.timeouts.no_progress = config.timeouts.no_progress.max(timeout);
        config
    }
}

impl FeishuConfig {
    /// Where the long connection may go.
    #[must_use]
    pub fn host_policy(&self) -> HostPolicy {
        HostPolicy {
            loopback: self.base_url_is_loopback,
            also: self
                .allowed_ws_hosts
                .first()
                .and_then(|host| host.as_str().try_into().ok()),
        }
    }
}

impl Transport {
    /// The name used in the file.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Webhook => "webhook",
            Self::Websocket => "websocket",
        }
    }
}

/// Bytes of a configuration file. A thousand chats with their own rules fit
/// many times; a log file given by mistake does not.
const FILE_BYTES_MAX: u64 = 1 << 20;

fn read(path: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    File::open(path)?
        .take(FILE_BYTES_MAX + 1)
        .read_to_string(&mut text)?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(std::io::Error::other(format!(
            "longer than {FILE_BYTES_MAX} bytes, which no configuration is"
        )));
    }
    Ok(text)
}
