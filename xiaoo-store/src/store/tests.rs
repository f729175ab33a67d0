//! What can only be seen from inside: the writer held still, a failing disk, an
//! answer that nobody takes.

use std::sync::mpsc::{Sender, channel};

use rusqlite::Connection;
use tempfile::TempDir;

use super::*;
use crate::call::TestTask;
use crate::sqlite::Gauges;
use crate::types::{Body, NewTurn};

/// The answer of a plan that has none.
const NOTHING: Answer = Answer::Count(0);

#[tokio::test]
async fn events_that_arrive_together_share_a_commit() {
    let rig = Rig::open(StoreOptions::default());
    let writer = rig.hold_writer();
    let before = rig.store.stats().await.unwrap();

    let admits: Vec<_> = (0..64)
        .map(|n| {
            let store = rig.store.clone();
            tokio::spawn(async move { store.admit(event(n)).await })
        })
        .collect();
    rig.wait_for_queue(64).await;
    writer.let_go();
    for admit in admits {
        assert!(matches!(admit.await.unwrap(), Ok(Admission::New(_))));
    }

    let after = rig.store.stats().await.unwrap();
    // One commit for what held the writer, one for all that waited behind it.
    assert_eq!(after.commits - before.commits, 2);
    assert_eq!(after.commands - before.commands, 65);
}

#[tokio::test]
async fn one_failing_command_leaves_the_others_of_its_commit_alone() {
    let rig = Rig::open(StoreOptions::default());
    let writer = rig.hold_writer();
    let good = tokio::spawn({
        let store = rig.store.clone();
        async move { store.admit(event(1)).await }
    });
    rig.wait_for_queue(1).await;
    let bad = tokio::spawn({
        let store = rig.store.clone();
        async move {
            let plan: TestTask = Box::new(|tx, gauges| {
                gauges.queued += 100;
                tx.execute("DELETE FROM event", [])?;
                tx.execute("INSERT INTO event (app) VALUES (NULL)", [])?;
                Ok(NOTHING)
            });
            run(&store, plan).await
        }
    });
    rig.wait_for_queue(2).await;
    writer.let_go();

    assert!(matches!(good.await.unwrap(), Ok(Admission::New(_))));
    assert!(matches!(
        bad.await.unwrap(),
        Err(StoreError::Database { .. })
    ));
    assert!(matches!(
        rig.store.admit(event(1)).await,
        Ok(Admission::Duplicate { .. })
    ));
    let queued = rig
        .run(|_, gauges| Ok(Answer::Count(usize::try_from(gauges.queued).unwrap())))
        .await;
    assert_eq!(queued, Ok(Answer::Count(1)));
}

#[tokio::test]
async fn an_admission_that_waited_too_long_is_refused_and_not_stored() {
    let rig = Rig::open(StoreOptions {
        admit_deadline: Duration::from_millis(20),
        ..StoreOptions::default()
    });
    let writer = rig.hold_writer();

    let refused = rig.store.admit(event(1)).await;
    writer.let_go();

    assert_eq!(
        refused,
        Err(StoreError::Deadline {
            after: Duration::from_millis(20)
        })
    );
    assert_eq!(rig.store.stats().await.unwrap().queued, 0);
    let again = rig.patient().admit(event(1)).await;
    assert!(matches!(again, Ok(Admission::New(_))), "{again:?}");
}

/// No kill of a process shows whether commits are synced, only a power cut would;
/// so the settings themselves are pinned.
#[tokio::test]
async fn commits_are_synced_and_caches_are_small() {
    let rig = Rig::open(StoreOptions::default());
    let asked = rig
        .run(|tx, _| {
            let text = |name| tx.pragma_query_value(None, name, |row| row.get::<_, String>(0));
            let number = |name| tx.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
            assert_eq!(text("journal_mode")?, "wal");
            let full = 2;
            assert_eq!(number("synchronous")?, full);
            assert_eq!(number("cache_size")?, -1_024);
            Ok(NOTHING)
        })
        .await;
    assert_eq!(asked, Ok(NOTHING));
}

#[tokio::test]
async fn a_failed_disk_ends_the_store() {
    let rig = Rig::open(StoreOptions::default());
    rig.store.admit(event(1)).await.unwrap();
    let mut changes = rig.store.health_changes();
    let io = StoreError::Io {
        detail: "disk I/O error".to_owned(),
    };

    let writer = rig.hold_writer();
    let beside = tokio::spawn({
        let store = rig.store.clone();
        async move { store.admit(event(2)).await }
    });
    rig.wait_for_queue(1).await;
    let failing = tokio::spawn({
        let (store, io) = (rig.store.clone(), io.clone());
        async move { run(&store, Box::new(move |_, _| Err(io))).await }
    });
    rig.wait_for_queue(2).await;
    writer.let_go();

    // Nothing of that commit may be acknowledged.
    assert_eq!(failing.await.unwrap(), Err(io.clone()));
    assert_eq!(beside.await.unwrap(), Err(io.clone()));
    changes.changed().await.unwrap();
    let reason = io.to_string();
    assert_eq!(
        rig.store.health(),
        Health::Failed {
            reason: reason.clone()
        }
    );
    assert_eq!(
        rig.store.admit(event(3)).await,
        Err(StoreError::Failed { reason })
    );
    // What was answered before can still be read.
    assert_eq!(rig.store.stats().await.unwrap().queued, 1);
}

