//! The long connection on plain blocking sockets: no async runtime.
//!
//! ```console
//! $ cargo run -p feishu-sim -- --port 19000
//! $ FEISHU_APP_SECRET=simulated-app-secret cargo run -p proto-core --example std_sockets -- \
//!       --domain http://127.0.0.1:19000 --app-id cli_a1b2c3d4e5f60718
//! ```
//!
//! It answers direct messages with their own words. Every wait ends when
//! `poll_timeout` says so: that is the whole of what the machine asks of a
//! runtime.
//!
//! Here it speaks plain HTTP to a platform on loopback. For the real one, give
//! `ureq` and `tungstenite` their rustls features, wrap the `TcpStream` of
//! [`dial`] in `tungstenite::client_tls`, and leave `HostPolicy` at its default.
#![expect(clippy::print_stdout, reason = "a program talks to its terminal")]

mod common;

use std::error::Error;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use proto_core::Limits;
use proto_core::conn::{CloseReason, Connection, Epoch, HeapMemory, Output};
use tungstenite::http::Uri;
use tungstenite::protocol::WebSocketConfig;
use tungstenite::{Error as WsError, HandshakeError, Message, WebSocket};

use common::{Clock, Platform, Question, machine, refusal};

/// Questions that may wait for their answer. What comes beyond is refused, and
/// Feishu pushes it again.
const QUESTIONS_MAX: usize = 64;
/// A write that takes longer finds no reader: the link is dead.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

fn main() -> Result<(), Box<dyn Error>> {
    let platform = Arc::new(Platform::from_environment()?);
    let (questions, inbox) = sync_channel(QUESTIONS_MAX);
    // Answers on a thread of their own, so that none of them delays a ping.
    thread::spawn({
        let platform = Arc::clone(&platform);
        move || {
            inbox.iter().for_each(|question| platform.answer(&question));
        }
    });
    Driver::new(platform, questions).run();
    Err("the platform refused for good".into())
}

struct Driver {
    machine: Connection<HeapMemory>,
    clock: Clock,
    socket: Option<(Epoch, WebSocket<Timed>)>,
    platform: Arc<Platform>,
    questions: SyncSender<Question>,
}

impl Driver {
    fn new(platform: Arc<Platform>, questions: SyncSender<Question>) -> Self {
        let clock = Clock::start();
        Self {
            machine: machine(clock),
            clock,
            socket: None,
            platform,
            questions,
        }
    }

    /// Returns when the machine has nothing left to wait for.
    fn run(&mut self) {
        while let Some((due, _)) = self.machine.poll_timeout() {
            let received = self.receive(due);
            // Timers before input: the outcome does not hang on a race.
            self.machine.handle_timeout(self.clock.now());
            self.drain();
            if let Some((epoch, received)) = received {
                self.feed(epoch, received);
                self.drain();
            }
        }
    }

    /// The next message; `None` when the deadline comes first.
    fn receive(&mut self, due: proto_core::Instant) -> Option<(Epoch, Result<Message, WsError>)> {
        let deadline = self.clock.at(due);
        let Some((epoch, socket)) = &mut self.socket else {
            thread::park_timeout(time_until(deadline));
            return None;
        };
        socket.get_mut().deadline = deadline;
        match socket.read() {
            Err(WsError::Io(error)) if error.kind() == ErrorKind::WouldBlock => None,
            received => Some((*epoch, received)),
        }
    }

    fn feed(&mut self, epoch: Epoch, received: Result<Message, WsError>) {
        match received {
            Ok(Message::Binary(bytes)) => self.feed_frame(epoch, &bytes),
            Ok(Message::Close(frame)) => {
                let code = frame.map(|frame| frame.code.into());
                self.hang_up();
                let reason = CloseReason::Peer(code);
                self.machine.handle_closed(self.clock.now(), epoch, reason);
            }
            Ok(other) => self.machine.handle_other_message(epoch, other.is_text()),
            Err(_) => self.lose(epoch),
        }
    }

    fn feed_frame(&mut self, epoch: Epoch, message: &[u8]) {
        let now = self.clock.now();
        let Some(delivery) = self.machine.handle_message(now, epoch, message) else {
            return;
        };
        let keep = |question| self.questions.try_send(question).is_ok();
        let outcome = self.platform.accept(&delivery, keep);
        let (token, mut ack) = (delivery.token, Vec::new());
        // Without an acknowledgement Feishu pushes the event again.
        if self
            .machine
            .acknowledge(self.clock.now(), token, outcome, &mut ack)
            .is_ok()
        {
            self.send(&ack);
        }
    }

