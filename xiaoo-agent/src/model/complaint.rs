//! What a server complains about, in all the shapes seen, and what kind of failure it is.

use core::time::Duration;

use serde_json::Value;

use super::ModelError;

/// An error as the server put it.
#[derive(Debug, Default)]
pub(super) struct Complaint {
    code: String,
    kind: String,
    message: String,
    retry_after: Option<Duration>,
    limit: Option<u64>,
}

impl Complaint {
    /// From the body of an HTTP answer: JSON in one of its shapes, or anything else.
    pub(super) fn from_body(body: &[u8]) -> Self {
        match serde_json::from_slice::<Value>(body) {
            Ok(mut json) => match json.get_mut("error").map(Value::take) {
                Some(error) if !error.is_null() => Self::from_json(&error),
                _ => Self::from_json(&json),
            },
            // A proxy's HTML page says nothing that the status does not.
            Err(_) => Self::default(),
        }
    }

    /// From the error object of an event or a body; a bare text is a message.
    pub(super) fn from_json(error: &Value) -> Self {
        let text = |name: &str| match error.get(name) {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Number(number)) => number.to_string(),
            _ => String::new(),
        };
        let bare = error.as_str().map(str::to_owned);
        let message = bare.unwrap_or_else(|| text("message"));
        let metadata = error.get("metadata");
        let retry_after = metadata.and_then(|metadata| {
            let direct = metadata.get("retry_after_seconds");
            let header = || metadata.get("headers")?.get("Retry-After");
            seconds(direct.or_else(header)?)
        });
        Self {
            code: text("code"),
            kind: text("type"),
            limit: error
                .get("n_ctx")
                .and_then(Value::as_u64)
                .or_else(|| window_in(&message)),
            message,
            retry_after,
        }
    }

    /// The wait that the response's headers ask for counts more than the body's.
    pub(super) fn with_retry_after(mut self, retry_after: Option<Duration>) -> Self {
        self.retry_after = retry_after.or(self.retry_after);
        self
    }

    /// What kind of failure an error in the middle of a stream is. A numeric code is the HTTP
    /// status that could no longer be sent.
    pub(super) fn in_stream(self) -> ModelError {
        match self.code.parse() {
            Ok(status @ 400..=599) => self.with_status(status),
            _ => self.by_words(),
        }
    }

    /// What kind of failure an HTTP status is.
    pub(super) fn with_status(self, status: u16) -> ModelError {
        let message = self.tidy(&format!("HTTP status {status}"));
        let retry_after = self.retry_after;
        match status {
            413 => ModelError::ContextOverflow { limit: self.limit },
            400 | 422 if self.is_overflow() => ModelError::ContextOverflow { limit: self.limit },
            401 => ModelError::Unauthorized { message },
            // OpenRouter: with a wait it is the budget of requests in flight, which frees itself.
            402 if retry_after.is_some() => ModelError::RateLimited {
                message,
                retry_after,
            },
            402 => ModelError::NoCredit { message },
            403 => ModelError::Forbidden { message },
            404 => ModelError::NotFound { message },
            // GLM sends "no balance" and "not in your plan" as 429; OpenAI "quota used up".
            429 if self.code == "1113" || self.is("insufficient_quota") => {
                ModelError::NoCredit { message }
            }
            429 if self.code == "1311" => ModelError::Forbidden { message },
            429 => ModelError::RateLimited {
                message,
                retry_after,
            },
            503 | 529 => ModelError::Overloaded {
                message,
                retry_after,
            },
            408 | 500..=599 => ModelError::Provider {
                message,
                retry_after,
            },
            400..=499 => ModelError::BadRequest { message },
            _ => ModelError::Malformed {
                what: format!("HTTP status {status}"),
            },
        }
    }

    fn by_words(self) -> ModelError {
        let message = self.tidy("an error without a message");
        let retry_after = self.retry_after;
        if self.is_overflow() {
            ModelError::ContextOverflow { limit: self.limit }
        } else if self.is("insufficient") || self.is("1113") {
            ModelError::NoCredit { message }
        } else if self.is("rate_limit") || self.is("throttl") {
            ModelError::RateLimited {
                message,
                retry_after,
            }
        } else if self.is("overloaded") || self.is("unavailable") {
            ModelError::Overloaded {
                message,
                retry_after,
            }
        } else if self.is("authentication") || self.is("invalid_api_key") {
            ModelError::Unauthorized { message }
        } else if self.is("permission") {
            ModelError::Forbidden { message }
        } else if self.is("content_filter") || self.is("content_policy") {
            ModelError::Filtered
        } else if self.is("invalid_request") {
            ModelError::BadRequest { message }
        } else {
            ModelError::Provider {
                message,
                retry_after,
            }
        }
    }

    /// Whether the code or the type holds this word.
    fn is(&self, word: &str) -> bool {
        self.code.contains(word) || self.kind.contains(word)
    }

    /// There is no common code for "too long": a few servers have one, the others have phrases.
    fn is_overflow(&self) -> bool {
        const PHRASES: [&str; 12] = [
            "maximum context length",
            "prompt is too long",
            "exceeds the context window",
            "exceeds the available context size",
            "input token count exceeds the maximum",
            "exceeds the maximum number of tokens",
            "exceeded model token limit",
            "reduce the length of the messages",
            "prompt exceeds max length",
            "too many tokens",
            "contextwindowexceedederror",
            "context_length_exceeded",
        ];
        let message = self.message.to_lowercase();
        self.is("context_length_exceeded")
            || self.is("exceed_context_size")
            || PHRASES.iter().any(|phrase| message.contains(phrase))
    }

    fn tidy(&self, otherwise: &str) -> String {
        let tidy = tidy(&self.message);
        if tidy.is_empty() {
            otherwise.to_owned()
        } else {
            tidy
        }
    }
}

