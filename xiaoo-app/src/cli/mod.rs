//! Arguments. Their documentation is the help text; nothing is decided here.
//!
//! Usage errors exit with status 2, as clap does by itself.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use xiaoo_store::StoreUrl;

use crate::telemetry::LogFormat;

/// An LLM agent in Feishu and Lark.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "xiaoo-app",
    version,
    propagate_version = true,
    arg_required_else_help = true
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Run: receive messages from Feishu and answer them
    Daemon(DaemonArgs),
    /// Set up: ask what the daemon needs, test each answer, write config.toml and xiaoo.env
    ///
    /// Every question is also an option, and what is written already is the answer unless
    /// another is given; so this can be run again to change one thing. Without a terminal
    /// nothing is asked. Secrets are typed unseen, or come from the environment:
    /// $FEISHU_APP_SECRET, $FEISHU_ENCRYPT_KEY, and the model's key by the name of
    /// --api-key-env.
    Init(Box<InitArgs>),
    /// Try it on this machine: a simulated Feishu with a chat page, and a model
    ///
    /// Opens nothing to the network and needs neither an app nor a key. Without
    /// --model-base a scripted stand-in plays the model.
    Demo(DemoArgs),
    /// Find out what is wrong: every layer from the configuration to the public URL
    ///
    /// Only looks, and may run beside a daemon. For a moment it is one more long connection of
    /// the app. Ends within 30 s, whatever is silent. Exits with status 1 when a check fails.
    Doctor(DoctorArgs),
    /// Look into what Feishu sends: one item a line on stdin, one JSON object a line on stdout
    #[command(subcommand)]
    Inspect(InspectCommand),
    /// Look after the store: check it, write out what is in it, remove what is old
    #[command(subcommand)]
    Store(StoreCommand),
    /// Look after skills: list, check, audit, install and remove them
    #[command(subcommand)]
    Skill(SkillCommand),
    /// Say who may talk to a bot whose `dm_policy` is "pairing"; works while the daemon runs
    #[command(subcommand)]
    Pairing(PairingCommand),
    /// Print a completion script for a shell
    Completions(CompletionsArgs),
}

/// Arguments of `daemon`.
#[derive(Args, Clone, Debug)]
pub struct DaemonArgs {
    /// The configuration file [default: $XIAOO_CONFIG, else ~/.config/xiaoo/config.toml]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The address to listen on; keep it local behind nginx
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    pub host: IpAddr,
    /// The port to listen on; 0 takes a free one
    #[arg(long, default_value_t = 18080)]
    pub port: u16,
    #[command(flatten)]
    /// How it logs.
    pub log: LogArgs,
}

/// How a command logs that does. What it logs says `XIAOO_LOG`.
#[derive(Args, Clone, Copy, Debug)]
pub struct LogArgs {
    /// How lines of the log look, and where they go [default: $XIAOO_LOG_FORMAT, else auto]
    #[arg(long = "log-format", value_enum, value_name = "FORMAT")]
    pub format: Option<LogFormat>,
}

/// Arguments of `doctor`.
#[derive(Args, Clone, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub struct DoctorArgs {
    /// Explain instead of checking.
    #[command(subcommand)]
    pub command: Option<DoctorCommand>,
    /// The configuration file [default: $XIAOO_CONFIG, else ~/.config/xiaoo/config.toml]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The file with the secrets [default: the unit's EnvironmentFile]
    #[arg(long, value_name = "FILE")]
    pub env_file: Option<PathBuf>,
    /// The systemd unit [default: xiaoo-rebuild.service in /etc/systemd/system, else the package's]
    #[arg(long, value_name = "FILE")]
    pub unit: Option<PathBuf>,
    /// The address that the daemon listens on
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    pub host: IpAddr,
    /// The port that the daemon listens on
    #[arg(long, default_value_t = 18080)]
    pub port: u16,
    /// The public URL that Feishu calls, for webhook mode; without a path each bot is asked at
    /// its usual route
    #[arg(long, value_name = "URL")]
    pub public_url: Option<reqwest::Url>,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
    /// The language [default: that of the locale]
    #[arg(long = "lang", value_enum, global = true)]
    pub language: Option<LanguageFlag>,
}

/// What `doctor` can do beside checking.
#[derive(Clone, Debug, Subcommand)]
pub enum DoctorCommand {
    /// Say what a message of Feishu's console, of the log, or a code means
    Explain {
        /// The message or the code
        #[arg(required = true, value_name = "TEXT|CODE")]
        text: Vec<String>,
    },
}

