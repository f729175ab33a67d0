//! Placeholder doc.

pub mod limits;

mod error;
mod sqlite;
mod store;
mod types;
mod url;

pub use error::{OpenError, StoreError};
pub use store::{Store, StoreGuard, StoreOptions};
pub use types::{
    Admission, Body, DuplicateKey, Fenced, Health, HistoryRow, NewEvent, NewHistory, NewOutbox,
    NewTurn, OutboxKey, OutboxRow, Outcome, Sign, Signs, Step, StoreStats, Turn, TurnId, TurnKey,
    TurnResult,
};
pub use url::{StoreUrl, StoreUrlError};
