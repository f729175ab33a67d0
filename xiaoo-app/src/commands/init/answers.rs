//! What is known so far: from flags, from the environment, from what is written already.

use std::fmt::Write as _;
use std::path::PathBuf;

use secrecy::{ExposeSecret as _, SecretString};
use xiaoo_agent::Provider;

use super::files::Files;
use crate::cli::{InitArgs, InitTransport};
use crate::config::{Env, home};

/// Where secrets are, by the guide's names.
pub(super) const SECRET_VARIABLE: &str = "FEISHU_APP_SECRET";
pub(super) const ENCRYPT_VARIABLE: &str = "FEISHU_ENCRYPT_KEY";

/// One answer.
#[derive(Clone, Debug, Default)]
pub(super) struct Answer {
    /// What it is, if that is known.
    pub(super) value: Option<String>,
    /// Whether this run was told, and need not ask.
    pub(super) is_given: bool,
}

/// One that is not shown.
#[derive(Clone, Debug, Default)]
pub(super) struct Secret {
    /// The variable that holds it.
    pub(super) variable: String,
    /// What it is, and where that was found.
    pub(super) value: Option<(SecretString, &'static str)>,
}

/// All of them.
#[derive(Clone, Debug)]
pub(super) struct Answers {
    pub(super) app_id: Answer,
    pub(super) app_secret: Secret,
    pub(super) base_url: Answer,
    pub(super) ca_file: Option<PathBuf>,
    pub(super) transport: Answer,
    pub(super) verification_token: Answer,
    pub(super) encrypt_key: Secret,
    pub(super) provider: Answer,
    pub(super) api_base: Answer,
    pub(super) model: Answer,
    pub(super) api_key: Secret,
    pub(super) workspace: Answer,
    pub(super) agent_dir: Option<String>,
}

impl Answer {
    fn new(given: Option<&str>, written: Option<String>, usual: Option<String>) -> Self {
        Self {
            is_given: given.is_some(),
            value: given.map(str::to_owned).or(written).or(usual),
        }
    }

    /// What it is; empty when it isn't known.
    pub(super) fn text(&self) -> &str {
        self.value.as_deref().unwrap_or_default()
    }

    pub(super) fn set(&mut self, value: impl Into<String>) {
        self.value = Some(value.into());
    }
}

impl Secret {
    /// What is known of it.
    pub(super) fn new(variable: String, env: &dyn Env, files: &Files) -> Self {
        let from_env = || env.var(&variable).filter(|value| !value.is_empty());
        let value = match (from_env(), files.secret(&variable)) {
            (Some(value), _) => Some((value.into(), "from the environment")),
            (None, Some(value)) => Some((value.into(), "as it is")),
            (None, None) => None,
        };
        Self { variable, value }
    }

    pub(super) fn expose(&self) -> Option<&str> {
        self.value.as_ref().map(|(value, _)| value.expose_secret())
    }

    /// And where it was found.
    pub(super) fn usual(&self) -> Option<(String, &'static str)> {
        let (value, from) = self.value.as_ref()?;
        Some((value.expose_secret().to_owned(), from))
    }

    pub(super) fn secret(&self) -> Option<SecretString> {
        self.value.as_ref().map(|(value, _)| value.clone())
    }

    pub(super) fn set(&mut self, value: String) {
        self.value = Some((value.into(), "as it is"));
    }
}

impl Answers {
    /// What is known before anybody is asked.
    pub(super) fn known(args: &InitArgs, env: &dyn Env, files: &Files) -> Self {
        let is_server = files.is_in("/opt/xiaoo/config");
        let usual_workspace = if is_server {
            Some("/opt/xiaoo/app".to_owned())
        } else {
            home(env).map(|home| home.join("xiaoo").display().to_string())
        };
        let server_dir = is_server.then(|| "/var/lib/xiaoo/agents/main".to_owned());
        let channel = |key| files.text(&["channels", "feishu"], key);
        let llm = |key| files.text(&["llm"], key);
        let provider = Answer::new(args.provider.as_deref(), llm("provider"), None);
        let is_another = args.provider.is_some() && llm("provider") != args.provider;
        // Another provider's address, model and key are others.
        let of_same = |value: Option<String>| value.filter(|_| !is_another);
        let key_variable = args
            .api_key_env
            .clone()
            .or_else(|| of_same(llm("api_key_env")))
            .unwrap_or_else(|| usual_key_variable(provider.text()));
        Self {
            app_id: Answer::new(args.app_id.as_deref(), channel("app_id"), None),
            app_secret: Secret::new(
                channel("app_secret_env").unwrap_or_else(|| SECRET_VARIABLE.into()),
                env,
                files,
            ),
            base_url: Answer::new(args.base_url.as_deref(), channel("base_url"), None),
            ca_file: args
                .ca_file
                .clone()
                .or_else(|| channel("ca_file").map(PathBuf::from)),
            transport: Answer::new(
                args.transport.map(InitTransport::name),
                channel("transport"),
                Some(InitTransport::Websocket.name().to_owned()),
            ),
            verification_token: Answer::new(
                args.verification_token.as_deref(),
                channel("verification_token"),
                None,
            ),
            encrypt_key: Secret::new(
                channel("encrypt_key_env").unwrap_or_else(|| ENCRYPT_VARIABLE.into()),
                env,
                files,
            ),
            api_base: Answer::new(args.api_base.as_deref(), of_same(llm("api_base")), None),
            model: Answer::new(args.model.as_deref(), of_same(llm("model")), None),
            api_key: Secret::new(key_variable, env, files),
            provider,
            workspace: Answer::new(
                args.workspace.as_deref().and_then(|path| path.to_str()),
                files.agent_text("workspace"),
                usual_workspace,
            ),
            agent_dir: files.agent_text("agent_dir").or(server_dir),
        }
    }

