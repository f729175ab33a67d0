//! The store against a plain model: the same random calls, restarts among them,
//! and after each the same answer.

use std::collections::{BTreeMap, VecDeque};

use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use xiaoo_store::{
    Admission, Claim, Expect, Fenced, Note, NotePut, OutboxKey, PutNote, TurnId, TurnKey,
};

use crate::notes::put;
use crate::rig::{Ground, Rig, ids, message, result};

/// Few names, so that calls meet.
const CONVERSATIONS: [&str; 3] = ["a", "b", "c"];

const NOTES: [(&str, &str); 3] = [("s", "k"), ("s", "l"), ("t", "k")];

#[derive(Clone, Debug)]
enum Call {
    /// Admit event number `1`, which is often known already.
    Admit(usize, u32),
    /// Claim so many, of all or of the urgent ones alone.
    Claim(usize, bool),
    /// Finish the turn of the n-th key ever claimed, with so many sends.
    Finish(usize, usize),
    Release(usize),
    Take(usize),
    Sent(usize),
    Dead(usize),
    Retry(usize),
    /// Write one of the notes, if that is met, to stay for so long.
    Put(usize, Expected, Option<i64>),
    Delete(usize),
    Prune,
    /// Let so much time go by.
    Wait(i64),
    /// Close in good order and open again.
    Reopen,
    /// Go on from what is on disk.
    Crash,
}

/// What is expected of a note.
#[derive(Clone, Copy, Debug)]
enum Expected {
    Anything,
    Absent,
    /// The n-th version ever given.
    Version(usize),
    /// The one that is there, if one is.
    Current,
}

fn expected() -> impl Strategy<Value = Expected> {
    prop_oneof![
        1 => Just(Expected::Anything),
        1 => Just(Expected::Absent),
        1 => any::<usize>().prop_map(Expected::Version),
        2 => Just(Expected::Current),
    ]
}

fn call() -> impl Strategy<Value = Call> {
    prop_oneof![
        6 => (0..CONVERSATIONS.len(), 0..40_u32).prop_map(|(lane, n)| Call::Admit(lane, n)),
        4 => (0..4_usize, any::<bool>()).prop_map(|(max, urgent)| Call::Claim(max, urgent)),
        5 => (any::<usize>(), 0..3_usize).prop_map(|(key, sends)| Call::Finish(key, sends)),
        1 => any::<usize>().prop_map(Call::Release),
        3 => (0..4_usize).prop_map(Call::Take),
        3 => any::<usize>().prop_map(Call::Sent),
        1 => any::<usize>().prop_map(Call::Dead),
        1 => any::<usize>().prop_map(Call::Retry),
        4 => (0..NOTES.len(), expected(), prop::option::of(0..9_i64))
            .prop_map(|(note, expect, stays)| Call::Put(note, expect, stays)),
        1 => (0..NOTES.len()).prop_map(Call::Delete),
        1 => Just(Call::Prune),
        1 => (0..6_i64).prop_map(Call::Wait),
        1 => Just(Call::Reopen),
        1 => Just(Call::Crash),
    ]
}

