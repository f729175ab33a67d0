//! The model and two machines, one in fixed memory and one on the heap, side
//! by side through the same operations.

use core::time::Duration;
use std::collections::BTreeMap;

use prost::Message as _;
use proto_core::conn::{
    AckError, AckToken, Connection, DeliveryId, Epoch, FixedMemory, HeapMemory, LinkState, Memory,
    Outcome, Stats,
};
use proto_core::{Config, EndpointReply, Instant};

use crate::operation::{Answer, Attempt, Intervals, Message, Operation, Reply};
use crate::reference::{ACKS, Delivered, LIMITS, Model, SETS};
use crate::support::{PlainFrame, Said, drain, grant};

/// Echoed bytes: more than the machine can ever need.
const ACK_BYTES: usize = 4 * ACKS * LIMITS.frame_bytes_max;
/// More deliveries than operations.
const FORGED: usize = 70;
/// No acknowledgement is longer.
const ROOM_MAX: usize = 1000;

pub(crate) struct Trial {
    now: Instant,
    fixed: Machine<Fixed>,
    heap: Machine<HeapMemory>,
    /// All attempts, and what was current before the first.
    epochs: Vec<Epoch>,
    /// What deliveries are called, by number.
    ids: Vec<DeliveryId>,
    model: Model,
    /// Everything that was said, for who wants to know what was reached.
    pub(crate) said: Vec<Said>,
    pub(crate) redeemed: Vec<Result<(), AckError>>,
    /// Events that came in parts and were delivered.
    pub(crate) joined: u64,
}

type Fixed = FixedMemory<ACKS, ACK_BYTES, SETS, { LIMITS.event_bytes_max }>;

struct Machine<M> {
    machine: Connection<M>,
    /// The tokens of its deliveries, until they are redeemed.
    tokens: BTreeMap<DeliveryId, AckToken>,
    /// Tokens of another machine: each redeems the delivery of the same
    /// number, once more or for the first time.
    forged: Vec<Option<AckToken>>,
}

/// What an operation is told by numbers.
struct Scene<'a> {
    now: Instant,
    epochs: &'a [Epoch],
    pushes: usize,
}

impl Scene<'_> {
    fn epoch(&self, back: Attempt) -> Epoch {
        self.epochs[self.epochs.len().saturating_sub(1 + back)]
    }

    /// 0 is a push that has not come yet.
    fn push(&self, back: usize) -> usize {
        self.pushes.saturating_sub(back)
    }
}

/// What a machine shows after a step.
#[derive(Debug, PartialEq)]
struct Shown {
    said: Vec<Said>,
    delivered: Option<Delivered>,
    redeemed: Option<Result<Vec<u8>, AckError>>,
}

impl Trial {
    pub(crate) fn new(seed: u64) -> Self {
        let now = Instant::from_millis(1_000_000);
        let ids = forge().iter().flatten().map(AckToken::id).collect();
        Self {
            now,
            fixed: Machine::new(now, seed, FixedMemory::default()),
            heap: Machine::new(now, seed, HeapMemory::new(ACKS, ACK_BYTES, SETS)),
            epochs: vec![Epoch::default()],
            ids,
            model: Model::new(now),
            said: Vec::new(),
            redeemed: Vec::new(),
            joined: 0,
        }
    }

    pub(crate) fn run(&mut self, operations: &[Operation]) {
        for operation in operations {
            match operation {
                Operation::Pass(millis) => self.now = self.now + Duration::from_millis(*millis),
                Operation::NextTimer => self.next_timer(),
                Operation::Attempt => self.attempt(),
                Operation::Connect => self.connect(),
                Operation::Timeout
                | Operation::Endpoint(..)
                | Operation::Open(_)
                | Operation::Refused(..)
                | Operation::Closed(..)
                | Operation::Message(..)
                | Operation::Other(..)
                | Operation::Wake
                | Operation::Acknowledge(..)
                | Operation::Close => self.step(operation),
            }
        }
    }

    pub(crate) fn stats(&self) -> &Stats {
        self.fixed.machine.stats()
    }

    fn next_timer(&mut self) {
        if let Some((due, _)) = self.fixed.machine.poll_timeout() {
            self.now = self.now.max(due);
            self.step(&Operation::Timeout);
        }
    }

    /// Other timers may come first.
    fn attempt(&mut self) {
        while self.model.link_state() == LinkState::Waiting {
            self.next_timer();
        }
    }