/// A language of what is said at the terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LanguageFlag {
    /// English
    En,
    /// 中文
    Zh,
}

/// Arguments of `demo`.
#[derive(Args, Clone, Debug)]
pub struct DemoArgs {
    /// How the simulated Feishu delivers events
    #[arg(long, value_enum, default_value_t = DemoTransport::Websocket)]
    pub transport: DemoTransport,
    /// An OpenAI-compatible server to use as the model, with its version part
    #[arg(long, value_name = "URL", requires = "model")]
    pub model_base: Option<String>,
    /// The model's name at that server
    #[arg(long, value_name = "NAME", requires = "model_base")]
    pub model: Option<String>,
    /// The environment variable that holds the server's key, if it wants one
    #[arg(long, value_name = "NAME", requires = "model_base")]
    pub api_key_env: Option<String>,
    /// The port of the chat page; if it is taken, or 0, a free one
    #[arg(long, default_value_t = 18090)]
    pub port: u16,
    #[command(flatten)]
    /// How it logs.
    pub log: LogArgs,
}

/// Arguments of `init`.
#[derive(Args, Clone, Debug)]
pub struct InitArgs {
    /// The configuration file; xiaoo.env is beside it [default: $XIAOO_CONFIG, else
    /// ~/.config/xiaoo/config.toml; for the systemd unit /opt/xiaoo/config/config.toml]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Of several bots in the file the one to change, by its `channel_instance_id`
    #[arg(long, value_name = "NAME")]
    pub account: Option<String>,
    /// The App ID, from the app's credentials page
    #[arg(long, value_name = "cli_…")]
    pub app_id: Option<String>,
    /// Where Feishu is [default: open.feishu.cn or open.larksuite.com, found by trying]
    #[arg(long, value_name = "URL")]
    pub base_url: Option<String>,
    /// A further certificate authority (PEM), as of a company's proxy
    #[arg(long, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
    /// How events come in [default: websocket]
    #[arg(long, value_enum)]
    pub transport: Option<InitTransport>,
    /// The Verification Token, for webhooks
    #[arg(long, value_name = "TOKEN")]
    pub verification_token: Option<String>,
    /// Who has the model: openrouter, deepseek, zhipu, moonshot, openai, ollama, …
    #[arg(long, value_name = "NAME")]
    pub provider: Option<String>,
    /// Where it answers, with the version part [default: the provider's usual address]
    #[arg(long, value_name = "URL")]
    pub api_base: Option<String>,
    /// The model's name there
    #[arg(long, value_name = "NAME")]
    pub model: Option<String>,
    /// The environment variable that holds the model's key
    #[arg(long, value_name = "NAME")]
    pub api_key_env: Option<String>,
    /// The directory that the agent works in
    #[arg(long, value_name = "DIR")]
    pub workspace: Option<PathBuf>,
    /// Write the systemd unit, too
    #[arg(long, value_name = "FILE", num_args = 0..=1,
        default_missing_value = crate::systemd::unit::UNIT_PATH)]
    pub systemd_unit: Option<PathBuf>,
    /// Write the nginx site, too
    #[arg(long, value_name = "FILE", num_args = 0..=1, requires = "server_name",
        default_missing_value = crate::commands::init::SITE_PATH)]
    pub nginx_site: Option<PathBuf>,
    /// The public name or address of this machine, for the nginx site
    #[arg(long, value_name = "NAME")]
    pub server_name: Option<String>,
    /// Do not try the answers out
    #[arg(long)]
    pub untested: bool,
    /// Ask nothing, and change files that are there
    #[arg(long, short)]
    pub yes: bool,
    /// The language [default: that of the locale]
    #[arg(long = "lang", value_enum)]
    pub language: Option<LanguageFlag>,
}

/// How events come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum InitTransport {
    /// Over a long connection that the daemon opens
    Websocket,
    /// Feishu posts them to a public URL
    Webhook,
}

impl InitTransport {
    /// As the configuration has it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Websocket => "websocket",
            Self::Webhook => "webhook",
        }
    }
}

/// How the simulated Feishu delivers events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DemoTransport {
    /// Over a long connection that the daemon opens
    Websocket,
    /// By posting to the daemon
    Webhook,
}

/// What to look into.
#[derive(Clone, Debug, Subcommand)]
pub enum InspectCommand {
    /// Frames of the long connection, in hex
    Frame,
    /// Event bodies: a webhook's after decryption, or a frame's payload
    Event(InspectEventArgs),
    /// Encrypted webhook bodies: {"encrypt":"…"}
    Decrypt(InspectDecryptArgs),
}

