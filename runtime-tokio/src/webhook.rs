//! The event route: a body in, a verdict out.
//!
//! The 200 waits for nothing but the checks and the inbox.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::body::HttpBody as _;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use proto_core::{Rejection, SignatureHeaders, UnixMillis, Verdict as Checked, Verifier};
use tokio::time::Instant;
use tracing::{debug, warn};

use crate::written::WhenWritten;
use crate::{InboundEvent, Ingress, Transport, Verdict};

/// What a request may take.
#[derive(Clone, Copy, Debug)]
pub struct WebhookLimits {
    /// Bytes of a body. Default 1 MiB; a long message has 200 KB.
    pub body_bytes_max: usize,
    /// How long a body may take. Default 10 s; the platform gives up after 3.
    pub body_timeout: Duration,
    /// How long the inbox may take. Default 2.5 s, inside the platform's 3 s;
    /// the store's own deadline is shorter.
    pub accept_timeout: Duration,
}

impl Default for WebhookLimits {
    fn default() -> Self {
        Self {
            body_bytes_max: 1 << 20,
            body_timeout: Duration::from_secs(10),
            accept_timeout: Duration::from_millis(2500),
        }
    }
}

/// What happened on the route so far.
#[derive(Debug, Default)]
pub struct WebhookStats {
    /// Requests answered 200, challenges not among them.
    pub accepted: AtomicU64,
    /// Challenges answered.
    pub challenges: AtomicU64,
    /// Requests that failed a check.
    pub rejected: AtomicU64,
    /// Requests answered 503.
    pub refused: AtomicU64,
}

struct Route<I> {
    verifier: Verifier,
    ingress: Arc<I>,
    limits: WebhookLimits,
    stats: Arc<WebhookStats>,
}

/// The route under `path`s, all the same.
pub fn router<I: Ingress>(
    paths: &[&str],
    verifier: Verifier,
    ingress: Arc<I>,
    limits: WebhookLimits,
    stats: Arc<WebhookStats>,
) -> Router {
    let route = Arc::new(Route {
        verifier,
        ingress,
        limits,
        stats,
    });
    paths
        .iter()
        .fold(Router::new(), |router, path| {
            router.route(path, post(receive::<I>))
        })
        .with_state(route)
}

/// The same paths when events come over the long connection: 503, with the
/// reason.
pub fn disabled(paths: &[&str]) -> Router {
    paths.iter().fold(Router::new(), |router, path| {
        router.route(path, post(not_in_webhook_mode))
    })
}

async fn not_in_webhook_mode() -> Response {
    message(
        StatusCode::SERVICE_UNAVAILABLE,
        "this daemon receives events over the long connection; set channels.feishu.transport = \
         \"webhook\" to receive them here",
    )
}

async fn receive<I: Ingress>(State(route): State<Arc<Route<I>>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    match route.read_and_accept(&parts.headers, body).await {
        Ok(response) => response,
        Err(refusal) => refusal.respond(&route.stats),
    }
}

