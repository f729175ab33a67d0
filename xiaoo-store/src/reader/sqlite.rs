//! A file, read beside whoever writes it; also one that is damaged.

use std::collections::BTreeMap;
use std::path::Path;

use rusqlite::types::FromSql;
use rusqlite::{Connection, ErrorCode, OptionalExtension as _, Row, params};

use super::Batch;
use super::checks::{Check, EXAMPLES_MAX, Finding, How};
use super::records::{Columns, Record, Table};
use crate::command::size;
use crate::error::{OpenError, StoreError};
use crate::sqlite;

/// Rows in one batch, and bytes of their bodies after which it ends early.
const BATCH_ROWS: i64 = 64;
const BATCH_BYTES: usize = 1 << 20;

/// Complaints of SQLite's own check that are counted; it finds more and more of them
/// in a file that is badly damaged, and nobody reads so many.
const COMPLAINTS_MAX: usize = 100;

pub(super) struct SqliteReader {
    db: Connection,
    schema: i64,
}

impl SqliteReader {
    pub(super) fn open(path: &Path) -> Result<Self, OpenError> {
        let (db, schema) = sqlite::open_read_only(path)?;
        Ok(Self { db, schema })
    }

    pub(super) fn schema(&self) -> i64 {
        self.schema
    }

    pub(super) fn bytes(&self) -> Result<u64, StoreError> {
        let number = |sql: &str| self.db.query_row(sql, [], |row| row.get(0));
        let (pages, bytes): (i64, i64) =
            (number("PRAGMA page_count")?, number("PRAGMA page_size")?);
        Ok(size(pages.saturating_mul(bytes)) as u64)
    }

    pub(super) fn count(&self, sql: &str) -> Result<BTreeMap<String, u64>, StoreError> {
        let mut statement = self.db.prepare(sql)?;
        let counts = statement
            .query_map([], |row| Ok((row.get(0)?, size(row.get(1)?) as u64)))?
            .collect::<rusqlite::Result<_>>()?;
        Ok(counts)
    }

    pub(super) fn check(&self, check: &Check) -> Result<Finding, StoreError> {
        match check.how {
            How::Pages => {
                let sql = format!("PRAGMA integrity_check({COMPLAINTS_MAX})");
                let mut complaints = self.column(&sql, COMPLAINTS_MAX)?;
                complaints.retain(|complaint| complaint != "ok");
                complaints.extend(sqlite::cut_off(&self.db)?);
                Ok(finding(complaints.len(), complaints))
            }
            How::Schema => {
                let differences = sqlite::schema_differences(&self.db, self.schema)?;
                Ok(finding(differences.len(), differences))
            }
            How::Rows(sql) => {
                let count = self.column_count(sql)?;
                let sql = format!("SELECT label FROM ({sql}) LIMIT {EXAMPLES_MAX}");
                let examples = if count > 0 {
                    self.column(&sql, EXAMPLES_MAX)?
                } else {
                    Vec::new()
                };
                Ok(finding(count, examples))
            }
        }
    }

    fn column(&self, sql: &str, max: usize) -> Result<Vec<String>, StoreError> {
        let mut statement = self.db.prepare(sql)?;
        let texts = statement
            .query_map([], |row| row.get(0))?
            .take(max)
            .collect::<rusqlite::Result<_>>()?;
        Ok(texts)
    }

    fn column_count(&self, sql: &str) -> Result<usize, StoreError> {
        let sql = format!("SELECT count(*) FROM ({sql})");
        Ok(size(self.db.query_row(&sql, [], |row| row.get(0))?))
    }

    /// The next rows; where they can't be read together, one.
    pub(super) fn batch(&self, table: Table, after: i64) -> Result<Batch, StoreError> {
        let last = self.last_id(table);
        let up_to = last.unwrap_or(i64::MAX);
        let (records, end) = self.rows(table, after, up_to, BATCH_ROWS);
        let reached = records.last().map_or(after, Record::id);
        match end {
            End::Full => Ok(Batch {
                records,
                next_after: Some(reached),
                unreadable: 0,
            }),
            End::Done => Ok(Batch {
                records,
                next_after: None,
                unreadable: 0,
            }),
            End::Failed(error) if !is_unreadable(&error) => Err(error),
            End::Failed(_) => Ok(self.beyond(table, records, reached, last)),
        }
    }

    /// Goes on behind a place that can't be read: by one id after the other, up to the
    /// first row that can.
    fn beyond(
        &self,
        table: Table,
        mut records: Vec<Record>,
        reached: i64,
        last: Option<i64>,
    ) -> Batch {
        let mut unreadable = 0_u64;
        // Without an end there is no way to know how far to go.
        let Some(last) = last else {
            return Batch {
                records,
                next_after: None,
                unreadable: 1,
            };
        };
        for id in reached.max(0).saturating_add(1)..=last {
            let (found, end) = self.rows(table, id - 1, id, 1);
            if let Some(record) = found.into_iter().next() {
                records.push(record);
                return Batch {
                    records,
                    next_after: Some(id),
                    unreadable,
                };
            }
            if let End::Failed(_) = end {
                unreadable = unreadable.saturating_add(1);
            }
        }
        Batch {
            records,
            next_after: None,
            unreadable,
        }
    }

