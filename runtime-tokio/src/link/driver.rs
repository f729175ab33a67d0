//! The loop: drain the machine, wait for one thing, feed it in.

use core::future::Future;
use core::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures_util::future::{FutureExt as _, OptionFuture};
use futures_util::stream::FuturesUnordered;
use futures_util::{SinkExt as _, StreamExt as _};
use proto_core::conn::{
    AckToken, CloseReason, Connection, Delivery, Encoding, Epoch, Event, HeapMemory, Outcome,
    Output,
};
use proto_core::{EndpointReply, Instant as CoreInstant};
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error as WsError, Message};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use super::dial::{DialError, Socket, dial};
use super::{EndpointAnswer, EndpointSource, LinkOptions, LinkStatus};
use crate::{InboundEvent, Ingress, Transport, Verdict, WallClock};

/// Messages and verdicts handled before the acknowledgements are flushed: the
/// batch that shares one write.
const BATCH_MAX: usize = 128;
/// How long written acknowledgements may wait for those still on their way to
/// the disk, so that they leave in one write. Without any on their way they
/// leave at once.
const FLUSH_DELAY: Duration = Duration::from_millis(1);
/// A write that takes longer finds no reader: the link is dead.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long deliveries in flight may take when the daemon stops. The store's
/// own deadline is shorter.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(2);
/// How long the platform may take to answer our close frame.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);
/// How long our answer to the platform's close frame may take.
const CLOSE_REPLY_TIMEOUT: Duration = Duration::from_millis(200);
/// How far the wall clock may run ahead of the monotonic one before the
/// machine counts as having slept, and how often that is looked at.
const SLEPT: Duration = Duration::from_secs(10);
const SLEEP_CHECK: Duration = Duration::from_secs(5);

type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

pub(super) struct Driver<E, I> {
    options: LinkOptions,
    endpoint: Arc<E>,
    ingress: Arc<I>,
    status: LinkStatus,
    clock: Clock,
    machine: Connection<HeapMemory>,
    scratch: Vec<u8>,
    socket: Option<(Epoch, Socket)>,
    fetching: Option<(Epoch, BoxFuture<Option<EndpointAnswer>>)>,
    dialing: Option<(Epoch, BoxFuture<Result<Socket, DialError>>)>,
    accepting: FuturesUnordered<BoxFuture<Judged>>,
    oversize: Arc<AtomicU64>,
    unflushed: bool,
    /// When the events were received whose acknowledgements are among what is not flushed.
    unheard: Vec<Instant>,
    /// When what was written must leave, company or not.
    flush_by: Option<Instant>,
    flushes: u64,
}

/// What ended a wait.
enum Wake {
    Timer,
    Fetched(Epoch, Option<EndpointAnswer>),
    Dialed(Epoch, Box<Result<Socket, DialError>>),
    Inbound(Epoch, Option<Result<Message, WsError>>),
    Judged(Judged),
    SleepCheck,
}

/// An event that the application has judged.
struct Judged {
    token: AckToken,
    verdict: Verdict,
    received: Instant,
}

impl<E: EndpointSource, I: Ingress> Driver<E, I> {
    pub(super) fn new(
        mut options: LinkOptions,
        endpoint: E,
        ingress: Arc<I>,
        status: LinkStatus,
    ) -> Self {
        if planted::is(planted::Defect::DeafLink) {
            options.core.pong_timeout = Duration::from_secs(1 << 30);
        }
        let clock = Clock::new(options.clock.clone());
        let machine = Connection::new(
            clock.now(),
            options.core.clone(),
            fastrand::u64(..),
            HeapMemory::default(),
        );
        Self {
            options,
            endpoint: Arc::new(endpoint),
            ingress,
            status,
            clock,
            machine,
            scratch: Vec::new(),
            socket: None,
            fetching: None,
            dialing: None,
            accepting: FuturesUnordered::new(),
            oversize: Arc::default(),
            unflushed: false,
            unheard: Vec::new(),
            flush_by: None,
            flushes: 0,
        }
    }

