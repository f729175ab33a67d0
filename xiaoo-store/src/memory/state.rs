//! What a store holds, in plain maps, and what each command makes of it.
//!
//! Nothing here is clever: it is also the description to which the other engines
//! are held. No map is iterated in an order that a run could not repeat.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use planted::Defect;

use super::notes::Notes;
use crate::command::{Answer, Bounds, Command, MENDED, Question, check_steps, newest_that_fit};
use crate::error::StoreError;
use crate::limits::{
    CLAIM_MAX, CONVERSATION_HISTORY_MAX, DEAD_KEPT, HISTORY_KEPT, KEYS_KEPT, OUTBOX_TAKE_MAX,
    PRUNE_BATCH_MAX, millis,
};
use crate::types::{
    Admission, Body, Claim, ConversationStats, DuplicateKey, Fenced, HistoryRow, NewEvent, NewTurn,
    OutboxKey, OutboxRow, RunningTurn, Sign, Silence, Step, StoreStats, Turn, TurnId, TurnKey,
    TurnResult, Whereabouts,
};

/// `(app, event_id)` or `(app, message_id)`.
type Key = (String, String);

#[derive(Clone, Default)]
pub(super) struct State {
    /// By age, so that the oldest go first.
    events: BTreeSet<(i64, Key, Option<Key>)>,
    by_event_id: BTreeMap<Key, Option<TurnId>>,
    by_message_id: BTreeMap<Key, Option<TurnId>>,

    turns_made: i64,
    /// The open ones; of a finished one only its time is kept.
    turns: BTreeMap<TurnId, OpenTurn>,
    lanes: BTreeMap<String, VecDeque<TurnId>>,
    turns_ready: BTreeSet<TurnId>,
    turns_running: usize,
    turns_done: BTreeSet<(i64, TurnId)>,

    sends_made: i64,
    sends: BTreeMap<i64, Send>,
    /// The open sends of each conversation, in order.
    send_lanes: BTreeMap<String, VecDeque<i64>>,
    sends_ready: BTreeSet<(i64, i64)>,
    sends_done: BTreeSet<(i64, i64)>,
    sends_dead: BTreeSet<(i64, i64)>,
    uuids: BTreeSet<String>,

    history: BTreeMap<String, VecDeque<HistoryRow>>,

    notes: Notes,
}

#[derive(Clone)]
struct OpenTurn {
    turn: Turn,
    running: bool,
    /// The store that claimed it last.
    owner: u64,
    steps: Vec<Step>,
}

#[derive(Clone)]
struct Send {
    row: OutboxRow,
    created_ms: i64,
    not_before_ms: i64,
    tried: bool,
    sending: bool,
    /// The store that took it last.
    owner: u64,
}

impl State {
    /// Does it whole, or changes nothing and says why.
    pub(super) fn run(
        &mut self,
        owner: u64,
        bounds: &Bounds,
        command: &Command,
    ) -> Result<Answer, StoreError> {
        Ok(match command {
            Command::Admit(event) => Answer::Admission(self.admit(bounds, event)?),
            Command::Claim { max, which } => Answer::Turns(self.claim(owner, *max, *which)),
            Command::Release(key) => Answer::Fenced(self.release(*key)),
            Command::NoteSign(key, sign) => Answer::Fenced(self.note_sign(*key, sign)),
            Command::NoteStep(key, step) => Answer::Fenced(self.note_step(*key, step)?),
            Command::Finish(key, result) => Answer::Fenced(self.finish(*key, result)),
            Command::ClearHistory { conversation } => {
                let forgotten = self.history.remove(conversation).unwrap_or_default();
                Answer::Count(forgotten.len())
            }
            Command::OutboxTake { now_ms, max } => Answer::Rows(self.take(owner, *now_ms, *max)),
            Command::OutboxUntake(key) => Answer::Fenced(self.untake(*key)),
            Command::OutboxDone { row, .. } => Answer::Fenced(self.settle(*row, false)),
            Command::OutboxDead { row, .. } => Answer::Fenced(self.settle(*row, true)),
            Command::OutboxRetry {
                row,
                not_before_ms,
                error,
            } => Answer::Fenced(self.retry(*row, *not_before_ms, error)),
            Command::PutNote(put) => Answer::NotePut(self.notes.put(bounds, put)?),
            Command::DeleteNote { scope, key, now_ms } => {
                Answer::Note(self.notes.delete(scope, key, *now_ms))
            }
            Command::Prune { now_ms, batch } => Answer::Count(self.prune(*now_ms, *batch)),
        })
    }

