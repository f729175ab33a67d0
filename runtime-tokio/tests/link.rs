//! The long connection against a platform of the test's own making, over real
//! sockets.

#![expect(
    clippy::unwrap_used,
    reason = "a helper of a test that can't go on fails the test"
)]

mod support;

use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::{SinkExt as _, StreamExt as _};
use proto_core::conn::LinkState;
use proto_core::{Config, Frame, FrameFields, Header, HostPolicy, Limits, Method};
use runtime_tokio::link::{
    self, Dialer, EndpointAnswer, EndpointSource, LinkOptions, LinkSnapshot, LinkStatus, TlsSource,
};
use runtime_tokio::{InboundEvent, Ingress, Transport, Verdict, WallClock};
use serde_json::json;
use support::{Log, soon, until};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_util::sync::CancellationToken;
use tracing::subscriber::DefaultGuard;

const SERVICE: i32 = 7;
const ACCESS_KEY: &str = "planted-access-key";

/// Gives the URL of the test's listener, and counts how often it is asked.
struct Endpoint {
    address: SocketAddr,
    asked: Arc<AtomicU64>,
}

impl EndpointSource for Endpoint {
    async fn fetch(&self) -> Option<EndpointAnswer> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let url = format!(
            "ws://{}/ws/v2?access_key={ACCESS_KEY}&service_id={SERVICE}",
            self.address
        );
        // Without a nonce the first wait of an outage is none.
        let config = json!({"ReconnectNonce": 0, "ReconnectInterval": 1, "PingInterval": 600});
        let answer = json!({"code": 0, "data": {"URL": url, "ClientConfig": config}});
        Some(EndpointAnswer {
            status: 200,
            body: answer.to_string().into(),
        })
    }
}

/// The application's side. Each event waits for a permit before its verdict.
struct Inbox {
    gate: Semaphore,
    verdict: Verdict,
    /// Payloads, and how they came.
    seen: Mutex<Vec<(String, Transport)>>,
    acknowledged: AtomicU64,
}

impl Inbox {
    fn count(&self) -> usize {
        self.seen.lock().unwrap().len()
    }
}

impl Ingress for Inbox {
    async fn accept(&self, event: InboundEvent<'_>) -> Verdict {
        let payload = String::from_utf8(event.payload.to_vec()).unwrap();
        self.seen.lock().unwrap().push((payload, event.transport));
        self.gate.acquire().await.unwrap().forget();
        self.verdict.clone()
    }

    fn acknowledged(&self, _: Duration) {
        self.acknowledged.fetch_add(1, Ordering::Relaxed);
    }
}

struct Setup {
    core: Config,
    verdict: Verdict,
    permits: usize,
}

impl Default for Setup {
    fn default() -> Self {
        let core = Config {
            hosts: HostPolicy {
                loopback: true,
                also: None,
            },
            // The tests decide when a verdict comes, not a busy machine.
            ack_timeout: support::DEADLINE,
            ..Config::default()
        };
        Self {
            core,
            verdict: Verdict::Accepted,
            permits: Semaphore::MAX_PERMITS,
        }
    }
}

/// A running link, and the listener it dials.
struct Rig {
    listener: TcpListener,
    asked: Arc<AtomicU64>,
    inbox: Arc<Inbox>,
    status: LinkStatus,
    shutdown: CancellationToken,
    running: JoinHandle<()>,
    log: Log,
    _listening: DefaultGuard,
}

impl Setup {
    async fn start(self) -> Rig {
        let (log, listening) = Log::capture();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let asked = Arc::new(AtomicU64::new(0));
        let endpoint = Endpoint {
            address: listener.local_addr().unwrap(),
            asked: Arc::clone(&asked),
        };
        let inbox = Arc::new(Inbox {
            gate: Semaphore::new(self.permits),
            verdict: self.verdict,
            seen: Mutex::default(),
            acknowledged: AtomicU64::new(0),
        });
        let status = LinkStatus::default();
        let shutdown = CancellationToken::new();
        let options = LinkOptions {
            core: self.core,
            dialer: Dialer::tcp(TlsSource::new(|| Err("no TLS in this test".into()))),
            clock: WallClock::default(),
        };
        let running = tokio::spawn(link::run(
            options,
            endpoint,
            Arc::clone(&inbox),
            status.clone(),
            shutdown.clone(),
        ));
        Rig {
            listener,
            asked,
            inbox,
            status,
            shutdown,
            running,
            log,
            _listening: listening,
        }
    }
}

