//! `/open-apis/…`: the calls of a bot, with the platform's rules, codes and
//! limits.

mod app;
mod cardkit;
mod cards;
mod chats;
mod content;
mod error;
mod files;
mod limits;
mod messages;
mod multipart;
mod reactions;
mod routes;
mod token;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::response::Response;
use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

pub(crate) use cards::replacement;
pub(crate) use files::mime_of;
pub(crate) use limits::Limiter;
pub(crate) use token::Tokens;

use crate::clock::{ms, unix_ms};
use crate::faults::{FaultKind, Point};
use crate::lock::lock;
use crate::server::{cut, hang, json_response, query_pairs, text_response};
use crate::shared::Shared;
use crate::view::ApiCall;
use error::ApiError;
use routes::{Access, Call, Route};

/// Answers one call: faults, token, limits, then the call itself.
pub(crate) async fn call(
    shared: &Arc<Shared>,
    head: http::request::Parts,
    body: Bytes,
    arrived: Instant,
) -> Response {
    let log_id = format!("{:032X}", lock(&shared.world).rng.u128(..));
    let Some((route, ids)) = routes::find(&head.method, head.uri.path()) else {
        shared.violation(
            "unknown_api",
            format!("{} {}", head.method, head.uri.path()),
        );
        let error = ApiError::new(99_991_404, "page not found").status(404);
        return with_log_id(error.response(&log_id), &log_id);
    };
    let name = format!("{} {}", route.method, route.path);
    let trouble = Trouble::of(shared.strike(Point::Api, &name));
    if let Some(latency) = trouble.latency {
        sleep(latency).await;
    }
    if trouble.hangs {
        return hang(shared).await;
    }
    lock(&shared.log).called(&name);
    let response = if let Some(instead) = trouble.instead {
        match instead {
            Instead::Cut => cut(),
            Instead::Text(status) => text_response(status, "scripted failure"),
            Instead::Error(error) => error.response(&log_id),
            Instead::ExpireToken => {
                lock(&shared.tokens).expire_all();
                ApiError::stale_token().response(&log_id)
            }
        }
    } else {
        let call = Call {
            shared,
            query: query_pairs(head.uri.query().unwrap_or_default()),
            ids,
            content_type: text_header(&head.headers, header::CONTENT_TYPE),
            body,
        };
        let authorization = text_header(&head.headers, header::AUTHORIZATION);
        let answer =
            admit(shared, route, &name, &authorization).and_then(|()| (route.handler)(&call));
        let response = match answer {
            Ok(reply) => reply.response(),
            Err(error) => error.response(&log_id),
        };
        match trouble.after {
            None => response,
            Some(After::Cut) => cut(),
            Some(After::Text(status)) => text_response(status, "scripted late failure"),
        }
    };
    record(shared, route, &response, arrived);
    dated(with_log_id(response, &log_id), trouble.skew)
}

/// Token, then the limits of the API as a whole.
fn admit(shared: &Shared, route: &Route, name: &str, authorization: &str) -> Result<(), ApiError> {
    if route.access == Access::Token {
        lock(&shared.tokens).check(authorization)?;
        lock(&shared.limits).api(name, route.per_second)?;
    }
    Ok(())
}

/// The faults of one call, added up.
#[derive(Default)]
struct Trouble {
    latency: Option<Duration>,
    skew: Option<i64>,
    hangs: bool,
    instead: Option<Instead>,
    after: Option<After>,
}

enum Instead {
    Cut,
    Text(u16),
    Error(ApiError),
    ExpireToken,
}

enum After {
    Cut,
    Text(u16),
}

impl Trouble {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "a point is struck by its own faults only"
    )]
    fn of(faults: Vec<FaultKind>) -> Self {
        let mut trouble = Self::default();
        for fault in faults {
            match fault {
                FaultKind::ApiLatency { ms } => trouble.latency = Some(Duration::from_millis(ms)),
                FaultKind::ApiDate { skew } => trouble.skew = Some(skew),
                FaultKind::ApiHang => trouble.hangs = true,
                FaultKind::ApiCut => trouble.instead = Some(Instead::Cut),
                FaultKind::ApiStatus { status } => trouble.instead = Some(Instead::Text(status)),
                FaultKind::ApiExpiredToken => trouble.instead = Some(Instead::ExpireToken),
                FaultKind::ApiRateLimited { reset } => {
                    trouble.instead = Some(Instead::Error(ApiError::rate_limited(reset)));
                }
                FaultKind::ApiCode { code, status } => {
                    let error = ApiError::new(code, "scripted refusal").status(status);
                    trouble.instead = Some(Instead::Error(error));
                }
                FaultKind::ApiLostAnswer => trouble.after = Some(After::Cut),
                FaultKind::ApiLateStatus { status } => trouble.after = Some(After::Text(status)),
                other => tracing::debug!(?other, "fault has no meaning here"),
            }
        }
        trouble
    }
}

fn record(shared: &Shared, route: &Route, response: &Response, arrived: Instant) {
    let code = response.extensions().get::<BusinessCode>();
    let call = ApiCall {
        at: unix_ms(),
        method: route.method.to_string(),
        path: route.path.to_owned(),
        status: response.status().as_u16(),
        code: code.map_or(-1, |code| code.0),
        ms: ms(arrived.elapsed()),
    };
    lock(&shared.log).call(call.clone());
    shared.changes.announce("api_call", || json!(call));
}

/// `code` of an answer, for the record. Absent: the answer is not JSON.
#[derive(Clone, Copy)]
struct BusinessCode(i64);

fn answer(status: StatusCode, code: i64, body: &Value) -> Response {
    let mut response = json_response(status, body);
    response.extensions_mut().insert(BusinessCode(code));
    response
}

/// Every answer names itself for support.
fn with_log_id(mut response: Response, log_id: &str) -> Response {
    if let Ok(value) = HeaderValue::from_str(log_id) {
        response.headers_mut().insert("x-tt-logid", value);
    }
    response
}

/// With a `Date` that many seconds off, if any.
fn dated(mut response: Response, skew: Option<i64>) -> Response {
    let Some(skew) = skew else { return response };
    let now = SystemTime::now();
    let off = Duration::from_secs(skew.unsigned_abs());
    let then = if skew < 0 { now - off } else { now + off };
    if let Ok(value) = HeaderValue::from_str(&httpdate::fmt_http_date(then)) {
        response.headers_mut().insert(header::DATE, value);
    }
    response
}

fn text_header(headers: &http::HeaderMap, name: header::HeaderName) -> String {
    headers
        .get(name)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
        .to_owned()
}