    pub(super) fn ask(&self, question: &Question) -> Result<Answer, StoreError> {
        Ok(match question {
            Question::Steps(turn) => {
                let steps = self.turns.get(turn).map(|open| open.steps.clone());
                Answer::Steps(steps.unwrap_or_default())
            }
            Question::History {
                conversation,
                rows_max,
                bytes_max,
            } => {
                let rows = self.history.get(conversation).into_iter().flatten().rev();
                Answer::History(newest_that_fit(
                    rows.take(*rows_max).cloned().map(Ok),
                    *bytes_max,
                )?)
            }
            Question::Note { scope, key, now_ms } => {
                Answer::Note(self.notes.note(scope, key, *now_ms))
            }
            Question::Notes { scope, max, now_ms } => {
                Answer::Notes(self.notes.notes(scope, *max, *now_ms))
            }
            Question::Conversation(conversation) => {
                Answer::Conversation(self.conversation_stats(conversation))
            }
            Question::OutboxNext => Answer::Next(self.sends_ready.first().map(|(due, _)| *due)),
            Question::Stats => Answer::Stats(self.stats()),
            Question::Whereabouts {
                app,
                silence,
                conversations_max,
            } => {
                let silent_since_ms = self.silence(app, silence);
                let max = silent_since_ms.map_or(0, |_| *conversations_max);
                Answer::Whereabouts(Whereabouts {
                    silent_since_ms,
                    conversations: self.conversations(max),
                })
            }
        })
    }

    fn silence(&self, app: &str, sought: &Silence) -> Option<i64> {
        let received = || self.events.iter().filter(|(_, key, _)| key.0 == app);
        let mended = received().filter(|(_, key, _)| key.1.starts_with(MENDED));
        let mended_ms = mended.map(|(at, ..)| *at).next_back();
        let said = self.history.values().flatten().map(|row| row.created_ms);
        let first_ms = received().map(|(at, ..)| *at).chain(said).min();
        let from_ms = sought
            .since_ms
            .max(mended_ms.unwrap_or(sought.since_ms))
            .max(first_ms.unwrap_or(sought.until_ms));
        let after = received().map(|(at, ..)| *at);
        let mut began = from_ms;
        for ended in after.filter(|at| *at > from_ms).chain([sought.until_ms]) {
            if ended.saturating_sub(began) > sought.longer_than_ms {
                return Some(began);
            }
            began = ended;
        }
        None
    }

    fn conversations(&self, max: usize) -> Vec<String> {
        let mut last_first: Vec<_> = self
            .history
            .iter()
            .map(|(name, rows)| {
                let last = rows.iter().map(|row| row.created_ms).max();
                (std::cmp::Reverse(last), name)
            })
            .collect();
        last_first.sort_unstable();
        last_first
            .into_iter()
            .take(max)
            .map(|(_, name)| name.clone())
            .collect()
    }

    /// What those had under way who are gone: nobody works on it any more.
    pub(super) fn recover(&mut self, is_gone: impl Fn(u64) -> bool) {
        for (id, open) in &mut self.turns {
            if open.running && is_gone(open.owner) {
                open.running = false;
                self.turns_running -= 1;
                self.turns_ready.insert(*id);
            }
        }
        for (id, send) in &mut self.sends {
            if send.sending && is_gone(send.owner) {
                send.sending = false;
                send.row.error = None;
                self.sends_ready.insert((send.not_before_ms, *id));
            }
        }
    }

