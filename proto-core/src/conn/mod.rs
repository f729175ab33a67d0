//! The long connection as a machine: bytes and time in, bytes and events out.
//!
//! # Contract
//!
//! 1. Inputs are `handle_*` (from the world) and verbs (from us:
//!    [`Connection::acknowledge`], [`Connection::close`]); `now` comes first.
//! 2. After every call that takes `&mut self`, call [`Connection::poll_output`]
//!    until it returns `None`, then read [`Connection::poll_timeout`].
//! 3. Timers fire when `now >= deadline`. After `handle_timeout(now)` nothing
//!    is due at or before `now`. Early and repeated calls do nothing.
//! 4. Garbage and calls in the wrong order are safe: they are counted and
//!    ignored. What belongs to an earlier dial (another [`Epoch`]) is ignored.
//! 5. A [`Delivery`] borrows from the message (or from the joined parts): make
//!    it durable, then redeem its [`AckToken`]. Exactly one of acknowledged,
//!    overdue and link lost is the end of every delivery.

mod acks;
mod backoff;
mod memory;
mod parts;
mod vocabulary;

pub use acks::{AckSlot, AckToken, DeliveryId};
pub use memory::{FixedMemory, FixedParts, Memory, PartStore};
#[cfg(feature = "alloc")]
pub use memory::{HeapMemory, HeapParts};
pub use parts::{Discard, PartSet, PartSpan};
pub use vocabulary::{
    AckError, CloseReason, Delivery, Encoding, Epoch, Event, LinkState, Output, Stats, Timer,
};

pub use crate::wire::Outcome;

use acks::AckQueue;
use backoff::Backoff;
use parts::{Part, Reassembly, Taken};

use crate::endpoint::{
    ClientConfig, EndpointGrant, EndpointReply, HandshakeRefusal, Refusal, StatedConfig,
};
use crate::wire::{Frame, Method, encode_ping, header};
use crate::{Buffer, Config, DecodeError, Instant};

/// Outputs that one call can produce before they are drained.
const OUTPUTS_MAX: usize = 16;
/// Refusals in a row that look like bad credentials before they count as such.
/// Any other failure in between starts the count anew: after the last of them
/// nothing is tried any more, which chance must not bring about.
const SUSPECT_REFUSALS_MAX: u32 = 5;

