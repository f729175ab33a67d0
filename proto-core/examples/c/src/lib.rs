//! `proto-core` for C. The contract is in the generated header; what is here is
//! the translation, and the proof of each `unsafe`.
//!
//! Pointers to a machine are `Option<&mut Machine>` and `Option<Box<Machine>>`:
//! of the same layout as C's pointer, with null as `None`. That they point to a
//! machine that nobody else uses at the time is the caller's promise.

mod bytes;
mod event;

use std::fmt::Write as _;

use proto_core::conn::{
    AckToken, CloseReason, Connection, Encoding, Epoch, Event, HeapMemory, LinkState, Outcome,
};
use proto_core::{Config, EndpointReply, HandshakeRefusal, HostPolicy, Instant};

pub use bytes::Bytes;
pub use event::{Message, feishu_json_member, feishu_read_message};

/// Deliveries that may wait for their acknowledgement, the bytes kept of each,
/// and split events at once. What comes beyond is refused, and Feishu pushes it
/// again.
const DELIVERIES_MAX: usize = 64;
const DELIVERY_BYTES: usize = 1024;
const SPLIT_EVENTS_MAX: usize = 4;

/// The long-connection machine.
pub struct Machine {
    connection: Connection<HeapMemory>,
    /// The newest attempt. C knows it by its number.
    epoch: Epoch,
    /// Deliveries handed out. C knows each by its number.
    tokens: Vec<(u64, AckToken)>,
    deliveries: u64,
    /// What the last call gave out.
    out: Vec<u8>,
    text: String,
}

/// What `feishu_poll_output` wants done.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputKind {
    /// Nothing more: wait for input until `feishu_poll_timeout`.
    None,
    /// POST to `/callback/ws/endpoint`, then call `feishu_handle_endpoint`.
    FetchEndpoint,
    /// Open the websocket at the URL in `bytes`, then call
    /// `feishu_handle_open`, `feishu_handle_refused` or `feishu_handle_closed`.
    /// The URL holds credentials and must not be logged.
    Connect,
    /// Send `bytes` as exactly one binary message.
    Send,
    /// Close the websocket.
    Disconnect,
    /// Something happened that `bytes` tells in words, for logs.
    Event,
}

/// One thing to do.
#[repr(C)]
pub struct Output {
    /// What.
    pub kind: OutputKind,
    /// The attempt to connect that it belongs to; goes back into each
    /// `feishu_handle_…` call about it.
    pub epoch: u64,
    /// Good until the next call with this machine.
    pub bytes: Bytes,
}

/// One event or callback: make it safe, then redeem `id`.
#[repr(C)]
pub struct Delivery {
    /// For `feishu_acknowledge`, `feishu_answer` or `feishu_refuse`, once; 0 if
    /// the message held no complete event.
    pub id: u64,
    /// The event's JSON. Good until the next call with this machine, and no
    /// longer than the message that it came in.
    pub payload: Bytes,
    /// Whether the payload is compressed. Documented, and never seen.
    pub gzip: bool,
}

/// Makes a machine that asks for its first endpoint at once. `seed` is its only
/// source of randomness: give each process another. `loopback` allows
/// connections to a platform on this machine, without TLS. Never null.
#[unsafe(no_mangle)]
pub extern "C" fn feishu_new(now_ms: u64, seed: u64, loopback: bool) -> Box<Machine> {
    let config = Config {
        hosts: HostPolicy {
            loopback,
            also: None,
        },
        ..Config::default()
    };
    let memory = HeapMemory::new(
        DELIVERIES_MAX,
        DELIVERIES_MAX * DELIVERY_BYTES,
        SPLIT_EVENTS_MAX,
    );
    Box::new(Machine {
        connection: Connection::new(Instant::from_millis(now_ms), config, seed, memory),
        epoch: Epoch::default(),
        tokens: Vec::new(),
        deliveries: 0,
        out: Vec::new(),
        text: String::new(),
    })
}

/// Frees a machine; the pointer is void afterwards.
#[unsafe(no_mangle)]
pub extern "C" fn feishu_free(machine: Option<Box<Machine>>) {
    drop(machine);
}

/// The next thing to do. Call it after each other call, and do what it says,
/// until it says `FEISHU_OUTPUT_KIND_NONE`.
#[unsafe(no_mangle)]
pub extern "C" fn feishu_poll_output(machine: Option<&mut Machine>, now_ms: u64) -> Output {
    machine.map_or_else(Output::none, |machine| machine.poll_output(now_ms))
}