    /// Rows above one id and up to another, as far as they can be read: with their
    /// bodies, or a single one without, if it is the body that is damaged.
    fn rows(&self, table: Table, after: i64, up_to: i64, max: i64) -> (Vec<Record>, End) {
        let mut records = Vec::new();
        let end = self.read(table, body_of(table), (after, up_to, max), &mut records);
        if let End::Failed(_) = &end
            && max == 1
        {
            records.clear();
            return match self.read(table, "NULL", (after, up_to, max), &mut records) {
                End::Failed(_) => (records, end),
                bodiless @ (End::Full | End::Done) => (records, bodiless),
            };
        }
        (records, end)
    }

    fn read(
        &self,
        table: Table,
        body: &str,
        (after, up_to, max): (i64, i64, i64),
        records: &mut Vec<Record>,
    ) -> End {
        let mut read = || -> Result<End, StoreError> {
            let mut statement = self.db.prepare_cached(&table.sql(body))?;
            let mut rows = statement.query(params![after, up_to, max])?;
            let mut bytes = 0;
            let mut reached = after;
            while let Some(row) = rows.next()? {
                let record = table.read(row)?;
                // A damaged tree may lead back to where we were.
                if record.id() <= reached {
                    return Err(unreadable("rows are out of order"));
                }
                reached = record.id();
                bytes += record.body_bytes();
                records.push(record);
                if bytes >= BATCH_BYTES {
                    return Ok(End::Full);
                }
            }
            let is_full = i64::try_from(records.len()).is_ok_and(|rows| rows >= max);
            Ok(if is_full { End::Full } else { End::Done })
        };
        read().unwrap_or_else(End::Failed)
    }

    /// The highest id that there can be, if that can be found out.
    fn last_id(&self, table: Table) -> Option<i64> {
        let number = |sql: &str| -> rusqlite::Result<Option<i64>> {
            let mut statement = self.db.prepare_cached(sql)?;
            let found = statement.query_row([], |row| row.get(0)).optional()?;
            Ok(found.flatten())
        };
        let name = table.name();
        let given = number(&format!(
            "SELECT seq FROM sqlite_sequence WHERE name = '{name}'"
        ));
        match given {
            Ok(Some(id)) => Some(id),
            // Nothing was ever written to it.
            Ok(None) => Some(0),
            Err(_) => number(&format!("SELECT max(id) FROM {name}"))
                .ok()
                .flatten(),
        }
    }
}

/// How a read ended.
enum End {
    /// There may be more.
    Full,
    Done,
    Failed(StoreError),
}

fn body_of(table: Table) -> &'static str {
    match table {
        Table::Turn => "(SELECT body FROM turn_body WHERE turn_id = turn.id)",
        Table::Send => "(SELECT body FROM outbox_body WHERE outbox_id = outbox.id)",
        Table::History | Table::Note => "body",
    }
}

/// Whether it is the data that is damaged: what lies behind it may still be good.
fn is_unreadable(error: &StoreError) -> bool {
    matches!(error, StoreError::Corrupt { .. } | StoreError::Io { .. })
}

fn unreadable(detail: impl Into<String>) -> StoreError {
    StoreError::Corrupt {
        detail: detail.into(),
    }
}

fn finding(count: usize, mut examples: Vec<String>) -> Finding {
    examples.truncate(EXAMPLES_MAX);
    Finding {
        count: count as u64,
        examples,
    }
}

impl Columns for Row<'_> {
    fn number(&self, column: usize) -> Result<i64, StoreError> {
        value(self, column)
    }

    fn maybe_number(&self, column: usize) -> Result<Option<i64>, StoreError> {
        value(self, column)
    }

    fn text(&self, column: usize) -> Result<String, StoreError> {
        value(self, column)
    }

    fn maybe_text(&self, column: usize) -> Result<Option<String>, StoreError> {
        value(self, column)
    }

    fn bytes(&self, column: usize) -> Result<Option<Vec<u8>>, StoreError> {
        value(self, column)
    }
}

/// A value of another type than the table's can only come from damage.
fn value<T: FromSql>(row: &Row<'_>, column: usize) -> Result<T, StoreError> {
    row.get(column)
        .map_err(|error| match error.sqlite_error_code() {
            Some(ErrorCode::Unknown) | None => unreadable(error.to_string()),
            Some(_) => error.into(),
        })
}
