//! The load script: a bare platform on loopback, the real daemon, and figures.
//!
//! ```sh
//! cargo build --release -p xiaoo-app
//! cargo run --release -p benches --bin load -- target/release/xiaoo-app
//! ```
//!
//! It plays the platform with as little code as possible, so that the figures
//! are the daemon's: an endpoint, a websocket, OpenAPI calls that answer at
//! once or after a set delay, and a scripted model. Both sides share this
//! machine's cores.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::State;
use axum::http::{Request, header};
use axum::response::{IntoResponse, Response};
use futures_util::{SinkExt as _, StreamExt as _};
use model_sim::{ModelSim, ModelSimConfig};
use proto_core::{Frame, FrameFields, Header, Limits, Method};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

type Failure = Box<dyn std::error::Error>;
type Socket = WebSocketStream<TcpStream>;

const CHATS: u64 = 50;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let binary = std::env::args().nth(1).map(PathBuf::from);
    let binary = binary.ok_or("usage: load PATH-OF-xiaoo-app")?;
    say(
        "daemon",
        &format!("{} bytes", std::fs::metadata(&binary)?.len()),
    );
    long_connection(&binary).await?;
    webhook(&binary).await
}

async fn long_connection(binary: &Path) -> Result<(), Failure> {
    let platform = Platform::start(Duration::ZERO).await?;
    let starts = start_times(binary, &platform).await?;
    say(
        "start to first 200 on /api/v1/health, 20 starts",
        &spread(&starts),
    );

    platform.state.tokens.store(0, Ordering::Relaxed);
    let daemon = Daemon::start(binary, &platform, "websocket").await?;
    let mut socket = platform.accept().await?;
    tokio::time::sleep(Duration::from_secs(2)).await;
    say("idle resident memory, connected", &daemon.memory()?);

    let mut latencies = paced(&mut socket, 2000, 200).await?;
    say(
        "durable acknowledgement at 200 events/s, 2,000 events",
        &percentiles(&mut latencies),
    );
    daemon.settle().await?;
    say(
        "resident memory after 2,000 turns in 50 chats",
        &daemon.memory()?,
    );

    let before = daemon.writes().await?;
    let mut latencies = burst(&mut socket, 2000).await?;
    let after = daemon.writes().await?;
    say(
        "burst of 2,000 frames on one connection",
        &percentiles(&mut latencies),
    );
    let (writes, acks) = (after.0 - before.0, after.1 - before.1);
    #[expect(clippy::cast_precision_loss, reason = "a ratio for people")]
    let ratio = writes as f64 / acks.max(1) as f64;
    say(
        "writes for those acknowledgements",
        &format!("{writes} for {acks}, {ratio:.3} each"),
    );
    daemon.settle().await?;
    say("resident memory after that", &daemon.memory()?);
    say(
        "tenant token requests in all this",
        &platform.state.tokens.load(Ordering::Relaxed).to_string(),
    );
    Ok(())
}

