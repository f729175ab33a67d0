//! The platform's end of the long connections.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt as _};
use futures_util::{SinkExt as _, StreamExt as _};
use proto_core::{Frame, FrameFields, Header, Limits, Method};
use runtime_tokio::link::{Dialer, Stream};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf, duplex};
use tokio::sync::mpsc;
use tokio::time::sleep;
use tokio_tungstenite::accept_async_with_config;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_util::sync::CancellationToken;

use crate::people;
use crate::world::World;

/// Frames that wait for a link; more are lost.
const FRAMES_MAX: usize = 1_024;
/// What is read from a daemon at once: acknowledgements and pings, and nothing
/// more is zeroed for them.
const READ_BUFFER_BYTES: usize = 2 << 10;
/// A ping comes every 120 s and is waited for 30 s. Whoever keeps a silent
/// link longer than that, and a little, is deaf.
const DEAF: Duration = Duration::from_secs(120 + 30 + 10);

/// A link as the gateway sees it.
pub struct Link {
    /// Which one.
    pub id: u64,
    /// Whose it is.
    pub pid: u32,
    /// Its way out.
    pub to: mpsc::Sender<Vec<u8>>,
    /// Nothing gets through any more, and nobody knows.
    pub is_silent: bool,
}

/// How a process gets links.
#[must_use]
pub fn dialer(world: &World, pid: u32) -> Dialer {
    let world = world.clone();
    Dialer::new(move |_| {
        let dialed = dial(world.clone(), pid);
        dialed.boxed() as BoxFuture<'static, _>
    })
}

async fn dial(world: World, pid: u32) -> Result<Box<dyn Stream>, String> {
    sleep(world.millis(5..100)).await;
    let life = world.lock().processes.get(&pid).cloned();
    let Some(life) = life.filter(|life| !life.died.is_cancelled()) else {
        return std::future::pending().await;
    };
    if world.is_out() || world.strikes(world.plan().faults.dial_fails, "a dial fails") {
        return Err("connection refused".into());
    }
    let (ours, theirs) = duplex(world.plan().pipe_bytes);
    let died = life.died.clone();
    tokio::spawn(async move { serve(world, pid, theirs, died).await });
    Ok(Box::new(Tether(ours, life.died)))
}

async fn serve(world: World, pid: u32, socket: DuplexStream, died: CancellationToken) {
    let config = WebSocketConfig::default().read_buffer_size(READ_BUFFER_BYTES);
    let Ok(socket) = accept_async_with_config(socket, Some(config)).await else {
        return;
    };
    let (mut sink, mut source) = socket.split();
    let (to, mut queue) = mpsc::channel::<Vec<u8>>(FRAMES_MAX);
    let id = {
        let mut state = world.lock();
        let id = state.feishu.new_number();
        state.step(format_args!("link {id} of process {pid} is open"));
        state.saw("a link opens");
        let (to, is_silent) = (to.clone(), false);
        state.feishu.links.push(Link {
            id,
            pid,
            to,
            is_silent,
        });
        state.look_at_reach();
        id
    };
    people::greet(&world);
    let faults = &world.plan().faults;
    let breaks = world.strike(faults.link_breaks);
    let falls_silent = world.strike(faults.link_silent);
    let writes = async {
        while let Some(bytes) = queue.recv().await {
            if sink.send(Message::binary(bytes)).await.is_err() {
                return;
            }
        }
    };
    let reads = async {
        while let Some(Ok(message)) = source.next().await {
            if let Message::Binary(bytes) = message {
                heard(&world, &bytes, &to);
            }
        }
    };
    let is_silent = tokio::select! {
        biased;
        () = died.cancelled() => false,
        () = breaks => {
            world.saw("a link breaks");
            false
        }
        () = falls_silent => true,
        () = writes => false,
        () = reads => false,
    };
    if is_silent {
        world.step(format_args!("link {id} falls silent"));
        world.saw("a link falls silent");
        {
            let mut state = world.lock();
            for link in &mut state.feishu.links {
                link.is_silent |= link.id == id;
            }
            state.look_at_reach();
        }
        let given_up = async { while let Some(Ok(_)) = source.next().await {} };
        tokio::select! {
            biased;
            () = died.cancelled() => {}
            () = given_up => world.saw("a silent link is given up"),
            () = sleep(DEAF) => {
                world.lock().violated(format_args!("process {pid} is deaf on link {id}"));
            }
        }
    }
    let mut state = world.lock();
    state.step(format_args!("link {id} of process {pid} is gone"));
    state.feishu.links.retain(|link| link.id != id);
    state.look_at_reach();
}

/// A frame from a daemon.
fn heard(world: &World, bytes: &[u8], to: &mpsc::Sender<Vec<u8>>) {
    let frame = match Frame::decode(bytes, &Limits::default()) {
        Ok(frame) => frame,
        Err(error) => {
            return world.lock().violated(format_args!("a bad frame: {error}"));
        }
    };
    if frame.kind() == "ping" {
        // A full queue loses it, as a network may.
        let _ = to.try_send(encode(Method::Control, &[("type", "pong")], b""));
        return;
    }
    let push = frame.header("message_id").unwrap_or_default();
    let ack: Value = serde_json::from_slice(frame.payload.unwrap_or_default()).unwrap_or_default();
    let code = ack["code"].as_u64().unwrap_or(0) as u16;
    let mut state = world.lock();
    if let Some(waiting) = state.feishu.waiting.remove(push) {
        let _ = waiting.send(code);
    } else {
        state.saw("an acknowledgement too many");
    }
}

/// A frame of the platform.
#[must_use]
pub fn encode(method: Method, headers: &[(&str, &str)], payload: &[u8]) -> Vec<u8> {
    let fields = FrameFields {
        seq_id: 1,
        log_id: 2,
        service: 7,
        method,
        payload_encoding: None,
        payload_type: None,
        payload: (!payload.is_empty()).then_some(payload),
        log_id_new: None,
    };
    let headers = headers.iter().map(|(key, value)| Header { key, value });
    let mut bytes = Vec::new();
    fields.encode(headers, &mut bytes).expect("a Vec has room");
    bytes
}

/// A process's end of a connection: when it is dead, nothing gets in or out.
struct Tether(DuplexStream, CancellationToken);

impl AsyncRead for Tether {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.1.is_cancelled() {
            return Poll::Pending;
        }
        Pin::new(&mut self.0).poll_read(cx, out)
    }
}

impl AsyncWrite for Tether {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.1.is_cancelled() {
            return Poll::Ready(Ok(bytes.len()));
        }
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.1.is_cancelled() {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
