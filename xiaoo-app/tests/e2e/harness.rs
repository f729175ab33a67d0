//! The real binary between a local Feishu and a scripted model.

use std::time::Duration;

use feishu_sim::view::Message;
use feishu_sim::{ClientConfig, Sim, SimConfig, UserMessage};
use model_sim::{ModelSim, ModelSimConfig};
use serde_json::Value;
use tempfile::TempDir;
use xiaoo_app::fail_point::FailPoint;

#[path = "daemon.rs"]
pub mod daemon;

pub use daemon::{Daemon, PATIENCE};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Via {
    LongConnection,
    Webhook,
    EncryptedWebhook,
}

/// What a test changes.
pub struct Setup {
    pub via: Via,
    /// Lines for the end of `[llm]`.
    pub llm: &'static str,
    /// Lines for the end of `[channels.feishu]`.
    pub channel: &'static str,
    /// Further sections.
    pub more: &'static str,
    pub sim: SimConfig,
    /// The store's url; a file of the daemon's own when absent.
    pub store: Option<String>,
    /// Where Feishu posts events, if not to the daemon itself.
    pub webhook_port: Option<u16>,
    /// Between two pieces of what the model says.
    pub model_pause: Duration,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            via: Via::LongConnection,
            llm: "",
            channel: "",
            more: "",
            sim: SimConfig {
                // Seconds become hundredths: a redelivery after 150 ms.
                time_scale: 0.01,
                client_config: ClientConfig {
                    reconnect_nonce: 0,
                    ..ClientConfig::default()
                },
                ..SimConfig::default()
            },
            store: None,
            webhook_port: None,
            model_pause: Duration::ZERO,
        }
    }
}

pub struct Rig {
    pub sim: Sim,
    pub model: ModelSim,
    pub folder: TempDir,
    pub daemon: Daemon,
}

impl Rig {
    pub async fn start(setup: Setup) -> Self {
        let mut rig = Self::without_daemon(setup).await;
        rig.start_daemon().await;
        rig
    }

    pub async fn via(via: Via) -> Self {
        Self::start(Setup {
            via,
            ..Setup::default()
        })
        .await
    }