/// The long-connection machine. See the [module documentation](self) for its
/// contract.
#[derive(Debug)]
pub struct Connection<M> {
    config: Config,
    server: ClientConfig,
    phase: Phase,
    epoch: Epoch,
    grant: EndpointGrant,
    backoff: Backoff,
    suspect_refusals: u32,
    acks: AckQueue,
    reassembly: Reassembly,
    /// Deliveries that the machine itself refuses: overdue ones.
    refuse_until: Option<Instant>,
    /// A delivery whose encoding nobody can read.
    refuse_one: Option<AckToken>,
    /// Expired sets that are still to be said: as many as the memory has, so
    /// they are counted instead of queued.
    expired_unsaid: u64,
    outputs: heapless::Deque<Queued, OUTPUTS_MAX>,
    stats: Stats,
    memory: M,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Waiting { until: Instant },
    Discovering { give_up: Instant },
    Dialing { give_up: Instant },
    Open(Link),
    Fatal,
    Closed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Link {
    stable_at: Option<Instant>,
    pinged: Instant,
    ping_at: Instant,
    pong_by: Option<Instant>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Queued {
    FetchEndpoint(Epoch),
    Connect(Epoch),
    Ping,
    Disconnect(Epoch, CloseReason),
    LinkUp(Epoch),
    LinkDown(Epoch, CloseReason),
    Refused(Refusal),
    Fatal(Refusal),
    /// To what the server says when it is said: the queue is for few words.
    Reconfigured,
    AckOverdue(DeliveryId),
    Discarded(Discard),
    BadFrame(DecodeError),
}

impl<M: Memory> Connection<M> {
    /// A machine that asks for its first endpoint at once. `seed` is its only
    /// source of randomness: give each process another.
    #[must_use]
    pub fn new(now: Instant, config: Config, seed: u64, memory: M) -> Self {
        Self {
            config,
            server: ClientConfig::default(),
            phase: Phase::Waiting { until: now },
            epoch: Epoch::default(),
            grant: EndpointGrant::default(),
            backoff: Backoff::new(seed),
            suspect_refusals: 0,
            acks: AckQueue::default(),
            reassembly: Reassembly::default(),
            refuse_until: None,
            refuse_one: None,
            expired_unsaid: 0,
            outputs: heapless::Deque::new(),
            stats: Stats::default(),
            memory,
        }
    }

    /// The endpoint call ended: with an HTTP answer, or without one.
    pub fn handle_endpoint(&mut self, now: Instant, epoch: Epoch, reply: EndpointReply<'_>) {
        let Phase::Discovering { give_up } = self.phase else {
            return;
        };
        if epoch != self.epoch {
            return;
        }
        match self.grant.judge(reply, &self.config.hosts) {
            Ok(config) => {
                if let Some(config) = config {
                    self.reconfigure(now, config);
                }
                self.phase = Phase::Dialing { give_up };
                self.emit(Queued::Connect(epoch));
            }
            Err(refusal) => self.refused(now, refusal),
        }
    }

    /// The websocket of this attempt is open (HTTP 101).
    pub fn handle_open(&mut self, now: Instant, epoch: Epoch) {
        if epoch != self.epoch || !matches!(self.phase, Phase::Dialing { .. }) {
            return;
        }
        self.stats.opened += 1;
        self.suspect_refusals = 0;
        self.phase = Phase::Open(Link {
            stable_at: Some(now + self.config.stable_after),
            pinged: now,
            ping_at: now,
            pong_by: None,
        });
        self.emit(Queued::LinkUp(epoch));
        self.ping(now);
    }

    /// The handshake of this attempt was answered with anything but 101.
    pub fn handle_refused(&mut self, now: Instant, epoch: Epoch, refusal: HandshakeRefusal) {
        if epoch == self.epoch && matches!(self.phase, Phase::Dialing { .. }) {
            self.refused(now, refusal.judge());
        }
    }

    /// A binary message came in. A complete event is handed up at once; see
    /// point 5 of the contract.
    pub fn handle_message<'a>(
        &'a mut self,
        now: Instant,
        epoch: Epoch,
        message: &'a [u8],
    ) -> Option<Delivery<'a>> {
        Reassembly::free_delivered(&mut self.memory);
        if !self.heard(epoch) {
            return None;
        }
        self.stats.messages += 1;
        let frame = match Frame::decode(message, &self.config.limits) {
            Ok(frame) => frame,
            Err(error) => {
                self.stats.bad_frames += 1;
                self.emit(Queued::BadFrame(error));
                return None;
            }
        };
        match (frame.method, frame.kind()) {
            (Method::Control, "pong") => {
                self.stats.pongs += 1;
                if let Some(config) = frame.payload.and_then(StatedConfig::of_pong) {
                    self.reconfigure(now, config);
                }
                None
            }
            (Method::Data, "event" | "card") => self.deliver(now, frame),
            (Method::Control | Method::Data | Method::Unknown(_), _) => {
                self.stats.ignored += 1;
                None
            }
        }
    }

    /// A websocket message that is not binary came in: text, or a ping or pong
    /// of the websocket protocol itself. It shows that the link lives.
    pub fn handle_other_message(&mut self, epoch: Epoch, is_text: bool) {
        if self.heard(epoch) && is_text {
            self.stats.ignored += 1;
        }
    }

