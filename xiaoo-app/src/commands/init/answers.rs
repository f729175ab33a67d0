//! What is known so far: from flags, from the environment, from what is written already.

use std::path::PathBuf;

use secrecy::{ExposeSecret as _, SecretString};
use xiaoo_agent::Provider;

use super::files::Files;
use super::missing::Missing;
use crate::cli::{InitArgs, InitTransport};
use crate::config::{Env, home};
use crate::render::language::Language;

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
    /// What it is, if that is known.
    pub(super) value: Option<SecretString>,
    /// Where it was found.
    pub(super) origin: Origin,
    /// Whether this run was told, and need not ask.
    pub(super) is_given: bool,
}

/// Where a secret was found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Origin {
    /// In a file of ours, or in an earlier answer.
    #[default]
    Known,
    /// In the environment.
    Environment,
}

/// A secret that a variable holds.
#[derive(Clone, Debug, Default)]
pub(super) struct Variable {
    /// The variable's name.
    pub(super) name: String,
    /// Whether a flag or the configuration names it. Its value may be known to the daemon alone:
    /// that it isn't known here is no answer.
    pub(super) is_named: bool,
    pub(super) secret: Secret,
}

/// All of them.
#[derive(Clone, Debug)]
pub(super) struct Answers {
    pub(super) app_id: Answer,
    pub(super) app_secret: Variable,
    pub(super) base_url: Answer,
    pub(super) ca_file: Option<PathBuf>,
    pub(super) transport: Answer,
    /// It is in the configuration, where everybody has it who may read that, and on no screen.
    pub(super) verification_token: Secret,
    pub(super) encrypt_key: Variable,
    pub(super) provider: Answer,
    pub(super) api_base: Answer,
    pub(super) model: Answer,
    pub(super) api_key: Variable,
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
    pub(super) fn expose(&self) -> Option<&str> {
        self.value.as_ref().map(SecretString::expose_secret)
    }

    pub(super) fn set(&mut self, value: Option<String>) {
        *self = Self {
            value: value.map(SecretString::from),
            ..Self::default()
        };
    }
}

impl Variable {
    /// What is known of it.
    pub(super) fn new(name: String, is_named: bool, env: &dyn Env, files: &Files) -> Self {
        let from_env = env.var(&name).filter(|value| !value.is_empty());
        let origin = match from_env {
            Some(_) => Origin::Environment,
            None => Origin::Known,
        };
        let value = from_env.or_else(|| files.secret(&name));
        Self {
            secret: Secret {
                value: value.map(SecretString::from),
                origin,
                is_given: false,
            },
            is_named,
            name,
        }
    }
}

impl Answers {
    /// What is known before anybody is asked.
    pub(super) fn known(args: &InitArgs, env: &dyn Env, files: &Files) -> Self {
        let is_server = files.are_servers();
        let usual_workspace = if is_server {
            Some("/opt/xiaoo/app".to_owned())
        } else {
            home(env).map(|home| home.join("xiaoo").display().to_string())
        };
        let server_dir = is_server.then(|| "/var/lib/xiaoo/agents/main".to_owned());
        let document = files.document();
        let bot = |key| document.bot_text(key);
        let llm = |key| document.text(&["llm"], key);
        let provider = Answer::new(args.provider.as_deref(), llm("provider"), None);
        let is_another = args.provider.is_some() && llm("provider") != args.provider;
        // Another provider's address, model and key are others.
        let of_same = |value: Option<String>| value.filter(|_| !is_another);
        let known_as = |name: Option<String>, usual: &dyn Fn() -> String| {
            let is_named = name.is_some();
            Variable::new(name.unwrap_or_else(usual), is_named, env, files)
        };
        let key_variable = args
            .api_key_env
            .clone()
            .or_else(|| of_same(llm("api_key_env")));
        let api_key = known_as(key_variable, &|| usual_key_variable(provider.text()));
        let variable = |key, usual| known_as(bot(key), &|| document.variable_of_bot(usual));
        let token = args.verification_token.clone();
        Self {
            app_id: Answer::new(args.app_id.as_deref(), bot("app_id"), None),
            app_secret: variable("app_secret_env", SECRET_VARIABLE),
            base_url: Answer::new(args.base_url.as_deref(), document.base_url(), None),
            ca_file: args
                .ca_file
                .clone()
                .or_else(|| bot("ca_file").map(PathBuf::from)),
            transport: Answer::new(
                args.transport.map(InitTransport::name),
                document.transport(),
                Some(InitTransport::Websocket.name().to_owned()),
            ),
            verification_token: Secret {
                is_given: token.is_some(),
                value: token
                    .or_else(|| bot("verification_token"))
                    .map(SecretString::from),
                origin: Origin::Known,
            },
            encrypt_key: variable("encrypt_key_env", ENCRYPT_VARIABLE),
            api_base: Answer::new(args.api_base.as_deref(), of_same(llm("api_base")), None),
            model: Answer::new(args.model.as_deref(), of_same(llm("model")), None),
            api_key,
            provider,
            workspace: Answer::new(
                args.workspace.as_deref().and_then(|path| path.to_str()),
                document.agent_text("workspace"),
                usual_workspace,
            ),
            agent_dir: document.agent_text("agent_dir").or(server_dir),
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

    /// Another provider has other models, at another address, for another key; but what this run
    /// was told stands.
    pub(super) fn provider_has_changed(&mut self, key: Variable) {
        for answer in [&mut self.api_base, &mut self.model] {
            if !answer.is_given {
                *answer = Answer::default();
            }
        }
        self.api_key = key;
    }

    /// That all is there, when there is nobody to ask.
    pub(super) fn demand(&self, is_bot_known: bool, language: Language) -> Result<(), Missing> {
        let mut missing = Vec::new();
        let mut need = |is_there: bool, name: &str| {
            if !is_there {
                missing.push(name.to_owned());
            }
        };
        need(is_bot_known, "--account");
        need(self.app_id.value.is_some(), "--app-id");
        need(
            self.app_secret.secret.value.is_some(),
            &format!("${}", self.app_secret.name),
        );
        if self.is_webhook() {
            need(
                self.verification_token.value.is_some() || self.encrypt_key.secret.value.is_some(),
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
            !self.needs_api_key() || self.api_key.secret.value.is_some(),
            &format!("${}", self.api_key.name),
        );
        need(self.workspace.value.is_some(), "--workspace");
        if missing.is_empty() {
            Ok(())
        } else {
            Err(Missing::new(missing, language))
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
