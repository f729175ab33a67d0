//! Webhook requests over connections that are kept, one under way on each.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use benches::inputs::{self, Size};
use benches::sealed::Sealed;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::process::Subject;
use crate::{Failure, Measured, WARM_UP};

const CONNECTIONS: usize = 64;
/// Different requests, sent in turn: more than anybody remembers to drop
/// repeats.
const REQUESTS: usize = 16_384;
/// How long a program may take to listen.
const START_MAX: Duration = Duration::from_secs(60);

#[tokio::main(flavor = "current_thread")]
pub(crate) async fn measure(
    command: &[String],
    time: Duration,
    encrypted: bool,
) -> Result<Measured, Failure> {
    let requests = Arc::new(requests(encrypted)?);
    let port = free_port()?;
    let subject = Subject::start(command, port, false)?;
    wait_for(port).await?;

    let shared = Arc::new(Shared::default());
    let mut clients = tokio::task::JoinSet::new();
    for _ in 0..CONNECTIONS {
        clients.spawn(client(port, Arc::clone(&requests), Arc::clone(&shared)));
    }
    tokio::time::sleep(WARM_UP).await;
    let (answered, usage) = (shared.answered.load(Ordering::Relaxed), subject.usage()?);
    let begun = Instant::now();
    tokio::time::sleep(time).await;
    let (took, after) = (begun.elapsed(), subject.usage()?);
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    let counted = (shared.answered.load(Ordering::Relaxed) - answered) as f64;
    shared.stop.store(true, Ordering::Relaxed);
    while let Some(client) = clients.join_next().await {
        client??;
    }
    Ok(Measured {
        per_second: counted / took.as_secs_f64(),
        cpu_micros: (after.cpu_micros - usage.cpu_micros) / counted,
        resident_mb: after.resident_mb,
        write_calls: None,
    })
}

#[derive(Default)]
struct Shared {
    next: AtomicU64,
    answered: AtomicU64,
    stop: AtomicBool,
}

async fn client(
    port: u16,
    requests: Arc<Vec<Vec<u8>>>,
    shared: Arc<Shared>,
) -> Result<(), Failure> {
    let mut stream = None;
    let mut answer = Vec::with_capacity(4096);
    while !shared.stop.load(Ordering::Relaxed) {
        let open = match &mut stream {
            Some(open) => open,
            closed => {
                let open = TcpStream::connect(("127.0.0.1", port)).await?;
                open.set_nodelay(true)?;
                closed.insert(open)
            }
        };
        let turn = shared.next.fetch_add(1, Ordering::Relaxed);
        let index = usize::try_from(turn)? % requests.len();
        open.write_all(requests.get(index).ok_or("no request")?)
            .await?;
        answer.clear();
        let keep = loop {
            if open.read_buf(&mut answer).await? == 0 {
                return Err("the program closed a connection inside an answer".into());
            }
            if let Some(keep) = whole(&answer)? {
                break keep;
            }
        };
        shared.answered.fetch_add(1, Ordering::Relaxed);
        if !keep {
            stream = None;
        }
    }
    Ok(())
}

/// Whether an answer is whole, and if so whether its connection is kept. It
/// must be a 200.
fn whole(answer: &[u8]) -> Result<Option<bool>, Failure> {
    let Some(head_end) = answer.windows(4).position(|end| end == b"\r\n\r\n") else {
        return Ok(None);
    };
    let (head, body) = answer.split_at(head_end + 4);
    let head = std::str::from_utf8(head)?.to_ascii_lowercase();
    if !head.starts_with("http/1.1 200") {
        return Err(format!("answered {head}{}", String::from_utf8_lossy(body)).into());
    }
    let header = |name: &str| {
        head.lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
            .map(str::trim)
    };
    let complete = match header("content-length") {
        Some(len) => body.len() >= len.parse::<usize>()?,
        None => body.ends_with(b"0\r\n\r\n"),
    };
    Ok(complete.then(|| header("connection") != Some("close")))
}

fn requests(encrypted: bool) -> Result<Vec<Vec<u8>>, Failure> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let now = i64::try_from(now)?;
    Ok((0..REQUESTS)
        .map(|number| {
            let payload = inputs::payload(Size::Small, &format!("om_{number:032}"));
            if !encrypted {
                return request("", &payload);
            }
            let sealed = Sealed::signed_at(&payload, now);
            let headers = format!(
                "X-Lark-Request-Timestamp: {}\r\nX-Lark-Request-Nonce: {}\r\n\
                 X-Lark-Signature: {}\r\n",
                sealed.timestamp, sealed.nonce, sealed.signature
            );
            request(&headers, &sealed.body)
        })
        .collect())
}

fn request(headers: &str, body: &str) -> Vec<u8> {
    format!(
        "POST /webhook/event HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n{headers}\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// A port that was free a moment ago.
fn free_port() -> Result<u16, Failure> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    Ok(listener.local_addr()?.port())
}

async fn wait_for(port: u16) -> Result<(), Failure> {
    let deadline = Instant::now() + START_MAX;
    while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
        if Instant::now() > deadline {
            return Err("the program does not listen".into());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}
