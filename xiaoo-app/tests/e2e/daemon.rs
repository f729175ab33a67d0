//! The daemon as a process: started, asked, stopped and killed.

use std::path::PathBuf;
use std::process::{Child, Command};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde_json::Value;
use xiaoo_app::fail_point::{FailPoint, Loop};

/// Longer than anything here takes on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(40);

/// One question; whoever was killed meanwhile gives no answer.
const ASKED_FOR: Duration = Duration::from_secs(5);

/// What must never be shown or logged.
pub const PLANTED: [&str; 2] = ["planted-model-key", "planted-store-password"];

/// A daemon at a port of its own; killed when dropped.
pub struct Daemon {
    pub port: u16,
    /// A program, with its arguments, that starts it; none by default.
    pub wrapper: Vec<String>,
    /// Further environment variables.
    pub env: Vec<(&'static str, String)>,
    config: PathBuf,
    log: PathBuf,
    app_secret: String,
    child: Option<Child>,
    http: reqwest::Client,
}

/// A port that stays free while the daemon is down: below those that the system
/// gives to outgoing connections, and each only once in a process.
pub fn free_port() -> u16 {
    static TAKEN: AtomicU32 = AtomicU32::new(0);
    const PORTS: std::ops::Range<u32> = 10_000..32_000;
    // Test programs that run at once begin at different places.
    let begin = std::process::id().wrapping_mul(101);
    loop {
        let next = begin.wrapping_add(TAKEN.fetch_add(1, Ordering::Relaxed));
        let port = PORTS.start + next % (PORTS.end - PORTS.start);
        let port = u16::try_from(port).unwrap();
        if std::net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

impl Daemon {
    /// One that is not started yet. What it says goes to `log`.
    pub fn new(config: PathBuf, log: PathBuf, app_secret: &str) -> Self {
        let port = free_port();
        runtime_tokio::http::install_crypto_provider();
        Self {
            port,
            wrapper: Vec::new(),
            env: Vec::new(),
            config,
            log,
            app_secret: app_secret.to_owned(),
            child: None,
            http: runtime_tokio::http::loopback_client().unwrap(),
        }
    }

    /// Starts it and returns when it can do its work.
    pub async fn start(&mut self) {
        self.spawn();
        self.until_ready().await;
    }

    pub fn spawn(&mut self) {
        self.spawn_to_die_at(None);
    }

    /// Starts it so that it dies at this fail point, if any.
    pub fn spawn_to_die_at(&mut self, fail_point: Option<FailPoint>) {
        self.spawn_with(fail_point.map(FailPoint::name));
    }

    /// Starts it, with a loop that will stand still.
    pub fn spawn_to_stand_still(&mut self, place: Loop) {
        self.spawn_with(Some(place.name()));
    }

    fn spawn_with(&mut self, place: Option<&str>) {
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.log)
            .unwrap();
        let mut words: Vec<_> = self.wrapper.iter().map(String::as_str).collect();
        words.push(env!("CARGO_BIN_EXE_xiaoo-app"));
        let mut command = Command::new(words[0]);
        command.args(&words[1..]);
        if let Some(place) = place {
            command.env("XIAOO_FAIL_POINT", place);
        }
        let child = command
            .args(["daemon", "--host", "127.0.0.1", "--port"])
            .arg(self.port.to_string())
            .arg("--config")
            .arg(&self.config)
            .env("E2E_MODEL_KEY", PLANTED[0])
            .env("E2E_PASSWORD", PLANTED[1])
            .env("E2E_SECRET", &self.app_secret)
            .env("E2E_KEY", "an encrypt key")
            .env("XIAOO_LOG", "debug")
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            // What is in the home of whoever runs the tests is none of theirs.
            .env("HOME", self.home())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        self.child = Some(child);
    }

    /// Its home directory, which need not be there.
    pub fn home(&self) -> PathBuf {
        self.config.with_file_name("home")
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
            .timeout(ASKED_FOR)
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

    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    pub fn id(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    pub fn signal(&self, name: &str) {
        let id = self.id().to_string();
        let sent = Command::new("kill").args([name, &id]).status().unwrap();
        assert!(sent.success());
    }

    /// Whether it runs.
    pub fn lives(&mut self) -> bool {
        let child = self.child.as_mut();
        child.is_some_and(|child| child.try_wait().unwrap().is_none())
    }

    /// Waits for the end and gives the exit code.
    pub async fn ended(&mut self) -> Option<i32> {
        let mut child = self.child.take().unwrap();
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