impl Rig {
    /// The platform's end of the next connection, after its first ping.
    async fn accept(&self) -> Peer {
        let (stream, _) = soon("the link dials", self.listener.accept())
            .await
            .unwrap();
        let socket = tokio_tungstenite::accept_async(stream);
        let mut peer = Peer(soon("the handshake", socket).await.unwrap());
        assert_eq!(peer.binary().await, ping(), "a ping comes first");
        peer
    }

    fn now(&self) -> LinkSnapshot {
        self.status.snapshot()
    }

    async fn until(&self, what: &str, condition: impl Fn(&LinkSnapshot) -> bool) {
        until(what, || condition(&self.now())).await;
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.running.abort();
        let log = self.log.text();
        if !std::thread::panicking() {
            assert!(!log.contains(ACCESS_KEY), "the URL's key was logged: {log}");
        }
    }
}

/// The platform's end of one connection.
struct Peer(WebSocketStream<TcpStream>);

impl Peer {
    async fn send(&mut self, message: impl Into<Message>) {
        soon("a message leaves", self.0.send(message.into()))
            .await
            .unwrap();
    }

    async fn send_event(&mut self, id: &str, payload: &[u8]) {
        self.send(Bytes::from(event(id, payload))).await;
    }

    async fn next(&mut self) -> Message {
        soon("a message comes", self.0.next())
            .await
            .unwrap()
            .unwrap()
    }

    /// The next binary message.
    async fn binary(&mut self) -> Bytes {
        let message = self.next().await;
        assert!(message.is_binary(), "not binary: {message:?}");
        message.into_data()
    }

    /// The next acknowledgement: the push's id and the payload.
    async fn ack(&mut self) -> (String, String) {
        let bytes = self.binary().await;
        let frame = Frame::decode(&bytes, &Limits::default()).unwrap();
        assert_eq!(
            (frame.method, frame.header("type")),
            (Method::Data, Some("event"))
        );
        assert!(frame.header("biz_rt").unwrap().parse::<u64>().is_ok());
        let payload = String::from_utf8(frame.payload.unwrap().to_vec()).unwrap();
        (frame.header("message_id").unwrap().to_owned(), payload)
    }

    /// Returns once the link has read everything sent so far; what it sends
    /// before that fails the test.
    async fn nothing_yet(&mut self) {
        self.send(Message::Ping("sync".into())).await;
        assert_eq!(self.next().await, Message::Pong("sync".into()));
    }
}