/// Arguments of `inspect event`.
#[derive(Args, Clone, Debug)]
pub struct InspectEventArgs {
    /// The bot's open id, to tell its mentions and its own messages
    #[arg(long, value_name = "ou_…", default_value = "")]
    pub bot_open_id: String,
    /// The app's id, to tell its own messages
    #[arg(long, value_name = "cli_…", default_value = "")]
    pub app_id: String,
}

/// Arguments of `inspect decrypt`.
#[derive(Args, Clone, Debug)]
pub struct InspectDecryptArgs {
    /// The environment variable that holds the Encrypt Key
    #[arg(long, value_name = "NAME")]
    pub encrypt_key_env: String,
}

/// What to do with the store.
#[derive(Clone, Debug, Subcommand)]
pub enum StoreCommand {
    /// See whether the store is whole and consistent; exits with status 1 if it is not
    ///
    /// Only reads, and may run beside a daemon.
    Check(StoreArgs),
    /// Write out what the store holds, one JSON object a line
    ///
    /// Only reads, and may run beside a daemon. Of a damaged file it writes what can
    /// still be read. Secrets are starred out; people's messages are not.
    ///
    /// Each object has a "type": "turn" (an event that asks for work), "dead_letter"
    /// (something to send that was given up, with its "error"), "send" (something that
    /// is still to be sent), "history" (what a conversation remembers), "note" (what
    /// all daemons agree on: approvals, settings, budgets), "unreadable" (how many
    /// "ids" of a "table" are damaged). They come in this order, each sort by its "id",
    /// notes by their "version". All but notes have "id", "conversation", and the
    /// "body" as far as there is one: a turn's goes when the turn is done. Times end in
    /// "_ms": milliseconds since 1970. Sends and history name the "turn" that wrote
    /// them, and notes have a "scope" and a "key" as their name.
    #[command(verbatim_doc_comment)]
    Export(StoreExportArgs),
    /// Remove what is old, as a daemon does by itself every ten minutes
    ///
    /// On SQLite the daemon must be stopped; on PostgreSQL it may run.
    Prune(StorePruneArgs),
}

impl StoreCommand {
    /// Which store is meant.
    #[must_use]
    pub fn args(&self) -> &StoreArgs {
        match self {
            Self::Check(args) => args,
            Self::Export(args) => &args.store,
            Self::Prune(args) => &args.store,
        }
    }
}

/// Which store is meant.
#[derive(Args, Clone, Debug)]
pub struct StoreArgs {
    /// The configuration file that names the store [default: $XIAOO_CONFIG, else ~/.config/xiaoo/config.toml]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The store itself, without a configuration: sqlite:PATH or postgres://…; a password would
    /// be seen in the list of processes
    #[arg(long, value_name = "URL", conflicts_with = "config")]
    pub store: Option<StoreUrl>,
}