impl<I: Ingress> Route<I> {
    async fn read_and_accept(&self, headers: &HeaderMap, body: Body) -> Result<Response, Refusal> {
        if headers.contains_key(header::CONTENT_ENCODING) {
            return Err(Refusal::Encoded);
        }
        let body = self.read(body).await?;
        let received = Instant::now();
        let mut scratch = Vec::new();
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let signature = SignatureHeaders {
            timestamp: text("x-lark-request-timestamp"),
            nonce: text("x-lark-request-nonce"),
            signature: text("x-lark-signature"),
        };
        let payload = match self
            .verifier
            .verify(now(), signature, &body, &mut scratch)?
        {
            Checked::Challenge(challenge) => {
                self.stats.challenges.fetch_add(1, Ordering::Relaxed);
                debug!("a URL check was answered");
                let mut answer = Vec::new();
                // A Vec has room for everything.
                let _ = challenge.write_answer(&mut answer);
                return Ok(json(StatusCode::OK, answer.into()));
            }
            Checked::Event(event) => {
                let bytes = event.as_bytes();
                // Plain bodies are shared, decrypted ones are ours to give away.
                if is_within(bytes, &body) {
                    body.slice_ref(bytes)
                } else {
                    Bytes::copy_from_slice(bytes)
                }
            }
        };
        let event = InboundEvent {
            payload,
            transport: Transport::Webhook,
            received,
        };
        let verdict = tokio::time::timeout(self.limits.accept_timeout, self.ingress.accept(event))
            .await
            .map_err(|_| Refusal::Overloaded)?;
        match verdict {
            Verdict::Accepted => {
                Ok(self.acknowledge(Bytes::from_static(br#"{"code":0,"message":"ok"}"#)))
            }
            Verdict::Answer(answer) => Ok(self.acknowledge(answer)),
            Verdict::Refused => Err(Refusal::Overloaded),
        }
    }

    fn acknowledge(&self, answer: Bytes) -> Response {
        self.stats.accepted.fetch_add(1, Ordering::Relaxed);
        let mut response = json(StatusCode::OK, answer);
        let ingress = Arc::clone(&self.ingress);
        let tell = WhenWritten::new(move || ingress.acknowledged());
        response.extensions_mut().insert(tell);
        response
    }

    async fn read(&self, body: Body) -> Result<Bytes, Refusal> {
        // A body that says it is too long need not be waited for.
        if body.size_hint().lower() > self.limits.body_bytes_max as u64 {
            return Err(Refusal::TooLarge);
        }
        let limited = Limited::new(body, self.limits.body_bytes_max).collect();
        match tokio::time::timeout(self.limits.body_timeout, limited).await {
            Ok(Ok(collected)) => Ok(collected.to_bytes()),
            Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Refusal::TooLarge),
            Ok(Err(_)) => Err(Refusal::Broken),
            Err(_) => Err(Refusal::Slow),
        }
    }
}

/// Why a request gets no 200.
enum Refusal {
    /// A check of the core failed.
    Rejected(Rejection),
    /// A compressed body: none is expected, and none is inflated.
    Encoded,
    /// The body is longer than the limit.
    TooLarge,
    /// The body did not end in time.
    Slow,
    /// The connection broke inside the body.
    Broken,
    /// The event could not be made durable in time.
    Overloaded,
}

impl From<Rejection> for Refusal {
    fn from(rejection: Rejection) -> Self {
        Self::Rejected(rejection)
    }
}

impl Refusal {
    /// One log line that says which rule, and the answer.
    fn respond(self, stats: &WebhookStats) -> Response {
        let (status, why) = match &self {
            Self::Rejected(rejection) => (
                StatusCode::from_u16(rejection.http_status()).unwrap_or(StatusCode::UNAUTHORIZED),
                rejection.to_string(),
            ),
            Self::Encoded => (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "compressed bodies are not accepted".to_owned(),
            ),
            Self::TooLarge => (
                StatusCode::PAYLOAD_TOO_LARGE,
                "the body is too large".to_owned(),
            ),
            Self::Slow => (
                StatusCode::REQUEST_TIMEOUT,
                "the body took too long".to_owned(),
            ),
            Self::Broken => (StatusCode::BAD_REQUEST, "the body broke off".to_owned()),
            Self::Overloaded => (
                StatusCode::SERVICE_UNAVAILABLE,
                "the event cannot be stored now; push it again".to_owned(),
            ),
        };
        let counter = match self {
            Self::Overloaded => &stats.refused,
            Self::Rejected(_) | Self::Encoded | Self::TooLarge | Self::Slow | Self::Broken => {
                &stats.rejected
            }
        };
        counter.fetch_add(1, Ordering::Relaxed);
        warn!(
            status = status.as_u16(),
            rule = why,
            "feishu webhook: request refused: {why}"
        );
        message(status, &why)
    }
}

fn json(status: StatusCode, body: Bytes) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}

fn message(status: StatusCode, message: &str) -> Response {
    let body = serde_json::json!({ "code": status.as_u16(), "message": message });
    let mut response = json(status, body.to_string().into());
    if status == StatusCode::REQUEST_TIMEOUT || status == StatusCode::PAYLOAD_TOO_LARGE {
        // The rest of the body is on the way: nothing can follow on this connection.
        response.headers_mut().insert(
            header::CONNECTION,
            header::HeaderValue::from_static("close"),
        );
    }
    response
}

fn now() -> UnixMillis {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    UnixMillis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

fn is_within(part: &[u8], whole: &Bytes) -> bool {
    let (part, whole) = (part.as_ptr_range(), whole.as_ptr_range());
    part.start >= whole.start && part.end <= whole.end
}
