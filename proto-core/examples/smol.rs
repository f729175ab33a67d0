//! The long connection on smol: the same machine, another runtime.
//!
//! ```console
//! $ cargo run -p feishu-sim -- --port 19000
//! $ FEISHU_APP_SECRET=simulated-app-secret cargo run -p proto-core --example smol -- \
//!       --domain http://127.0.0.1:19000 --app-id cli_a1b2c3d4e5f60718
//! ```
//!
//! It answers direct messages with their own words. A wait is a race between
//! the socket and one timer, set to what `poll_timeout` says.
//!
//! Here it speaks plain HTTP to a platform on loopback. For the real one, give
//! `ureq` its rustls feature, wrap the `TcpStream` of [`dial`] in
//! `futures_rustls::TlsConnector`, and leave `HostPolicy` at its default.
#![expect(clippy::print_stdout, reason = "a program talks to its terminal")]

mod common;

use std::error::Error;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_tungstenite::{WebSocketStream, client_async_with_config};
use proto_core::Limits;
use proto_core::conn::{CloseReason, Connection, Epoch, HeapMemory, Output};
use smol::Timer;
use smol::channel::{Receiver, Sender, bounded};
use smol::future::or;
use smol::net::TcpStream;
use smol::stream::StreamExt as _;
use tungstenite::http::Uri;
use tungstenite::protocol::WebSocketConfig;
use tungstenite::{Error as WsError, Message};

use common::{Clock, Platform, Question, machine, refusal};

type Socket = WebSocketStream<TcpStream>;

/// Questions that may wait for their answer. What comes beyond is refused, and
/// Feishu pushes it again.
const QUESTIONS_MAX: usize = 64;
/// A write that takes longer finds no reader: the link is dead.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

fn main() -> Result<(), Box<dyn Error>> {
    let platform = Arc::new(Platform::from_environment()?);
    let (questions, inbox) = bounded(QUESTIONS_MAX);
    // Answers in a task of their own, so that none of them delays a ping.
    smol::spawn(answer_all(Arc::clone(&platform), inbox)).detach();
    smol::block_on(Driver::new(platform, questions).run());
    Err("the platform refused for good".into())
}

async fn answer_all(platform: Arc<Platform>, inbox: Receiver<Question>) {
    while let Ok(question) = inbox.recv().await {
        let platform = Arc::clone(&platform);
        smol::unblock(move || platform.answer(&question)).await;
    }
}

struct Driver {
    machine: Connection<HeapMemory>,
    clock: Clock,
    socket: Option<(Epoch, Socket)>,
    platform: Arc<Platform>,
    questions: Sender<Question>,
}

impl Driver {
    fn new(platform: Arc<Platform>, questions: Sender<Question>) -> Self {
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
    async fn run(mut self) {
        while let Some((due, _)) = self.machine.poll_timeout() {
            let received = self.receive(due).await;
            // Timers before input: the outcome does not hang on a race.
            self.machine.handle_timeout(self.clock.now());
            self.drain().await;
            if let Some((epoch, received)) = received {
                self.feed(epoch, received).await;
                self.drain().await;
            }
        }
    }

    /// The next message; `None` when the deadline comes first.
    async fn receive(
        &mut self,
        due: proto_core::Instant,
    ) -> Option<(Epoch, Result<Message, WsError>)> {
        let deadline = self.clock.at(due);
        let Some((epoch, socket)) = &mut self.socket else {
            Timer::at(deadline).await;
            return None;
        };
        let received = before(deadline, socket.next()).await?;
        Some((*epoch, received.unwrap_or(Err(WsError::ConnectionClosed))))
    }

    async fn feed(&mut self, epoch: Epoch, received: Result<Message, WsError>) {
        match received {
            Ok(Message::Binary(bytes)) => self.feed_frame(epoch, &bytes).await,
            Ok(Message::Close(frame)) => {
                let code = frame.map(|frame| frame.code.into());
                self.hang_up().await;
                let reason = CloseReason::Peer(code);
                self.machine.handle_closed(self.clock.now(), epoch, reason);
            }
            Ok(other) => self.machine.handle_other_message(epoch, other.is_text()),
            Err(_) => self.lose(epoch),
        }
    }

    async fn feed_frame(&mut self, epoch: Epoch, message: &[u8]) {
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
            self.send(ack).await;
        }
    }