/// Arguments of `store export`.
#[derive(Args, Clone, Debug)]
pub struct StoreExportArgs {
    #[command(flatten)]
    /// Which store is meant.
    pub store: StoreArgs,
    /// The file to write, which must not be there yet [default: standard output]
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// Arguments of `store prune`.
#[derive(Args, Clone, Debug)]
pub struct StorePruneArgs {
    #[command(flatten)]
    /// Which store is meant.
    pub store: StoreArgs,
    /// Only say what would be removed
    #[arg(long)]
    pub dry_run: bool,
}

/// What to do with skills.
#[derive(Clone, Debug, Subcommand)]
pub enum SkillCommand {
    /// List the skills that the daemon has, and what is wrong with others
    List(SkillListArgs),
    /// Show one skill: what it says about itself, and its text
    Show(SkillShowArgs),
    /// Check skills by the rules of the open format, to the letter; exits with status 1 if
    /// they are broken
    Check(SkillCheckArgs),
    /// Look for what is hidden or dangerous in skills; exits with status 1 if there is something
    ///
    /// Runs nothing. What is well disguised is not found: read a skill before you trust it.
    Audit(SkillAuditArgs),
    /// Install skills from a directory, a git repository or an archive
    ///
    /// They are found at the top, one directory below, or in skills/*. Each is audited before
    /// it is placed. A running daemon sees it within seconds.
    Install(SkillInstallArgs),
    /// Remove an installed skill
    Remove(SkillRemoveArgs),
}

impl SkillCommand {
    /// Whose skills are meant; `None` where no daemon's are.
    #[must_use]
    pub fn place(&self) -> Option<&SkillPlaceArgs> {
        match self {
            Self::List(args) => Some(&args.place),
            Self::Show(args) => Some(&args.place),
            Self::Check(_) => None,
            Self::Audit(args) => Some(&args.place),
            Self::Install(args) => Some(&args.place),
            Self::Remove(args) => Some(&args.place),
        }
    }
}

/// Whose skills are meant.
#[derive(Args, Clone, Debug)]
pub struct SkillPlaceArgs {
    /// The daemon's configuration file [default: $XIAOO_CONFIG, else ~/.config/xiaoo/config.toml
    /// if there is one]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// Arguments of `skill list`.
#[derive(Args, Clone, Debug)]
pub struct SkillListArgs {
    #[command(flatten)]
    /// Whose skills are meant.
    pub place: SkillPlaceArgs,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `skill show`.
#[derive(Args, Clone, Debug)]
pub struct SkillShowArgs {
    /// The skill's name
    pub name: String,
    #[command(flatten)]
    /// Whose skills are meant.
    pub place: SkillPlaceArgs,
}

/// Arguments of `skill check`.
#[derive(Args, Clone, Debug)]
pub struct SkillCheckArgs {
    /// Skills, or directories of skills
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `skill audit`.
#[derive(Args, Clone, Debug)]
pub struct SkillAuditArgs {
    /// The name of an installed skill, or a directory [default: all that are installed]
    #[arg(value_name = "NAME|PATH")]
    pub target: Option<String>,
    #[command(flatten)]
    /// Whose skills are meant.
    pub place: SkillPlaceArgs,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `skill install`.
#[derive(Args, Clone, Debug)]
pub struct SkillInstallArgs {
    /// A directory, a git URL (https, ssh, file), or a .zip or .tar.gz (a file, or an https URL)
    pub source: String,
    /// Of several skills, install only this one; may be given several times
    #[arg(long, value_name = "NAME")]
    pub only: Vec<String>,
    /// The directory to install into [default: the first of `[skills] dirs`, else ~/.xiaoo/skills]
    #[arg(long, value_name = "DIR")]
    pub into: Option<PathBuf>,
    /// Install in spite of what the audit found, and replace what is there
    #[arg(long)]
    pub force: bool,
    #[command(flatten)]
    /// Whose skills are meant.
    pub place: SkillPlaceArgs,
}

/// Arguments of `skill remove`.
#[derive(Args, Clone, Debug)]
pub struct SkillRemoveArgs {
    /// The skill's name
    pub name: String,
    /// Do not ask
    #[arg(long, short)]
    pub yes: bool,
    #[command(flatten)]
    /// Whose skills are meant.
    pub place: SkillPlaceArgs,
}

/// What to do with pairings.
#[derive(Clone, Debug, Subcommand)]
pub enum PairingCommand {
    /// List who was let in, and who waits for it with which code
    List(PairingListArgs),
    /// Let in whoever was given a code, as an admin does by /pair CODE
    Approve(PairingApproveArgs),
    /// Shut somebody out again, as an admin does by /unpair; from their next message on
    Revoke(PairingRevokeArgs),
}

impl PairingCommand {
    /// Whose pairings are meant.
    #[must_use]
    pub fn place(&self) -> &PairingPlaceArgs {
        match self {
            Self::List(args) => &args.place,
            Self::Approve(args) => &args.place,
            Self::Revoke(args) => &args.place,
        }
    }
}

/// Whose pairings are meant.
#[derive(Args, Clone, Debug)]
pub struct PairingPlaceArgs {
    #[command(flatten)]
    /// Which store, or whose stores, are meant.
    pub store: StoreArgs,
    /// Of several bots only this one, by its `channel_instance_id`
    #[arg(long, value_name = "INSTANCE", conflicts_with = "store")]
    pub instance: Option<String>,
}

/// Arguments of `pairing list`.
#[derive(Args, Clone, Debug)]
pub struct PairingListArgs {
    #[command(flatten)]
    /// Whose pairings are meant.
    pub place: PairingPlaceArgs,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `pairing approve`.
#[derive(Args, Clone, Debug)]
pub struct PairingApproveArgs {
    /// The code that the stranger was given
    pub code: String,
    #[command(flatten)]
    /// Whose pairings are meant.
    pub place: PairingPlaceArgs,
}

/// Arguments of `pairing revoke`.
#[derive(Args, Clone, Debug)]
pub struct PairingRevokeArgs {
    /// The person, as `pairing list` names them
    #[arg(value_name = "ou_…")]
    pub open_id: String,
    #[command(flatten)]
    /// Whose pairings are meant.
    pub place: PairingPlaceArgs,
}

/// Arguments of `completions`.
#[derive(Args, Clone, Debug)]
pub struct CompletionsArgs {
    /// Which shell
    #[arg(value_enum)]
    pub shell: Shell,
}

/// Writes the completion script for `shell`.
///
/// # Errors
/// When `out` can't be written to.
pub fn write_completions(shell: Shell, out: &mut impl std::io::Write) -> std::io::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "xiaoo-app", &mut script);
    out.write_all(&script)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(line.split_whitespace())
    }

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_published_command_lines_parse() {
        for line in [
            "xiaoo-app daemon",
            "xiaoo-app daemon --config /opt/xiaoo/config/config.toml --host 127.0.0.1 --port 18080",
            "xiaoo-app daemon --log-format json",
            "xiaoo-app demo",
            "xiaoo-app demo --log-format text",
            "xiaoo-app demo --transport webhook --port 0",
            "xiaoo-app demo --model-base http://127.0.0.1:11434/v1 --model qwen3 --api-key-env KEY",
            "xiaoo-app doctor",
            "xiaoo-app doctor --config c.toml --public-url https://bot.example.com --json --lang zh",
            "xiaoo-app doctor explain 请求超时",
            "xiaoo-app doctor explain 99991672 --lang en",
            "xiaoo-app inspect frame",
            "xiaoo-app inspect event --bot-open-id ou_1 --app-id cli_1",
            "xiaoo-app inspect decrypt --encrypt-key-env KEY",
            "xiaoo-app init",
            "xiaoo-app init --model qwen3 --yes",
            "xiaoo-app init --account helpdesk --lang zh",
            "xiaoo-app init --systemd-unit --nginx-site --server-name bot.example.com",
            "xiaoo-app init --systemd-unit x.service --app-id cli_1 --transport webhook",
            "xiaoo-app store check",
            "xiaoo-app store check --config /opt/xiaoo/config/config.toml",
            "xiaoo-app store export --store sqlite:xiaoo.db --out saved.jsonl",
            "xiaoo-app store prune --dry-run",
            "xiaoo-app skill list --json",
            "xiaoo-app skill show code-review --config /opt/xiaoo/config/config.toml",
            "xiaoo-app skill check . other/SKILL.md",
            "xiaoo-app skill audit",
            "xiaoo-app skill audit code-review --json",
            "xiaoo-app skill install https://git.example/skills.git --only a --only b --into /opt/skills --force",
            "xiaoo-app skill remove code-review --yes",
            "xiaoo-app pairing list --json",
            "xiaoo-app pairing approve 123456 --instance feishu",
            "xiaoo-app pairing revoke ou_1 --config /opt/xiaoo/config/config.toml",
            "xiaoo-app completions bash",
        ] {
            assert!(parse(line).is_ok(), "{line}: {:?}", parse(line).err());
        }
        let Command::Daemon(daemon) = parse("xiaoo-app daemon").unwrap().command else {
            panic!("not the daemon");
        };
        assert_eq!(daemon.host.to_string(), "127.0.0.1");
        assert_eq!(daemon.port, 18080);
    }