/// When to call `feishu_handle_timeout`; `UINT64_MAX` when nothing will ever
/// happen again, because the platform refused for good or the machine was
/// closed.
#[unsafe(no_mangle)]
pub extern "C" fn feishu_poll_timeout(machine: Option<&Machine>) -> u64 {
    machine
        .and_then(|machine| machine.connection.poll_timeout())
        .map_or(u64::MAX, |(due, _)| due.as_millis())
}

/// Time has passed. Early calls do nothing.
#[unsafe(no_mangle)]
pub extern "C" fn feishu_handle_timeout(machine: Option<&mut Machine>, now_ms: u64) {
    if let Some(machine) = machine {
        let now = Instant::from_millis(now_ms);
        machine.connection.handle_timeout(now);
    }
}

/// The endpoint call was answered with this HTTP status and body, or not
/// answered at all: status 0.
///
/// # Safety
/// As the header says of `feishu_bytes`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn feishu_handle_endpoint(
    machine: Option<&mut Machine>,
    now_ms: u64,
    epoch: u64,
    status: u16,
    body: Bytes,
) {
    // SAFETY: the caller vouches for `body` during this call.
    let body = unsafe { body.borrow() };
    if let Some(machine) = machine {
        let (now, epoch) = (Instant::from_millis(now_ms), machine.epoch(epoch));
        let reply = match status {
            0 => EndpointReply::Failed,
            status => EndpointReply::Http { status, body },
        };
        machine.connection.handle_endpoint(now, epoch, reply);
    }
}

/// The websocket is open.
#[unsafe(no_mangle)]
pub extern "C" fn feishu_handle_open(machine: Option<&mut Machine>, now_ms: u64, epoch: u64) {
    if let Some(machine) = machine {
        let (now, epoch) = (Instant::from_millis(now_ms), machine.epoch(epoch));
        machine.connection.handle_open(now, epoch);
    }
}

/// The websocket handshake was answered with anything but 101. `status` and
/// `auth_error` are the numbers in the headers `Handshake-Status` and
/// `Handshake-Autherrcode`, 0 where there is none.
#[unsafe(no_mangle)]
pub extern "C" fn feishu_handle_refused(
    machine: Option<&mut Machine>,
    now_ms: u64,
    epoch: u64,
    http_status: u16,
    status: i64,
    auth_error: i64,
) {
    if let Some(machine) = machine {
        let (now, epoch) = (Instant::from_millis(now_ms), machine.epoch(epoch));
        let stated = |number| Some(number).filter(|number| *number != 0);
        let refusal = HandshakeRefusal {
            http_status,
            status: stated(status),
            auth_error: stated(auth_error),
        };
        machine.connection.handle_refused(now, epoch, refusal);
    }
}

/// The websocket is gone, or could not be had. `close_code` is that of the
/// platform's close frame, 0 without one.
#[unsafe(no_mangle)]
pub extern "C" fn feishu_handle_closed(
    machine: Option<&mut Machine>,
    now_ms: u64,
    epoch: u64,
    close_code: u16,
) {
    if let Some(machine) = machine {
        let (now, epoch) = (Instant::from_millis(now_ms), machine.epoch(epoch));
        let reason = match (close_code, machine.connection.state()) {
            (0, LinkState::Open) => CloseReason::Transport,
            (0, _) => CloseReason::ConnectFailed,
            (code, _) => CloseReason::Peer(Some(code)),
        };
        machine.connection.handle_closed(now, epoch, reason);
    }
}

/// A binary message came in, whole.
///
/// # Safety
/// As the header says of `feishu_bytes`; `message` besides stays as it is for
/// as long as the delivery's payload is used.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn feishu_handle_message(
    machine: Option<&mut Machine>,
    now_ms: u64,
    epoch: u64,
    message: Bytes,
) -> Delivery {
    // SAFETY: the caller vouches for `message` during this call, and for longer
    // if it goes on to use the payload.
    let message = unsafe { message.borrow() };
    machine
        .and_then(|machine| machine.handle_message(now_ms, epoch, message))
        .unwrap_or(Delivery {
            id: 0,
            payload: Bytes::EMPTY,
            gzip: false,
        })
}

/// A message that is not binary came in: text, or a ping or pong of the
/// websocket protocol itself.
#[unsafe(no_mangle)]
pub extern "C" fn feishu_handle_other(machine: Option<&mut Machine>, epoch: u64, is_text: bool) {
    if let Some(machine) = machine {
        let epoch = machine.epoch(epoch);
        machine.connection.handle_other_message(epoch, is_text);
    }
}

