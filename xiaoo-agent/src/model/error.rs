//! What can go wrong between us and a model, by what there is to do about it.

use core::time::Duration;

/// Why there is no answer from the model.
///
/// The `Display` form is one line for operators. Parts that come from the server are capped and
/// hold no key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// The server does not like the request: a parameter, a tool schema, a model name.
    #[error("the model server refuses the request: {message}")]
    BadRequest {
        /// What the server said.
        message: String,
    },
    /// The conversation is longer than the model's window.
    #[error("the conversation is longer than the model's context window")]
    ContextOverflow {
        /// The window in tokens, where the server told.
        limit: Option<u64>,
    },
    /// The answer ended properly and held nothing, twice.
    #[error("the model answered with nothing")]
    Empty,
    /// The provider's content filter stopped the answer.
    #[error("the provider's content filter stopped the answer")]
    Filtered,
    /// The key is good, but not for this.
    #[error("the model server forbids this request: {message}")]
    Forbidden {
        /// What the server said.
        message: String,
    },
    /// Nothing was read for too long: no headers, or no byte of the body.
    #[error("the model server said nothing for {waited:?}")]
    Idle {
        /// How long we waited.
        waited: Duration,
    },
    /// The answer is not in the shape of this API.
    #[error("the model server's answer can't be understood: {what}")]
    Malformed {
        /// What was found instead.
        what: String,
    },
    /// The account has no credit left.
    #[error("the account at the model provider has no credit left: {message}")]
    NoCredit {
        /// What the server said.
        message: String,
    },
    /// Keep-alives came, but nothing of an answer.
    #[error(
        "the model server kept the line open for {waited:?} without sending anything of an answer"
    )]
    NoProgress {
        /// How long we waited.
        waited: Duration,
    },
    /// Nothing answers at this address, or the model does not exist there.
    #[error("the model server knows no such address or model: {message}")]
    NotFound {
        /// What the server said.
        message: String,
    },
    /// The provider has too much to do, or the model is still loading.
    #[error("the model server is overloaded: {message}")]
    Overloaded {
        /// What the server said.
        message: String,
        /// How long it asks us to wait.
        retry_after: Option<Duration>,
    },
    /// The provider failed, by status or in the middle of the stream.
    #[error("the model provider failed: {message}")]
    Provider {
        /// What the server said.
        message: String,
        /// How long it asks us to wait.
        retry_after: Option<Duration>,
    },
    /// Too many requests, or too many tokens a minute.
    #[error("the model server limits our rate: {message}")]
    RateLimited {
        /// What the server said.
        message: String,
        /// How long it asks us to wait.
        retry_after: Option<Duration>,
    },
    /// The answer went over one of our limits.
    #[error("the answer is larger than {limit_bytes} bytes ({what})")]
    TooLarge {
        /// What was too large.
        what: &'static str,
        /// The limit that was met.
        limit_bytes: usize,
    },
    /// The answer has more tool calls than we take.
    #[error("the answer asks for more than {limit} tool calls")]
    TooManyToolCalls {
        /// The limit that was met.
        limit: usize,
    },
    /// The connection could not be made, or broke.
    #[error("the connection to the model server failed: {what}")]
    Transport {
        /// The cause, without the address.
        what: String,
    },
    /// The answer ended in the middle: the stream broke off, or the limit of tokens was met
    /// before anything usable came.
    #[error("the answer was cut off")]
    Truncated,
    /// The key is missing, wrong or revoked.
    #[error("the model server does not accept the API key: {message}")]
    Unauthorized {
        /// What the server said.
        message: String,
    },
}

