//! A file whose first page can't be used, made readable.
//!
//! The first page says how long the file is and, with the pages that it leads to, where
//! each table begins. In a file that was cut off the one is wrong, in one whose header
//! was overwritten both are gone. But every file has its tables at the same pages, as
//! SQLite keeps their first pages at the beginning of one that can be vacuumed bit by
//! bit, in the order in which they were made. So a copy gets a first page with the
//! length that the file has now, and a list of the tables as a new store has it.

use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, params};

use super::{connect, schema};
use crate::error::OpenError;

/// SQLite's default, which we keep.
const PAGE_BYTES: u64 = 4_096;

/// Length of the header before the first page's own tree.
const HEADER_BYTES: u64 = 100;

/// Where the header has the number of pages, and the list of free ones with its length.
const PAGES_AT: u64 = 28;
const FREE_AT: u64 = 32;

/// A page of a tree that holds no rows: its kind, no free blocks, no cells, and where
/// these would begin, at the page's end.
const NO_ROWS: [u8; 8] = [0x0d, 0, 0, 0, 0, 0x10, 0x00, 0];

/// Makes a copy of the file in that folder, with a first page that can be read. What its
/// log holds is not in it.
pub(crate) fn copy(path: &Path, folder: &Path) -> Result<PathBuf, OpenError> {
    let files = |path: &Path| {
        let path = path.to_path_buf();
        |source: io::Error| OpenError::Files { path, source }
    };
    let new = folder.join("new.db");
    File::create(&new).map_err(files(&new))?;
    let sqlite = |error: rusqlite::Error| OpenError::from_sqlite(&new, &error);
    let mut db = connect(&new).map_err(sqlite)?;
    schema::prepare(&new, &mut db)?;
    let tables = tables(&db).map_err(sqlite)?;
    drop(db);

    let copy = folder.join("copy.db");
    fs::copy(path, &copy).map_err(files(&copy))?;
    transplant(&new, &copy).map_err(files(&copy))?;
    list(&copy, &tables).map_err(|error| OpenError::from_sqlite(&copy, &error))?;
    Ok(copy)
}

/// A table's name, first page, and definition.
type Table = (String, i64, String);

/// The tables of a store. What is read from a copy needs no index.
fn tables(db: &Connection) -> rusqlite::Result<Vec<Table>> {
    db.prepare("SELECT name, rootpage, sql FROM sqlite_schema WHERE type = 'table'")?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
        .collect()
}

/// Gives a file another's header, and a first page without tables.
fn transplant(from: &Path, to: &Path) -> io::Result<()> {
    let mut page = Vec::new();
    File::open(from)?
        .take(HEADER_BYTES)
        .read_to_end(&mut page)?;
    page.extend(NO_ROWS);
    page.resize(usize::try_from(PAGE_BYTES).unwrap_or_default(), 0);
    let mut file = File::options().write(true).open(to)?;
    let pages = (file.metadata()?.len() / PAGE_BYTES).max(1);
    file.set_len(pages * PAGE_BYTES)?;
    file.write_all(&page)?;
    file.seek(SeekFrom::Start(PAGES_AT))?;
    file.write_all(&u32::try_from(pages).unwrap_or(u32::MAX).to_be_bytes())?;
    debug_assert_eq!(PAGES_AT + 4, FREE_AT);
    file.write_all(&[0; 8])
}

/// Says where the tables are that are there already.
fn list(path: &Path, tables: &[Table]) -> rusqlite::Result<()> {
    let db = connect(path)?;
    db.pragma_update(None, "writable_schema", true)?;
    for (name, page, sql) in tables {
        db.execute(
            "INSERT INTO sqlite_schema (type, name, tbl_name, rootpage, sql)
             VALUES ('table', ?1, ?1, ?2, ?3)",
            params![name, page, sql],
        )?;
    }
    Ok(())
}