    fn admit(&mut self, bounds: &Bounds, event: &NewEvent) -> Result<Admission, StoreError> {
        let event_key = (event.app.clone(), event.event_id.clone());
        let message_key = event.message_id.clone().map(|id| (event.app.clone(), id));
        let known = self.by_event_id.get(&event_key);
        if let Some(turn) = known.filter(|_| !planted::is(Defect::NoDedup)) {
            return Ok(Admission::Duplicate {
                by: DuplicateKey::EventId,
                turn: *turn,
            });
        }
        if let Some(turn) = message_key
            .as_ref()
            .and_then(|key| self.by_message_id.get(key))
            .filter(|_| !planted::is(Defect::NoDedup))
        {
            return Ok(Admission::Duplicate {
                by: DuplicateKey::MessageId,
                turn: *turn,
            });
        }
        let turn = match &event.work {
            Some(work) => Some(self.enqueue(bounds, event, work)?),
            None => None,
        };
        self.events
            .insert((event.received_ms, event_key.clone(), message_key.clone()));
        self.by_event_id.insert(event_key, turn);
        if let Some(key) = message_key {
            self.by_message_id.insert(key, turn);
        }
        Ok(turn.map_or(Admission::Recorded, Admission::New))
    }

    fn enqueue(
        &mut self,
        bounds: &Bounds,
        event: &NewEvent,
        work: &NewTurn,
    ) -> Result<TurnId, StoreError> {
        if self.queued() >= bounds.queued_max {
            return Err(StoreError::QueueFull {
                max: bounds.queued_max,
            });
        }
        let behind = self.lanes.get(&work.conversation).map_or(0, VecDeque::len);
        // The head is not counted as waiting.
        let max = bounds.queued_per_conversation_max;
        if behind > 0 && behind.saturating_sub(1) as u64 >= max {
            return Err(StoreError::ConversationFull { max });
        }
        self.turns_made += 1;
        let id = TurnId(self.turns_made);
        let turn = Turn {
            key: TurnKey { id, epoch: 0 },
            attempts: 0,
            app: event.app.clone(),
            event_id: event.event_id.clone(),
            message_id: event.message_id.clone(),
            received_ms: event.received_ms,
            conversation: work.conversation.clone(),
            kind: work.kind.clone(),
            body: work.body.clone(),
            urgent: work.urgent,
            signs: crate::types::Signs::default(),
        };
        self.turns.insert(
            id,
            OpenTurn {
                turn,
                running: false,
                owner: 0,
                steps: Vec::new(),
            },
        );
        let lane = self.lanes.entry(work.conversation.clone()).or_default();
        if planted::is(Defect::WrongOrder) && !lane.is_empty() {
            lane.insert(1, id);
        } else {
            lane.push_back(id);
        }
        if behind == 0 {
            self.turns_ready.insert(id);
        }
        Ok(id)
    }

    fn claim(&mut self, owner: u64, max: usize, which: Claim) -> Vec<Turn> {
        let is_meant = |turn: &Turn| match which {
            Claim::Any => true,
            Claim::Urgent => turn.urgent,
        };
        let meant = |id: &TurnId| self.turns.get(id).is_some_and(|open| is_meant(&open.turn));
        let chosen: Vec<_> = self
            .turns_ready
            .iter()
            .copied()
            .filter(meant)
            .take(max.min(CLAIM_MAX))
            .collect();
        let mut claimed = Vec::with_capacity(chosen.len());
        for id in chosen {
            self.turns_ready.remove(&id);
            let Some(open) = self.turns.get_mut(&id) else {
                continue;
            };
            open.running = true;
            open.owner = owner;
            open.turn.key.epoch += 1;
            open.turn.attempts += 1;
            self.turns_running += 1;
            claimed.push(open.turn.clone());
        }
        claimed
    }

    fn release(&mut self, key: TurnKey) -> Fenced {
        let Some(open) = self.owned(key) else {
            return Fenced::Replaced;
        };
        open.running = false;
        open.turn.attempts -= 1;
        self.turns_running -= 1;
        self.turns_ready.insert(key.id);
        Fenced::Done
    }

    fn note_sign(&mut self, key: TurnKey, sign: &Sign) -> Fenced {
        let Some(open) = self.owned(key) else {
            return Fenced::Replaced;
        };
        match sign {
            Sign::Reaction(id) => open.turn.signs.reaction.clone_from(id),
            Sign::Card(id) => open.turn.signs.card.clone_from(id),
        }
        Fenced::Done
    }