    /// The socket of this attempt is gone, or could not be had.
    pub fn handle_closed(&mut self, now: Instant, epoch: Epoch, reason: CloseReason) {
        if epoch != self.epoch {
            return;
        }
        match self.phase {
            Phase::Dialing { .. } | Phase::Open(_) | Phase::Discovering { .. } => {
                self.suspect_refusals = 0;
                self.link_down(now, reason);
            }
            Phase::Waiting { .. } | Phase::Fatal | Phase::Closed => {}
        }
    }

    /// Time has passed: whatever is due at `now` happens.
    pub fn handle_timeout(&mut self, now: Instant) {
        match self.phase {
            Phase::Discovering { give_up } | Phase::Dialing { give_up } if give_up <= now => {
                self.abandon(now, CloseReason::ConnectTimeout);
            }
            Phase::Open(_) => self.link_timers(now),
            Phase::Waiting { .. }
            | Phase::Discovering { .. }
            | Phase::Dialing { .. }
            | Phase::Fatal
            | Phase::Closed => {}
        }
        // Last, as what has just ended may be tried again without a wait.
        if matches!(self.phase, Phase::Waiting { until } if until <= now) {
            self.attempt(now);
        }
        if self
            .acks
            .deadline(self.config.ack_timeout, &self.memory)
            .is_some_and(|due| due <= now)
        {
            self.refuse_until = Some(now);
        }
        let expired = Reassembly::expire(now, self.config.reassembly_timeout, &mut self.memory);
        self.stats.discarded += expired;
        self.expired_unsaid += expired;
    }

    /// The machine slept: its wall clock ran ahead of the monotonic one. The
    /// link may be dead without a sign, so it is pinged at once.
    pub fn handle_wake(&mut self, now: Instant) {
        if matches!(self.phase, Phase::Open(_)) {
            self.ping(now);
        }
    }

    /// Redeems a token: appends the acknowledgement to `out`, to be sent as
    /// exactly one binary message.
    ///
    /// # Errors
    /// [`AckError`] when nothing was written; the token is void in any case.
    pub fn acknowledge(
        &mut self,
        now: Instant,
        token: AckToken,
        outcome: Outcome<'_>,
        out: &mut impl Buffer,
    ) -> Result<(), AckError> {
        let id = token.id();
        if self.refuse_until.is_some_and(|until| {
            // Overdue ones are refused by `poll_output`; redeeming one in
            // between must not answer it twice.
            self.acks
                .overdue(until, self.config.ack_timeout, &self.memory)
                .is_some_and(|first| first == id)
        }) {
            return Err(AckError::TooLate);
        }
        if !matches!(self.phase, Phase::Open(_)) {
            return if self.acks.settle(id, &mut self.memory) {
                self.reassembly.forget(id);
                self.stats.link_lost += 1;
                Err(AckError::LinkDown)
            } else {
                Err(AckError::TooLate)
            };
        }
        match self.acks.answer(now, id, outcome, &mut self.memory, out) {
            Some(Ok(())) => {
                if matches!(outcome, Outcome::Failed) {
                    self.reassembly.forget(id);
                }
                self.stats.acknowledged += 1;
                Ok(())
            }
            Some(Err(_)) => {
                self.acks.settle(id, &mut self.memory);
                self.reassembly.forget(id);
                self.stats.overdue += 1;
                Err(AckError::BufferFull)
            }
            None => Err(AckError::TooLate),
        }
    }

    /// Ends the link for good, with a close frame.
    pub fn close(&mut self, now: Instant) {
        let _ = now;
        if matches!(
            self.phase,
            Phase::Open(_) | Phase::Dialing { .. } | Phase::Discovering { .. }
        ) {
            self.emit(Queued::Disconnect(self.epoch, CloseReason::Shutdown));
            self.emit(Queued::LinkDown(self.epoch, CloseReason::Shutdown));
        }
        self.phase = Phase::Closed;
    }

