//! Is the file whole? Asked before anything is written to it.

use core::time::Duration;
use std::path::Path;
use std::time::Instant;

use rusqlite::{Connection, ErrorCode};

use super::{open_read_only, tail};
use crate::error::OpenError;

/// How long a start may take for this: some 100 MB are looked through in it, more than
/// what is kept of a busy week. Of a larger file a part is seen, and the rest is
/// noticed when it is used.
const PATIENCE: Duration = Duration::from_millis(500);

/// Steps of SQLite's machine between two looks at the clock.
const STEPS: std::ffi::c_int = 10_000;

/// Refuses a file that is damaged, as far as can be seen in a short time.
///
/// By a connection that can't write, so that a damaged file and its log stay as they
/// are for whoever wants to save something.
pub(super) fn verify(path: &Path) -> Result<(), OpenError> {
    let (mut db, _) = open_read_only(path)?;
    let sqlite = |error: rusqlite::Error| OpenError::from_sqlite(path, &error);
    if let Some(detail) = cut_off(&db).map_err(sqlite)? {
        return Err(OpenError::Corrupt {
            path: path.to_path_buf(),
            detail,
        });
    }
    match complaint(&mut db, PATIENCE) {
        Ok(None) => Ok(()),
        Ok(Some(detail)) => Err(OpenError::Corrupt {
            path: path.to_path_buf(),
            detail,
        }),
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::OperationInterrupted) => {
            tracing::info!(
                path = %path.display(),
                "the store is large, and was not looked through to its end"
            );
            Ok(())
        }
        Err(error) => Err(sqlite(error)),
    }
}

/// What is missing at the file's end, if anything is.
pub(crate) fn cut_off(db: &Connection) -> rusqlite::Result<Option<String>> {
    // While it is open the log is not begun anew.
    let tx = db.unchecked_transaction()?;
    let pages = tx.query_row("PRAGMA page_count", [], |row| row.get(0))?;
    let page_bytes: u32 = tx.query_row("PRAGMA page_size", [], |row| row.get(0))?;
    let path = tx.path().unwrap_or_default();
    Ok(
        match tail::missing_page(Path::new(path), pages, page_bytes.into()) {
            Ok(None) => None,
            Ok(Some(page)) => Some(format!("it was cut off: page {page} of {pages} is missing")),
            Err(error) => Some(format!("its length can't be checked: {error}")),
        },
    )
}

/// SQLite's first complaint about the file.
fn complaint(db: &mut Connection, patience: Duration) -> rusqlite::Result<Option<String>> {
    let began = Instant::now();
    db.progress_handler(STEPS, Some(move || began.elapsed() > patience))?;
    let verdict: String = db.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
    if verdict != "ok" {
        return Ok(Some(verdict.replace('\n', "; ")));
    }
    out_of_step(db)
}

/// A table with higher ids than were given, if there is one. Pages of two moments can
/// fit well enough for SQLite, when a log was lost that was in the file in part.
fn out_of_step(db: &Connection) -> rusqlite::Result<Option<String>> {
    let given: Vec<(String, i64)> = db
        .prepare(
            "SELECT name, coalesce((SELECT seq FROM sqlite_sequence AS given
                                    WHERE given.name = tables.name), 0)
             FROM sqlite_schema AS tables
             WHERE type = 'table' AND sql LIKE '%AUTOINCREMENT%'",
        )?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<_>>()?;
    for (table, given) in given {
        let sql = format!("SELECT max(id) FROM \"{table}\"");
        let last: Option<i64> = db.query_row(&sql, [], |row| row.get(0))?;
        if let Some(last) = last.filter(|last| *last > given) {
            return Ok(Some(format!(
                "{table} has the id {last}, but {given} is the last that was given"
            )));
        }
    }
    Ok(None)
}
