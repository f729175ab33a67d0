//! An OpenAI-shaped model server on loopback.
//!
//! Without a script it answers as a friendly stand-in that says what it is. Tests queue
//! [`Script`]s: answers, tool calls, and every fault that a real server has been seen to have.

use core::time::Duration;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use bytes::Bytes;
use serde_json::Value;

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
}

impl Default for ModelSimConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            chunk_delay: Duration::from_millis(40),
            model: "scripted-stand-in".into(),
            requests_kept_max: 256,
            api_key: None,
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

/// What the server does with one request.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Script {
    /// Answers with this text.
    Answer(String),
    /// Asks for these calls, after some text (may be empty).
    ToolCalls {
        /// What is said first.
        text: String,
        /// Name and arguments (a JSON text, valid or not) of each.
        calls: Vec<(String, String)>,
    },
    /// An HTTP status with headers and a body.
    Status {
        /// The status.
        status: u16,
        /// Name and value of each.
        headers: Vec<(String, String)>,
        /// The body.
        body: String,
    },
    /// Status 200, this content type, and exactly these reads, each after its pause.
    Raw {
        /// The content type.
        content_type: String,
        /// Pause and bytes.
        chunks: Vec<(Duration, Bytes)>,
    },
    /// No status line, ever.
    HangBeforeHeaders,
    /// The first `pieces` pieces of a streamed answer, then nothing, with the connection open.
    HangMidStream {
        /// The answer that is begun.
        text: String,
        /// How many pieces of it are sent.
        pieces: usize,
    },
    /// The first `bytes` bytes of a streamed answer, then the connection is broken.
    CutAfter {
        /// The answer that is begun.
        text: String,
        /// How many bytes of the stream are sent.
        bytes: usize,
    },
    /// Keep-alive comments for ever, and nothing else.
    CommentsOnly {
        /// Pause between two.
        every: Duration,
    },
    /// Answers with this text and this pause between pieces.
    Slow {
        /// The answer.
        text: String,
        /// The pause.
        chunk_delay: Duration,
    },
}

/// A request as it came.
#[derive(Clone, Debug)]
pub struct RecordedRequest {
    /// The JSON body.
    pub body: Value,
    /// Whether a bearer key came along (the key itself is not kept).
    pub had_key: bool,
}

/// A running server. Stops when dropped.
#[derive(Debug)]
pub struct ModelSim {
    address: SocketAddr,
}

impl ModelSim {
    /// Starts listening.
    ///
    /// # Errors
    /// When the address can't be bound.
    #[expect(clippy::unused_async, reason = "being written")]
    pub async fn start(config: ModelSimConfig) -> io::Result<Self> {
        Ok(Self {
            address: config.listen,
        })
    }

    /// What to configure as `api_base`: `http://127.0.0.1:PORT/v1`.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// Does this with the next request that no [`ModelSim::script_for`] claims; scripts are used
    /// in the order in which they were given, each once.
    pub fn script(&self, script: Script) {
        let _ = script;
    }

    /// Does this with the next request whose last user message contains `needle`.
    pub fn script_for(&self, needle: impl Into<String>, script: Script) {
        let _ = (needle.into(), script);
    }

    /// The requests so far, oldest first.
    #[must_use]
    pub fn requests(&self) -> Vec<RecordedRequest> {
        Vec::new()
    }

    /// Stops, and waits until every connection is closed.
    #[expect(clippy::unused_async, reason = "being written")]
    pub async fn shutdown(self) {}
}