/// One line of a server's words that may stand in a log: short, and without what looks like a
/// key (some servers repeat the one that they refuse).
pub(super) fn tidy(message: &str) -> String {
    /// Enough to name the cause; more would be the prompt, quoted back.
    const CHARS_MAX: usize = 300;
    let mut tidy = String::new();
    for word in message.split_whitespace() {
        if !tidy.is_empty() {
            tidy.push(' ');
        }
        if is_secret(word) {
            tidy.push_str("***");
        } else {
            tidy.push_str(word);
        }
    }
    match tidy.char_indices().nth(CHARS_MAX) {
        Some((cut, _)) => {
            tidy.truncate(cut);
            tidy + "…"
        }
        None => tidy,
    }
}

/// Whether a part of the word is a long mixture of letters and digits, or begins like a key.
fn is_secret(word: &str) -> bool {
    /// Model names stay below this, keys don't.
    const KEY_BYTES_MIN: usize = 32;
    word.split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '*')))
        .any(|part| {
            part.starts_with("sk-")
                || (part.len() >= KEY_BYTES_MIN
                    && part.bytes().any(|b| b.is_ascii_digit())
                    && part.bytes().any(|b| b.is_ascii_alphabetic()))
        })
}

/// The size of the window, where the message tells it.
fn window_in(message: &str) -> Option<u64> {
    const BEFORE: [&str; 5] = [
        "maximum context length is",
        "available context size",
        "model token limit",
        "maximum number of tokens allowed",
        " tokens >",
    ];
    /// The number follows at once, past a bracket or a colon.
    const GAP_MAX: usize = 4;
    let lower = message.to_lowercase();
    BEFORE.iter().find_map(|before| {
        let (_, after) = lower.split_once(before)?;
        let start = after.find(|c: char| c.is_ascii_digit())?;
        let number = after.get(start..).filter(|_| start <= GAP_MAX)?;
        let end = number
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(number.len());
        number.get(..end)?.parse().ok()
    })
}

