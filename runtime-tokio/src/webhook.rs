//! The event route: a body in, a verdict out.
//!
//! The 200 waits for nothing but the checks and the inbox. It is the one busy
//! route, so [`EventRoutes`] answers it before a router is asked: what a router
//! boxes and copies for each request was a seventh of all instructions.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::body::{Body, HttpBody};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use axum::routing::post;
use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt as _, Either, Full};
use proto_core::{Rejection, SignatureHeaders, UnixMillis, Verdict as Checked, Verifier};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;
use tracing::{Instrument as _, Span, debug, warn};

use crate::server::Answer;
use crate::written::{Told, WhenWritten};
use crate::{InboundEvent, Ingress, Transport, Verdict};

/// Bytes of a body that nearly every event has room in.
pub const SHORT_BODY_BYTES_MAX: usize = 64 << 10;

/// What a request may take.
#[derive(Clone, Copy, Debug)]
pub struct WebhookLimits {
    /// Bytes of a body. Default 1 MiB; a long message has 200 KB.
    pub body_bytes_max: usize,
    /// Bodies beyond [`SHORT_BODY_BYTES_MAX`] that are held at once. Default 64. One more is
    /// refused (503) so that it comes again: nobody is known before a whole body is read, and
    /// without this bound anybody could have every connection's worth of memory.
    pub long_bodies_max: usize,
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
            long_bodies_max: 64,
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

static TIMESTAMP: HeaderName = HeaderName::from_static("x-lark-request-timestamp");
static NONCE: HeaderName = HeaderName::from_static("x-lark-request-nonce");
static SIGNATURE: HeaderName = HeaderName::from_static("x-lark-signature");

/// Where one app's events are pushed to. A cheap handle: clone it.
pub struct EventRoute<I> {
    route: Arc<Route<I>>,
    span: Span,
}

struct Route<I> {
    verifier: Verifier,
    ingress: Arc<I>,
    limits: WebhookLimits,
    /// One for each long body that is held.
    places: Semaphore,
    stats: Arc<WebhookStats>,
}

impl<I: Ingress> EventRoute<I> {
    /// A route that hands `ingress` what `verifier` finds authentic.
    #[must_use]
    pub fn new(
        verifier: Verifier,
        ingress: Arc<I>,
        limits: WebhookLimits,
        stats: Arc<WebhookStats>,
    ) -> Self {
        Self {
            route: Arc::new(Route {
                verifier,
                ingress,
                limits,
                places: Semaphore::new(limits.long_bodies_max),
                stats,
            }),
            span: Span::none(),
        }
    }

    /// What is logged about its requests is logged in this span.
    #[must_use]
    pub fn within(self, span: Span) -> Self {
        Self { span, ..self }
    }

    /// Answers a request.
    pub async fn answer<B: Incoming>(&self, request: Request<B>) -> Response<Full<Bytes>> {
        let Self { route, span } = self;
        let (parts, body) = request.into_parts();
        let answered = async {
            match route.read_and_accept(&parts, body).await {
                Ok(response) => response,
                Err(refusal) => refusal.respond(&route.stats),
            }
        };
        answered.instrument(span.clone()).await
    }
}

impl<I> Clone for EventRoute<I> {
    fn clone(&self) -> Self {
        Self {
            route: Arc::clone(&self.route),
            span: self.span.clone(),
        }
    }
}

/// A body that a request can have.
pub trait Incoming: HttpBody<Data = Bytes, Error: Send> + Unpin + Send {}

impl<B: HttpBody<Data = Bytes, Error: Send> + Unpin + Send> Incoming for B {}

/// Event routes, and a router for everything else. A cheap handle: clone it.
pub struct EventRoutes<I> {
    /// Few: looking at all of them is the fastest way.
    routes: Arc<[(Box<str>, EventRoute<I>)]>,
    others: Router,
}

impl<I: Ingress> EventRoutes<I> {
    /// What is pushed to a path goes to the route beside it, all else to `others`.
    pub fn new<P: Into<Box<str>>>(
        routes: impl IntoIterator<Item = (P, EventRoute<I>)>,
        others: Router,
    ) -> Self {
        let routes = routes.into_iter().map(|(path, route)| (path.into(), route));
        Self {
            routes: routes.collect(),
            others,
        }
    }
}

impl<I> Clone for EventRoutes<I> {
    fn clone(&self) -> Self {
        Self {
            routes: Arc::clone(&self.routes),
            others: self.others.clone(),
        }
    }
}

impl<I: Ingress> Answer for EventRoutes<I> {
    type Body = Either<Full<Bytes>, Body>;

