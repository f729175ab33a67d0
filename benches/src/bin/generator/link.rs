//! The long connection: an endpoint, a websocket, and always so many events in
//! flight.
//!
//! As little work per event as possible, and no sleep, so that the program at
//! the other end is what is measured.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use benches::inputs::{self, Size};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::process::Subject;
use crate::{Failure, Measured, START_MAX, WARM_UP, spin};

const IN_FLIGHT: u64 = 64;
/// Shorter messages are pings: an acknowledgement echoes 290 bytes.
const ACK_BYTES_MIN: usize = 200;

pub(crate) fn measure(
    command: &[String],
    time: Duration,
    strace: bool,
) -> Result<Measured, Failure> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let port = listener.local_addr()?.port();
    let subject = Subject::start(command, port, strace)?;
    let mut link = Link::new(accept(&listener, port)?)?;

    link.send(IN_FLIGHT)?;
    link.run(WARM_UP)?;
    let (acks, usage, begun) = (link.acks, subject.usage()?, Instant::now());
    link.run(time)?;
    let (took, after) = (begun.elapsed(), subject.usage()?);
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    let (counted, total) = ((link.acks - acks) as f64, link.acks as f64);
    let write_calls = subject.stop()?.map(|calls| calls / total);
    Ok(Measured {
        per_second: counted / took.as_secs_f64(),
        cpu_micros: (after.cpu_micros - usage.cpu_micros) / counted,
        resident_mb: after.resident_mb,
        write_calls,
    })
}