impl ModelError {
    /// Whether the same request may succeed a little later.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Empty
            | Self::Idle { .. }
            | Self::Malformed { .. }
            | Self::NoProgress { .. }
            | Self::Overloaded { .. }
            | Self::Provider { .. }
            | Self::RateLimited { .. }
            | Self::Transport { .. }
            | Self::Truncated => true,
            Self::BadRequest { .. }
            | Self::ContextOverflow { .. }
            | Self::Filtered
            | Self::Forbidden { .. }
            | Self::NoCredit { .. }
            | Self::NotFound { .. }
            | Self::TooLarge { .. }
            | Self::TooManyToolCalls { .. }
            | Self::Unauthorized { .. } => false,
        }
    }

    /// Whether an operator has to do something (key, credit, address, parameters) before any
    /// request can succeed.
    #[must_use]
    pub fn needs_operator(&self) -> bool {
        match self {
            Self::BadRequest { .. }
            | Self::Forbidden { .. }
            | Self::NoCredit { .. }
            | Self::NotFound { .. }
            | Self::Unauthorized { .. } => true,
            Self::ContextOverflow { .. }
            | Self::Empty
            | Self::Filtered
            | Self::Idle { .. }
            | Self::Malformed { .. }
            | Self::NoProgress { .. }
            | Self::Overloaded { .. }
            | Self::Provider { .. }
            | Self::RateLimited { .. }
            | Self::TooLarge { .. }
            | Self::TooManyToolCalls { .. }
            | Self::Transport { .. }
            | Self::Truncated => false,
        }
    }

    /// Whether another model may give the answer that this one did not: the fault is not in the
    /// question.
    #[must_use]
    pub fn calls_for_another_model(&self) -> bool {
        match self {
            Self::Empty | Self::Truncated => true,
            Self::BadRequest { .. }
            | Self::ContextOverflow { .. }
            | Self::Filtered
            | Self::TooLarge { .. }
            | Self::TooManyToolCalls { .. } => false,
            Self::Forbidden { .. }
            | Self::Idle { .. }
            | Self::Malformed { .. }
            | Self::NoCredit { .. }
            | Self::NoProgress { .. }
            | Self::NotFound { .. }
            | Self::Overloaded { .. }
            | Self::Provider { .. }
            | Self::RateLimited { .. }
            | Self::Transport { .. }
            | Self::Unauthorized { .. } => true,
        }
    }

    /// Whether the next question would most likely meet the same: the server is down, or does
    /// not serve us.
    #[must_use]
    pub fn is_outage(&self) -> bool {
        match self {
            Self::BadRequest { .. }
            | Self::ContextOverflow { .. }
            | Self::Empty
            | Self::Filtered
            | Self::TooLarge { .. }
            | Self::TooManyToolCalls { .. }
            | Self::Truncated => false,
            Self::Forbidden { .. }
            | Self::Idle { .. }
            | Self::Malformed { .. }
            | Self::NoCredit { .. }
            | Self::NoProgress { .. }
            | Self::NotFound { .. }
            | Self::Overloaded { .. }
            | Self::Provider { .. }
            | Self::RateLimited { .. }
            | Self::Transport { .. }
            | Self::Unauthorized { .. } => true,
        }
    }

    /// The wait that the server asked for.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Overloaded { retry_after, .. }
            | Self::Provider { retry_after, .. }
            | Self::RateLimited { retry_after, .. } => *retry_after,
            Self::BadRequest { .. }
            | Self::ContextOverflow { .. }
            | Self::Empty
            | Self::Filtered
            | Self::Forbidden { .. }
            | Self::Idle { .. }
            | Self::Malformed { .. }
            | Self::NoCredit { .. }
            | Self::NoProgress { .. }
            | Self::NotFound { .. }
            | Self::TooLarge { .. }
            | Self::TooManyToolCalls { .. }
            | Self::Transport { .. }
            | Self::Truncated
            | Self::Unauthorized { .. } => None,
        }
    }

    /// The part that came from the server.
    pub(super) fn message_mut(&mut self) -> Option<&mut String> {
        match self {
            Self::BadRequest { message }
            | Self::Forbidden { message }
            | Self::Malformed { what: message }
            | Self::NoCredit { message }
            | Self::NotFound { message }
            | Self::Overloaded { message, .. }
            | Self::Provider { message, .. }
            | Self::RateLimited { message, .. }
            | Self::Transport { what: message }
            | Self::Unauthorized { message } => Some(message),
            Self::ContextOverflow { .. }
            | Self::Empty
            | Self::Filtered
            | Self::Idle { .. }
            | Self::NoProgress { .. }
            | Self::TooLarge { .. }
            | Self::TooManyToolCalls { .. }
            | Self::Truncated => None,
        }
    }

    /// A fixed word for logs and metric labels.
    #[must_use]
    pub fn class(&self) -> &'static str {
        match self {
            Self::BadRequest { .. } => "bad_request",
            Self::ContextOverflow { .. } => "context_overflow",
            Self::Empty => "empty",
            Self::Filtered => "filtered",
            Self::Forbidden { .. } => "forbidden",
            Self::Idle { .. } => "idle",
            Self::Malformed { .. } => "malformed",
            Self::NoCredit { .. } => "no_credit",
            Self::NoProgress { .. } => "no_progress",
            Self::NotFound { .. } => "not_found",
            Self::Overloaded { .. } => "overloaded",
            Self::Provider { .. } => "provider",
            Self::RateLimited { .. } => "rate_limited",
            Self::TooLarge { .. } => "too_large",
            Self::TooManyToolCalls { .. } => "too_many_tool_calls",
            Self::Transport { .. } => "transport",
            Self::Truncated => "truncated",
            Self::Unauthorized { .. } => "unauthorized",
        }
    }
}