#[tokio::test]
async fn a_mistake_that_panics_does_not_look_healthy() {
    let rig = Rig::open(StoreOptions::default());
    let died = rig.run(|_, _| panic!("a planted panic")).await;
    assert_eq!(died, Err(StoreError::Closed));
    rig.store
        .health_changes()
        .wait_for(|health| matches!(health, Health::Failed { .. }))
        .await
        .unwrap();
    assert_eq!(rig.store.admit(event(1)).await, Err(StoreError::Closed));
}

#[tokio::test]
async fn turns_whose_claimer_went_away_are_queued_again() {
    let rig = Rig::open(StoreOptions::default());
    rig.store.admit(event(1)).await.unwrap();

    let delivery = rig
        .store
        .engine
        .write(Command::Claim {
            max: 8,
            which: Claim::Any,
        })
        .await
        .unwrap();
    assert_eq!(rig.store.stats().await.unwrap().running, 1);
    drop(delivery);

    let turns = rig.store.claim(8, Claim::Any).await.unwrap();
    assert_eq!(turns.len(), 1);
    assert_eq!((turns[0].attempts, turns[0].key.epoch), (1, 2));
}

#[tokio::test]
async fn a_claim_that_nobody_waits_for_any_more_takes_nothing() {
    let rig = Rig::open(StoreOptions::default());
    rig.store.admit(event(1)).await.unwrap();
    let writer = rig.hold_writer();
    let claim = tokio::spawn({
        let store = rig.store.clone();
        async move { store.claim(8, Claim::Any).await }
    });
    rig.wait_for_queue(1).await;
    claim.abort();
    assert!(claim.await.unwrap_err().is_cancelled());
    writer.let_go();

    let turns = rig.store.claim(8, Claim::Any).await.unwrap();
    assert_eq!((turns[0].attempts, turns[0].key.epoch), (1, 1));
}

#[tokio::test]
async fn a_closed_store_answers_what_it_had_taken_and_refuses_the_rest() {
    let mut rig = Rig::open(StoreOptions::default());
    let writer = rig.hold_writer();
    let taken = tokio::spawn({
        let store = rig.store.clone();
        async move { store.admit(event(1)).await }
    });
    rig.wait_for_queue(1).await;
    let guard = rig.guard.take().unwrap();
    let closing = tokio::task::spawn_blocking(move || guard.close());
    writer.let_go();

    assert_eq!(closing.await.unwrap(), Health::Good);
    assert!(matches!(taken.await.unwrap(), Ok(Admission::New(_))));
    assert_eq!(rig.store.admit(event(2)).await, Err(StoreError::Closed));
    assert_eq!(rig.store.stats().await, Err(StoreError::Closed));
}

#[test]
fn payloads_stay_out_of_debug_output() {
    let shown = format!("{:?}", event(1));
    assert!(!shown.contains("planted"), "{shown}");
    assert!(shown.contains("Body(14 bytes)"), "{shown}");
}

/// A store in a directory of its own.
struct Rig {
    store: Store,
    guard: Option<StoreGuard>,
    _directory: TempDir,
}

/// The writer, busy until it is let go.
struct Held(Sender<()>);

impl Rig {
    fn open(options: StoreOptions) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let url = StoreUrl::sqlite(directory.path().join("store.db"));
        let (store, guard) = Store::open(&url, options).unwrap();
        Self {
            store,
            guard: Some(guard),
            _directory: directory,
        }
    }

    /// Returns when the writer is inside a command and stays there.
    fn hold_writer(&self) -> Held {
        let (inside, is_inside) = channel();
        let (let_go, wait) = channel();
        let (job, answer) = self.store.desk().test_job(Box::new(move |_, _| {
            inside.send(()).unwrap();
            wait.recv().unwrap();
            Ok(NOTHING)
        }));
        drop(answer);
        let sent = self.store.desk().test_commands().try_send(job);
        assert!(sent.is_ok());
        is_inside.recv().unwrap();
        Held(let_go)
    }

    /// Runs this inside the writer, as a command of its own.
    async fn run(
        &self,
        plan: impl FnOnce(&Connection, &mut Gauges) -> Result<Answer, StoreError> + Send + 'static,
    ) -> Result<Answer, StoreError> {
        run(&self.store, Box::new(plan)).await
    }

    async fn wait_for_queue(&self, waiting: usize) {
        let commands = self.store.desk().test_commands();
        while commands.max_capacity() - commands.capacity() < waiting {
            tokio::task::yield_now().await;
        }
    }

    /// The same store for a caller with more patience.
    fn patient(&self) -> Store {
        Store {
            admit_deadline: limits::CALL_DEADLINE,
            ..self.store.clone()
        }
    }
}

impl Store {
    fn desk(&self) -> &Desk {
        let Engine::Threads(desk) = &self.engine else {
            panic!("not an engine with a desk");
        };
        desk
    }
}

async fn run(store: &Store, plan: TestTask) -> Result<Answer, StoreError> {
    let (job, answer) = store.desk().test_job(plan);
    assert!(store.desk().test_commands().try_send(job).is_ok());
    let delivery = answer.await.map_err(|_| StoreError::Closed)?;
    delivery.map(Delivery::take)
}

impl Held {
    fn let_go(self) {
        self.0.send(()).unwrap();
    }
}

fn event(n: u32) -> NewEvent {
    NewEvent {
        app: "cli_a".to_owned(),
        event_id: format!("event-{n}"),
        message_id: Some(format!("om_{n}")),
        received_ms: i64::from(n),
        work: Some(NewTurn {
            conversation: format!("oc_{n}"),
            kind: "message".to_owned(),
            body: Body::from("planted secret"),
            urgent: false,
        }),
    }
}
