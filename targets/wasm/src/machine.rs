//! The connection machine: see `proto_core::conn` for its contract.

use proto_core::conn::{
    AckToken, CloseReason, Connection, Epoch, Event, HeapMemory, LinkState, Outcome, Output,
};
use proto_core::{Config, EndpointReply, HostPolicy, Instant};

use crate::call;

/// Deliveries that may wait for their acknowledgement, the bytes kept of each,
/// and split events at once. What comes beyond is refused, and Feishu pushes it
/// again.
const DELIVERIES_MAX: usize = 64;
const DELIVERY_BYTES: usize = 1024;
const SPLIT_EVENTS_MAX: usize = 4;

/// A machine, and what JavaScript knows by numbers.
pub(crate) struct Machine {
    connection: Connection<HeapMemory>,
    /// The newest attempt to connect.
    epoch: Epoch,
    /// Deliveries that were handed out.
    tokens: Vec<(u32, AckToken)>,
    deliveries: u32,
}

/// What [`poll_output`] wants done.
#[repr(u32)]
enum Kind {
    Nothing = 0,
    /// Ask the endpoint, then call [`handle_endpoint`].
    FetchEndpoint = 1,
    /// Open a websocket to the URL in the output. It holds credentials.
    Connect = 2,
    /// Send the output as one binary message.
    Send = 3,
    /// Close the websocket.
    Disconnect = 4,
    /// The output says in words what happened.
    Event = 5,
}

/// Starts a machine in the place of any before it. `seed` is its only source
/// of randomness; `loopback` allows connections to a platform on this computer.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn start(now_ms: f64, seed: u64, loopback: bool) {
    let config = Config {
        hosts: HostPolicy {
            loopback,
            also: None,
        },
        ..Config::default()
    };
    let bytes = DELIVERIES_MAX * DELIVERY_BYTES;
    let memory = HeapMemory::new(DELIVERIES_MAX, bytes, SPLIT_EVENTS_MAX);
    call(|_, machine, _| {
        *machine = Some(Machine {
            connection: Connection::new(instant(now_ms), config, seed, memory),
            epoch: Epoch::default(),
            tokens: Vec::new(),
            deliveries: 0,
        });
    });
}

/// The next thing to do. Call it after each other call, and do what it says,
/// until it says 0.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn poll_output(now_ms: f64) -> u32 {
    call(|_, machine, output| {
        let kind = machine.as_mut().map(|machine| machine.poll(now_ms, output));
        kind.unwrap_or(Kind::Nothing) as u32
    })
}

/// The attempt to connect that the last output belongs to. Goes back into each
/// call about that attempt.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn epoch() -> f64 {
    call(|_, machine, _| {
        machine
            .as_ref()
            .map_or(0.0, |machine| machine.epoch.number() as f64)
    })
}

/// When to call [`handle_timeout`]; infinite when nothing will ever happen
/// again.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn poll_timeout() -> f64 {
    call(|_, machine, _| {
        let timeout = machine
            .as_ref()
            .and_then(|machine| machine.connection.poll_timeout());
        timeout.map_or(f64::INFINITY, |(due, _)| due.as_millis() as f64)
    })
}

/// Time has passed. Early calls do nothing.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn handle_timeout(now_ms: f64) {
    call(|_, machine, _| {
        if let Some(machine) = machine {
            machine.connection.handle_timeout(instant(now_ms));
        }
    });
}

/// The endpoint call was answered with this status and the body in the input,
/// or not at all: status 0.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn handle_endpoint(now_ms: f64, epoch: f64, status: u16, body: i32) {
    call(|mut inputs, machine, _| {
        if let Some(machine) = machine {
            let epoch = machine.attempt(epoch);
            let body = inputs.bytes(body).unwrap_or_default();
            let reply = match status {
                0 => EndpointReply::Failed,
                status => EndpointReply::Http { status, body },
            };
            machine
                .connection
                .handle_endpoint(instant(now_ms), epoch, reply);
        }
    });
}

/// The websocket is open.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn handle_open(now_ms: f64, epoch: f64) {
    call(|_, machine, _| {
        if let Some(machine) = machine {
            let epoch = machine.attempt(epoch);
            machine.connection.handle_open(instant(now_ms), epoch);
        }
    });
}

/// The websocket is gone, or could not be had; `code` is that of the
/// platform's close frame, 0 without one. A browser does not tell why a
/// handshake failed, so that is all a refusal can be here.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn handle_closed(now_ms: f64, epoch: f64, code: u16) {
    call(|_, machine, _| {
        if let Some(machine) = machine {
            let epoch = machine.attempt(epoch);
            let reason = match (code, machine.connection.state()) {
                (0, LinkState::Open) => CloseReason::Transport,
                (0, _) => CloseReason::ConnectFailed,
                (code, _) => CloseReason::Peer(Some(code)),
            };
            machine
                .connection
                .handle_closed(instant(now_ms), epoch, reason);
        }
    });
}