    fn note_step(&mut self, key: TurnKey, step: &Step) -> Result<Fenced, StoreError> {
        let Some(open) = self.owned(key) else {
            return Ok(Fenced::Replaced);
        };
        let bytes: usize = open.steps.iter().map(|step| step.body.len()).sum();
        check_steps(open.steps.len(), bytes, step)?;
        open.steps.push(step.clone());
        Ok(Fenced::Done)
    }

    fn finish(&mut self, key: TurnKey, result: &TurnResult) -> Fenced {
        if self.owned(key).is_none() {
            return Fenced::Replaced;
        }
        let Some(OpenTurn { turn, .. }) = self.turns.remove(&key.id) else {
            return Fenced::Replaced;
        };
        self.turns_running -= 1;
        self.turns_done.insert((result.finished_ms, key.id));
        if let Some(next) = leave(&mut self.lanes, &turn.conversation) {
            self.turns_ready.insert(next);
        }
        if !result.history.is_empty() {
            self.remember(&turn, result);
        }
        for new in &result.outbox {
            if !self.uuids.insert(new.uuid.clone()) {
                continue;
            }
            self.sends_made += 1;
            let id = self.sends_made;
            let row = OutboxRow {
                key: OutboxKey { id, attempt: 0 },
                turn: key.id,
                conversation: turn.conversation.clone(),
                uuid: new.uuid.clone(),
                kind: new.kind.clone(),
                body: new.body.clone(),
                first_try_at_ms: 0,
                error: None,
            };
            let send = Send {
                row,
                created_ms: result.finished_ms,
                not_before_ms: 0,
                tried: false,
                sending: false,
                owner: 0,
            };
            self.sends.insert(id, send);
            let lane = self
                .send_lanes
                .entry(turn.conversation.clone())
                .or_default();
            lane.push_back(id);
            if lane.len() == 1 || planted::is(Defect::NoSendLane) {
                self.sends_ready.insert((0, id));
            }
        }
        Fenced::Done
    }

    fn remember(&mut self, turn: &Turn, result: &TurnResult) {
        let rows = self.history.entry(turn.conversation.clone()).or_default();
        rows.extend(result.history.iter().map(|new| HistoryRow {
            turn: turn.key.id,
            created_ms: result.finished_ms,
            role: new.role.clone(),
            body: new.body.clone(),
        }));
        rows.drain(..rows.len().saturating_sub(CONVERSATION_HISTORY_MAX));
    }

    fn take(&mut self, owner: u64, now_ms: i64, max: usize) -> Vec<OutboxRow> {
        let mut taken = Vec::new();
        while taken.len() < max.min(OUTBOX_TAKE_MAX)
            && let Some(first) = self.sends_ready.first().copied()
            && first.0 <= now_ms
            && let Some(send) = self.sends.get_mut(&first.1)
        {
            self.sends_ready.remove(&first);
            send.sending = true;
            send.owner = owner;
            send.row.key.attempt += 1;
            if !send.tried {
                send.tried = true;
                send.row.first_try_at_ms = now_ms;
            }
            taken.push(send.row.clone());
        }
        taken.sort_unstable_by_key(|row| row.key.id);
        taken
    }

    fn untake(&mut self, key: OutboxKey) -> Fenced {
        let Some(send) = self.sending(key) else {
            return Fenced::Replaced;
        };
        send.sending = false;
        if key.attempt == 1 {
            send.tried = false;
        }
        let due = (send.not_before_ms, key.id);
        self.sends_ready.insert(due);
        Fenced::Done
    }

    fn retry(&mut self, key: OutboxKey, not_before_ms: i64, error: &str) -> Fenced {
        let Some(send) = self.sending(key) else {
            return Fenced::Replaced;
        };
        send.sending = false;
        send.not_before_ms = not_before_ms;
        send.row.error = Some(error.to_owned());
        self.sends_ready.insert((not_before_ms, key.id));
        Fenced::Done
    }

    fn settle(&mut self, key: OutboxKey, dead: bool) -> Fenced {
        let Some(send) = self.sending(key) else {
            return Fenced::Replaced;
        };
        send.sending = false;
        let settled = (send.created_ms, key.id);
        let conversation = send.row.conversation.clone();
        if dead {
            self.sends_dead.insert(settled);
        } else {
            send.row.body = Body::default();
            self.sends_done.insert(settled);
        }
        if let Some(next) = leave(&mut self.send_lanes, &conversation)
            && let Some(send) = self.sends.get(&next)
        {
            self.sends_ready.insert((send.not_before_ms, next));
        }
        Fenced::Done
    }

