//! What the disk's witness tells, and the promises that can be checked by it.

use std::collections::{BTreeMap, BTreeSet};

use xiaoo_app::pipeline::admission::LATE_TURN;
use xiaoo_store::{Admission, Deed, Outcome, TurnId, TurnKey};

use crate::draw::Plan;
use crate::feishu::shown::mark;
use crate::world::{State, World};

/// What is on the disk.
#[derive(Default)]
pub struct Ledger {
    /// Events that are durable.
    pub events: BTreeSet<String>,
    /// The turn of each message.
    pub by_message: BTreeMap<String, TurnId>,
    /// All turns.
    pub turns: BTreeMap<TurnId, TurnRecord>,
    /// Turns whose owner's lease ran out: two may work on them for a while.
    pub lapsed: BTreeSet<TurnId>,
    /// Which turn of a conversation runs.
    running: BTreeMap<String, TurnId>,
    rows: BTreeMap<i64, (TurnId, String)>,
    /// Turns of each conversation that have not ended.
    open: BTreeMap<String, u64>,
    /// When a conversation, or the whole store, last had no room, Unix milliseconds.
    full_at: BTreeMap<String, i64>,
    store_full_at: i64,
    /// Rows that were given up: whose, what, why.
    pub dead: Vec<(TurnId, String, String)>,
    /// Files that answers said they bring: whose, and which run of the model wanted it.
    pub files: Vec<(TurnId, String)>,
}

/// One turn.
pub struct TurnRecord {
    /// The message that it answers.
    pub message: String,
    /// Its lane.
    pub conversation: String,
    /// `message`, `busy` and so on.
    pub kind: String,
    /// The claim that is good now.
    epoch: i64,
    /// Steps that are kept.
    steps: u32,
    /// Steps that were kept when it was claimed.
    pub steps_at_claim: u32,
    /// How it ended.
    pub ended: Option<Outcome>,
    /// When, Unix milliseconds.
    pub ended_ms: i64,
    /// Rows that are still to be settled.
    pub rows_open: usize,
}

/// Notes what was done, and judges it.
pub fn witness(world: &World, deed: Deed<'_>) {
    let mut state = world.lock();
    match deed {
        Deed::Admitted(event, admission) => {
            state.ledger.events.insert(event.event_id.clone());
            let message = event.message_id.clone().unwrap_or_default();
            match (admission, &event.work) {
                (Admission::New(turn), Some(work)) => {
                    state.step(format_args!("disk: turn {turn} for {message}"));
                    let known = state.ledger.by_message.insert(message.clone(), *turn);
                    if known.is_some() {
                        state.violated(format_args!("{message} has two turns"));
                    }
                    let record = TurnRecord {
                        message,
                        conversation: work.conversation.clone(),
                        kind: work.kind.clone(),
                        epoch: 0,
                        steps: 0,
                        steps_at_claim: 0,
                        ended: None,
                        ended_ms: 0,
                        rows_open: 0,
                    };
                    if record.kind == LATE_TURN {
                        state.saw("a missed message is read back");
                    }
                    state.ledger.turns.insert(*turn, record);
                    backlog(world, &mut state, &work.conversation);
                }
                (Admission::Duplicate { .. }, _) => state.saw("a duplicate is known again"),
                _ => {}
            }
        }
        Deed::Claimed(turn) => {
            let id = turn.key.id;
            let now = state.now_ms();
            state.ledger.note_full_store(world.plan(), now);
            state.step(format_args!("disk: turn {id} claimed, {}", turn.attempts));
            let lane = turn.conversation.clone();
            if let Some(other) = state.ledger.running.insert(lane, id)
                && other != id
            {
                state.violated(format_args!(
                    "turns {other} and {id} run at once in {}",
                    turn.conversation
                ));
            }
            let earlier = state.ledger.turns.iter().find(|(other, record)| {
                **other < id && record.conversation == turn.conversation && record.ended.is_none()
            });
            if let Some((other, _)) = earlier {
                let other = *other;
                state.violated(format_args!("turn {id} runs before turn {other}"));
            }
            if let Some(record) = state.ledger.turns.get_mut(&id) {
                record.epoch = turn.key.epoch;
                record.steps_at_claim = record.steps;
                let resumes = record.steps > 0;
                if resumes {
                    state.saw("a turn goes on from its steps");
                } else if turn.attempts > 1 {
                    state.saw("a turn begins again");
                }
            }
        }
        Deed::Released(key) => {
            state.step(format_args!("disk: turn {} handed back", key.id));
            state.ledger.leave(key.id);
            state.saw("a turn is handed back");
        }
        Deed::Stepped(key, step) => {
            fence(&mut state, key);
            // What the model sees of it; the start of a call is not among that.
            let is_message = step.kind == "message";
            let record = state.ledger.turns.get_mut(&key.id);
            if let Some(record) = record.filter(|_| is_message) {
                record.steps += 1;
            }
        }
        Deed::Finished(key, result) => {
            fence(&mut state, key);
            let rows = result.outbox.len();
            state.step(format_args!(
                "disk: turn {} ends {:?}, {rows} rows",
                key.id, result.outcome
            ));
            state.ledger.leave(key.id);
            let now = state.now_ms();
            let ledger = &mut state.ledger;
            let files = result.outbox.iter().filter(|row| row.kind == "file");
            let files = files.filter_map(|row| {
                let body = String::from_utf8_lossy(&row.body);
                Some((key.id, mark(&body, "file=")?))
            });
            ledger.files.extend(files);
            if let Some(record) = ledger.turns.get_mut(&key.id) {
                record.ended = Some(result.outcome);
                record.ended_ms = now;
                record.rows_open += rows;
                let open = ledger.open.entry(record.conversation.clone()).or_default();
                if *open > world.plan().backlog_max {
                    ledger.full_at.insert(record.conversation.clone(), now);
                }
                *open = open.saturating_sub(1);
            }
        }
        Deed::Taken(row) => {
            let entry = (row.turn, row.kind.clone());
            state.ledger.rows.insert(row.key.id, entry);
        }
        Deed::Sent(key) => settle(&mut state, key.id, None),
        Deed::GivenUp(key, why) => settle(&mut state, key.id, Some(why)),
        _ => {}
    }
}