/// The delivery is safe. Send what comes back as one binary message; it is
/// empty if it is too late for that, and Feishu pushes the event again. Good
/// until the next call with this machine.
#[unsafe(no_mangle)]
pub extern "C" fn feishu_acknowledge(
    machine: Option<&mut Machine>,
    now_ms: u64,
    delivery: u64,
) -> Bytes {
    redeem(machine, now_ms, delivery, Outcome::Done)
}

/// As `feishu_acknowledge`, with a JSON document that goes back, as card
/// callbacks need.
///
/// # Safety
/// As the header says of `feishu_bytes`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn feishu_answer(
    machine: Option<&mut Machine>,
    now_ms: u64,
    delivery: u64,
    json: Bytes,
) -> Bytes {
    // SAFETY: the caller vouches for `json` during this call.
    let json = unsafe { json.borrow() };
    redeem(machine, now_ms, delivery, Outcome::Answer(json))
}

/// The delivery could not be made safe: as `feishu_acknowledge`, but Feishu is
/// told to push the event again.
#[unsafe(no_mangle)]
pub extern "C" fn feishu_refuse(
    machine: Option<&mut Machine>,
    now_ms: u64,
    delivery: u64,
) -> Bytes {
    redeem(machine, now_ms, delivery, Outcome::Failed)
}

/// Ends the link for good. The outputs that are left close the websocket.
#[unsafe(no_mangle)]
pub extern "C" fn feishu_close(machine: Option<&mut Machine>, now_ms: u64) {
    if let Some(machine) = machine {
        machine.connection.close(Instant::from_millis(now_ms));
    }
}

fn redeem(
    machine: Option<&mut Machine>,
    now_ms: u64,
    delivery: u64,
    outcome: Outcome<'_>,
) -> Bytes {
    machine.map_or(Bytes::EMPTY, |machine| {
        machine.redeem(now_ms, delivery, outcome)
    })
}

impl Output {
    const fn none() -> Self {
        Self {
            kind: OutputKind::None,
            epoch: 0,
            bytes: Bytes::EMPTY,
        }
    }
}

impl Machine {
    fn poll_output(&mut self, now_ms: u64) -> Output {
        use proto_core::conn::Output as Core;
        let now = Instant::from_millis(now_ms);
        let Some(output) = self.connection.poll_output(now, &mut self.out) else {
            return Output::none();
        };
        let (kind, bytes) = match output {
            Core::FetchEndpoint(epoch) => {
                self.epoch = epoch;
                (OutputKind::FetchEndpoint, &[][..])
            }
            Core::Connect { url, .. } => (OutputKind::Connect, url.as_bytes()),
            Core::Send(message) => (OutputKind::Send, message),
            Core::Disconnect(..) => (OutputKind::Disconnect, &[][..]),
            Core::Event(event) => {
                if let Event::AckOverdue(id) = event {
                    self.tokens.retain(|(_, token)| token.id() != id);
                }
                self.text.clear();
                // A String has no bound.
                let _ = write!(self.text, "{event:?}");
                (OutputKind::Event, self.text.as_bytes())
            }
        };
        Output {
            kind,
            epoch: self.epoch.number(),
            bytes: Bytes::lend(bytes),
        }
    }

    fn handle_message(&mut self, now_ms: u64, epoch: u64, message: &[u8]) -> Option<Delivery> {
        let (now, epoch) = (Instant::from_millis(now_ms), self.epoch(epoch));
        let delivery = self.connection.handle_message(now, epoch, message)?;
        self.deliveries += 1;
        self.tokens.push((self.deliveries, delivery.token));
        Some(Delivery {
            id: self.deliveries,
            payload: Bytes::lend(delivery.payload),
            gzip: delivery.encoding == Encoding::Gzip,
        })
    }

    fn redeem(&mut self, now_ms: u64, delivery: u64, outcome: Outcome<'_>) -> Bytes {
        self.out.clear();
        let known = self.tokens.iter().position(|(id, _)| *id == delivery);
        if let Some(place) = known {
            let (_, token) = self.tokens.swap_remove(place);
            let now = Instant::from_millis(now_ms);
            // What could not be written is pushed again.
            let _ = self
                .connection
                .acknowledge(now, token, outcome, &mut self.out);
        }
        Bytes::lend(&self.out)
    }

    /// The attempt with this number; one that is over is told as the one before
    /// the first, which the machine knows to be over too.
    fn epoch(&self, number: u64) -> Epoch {
        if number == self.epoch.number() {
            self.epoch
        } else {
            Epoch::default()
        }
    }
}