    pub(super) async fn run(mut self, shutdown: CancellationToken) {
        let mut sleep_check = tokio::time::interval(SLEEP_CHECK);
        sleep_check.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            self.machine.handle_timeout(self.clock.now());
            self.drain().await;
            self.flush_if_due().await;
            self.publish();
            let wake = tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                wake = self.wait() => wake,
                _ = sleep_check.tick() => Wake::SleepCheck,
            };
            // Timers before input, so that the result does not depend on
            // which of two ready things the wait saw first.
            self.machine.handle_timeout(self.clock.now());
            self.feed(wake).await;
            self.feed_ready().await;
        }
        self.stop().await;
    }

    async fn wait(&mut self) -> Wake {
        let due = self
            .machine
            .poll_timeout()
            .map(|(due, _)| self.clock.at(due));
        let due = due.into_iter().chain(self.flush_by).min();
        let timer = OptionFuture::from(due.map(tokio::time::sleep_until));
        let (fetching, dialing, socket) = (&mut self.fetching, &mut self.dialing, &mut self.socket);
        tokio::select! {
            Some(message) = OptionFuture::from(socket.as_mut().map(|(epoch, socket)| {
                let epoch = *epoch;
                socket.next().map(move |message| (epoch, message))
            })) => Wake::Inbound(message.0, message.1),
            Some(judged) = self.accepting.next() => Wake::Judged(judged),
            Some((epoch, answer)) = OptionFuture::from(fetching.as_mut().map(|(epoch, fetch)| {
                let epoch = *epoch;
                fetch.map(move |answer| (epoch, answer))
            })) => {
                self.fetching = None;
                Wake::Fetched(epoch, answer)
            }
            Some((epoch, dialed)) = OptionFuture::from(dialing.as_mut().map(|(epoch, dial)| {
                let epoch = *epoch;
                dial.map(move |dialed| (epoch, dialed))
            })) => {
                self.dialing = None;
                Wake::Dialed(epoch, Box::new(dialed))
            }
            Some(()) = timer => Wake::Timer,
            else => std::future::pending().await,
        }
    }

    /// Feeds whatever else is ready now, so that acknowledgements that are
    /// ready together leave in one write.
    async fn feed_ready(&mut self) {
        for _ in 0..BATCH_MAX {
            if let Some(Some(judged)) = self.accepting.next().now_or_never() {
                self.feed(Wake::Judged(judged)).await;
                continue;
            }
            let Some((epoch, socket)) = &mut self.socket else {
                return;
            };
            let epoch = *epoch;
            let Some(message) = socket.next().now_or_never() else {
                return;
            };
            self.feed(Wake::Inbound(epoch, message)).await;
        }
    }

    async fn feed(&mut self, wake: Wake) {
        let now = self.clock.now();
        match wake {
            Wake::Timer => {}
            Wake::SleepCheck => {
                if self.clock.slept() {
                    info!("feishu websocket: the machine slept; checking the link");
                    self.machine.handle_wake(now);
                }
            }
            Wake::Fetched(epoch, answer) => {
                let reply =
                    answer
                        .as_ref()
                        .map_or(EndpointReply::Failed, |answer| EndpointReply::Http {
                            status: answer.status,
                            body: &answer.body,
                        });
                self.machine.handle_endpoint(now, epoch, reply);
            }
            Wake::Dialed(epoch, dialed) => self.feed_dialed(now, epoch, *dialed),
            Wake::Inbound(epoch, message) => self.feed_message(now, epoch, message).await,
            Wake::Judged(judged) => self.acknowledge(now, judged).await,
        }
        self.drain().await;
    }

    fn feed_dialed(&mut self, now: CoreInstant, epoch: Epoch, dialed: Result<Socket, DialError>) {
        match dialed {
            Ok(socket) => {
                self.socket = Some((epoch, socket));
                self.machine.handle_open(now, epoch);
            }
            Err(DialError::Refused(refusal)) => {
                self.machine.handle_refused(now, epoch, refusal);
            }
            Err(DialError::Failed(reason, why)) => {
                warn!(attempt = epoch.number(), "feishu websocket: {why}");
                self.status.update(|status| status.last_error = Some(why));
                self.machine.handle_closed(now, epoch, reason);
            }
        }
    }

    async fn feed_message(
        &mut self,
        now: CoreInstant,
        epoch: Epoch,
        message: Option<Result<Message, WsError>>,
    ) {
        match message {
            Some(Ok(Message::Binary(bytes))) => self.feed_frame(now, epoch, &bytes),
            Some(Ok(Message::Text(_))) => self.machine.handle_other_message(epoch, true),
            Some(Ok(Message::Ping(_))) => {
                // The library has queued the pong; it leaves with the flush.
                self.unflushed = true;
                self.machine.handle_other_message(epoch, false);
            }
            Some(Ok(Message::Pong(_) | Message::Frame(_))) => {
                self.machine.handle_other_message(epoch, false);
            }
            Some(Ok(Message::Close(frame))) => {
                let code = frame.map(|frame| u16::from(frame.code));
                if let Some((_, mut socket)) = self.socket.take() {
                    // The library has queued the answering close frame.
                    let _ = tokio::time::timeout(CLOSE_REPLY_TIMEOUT, socket.flush()).await;
                }
                self.machine
                    .handle_closed(now, epoch, CloseReason::Peer(code));
            }
            Some(Err(error)) => {
                self.socket = None;
                self.status
                    .update(|status| status.last_error = Some(error.to_string()));
                self.machine
                    .handle_closed(now, epoch, CloseReason::Transport);
            }
            None => {
                self.socket = None;
                self.machine
                    .handle_closed(now, epoch, CloseReason::Transport);
            }
        }
    }

    fn feed_frame(&mut self, now: CoreInstant, epoch: Epoch, bytes: &Bytes) {
        let pongs = self.machine.stats().pongs;
        let event_bytes_max = self.options.core.limits.event_bytes_max;
        let accepted = self
            .machine
            .handle_message(now, epoch, bytes)
            .map(|delivery| {
                debug!(
                    push_id = delivery.push_id,
                    trace_id = delivery.trace_id,
                    parts = delivery.parts,
                    bytes = delivery.payload.len(),
                    "feishu websocket: event received"
                );
                let payload = unpack(&delivery, bytes, event_bytes_max);
                (delivery.token, payload)
            });
        if self.machine.stats().pongs > pongs {
            self.status
                .update(|status| status.last_pong = Some(self.clock.wall.now()));
        }
        let Some((token, payload)) = accepted else {
            return;
        };
        self.status
            .update(|status| status.last_event = Some(self.clock.wall.now()));
        let ingress = Arc::clone(&self.ingress);
        let received = Instant::now();
        self.accepting.push(Box::pin(async move {
            let verdict = match payload {
                Ok(payload) => {
                    let event = proto_core::Event::parse(&payload);
                    let event = InboundEvent {
                        payload: &payload,
                        event: event.as_ref().map_err(|error| *error),
                        transport: Transport::LongConnection,
                        received,
                    };
                    ingress.accept(event).await
                }
                Err(error) => {
                    warn!("feishu websocket: a compressed event cannot be read: {error}");
                    Verdict::Refused
                }
            };
            Judged {
                token,
                verdict,
                received,
            }
        }));
    }

    async fn acknowledge(&mut self, now: CoreInstant, judged: Judged) {
        let outcome = match &judged.verdict {
            Verdict::Accepted => Outcome::Done,
            Verdict::Answer(json) => Outcome::Answer(json),
            Verdict::Refused => Outcome::Failed,
        };
        let mut frame = Vec::with_capacity(512);
        match self
            .machine
            .acknowledge(now, judged.token, outcome, &mut frame)
        {
            Ok(()) => {
                self.send(frame).await;
                if judged.verdict != Verdict::Refused {
                    self.unheard.push(judged.received);
                }
            }
            Err(error) => debug!("feishu websocket: {error}; Feishu will push the event again"),
        }
    }

    /// Does what the machine wants done.
    async fn drain(&mut self) {
        let mut scratch = core::mem::take(&mut self.scratch);
        loop {
            let now = self.clock.now();
            let Some(output) = self.machine.poll_output(now, &mut scratch) else {
                break;
            };
            match output {
                Output::FetchEndpoint(epoch) => {
                    info!(
                        attempt = epoch.number(),
                        "feishu websocket: asking for the endpoint"
                    );
                    let endpoint = Arc::clone(&self.endpoint);
                    let fetch = async move { endpoint.fetch().await };
                    self.fetching = Some((epoch, Box::pin(fetch)));
                }
                Output::Connect { epoch, url } => {
                    info!(
                        attempt = epoch.number(),
                        host = host_for_log(url),
                        "feishu websocket: endpoint received, connecting"
                    );
                    let (url, dialer) = (url.to_owned(), self.options.dialer.clone());
                    let bytes_max = self.options.core.limits.frame_bytes_max;
                    let oversize = Arc::clone(&self.oversize);
                    let dial = async move { dial(&url, bytes_max, &dialer, oversize).await };
                    self.dialing = Some((epoch, Box::pin(dial)));
                }
                Output::Send(bytes) => {
                    let bytes = bytes.to_vec();
                    self.send(bytes).await;
                }
                Output::Disconnect(epoch, reason) => self.disconnect(epoch, reason).await,
                Output::Event(event) => report(event, &self.status),
            }
        }
        self.scratch = scratch;
    }

    /// Queues one binary message; [`Self::flush`] writes it.
    async fn send(&mut self, bytes: Vec<u8>) {
        let Some((epoch, socket)) = &mut self.socket else {
            return;
        };
        let epoch = *epoch;
        let queued = tokio::time::timeout(WRITE_TIMEOUT, socket.feed(Message::binary(bytes))).await;
        self.unflushed = true;
        if !matches!(queued, Ok(Ok(()))) {
            self.lost(epoch);
        }
    }

    async fn flush_if_due(&mut self) {
        if !self.unflushed {
            return;
        }
        let now = Instant::now();
        let flush_by = *self.flush_by.get_or_insert(now + FLUSH_DELAY);
        if self.accepting.is_empty() || flush_by <= now {
            self.flush().await;
        }
    }

    async fn flush(&mut self) {
        self.flush_by = None;
        if !core::mem::take(&mut self.unflushed) {
            return;
        }
        let Some((epoch, socket)) = &mut self.socket else {
            self.unheard.clear();
            return;
        };
        let epoch = *epoch;
        self.flushes += 1;
        if !matches!(
            tokio::time::timeout(WRITE_TIMEOUT, socket.flush()).await,
            Ok(Ok(()))
        ) {
            self.lost(epoch);
            self.drain().await;
            return;
        }
        let flushed = Instant::now();
        for received in self.unheard.drain(..) {
            self.ingress.acknowledged(flushed - received);
        }
    }

    fn lost(&mut self, epoch: Epoch) {
        self.socket = None;
        self.unheard.clear();
        let now = self.clock.now();
        self.machine
            .handle_closed(now, epoch, CloseReason::Transport);
    }

    async fn disconnect(&mut self, epoch: Epoch, reason: CloseReason) {
        self.fetching = None;
        self.dialing = None;
        let Some((open, mut socket)) = self.socket.take() else {
            return;
        };
        if open != epoch || reason != CloseReason::Shutdown {
            // A deaf socket would not take a close frame either.
            return;
        }
        let goodbye = async {
            let frame = CloseFrame {
                code: CloseCode::Normal,
                reason: "".into(),
            };
            socket.close(Some(frame)).await?;
            while let Some(message) = socket.next().await {
                message?;
            }
            Ok::<(), WsError>(())
        };
        if tokio::time::timeout(CLOSE_TIMEOUT, goodbye).await.is_err() {
            debug!("feishu websocket: the close frame was not answered");
        }
    }

    /// No new events; those in flight are answered, then the link is closed.
    async fn stop(&mut self) {
        let deadline = Instant::now() + DRAIN_TIMEOUT;
        while !self.accepting.is_empty() {
            let judged = tokio::time::timeout_at(deadline, self.accepting.next()).await;
            let Ok(Some(judged)) = judged else {
                break;
            };
            self.acknowledge(self.clock.now(), judged).await;
        }
        self.flush().await;
        self.machine.close(self.clock.now());
        self.drain().await;
        self.publish();
    }

    fn publish(&mut self) {
        let (state, stats) = (self.machine.state(), *self.machine.stats());
        let (in_flight, flushes) = (self.machine.in_flight(), self.flushes);
        let joining_bytes = self.machine.joining_bytes();
        let oversize = self.oversize.load(Ordering::Relaxed);
        let wall = &self.clock.wall;
        self.status.update(|status| {
            if status.state != state {
                status.since = wall.now();
            }
            status.state = state;
            status.stats = stats;
            status.oversize = oversize;
            status.in_flight = in_flight;
            status.joining_bytes = joining_bytes;
            status.flushes = flushes;
            status.rounds += 1;
        });
    }
}