    /// Does what the machine wants done.
    fn drain(&mut self) {
        let mut scratch = Vec::new();
        while let Some(output) = self.machine.poll_output(self.clock.now(), &mut scratch) {
            match output {
                Output::FetchEndpoint(epoch) => self.fetch_endpoint(epoch),
                Output::Connect { epoch, url } => {
                    let url = url.to_owned();
                    self.connect(epoch, &url);
                }
                Output::Send(message) => {
                    let message = message.to_vec();
                    self.send(&message);
                }
                Output::Disconnect(..) => self.hang_up(),
                Output::Event(event) => println!("{event:?}"),
            }
        }
    }

    fn fetch_endpoint(&mut self, epoch: Epoch) {
        let endpoint = self.platform.endpoint(time_until(self.deadline()));
        let now = self.clock.now();
        self.machine.handle_endpoint(now, epoch, endpoint.reply());
    }

    fn connect(&mut self, epoch: Epoch, url: &str) {
        let dialed = dial(url, self.deadline());
        let now = self.clock.now();
        match dialed {
            Ok(socket) => {
                self.socket = Some((epoch, socket));
                self.machine.handle_open(now, epoch);
            }
            Err(WsError::Http(answer)) => {
                self.machine.handle_refused(now, epoch, refusal(&answer));
            }
            Err(_) => {
                let reason = CloseReason::ConnectFailed;
                self.machine.handle_closed(now, epoch, reason);
            }
        }
    }

    fn send(&mut self, message: &[u8]) {
        let Some((epoch, socket)) = &mut self.socket else {
            return;
        };
        let epoch = *epoch;
        if socket.send(Message::binary(message.to_vec())).is_err() {
            self.lose(epoch);
        }
    }

    fn lose(&mut self, epoch: Epoch) {
        self.socket = None;
        let reason = CloseReason::Transport;
        self.machine.handle_closed(self.clock.now(), epoch, reason);
    }

    fn hang_up(&mut self) {
        if let Some((_, mut socket)) = self.socket.take() {
            // Politeness: the link is over in any case.
            let _ = socket.close(None);
            let _ = socket.flush();
        }
    }

    /// Until when the machine lets us take.
    fn deadline(&self) -> Instant {
        self.machine
            .poll_timeout()
            .map_or_else(Instant::now, |(due, _)| self.clock.at(due))
    }
}

fn dial(url: &str, deadline: Instant) -> Result<WebSocket<Timed>, WsError> {
    let stream = open_tcp(url, deadline)?;
    let bytes_max = Some(Limits::default().frame_bytes_max);
    let config = WebSocketConfig::default()
        .max_message_size(bytes_max)
        .max_frame_size(bytes_max);
    match tungstenite::client::client_with_config(url, stream, Some(config)) {
        Ok((socket, _)) => Ok(socket),
        Err(HandshakeError::Failure(error)) => Err(error),
        Err(HandshakeError::Interrupted(_)) => Err(io::Error::from(ErrorKind::TimedOut).into()),
    }
}

fn open_tcp(url: &str, deadline: Instant) -> io::Result<Timed> {
    let url: Uri = url.parse().map_err(io::Error::other)?;
    let host = url.host().unwrap_or_default().trim_matches(['[', ']']);
    let address = (host, url.port_u16().unwrap_or(80))
        .to_socket_addrs()?
        .next()
        .ok_or(ErrorKind::AddrNotAvailable)?;
    let tcp = TcpStream::connect_timeout(&address, time_until(deadline))?;
    tcp.set_nodelay(true)?;
    tcp.set_write_timeout(Some(WRITE_TIMEOUT))?;
    Ok(Timed { tcp, deadline })
}

/// A socket whose reads end at a deadline, however slowly bytes trickle in.
struct Timed {
    tcp: TcpStream,
    deadline: Instant,
}

impl Read for Timed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = time_until(self.deadline);
        if left.is_zero() {
            return Err(ErrorKind::WouldBlock.into());
        }
        self.tcp.set_read_timeout(Some(left))?;
        self.tcp.read(buffer).map_err(|error| {
            // Windows calls it so when a read times out. `tungstenite` goes on
            // after the other word alone.
            if error.kind() == ErrorKind::TimedOut {
                return ErrorKind::WouldBlock.into();
            }
            error
        })
    }
}

impl Write for Timed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.tcp.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.tcp.flush()
    }
}

fn time_until(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now())
}
