//! An OpenAI-shaped model server on loopback.
//!
//! Without a script it answers as a friendly stand-in that says what it is, so that the whole
//! product can be shown without a key. Tests queue [`Script`]s: answers, tool calls, and every
//! fault that a real server has been seen to have.
//!
//! It is as strict as real servers are about what it is sent (tool calls must be answered, tool
//! messages must answer one), so that a client that works here is not a client that only works here.

mod api;
mod demo;
mod script;
mod server;
mod state;
mod wire;

use core::time::Duration;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use serde_json::Value;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

pub use script::Script;

use state::{Claim, State};

/// A running server. Stops when dropped.
#[derive(Debug)]
pub struct ModelSim {
    address: SocketAddr,
    state: Arc<State>,
    tasks: TaskTracker,
    stop: DropGuard,
}

impl ModelSim {
    /// Starts listening.
    ///
    /// # Errors
    /// When the address can't be bound.
    pub async fn start(config: ModelSimConfig) -> io::Result<Self> {
        let listener = tokio::net::TcpListener::bind(config.listen).await?;
        let address = listener.local_addr()?;
        let state = Arc::new(State::new(config));
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let router = api::router(Arc::clone(&state));
        tasks.spawn(server::serve(listener, router, tasks.clone(), stop.clone()));
        Ok(Self {
            address,
            state,
            tasks,
            stop: stop.drop_guard(),
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What to configure as `api_base`: `http://127.0.0.1:PORT/v1`.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// Does this with the next request that nothing more particular claims; scripts are used in
    /// the order in which they were given, each once.
    pub fn script(&self, script: Script) {
        self.state.push_script(Claim::Any, script);
    }

    /// Does this, once, with the next request whose last user message contains `needle`.
    pub fn script_for(&self, needle: impl Into<String>, script: Script) {
        self.state.push_script(Claim::Said(needle.into()), script);
    }

    /// Does this, once, with the next request of which `is_it` is true.
    pub fn script_when(
        &self,
        is_it: impl Fn(&RecordedRequest) -> bool + Send + Sync + 'static,
        script: Script,
    ) {
        self.state.push_script(Claim::When(Box::new(is_it)), script);
    }

    /// Does this with every request whose last user message contains `needle`, as long as none
    /// that is used once claims it; of several such rules the oldest.
    pub fn always_for(&self, needle: impl Into<String>, script: Script) {
        self.state.push_rule(Claim::Said(needle.into()), script);
    }

    /// Does this with every request of which `is_it` is true; as [`ModelSim::always_for`].
    pub fn always_when(
        &self,
        is_it: impl Fn(&RecordedRequest) -> bool + Send + Sync + 'static,
        script: Script,
    ) {
        self.state.push_rule(Claim::When(Box::new(is_it)), script);
    }

    /// How many scripts wait; those that stay are not counted.
    #[must_use]
    pub fn scripts_left(&self) -> usize {
        self.state.scripts_left()
    }

    /// The requests for an answer so far, oldest first, as far as they are remembered.
    #[must_use]
    pub fn requests(&self) -> Vec<RecordedRequest> {
        self.state.requests()
    }

    /// Waits until so many requests for an answer have come since the start.
    pub async fn wait_for_requests(&self, count: u64) {
        self.state.wait_for_requests(count).await;
    }

    /// Waits until no request is being answered: each answer is whole, or its client has gone.
    pub async fn wait_until_idle(&self) {
        self.state.wait_until_idle().await;
    }

    /// Stops, breaks what is open, and waits until all of it has ended.
    pub async fn shutdown(self) {
        drop(self.stop);
        self.tasks.close();
        self.tasks.wait().await;
    }
}

/// How the server is set up.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ModelSimConfig {
    /// Where to listen. Default `127.0.0.1:0`.
    pub listen: SocketAddr,
    /// Pause between two pieces of a streamed answer. Default 40 ms, so that progress is visible;
    /// zero for tests.
    pub chunk_delay: Duration,
    /// The name in `GET /v1/models`, and in answers to requests that name none.
    pub model: String,
    /// How many requests [`ModelSim::requests`] remembers. Default 256; the oldest go first.
    pub requests_kept_max: usize,
    /// When set, requests without this bearer key get a 401.
    pub api_key: Option<String>,
    /// When set, questions of more tokens (a token being four bytes of the request) are refused
    /// as too long.
    pub context_window: Option<usize>,
}

impl Default for ModelSimConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            chunk_delay: Duration::from_millis(40),
            model: "scripted-stand-in".into(),
            requests_kept_max: 256,
            api_key: None,
            context_window: None,
        }
    }
}

impl ModelSimConfig {
    /// Without pauses.
    #[must_use]
    pub fn for_tests() -> Self {
        Self {
            chunk_delay: Duration::ZERO,
            ..Self::default()
        }
    }
}

/// A request as it came.
#[derive(Clone, Debug)]
pub struct RecordedRequest {
    /// The JSON body.
    pub body: Value,
    /// Whether a bearer key came along (the key itself is not kept).
    pub had_key: bool,
}

impl RecordedRequest {
    /// The system prompt; empty when there is none.
    #[must_use]
    pub fn system(&self) -> String {
        let first = api::messages(&self.body).first();
        let first = first.filter(|message| message["role"] == "system");
        first.map(wire::text_of).unwrap_or_default()
    }

    /// The last thing that the person said; empty when there is none.
    #[must_use]
    pub fn last_user_message(&self) -> String {
        let messages = api::messages(&self.body);
        let users = messages.iter().rev().filter(|m| m["role"] == "user");
        users.map(wire::text_of).next().unwrap_or_default()
    }

    /// What tools have said since the person's last words, oldest first.
    #[must_use]
    pub fn tool_results(&self) -> Vec<String> {
        let since = api::messages(&self.body).iter().rev();
        let since = since.take_while(|message| message["role"] != "user");
        let results = since.filter(|message| message["role"] == "tool");
        let mut results: Vec<String> = results.map(wire::text_of).collect();
        results.reverse();
        results
    }

    /// The names of the tools that may be called.
    #[must_use]
    pub fn tools(&self) -> Vec<String> {
        let tools = self.body.get("tools").and_then(Value::as_array);
        let names = tools.into_iter().flatten();
        let names = names.filter_map(|tool| tool.pointer("/function/name")?.as_str());
        names.map(str::to_owned).collect()
    }
}
