//! A store on any engine, and short ways to say what goes in.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use xiaoo_store::limits::CALL_DEADLINE;
use xiaoo_store::{
    Admission, Claim, Fenced, MemoryDisk, NewEvent, NewHistory, NewOutbox, NewTurn, OpenError,
    OutboxRow, Outcome, Store, StoreGuard, StoreOptions, StoreUrl, Turn, TurnId, TurnKey,
    TurnResult,
};

/// Where a store is, and how it is killed.
pub(crate) trait Ground: Sized {
    /// Random runs of the model that this engine does in a few seconds.
    const CASES: u32;
    /// Whether it tells the age of a try by a clock of its own.
    const HAS_CLOCK: bool = false;

    async fn new() -> Self;

    fn open(&self, options: &StoreOptions) -> (Store, StoreGuard);

    /// Ends the open store as a power cut does, and is what is left.
    async fn crash(self, guard: StoreGuard) -> Self;
}

/// One that can be read, and written to, past the store.
pub(crate) trait Outside: Ground {
    /// Statements that break this engine's own promises, the promise, and how what
    /// breaks it is named.
    const BREAKS: &[(&str, &str, &str)];

    fn url(&self) -> StoreUrl;

    async fn execute(&self, sql: &str);
}

pub(crate) struct Rig<G> {
    pub(crate) store: Store,
    guard: Option<StoreGuard>,
    ground: Option<G>,
    options: StoreOptions,
}

impl<G: Ground> Rig<G> {
    pub(crate) async fn new() -> Self {
        Self::with(patient()).await
    }

    pub(crate) async fn with(options: StoreOptions) -> Self {
        let ground = G::new().await;
        let (store, guard) = ground.open(&options);
        Self {
            store,
            guard: Some(guard),
            ground: Some(ground),
            options,
        }
    }

    pub(crate) fn ground(&self) -> &G {
        self.ground.as_ref().unwrap()
    }

    /// Closes the store in good order and opens it again.
    /// The row that was taken at `taken_ms` was first tried at `tried_ms`.
    pub(crate) fn assert_tried(row: &OutboxRow, tried_ms: i64, taken_ms: i64) {
        if G::HAS_CLOCK {
            // However long this test has really taken.
            let age_ms = taken_ms - row.first_try_at_ms;
            assert!((0..60_000).contains(&age_ms), "{row:?}");
        } else {
            assert_eq!(row.first_try_at_ms, tried_ms);
        }
    }

    pub(crate) fn reopen(&mut self) {
        self.shut();
        self.open();
    }

    pub(crate) fn shut(&mut self) {
        drop(self.guard.take());
    }

    /// Goes on, as another process, with what a power cut leaves.
    pub(crate) async fn crash(&mut self) {
        let (ground, guard) = (self.ground.take().unwrap(), self.guard.take().unwrap());
        self.ground = Some(ground.crash(guard).await);
        self.open();
    }

    fn open(&mut self) {
        let (store, guard) = self.ground().open(&self.options);
        self.store = store;
        self.guard = Some(guard);
    }

    pub(crate) async fn admit(&self, conversation: &str, n: u32) -> TurnId {
        match self.store.admit(message(conversation, n)).await.unwrap() {
            Admission::New(turn) => turn,
            other @ (Admission::Recorded | Admission::Duplicate { .. }) => {
                panic!("not new: {other:?}")
            }
        }
    }

    /// Claims what there is, and says which events that were.
    pub(crate) async fn claim_ids(&self, max: usize) -> Vec<String> {
        ids(&self.store.claim(max, Claim::Any).await.unwrap())
    }

    pub(crate) async fn finish(&self, turn: TurnKey, uuids: &[&str]) {
        let finished = self.store.finish(turn, result(1_000, uuids)).await;
        assert_eq!(finished, Ok(Fenced::Done));
    }
}

/// A file in a directory of its own.
pub(crate) struct Sqlite(TempDir);

impl Sqlite {
    pub(crate) fn path(&self) -> PathBuf {
        path_in(&self.0)
    }
}

impl Ground for Sqlite {
    const CASES: u32 = 48;

    async fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn open(&self, options: &StoreOptions) -> (Store, StoreGuard) {
        open(&self.path(), options).unwrap()
    }