    /// The provider, as far as it has a name that is known.
    pub(super) fn known_provider(&self) -> Option<Provider> {
        Provider::from_name(self.provider.text())
    }

    pub(super) fn is_webhook(&self) -> bool {
        self.transport.text() == InitTransport::Webhook.name()
    }

    /// Whether a hosted model would refuse calls without a key.
    pub(super) fn needs_api_key(&self) -> bool {
        self.known_provider().is_some_and(Provider::needs_api_key)
    }

    /// Another provider has other models, at another address, for another key.
    pub(super) fn provider_has_changed(&mut self, key: Secret) {
        self.api_base = Answer::default();
        self.model = Answer::default();
        self.api_key = key;
    }

    /// That all is there, when there is nobody to ask.
    pub(super) fn demand(&self) -> Result<(), Missing> {
        let mut missing = Vec::new();
        let mut need = |is_there: bool, name: &str| {
            if !is_there {
                missing.push(name.to_owned());
            }
        };
        need(self.app_id.value.is_some(), "--app-id");
        need(
            self.app_secret.value.is_some(),
            &format!("${}", self.app_secret.variable),
        );
        if self.is_webhook() {
            need(
                self.verification_token.value.is_some() || self.encrypt_key.value.is_some(),
                "--verification-token",
            );
        }
        need(self.provider.value.is_some(), "--provider");
        let has_address = self
            .known_provider()
            .is_some_and(|provider| provider.default_api_base().is_some());
        need(
            has_address || self.api_base.value.is_some() || self.provider.value.is_none(),
            "--api-base",
        );
        need(self.model.value.is_some(), "--model");
        need(
            !self.needs_api_key() || self.api_key.value.is_some(),
            &format!("${}", self.api_key.variable),
        );
        need(self.workspace.value.is_some(), "--workspace");
        if missing.is_empty() {
            Ok(())
        } else {
            Err(Missing(missing))
        }
    }

    /// Makes the directories that the configuration names, for whoever has none yet.
    pub(super) fn make_directories(&self) -> std::io::Result<()> {
        for directory in [self.workspace.value.as_ref(), self.agent_dir.as_ref()]
            .into_iter()
            .flatten()
        {
            std::fs::create_dir_all(directory)?;
        }
        Ok(())
    }
}

/// As providers' own documents name it.
pub(super) fn usual_key_variable(provider: &str) -> String {
    match Provider::from_name(provider) {
        Some(Provider::DeepSeek) => "DEEPSEEK_API_KEY",
        Some(Provider::Moonshot) => "MOONSHOT_API_KEY",
        Some(Provider::OpenAi) => "OPENAI_API_KEY",
        Some(Provider::OpenRouter) => "OPENROUTER_API_KEY",
        Some(Provider::Zhipu) => "ZHIPU_API_KEY",
        Some(_) | None => "MODEL_API_KEY",
    }
    .to_owned()
}

/// What only a person could say, and there is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing(Vec<String>);

impl Missing {
    pub(super) fn consent() -> Self {
        Self(vec!["--yes".to_owned()])
    }
}

impl core::fmt::Display for Missing {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(
            "there is no terminal to ask at; each answer can be a flag, or a variable ($NAME):\n",
        )?;
        let mut lines = String::new();
        for (name, meaning) in FLAGS {
            let mark = if self.0.iter().any(|missing| missing == name) {
                "missing"
            } else {
                ""
            };
            writeln!(lines, "  {mark:<7}  {name:<22} {meaning}")?;
        }
        // A variable may have another name than usual.
        for name in &self.0 {
            if !FLAGS.iter().any(|(known, _)| known == name) {
                writeln!(
                    lines,
                    "  missing  {name:<22} a secret, from the environment"
                )?;
            }
        }
        f.write_str(lines.trim_end())
    }
}

impl core::error::Error for Missing {}

const FLAGS: [(&str, &str); 15] = [
    ("--config", "the file to write"),
    ("--app-id", "the App ID, cli_…"),
    ("$FEISHU_APP_SECRET", "the App Secret"),
    ("--base-url", "where Feishu is; found by trying"),
    ("--transport", "websocket (usual) or webhook"),
    (
        "--verification-token",
        "the Verification Token, for webhooks",
    ),
    ("$FEISHU_ENCRYPT_KEY", "the Encrypt Key, if the app has one"),
    ("--provider", "who has the model"),
    (
        "--api-base",
        "where it answers, if the provider has no usual address",
    ),
    ("--model", "its name"),
    ("--api-key-env", "the variable that holds the key"),
    ("--workspace", "the directory the agent works in"),
    ("--systemd-unit", "write the unit, too"),
    ("--server-name", "the public name, with --nginx-site"),
    ("--yes", "change files that are there"),
];