    fn prune(&mut self, now_ms: i64, batch: usize) -> usize {
        let batch = batch.min(PRUNE_BATCH_MAX);
        let old = |kept| now_ms.saturating_sub(millis(kept));
        let mut removed = self.notes.remove_expired(now_ms, batch);

        for _ in 0..batch {
            if self
                .events
                .first()
                .is_none_or(|(at, ..)| *at >= old(KEYS_KEPT))
            {
                break;
            }
            if let Some((_, event, message)) = self.events.pop_first() {
                self.by_event_id.remove(&event);
                message.map(|key| self.by_message_id.remove(&key));
                removed += 1;
            }
        }
        removed += pop_older(&mut self.turns_done, old(KEYS_KEPT), batch).len();
        for (settled, kept) in [
            (&mut self.sends_done, KEYS_KEPT),
            (&mut self.sends_dead, DEAD_KEPT),
        ] {
            for id in pop_older(settled, old(kept), batch) {
                if let Some(send) = self.sends.remove(&id) {
                    self.uuids.remove(&send.row.uuid);
                }
                removed += 1;
            }
        }
        let mut room = batch;
        for rows in self.history.values_mut() {
            while room > 0
                && rows
                    .front()
                    .is_some_and(|row| row.created_ms < old(HISTORY_KEPT))
            {
                rows.pop_front();
                room -= 1;
                removed += 1;
            }
        }
        self.history.retain(|_, rows| !rows.is_empty());
        removed
    }

    fn conversation_stats(&self, conversation: &str) -> ConversationStats {
        let lane = self.lanes.get(conversation);
        let head = lane.and_then(|lane| self.turns.get(lane.front()?));
        let running = head.filter(|head| head.running).map(|head| RunningTurn {
            id: head.turn.key.id,
            kind: head.turn.kind.clone(),
            received_ms: head.turn.received_ms,
        });
        let open = lane.map_or(0, VecDeque::len);
        ConversationStats {
            queued: (open - usize::from(running.is_some())) as u64,
            running,
        }
    }

    fn stats(&self) -> StoreStats {
        StoreStats {
            queued: self.queued(),
            running: self.turns_running as u64,
            oldest_queued_ms: self
                .turns
                .values()
                .filter(|open| !open.running)
                .map(|open| open.turn.received_ms)
                .min(),
            outbox_open: self.send_lanes.values().map(VecDeque::len).sum::<usize>() as u64,
            outbox_dead: self.sends_dead.len() as u64,
            ..StoreStats::default()
        }
    }

    fn queued(&self) -> u64 {
        (self.turns.len() - self.turns_running) as u64
    }

    /// The turn, if the key is still good.
    fn owned(&mut self, key: TurnKey) -> Option<&mut OpenTurn> {
        let is_good = |epoch| epoch == key.epoch || planted::is(Defect::NoEpoch);
        self.turns
            .get_mut(&key.id)
            .filter(|open| open.running && is_good(open.turn.key.epoch))
    }

    /// The send, if the key is still good.
    fn sending(&mut self, key: OutboxKey) -> Option<&mut Send> {
        self.sends
            .get_mut(&key.id)
            .filter(|send| send.sending && send.row.key.attempt == key.attempt)
    }
}

/// Takes the head of a lane away and says who is next.
fn leave<T: Copy>(lanes: &mut BTreeMap<String, VecDeque<T>>, conversation: &str) -> Option<T> {
    let lane = lanes.get_mut(conversation)?;
    lane.pop_front();
    let next = lane.front().copied();
    if next.is_none() {
        lanes.remove(conversation);
    }
    next
}

fn pop_older<T: Copy + Ord>(rows: &mut BTreeSet<(i64, T)>, before: i64, batch: usize) -> Vec<T> {
    let mut popped = Vec::new();
    while popped.len() < batch
        && rows.first().is_some_and(|(at, _)| *at < before)
        && let Some((_, row)) = rows.pop_first()
    {
        popped.push(row);
    }
    popped
}