    /// What is on disk at this moment, copied before the store could close.
    async fn crash(self, guard: StoreGuard) -> Self {
        let left = tempfile::tempdir().unwrap();
        copy_files(&self.path(), &path_in(&left));
        drop(guard);
        Self(left)
    }
}

impl Outside for Sqlite {
    const BREAKS: &[(&str, &str, &str)] = &[
        (
            "UPDATE sqlite_sequence SET seq = 2 WHERE name = 'turn'",
            "no id will be given twice",
            "turn",
        ),
        (
            "DELETE FROM turn_body WHERE turn_id = 5",
            "what is to be done has its body",
            "turn 5",
        ),
        (
            "DELETE FROM outbox_body WHERE outbox_id = 3",
            "what is to be done has its body",
            "send 3",
        ),
        (
            "INSERT INTO turn_body VALUES (1, x'00')",
            "no body is left of what is done",
            "turn 1",
        ),
        (
            "UPDATE sqlite_sequence SET seq = 1 WHERE name = 'note'",
            "no version of a note will be given twice",
            "note 2",
        ),
        (
            "CREATE TABLE theirs (x)",
            "the tables and indexes are those of this version",
            "theirs is not ours",
        ),
    ];

    fn url(&self) -> StoreUrl {
        StoreUrl::sqlite(self.path())
    }

    async fn execute(&self, sql: &str) {
        let db = rusqlite::Connection::open(self.path()).unwrap();
        db.execute_batch(sql).unwrap();
    }
}

/// A disk that can be switched off.
pub(crate) struct Memory(MemoryDisk);

impl Ground for Memory {
    const CASES: u32 = 1_000;

    async fn new() -> Self {
        Self(MemoryDisk::new())
    }

    fn open(&self, options: &StoreOptions) -> (Store, StoreGuard) {
        Store::in_memory(&self.0, options)
    }

    async fn crash(self, guard: StoreGuard) -> Self {
        self.0.crash();
        drop(guard);
        self
    }
}

/// A machine that is busy with other tests is no reason to fail.
pub(crate) fn patient() -> StoreOptions {
    StoreOptions {
        admit_deadline: CALL_DEADLINE,
        ..StoreOptions::default()
    }
}

pub(crate) fn open(path: &Path, options: &StoreOptions) -> Result<(Store, StoreGuard), OpenError> {
    Store::open(&StoreUrl::sqlite(path), options.clone())
}

pub(crate) fn path_in(directory: &TempDir) -> PathBuf {
    directory.path().join("store.db")
}

/// Copies the database with its log, but not the log's index, which a crash of
/// the machine would not leave either.
pub(crate) fn copy_files(from: &Path, to: &Path) {
    fs::copy(from, to).unwrap();
    if wal(from).exists() {
        fs::copy(wal(from), wal(to)).unwrap();
    }
}

pub(crate) fn wal(path: &Path) -> PathBuf {
    path.with_extension("db-wal")
}

pub(crate) fn ids(turns: &[Turn]) -> Vec<String> {
    turns.iter().map(|turn| turn.event_id.clone()).collect()
}

pub(crate) fn message(conversation: &str, n: u32) -> NewEvent {
    NewEvent {
        app: "cli_a".to_owned(),
        event_id: format!("e{n}"),
        message_id: Some(format!("om_{n}")),
        received_ms: i64::from(n),
        work: Some(NewTurn {
            conversation: conversation.to_owned(),
            kind: "message".to_owned(),
            body: format!("body {n}").into(),
            urgent: false,
        }),
    }
}

pub(crate) fn result(finished_ms: i64, uuids: &[&str]) -> TurnResult {
    TurnResult {
        outcome: Outcome::Answered,
        detail: None,
        finished_ms,
        history: vec![],
        outbox: uuids.iter().copied().map(sending).collect(),
    }
}

pub(crate) fn sending(uuid: &str) -> NewOutbox {
    NewOutbox {
        uuid: uuid.to_owned(),
        kind: "text".to_owned(),
        body: format!("to send: {uuid}").into(),
    }
}

pub(crate) fn said(role: &str, text: &str) -> NewHistory {
    NewHistory {
        role: role.to_owned(),
        body: text.into(),
    }
}