    async fn answer(
        &self,
        request: Request<hyper::body::Incoming>,
        peer: SocketAddr,
    ) -> Response<Self::Body> {
        let path = request.uri().path();
        let route = self.routes.iter().find(|(known, _)| **known == *path);
        match route {
            Some((_, route)) if request.method() == Method::POST => {
                route.answer(request).await.map(Either::Left)
            }
            Some(_) => only_post().map(Either::Left),
            None => self.others.answer(request, peer).await.map(Either::Right),
        }
    }
}

/// The same paths when events come over the long connection: 503, with the
/// reason.
pub fn disabled<P: AsRef<str>>(paths: &[P]) -> Router {
    paths.iter().fold(Router::new(), |router, path| {
        router.route(path.as_ref(), post(not_in_webhook_mode))
    })
}

async fn not_in_webhook_mode() -> Response<Body> {
    let answer = message(
        StatusCode::SERVICE_UNAVAILABLE,
        "this daemon receives events over the long connection; set channels.feishu.transport = \
         \"webhook\" to receive them here",
    );
    answer.map(Body::new)
}

fn only_post() -> Response<Full<Bytes>> {
    let mut response = message(
        StatusCode::METHOD_NOT_ALLOWED,
        "events are pushed here by POST",
    );
    let allowed = HeaderValue::from_static("POST");
    response.headers_mut().insert(header::ALLOW, allowed);
    response
}

impl<I: Ingress> Route<I> {
    async fn read_and_accept<B: Incoming>(
        &self,
        Parts { headers, .. }: &Parts,
        body: B,
    ) -> Result<Response<Full<Bytes>>, Refusal> {
        if headers.contains_key(header::CONTENT_ENCODING) {
            return Err(Refusal::Encoded);
        }
        let (body, _place) = self.read(body).await?;
        let received = Instant::now();
        let mut scratch = Vec::new();
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let signature = SignatureHeaders {
            timestamp: text(&TIMESTAMP),
            nonce: text(&NONCE),
            signature: text(&SIGNATURE),
        };
        let verified = match self
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
            Checked::Event(verified) => verified,
        };
        let event = InboundEvent {
            payload: verified.as_bytes(),
            event: verified.event(),
            transport: Transport::Webhook,
            received,
        };
        let verdict = tokio::time::timeout(self.limits.accept_timeout, self.ingress.accept(event))
            .await
            .map_err(|_| Refusal::Overloaded)?;
        match verdict {
            Verdict::Accepted => {
                let answer = Bytes::from_static(br#"{"code":0,"message":"ok"}"#);
                Ok(self.acknowledge(answer, received))
            }
            Verdict::Answer(answer) => Ok(self.acknowledge(answer, received)),
            Verdict::Refused => Err(Refusal::Overloaded),
        }
    }

    fn acknowledge(&self, answer: Bytes, received: Instant) -> Response<Full<Bytes>> {
        self.stats.accepted.fetch_add(1, Ordering::Relaxed);
        let mut response = json(StatusCode::OK, answer);
        let who: Arc<dyn Told> = self.ingress.clone();
        let act = WhenWritten { who, received };
        response.extensions_mut().insert(act);
        response
    }

    /// A whole body, and the place that it takes while it is held.
    async fn read<B: Incoming>(
        &self,
        body: B,
    ) -> Result<(Bytes, Option<SemaphorePermit<'_>>), Refusal> {
        // A body that says it is too long need not be waited for.
        if body.size_hint().lower() > self.limits.body_bytes_max as u64 {
            return Err(Refusal::TooLarge);
        }
        let read = tokio::time::timeout(self.limits.body_timeout, self.collect(body)).await;
        read.map_err(|_| Refusal::Slow)?
    }

    /// The bytes of a body. Nearly every one comes in one piece, which is not copied.
    async fn collect<B: Incoming>(
        &self,
        mut body: B,
    ) -> Result<(Bytes, Option<SemaphorePermit<'_>>), Refusal> {
        let mut first = Bytes::new();
        let mut all = BytesMut::new();
        let mut place = None;
        while let Some(frame) = body.frame().await {
            // What is not data is trailers.
            let Ok(piece) = frame.map_err(|_| Refusal::Broken)?.into_data() else {
                continue;
            };
            let size = first.len().max(all.len()) + piece.len();
            if size > self.limits.body_bytes_max {
                return Err(Refusal::TooLarge);
            }
            if size > SHORT_BODY_BYTES_MAX && place.is_none() {
                let free = self.places.try_acquire();
                place = Some(free.map_err(|_| Refusal::Crowded)?);
            }
            if first.is_empty() && all.is_empty() {
                first = piece;
                continue;
            }
            all.extend_from_slice(&std::mem::take(&mut first));
            all.extend_from_slice(&piece);
        }
        let whole = if all.is_empty() { first } else { all.freeze() };
        Ok((whole, place))
    }
}

impl<I: Ingress> Told for I {
    fn told(&self, after: Duration) {
        self.acknowledged(after);
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
    /// As many long bodies as there may be are held already.
    Crowded,
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
    fn respond(self, stats: &WebhookStats) -> Response<Full<Bytes>> {
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
            Self::Crowded => (
                StatusCode::SERVICE_UNAVAILABLE,
                "too many long bodies at once; push it again".to_owned(),
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
            Self::Overloaded | Self::Crowded => &stats.refused,
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
        let mut response = message(status, &why);
        if let Self::TooLarge | Self::Crowded | Self::Slow = self {
            // The rest of the body is on the way: nothing can follow on this connection.
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert(header::CONNECTION, close);
        }
        response
    }
}

fn json(status: StatusCode, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}

fn message(status: StatusCode, message: &str) -> Response<Full<Bytes>> {
    let body = serde_json::json!({ "code": status.as_u16(), "message": message });
    json(status, body.to_string().into())
}

fn now() -> UnixMillis {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    UnixMillis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