/// A wait given as a number of seconds, or as a text of one.
fn seconds(value: &Value) -> Option<Duration> {
    let in_text = || value.as_str()?.parse().ok();
    let seconds = value.as_f64().or_else(in_text)?;
    Duration::try_from_secs_f64(seconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn statuses_mean_what_the_table_says() {
        let cases = [
            (400, json!({"error": {"message": "bad"}}), "bad_request"),
            (
                400,
                json!({"error": {"code": "context_length_exceeded"}}),
                "context_overflow",
            ),
            (
                400,
                json!({"message": "This model's maximum context length is 8192 tokens."}),
                "context_overflow",
            ),
            (401, json!({}), "unauthorized"),
            (402, json!({"error": "no money"}), "no_credit"),
            (
                402,
                json!({"error": {"metadata": {"retry_after_seconds": 3}}}),
                "rate_limited",
            ),
            (403, json!({"error": {"message": "flagged"}}), "forbidden"),
            (404, json!(null), "not_found"),
            (408, json!(null), "provider"),
            (413, json!(null), "context_overflow"),
            (422, json!({"detail": []}), "bad_request"),
            (
                429,
                json!({"error": {"message": "too many tokens per minute"}}),
                "rate_limited",
            ),
            (429, json!({"error": {"code": "1113"}}), "no_credit"),
            (429, json!({"error": {"code": 1311}}), "forbidden"),
            (
                429,
                json!({"error": {"type": "insufficient_quota"}}),
                "no_credit",
            ),
            (500, json!("text"), "provider"),
            (502, json!(null), "provider"),
            (
                503,
                json!({"error": {"message": "Loading model"}}),
                "overloaded",
            ),
            (529, json!(null), "overloaded"),
            (302, json!(null), "malformed"),
        ];
        for (status, body, class) in cases {
            let error = Complaint::from_body(body.to_string().as_bytes()).with_status(status);
            assert_eq!(error.class(), class, "{status} {body}");
        }
    }

    #[test]
    fn the_window_is_read_from_where_servers_write_it() {
        let cases = [
            (
                "This model's maximum context length is 8192 tokens. However",
                Some(8192),
            ),
            (
                "request (3024 tokens) exceeds the available context size (2048 tokens)",
                Some(2048),
            ),
            (
                "exceeded model token limit: 131072 (requested: 140000)",
                Some(131_072),
            ),
            (
                "prompt is too long: 210000 tokens > 200000 maximum",
                Some(200_000),
            ),
            (
                "maximum number of tokens allowed (1048576).",
                Some(1_048_576),
            ),
            ("reduce the length of the messages", None),
            ("maximum context length is unknown; see page 7", None),
        ];
        for (message, limit) in cases {
            assert_eq!(window_in(message), limit, "{message}");
        }
    }

    #[test]
    fn waits_are_read_from_the_body_too() {
        let cases = [
            (
                json!({"metadata": {"retry_after_seconds": 2.5}}),
                Some(2500),
            ),
            (
                json!({"metadata": {"headers": {"Retry-After": "7"}}}),
                Some(7000),
            ),
            (json!({"metadata": {"retry_after_seconds": -1}}), None),
            (json!({"metadata": {}}), None),
            (json!({}), None),
        ];
        for (error, millis) in cases {
            assert_eq!(
                Complaint::from_json(&error).retry_after,
                millis.map(Duration::from_millis),
                "{error}"
            );
        }
    }

    #[test]
    fn messages_are_short_and_hold_no_key() {
        assert_eq!(
            tidy("Incorrect API key provided: sk-abc***def.\n You can"),
            "Incorrect API key provided: *** You can"
        );
        assert_eq!(
            tidy("key 0123456789abcdef0123456789abcdef.Secret1 is bad"),
            "key *** is bad"
        );
        assert_eq!(
            tidy("no model claude-sonnet-4-20250514"),
            "no model claude-sonnet-4-20250514"
        );
        assert_eq!(tidy(&"长".repeat(1000)).chars().count(), 301);
    }
}
