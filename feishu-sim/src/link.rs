//! The long connection, the platform's side of it.

mod ack;
mod endpoint;
mod frames;
mod handshake;
mod push;
mod session;

use std::collections::{HashMap, VecDeque};

use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub(crate) use ack::Answer;
pub(crate) use endpoint::endpoint;
pub(crate) use handshake::upgrade;
pub(crate) use push::{Pushed, push};

use crate::clock::{ms, unix_ms};
use crate::config::bound;
use crate::view::Connection;
use ack::Pending;

/// Tickets, connections, and pushes that wait for an ack.
#[derive(Debug)]
pub(crate) struct Links {
    open: Vec<OpenLink>,
    closed: VecDeque<Connection>,
    tickets: VecDeque<Ticket>,
    pending: HashMap<String, Pending>,
    /// Frame ids acked lately, to tell a double ack from a late one.
    acked: VecDeque<String>,
    rng: fastrand::Rng,
}

/// A connection that is open, as far as the platform knows.
#[derive(Debug)]
struct OpenLink {
    info: Connection,
    opened: Instant,
    out: mpsc::Sender<Outgoing>,
    kill: CancellationToken,
    is_silent: bool,
}

/// What a connection's writer is told to do.
#[derive(Debug)]
pub(crate) enum Outgoing {
    /// One binary message.
    Binary(Vec<u8>),
    /// One text message.
    Text(String),
    /// A websocket ping.
    Ping,
    /// A close frame with this code.
    Close(u16),
    /// Cut without a close frame, after what was queued before.
    Cut,
    /// Go half-open.
    Silence,
}

/// One grant of the endpoint, good for one dial.
#[derive(Debug, Clone)]
struct Ticket {
    ticket: String,
    access_key: String,
    device_id: String,
    service_id: i32,
    made: Instant,
}

/// What can be done to open connections at once.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(tag = "action", rename_all = "snake_case")]
pub enum LinkAction {
    /// Cut without a close frame.
    Drop,
    /// Close frame with this code.
    Close {
        /// 1000, 1001, ….
        code: u16,
    },
    /// Half-open: TCP stays, nothing is read or written.
    Silence,
    /// A websocket ping.
    Ping,
    /// A text message.
    Text {
        /// Its text.
        text: String,
    },
    /// A binary message that is no frame.
    Garbage,
}

impl Links {
    pub(crate) fn new(rng: fastrand::Rng) -> Self {
        Self {
            open: Vec::new(),
            closed: VecDeque::new(),
            tickets: VecDeque::new(),
            pending: HashMap::new(),
            acked: VecDeque::new(),
            rng,
        }
    }

    pub(crate) fn open_count(&self) -> usize {
        self.open.len()
    }

    /// Closed ones first, then open ones.
    pub(crate) fn connections(&self) -> Vec<Connection> {
        let open = self.open.iter().map(|link| &link.info);
        self.closed.iter().chain(open).cloned().collect()
    }

    /// Does it to every open connection; gives their number.
    pub(crate) fn act(&mut self, action: &LinkAction) -> usize {
        for link in &mut self.open {
            let order = match action {
                LinkAction::Drop => {
                    link.kill.cancel();
                    continue;
                }
                LinkAction::Close { code } => Outgoing::Close(*code),
                LinkAction::Silence => {
                    link.is_silent = true;
                    Outgoing::Silence
                }
                LinkAction::Ping => Outgoing::Ping,
                LinkAction::Text { text } => Outgoing::Text(text.clone()),
                LinkAction::Garbage => Outgoing::Binary(frames::GARBAGE.to_vec()),
            };
            link.order(order);
        }
        self.open.len()
    }

    /// A fresh grant.
    fn issue(&mut self) -> Ticket {
        let rng = &mut self.rng;
        let ticket = Ticket {
            ticket: uuid(rng),
            access_key: format!("{:032x}", rng.u128(..)),
            device_id: rng.u64(10_u64.pow(18)..10_u64.pow(19)).to_string(),
            service_id: 33_554_678,
            made: Instant::now(),
        };
        if self.tickets.len() >= bound::TICKETS_MAX {
            self.tickets.pop_front();
        }
        self.tickets.push_back(ticket.clone());
        ticket
    }

    /// Uses a grant up. `None`: unknown, used, or too old.
    fn redeem(&mut self, ticket: &str, access_key: &str) -> Option<Ticket> {
        let place = self
            .tickets
            .iter()
            .position(|known| known.ticket == ticket && known.access_key == access_key)?;
        let ticket = self.tickets.remove(place)?;
        (ticket.made.elapsed() < bound::TICKET_LIFE).then_some(ticket)
    }

    fn opened(
        &mut self,
        ticket: &Ticket,
        user_agent: &str,
        out: mpsc::Sender<Outgoing>,
        kill: CancellationToken,
    ) {
        self.open.push(OpenLink {
            info: Connection {
                connection_id: ticket.device_id.clone(),
                service_id: ticket.service_id,
                user_agent: user_agent.to_owned(),
                opened_at: unix_ms(),
                closed_at: None,
                close_reason: None,
                first_ping_ms: None,
                pings: 0,
                pushes: 0,
                acks: 0,
            },
            opened: Instant::now(),
            out,
            kill,
            is_silent: false,
        });
    }

    fn closed(&mut self, connection_id: &str, reason: &str) {
        let place = self
            .open
            .iter()
            .position(|link| link.info.connection_id == connection_id);
        let Some(place) = place else {
            return;
        };
        let mut info = self.open.swap_remove(place).info;
        info.closed_at = Some(unix_ms());
        info.close_reason = Some(reason.to_owned());
        if self.closed.len() >= bound::CLOSED_CONNECTIONS_MAX {
            self.closed.pop_front();
        }
        self.closed.push_back(info);
    }

    fn link(&mut self, connection_id: &str) -> Option<&mut OpenLink> {
        self.open
            .iter_mut()
            .find(|link| link.info.connection_id == connection_id)
    }

    /// A random connection; half-open ones only when there is no other, as a
    /// push into one is lost.
    fn pick(&mut self) -> Option<&mut OpenLink> {
        let live = self.open.iter().filter(|link| !link.is_silent).count();
        let candidates = if live > 0 { live } else { self.open.len() };
        if candidates == 0 {
            return None;
        }
        let chosen = self.rng.usize(..candidates);
        self.open
            .iter_mut()
            .filter(|link| live == 0 || !link.is_silent)
            .nth(chosen)
    }
}

impl OpenLink {
    /// Queues an order. A connection whose queue is full reads too slowly and
    /// is cut.
    fn order(&self, order: Outgoing) {
        if self.out.try_send(order).is_err() {
            self.kill.cancel();
        }
    }

    fn note_ping(&mut self) {
        self.info.pings += 1;
        if self.info.first_ping_ms.is_none() {
            self.info.first_ping_ms = Some(ms(self.opened.elapsed()));
        }
    }
}

/// A random UUID (version 4).
pub(crate) fn uuid(rng: &mut fastrand::Rng) -> String {
    let bits = rng.u128(..) & !(0xf << 76) & !(0x3 << 62) | (0x4 << 76) | (0x2 << 62);
    let hex = format!("{bits:032x}");
    let part = |range| hex.get(range).unwrap_or_default();
    [
        part(0..8),
        part(8..12),
        part(12..16),
        part(16..20),
        part(20..32),
    ]
    .join("-")
}
