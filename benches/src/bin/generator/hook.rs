//! Webhook requests over connections that are kept, one under way on each.

use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use benches::inputs::{self, Size};
use benches::sealed::Sealed;

use crate::process::Subject;
use crate::{Failure, Measured, START_MAX, WARM_UP, spin};

const CONNECTIONS: usize = 64;
/// Different requests, sent in turn: more than anybody remembers to drop
/// repeats.
const REQUESTS: usize = 16_384;

pub(crate) fn measure(
    command: &[String],
    time: Duration,
    encrypted: bool,
    strace: bool,
) -> Result<Measured, Failure> {
    let requests = requests(encrypted)?;
    let port = free_port()?;
    let subject = Subject::start(command, port, strace)?;
    let first = connect(port)?;
    let mut load = Load {
        port,
        requests: requests.iter().cycle(),
        clients: vec![Client::new(first)?],
        answered: 0,
    };
    while load.clients.len() < CONNECTIONS {
        load.clients.push(Client::new(connect(port)?)?);
    }

    load.start()?;
    load.run(WARM_UP)?;
    let (answered, usage, begun) = (load.answered, subject.usage()?, Instant::now());
    load.run(time)?;
    let (took, after) = (begun.elapsed(), subject.usage()?);
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    let (counted, total) = ((load.answered - answered) as f64, load.answered as f64);
    let write_calls = subject.stop()?.map(|calls| calls / total);
    Ok(Measured {
        per_second: counted / took.as_secs_f64(),
        cpu_micros: (after.cpu_micros - usage.cpu_micros) / counted,
        resident_mb: after.resident_mb,
        write_calls,
    })
}

/// One socket after the other: while the answer of one is read, those of
/// the others are made. Two system calls for each request.
struct Load<'a> {
    port: u16,
    requests: std::iter::Cycle<std::slice::Iter<'a, Vec<u8>>>,
    clients: Vec<Client>,
    answered: u64,
}

struct Client {
    stream: TcpStream,
    answer: Vec<u8>,
    /// How long the last answer was; the next is most likely as long.
    len: Option<usize>,
}

impl Load<'_> {
    /// One request on each connection.
    fn start(&mut self) -> Result<(), Failure> {
        for client in &mut self.clients {
            let request = self.requests.next().ok_or("no request")?;
            spin::write_all(&mut client.stream, request)?;
        }
        Ok(())
    }

    fn run(&mut self, time: Duration) -> Result<(), Failure> {
        let until = Instant::now() + time;
        while Instant::now() < until {
            for client in &mut self.clients {
                let keep = client.read_answer()?;
                self.answered += 1;
                if !keep {
                    *client = Client::new(connect(self.port)?)?;
                }
                let request = self.requests.next().ok_or("no request")?;
                spin::write_all(&mut client.stream, request)?;
            }
        }
        Ok(())
    }
}

impl Client {
    fn new(stream: TcpStream) -> Result<Self, Failure> {
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        Ok(Self {
            stream,
            answer: Vec::new(),
            len: None,
        })
    }

    /// Reads one answer, which must be a 200; whether the connection is kept.
    fn read_answer(&mut self) -> Result<bool, Failure> {
        let mut chunk = [0; 4096];
        self.answer.clear();
        loop {
            let read = spin::read(&mut self.stream, &mut chunk)?;
            if read == 0 {
                return Err("the program closed a connection inside an answer".into());
            }
            self.answer.extend(chunk.iter().take(read));
            if self.len == Some(self.answer.len()) && self.answer.starts_with(b"HTTP/1.1 200") {
                return Ok(true);
            }
            if let Some(keep) = whole(&self.answer)? {
                self.len = keep.then_some(self.answer.len());
                return Ok(keep);
            }
        }
    }
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
    let listener = TcpListener::bind("127.0.0.1:0")?;
    Ok(listener.local_addr()?.port())
}

/// Connects, as soon as the program listens.
fn connect(port: u16) -> Result<TcpStream, Failure> {
    let deadline = Instant::now() + START_MAX;
    loop {
        match TcpStream::connect(("127.0.0.1", port)) {
            Ok(stream) => return Ok(stream),
            Err(_) if Instant::now() < deadline => std::thread::yield_now(),
            Err(error) => return Err(format!("the program does not listen: {error}").into()),
        }
    }
}