    #[test]
    fn wrong_usage_exits_with_status_2() {
        for line in [
            "xiaoo-app",
            "xiaoo-app demon",
            "xiaoo-app daemon --port 99999",
            "xiaoo-app daemon --host example.com:80",
            "xiaoo-app daemon --log-format xml",
            "xiaoo-app demo --model qwen3",
            "xiaoo-app inspect",
            "xiaoo-app inspect decrypt",
            "xiaoo-app store",
            "xiaoo-app skill",
            "xiaoo-app skill check",
            "xiaoo-app skill install",
            "xiaoo-app pairing",
            "xiaoo-app pairing approve",
            "xiaoo-app pairing list --store sqlite:a.db --instance feishu",
            "xiaoo-app init --transport pigeon",
            "xiaoo-app init --nginx-site",
            "xiaoo-app store check --store mysql://h/db",
            "xiaoo-app store check --store sqlite:a.db --config c.toml",
        ] {
            assert_eq!(parse(line).unwrap_err().exit_code(), 2, "{line}");
        }
        for line in ["xiaoo-app --version", "xiaoo-app daemon --help"] {
            assert_eq!(parse(line).unwrap_err().exit_code(), 0, "{line}");
        }
    }

    #[test]
    fn completions_name_the_commands() {
        let mut script = Vec::new();
        write_completions(Shell::Bash, &mut script).unwrap();
        let script = String::from_utf8(script).unwrap();
        for word in ["daemon", "demo", "inspect", "--encrypt-key-env", "store"] {
            assert!(script.contains(word), "{word}");
        }
    }
}