    fn connect(&mut self) {
        self.attempt();
        let answer = Answer::Grant(1, Intervals::default());
        self.step(&Operation::Endpoint(0, answer));
        self.step(&Operation::Open(0));
    }

    fn step(&mut self, operation: &Operation) {
        let scene = Scene {
            now: self.now,
            epochs: &self.epochs,
            pushes: self.model.pushes.len(),
        };
        let shown = self.fixed.step(&scene, operation);
        let on_heap = self.heap.step(&scene, operation);
        assert_eq!(
            shown, on_heap,
            "fixed and heap memory differ: {operation:?}"
        );
        let expected = expect(&mut self.model, &scene, operation, &shown, &self.ids);
        assert_eq!(shown, expected, "machine and model differ: {operation:?}");
        self.epochs.extend(shown.said.iter().filter_map(fetched));
        let joined = shown.delivered.is_some_and(|delivered| delivered.parts > 1);
        self.joined += u64::from(joined);
        self.said.extend(shown.said);
        self.redeemed
            .extend(shown.redeemed.map(|redeemed| redeemed.map(drop)));
        self.agree();
    }

    /// Whatever else can be seen of the machines is the model's, too.
    fn agree(&mut self) {
        let seen = self.fixed.machine.poll_timeout();
        assert_eq!(seen, self.heap.machine.poll_timeout());
        self.model.waits_for(seen);
        self.fixed.agrees(&self.model);
        self.heap.agrees(&self.model);
    }
}

/// What the model expects to be shown. `seen` tells it what only chance
/// decides: whether an attempt begins.
fn expect(
    model: &mut Model,
    scene: &Scene<'_>,
    operation: &Operation,
    seen: &Shown,
    ids: &[DeliveryId],
) -> Shown {
    let now = scene.now;
    let (mut delivered, mut redeemed) = (None, None);
    let said = match operation {
        Operation::Pass(_) | Operation::NextTimer | Operation::Attempt | Operation::Connect => {
            Vec::new()
        }
        Operation::Timeout => {
            let fetched = seen.said.iter().find_map(fetched);
            model.timeout(now, fetched, ids)
        }
        Operation::Endpoint(back, answer) => model.endpoint(now, scene.epoch(*back), answer),
        Operation::Open(back) => model.open(now, scene.epoch(*back)),
        Operation::Refused(back, refusal) => model.refused(now, scene.epoch(*back), *refusal),
        Operation::Closed(back, reason) => model.closed(now, scene.epoch(*back), *reason),
        Operation::Message(back, message) => {
            let said;
            (delivered, said) = model.message(now, scene.epoch(*back), message);
            said
        }
        Operation::Other(back, is_text) => {
            model.other(scene.epoch(*back), *is_text);
            Vec::new()
        }
        Operation::Wake => model.wake(now),
        Operation::Acknowledge(back, reply, room) => {
            // Each delivery has two tokens, its own and a forged one.
            let push = scene.push(*back);
            redeemed =
                (seen.redeemed.is_some()).then(|| model.acknowledge(now, push, reply, *room));
            Vec::new()
        }
        Operation::Close => model.close(),
    };
    Shown {
        said,
        delivered,
        redeemed,
    }
}

impl<M: Memory> Machine<M> {
    fn new(now: Instant, seed: u64, memory: M) -> Self {
        let config = Config {
            limits: LIMITS,
            ..Config::default()
        };
        Self {
            machine: Connection::new(now, config, seed, memory),
            tokens: BTreeMap::new(),
            forged: forge(),
        }
    }

    fn step(&mut self, scene: &Scene<'_>, operation: &Operation) -> Shown {
        let (machine, now) = (&mut self.machine, scene.now);
        let at = |back: &Attempt| scene.epoch(*back);
        let (mut delivered, mut redeemed) = (None, None);
        match operation {
            Operation::Pass(_) | Operation::NextTimer | Operation::Attempt | Operation::Connect => {
            }
            Operation::Timeout => machine.handle_timeout(now),
            Operation::Endpoint(back, answer) => answered(machine, now, at(back), answer),
            Operation::Open(back) => machine.handle_open(now, at(back)),
            Operation::Refused(back, refusal) => machine.handle_refused(now, at(back), *refusal),
            Operation::Closed(back, reason) => machine.handle_closed(now, at(back), *reason),
            Operation::Message(back, message) => delivered = self.receive(now, at(back), message),
            Operation::Other(back, is_text) => machine.handle_other_message(at(back), *is_text),
            Operation::Wake => machine.handle_wake(now),
            Operation::Acknowledge(back, reply, room) => {
                redeemed = self.redeem(now, scene.push(*back), reply, *room);
            }
            Operation::Close => machine.close(now),
        }
        let said = drain(&mut self.machine, now, &mut Vec::new());
        Shown {
            said,
            delivered,
            redeemed,
        }
    }

