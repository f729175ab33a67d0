//! A file whose first page can't be used, made readable.
//!
//! The first page says how long the file is and where each table begins. In a file that
//! was cut off the one is wrong, in one whose header was overwritten both are gone. But
//! every file of a version has its tables at the same pages, so the first page of a new
//! one fits: in a copy, with the length that the file has now.

use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use super::{connect, schema};
use crate::error::OpenError;

/// SQLite's default, which we keep.
const PAGE_BYTES: u64 = 4_096;

/// Where the header has the number of pages, and the list of free ones with its length.
const PAGES_AT: u64 = 28;
const FREE_AT: u64 = 32;

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
    drop(db);

    let copy = folder.join("copy.db");
    fs::copy(path, &copy).map_err(files(&copy))?;
    transplant(&new, &copy).map_err(files(&copy))?;
    Ok(copy)
}

/// Gives a file another's first page.
fn transplant(from: &Path, to: &Path) -> io::Result<()> {
    let mut page = Vec::new();
    File::open(from)?.take(PAGE_BYTES).read_to_end(&mut page)?;
    let mut file = File::options().write(true).open(to)?;
    let pages = (file.metadata()?.len() / PAGE_BYTES).max(1);
    file.set_len(pages * PAGE_BYTES)?;
    file.write_all(&page)?;
    file.seek(SeekFrom::Start(PAGES_AT))?;
    file.write_all(&u32::try_from(pages).unwrap_or(u32::MAX).to_be_bytes())?;
    debug_assert_eq!(PAGES_AT + 4, FREE_AT);
    file.write_all(&[0; 8])
}