/// The payload as owned bytes: shared with the message where it can be, copied
/// once where parts were joined, inflated where it is packed.
fn unpack(delivery: &Delivery<'_>, message: &Bytes, bytes_max: usize) -> std::io::Result<Bytes> {
    match delivery.encoding {
        Encoding::Identity if delivery.parts == 1 && !delivery.payload.is_empty() => {
            Ok(message.slice_ref(delivery.payload))
        }
        Encoding::Identity => Ok(Bytes::copy_from_slice(delivery.payload)),
        Encoding::Gzip => {
            use std::io::Read as _;
            let mut plain = Vec::new();
            flate2::read::GzDecoder::new(delivery.payload)
                .take(bytes_max as u64 + 1)
                .read_to_end(&mut plain)?;
            if plain.len() > bytes_max {
                return Err(std::io::Error::other("longer than the limit when inflated"));
            }
            Ok(plain.into())
        }
    }
}

fn report(event: Event, status: &LinkStatus) {
    let failed = |why: String| status.update(|status| status.last_error = Some(why));
    if let Event::LinkDown(_, reason) = &event {
        status.update(|status| status.endings.count(*reason));
    }
    match event {
        Event::LinkUp(epoch) => {
            info!(attempt = epoch.number(), "feishu websocket: connected");
            status.update(|status| status.last_error = None);
        }
        Event::LinkDown(_, CloseReason::Shutdown) => info!("feishu websocket: closed"),
        Event::LinkDown(epoch, reason) => {
            let attempt = epoch.number();
            warn!(
                attempt,
                ?reason,
                "feishu websocket: link down, will reconnect"
            );
            if !matches!(reason, CloseReason::Refused | CloseReason::ConnectFailed) {
                failed(in_words(reason));
            }
        }
        Event::Refused(refusal) => {
            warn!("feishu websocket: {refusal}");
            failed(refusal.to_string());
        }
        Event::Fatal(refusal) => {
            error!(
                "feishu websocket: {refusal}; giving up until the daemon is restarted: check \
                 app_id, the app secret and the app's status in the console"
            );
            failed(refusal.to_string());
        }
        Event::Reconfigured(config) => {
            let (ping, nonce) = (config.ping_interval, config.reconnect_nonce);
            debug!(
                ?ping,
                ?nonce,
                "feishu websocket: the platform set its intervals"
            );
        }
        Event::AckOverdue(_) => {
            warn!("feishu websocket: an event was not made durable in time and was refused");
        }
        Event::Discarded(why) => {
            warn!(?why, "feishu websocket: dropped the parts of a split event");
        }
        Event::BadFrame(error) => warn!("feishu websocket: dropped a message: {error}"),
        _ => {}
    }
}