async fn webhook(binary: &Path) -> Result<(), Failure> {
    let mut medians = Vec::new();
    for delay in [Duration::ZERO, Duration::from_secs(1)] {
        let platform = Platform::start(delay).await?;
        let daemon = Daemon::start(binary, &platform, "webhook").await?;
        let client = runtime_tokio::http::loopback_client()?;
        let url = format!("{}/api/v1/channels/feishu/events", daemon.base());
        // The bot's identity is asked at start and also takes `delay`.
        tokio::time::sleep(delay + Duration::from_millis(500)).await;
        let mut latencies = Vec::new();
        for number in 0..300 {
            let body = message_event(number, &unique("hook"));
            let begun = Instant::now();
            let answer = client.post(&url).body(body).send().await?;
            latencies.push(begun.elapsed());
            if answer.status() != 200 {
                return Err(format!("the webhook answered {}", answer.status()).into());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let name = format!("webhook 200, every outgoing call answered after {delay:?}");
        say(&name, &percentiles(&mut latencies));
        medians.push(at(&latencies, 0.5).as_secs_f64());
    }
    if let [free, hindered] = medians[..] {
        say(
            "p50 hindered over unhindered",
            &format!("{:.2}", hindered / free),
        );
    }
    Ok(())
}

async fn start_times(binary: &Path, platform: &Platform) -> Result<Vec<Duration>, Failure> {
    let mut times = Vec::new();
    for _ in 0..20 {
        let begun = Instant::now();
        let daemon = Daemon::start(binary, platform, "websocket").await?;
        times.push(begun.elapsed());
        drop(daemon);
    }
    while let Ok(accepted) =
        tokio::time::timeout(Duration::from_millis(50), platform.accept()).await
    {
        // Some of these daemons ended in the middle of their handshake.
        drop(accepted);
    }
    Ok(times)
}

/// Sends `count` events at `rate` a second and returns how long each
/// acknowledgement took.
async fn paced(socket: &mut Socket, count: u64, rate: u64) -> Result<Vec<Duration>, Failure> {
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / u32::try_from(rate)?);
    let mut sent = HashMap::new();
    let mut latencies = Vec::new();
    let mut next = 0;
    let run = unique("paced");
    while latencies.len() < usize::try_from(count)? {
        tokio::select! {
            _ = ticks.tick(), if next < count => {
                sent.insert(next, Instant::now());
                socket.send(event_frame(next, &run)).await?;
                next += 1;
            }
            message = socket.next() => take_ack(message, &sent, &mut latencies)?,
        }
    }
    Ok(latencies)
}

async fn burst(socket: &mut Socket, count: u64) -> Result<Vec<Duration>, Failure> {
    let run = unique("burst");
    let frames: Vec<_> = (0..count).map(|number| event_frame(number, &run)).collect();
    let begun = Instant::now();
    let sent: HashMap<u64, Instant> = (0..count).map(|number| (number, begun)).collect();
    let mut latencies = Vec::new();
    for frame in frames {
        socket.feed(frame).await?;
    }
    socket.flush().await?;
    while latencies.len() < usize::try_from(count)? {
        take_ack(socket.next().await, &sent, &mut latencies)?;
    }
    Ok(latencies)
}

fn take_ack(
    message: Option<Result<Message, tokio_tungstenite::tungstenite::Error>>,
    sent: &HashMap<u64, Instant>,
    latencies: &mut Vec<Duration>,
) -> Result<(), Failure> {
    let message = message.ok_or("the daemon closed the link")??;
    let Message::Binary(bytes) = message else {
        return Ok(());
    };
    let frame = Frame::decode(&bytes, &Limits::default())?;
    if frame.method == Method::Control {
        return Ok(());
    }
    if frame.payload != Some(br#"{"code":200}"#) {
        return Err(format!("refused: {:?}", frame.payload.map(String::from_utf8_lossy)).into());
    }
    let id = frame
        .header("message_id")
        .ok_or("an acknowledgement without message_id")?;
    let number = id.rsplit('-').next().and_then(|digits| digits.parse().ok());
    let begun = number.and_then(|number: u64| sent.get(&number));
    latencies.push(
        begun
            .ok_or("an acknowledgement nobody asked for")?
            .elapsed(),
    );
    Ok(())
}

fn event_frame(number: u64, run: &str) -> Message {
    let payload = message_event(number, run);
    let id = format!("{run}-{number}");
    let headers = [
        ("timestamp", "1772445600000"),
        ("type", "event"),
        ("message_id", id.as_str()),
        ("sum", "1"),
        ("seq", "0"),
        ("trace_id", "0123456789abcdef0123456789abcdef"),
        ("instance_id", "gateway-1"),
    ];
    let mut out = Vec::new();
    let fields = FrameFields {
        seq_id: number,
        log_id: number,
        service: 1,
        method: Method::Data,
        payload_encoding: None,
        payload_type: None,
        payload: Some(payload.as_bytes()),
        log_id_new: Some("log"),
    };
    // A Vec has room for everything.
    let _ = fields.encode(headers.map(|(key, value)| Header { key, value }), &mut out);
    Message::binary(out)
}

/// A direct message of about 1.2 KB in one of the chats.
fn message_event(number: u64, run: &str) -> String {
    let text = "请把这份报告整理一下，谢谢。".repeat(8);
    serde_json::json!({
        "schema": "2.0",
        "header": {
            "event_id": format!("ev-{run}-{number}"), "token": "vt", "create_time": "1772445600000",
            "event_type": "im.message.receive_v1", "tenant_key": "tenant", "app_id": APP_ID
        },
        "event": {
            "sender": {
                "sender_id": {"open_id": "ou_person", "union_id": "on_person", "user_id": ""},
                "sender_type": "user", "tenant_key": "tenant"
            },
            "message": {
                "message_id": format!("om_{run}-{number}"), "create_time": "1772445600000",
                "update_time": "1772445600000", "chat_id": format!("oc_{}", number % CHATS),
                "chat_type": "p2p", "message_type": "text",
                "content": serde_json::json!({"text": text}).to_string(),
                "user_agent": "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) Lark/7.40.6 LarkLocale/zh_CN"
            }
        }
    })
    .to_string()
}

/// Ids of one run, so that a second run is no redelivery of the first.
fn unique(name: &str) -> String {
    static RUNS: AtomicU64 = AtomicU64::new(0);
    format!("{name}{}", RUNS.fetch_add(1, Ordering::Relaxed))
}

const APP_ID: &str = "cli_a1b2c3d4e5f60001";

/// The platform: HTTP calls and a websocket.
struct Platform {
    base: String,
    state: Arc<PlatformState>,
    websocket: TcpListener,
    model: ModelSim,
}

struct PlatformState {
    websocket: SocketAddr,
    delay: Duration,
    tokens: AtomicU64,
    messages: AtomicU64,
}

impl Platform {
    async fn start(delay: Duration) -> Result<Self, Failure> {
        let websocket = TcpListener::bind("127.0.0.1:0").await?;
        let http = TcpListener::bind("127.0.0.1:0").await?;
        let base = format!("http://{}", http.local_addr()?);
        let state = Arc::new(PlatformState {
            websocket: websocket.local_addr()?,
            delay,
            tokens: AtomicU64::new(0),
            messages: AtomicU64::new(0),
        });
        let router = axum::Router::new()
            .fallback(answer)
            .with_state(Arc::clone(&state));
        tokio::spawn(axum::serve(http, router).into_future());
        let mut model = ModelSimConfig::for_tests();
        model.chunk_delay = delay / 10;
        let model = ModelSim::start(model).await?;
        Ok(Self {
            base,
            state,
            websocket,
            model,
        })
    }

    async fn accept(&self) -> Result<Socket, Failure> {
        let (stream, _) = self.websocket.accept().await?;
        stream.set_nodelay(true)?;
        Ok(tokio_tungstenite::accept_async(stream).await?)
    }
}

async fn answer(State(state): State<Arc<PlatformState>>, request: Request<Body>) -> Response {
    let path = request.uri().path().to_owned();
    let body = if path == "/callback/ws/endpoint" {
        let url = format!(
            "ws://{}/ws/v2?fpid=1&service_id=1&ticket=t",
            state.websocket
        );
        format!(
            r#"{{"code":0,"msg":"","data":{{"URL":"{url}","ClientConfig":{{"ReconnectCount":-1,"ReconnectInterval":120,"ReconnectNonce":1,"PingInterval":120}}}}}}"#
        )
    } else if path.ends_with("/tenant_access_token/internal") {
        state.tokens.fetch_add(1, Ordering::Relaxed);
        r#"{"code":0,"msg":"ok","tenant_access_token":"t-load","expire":7200}"#.to_owned()
    } else if path.ends_with("/bot/v3/info") {
        r#"{"code":0,"msg":"ok","bot":{"activate_status":2,"app_name":"bot","open_id":"ou_bot"}}"#
            .to_owned()
    } else {
        let number = state.messages.fetch_add(1, Ordering::Relaxed);
        format!(
            r#"{{"code":0,"msg":"ok","data":{{"message_id":"om_sent{number}","reaction_id":"r{number}","chat_id":"oc_1","msg_type":"post","create_time":"1772445600000"}}}}"#
        )
    };
    tokio::time::sleep(state.delay).await;
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}

/// The real binary, with a store of its own.
struct Daemon {
    process: Child,
    port: u16,
    client: reqwest::Client,
    _folder: tempfile::TempDir,
}

impl Daemon {
    /// Starts it and returns with its first 200 on the health route.
    async fn start(binary: &Path, platform: &Platform, transport: &str) -> Result<Self, Failure> {
        let folder = tempfile::tempdir()?;
        let port = std::net::TcpListener::bind("127.0.0.1:0")?
            .local_addr()?
            .port();
        let config = folder.path().join("config.toml");
        std::fs::write(
            &config,
            format!(
                r#"[llm]
provider = "openai"
api_base = "{model}"
model = "scripted"
api_key_env = "LOAD_MODEL_KEY"
max_tokens = 1024
[channels.feishu]
enabled = true
transport = "{transport}"
app_id = "{APP_ID}"
app_secret_env = "LOAD_APP_SECRET"
verification_token = "vt"
base_url = "{base}"
[agents]
default_agent_id = "main"
[[agents.list]]
id = "main"
default = true
workspace = "{folder}"
agent_dir = "{folder}"
"#,
                model = platform.model.base_url(),
                base = platform.base,
                folder = folder.path().display(),
            ),
        )?;
        let process = Command::new(binary)
            .args(["daemon", "--config"])
            .arg(&config)
            .args(["--host", "127.0.0.1", "--port", &port.to_string()])
            .env("LOAD_MODEL_KEY", "k")
            .env("LOAD_APP_SECRET", "s")
            .env("XIAOO_LOG", "warn")
            .stdout(Stdio::null())
            .stderr(Stdio::inherit())
            .spawn()?;
        let client = runtime_tokio::http::loopback_client()?;
        let daemon = Self {
            process,
            port,
            client,
            _folder: folder,
        };
        let health = format!("{}/api/v1/health", daemon.base());
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            // A bare connect is cheaper than a client's call and as good a sign.
            if TcpStream::connect(("127.0.0.1", port)).await.is_ok()
                && daemon
                    .client
                    .get(&health)
                    .send()
                    .await
                    .is_ok_and(|answer| answer.status() == 200)
            {
                return Ok(daemon);
            }
            if Instant::now() > deadline {
                return Err("the daemon did not become healthy".into());
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    fn base(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    fn memory(&self) -> io::Result<String> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id()))?;
        let value = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.unwrap_or("unknown").trim().to_owned()
        };
        Ok(format!(
            "{} ({} of it private)",
            value("VmRSS:"),
            value("RssAnon:")
        ))
    }

    async fn ready(&self) -> Result<serde_json::Value, Failure> {
        let answer = self
            .client
            .get(format!("{}/api/v1/ready", self.base()))
            .send()
            .await?;
        Ok(serde_json::from_str(&answer.text().await?)?)
    }

    /// Writes to the websocket and acknowledgements, so far.
    async fn writes(&self) -> Result<(u64, u64), Failure> {
        let ready = self.ready().await?;
        let number = |key: &str| {
            let place = ready.pointer(&format!("/channels/feishu/link/{key}"));
            let number = place.and_then(serde_json::Value::as_u64);
            number.ok_or_else(|| format!("no {key} in {ready}"))
        };
        Ok((number("writes")?, number("acknowledged")?))
    }

    /// Waits until no turn is queued or running and the outbox is empty.
    async fn settle(&self) -> Result<(), Failure> {
        let deadline = Instant::now() + Duration::from_secs(180);
        loop {
            let ready = self.ready().await?;
            let open: u64 = ["queued", "running", "outbox"]
                .iter()
                .filter_map(|key| ready.pointer(&format!("/store/{key}"))?.as_u64())
                .sum();
            if open == 0 {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(format!("work is left: {ready}").into());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn percentiles(latencies: &mut [Duration]) -> String {
    latencies.sort();
    format!(
        "p50 {:.2} ms, p99 {:.2} ms, max {:.2} ms",
        millis(at(latencies, 0.5)),
        millis(at(latencies, 0.99)),
        millis(at(latencies, 1.0))
    )
}

fn spread(times: &[Duration]) -> String {
    let mut times = times.to_vec();
    times.sort();
    format!(
        "min {:.1} ms, median {:.1} ms, max {:.1} ms",
        millis(at(&times, 0.0)),
        millis(at(&times, 0.5)),
        millis(at(&times, 1.0))
    )
}

fn at(sorted: &[Duration], share: f64) -> Duration {
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an index into a few thousand figures"
    )]
    let index = (share * sorted.len().saturating_sub(1) as f64).round() as usize;
    sorted.get(index).copied().unwrap_or_default()
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

#[expect(clippy::print_stdout, reason = "printing figures is its job")]
fn say(what: &str, figure: &str) {
    println!("{what}: {figure}");
}