    pub async fn without_daemon(setup: Setup) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut config = setup.sim;
        let daemon = Daemon::new(
            folder.path().join("config.toml"),
            folder.path().join("daemon.log"),
            &config.app_secret,
        );
        let port = setup.webhook_port.unwrap_or(daemon.port);
        if setup.via != Via::LongConnection {
            config.webhook_url = Some(format!(
                "http://127.0.0.1:{port}/api/v1/channels/xiaoo/events"
            ));
        }
        if setup.via == Via::EncryptedWebhook {
            config
                .encrypt_key
                .get_or_insert_with(|| "an encrypt key".into());
        }
        let sim = Sim::start(config).await.unwrap();
        let model = {
            let mut config = ModelSimConfig::for_tests();
            config.chunk_delay = setup.model_pause;
            ModelSim::start(config).await.unwrap()
        };
        let transport = if setup.via == Via::LongConnection {
            "websocket"
        } else {
            "webhook"
        };
        let key = if setup.via == Via::EncryptedWebhook {
            "encrypt_key_env = \"E2E_KEY\"\n"
        } else {
            ""
        };
        let store = match setup.store {
            Some(url) => format!("[store]\nurl = \"{url}\"\n"),
            None => String::new(),
        };
        let text = format!(
            "[llm]\nprovider = \"openai\"\napi_base = \"{model}\"\nmodel = \"scripted\"\napi_key_env = \"E2E_MODEL_KEY\"\n{llm}\n\
             [channels.feishu]\nenabled = true\ntransport = \"{transport}\"\napp_id = \"{app}\"\n\
             app_secret_env = \"E2E_SECRET\"\nverification_token = \"{token}\"\nbase_url = \"{base}\"\n{key}{channel}\n\
             [agents]\ndefault_agent_id = \"main\"\n[[agents.list]]\nid = \"main\"\ndefault = true\n\
             workspace = \"{folder}\"\nagent_dir = \"{folder}\"\n{store}{more}\n",
            model = model.base_url(),
            app = sim.config().app_id,
            token = sim.config().verification_token,
            base = sim.base_url(),
            llm = setup.llm,
            channel = setup.channel,
            more = setup.more,
            folder = folder.path().display(),
        );
        std::fs::write(folder.path().join("config.toml"), text).unwrap();
        Self {
            sim,
            model,
            folder,
            daemon,
        }
    }

    /// Changes the configuration of a daemon that is not started yet.
    pub fn reconfigure(&self, change: impl FnOnce(String) -> String) {
        let path = self.folder.path().join("config.toml");
        let text = change(std::fs::read_to_string(&path).unwrap());
        std::fs::write(path, text).unwrap();
    }

    /// Starts the daemon and returns when it can do its work.
    pub async fn start_daemon(&mut self) {
        self.spawn();
        self.until_ready().await;
    }

    pub fn spawn(&mut self) {
        self.daemon.spawn();
    }

    /// Starts the daemon so that it dies at this fail point, if any.
    pub fn spawn_to_die_at(&mut self, fail_point: Option<FailPoint>) {
        self.daemon.spawn_to_die_at(fail_point);
    }

    /// Another daemon with the same configuration, not started yet.
    pub fn another_daemon(&self) -> Daemon {
        let folder = self.folder.path();
        let secret = &self.sim.config().app_secret;
        Daemon::new(folder.join("config.toml"), folder.join("other.log"), secret)
    }

    /// Another daemon with a disk of its own, else of the same configuration, not started yet.
    pub fn daemon_elsewhere(&self) -> Daemon {
        let folder = self.folder.path();
        let text = std::fs::read_to_string(folder.join("config.toml")).unwrap();
        let here = format!("workspace = \"{}\"", folder.display());
        let there = format!("workspace = \"{}\"", folder.join("elsewhere").display());
        assert!(text.contains(&here), "{text}");
        let config = folder.join("elsewhere.toml");
        std::fs::write(&config, text.replace(&here, &there)).unwrap();
        let secret = &self.sim.config().app_secret;
        Daemon::new(config, folder.join("other.log"), secret)
    }

    pub async fn until_ready(&self) {
        self.daemon.until_ready().await;
    }

    pub async fn get(&self, path: &str) -> Option<(u16, String)> {
        self.daemon.get(path).await
    }

    pub async fn ready(&self) -> (u16, Value) {
        self.daemon.ready().await
    }

    pub fn says(&self, text: &str) -> String {
        self.sim
            .user_says(UserMessage::text(text))
            .unwrap()
            .message_id
    }

    pub fn chat(&self) -> String {
        self.sim.p2p_chat_id().to_owned()
    }

    /// Waits until everything about a message is done: its reaction gone, its
    /// card in a final state; gives the answers to it.
    pub async fn answers_to(&self, message_id: &str) -> Vec<Message> {
        let chat = self.sim.message(message_id).unwrap().chat_id;
        let done = self
            .sim
            .until(PATIENCE, |sim| {
                let answers = answers(sim, &chat, message_id);
                let card = sim
                    .messages(&chat)
                    .into_iter()
                    .find(|message| is_card(message, message_id))?;
                let finished = card.card.is_some_and(|card| card.template != "blue");
                let quiet = sim.reactions(message_id).is_empty();
                (finished && quiet && !answers.is_empty()).then_some(answers)
            })
            .await;
        done.unwrap_or_else(|| panic!("no answer to {message_id}; log:\n{}", self.log()))
    }

    pub async fn answer_to(&self, message_id: &str) -> String {
        let answers = self.answers_to(message_id).await;
        assert_eq!(answers.len(), 1, "{answers:?}");
        answers[0].text.clone()
    }

    pub fn card_of(&self, message_id: &str) -> Message {
        let chat = self.sim.message(message_id).unwrap().chat_id;
        let mut cards: Vec<_> = self
            .sim
            .messages(&chat)
            .into_iter()
            .filter(|message| is_card(message, message_id))
            .collect();
        assert_eq!(cards.len(), 1, "one card a message");
        cards.remove(0)
    }

    /// Of all its daemons.
    pub fn log(&self) -> String {
        let read = |name| std::fs::read_to_string(self.folder.path().join(name));
        ["daemon.log", "other.log"]
            .map(|name| read(name).unwrap_or_default())
            .concat()
    }
}

pub fn answers(sim: &Sim, chat: &str, message_id: &str) -> Vec<Message> {
    sim.messages(chat)
        .into_iter()
        .filter(|message| message.sender.is_self && message.card.is_none())
        .filter(|message| message.parent_id.as_deref() == Some(message_id))
        .collect()
}

pub fn is_card(message: &Message, parent: &str) -> bool {
    message.sender.is_self && message.card.is_some() && message.parent_id.as_deref() == Some(parent)
}