/// Why a link or an attempt ended, for people.
fn in_words(reason: CloseReason) -> String {
    match reason {
        CloseReason::ConnectTimeout => "no connection came about in time".into(),
        CloseReason::Peer(code) => match code {
            Some(code) => format!("Feishu closed it (code {code})"),
            None => "Feishu closed it".into(),
        },
        CloseReason::Transport => "the network lost it".into(),
        CloseReason::PongTimeout => "it was deaf: no pong came in time".into(),
        // Said better where it happened.
        CloseReason::ConnectFailed | CloseReason::Refused | CloseReason::Shutdown => {
            format!("{reason:?}")
        }
        // Whatever this version has no words for.
        _ => format!("{reason:?}"),
    }
}

/// A connection URL's host; its query holds credentials.
fn host_for_log(url: &str) -> &str {
    url.split_once("://")
        .and_then(|(_, rest)| rest.split(['/', '?']).next())
        .unwrap_or_default()
}

/// tokio's clock as the core's, and a watch for the machine's sleep.
struct Clock {
    origin: Instant,
    wall: WallClock,
    wall_origin: SystemTime,
    ahead: Duration,
}

impl Clock {
    fn new(wall: WallClock) -> Self {
        Self {
            origin: Instant::now(),
            wall_origin: wall.now(),
            wall,
            ahead: Duration::ZERO,
        }
    }

    fn now(&self) -> CoreInstant {
        let millis = self.origin.elapsed().as_millis();
        CoreInstant::from_millis(u64::try_from(millis).unwrap_or(u64::MAX))
    }

    fn at(&self, due: CoreInstant) -> Instant {
        self.origin + Duration::from_millis(due.as_millis())
    }

    /// Whether the wall clock has run ahead since the last call.
    fn slept(&mut self) -> bool {
        let wall = self.wall.now().duration_since(self.wall_origin);
        let ahead = wall
            .unwrap_or_default()
            .saturating_sub(self.origin.elapsed());
        let slept = ahead > self.ahead + SLEPT;
        self.ahead = ahead;
        slept
    }
}