/// The backlogs have a bound.
fn backlog(world: &World, state: &mut State, conversation: &str) {
    let (now, plan) = (state.now_ms(), world.plan());
    let ledger = &mut state.ledger;
    let open = ledger.open.entry(conversation.to_owned()).or_default();
    *open += 1;
    let open = *open;
    // The head does not count as waiting, and the newest has just come.
    if open > plan.backlog_max {
        ledger.full_at.insert(conversation.to_owned(), now);
    }
    ledger.note_full_store(plan, now);
    let queued = ledger.queued();
    if open > plan.backlog_max + 1 {
        state.violated(format_args!("{open} turns wait in {conversation}"));
    }
    // Of several daemons it is not known here which has which turn.
    if queued > plan.queued_max && plan.daemons == 1 {
        state.violated(format_args!("{queued} turns wait in the store"));
    }
}

/// Only the last claim of a turn may write to it.
fn fence(state: &mut State, key: TurnKey) {
    let good = state.ledger.turns.get(&key.id).map(|turn| turn.epoch);
    if good.is_some_and(|epoch| epoch != key.epoch) {
        state.violated(format_args!("a replaced owner wrote to turn {}", key.id));
    }
}

fn settle(state: &mut State, row: i64, given_up: Option<&str>) {
    let Some((turn, kind)) = state.ledger.rows.remove(&row) else {
        return;
    };
    if let Some(record) = state.ledger.turns.get_mut(&turn) {
        record.rows_open = record.rows_open.saturating_sub(1);
    }
    if let Some(why) = given_up {
        state.step(format_args!(
            "disk: a {kind} of turn {turn} is given up: {why}"
        ));
        state.saw("a row is given up");
        state.ledger.dead.push((turn, kind, why.to_owned()));
    }
}

impl Ledger {
    fn leave(&mut self, turn: TurnId) {
        if let Some(record) = self.turns.get(&turn)
            && self.running.get(&record.conversation) == Some(&turn)
        {
            self.running.remove(&record.conversation);
        }
    }

    /// Owners are gone: what runs may be claimed again.
    pub fn recovered(&mut self) {
        self.running.clear();
    }

    /// Leases have run out under owners that may live: they find out when they write.
    pub fn lapse(&mut self) {
        self.running.clear();
        let claimed = |turn: &TurnRecord| turn.epoch > 0 && turn.ended.is_none();
        let lapsed = self.turns.iter().filter(|(_, turn)| claimed(turn));
        self.lapsed.extend(lapsed.map(|(id, _)| *id));
    }

    /// Turns that wait to be claimed.
    fn queued(&self) -> u64 {
        let open: u64 = self.open.values().sum();
        open.saturating_sub(self.running.len() as u64)
    }

    fn note_full_store(&mut self, plan: &Plan, now_ms: i64) {
        if self.queued() >= plan.queued_max {
            self.store_full_at = now_ms;
        }
    }

    /// Whether since then there was a moment in which a message to this chat or thread
    /// could not even be marked.
    #[must_use]
    pub fn was_full(&self, place: &str, since_ms: i64, plan: &Plan) -> bool {
        let store = self.store_full_at >= since_ms || self.queued() >= plan.queued_max;
        let is_marks = |lane: &str| {
            lane.strip_suffix("#busy")
                .is_some_and(|lane| lane.ends_with(place))
        };
        let mut full = self.full_at.iter();
        let was = full.any(|(lane, at)| is_marks(lane) && *at >= since_ms);
        let mut open = self.open.iter();
        store || was || open.any(|(lane, open)| is_marks(lane) && *open > plan.backlog_max)
    }

    /// Whether a chat or thread was answered in before that time.
    #[must_use]
    pub fn is_known(&self, place: &str, before_ms: i64) -> bool {
        self.turns.values().any(|turn| {
            let is_answered = turn.ended == Some(Outcome::Answered) && turn.ended_ms < before_ms;
            is_answered && turn.conversation.ends_with(place)
        })
    }

    /// Whether something of this kind about a message was given up.
    #[must_use]
    pub fn is_dead(&self, message: &str, kind: &str) -> bool {
        let turn = self.by_message.get(message);
        let mut dead = self.dead.iter();
        dead.any(|(owner, dead, _)| Some(owner) == turn && dead == kind)
    }

    /// Whether nothing is left to do.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        self.turns
            .values()
            .all(|turn| turn.ended.is_some() && turn.rows_open == 0)
    }
}