/// A binary message came in: the input. If it completes an event, the result
/// is the delivery's number, and the output is the event.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn handle_message(now_ms: f64, epoch: f64, message: i32) -> u32 {
    call(|mut inputs, machine, output| {
        let message = inputs.bytes(message).unwrap_or_default();
        let delivery = machine
            .as_mut()
            .and_then(|machine| machine.hear(now_ms, epoch, message, output));
        delivery.unwrap_or(0)
    })
}

/// A message that is not binary came in.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn handle_text(epoch: f64) {
    call(|_, machine, _| {
        if let Some(machine) = machine {
            let epoch = machine.attempt(epoch);
            machine.connection.handle_other_message(epoch, true);
        }
    });
}

/// The delivery is safe. With a length of 0 or more, the input is a JSON
/// document that goes back, as card callbacks need. Whether there is an
/// acknowledgement to send: the output.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn acknowledge(now_ms: f64, delivery: u32, answer: i32) -> bool {
    call(|mut inputs, machine, output| {
        let outcome = inputs.bytes(answer).map_or(Outcome::Done, Outcome::Answer);
        redeem(machine, now_ms, delivery, outcome, output)
    })
}

/// The delivery could not be made safe: as [`acknowledge`], but Feishu is told
/// to push the event again.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn refuse(now_ms: f64, delivery: u32) -> bool {
    call(|_, machine, output| redeem(machine, now_ms, delivery, Outcome::Failed, output))
}

/// Ends the link for good. The outputs that are left close the websocket.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn close(now_ms: f64) {
    call(|_, machine, _| {
        if let Some(machine) = machine {
            machine.connection.close(instant(now_ms));
        }
    });
}

fn redeem(
    machine: &mut Option<Machine>,
    now_ms: f64,
    delivery: u32,
    outcome: Outcome<'_>,
    output: &mut Vec<u8>,
) -> bool {
    let Some(machine) = machine else { return false };
    let known = machine
        .tokens
        .iter()
        .position(|(number, _)| *number == delivery);
    known.is_some_and(|place| {
        let (_, token) = machine.tokens.swap_remove(place);
        let now = instant(now_ms);
        machine
            .connection
            .acknowledge(now, token, outcome, output)
            .is_ok()
    })
}

impl Machine {
    fn poll(&mut self, now_ms: f64, bytes: &mut Vec<u8>) -> Kind {
        let mut scratch = Vec::new();
        let output = self.connection.poll_output(instant(now_ms), &mut scratch);
        match output {
            None => Kind::Nothing,
            Some(Output::FetchEndpoint(epoch)) => {
                self.epoch = epoch;
                Kind::FetchEndpoint
            }
            Some(Output::Connect { url, .. }) => {
                bytes.extend_from_slice(url.as_bytes());
                Kind::Connect
            }
            Some(Output::Send(message)) => {
                bytes.extend_from_slice(message);
                Kind::Send
            }
            Some(Output::Disconnect(..)) => Kind::Disconnect,
            Some(Output::Event(event)) => {
                if let Event::AckOverdue(id) = event {
                    self.tokens.retain(|(_, token)| token.id() != id);
                }
                bytes.extend_from_slice(name(event).as_bytes());
                Kind::Event
            }
        }
    }

    fn hear(
        &mut self,
        now_ms: f64,
        epoch: f64,
        message: &[u8],
        output: &mut Vec<u8>,
    ) -> Option<u32> {
        let epoch = self.attempt(epoch);
        let delivery = self
            .connection
            .handle_message(instant(now_ms), epoch, message)?;
        self.deliveries += 1;
        output.extend_from_slice(delivery.payload);
        self.tokens.push((self.deliveries, delivery.token));
        Some(self.deliveries)
    }

    /// The attempt with this number. One that is over becomes the one before
    /// the first, which the machine knows to be over too.
    fn attempt(&self, number: f64) -> Epoch {
        if number == self.epoch.number() as f64 {
            self.epoch
        } else {
            Epoch::default()
        }
    }
}

/// In a word: formatting all that an event knows would be a tenth of the module.
const fn name(event: Event) -> &'static str {
    match event {
        Event::LinkUp(_) => "link up",
        Event::LinkDown(..) => "link down",
        Event::Refused(_) => "refused",
        Event::Fatal(_) => "refused for good",
        Event::Reconfigured(_) => "reconfigured",
        Event::AckOverdue(_) => "a delivery was not acknowledged in time",
        Event::Discarded(_) => "parts of an event were dropped",
        Event::BadFrame(_) => "a message was not a frame",
        _ => "something new",
    }
}

fn instant(now_ms: f64) -> Instant {
    // Saturates, and what is no number becomes 0.
    Instant::from_millis(now_ms as u64)
}
