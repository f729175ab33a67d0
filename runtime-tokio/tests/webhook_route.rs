//! The event route over real sockets: what gets in, what is turned away and
//! with which status, and that nothing turned away reaches the application.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a helper of a test that can't go on fails the test"
)]

mod support;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::http::Request;
use axum::routing::get;
use bytes::Bytes;
use http_body_util::{Full, StreamBody};
use hyper::body::Frame;
use proto_core::Verifier;
use reqwest::{Client, Method, Response};
use runtime_tokio::server::{ServerLimits, serve};
use runtime_tokio::webhook::{
    EventRoute, EventRoutes, Incoming, SHORT_BODY_BYTES_MAX, WebhookLimits, WebhookStats, disabled,
};
use runtime_tokio::{InboundEvent, Ingress, Transport, Verdict};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use support::{Log, soon, until};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::subscriber::DefaultGuard;

type Headers<'a> = &'a [(&'a str, &'a str)];

const PATH: &str = "/feishu/events";
const TOKEN: &str = "vt_Xq7mN2pL9sK4wR8tY1zB";
const KEY: &str = "Kx7pQ2vN9mT4sR8wZ1yB6cD3";
const VECTORS: &str = include_str!("../../vectors/webhook_crypto.json");

/// The application's side: remembers what it was given.
struct Inbox {
    /// `None` never answers.
    verdict: Option<Verdict>,
    /// Payloads, and how they came.
    seen: Mutex<Vec<(String, Transport)>>,
    acknowledged: AtomicU64,
}

impl Ingress for Inbox {
    async fn accept(&self, event: InboundEvent<'_>) -> Verdict {
        let payload = String::from_utf8(event.payload.to_vec()).unwrap();
        self.seen.lock().unwrap().push((payload, event.transport));
        match &self.verdict {
            Some(verdict) => verdict.clone(),
            None => std::future::pending().await,
        }
    }

    fn acknowledged(&self, _: Duration) {
        self.acknowledged.fetch_add(1, Ordering::Relaxed);
    }
}

/// A server with the route, and everything to look at it with.
struct Rig {
    address: SocketAddr,
    http: Client,
    inbox: Arc<Inbox>,
    stats: Arc<WebhookStats>,
    log: Log,
    stop: CancellationToken,
    _listening: DefaultGuard,
}

#[derive(Clone)]
struct Setup {
    key: Option<&'static str>,
    verdict: Option<Verdict>,
    webhook: WebhookLimits,
    server: ServerLimits,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            key: None,
            verdict: Some(Verdict::Accepted),
            webhook: WebhookLimits::default(),
            server: ServerLimits::default(),
        }
    }
}