    /// Does what the machine wants done.
    async fn drain(&mut self) {
        let mut scratch = Vec::new();
        while let Some(output) = self.machine.poll_output(self.clock.now(), &mut scratch) {
            match output {
                Output::FetchEndpoint(epoch) => self.fetch_endpoint(epoch).await,
                Output::Connect { epoch, url } => {
                    let url = url.to_owned();
                    self.connect(epoch, &url).await;
                }
                Output::Send(message) => {
                    let message = message.to_vec();
                    self.send(message).await;
                }
                Output::Disconnect(..) => self.hang_up().await,
                Output::Event(event) => println!("{event:?}"),
            }
        }
    }

    async fn fetch_endpoint(&mut self, epoch: Epoch) {
        let platform = Arc::clone(&self.platform);
        let timeout = self.deadline().saturating_duration_since(Instant::now());
        let endpoint = smol::unblock(move || platform.endpoint(timeout)).await;
        let now = self.clock.now();
        self.machine.handle_endpoint(now, epoch, endpoint.reply());
    }

    async fn connect(&mut self, epoch: Epoch, url: &str) {
        let dialed = before(self.deadline(), dial(url)).await;
        let now = self.clock.now();
        match dialed {
            Some(Ok(socket)) => {
                self.socket = Some((epoch, socket));
                self.machine.handle_open(now, epoch);
            }
            Some(Err(WsError::Http(answer))) => {
                self.machine.handle_refused(now, epoch, refusal(&answer));
            }
            Some(Err(_)) | None => {
                let reason = CloseReason::ConnectFailed;
                self.machine.handle_closed(now, epoch, reason);
            }
        }
    }

    async fn send(&mut self, message: Vec<u8>) {
        let Some((epoch, socket)) = &mut self.socket else {
            return;
        };
        let (epoch, message) = (*epoch, Message::binary(message));
        let sent = before(Instant::now() + WRITE_TIMEOUT, socket.send(message)).await;
        if !matches!(sent, Some(Ok(()))) {
            self.lose(epoch);
        }
    }

    fn lose(&mut self, epoch: Epoch) {
        self.socket = None;
        let reason = CloseReason::Transport;
        self.machine.handle_closed(self.clock.now(), epoch, reason);
    }

    async fn hang_up(&mut self) {
        if let Some((_, mut socket)) = self.socket.take() {
            // Politeness: the link is over in any case.
            let _ = before(Instant::now() + WRITE_TIMEOUT, socket.close(None)).await;
        }
    }

    /// Until when the machine lets us take.
    fn deadline(&self) -> Instant {
        self.machine
            .poll_timeout()
            .map_or_else(Instant::now, |(due, _)| self.clock.at(due))
    }
}

async fn dial(url: &str) -> Result<Socket, WsError> {
    let uri: Uri = url.parse().map_err(io::Error::other)?;
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    let tcp = TcpStream::connect((host, uri.port_u16().unwrap_or(80))).await?;
    tcp.set_nodelay(true)?;
    let bytes_max = Some(Limits::default().frame_bytes_max);
    let config = WebSocketConfig::default()
        .max_message_size(bytes_max)
        .max_frame_size(bytes_max);
    let (socket, _) = client_async_with_config(url, tcp, Some(config)).await?;
    Ok(socket)
}

/// What the future gives; `None` when the deadline comes first.
async fn before<T>(deadline: Instant, future: impl Future<Output = T>) -> Option<T> {
    let timer = async {
        Timer::at(deadline).await;
        None
    };
    or(async { Some(future.await) }, timer).await
}
