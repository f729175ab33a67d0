//! A store in a directory of its own, and short ways to say what goes in.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use xiaoo_store::{
    Admission, Fenced, NewEvent, NewHistory, NewOutbox, NewTurn, OpenError, Outcome, Store,
    StoreGuard, StoreOptions, StoreUrl, Turn, TurnId, TurnKey, TurnResult,
};

pub(crate) struct Rig {
    pub(crate) store: Store,
    guard: Option<StoreGuard>,
    pub(crate) directory: TempDir,
    options: StoreOptions,
}

impl Rig {
    pub(crate) fn new() -> Self {
        Self::with(StoreOptions::default())
    }

    pub(crate) fn with(options: StoreOptions) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (store, guard) = open(&path_in(&directory), &options).unwrap();
        Self {
            store,
            guard: Some(guard),
            directory,
            options,
        }
    }

    pub(crate) fn path(&self) -> PathBuf {
        path_in(&self.directory)
    }

    /// Closes the store in good order and opens it again.
    pub(crate) fn reopen(&mut self) {
        self.shut();
        let (store, guard) = open(&self.path(), &self.options).unwrap();
        self.store = store;
        self.guard = Some(guard);
    }

    pub(crate) fn shut(&mut self) {
        drop(self.guard.take());
    }

    /// What is on disk at this moment, opened by another process: what `kill -9`
    /// would leave behind.
    pub(crate) fn crashed(&self) -> Self {
        let directory = tempfile::tempdir().unwrap();
        copy_files(&self.path(), &path_in(&directory));
        let (store, guard) = open(&path_in(&directory), &self.options).unwrap();
        Self {
            store,
            guard: Some(guard),
            directory,
            options: self.options.clone(),
        }
    }

    pub(crate) fn close(mut self) -> TempDir {
        drop(self.guard.take());
        self.directory
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
        ids(&self.store.claim(max).await.unwrap())
    }

    pub(crate) async fn finish(&self, turn: TurnKey, uuids: &[&str]) {
        let finished = self.store.finish(turn, result(1_000, uuids)).await;
        assert_eq!(finished, Ok(Fenced::Done));
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