impl Setup {
    async fn start(self) -> Rig {
        let (log, listening) = Log::capture();
        let inbox = Arc::new(Inbox {
            verdict: self.verdict,
            seen: Mutex::default(),
            acknowledged: AtomicU64::new(0),
        });
        let stats = Arc::new(WebhookStats::default());
        let verifier = Verifier::new(Some(TOKEN), self.key).unwrap();
        let route = EventRoute::new(
            verifier,
            Arc::clone(&inbox),
            self.webhook,
            Arc::clone(&stats),
        );
        let routes = EventRoutes::new([(PATH, route)], disabled(&["/disabled"]));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        tokio::spawn(serve(listener, routes, self.server, stop.clone()));
        let http = runtime_tokio::http::loopback_client().unwrap();
        Rig {
            address,
            http,
            inbox,
            stats,
            log,
            stop,
            _listening: listening,
        }
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Rig {
    async fn post(&self, body: impl Into<Bytes>, headers: Headers<'_>) -> Response {
        let url = format!("http://{}{PATH}", self.address);
        let body: Bytes = body.into();
        let request = self.http.request(Method::POST, url).body(body);
        let request = headers.iter().fold(request, |request, (name, value)| {
            request.header(*name, *value)
        });
        soon("an answer", request.send()).await.unwrap()
    }

    /// A request as the platform signs it, `age_s` ago.
    async fn post_signed(&self, body: &str, age_s: i64) -> Response {
        let headers = signature(body, age_s);
        let headers = [
            ("x-lark-request-timestamp", headers.0.as_str()),
            ("x-lark-request-nonce", "3100944631"),
            ("x-lark-signature", headers.1.as_str()),
        ];
        self.post(body.to_owned(), &headers).await
    }

    fn payloads(&self) -> Vec<String> {
        let seen = self.inbox.seen.lock().unwrap();
        seen.iter().map(|(payload, _)| payload.clone()).collect()
    }

    /// Counts of accepted, challenges, rejected and refused.
    fn counts(&self) -> [u64; 4] {
        let stats = &self.stats;
        [
            &stats.accepted,
            &stats.challenges,
            &stats.rejected,
            &stats.refused,
        ]
        .map(|count| count.load(Ordering::Relaxed))
    }

    fn assert_no_secret_was_logged(&self) {
        let log = self.log.text();
        assert!(!log.contains(TOKEN) && !log.contains(KEY), "{log}");
    }
}

/// Timestamp and signature over `body`, `age_s` seconds old.
fn signature(body: &str, age_s: i64) -> (String, String) {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let timestamp = (i64::try_from(now).unwrap() - age_s).to_string();
    let mut hash = Sha256::new();
    for part in [&timestamp, "3100944631", KEY, body] {
        hash.update(part);
    }
    let hex = hash
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    (timestamp, hex)
}

/// The body and the plaintext of one of the crypto vectors.
fn vector(name: &str) -> (String, String) {
    let all: Value = serde_json::from_str(VECTORS).unwrap();
    let vectors = all["vectors"].as_array().unwrap();
    let vector = vectors
        .iter()
        .find(|vector| vector["name"] == name)
        .unwrap();
    let text = |field: &str| vector[field].as_str().unwrap().to_owned();
    (text("body"), text("plaintext"))
}

fn event(token: &str) -> String {
    json!({
        "schema": "2.0",
        "header": {"event_id": "e1", "token": token, "event_type": "im.message.receive_v1"},
        "event": {"message": {"message_id": "om_1"}}
    })
    .to_string()
}

async fn json_of(response: Response) -> Value {
    assert_eq!(response.headers()["content-type"], "application/json");
    serde_json::from_slice(&soon("a body", response.bytes()).await.unwrap()).unwrap()
}

#[tokio::test]
async fn plain_requests_that_fail_a_check_are_refused_with_a_reason() {
    let webhook = WebhookLimits {
        body_bytes_max: 4096,
        ..WebhookLimits::default()
    };
    let rig = Setup {
        webhook,
        ..Setup::default()
    }
    .start()
    .await;
    let wrong_challenge = json!({"type": "url_verification", "challenge": "c", "token": "wrong"});
    let (encrypted, _) = vector("message_cjk_emoji");
    let padded = format!("{}{}", event(TOKEN), " ".repeat(4096));
    let rows: &[(&str, &str, Headers<'_>, u16, &str)] = &[
        ("empty", "", &[], 400, "not JSON"),
        ("not JSON", "{\"schema\":", &[], 400, "not JSON"),
        ("not UTF-8 text", "\u{0}", &[], 400, "not JSON"),
        (
            "wrong token",
            &event("planted-wrong"),
            &[],
            401,
            "invalid verification token",
        ),
        (
            "no token",
            "{\"event\":{}}",
            &[],
            401,
            "invalid verification token",
        ),
        (
            "challenge",
            &wrong_challenge.to_string(),
            &[],
            401,
            "invalid verification token",
        ),
        ("encrypted", &encrypted, &[], 401, "no encrypt_key_env"),
        (
            "gzip",
            &event(TOKEN),
            &[("content-encoding", "gzip")],
            415,
            "compressed",
        ),
        (
            "identity",
            &event(TOKEN),
            &[("content-encoding", "identity")],
            415,
            "compressed",
        ),
        ("too large", &padded, &[], 413, "too large"),
    ];
    for (name, body, headers, status, message) in rows {
        let response = rig.post((*body).to_owned(), headers).await;
        assert_eq!(response.status(), *status, "{name}");
        let answer = json_of(response).await;
        assert_eq!(answer["code"], *status, "{name}");
        let said = answer["message"].as_str().unwrap();
        assert!(said.contains(message), "{name}: {said}");
        assert!(
            rig.log.text().contains(said),
            "{name}: the log does not say why"
        );
    }
    assert!(rig.log.text().contains("invalid verification token"));
    assert!(
        !rig.log.text().contains("planted-wrong"),
        "a token that was tried was logged"
    );
    assert_eq!(rig.payloads(), Vec::<Bytes>::new());
    assert_eq!(rig.counts(), [0, 0, rows.len() as u64, 0]);
    rig.assert_no_secret_was_logged();
}

#[tokio::test]
async fn signed_requests_that_fail_a_check_are_refused_with_a_reason() {
    let rig = Setup {
        key: Some(KEY),
        ..Setup::default()
    }
    .start()
    .await;
    let (body, _) = vector("message_cjk_emoji");
    let (timestamp, good) = signature(&body, 0);
    let (other_time, _) = signature(&body, 1);
    let headers = |timestamp, signature| {
        [
            ("x-lark-request-timestamp", timestamp),
            ("x-lark-request-nonce", "3100944631"),
            ("x-lark-signature", signature),
        ]
    };
    let zeros = "0".repeat(64);
    let bad = headers(timestamp.as_str(), zeros.as_str());
    let moved = headers(other_time.as_str(), good.as_str());
    let cut = headers(timestamp.as_str(), &good[..63]);
    let rows: &[(&str, Headers<'_>, &str)] = &[
        ("bad signature", &bad, "bad signature"),
        ("another timestamp", &moved, "bad signature"),
        ("a short signature", &cut, "bad signature"),
        ("no signature at all", &[], "signature header is missing"),
        ("half the headers", &bad[..2], "signature header is missing"),
    ];
    for (name, headers, message) in rows {
        let response = rig.post(body.clone(), headers).await;
        assert_eq!(response.status(), 401, "{name}");
        let answer = json_of(response).await.to_string();
        assert!(answer.contains(message), "{name}: {answer}");
    }
    for (name, age_s) in [("a day old", 86_400), ("from tomorrow", -86_400)] {
        let response = rig.post_signed(&body, age_s).await;
        assert_eq!(response.status(), 401, "{name}");
        assert!(
            json_of(response).await.to_string().contains("stale"),
            "{name}"
        );
    }
    let unencrypted = rig.post_signed(&event(TOKEN), 0).await;
    assert_eq!(unencrypted.status(), 401);
    let garbage = json!({"encrypt": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}).to_string();
    assert_eq!(rig.post_signed(&garbage, 0).await.status(), 400);

    assert_eq!(rig.payloads(), Vec::<Bytes>::new());
    assert_eq!(rig.counts(), [0, 0, rows.len() as u64 + 4, 0]);
    rig.assert_no_secret_was_logged();
    assert!(!rig.log.text().contains(&good), "a signature was logged");
}

#[tokio::test]
async fn only_post_is_taken() {
    let rig = Setup::default().start().await;
    for method in [Method::GET, Method::PUT, Method::DELETE, Method::PATCH] {
        let url = format!("http://{}{PATH}", rig.address);
        let request = rig.http.request(method.clone(), url).body(event(TOKEN));
        let response = soon("an answer", request.send()).await.unwrap();
        assert_eq!(response.status(), 405, "{method}");
        assert_eq!(response.headers()["allow"], "POST", "{method}");
    }
    assert_eq!(rig.payloads(), Vec::<Bytes>::new());
}

#[tokio::test]
async fn authentic_events_reach_the_application_decrypted() {
    let rig = Setup::default().start().await;
    let response = rig.post(event(TOKEN), &[]).await;
    assert_eq!(response.status(), 200);
    assert_eq!(rig.payloads(), [event(TOKEN)]);
    assert_eq!(rig.inbox.seen.lock().unwrap()[0].1, Transport::Webhook);
    assert_eq!(rig.counts(), [1, 0, 0, 0]);
    rig.assert_no_secret_was_logged();
    drop(rig);

    let rig = Setup {
        key: Some(KEY),
        ..Setup::default()
    }
    .start()
    .await;
    let (body, plaintext) = vector("message_cjk_emoji");
    for age_s in [0, 3600] {
        assert_eq!(
            rig.post_signed(&body, age_s).await.status(),
            200,
            "{age_s} s old"
        );
    }
    assert_eq!(rig.payloads(), [plaintext.clone(), plaintext]);
    assert_eq!(rig.counts(), [2, 0, 0, 0]);
    rig.assert_no_secret_was_logged();
}

#[tokio::test]
async fn challenges_are_answered_and_go_no_further() {
    let plain = Setup::default().start().await;
    for challenge in [
        "1b6aef1a-401f",
        "a \"quoted\" \\ back\nslash",
        "你好 🙂 \u{1}",
        "",
    ] {
        let body = json!({"type": "url_verification", "challenge": challenge, "token": TOKEN});
        let response = plain.post(body.to_string(), &[]).await;
        assert_eq!(response.status(), 200, "{challenge}");
        assert_eq!(json_of(response).await, json!({"challenge": challenge}));
    }
    assert_eq!(plain.payloads(), Vec::<Bytes>::new());
    assert_eq!(plain.counts(), [0, 4, 0, 0]);
    drop(plain);

    // The platform does not sign this one request.
    let encrypted = Setup {
        key: Some(KEY),
        ..Setup::default()
    }
    .start()
    .await;
    let (body, plaintext) = vector("url_verification");
    let plaintext: Value = serde_json::from_str(&plaintext).unwrap();
    let response = encrypted.post(body.clone(), &[]).await;
    assert_eq!(response.status(), 200);
    assert_eq!(
        json_of(response).await,
        json!({"challenge": plaintext["challenge"]})
    );
    assert_eq!(encrypted.post_signed(&body, 0).await.status(), 200);
    assert_eq!(encrypted.payloads(), Vec::<Bytes>::new());
    assert_eq!(encrypted.counts(), [0, 2, 0, 0]);
    encrypted.assert_no_secret_was_logged();
}

#[tokio::test]
async fn the_verdict_decides_the_answer() {
    let card = Bytes::from_static(br#"{"toast":{"type":"info","content":"ok"}}"#);
    let rows = [
        ("accepted", Some(Verdict::Accepted), 200, None, [1, 0, 0, 0]),
        (
            "answered",
            Some(Verdict::Answer(card.clone())),
            200,
            Some(card),
            [1, 0, 0, 0],
        ),
        ("refused", Some(Verdict::Refused), 503, None, [0, 0, 0, 1]),
        ("hangs", None, 503, None, [0, 0, 0, 1]),
    ];
    for (name, verdict, status, exactly, counts) in rows {
        let webhook = WebhookLimits {
            accept_timeout: Duration::from_millis(100),
            ..WebhookLimits::default()
        };
        let rig = Setup {
            verdict,
            webhook,
            ..Setup::default()
        }
        .start()
        .await;
        let response = rig.post(event(TOKEN), &[]).await;
        assert_eq!(response.status(), status, "{name}");
        let body = response.bytes().await.unwrap();
        if let Some(exactly) = exactly {
            assert_eq!(body, exactly, "{name}");
        }
        assert_eq!(rig.payloads().len(), 1, "{name}");
        assert_eq!(rig.counts(), counts, "{name}");
        // The application hears of what was acknowledged.
        let acknowledged = || rig.inbox.acknowledged.load(Ordering::Relaxed);
        until("it is heard of", || acknowledged() == counts[0]).await;
    }
}

#[tokio::test]
async fn the_route_says_that_it_is_disabled() {
    let rig = Setup::default().start().await;
    let url = format!("http://{}/disabled", rig.address);
    let response = rig.http.post(url).body(event(TOKEN)).send().await.unwrap();
    assert_eq!(response.status(), 503);
    assert!(
        json_of(response).await["message"]
            .as_str()
            .unwrap()
            .contains("transport")
    );
    assert_eq!(rig.payloads(), Vec::<Bytes>::new());
}

/// Everything that comes until the other side closes.
async fn read_to_close(stream: &mut (impl tokio::io::AsyncRead + Unpin)) -> String {
    let mut answer = Vec::new();
    // A reset is a close too: the server does not read what it refused.
    let _ = soon("the server closes", stream.read_to_end(&mut answer)).await;
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn bodies_that_do_not_end_are_cut_off() {
    let webhook = WebhookLimits {
        body_timeout: Duration::from_millis(200),
        body_bytes_max: 1000,
        ..WebhookLimits::default()
    };
    let rig = Setup {
        webhook,
        ..Setup::default()
    }
    .start()
    .await;
    let long = format!(
        "transfer-encoding: chunked\r\n\r\n3e9\r\n{}",
        "{".repeat(1001)
    );
    let rows = [
        ("stops", "content-length: 100\r\n\r\n{\"sch", "408"),
        (
            "chunks stop",
            "transfer-encoding: chunked\r\n\r\n4\r\n{\"sc\r\n",
            "408",
        ),
        ("grows too long", &long, "413"),
    ];
    for (name, rest, status) in rows {
        let mut stream = TcpStream::connect(rig.address).await.unwrap();
        let request = format!("POST {PATH} HTTP/1.1\r\nhost: x\r\n{rest}");
        stream.write_all(request.as_bytes()).await.unwrap();
        let answer = read_to_close(&mut stream).await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{name}: {answer}"
        );
    }
    assert_eq!(rig.payloads(), Vec::<Bytes>::new());
    assert_eq!(rig.counts(), [0, 0, rows.len() as u64, 0]);
}

/// A request whose body comes piece by piece: when there is room for the next, the last was taken.
fn in_pieces() -> (mpsc::Sender<String>, Request<impl Incoming>) {
    let (pieces, coming) = mpsc::channel::<String>(1);
    let body = futures_util::stream::unfold(coming, async |mut coming| {
        let piece = Bytes::from(coming.recv().await?);
        Some((Ok::<_, Infallible>(Frame::data(piece)), coming))
    });
    (pieces, Request::new(StreamBody::new(Box::pin(body))))
}

#[tokio::test]
async fn only_so_many_long_bodies_are_held_at_once_and_short_ones_come_by() {
    let _log = Log::capture();
    let limits = WebhookLimits {
        long_bodies_max: 1,
        ..WebhookLimits::default()
    };
    let inbox = Arc::new(Inbox {
        verdict: Some(Verdict::Accepted),
        seen: Mutex::default(),
        acknowledged: AtomicU64::new(0),
    });
    let verifier = Verifier::new(Some(TOKEN), None).unwrap();
    let stats = Arc::new(WebhookStats::default());
    let route = EventRoute::new(verifier, inbox, limits, Arc::clone(&stats));
    let post = async |body: String| {
        let request = Request::new(Full::new(Bytes::from(body)));
        route.answer(request).await.status().as_u16()
    };
    let long = format!("{}{}", event(TOKEN), " ".repeat(SHORT_BODY_BYTES_MAX));

    let (pieces, request) = in_pieces();
    let held = tokio::spawn({
        let route = route.clone();
        async move { route.answer(request).await.status().as_u16() }
    });
    pieces.send(long.clone()).await.unwrap();
    let room = pieces.reserve().await.unwrap();
    assert_eq!(post(long.clone()).await, 503);
    assert_eq!(post(event(TOKEN)).await, 200);

    room.send(" ".to_owned());
    drop(pieces);
    assert_eq!(soon("the body has ended", held).await.unwrap(), 200);
    assert_eq!(post(long).await, 200);
    assert_eq!(stats.refused.load(Ordering::Relaxed), 1);
    assert_eq!(stats.accepted.load(Ordering::Relaxed), 3);
}

#[tokio::test]
async fn a_client_that_never_ends_its_headers_is_cut_off_and_delays_nobody() {
    let server = ServerLimits {
        header_timeout: Duration::from_millis(500),
        connections_max: 3,
        ..ServerLimits::default()
    };
    let rig = Setup {
        server,
        ..Setup::default()
    }
    .start()
    .await;
    let slow = TcpStream::connect(rig.address).await.unwrap();
    let (mut answer, mut request) = slow.into_split();
    let start = format!("POST {PATH} HTTP/1.1\r\nhost: x\r\n");
    request.write_all(start.as_bytes()).await.unwrap();
    let trickle = tokio::spawn(async move {
        let mut pace = tokio::time::interval(Duration::from_millis(20));
        // A byte at a time, until the server has had enough.
        while request.write_all(b"a").await.is_ok() {
            pace.tick().await;
        }
    });
    // One that says nothing at all takes a place too.
    let mut silent = TcpStream::connect(rig.address).await.unwrap();

    for _ in 0..3 {
        assert_eq!(rig.post(event(TOKEN), &[]).await.status(), 200);
    }
    let said = read_to_close(&mut answer).await;
    assert!(
        said.is_empty() || said.starts_with("HTTP/1.1 408 "),
        "{said}"
    );
    drop(answer);
    soon("the slow client notices", trickle).await.unwrap();
    assert_eq!(read_to_close(&mut silent).await, "");
    assert_eq!(rig.post(event(TOKEN), &[]).await.status(), 200);
    assert_eq!(rig.payloads().len(), 4);
}

#[tokio::test]
async fn a_client_that_reads_no_answers_is_cut_off_and_its_place_is_anothers() {
    /// More than the buffers between the two hold.
    const ANSWERS: usize = 64;
    let _log = Log::capture();
    let limits = ServerLimits {
        write_timeout: Duration::from_millis(500),
        connections_max: 1,
        ..ServerLimits::default()
    };
    let routes = Router::new().route("/large", get(async || vec![0_u8; 1 << 20]));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let server = tokio::spawn(serve(listener, routes, limits, stop.clone()));
    let mut deaf = TcpStream::connect(address).await.unwrap();
    let request = "GET /large HTTP/1.1\r\nhost: x\r\n\r\n";
    let requests = request.repeat(ANSWERS);
    deaf.write_all(requests.as_bytes()).await.unwrap();
    let mut next = TcpStream::connect(address).await.unwrap();
    next.write_all(request.as_bytes()).await.unwrap();
    let mut status = [0; 12];
    soon("the next is answered", next.read_exact(&mut status))
        .await
        .unwrap();
    assert_eq!(&status, b"HTTP/1.1 200");
    drop((deaf, next));
    stop.cancel();
    soon("the server stops", server).await.unwrap();
}

#[tokio::test]
async fn a_full_server_stops_within_its_bound_and_takes_its_clients_along() {
    let _log = Log::capture();
    // Full, and nearly so: where the accepting loop waits is not the same.
    for connections_max in [2, 3] {
        let limits = ServerLimits {
            connections_max,
            stop_timeout: Duration::from_millis(100),
            ..ServerLimits::default()
        };
        let (entered, mut handlers) = mpsc::channel(2);
        let hang = async move || {
            entered.send(()).await.unwrap();
            std::future::pending::<()>().await;
        };
        let routes = Router::new().route("/hang", get(hang));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let server = tokio::spawn(serve(listener, routes, limits, stop.clone()));
        let mut clients = Vec::new();
        for _ in 0..2 {
            let mut client = TcpStream::connect(address).await.unwrap();
            let request = b"GET /hang HTTP/1.1\r\nhost: x\r\n\r\n";
            client.write_all(request).await.unwrap();
            soon("a handler runs", handlers.recv()).await.unwrap();
            clients.push(client);
        }
        stop.cancel();
        soon("the server stops", server).await.unwrap();
        for client in &mut clients {
            assert_eq!(read_to_close(client).await, "", "{connections_max} places");
        }
    }
}
