//! What can go wrong with a call.

use std::time::Duration;

use super::codes::{self, Advice};
use super::request::TOKEN_CALL;

/// A call that did not succeed, after all its tries.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ApiError {
    /// An id in the call has no character that an id can have.
    #[error("{call} was not made: its id cannot be one")]
    BadId {
        /// The call.
        call: String,
    },
    /// The platform answered with a code.
    #[error(
        "Feishu refused {call} with code {code} ({meaning}): {msg} [HTTP {http_status}, log id {log_id}]",
        meaning = meaning(*.code)
    )]
    Code {
        /// The call, as method and path.
        call: String,
        /// Feishu's code.
        code: i64,
        /// Feishu's words.
        msg: String,
        /// What Feishu's support asks for.
        log_id: String,
        /// The HTTP status.
        http_status: u16,
        /// How long the platform asked to wait.
        retry_after: Option<Duration>,
    },
    /// A file is longer than Feishu takes, or than was asked for.
    #[error("{call} was given up: the file is longer than {max} bytes")]
    FileTooLarge {
        /// The call.
        call: String,
        /// The bound.
        max: u64,
    },
    /// The file here cannot be read or written.
    #[error("{call} was given up: the file on this machine cannot be used: {detail}")]
    LocalFile {
        /// The call.
        call: String,
        /// What the system says.
        detail: String,
    },
    /// The answer is not what the call promises.
    #[error("the answer to {call} cannot be read: {detail} [HTTP {http_status}, log id {log_id}]")]
    Malformed {
        /// The call.
        call: String,
        /// What is wrong.
        detail: String,
        /// How long the server asked to wait.
        retry_after: Option<Duration>,
        /// The HTTP status.
        http_status: u16,
        /// What Feishu's support asks for.
        log_id: String,
    },
    /// The answer is longer than such answers are.
    #[error("the answer to {call} is longer than {max} bytes")]
    TooLarge {
        /// The call.
        call: String,
        /// The bound.
        max: usize,
    },
    /// No answer: DNS, TCP, TLS, a time-out or a connection that broke.
    #[error("no answer to {call}: {detail}")]
    Transport {
        /// The call.
        call: String,
        /// What happened.
        detail: String,
    },
}

impl ApiError {
    /// Whether the same call may succeed later. Unknown codes are not tried
    /// again, unless the HTTP status says that it was the server's fault.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Transport { .. } => true,
            Self::Malformed { http_status, .. } => is_server_trouble(*http_status),
            Self::BadId { .. }
            | Self::FileTooLarge { .. }
            | Self::LocalFile { .. }
            | Self::TooLarge { .. } => false,
            Self::Code {
                code, http_status, ..
            } => match codes::lookup(*code) {
                Some(known) => matches!(
                    known.advice,
                    Advice::Slow | Advice::Retry | Advice::NewToken
                ),
                None => is_server_trouble(*http_status),
            },
        }
    }

    /// How long the platform wants us to wait.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Code { retry_after, .. } | Self::Malformed { retry_after, .. } => *retry_after,
            Self::BadId { .. }
            | Self::FileTooLarge { .. }
            | Self::LocalFile { .. }
            | Self::TooLarge { .. }
            | Self::Transport { .. } => None,
        }
    }

    /// Whether the message, chat or person is gone for this bot.
    #[must_use]
    pub fn target_is_gone(&self) -> bool {
        self.advice() == Some(Advice::TargetGone)
    }

    /// Whether the thread, and only that, is what the message can't go to.
    #[must_use]
    pub fn has_no_thread(&self) -> bool {
        self.advice() == Some(Advice::NoThread)
    }

    /// Whether the call may have had its effect all the same: no answer, one
    /// that can't be read, or the server's own trouble.
    #[must_use]
    pub fn outcome_is_unknown(&self) -> bool {
        match self {
            Self::Transport { .. } | Self::Malformed { .. } | Self::TooLarge { .. } => true,
            Self::BadId { .. } | Self::FileTooLarge { .. } | Self::LocalFile { .. } => false,
            Self::Code { http_status, .. } => {
                self.advice() == Some(Advice::Retry) || *http_status >= 500
            }
        }
    }

    /// Whether another form of the content might be taken.
    #[must_use]
    pub fn is_content_refused(&self) -> bool {
        self.advice() == Some(Advice::Content)
    }

    /// Whether a file is too long, for Feishu or for what was asked.
    #[must_use]
    pub fn is_too_large(&self) -> bool {
        matches!(self, Self::FileTooLarge { .. }) || self.advice() == Some(Advice::TooLarge)
    }

    /// Whether the app lacks a right that is granted in the console; the
    /// platform's words name it.
    #[must_use]
    pub fn is_scope_missing(&self) -> bool {
        self.advice() == Some(Advice::Scope)
    }

    /// Whether a person must mend the app's id, secret or settings.
    #[must_use]
    pub fn is_fatal_config(&self) -> bool {
        self.advice() == Some(Advice::Configuration)
    }

    /// Whether the token could not be had, so that the app's id and secret are what is in
    /// question; the call that wanted it was never made.
    #[must_use]
    pub fn is_about_token(&self) -> bool {
        self.call() == TOKEN_CALL
    }

    /// The call, as method and path.
    #[must_use]
    pub fn call(&self) -> &str {
        match self {
            Self::BadId { call }
            | Self::Code { call, .. }
            | Self::FileTooLarge { call, .. }
            | Self::LocalFile { call, .. }
            | Self::Malformed { call, .. }
            | Self::TooLarge { call, .. }
            | Self::Transport { call, .. } => call,
        }
    }

    /// Feishu's code, if it answered with one.
    #[must_use]
    pub fn code(&self) -> Option<i64> {
        match self {
            Self::Code { code, .. } => Some(*code),
            Self::BadId { .. }
            | Self::FileTooLarge { .. }
            | Self::LocalFile { .. }
            | Self::Malformed { .. }
            | Self::TooLarge { .. }
            | Self::Transport { .. } => None,
        }
    }

    /// Whether the server said "too many", by code or by HTTP status alone.
    pub(super) fn is_too_fast(&self) -> bool {
        matches!(
            self,
            Self::Malformed {
                http_status: 429,
                ..
            }
        ) || self.advice() == Some(Advice::Slow)
    }

    pub(super) fn advice(&self) -> Option<Advice> {
        codes::lookup(self.code()?).map(|known| known.advice)
    }
}

fn is_server_trouble(status: u16) -> bool {
    status == 429 || status >= 500
}

fn meaning(code: i64) -> &'static str {
    codes::lookup(code).map_or("not a documented code", |known| known.meaning)
}