fn done(id: &str) -> (String, String) {
    (id.to_owned(), r#"{"code":200}"#.to_owned())
}

fn refused(id: &str) -> (String, String) {
    (id.to_owned(), r#"{"code":500}"#.to_owned())
}

fn ping() -> Vec<u8> {
    frame(Method::Control, None, &[("type", "ping")], None)
}

fn event(id: &str, payload: &[u8]) -> Vec<u8> {
    frame(
        Method::Data,
        None,
        &[("type", "event"), ("message_id", id)],
        Some(payload),
    )
}

fn part(id: &str, sum: &str, seq: &str, payload: &[u8]) -> Vec<u8> {
    let headers = [
        ("type", "event"),
        ("message_id", id),
        ("sum", sum),
        ("seq", seq),
    ];
    frame(Method::Data, None, &headers, Some(payload))
}

fn gzipped(id: &str, plain: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(plain).unwrap();
    let packed = encoder.finish().unwrap();
    let headers = [("type", "event"), ("message_id", id)];
    frame(Method::Data, Some("gzip"), &headers, Some(&packed))
}

fn frame(
    method: Method,
    payload_encoding: Option<&str>,
    headers: &[(&str, &str)],
    payload: Option<&[u8]>,
) -> Vec<u8> {
    let fields = FrameFields {
        seq_id: 0,
        log_id: 0,
        service: SERVICE,
        method,
        payload_encoding,
        payload_type: None,
        payload,
        log_id_new: None,
    };
    let mut out = Vec::new();
    let headers = headers.iter().map(|(key, value)| Header { key, value });
    fields.encode(headers, &mut out).unwrap();
    out
}

#[tokio::test]
async fn an_event_is_acknowledged_when_it_is_durable_and_not_before() {
    let rig = Setup {
        permits: 0,
        ..Setup::default()
    }
    .start()
    .await;
    let mut peer = rig.accept().await;
    rig.until("it is open", |link| link.state == LinkState::Open)
        .await;
    peer.send_event("m1", br#"{"schema":"2.0"}"#).await;
    peer.send_event("m2", b"").await;
    until("both are handed up", || rig.inbox.count() == 2).await;
    peer.nothing_yet().await;
    assert_eq!(rig.now().in_flight, 2);

    rig.inbox.gate.add_permits(1);
    assert_eq!(peer.ack().await, done("m1"));
    peer.nothing_yet().await;
    rig.inbox.gate.add_permits(1);
    assert_eq!(peer.ack().await, done("m2"));
    {
        let seen = rig.inbox.seen.lock().unwrap();
        let over_the_link = |payload: &str| (payload.to_owned(), Transport::LongConnection);
        assert_eq!(*seen, [r#"{"schema":"2.0"}"#, ""].map(over_the_link));
    }
    rig.until("nothing is in flight", |link| link.in_flight == 0)
        .await;
    let link = rig.now();
    assert_eq!((link.stats.delivered, link.stats.acknowledged), (2, 2));
    assert!(link.last_event.is_some() && link.last_error.is_none());
}

#[tokio::test]
async fn the_verdict_decides_the_acknowledgement() {
    let answer = Verdict::Answer(Bytes::from_static(br#"{"toast":{}}"#));
    let rows = [
        (Verdict::Accepted, r#"{"code":200}"#),
        (answer, r#"{"code":200,"data":"eyJ0b2FzdCI6e319"}"#),
        (Verdict::Refused, r#"{"code":500}"#),
    ];
    for (verdict, payload) in rows {
        let rig = Setup {
            verdict: verdict.clone(),
            ..Setup::default()
        }
        .start()
        .await;
        let mut peer = rig.accept().await;
        let heard = u64::from(verdict != Verdict::Refused);
        peer.send_event("m1", b"{}").await;
        assert_eq!(peer.ack().await, ("m1".into(), payload.into()));
        // The application hears of it, unless there is nothing to hear.
        let acknowledged = || rig.inbox.acknowledged.load(Ordering::Relaxed);
        until("it is heard of", || acknowledged() == heard).await;
        peer.nothing_yet().await;
        assert_eq!(acknowledged(), heard);
    }
}

#[tokio::test]
async fn acknowledgements_that_are_ready_together_leave_in_one_write() {
    let rig = Setup {
        permits: 0,
        ..Setup::default()
    }
    .start()
    .await;
    let mut peer = rig.accept().await;
    for at in 0..64 {
        peer.send_event(&format!("m{at}"), b"{}").await;
    }
    until("all are handed up", || rig.inbox.count() == 64).await;
    peer.nothing_yet().await;
    let before = rig.now().flushes;
    rig.inbox.gate.add_permits(64);
    for _ in 0..64 {
        assert_eq!(peer.ack().await.1, r#"{"code":200}"#);
    }
    rig.until("all are counted", |link| link.stats.acknowledged == 64)
        .await;
    // 0.016 for each; the goal is 0.03.
    assert_eq!(rig.now().flushes - before, 1);
}

#[tokio::test]
async fn what_is_no_event_is_dropped_and_counted_and_the_link_stays() {
    let rig = Setup::default().start().await;
    let mut peer = rig.accept().await;
    peer.send(Message::text("hello")).await;
    peer.send(Bytes::from_static(b"\xff\xff\xff garbage")).await;
    peer.send(Bytes::new()).await;
    peer.send(Bytes::from(vec![0; 64 << 20])).await;
    peer.send(Bytes::from(frame(
        Method::Data,
        None,
        &[("type", "new-kind")],
        None,
    )))
    .await;
    peer.send(Bytes::from(frame(
        Method::Unknown(9),
        None,
        &[("type", "event")],
        None,
    )))
    .await;
    peer.send(Bytes::from(part("m0", "2", "2", b"{}"))).await;
    peer.send_event("m1", b"{}").await;
    assert_eq!(peer.ack().await, done("m1"));

    rig.until("it is counted", |link| link.stats.acknowledged == 1)
        .await;
    let link = rig.now();
    assert_eq!(
        (link.oversize, link.stats.bad_frames, link.stats.ignored),
        (1, 2, 3)
    );
    assert_eq!((link.stats.discarded, link.stats.delivered), (1, 1));
    assert_eq!((link.stats.opened, link.state), (1, LinkState::Open));
    assert_eq!(rig.inbox.count(), 1);
}

#[tokio::test]
async fn the_parts_of_an_event_arrive_joined_even_across_connections() {
    let rig = Setup::default().start().await;
    let mut peer = rig.accept().await;
    for (seq, text) in [
        ("2", &b"c\"}"[..]),
        ("0", b"{\"a\":\""),
        ("0", b"{\"a\":\""),
        ("1", b"b"),
    ] {
        peer.send(Bytes::from(part("m1", "3", seq, text))).await;
    }
    assert_eq!(peer.ack().await, done("m1"));

    peer.send(Bytes::from(part("m2", "2", "1", b"second")))
        .await;
    peer.nothing_yet().await;
    drop(peer);
    let mut peer = rig.accept().await;
    peer.send(Bytes::from(part("m2", "2", "0", b"first ")))
        .await;
    assert_eq!(peer.ack().await, done("m2"));

    let seen = rig.inbox.seen.lock().unwrap();
    let payloads: Vec<_> = seen.iter().map(|(payload, _)| payload.as_str()).collect();
    assert_eq!(payloads, [r#"{"a":"bc"}"#, "first second"]);
}

#[tokio::test]
async fn compressed_events_are_inflated_within_the_limit() {
    let rig = Setup::default().start().await;
    let mut peer = rig.accept().await;
    let text = r#"{"text":"你好"}"#.repeat(1000);
    peer.send(Bytes::from(gzipped("good", text.as_bytes())))
        .await;
    assert_eq!(peer.ack().await, done("good"));

    let headers = |id| [("type", "event"), ("message_id", id)];
    let broken = frame(
        Method::Data,
        Some("gzip"),
        &headers("broken"),
        Some(b"not gzip"),
    );
    let unknown = frame(Method::Data, Some("zstd"), &headers("unknown"), Some(b"{}"));
    // 64 MiB in 300 KB.
    let bomb = gzipped("bomb", &vec![b' '; 64 << 20]);
    assert!(bomb.len() < 1 << 20);
    for (id, message) in [("bomb", bomb), ("broken", broken), ("unknown", unknown)] {
        peer.send(Bytes::from(message)).await;
        assert_eq!(peer.ack().await, refused(id));
    }
    peer.send_event("after", b"{}").await;
    assert_eq!(peer.ack().await, done("after"));

    let seen = rig.inbox.seen.lock().unwrap();
    let payloads: Vec<_> = seen.iter().map(|(payload, _)| payload.as_str()).collect();
    assert_eq!(payloads, [text.as_str(), "{}"]);
}

#[tokio::test]
async fn a_link_that_ends_is_replaced() {
    let rig = Setup::default().start().await;
    let mut peer = rig.accept().await;
    let normal = CloseFrame {
        code: CloseCode::Normal,
        reason: "moving".into(),
    };
    peer.0.close(Some(normal)).await.unwrap();

    // A connection that breaks without a word.
    let peer = rig.accept().await;
    drop(peer);

    let mut peer = rig.accept().await;
    peer.send_event("m1", b"{}").await;
    assert_eq!(peer.ack().await, done("m1"));
    assert_eq!(
        rig.asked.load(Ordering::Relaxed),
        3,
        "each attempt asks for a URL"
    );
    assert!(rig.log.text().contains("Peer(Some(1000))"));
}

#[tokio::test]
async fn a_deaf_link_and_a_hanging_dial_are_given_up() {
    let mut setup = Setup::default();
    // Long enough for a busy machine to answer within it.
    setup.core.pong_timeout = Duration::from_secs(1);
    setup.core.connect_timeout = Duration::from_secs(1);
    let rig = setup.start().await;
    // Open, then silent: nothing is read and nothing is answered.
    let deaf = rig.accept().await;
    // Taken by the kernel, never answered.
    let (hanging, _) = soon("a new dial", rig.listener.accept()).await.unwrap();
    let mut peer = rig.accept().await;
    peer.send_event("m1", b"{}").await;
    assert_eq!(peer.ack().await, done("m1"));
    let log = rig.log.text();
    assert!(
        log.contains("PongTimeout") && log.contains("ConnectTimeout"),
        "{log}"
    );
    drop((deaf, hanging));
}

/// Answers a handshake with these lines.
async fn answer_handshake(rig: &Rig, answer: &str) {
    let (mut stream, _) = soon("the link dials", rig.listener.accept()).await.unwrap();
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        request.push(soon("the request", stream.read_u8()).await.unwrap());
    }
    stream.write_all(answer.as_bytes()).await.unwrap();
    // The client is the first to close, so that nothing is lost.
    let _ = soon("the client closes", stream.read_to_end(&mut request)).await;
}

#[tokio::test]
async fn a_refusal_that_is_final_ends_all_dialling() {
    let rig = Setup::default().start().await;
    let transient = [
        "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 4\r\n\r\nbusy",
        // A proxy's 403, not the platform's.
        "HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 500 Oops\r\nHandshake-Status: 500\r\ncontent-length: 0\r\n\r\n",
        "not HTTP\r\n\r\n",
    ];
    for answer in transient {
        answer_handshake(&rig, answer).await;
    }
    let last = "HTTP/1.1 403 Forbidden\r\nHandshake-Status: 403\r\nHandshake-Msg: no\r\n\r\n";
    answer_handshake(&rig, last).await;
    rig.until("it gives up", |link| link.state == LinkState::Fatal)
        .await;
    assert!(rig.now().last_error.unwrap().contains("403"));
    assert_eq!(rig.asked.load(Ordering::Relaxed), 5);

    // A longer wait than any that is left would be.
    let again = tokio::time::timeout(Duration::from_secs(2), rig.listener.accept()).await;
    assert!(again.is_err(), "it dialled again");
    assert_eq!(rig.asked.load(Ordering::Relaxed), 5);
    assert!(!rig.running.is_finished());
    rig.shutdown.cancel();
    until("it returns", || rig.running.is_finished()).await;
}

#[tokio::test]
async fn shutdown_answers_what_is_in_flight_then_says_goodbye() {
    let rig = Setup {
        permits: 0,
        ..Setup::default()
    }
    .start()
    .await;
    let mut peer = rig.accept().await;
    peer.send_event("m1", b"{}").await;
    peer.send_event("m2", b"{}").await;
    until("both are handed up", || rig.inbox.count() == 2).await;
    rig.shutdown.cancel();
    tokio::task::yield_now().await;
    assert!(!rig.running.is_finished());
    rig.inbox.gate.add_permits(2);

    let mut acks = [peer.ack().await, peer.ack().await];
    acks.sort();
    assert_eq!(acks, [done("m1"), done("m2")]);
    let Message::Close(Some(frame)) = peer.next().await else {
        panic!("no close frame")
    };
    assert_eq!(frame.code, CloseCode::Normal);
    // Reading on sends the answer.
    assert!(soon("the end", peer.0.next()).await.is_none());
    until("it returns", || rig.running.is_finished()).await;
    assert_eq!(rig.now().state, LinkState::Closed);
    assert_eq!(rig.asked.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn shutdown_waits_for_nobody_for_ever() {
    // The inbox never decides and the platform never answers the close frame.
    let rig = Setup {
        permits: 0,
        ..Setup::default()
    }
    .start()
    .await;
    let mut peer = rig.accept().await;
    peer.send_event("m1", b"{}").await;
    until("it is handed up", || rig.inbox.count() == 1).await;
    rig.shutdown.cancel();
    until("it returns", || rig.running.is_finished()).await;
    assert!(matches!(peer.next().await, Message::Close(Some(_))));

    // The platform takes the connection and says nothing.
    let rig = Setup::default().start().await;
    let hanging = soon("a dial", rig.listener.accept()).await.unwrap();
    rig.shutdown.cancel();
    until("it returns", || rig.running.is_finished()).await;
    drop(hanging);
}