/// Random calls, the same for every engine.
pub(crate) fn the_store_does_as_the_model<G: Ground>() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let config = ProptestConfig {
        cases: G::CASES,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let calls = prop::collection::vec(call(), 1..60);
    let outcome = TestRunner::new(config).run(&calls, |calls| {
        runtime.block_on(async {
            let mut world = World::<G>::new().await;
            for call in calls {
                world.step(call).await;
            }
        });
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
}

/// What the store should hold, without cleverness.
#[derive(Default)]
struct Model {
    events: BTreeMap<u32, TurnId>,
    lanes: BTreeMap<&'static str, Lane>,
    /// Also those that have expired and were not pruned.
    notes: BTreeMap<(&'static str, &'static str), Note>,
}

#[derive(Default)]
struct Lane {
    turns: VecDeque<ModelTurn>,
    sends: VecDeque<ModelSend>,
}

struct ModelTurn {
    id: TurnId,
    event_id: String,
    epoch: i64,
    attempts: u32,
    urgent: bool,
    running: bool,
}

struct ModelSend {
    uuid: String,
    attempt: u32,
    sending: bool,
}

struct World<G> {
    rig: Rig<G>,
    model: Model,
    /// Every key ever handed out, most of them void.
    turn_keys: Vec<(&'static str, TurnKey)>,
    send_keys: Vec<(&'static str, OutboxKey, String)>,
    sends_made: u32,
    /// Every version ever given.
    versions: Vec<i64>,
    now_ms: i64,
}

impl<G: Ground> World<G> {
    async fn new() -> Self {
        Self {
            rig: Rig::new().await,
            model: Model::default(),
            turn_keys: Vec::new(),
            send_keys: Vec::new(),
            sends_made: 0,
            versions: Vec::new(),
            now_ms: 0,
        }
    }

    async fn step(&mut self, call: Call) {
        match call {
            Call::Admit(lane, n) => self.admit(CONVERSATIONS[lane], n).await,
            Call::Claim(max, urgent) => self.claim(max, urgent).await,
            Call::Finish(key, sends) => self.finish(key, sends).await,
            Call::Release(key) => self.release(key).await,
            Call::Take(max) => self.take(max).await,
            Call::Sent(key) => self.settle(key, false).await,
            Call::Dead(key) => self.settle(key, true).await,
            Call::Retry(key) => self.retry(key).await,
            Call::Put(note, expect, stays) => self.put(NOTES[note], expect, stays).await,
            Call::Delete(note) => self.delete(NOTES[note]).await,
            Call::Prune => self.prune().await,
            Call::Wait(millis) => self.now_ms += millis,
            Call::Reopen => {
                self.rig.reopen();
                self.model.restart();
            }
            Call::Crash => {
                self.rig.crash().await;
                self.model.restart();
            }
        }
        let stats = self.rig.store.stats().await.unwrap();
        let turns = || self.model.lanes.values().flat_map(|lane| &lane.turns);
        let running = turns().filter(|turn| turn.running).count();
        assert_eq!(stats.running, running as u64);
        assert_eq!(stats.queued, (turns().count() - running) as u64);
        let open: usize = self.model.lanes.values().map(|lane| lane.sends.len()).sum();
        assert_eq!(stats.outbox_open, open as u64);
        for scope in ["s", "t"] {
            let notes = self.rig.store.notes(scope, 9, self.now_ms).await.unwrap();
            let expected: Vec<_> = NOTES
                .iter()
                .filter(|name| name.0 == scope)
                .filter_map(|name| Some((name.1.to_owned(), self.live(*name)?)))
                .collect();
            assert_eq!(notes, expected);
        }
    }

    /// What the model has of that name now.
    fn live(&self, name: (&'static str, &'static str)) -> Option<Note> {
        let note = self.model.notes.get(&name)?;
        let is_live = note.expires_ms.is_none_or(|at| at > self.now_ms);
        is_live.then(|| note.clone())
    }

    async fn put(
        &mut self,
        name: (&'static str, &'static str),
        expected: Expected,
        stays: Option<i64>,
    ) {
        let current = self.live(name);
        let expect = match expected {
            Expected::Anything => Expect::Anything,
            Expected::Absent => Expect::Absent,
            Expected::Version(pick) => {
                Expect::Version(pick_from(&self.versions, pick).copied().unwrap_or(7))
            }
            Expected::Current => match &current {
                Some(note) => Expect::Version(note.version),
                None => Expect::Absent,
            },
        };
        let is_met = match expect {
            Expect::Anything => true,
            Expect::Absent => current.is_none(),
            Expect::Version(version) => current.as_ref().is_some_and(|n| n.version == version),
        };
        let text = format!("text {}", self.versions.len());
        let note = PutNote {
            expires_ms: stays.map(|stays| self.now_ms + stays),
            expect,
            now_ms: self.now_ms,
            ..put(name.0, name.1, &text)
        };
        let (body, expires_ms) = (note.body.clone(), note.expires_ms);
        match self.rig.store.put_note(note).await.unwrap() {
            NotePut::Done { version } => {
                assert!(is_met, "{expect:?} is not {current:?}");
                assert!(self.versions.iter().all(|old| *old < version));
                self.versions.push(version);
                let note = Note {
                    version,
                    body,
                    expires_ms,
                };
                self.model.notes.insert(name, note);
            }
            NotePut::Conflict { current: seen } => {
                assert!(!is_met, "{expect:?} is {current:?}");
                assert_eq!(seen, current);
            }
        }
    }

    async fn delete(&mut self, name: (&'static str, &'static str)) {
        let expected = self.live(name);
        let store = &self.rig.store;
        let deleted = store.delete_note(name.0, name.1, self.now_ms).await;
        assert_eq!(deleted, Ok(expected));
        self.model.notes.remove(&name);
    }

    /// Only notes get old here.
    async fn prune(&mut self) {
        let there = self.model.notes.len();
        let now_ms = self.now_ms;
        let stays = |note: &Note| note.expires_ms.is_none_or(|at| at > now_ms);
        self.model.notes.retain(|_, note| stays(note));
        let removed = there - self.model.notes.len();
        assert_eq!(self.rig.store.prune(now_ms, 9).await, Ok(removed));
    }

    async fn admit(&mut self, lane: &'static str, n: u32) {
        let mut event = message(lane, n);
        let urgent = n.is_multiple_of(3);
        event.work.as_mut().unwrap().urgent = urgent;
        let answer = self.rig.store.admit(event).await.unwrap();
        match (answer, self.model.events.get(&n)) {
            (Admission::New(id), None) => {
                self.model.events.insert(n, id);
                self.model
                    .lanes
                    .entry(lane)
                    .or_default()
                    .turns
                    .push_back(ModelTurn {
                        id,
                        event_id: format!("e{n}"),
                        epoch: 0,
                        attempts: 0,
                        urgent,
                        running: false,
                    });
            }
            (Admission::Duplicate { turn, .. }, Some(known)) => assert_eq!(turn, Some(*known)),
            (answer, known) => panic!("{answer:?} where the model has {known:?}"),
        }
    }

    async fn claim(&mut self, max: usize, urgent: bool) {
        let which = if urgent { Claim::Urgent } else { Claim::Any };
        let turns = self.rig.store.claim(max, which).await.unwrap();
        let mut expected: Vec<_> = self
            .model
            .lanes
            .iter_mut()
            .filter_map(|(lane, l)| Some((*lane, l.turns.front_mut()?)))
            .filter(|(_, head)| !head.running && (head.urgent || !urgent))
            .collect();
        expected.sort_by_key(|(_, head)| head.id);
        expected.truncate(max);
        assert_eq!(
            ids(&turns),
            expected
                .iter()
                .map(|(_, head)| head.event_id.clone())
                .collect::<Vec<_>>()
        );
        for (turn, (lane, head)) in turns.iter().zip(expected) {
            head.running = true;
            head.epoch += 1;
            head.attempts += 1;
            assert_eq!((turn.key.epoch, turn.attempts), (head.epoch, head.attempts));
            self.turn_keys.push((lane, turn.key));
        }
    }

    async fn finish(&mut self, pick: usize, sends: usize) {
        let Some(&(lane, key)) = pick_from(&self.turn_keys, pick) else {
            return;
        };
        let uuids: Vec<_> = (0..sends)
            .map(|_| {
                self.sends_made += 1;
                format!("u{}", self.sends_made)
            })
            .collect();
        let refs: Vec<_> = uuids.iter().map(String::as_str).collect();
        let answer = self.rig.store.finish(key, result(0, &refs)).await.unwrap();
        let lane = self.model.lanes.get_mut(lane).unwrap();
        assert_eq!(answer, lane.owns(key));
        if answer == Fenced::Done {
            lane.turns.pop_front();
            lane.sends.extend(uuids.into_iter().map(|uuid| ModelSend {
                uuid,
                attempt: 0,
                sending: false,
            }));
        }
    }

    async fn release(&mut self, pick: usize) {
        let Some(&(lane, key)) = pick_from(&self.turn_keys, pick) else {
            return;
        };
        let answer = self.rig.store.release(key).await.unwrap();
        let lane = self.model.lanes.get_mut(lane).unwrap();
        assert_eq!(answer, lane.owns(key));
        if answer == Fenced::Done {
            let head = lane.turns.front_mut().unwrap();
            head.running = false;
            head.attempts -= 1;
        }
    }

    async fn take(&mut self, max: usize) {
        let rows = self.rig.store.outbox_take(0, max).await.unwrap();
        let due = self
            .model
            .lanes
            .values()
            .filter(|lane| lane.sends.front().is_some_and(|send| !send.sending))
            .count();
        assert_eq!(rows.len(), due.min(max));
        for row in rows {
            let (name, lane) = self
                .model
                .lanes
                .iter_mut()
                .find(|(name, _)| **name == row.conversation)
                .unwrap();
            let head = lane.sends.front_mut().unwrap();
            assert!(!head.sending);
            head.sending = true;
            head.attempt += 1;
            assert_eq!((&row.uuid, row.key.attempt), (&head.uuid, head.attempt));
            self.send_keys.push((name, row.key, row.uuid));
        }
    }

    async fn settle(&mut self, pick: usize, dead: bool) {
        let Some((lane, key, uuid)) = pick_from(&self.send_keys, pick) else {
            return;
        };
        let answer = if dead {
            self.rig.store.outbox_dead(*key, "given up").await.unwrap()
        } else {
            self.rig.store.outbox_done(*key, "om").await.unwrap()
        };
        let lane = self.model.lanes.get_mut(lane).unwrap();
        assert_eq!(answer, lane.sends_now(*key, uuid));
        if answer == Fenced::Done {
            lane.sends.pop_front();
        }
    }

    async fn retry(&mut self, pick: usize) {
        let Some((lane, key, uuid)) = pick_from(&self.send_keys, pick) else {
            return;
        };
        let answer = self.rig.store.outbox_retry(*key, 0, "later").await.unwrap();
        let lane = self.model.lanes.get_mut(lane).unwrap();
        assert_eq!(answer, lane.sends_now(*key, uuid));
        if answer == Fenced::Done {
            lane.sends.front_mut().unwrap().sending = false;
        }
    }
}

impl Model {
    fn restart(&mut self) {
        for lane in self.lanes.values_mut() {
            lane.turns.iter_mut().for_each(|turn| turn.running = false);
            lane.sends.iter_mut().for_each(|send| send.sending = false);
        }
    }
}

impl Lane {
    fn owns(&self, key: TurnKey) -> Fenced {
        let owns = self
            .turns
            .front()
            .is_some_and(|head| head.running && head.id == key.id && head.epoch == key.epoch);
        if owns { Fenced::Done } else { Fenced::Replaced }
    }

    fn sends_now(&self, key: OutboxKey, uuid: &str) -> Fenced {
        let owns = self
            .sends
            .front()
            .is_some_and(|head| head.sending && head.uuid == uuid && head.attempt == key.attempt);
        if owns { Fenced::Done } else { Fenced::Replaced }
    }
}

fn pick_from<T>(all: &[T], pick: usize) -> Option<&T> {
    all.get(pick.checked_rem(all.len())?)
}
