//! The real binary between a local Feishu and a scripted model.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use feishu_sim::view::Message;
use feishu_sim::{ClientConfig, Sim, SimConfig, UserMessage};
use model_sim::{ModelSim, ModelSimConfig};
use serde_json::Value;
use tempfile::TempDir;

/// Longer than anything here takes on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(40);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Via {
    LongConnection,
    Webhook,
    EncryptedWebhook,
}

/// What a test changes.
pub struct Setup {
    pub via: Via,
    /// Lines for the end of `[channels.feishu]`.
    pub channel: &'static str,
    /// Further sections.
    pub more: &'static str,
    pub sim: SimConfig,
    /// Between two pieces of what the model says.
    pub model_pause: Duration,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            via: Via::LongConnection,
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
            model_pause: Duration::ZERO,
        }
    }
}

pub struct Rig {
    pub sim: Sim,
    pub model: ModelSim,
    pub folder: TempDir,
    pub port: u16,
    pub daemon: Daemon,
    /// A program, with its arguments, that starts the daemon; none by default.
    pub wrapper: Vec<String>,
    http: reqwest::Client,
}

/// A daemon process; killed when dropped.
pub struct Daemon(Option<Child>);

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
        let port = std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let mut config = setup.sim;
        if setup.via != Via::LongConnection {
            config.webhook_url = Some(format!(
                "http://127.0.0.1:{port}/api/v1/channels/xiaoo/events"
            ));
        }
        if setup.via == Via::EncryptedWebhook {
            config.encrypt_key = Some("an encrypt key".into());
        }
        let sim = Sim::start(config).await.unwrap();
        let model = {
            let mut config = ModelSimConfig::for_tests();
            config.chunk_delay = setup.model_pause;
            ModelSim::start(config).await.unwrap()
        };
        let folder = tempfile::tempdir().unwrap();
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
        let text = format!(
            "[llm]\nprovider = \"openai\"\napi_base = \"{model}\"\nmodel = \"scripted\"\napi_key_env = \"E2E_MODEL_KEY\"\n\
             [channels.feishu]\nenabled = true\ntransport = \"{transport}\"\napp_id = \"{app}\"\n\
             app_secret_env = \"E2E_SECRET\"\nverification_token = \"{token}\"\nbase_url = \"{base}\"\n{key}{channel}\n\
             [agents]\ndefault_agent_id = \"main\"\n[[agents.list]]\nid = \"main\"\ndefault = true\n\
             workspace = \"{folder}\"\nagent_dir = \"{folder}\"\n{more}\n",
            model = model.base_url(),
            app = sim.config().app_id,
            token = sim.config().verification_token,
            base = sim.base_url(),
            channel = setup.channel,
            more = setup.more,
            folder = folder.path().display(),
        );
        std::fs::write(folder.path().join("config.toml"), text).unwrap();
        runtime_tokio::http::install_crypto_provider();
        let http = runtime_tokio::http::loopback_client().unwrap();
        Self {
            sim,
            model,
            folder,
            port,
            daemon: Daemon(None),
            wrapper: Vec::new(),
            http,
        }
    }

    /// Starts the daemon and returns when it can do its work.
    pub async fn start_daemon(&mut self) {
        self.spawn();
        self.until_ready().await;
    }

    pub fn spawn(&mut self) {
        self.spawn_to_die_at(None);
    }

    /// Starts the daemon so that it dies at this fail point, if any.
    pub fn spawn_to_die_at(&mut self, fail_point: Option<&str>) {
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.log_path())
            .unwrap();
        let mut words = self.wrapper.iter().map(String::as_str).collect::<Vec<_>>();
        words.push(env!("CARGO_BIN_EXE_xiaoo-app"));
        let mut command = Command::new(words[0]);
        command.args(&words[1..]);
        if let Some(name) = fail_point {
            command.env("XIAOO_FAIL_POINT", name);
        }
        let child = command
            .args([
                "daemon",
                "--host",
                "127.0.0.1",
                "--port",
                &self.port.to_string(),
                "--config",
            ])
            .arg(self.folder.path().join("config.toml"))
            .env("E2E_MODEL_KEY", "planted-model-key")
            .env("E2E_SECRET", &self.sim.config().app_secret)
            .env("E2E_KEY", "an encrypt key")
            .env("XIAOO_LOG", "debug")
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        self.daemon = Daemon(Some(child));
    }

    pub async fn until_ready(&self) {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        while self.get("/api/v1/ready").await.map(|(status, _)| status) != Some(200) {
            assert!(
                tokio::time::Instant::now() < deadline,
                "never ready; log:\n{}",
                self.log()
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub async fn get(&self, path: &str) -> Option<(u16, String)> {
        let answer = self
            .http
            .get(format!("http://127.0.0.1:{}{path}", self.port))
            .send()
            .await
            .ok()?;
        let status = answer.status().as_u16();
        Some((status, answer.text().await.ok()?))
    }

    pub async fn ready(&self) -> (u16, Value) {
        let (status, body) = self.get("/api/v1/ready").await.expect("the daemon answers");
        (status, serde_json::from_str(&body).unwrap())
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

    fn log_path(&self) -> std::path::PathBuf {
        self.folder.path().join("daemon.log")
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log_path()).unwrap_or_default()
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

impl Daemon {
    pub fn kill(&mut self) {
        if let Some(mut child) = self.0.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    pub fn signal(&self, name: &str) {
        let id = self.id().to_string();
        let sent = Command::new("kill").args([name, &id]).status().unwrap();
        assert!(sent.success());
    }

    pub fn id(&self) -> u32 {
        self.0.as_ref().unwrap().id()
    }

    /// Waits for the end and gives the exit code.
    pub async fn ended(&mut self) -> Option<i32> {
        let mut child = self.0.take().unwrap();
        let waited = tokio::task::spawn_blocking(move || child.wait())
            .await
            .unwrap();
        waited.unwrap().code()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.kill();
    }
}
