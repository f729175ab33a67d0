//! Is a file as long as it should be?
//!
//! SQLite takes a page beyond the end of its file for one of zeros, which may stand
//! unnoticed in the middle of a body. Only two kinds of page may be missing there: those
//! that the log has, and free ones, which nobody wrote.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{self, BufReader, ErrorKind, Read, Seek, SeekFrom};
use std::path::Path;

use super::files::beside;

/// The sizes of the log's header, and of what stands before each page in it; see
/// <https://www.sqlite.org/fileformat2.html#walformat>.
const LOG_HEADER: u64 = 32;
const FRAME_HEADER: u64 = 24;

/// Where the first page names the first of the lists of free pages.
const FREE_AT: usize = 32;

/// The first page that should be there and isn't, of so many of that size.
pub(super) fn missing_page(path: &Path, pages: u32, page_bytes: u64) -> io::Result<Option<u32>> {
    let mut file = File::open(path)?;
    // A part of a page is none.
    let there = file.metadata()?.len().checked_div(page_bytes).unwrap_or(0);
    let there = u32::try_from(there).unwrap_or(u32::MAX);
    if there >= pages {
        return Ok(None);
    }
    let mut log = Log::read(path, page_bytes)?;
    let mut missing = (there.saturating_add(1)..=pages)
        .filter(|page| !log.pages.contains_key(page))
        .peekable();
    if missing.peek().is_none() {
        return Ok(None);
    }
    let missing: Vec<_> = missing.collect();
    let free = free_pages(&mut file, &mut log, pages, page_bytes)?;
    Ok(missing.into_iter().find(|page| !free.contains(page)))
}

/// The log, and where in it the newest version of each page is.
struct Log {
    file: Option<File>,
    pages: HashMap<u32, u64>,
}

impl Log {
    fn read(path: &Path, page_bytes: u64) -> io::Result<Self> {
        let mut pages = HashMap::new();
        let file = match File::open(beside(path, "-wal")) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Ok(Self { file: None, pages });
            }
            Err(error) => return Err(error),
        };
        let mut frames = BufReader::new(&file);
        let mut header = [0; LOG_HEADER as usize];
        if is_there(frames.read_exact(&mut header))? {
            let salt = header.get(16..24).map(<[u8]>::to_vec);
            // Pages count once the transaction that wrote them is there to its end.
            let mut written = Vec::new();
            let mut at = LOG_HEADER;
            let mut frame = [0; FRAME_HEADER as usize];
            while is_there(frames.read_exact(&mut frame))? {
                if frame.get(8..16).map(<[u8]>::to_vec) != salt {
                    break;
                }
                written.push((number(&frame, 0), at + FRAME_HEADER));
                if number(&frame, 4) > 0 {
                    pages.extend(written.drain(..));
                }
                at += FRAME_HEADER + page_bytes;
                frames.seek(SeekFrom::Start(at))?;
            }
        }
        drop(frames);
        let file = Some(file);
        Ok(Self { file, pages })
    }
}

/// The pages that nothing is in.
fn free_pages(
    file: &mut File,
    log: &mut Log,
    pages: u32,
    page_bytes: u64,
) -> io::Result<HashSet<u32>> {
    let mut free = HashSet::new();
    let mut page = vec![0; usize::try_from(page_bytes).unwrap_or(0)];
    let mut read = |wanted: u32, page: &mut [u8]| -> io::Result<bool> {
        let before = u64::from(wanted.saturating_sub(1)) * page_bytes;
        let (file, at) = match (log.pages.get(&wanted), &mut log.file) {
            (Some(at), Some(log)) => (log, *at),
            _ => (&mut *file, before),
        };
        file.seek(SeekFrom::Start(at))?;
        is_there(file.read_exact(page))
    };
    if !read(1, &mut page)? {
        return Ok(free);
    }
    let mut list = number(&page, FREE_AT);
    // Each list is a free page itself; one that comes again is none.
    while list != 0 && list <= pages && free.insert(list) && read(list, &mut page)? {
        list = number(&page, 0);
        let count = usize::try_from(number(&page, 4)).unwrap_or(0);
        let listed = page.chunks_exact(4).skip(2).take(count);
        free.extend(listed.map(|listed| number(listed, 0)));
    }
    Ok(free)
}

/// `false` where a file ends.
fn is_there(read: io::Result<()>) -> io::Result<bool> {
    match read {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

fn number(bytes: &[u8], at: usize) -> u32 {
    let four = bytes.get(at..).and_then(<[u8]>::first_chunk::<4>);
    four.map_or(0, |four| u32::from_be_bytes(*four))
}