/// Answers endpoint calls until a websocket comes.
fn accept(listener: &TcpListener, port: u16) -> Result<TcpStream, Failure> {
    let deadline = Instant::now() + START_MAX;
    listener.set_nonblocking(true)?;
    loop {
        let mut stream = match listener.accept() {
            Ok((stream, _)) => stream,
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                if Instant::now() > deadline {
                    return Err("no websocket came".into());
                }
                std::thread::yield_now();
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        stream.set_nonblocking(false)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        let Some(head) = request(&mut stream)? else {
            continue;
        };
        if let Some(key) = header(&head, "sec-websocket-key") {
            let accept = derive_accept_key(key.as_bytes());
            let answer = format!(
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
                     Connection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
            );
            stream.write_all(answer.as_bytes())?;
            return Ok(stream);
        }
        let body = format!(
            "{{\"code\":0,\"msg\":\"ok\",\"data\":{{\
                 \"URL\":\"ws://127.0.0.1:{port}/ws?device_id=1&service_id=1\",\
                 \"ClientConfig\":{{\"ReconnectCount\":-1,\"ReconnectInterval\":120,\
                 \"ReconnectNonce\":30,\"PingInterval\":120}}}}}}"
        );
        let answer = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
                 Connection: close\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(answer.as_bytes())?;
    }
}

/// One request's head; its body is read and thrown away.
fn request(stream: &mut TcpStream) -> Result<Option<String>, Failure> {
    let mut bytes = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let head_end = bytes.windows(4).position(|end| end == b"\r\n\r\n");
        if let Some(head_end) = head_end {
            let head = String::from_utf8_lossy(bytes.get(..head_end).unwrap_or_default());
            let body: usize = header(&head, "content-length").map_or(Ok(0), str::parse)?;
            if bytes.len() >= head_end + 4 + body {
                return Ok(Some(head.into_owned()));
            }
        }
        match stream.read(&mut chunk)? {
            0 => return Ok(None),
            read => bytes.extend(chunk.iter().take(read)),
        }
    }
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

struct Link {
    stream: TcpStream,
    event: Template,
    sent: u64,
    acks: u64,
    out: Vec<u8>,
    /// What came in and is not yet a whole message.
    pending: Vec<u8>,
}

impl Link {
    fn new(stream: TcpStream) -> Result<Self, Failure> {
        stream.set_nonblocking(true)?;
        Ok(Self {
            stream,
            event: Template::new()?,
            sent: 0,
            acks: 0,
            out: Vec::new(),
            pending: Vec::new(),
        })
    }

    fn send(&mut self, events: u64) -> Result<(), Failure> {
        self.out.clear();
        for _ in 0..events {
            self.sent += 1;
            self.event.append(self.sent, &mut self.out);
        }
        Ok(spin::write_all(&mut self.stream, &self.out)?)
    }

    fn run(&mut self, time: Duration) -> Result<(), Failure> {
        let until = Instant::now() + time;
        let mut chunk = vec![0; 64 * 1024];
        while Instant::now() < until {
            let read = spin::read(&mut self.stream, &mut chunk)?;
            if read == 0 {
                return Err("the program closed the link".into());
            }
            self.pending.extend(chunk.iter().take(read));
            let acks = self.take_acks()?;
            self.acks += acks;
            self.send(acks)?;
        }
        Ok(())
    }

    /// Counts whole messages and drops them.
    fn take_acks(&mut self) -> Result<u64, Failure> {
        let (mut rest, mut acks) = (self.pending.as_slice(), 0);
        while let Some((len, after)) = message(rest) {
            if len >= ACK_BYTES_MIN {
                acks += 1;
                if self.acks == 0 && acks == 1 {
                    check_first(rest, len)?;
                }
            }
            rest = after;
        }
        let left = rest.len();
        self.pending.drain(..self.pending.len() - left);
        Ok(acks)
    }
}

/// A client's whole message at the start of `bytes`: its length, and what
/// follows it.
fn message(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (len, header) = match bytes.get(1)? & 0x7f {
        126 => {
            let [high, low] = *bytes.get(2..4)?.first_chunk()?;
            (usize::from(high) << 8 | usize::from(low), 8)
        }
        127 => return None, // never so long
        short => (usize::from(short), 6),
    };
    Some((len, bytes.get(header + len..)?))
}

/// The first acknowledgement must say 200, or nothing here means anything.
fn check_first(bytes: &[u8], len: usize) -> Result<(), Failure> {
    let header = if len < 126 { 6 } else { 8 };
    let mask = bytes.get(header - 4..header).ok_or("no mask")?;
    let plain: Vec<u8> = bytes
        .iter()
        .skip(header)
        .take(len)
        .zip(mask.iter().cycle())
        .map(|(byte, mask)| byte ^ mask)
        .collect();
    let text = String::from_utf8_lossy(&plain);
    if text.contains("\"code\":200") || text.contains("\"code\": 200") {
        Ok(())
    } else {
        Err(format!("not an acknowledgement: {text:?}").into())
    }
}

/// One event as a websocket message, with places for running numbers.
struct Template {
    bytes: Vec<u8>,
    message_id: usize,
    push_id: usize,
}

const DIGITS: usize = 12;

impl Template {
    fn new() -> Result<Self, Failure> {
        let message_id = "om_00000000000000000000000000000000";
        let push_id = "b9ad6c3f-6d1e-4f5c-9a6e-000000000000";
        let frame = inputs::frame(&inputs::payload(Size::Small, message_id), push_id);
        let mut bytes = vec![0x82, 126];
        bytes.extend(u16::try_from(frame.len())?.to_be_bytes());
        bytes.extend(frame);
        let digits_of = |id: &str| {
            let at = bytes
                .windows(id.len())
                .position(|found| found == id.as_bytes());
            at.map(|at| at + id.len() - DIGITS).ok_or("no such id")
        };
        Ok(Self {
            message_id: digits_of(message_id)?,
            push_id: digits_of(push_id)?,
            bytes,
        })
    }

    fn append(&mut self, number: u64, out: &mut Vec<u8>) {
        for place in [self.message_id, self.push_id] {
            let mut rest = number;
            let digits = self.bytes.iter_mut().skip(place).take(DIGITS);
            for digit in digits.rev() {
                *digit = b'0' + u8::try_from(rest % 10).unwrap_or(0);
                rest /= 10;
            }
        }
        out.extend_from_slice(&self.bytes);
    }
}