    fn receive(&mut self, now: Instant, epoch: Epoch, message: &Message) -> Option<Delivered> {
        let bytes = match message {
            Message::Frame(frame) => frame.encode_to_vec(),
            Message::Garbage(bytes) => bytes.clone(),
        };
        let delivery = self.machine.handle_message(now, epoch, &bytes)?;
        let delivered = Delivered {
            kind: delivery.kind.to_owned(),
            payload: delivery.payload.to_vec(),
            encoding: delivery.encoding,
            push_id: delivery.push_id.to_owned(),
            trace_id: delivery.trace_id.to_owned(),
            parts: delivery.parts,
        };
        self.tokens.insert(delivery.token.id(), delivery.token);
        Some(delivered)
    }

    fn redeem(
        &mut self,
        now: Instant,
        push: usize,
        reply: &Reply,
        room: usize,
    ) -> Option<Result<Vec<u8>, AckError>> {
        let forged = &mut self.forged[push];
        let id = forged.as_ref()?.id();
        let token = self.tokens.remove(&id).or_else(|| forged.take())?;
        let outcome = match reply {
            Reply::Done => Outcome::Done,
            Reply::Answer(json) => Outcome::Answer(json.as_bytes()),
            Reply::Failed => Outcome::Failed,
        };
        let mut out = heapless::Vec::<u8, ROOM_MAX>::new();
        out.resize(ROOM_MAX - room, 0).unwrap();
        let redeemed = self.machine.acknowledge(now, token, outcome, &mut out);
        let written = out[ROOM_MAX - room..].to_vec();
        assert!(
            redeemed.is_ok() || written.is_empty(),
            "half an acknowledgement"
        );
        Some(redeemed.map(|()| written))
    }

    fn agrees(&self, model: &Model) {
        assert_eq!(self.machine.state(), model.link_state());
        assert_eq!(self.machine.server_config(), model.server);
        assert_eq!(self.machine.in_flight(), model.in_flight() as u64);
        assert_eq!(self.machine.stats(), &model.stats);
    }
}

fn answered<M: Memory>(machine: &mut Connection<M>, now: Instant, epoch: Epoch, answer: &Answer) {
    let (status, body) = match answer {
        Answer::Grant(service, intervals) => (200, grant(*service, &intervals.to_json())),
        Answer::Code(code) => (200, format!(r#"{{"code":{code},"msg":"","data":{{}}}}"#)),
        Answer::Status(status) => (*status, grant(1, "{}")),
        Answer::Body(body) => (200, (*body).to_owned()),
        Answer::Foreign(url) => (200, format!(r#"{{"code":0,"data":{{"URL":"{url}"}}}}"#)),
        Answer::Failed => return machine.handle_endpoint(now, epoch, EndpointReply::Failed),
    };
    let body = body.as_bytes();
    machine.handle_endpoint(now, epoch, EndpointReply::Http { status, body });
}

fn fetched(said: &Said) -> Option<Epoch> {
    if let Said::Fetch(epoch) = said {
        Some(*epoch)
    } else {
        None
    }
}

/// The tokens of another machine, one for each number.
fn forge() -> Vec<Option<AckToken>> {
    let now = Instant::from_millis(0);
    let memory = HeapMemory::new(FORGED, FORGED * 64, 0);
    let mut machine = Connection::new(now, Config::default(), 0, memory);
    machine.handle_timeout(now);
    let epoch = drain(&mut machine, now, &mut Vec::new())
        .iter()
        .find_map(fetched);
    let epoch = epoch.unwrap();
    let answer = Answer::Grant(1, Intervals::default());
    answered(&mut machine, now, epoch, &answer);
    machine.handle_open(now, epoch);
    let event = PlainFrame::new(1, &[("type", "event")], b"").encode_to_vec();
    let mut forged = || Some(machine.handle_message(now, epoch, &event)?.token);
    (0..FORGED).map(|_| forged()).collect()
}
