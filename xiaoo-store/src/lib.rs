//! Durable inbox, turns, history and outbox.
//!
//! What this crate promises: an event that was admitted is never lost and never
//! worked on twice; turns of one conversation run one at a time, in the order of
//! arrival; what a turn leaves behind is stored whole or not at all; what is to be
//! sent is sent in order, under a key that lets the platform drop the second of
//! two equal sends. All this at any kill, crash or power cut.
//!
//! It knows no chat platform and no agent: payloads are bytes, kinds and roles are
//! the caller's words. It reads no clock: times are the caller's.
//!
//! ```
//! use xiaoo_store::{Admission, Claim, NewEvent, NewOutbox, NewTurn, Outcome, Store, StoreOptions, TurnResult};
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let directory = tempfile::tempdir()?;
//! # let url = xiaoo_store::StoreUrl::sqlite(directory.path().join("store.db"));
//! // let url = "sqlite:/var/lib/xiaoo/store.db".parse()?;
//! let (store, guard) = Store::open(&url, StoreOptions::default())?;
//!
//! // In: acknowledge the event only after this.
//! let admission = store
//!     .admit(NewEvent {
//!         app: "cli_a".to_owned(),
//!         event_id: "e1".to_owned(),
//!         message_id: Some("om_1".to_owned()),
//!         received_ms: 1_700_000_000_000,
//!         work: Some(NewTurn {
//!             conversation: "oc_1".to_owned(),
//!             kind: "message".to_owned(),
//!             body: "what time is it?".into(),
//!             urgent: false,
//!         }),
//!     })
//!     .await?;
//! assert!(matches!(admission, Admission::New(_)));
//!
//! // Work: whoever claims a turn owns it until it ends.
//! for turn in store.claim(8, Claim::Any).await? {
//!     let result = TurnResult {
//!         outcome: Outcome::Answered,
//!         detail: None,
//!         finished_ms: 1_700_000_003_000,
//!         history: vec![],
//!         outbox: vec![NewOutbox {
//!             uuid: "derived-from-the-event".to_owned(),
//!             kind: "text".to_owned(),
//!             body: "a quarter past six".into(),
//!         }],
//!     };
//!     store.finish(turn.key, result).await?;
//! }
//!
//! // Out: at least once here, once at the platform thanks to the uuid.
//! for row in store.outbox_take(1_700_000_003_000, 8).await? {
//!     store.outbox_done(row.key, "om_2").await?;
//! }
//! guard.close();
//! # Ok(())
//! # }
//! ```
//!
//! # States
//!
//! ```text
//! event    recorded ------------------------------------------------> pruned after 48 h
//!
//! turn     waiting --> ready --> running --> done ------------------> pruned after 48 h
//!             first of its  ^  claim |  finish
//!             conversation  +--------+
//!                           release, or the process died
//!
//! outbox   waiting --> ready --> sending --> done ------------------> pruned after 48 h
//!             first of its  ^   take | \---> dead ------------------> pruned after 30 d
//!             conversation  +--------+
//!                           retry, or the process died
//!
//! note     written, again and again --> deleted, or expired --------> pruned at once
//! ```
//!
//! - **Head of the line.** In each conversation one turn at most is `ready` or
//!   `running`, and one outbox row at most `ready` or `sending`; unique indexes
//!   hold that, not only the code. A claim looks at heads alone, so its cost does
//!   not depend on how much waits or has ended.
//! - **Urgent turns** are heads like all others, but can be claimed by themselves: what
//!   must be answered at once does not wait for a place among those that take long.
//! - **Epochs.** Each claim of a turn counts its epoch up, and each write of the
//!   turn names the epoch. Zero rows changed is [`Fenced::Replaced`]: somebody else
//!   owns the turn, stop quietly. Outbox rows do the same with the number of the
//!   try.
//! - **One transaction** holds a turn's outcome, its history rows, its outbox rows,
//!   and the next turn's move to the head.
//! - **Notes** are small things by name that all daemons must agree on. A write can say
//!   which version it has read: of several who answer one question one is first, and the
//!   others see what he said. A version is a number that the store never gives again.
//! - **After a crash** (on PostgreSQL, when the lease is out) running turns are claimable again, in order and with their
//!   signs and steps; `attempts` says how often it happened. Rows that were being
//!   sent come again with the time of their first try: within the platform's
//!   memory of a uuid they can simply be resent, later their fate must be looked
//!   up.
//!
//! # Tables
//!
//! | table | one row for each | keys |
//! | --- | --- | --- |
//! | `event` | event ever admitted | unique `(app, event_id)`, unique `(app, message_id)` |
//! | `turn`, `turn_body` | turn; the body goes when the turn ends | one head for each conversation |
//! | `step` | recorded step of a running turn | |
//! | `history` | thing that a conversation remembers | |
//! | `outbox`, `outbox_body` | thing to send; the body goes when it is sent | unique `uuid`, one head for each conversation |
//! | `note` | note; its id is its version | unique `(scope, key)` |
//!
//! # Engines
//!
//! One set of commands and questions, as plain data, under one handle; three that do
//! them, held to the same promises by one suite of tests.
//!
//! | engine | for | durable when |
//! | --- | --- | --- |
//! | SQLite, `sqlite:PATH` | one daemon | its file is synced |
//! | PostgreSQL, `postgres://…` | several daemons on one store | the server says so; no TLS in this build |
//! | memory, [`MemoryDisk`] | tests and simulation | the test says so |
//!
//! [`Store`] is a handle on threads of the engine's own. A writer takes a command and
//! what else waits, runs all in one transaction, and only then answers; a reader answers
//! questions. No call touches disk or network on the caller's thread, and every queue
//! and wait is bounded by a constant of [`limits`] or of the module that owns it.
//!
//! **SQLite.** Each command has a savepoint, so what is wrong with one hurts no other. A
//! third thread folds the log into the file, off the way of commits. A failed sync is
//! final: [`Store::health`] says so, later writes are refused, and the process should
//! end, since nobody knows what of the last commit is on disk. Both answers to that are
//! safe: what was stored makes the redelivery a duplicate, what wasn't makes it new. A full
//! disk is not final: health is [`Health::Full`] until there is room again. A
//! lock file beside the database (`PATH.lock`) keeps a second process out. A file that is
//! there is looked through before anything is written to it, and refused if it is damaged;
//! [`StoreReader`] gets out of it what can still be read. [`NotesBeside`] is the one way in for
//! another process: a note changed in one transaction, which the daemon sees at its next look.
//!
//! **PostgreSQL.** Each daemon has a row with a lease by the server's clock, renewed by
//! the engine itself; turns and sends that are under way name their owner. When a lease
//! is out others may take them, and the epoch shuts the old owner out; when a daemon
//! stops in good order they are free at once. A lost connection is not final: health is
//! [`Health::Unreachable`], admissions and claims are refused at once so that the
//! platform sends again, what has happened waits to be written, and all goes on by
//! itself. A commit whose answer was lost is looked for by the mark that it left before
//! anything is done again. The tables are made and changed when a store is opened, by one of the
//! daemons that start together. Several stores can be in one database, each in a schema
//! of its own.
//!
//! [`Store::changes`] says on every engine when there may be something to do, or a note
//! says something new. On PostgreSQL that also comes from other daemons, and by itself now and then: a hint may
//! get lost, and a lease that runs out says nothing.

pub mod limits;

mod beside;
mod call;
mod command;
mod desk;
mod error;
mod memory;
mod note;
mod postgres;
mod reader;
mod sqlite;
mod store;
mod types;
mod url;

pub use beside::NotesBeside;
pub use error::{OpenError, StoreError};
pub use memory::{Commit, Deed, Fate, MemoryDisk};
pub use note::{Expect, Note, NotePut, PutNote};
pub use reader::{
    Check, Export, Finding, HistoryRecord, Inventory, Kind, NoteRecord, Prunable, Record,
    SendRecord, StoreReader, TurnRecord,
};
pub use store::{Store, StoreGuard, StoreOptions};
pub use types::{
    Admission, Body, Claim, ConversationStats, DuplicateKey, Fenced, Health, HistoryRow, NewEvent,
    NewHistory, NewOutbox, NewTurn, OutboxKey, OutboxRow, Outcome, RunningTurn, Sign, Signs,
    Silence, Step, StoreStats, Turn, TurnId, TurnKey, TurnResult, Whereabouts,
};
pub use url::{PostgresUrl, StoreUrl, StoreUrlError};
