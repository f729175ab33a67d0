//! What a test can make the server do.

use core::time::Duration;

use bytes::Bytes;

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

impl Script {
    /// One tool call and nothing else.
    #[must_use]
    pub fn tool_call(name: impl Into<String>, arguments: impl Into<String>) -> Self {
        Self::ToolCalls {
            text: String::new(),
            calls: vec![(name.into(), arguments.into())],
        }
    }

    /// A status whose body is an error in OpenAI's shape.
    #[must_use]
    pub fn error(status: u16, message: &str) -> Self {
        Self::Status {
            status,
            headers: vec![("content-type".into(), "application/json".into())],
            body: crate::wire::error(message, "scripted_error").to_string(),
        }
    }

    /// A whole stream body in one read.
    #[must_use]
    pub fn stream(body: impl Into<Bytes>) -> Self {
        Self::Raw {
            content_type: "text/event-stream".into(),
            chunks: vec![(Duration::ZERO, body.into())],
        }
    }
}
