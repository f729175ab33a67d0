//! Refusals: business code, text, HTTP status, headers.

use axum::response::Response;
use http::{HeaderValue, StatusCode};
use serde_json::json;

/// A refusal. HTTP 400 unless said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ApiError {
    pub(crate) code: i64,
    pub(crate) msg: String,
    status: u16,
    /// Seconds to wait, for rate limits.
    reset: Option<u64>,
}

impl ApiError {
    pub(crate) fn new(code: i64, msg: impl Into<String>) -> Self {
        Self {
            code,
            msg: msg.into(),
            status: 400,
            reset: None,
        }
    }

    pub(crate) fn status(self, status: u16) -> Self {
        Self { status, ..self }
    }

    /// A missing or malformed field.
    pub(crate) fn field(what: impl Into<String>) -> Self {
        Self::new(
            99_992_402,
            format!("field validation failed: {}", what.into()),
        )
    }

    /// A parameter that the messaging API does not take.
    pub(crate) fn parameter(what: impl Into<String>) -> Self {
        Self::new(
            230_001,
            format!(
                "Your request contains an invalid request parameter, ext={}",
                what.into()
            ),
        )
    }

    pub(crate) fn stale_token() -> Self {
        Self::new(
            99_991_663,
            "Invalid access token for authorization. Please make a request with token attached.",
        )
    }

    /// Of a single API, 50 a second or 1000 a minute.
    pub(crate) fn rate_limited(reset: u64) -> Self {
        Self {
            code: 99_991_400,
            msg: "request trigger frequency limit".to_owned(),
            status: 429,
            reset: Some(reset),
        }
    }

    /// Of a chat or a message: 5 a second.
    pub(crate) fn too_frequent(what: &str) -> Self {
        Self::new(
            230_020,
            format!("This operation triggers the frequency limit, ext={what}"),
        )
    }

    /// A card that the renderer refuses.
    pub(crate) fn card(code: i64, msg: impl Into<String>) -> Self {
        Self::new(
            230_099,
            format!(
                "Failed to create card content, ext=ErrCode: {code}; ErrMsg: {}",
                msg.into()
            ),
        )
    }

    pub(crate) fn response(&self, log_id: &str) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::BAD_REQUEST);
        let body = json!({
            "code": self.code,
            "msg": self.msg,
            "error": {
                "log_id": log_id,
                "troubleshooter": "see the answer's code in the platform's documentation",
            },
        });
        let mut response = super::answer(status, self.code, &body);
        if let Some(reset) = self.reset {
            let headers = response.headers_mut();
            headers.insert("x-ogw-ratelimit-limit", HeaderValue::from(PER_SECOND));
            headers.insert("x-ogw-ratelimit-reset", HeaderValue::from(reset));
        }
        response
    }
}

/// What the limit header says.
const PER_SECOND: u64 = 50;