    /// The next thing to do. `scratch` is cleared and holds what
    /// [`Output::Send`] borrows; 512 bytes do for most frames, a frame's
    /// echoed headers and 64 bytes for any.
    pub fn poll_output<'a, B: Buffer>(
        &'a mut self,
        now: Instant,
        scratch: &'a mut B,
    ) -> Option<Output<'a>> {
        scratch.truncate(0);
        if let Some(queued) = self.outputs.pop_front() {
            return Some(match queued {
                Queued::FetchEndpoint(epoch) => Output::FetchEndpoint(epoch),
                Queued::Connect(epoch) => Output::Connect {
                    epoch,
                    url: &self.grant.url,
                },
                Queued::Ping => {
                    // A buffer too small for a ping can't carry a link at all;
                    // the missing pong will say so.
                    let _ = encode_ping(self.grant.service_id, scratch);
                    Output::Send(scratch.as_bytes())
                }
                Queued::Disconnect(epoch, reason) => Output::Disconnect(epoch, reason),
                Queued::LinkUp(epoch) => Output::Event(Event::LinkUp(epoch)),
                Queued::LinkDown(epoch, reason) => Output::Event(Event::LinkDown(epoch, reason)),
                Queued::Refused(refusal) => Output::Event(Event::Refused(refusal)),
                Queued::Fatal(refusal) => Output::Event(Event::Fatal(refusal)),
                Queued::Reconfigured => Output::Event(Event::Reconfigured(self.server)),
                Queued::AckOverdue(id) => Output::Event(Event::AckOverdue(id)),
                Queued::Discarded(why) => Output::Event(Event::Discarded(why)),
                Queued::BadFrame(error) => Output::Event(Event::BadFrame(error)),
            });
        }
        if let Some(rest) = self.expired_unsaid.checked_sub(1) {
            self.expired_unsaid = rest;
            return Some(Output::Event(Event::Discarded(Discard::Expired)));
        }
        if let Some(token) = self.refuse_one.take()
            && self.refuse(now, token.id(), scratch)
        {
            return Some(Output::Send(scratch.as_bytes()));
        }
        let until = self.refuse_until?;
        let Some(id) = self
            .acks
            .overdue(until, self.config.ack_timeout, &self.memory)
        else {
            self.refuse_until = None;
            return None;
        };
        self.emit(Queued::AckOverdue(id));
        self.stats.overdue += 1;
        if self.refuse(now, id, scratch) {
            return Some(Output::Send(scratch.as_bytes()));
        }
        self.outputs.pop_front();
        Some(Output::Event(Event::AckOverdue(id)))
    }

    /// When to call [`Self::handle_timeout`], and for which timer. Of several
    /// at one time, the first in the order of [`Timer`].
    #[must_use]
    pub fn poll_timeout(&self) -> Option<(Instant, Timer)> {
        let mut first = match self.phase {
            Phase::Waiting { until } => Some((until, Timer::Reconnect)),
            Phase::Discovering { give_up } | Phase::Dialing { give_up } => {
                Some((give_up, Timer::Connect))
            }
            Phase::Open(link) => {
                let stable = link.stable_at.map(|due| (due, Timer::Stable));
                let ping = sooner(stable, Some(link.ping_at), Timer::Ping);
                sooner(ping, link.pong_by, Timer::Pong)
            }
            Phase::Fatal | Phase::Closed => None,
        };
        let ack = self.acks.deadline(self.config.ack_timeout, &self.memory);
        first = sooner(first, ack, Timer::Ack);
        let parts = Reassembly::deadline(self.config.reassembly_timeout, &self.memory);
        sooner(first, parts, Timer::Reassembly)
    }

    /// Where the machine stands.
    #[must_use]
    pub const fn state(&self) -> LinkState {
        match self.phase {
            Phase::Waiting { .. } => LinkState::Waiting,
            Phase::Discovering { .. } | Phase::Dialing { .. } => LinkState::Connecting,
            Phase::Open(_) => LinkState::Open,
            Phase::Fatal => LinkState::Fatal,
            Phase::Closed => LinkState::Closed,
        }
    }

    /// What the server said last about intervals.
    #[must_use]
    pub const fn server_config(&self) -> ClientConfig {
        self.server
    }

    /// Deliveries in flight, at most.
    #[must_use]
    pub const fn in_flight(&self) -> u64 {
        self.acks.len()
    }

    /// Bytes of parts that wait for the others of their events, and until the next
    /// message those of the event that was joined last. At most
    /// [`Limits::event_bytes_max`](crate::Limits) for each set of the memory given.
    #[must_use]
    pub fn joining_bytes(&self) -> usize {
        let sets = self.memory.part_sets_ref().iter();
        sets.map(|set| set.bytes().len()).sum()
    }

    /// Counters.
    #[must_use]
    pub const fn stats(&self) -> &Stats {
        &self.stats
    }

    /// Any inbound message of the current link clears the pong deadline.
    fn heard(&mut self, epoch: Epoch) -> bool {
        match &mut self.phase {
            Phase::Open(link) if epoch == self.epoch => {
                link.pong_by = None;
                true
            }
            Phase::Waiting { .. }
            | Phase::Discovering { .. }
            | Phase::Dialing { .. }
            | Phase::Open(_)
            | Phase::Fatal
            | Phase::Closed => false,
        }
    }

    fn deliver<'a>(&'a mut self, now: Instant, frame: Frame<'a>) -> Option<Delivery<'a>> {
        let tags = Tags::of(&frame);
        let payload = frame.payload.unwrap_or_default();
        let (Some(sum), Some(seq)) = (tags.sum, tags.seq) else {
            self.discarded(Discard::Impossible);
            return None;
        };
        let joined = if sum <= 1 {
            None
        } else {
            let part = Part {
                id: tags.push_id,
                sum,
                seq,
                payload,
            };
            match self
                .reassembly
                .take(now, part, &self.config.limits, &mut self.memory)
            {
                Taken::Complete(set) => Some(set),
                Taken::Kept => return None,
                Taken::Double => {
                    self.stats.doubles += 1;
                    return None;
                }
                Taken::Dropped(why) => {
                    self.discarded(why);
                    return None;
                }
            }
        };
        let Ok(token) = self.acks.push(now, &frame, &mut self.memory) else {
            self.stats.shed += 1;
            return None;
        };
        let encoding = match frame.payload_encoding {
            None | Some("") => Encoding::Identity,
            Some("gzip") => Encoding::Gzip,
            Some(_) => {
                self.stats.ignored += 1;
                self.refuse_one = Some(token);
                return None;
            }
        };
        self.stats.delivered += 1;
        let payload = match joined {
            None => payload,
            Some(set) => {
                self.reassembly.remember(now, tags.push_id, token.id());
                self.memory.part_sets_ref().get(set)?.bytes()
            }
        };
        Some(Delivery {
            token,
            kind: tags.kind,
            payload,
            encoding,
            push_id: tags.push_id,
            trace_id: tags.trace_id,
            parts: sum.max(1),
        })
    }

    fn attempt(&mut self, now: Instant) {
        self.epoch.0 += 1;
        self.stats.attempts += 1;
        self.phase = Phase::Discovering {
            give_up: now + self.config.connect_timeout,
        };
        self.emit(Queued::FetchEndpoint(self.epoch));
    }

    fn link_timers(&mut self, now: Instant) {
        let Phase::Open(link) = &mut self.phase else {
            return;
        };
        if link.stable_at.is_some_and(|due| due <= now) {
            link.stable_at = None;
            self.backoff.reset();
        }
        if link.pong_by.is_some_and(|due| due <= now) {
            self.abandon(now, CloseReason::PongTimeout);
        } else if link.ping_at <= now {
            self.ping(now);
        }
    }

    fn ping(&mut self, now: Instant) {
        let interval = self.server.ping_interval;
        if let Phase::Open(link) = &mut self.phase {
            link.pinged = now;
            link.ping_at = now + interval;
            link.pong_by.get_or_insert(now + self.config.pong_timeout);
            self.stats.pings += 1;
            self.emit(Queued::Ping);
        }
    }

    /// New intervals count from now on; a shorter ping interval also for the
    /// ping that is already planned.
    fn reconfigure(&mut self, now: Instant, stated: StatedConfig) {
        let config = self.server.updated(stated);
        if config == self.server {
            return;
        }
        self.server = config;
        if let Phase::Open(link) = &mut self.phase {
            link.ping_at = link
                .ping_at
                .min(link.pinged + config.ping_interval)
                .max(now);
        }
        self.emit(Queued::Reconfigured);
    }

    fn refused(&mut self, now: Instant, refusal: Refusal) {
        if refusal.suspects_credentials() {
            self.suspect_refusals += 1;
        } else {
            self.suspect_refusals = 0;
        }
        if refusal.is_fatal() || self.suspect_refusals >= SUSPECT_REFUSALS_MAX {
            self.phase = Phase::Fatal;
            self.emit(Queued::Fatal(refusal));
            return;
        }
        self.emit(Queued::Refused(refusal));
        self.link_down(now, CloseReason::Refused);
        if let Phase::Waiting { until } = &mut self.phase
            && refusal.wants_slow_retry()
        {
            *until = now + self.config.slow_retry + self.backoff.below(self.config.slow_retry);
        }
    }

    fn abandon(&mut self, now: Instant, reason: CloseReason) {
        self.suspect_refusals = 0;
        self.emit(Queued::Disconnect(self.epoch, reason));
        self.link_down(now, reason);
    }

    fn link_down(&mut self, now: Instant, reason: CloseReason) {
        self.emit(Queued::LinkDown(self.epoch, reason));
        let wait = self
            .backoff
            .next(self.server.reconnect_nonce, self.server.reconnect_interval);
        self.phase = Phase::Waiting { until: now + wait };
    }

    /// Writes code 500 for a delivery; false if nothing is to be sent.
    fn refuse(&mut self, now: Instant, id: DeliveryId, scratch: &mut impl Buffer) -> bool {
        let open = matches!(self.phase, Phase::Open(_));
        let written = open.then(|| {
            self.acks
                .answer(now, id, Outcome::Failed, &mut self.memory, scratch)
        });
        self.acks.settle(id, &mut self.memory);
        self.reassembly.forget(id);
        matches!(written, Some(Some(Ok(()))))
    }

    fn discarded(&mut self, why: Discard) {
        self.stats.discarded += 1;
        self.emit(Queued::Discarded(why));
    }

    /// A caller that drains as the contract says never fills the queue; for
    /// one that does not, the oldest output gives way.
    fn emit(&mut self, queued: Queued) {
        if self.outputs.is_full() {
            self.outputs.pop_front();
        }
        let _ = self.outputs.push_back(queued);
    }
}

/// Of two timers the one that is due first; `first` also where both are at one
/// time.
fn sooner(
    first: Option<(Instant, Timer)>,
    due: Option<Instant>,
    timer: Timer,
) -> Option<(Instant, Timer)> {
    match (first, due) {
        (Some((before, _)), Some(due)) if before <= due => first,
        (_, Some(due)) => Some((due, timer)),
        (_, None) => first,
    }
}

/// The headers of a data frame that mean something.
struct Tags<'a> {
    kind: &'a str,
    push_id: &'a str,
    trace_id: &'a str,
    sum: Option<u32>,
    seq: Option<u32>,
}

impl<'a> Tags<'a> {
    fn of(frame: &Frame<'a>) -> Self {
        let text = |name| frame.header(name).unwrap_or_default();
        Self {
            kind: text(header::TYPE),
            push_id: text(header::MESSAGE_ID),
            trace_id: text(header::TRACE_ID),
            sum: frame.sum(),
            seq: frame.seq(),
        }
    }
}
