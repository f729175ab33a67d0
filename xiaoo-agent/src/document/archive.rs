//! Archives: what is in them, by name.

use std::borrow::Cow;
use std::io::{self, Cursor, Read};

use encoding_rs::GB18030;
use flate2::read::MultiGzDecoder;
use zip::ZipArchive;

use super::draft::{Draft, IsFull};
use super::kind::Kind;
use super::{DocumentError, Extracted, broken, text};

pub(super) fn read_zip(
    archive: &mut ZipArchive<Cursor<&[u8]>>,
    mut draft: Draft,
) -> Result<Extracted, DocumentError> {
    let total = archive.len();
    for index in 0..total {
        if index >= draft.limits.parts_max {
            draft.is_cut();
            break;
        }
        draft.has_time()?;
        let file = archive
            .by_index_raw(index)
            .map_err(|error| broken(Kind::Zip, error))?;
        if line(&mut draft, &name(file.name_raw()), file.size()).is_err() {
            break;
        }
    }
    Ok(draft.finish(format!("ZIP archive, {total} entries")))
}

pub(super) fn read_tar(bytes: &[u8], draft: Draft) -> Result<Extracted, DocumentError> {
    list_tar(bytes, draft, "tar archive").map_err(|error| broken(Kind::Tar, error))?
}

/// A tar archive in it is listed, a text in it is read.
pub(super) fn read_gzip(
    bytes: &[u8],
    file_name: &str,
    mut draft: Draft,
) -> Result<Extracted, DocumentError> {
    let told = |error: io::Error| broken(Kind::Gzip, error);
    let unpacked_max = draft.limits.unpacked_bytes_max;
    let unpack = || MultiGzDecoder::new(bytes).take(unpacked_max.saturating_add(1));
    let mut head = Vec::new();
    unpack()
        .take(TAR_BLOCK)
        .read_to_end(&mut head)
        .map_err(told)?;
    if Kind::of(&head) == Kind::Tar {
        let mut limited = unpack();
        let listed = list_tar(&mut limited, draft, "tar.gz archive").map_err(told)??;
        return if limited.limit() == 0 {
            Err(too_large(unpacked_max))
        } else {
            Ok(listed)
        };
    }
    let mut inside = Vec::new();
    // One byte more than the text may have, to know whether it is all.
    let text_max = u64::try_from(draft.limits.text_bytes_max).unwrap_or(u64::MAX);
    unpack()
        .take(text_max.saturating_add(1))
        .read_to_end(&mut inside)
        .map_err(told)?;
    if inside.len() > draft.limits.text_bytes_max {
        draft.is_cut();
        cut_between_characters(&mut inside);
    }
    let inner_name = file_name.strip_suffix(".gz").unwrap_or(file_name);
    let mut read = text::read(&inside, inner_name, draft);
    read.what = format!("gzip of {}", read.what);
    Ok(read)
}

pub(super) fn too_large(bytes_max: u64) -> DocumentError {
    DocumentError::TooLarge {
        bytes_max,
        unpacked: true,
    }
}

/// Names in archives from Chinese Windows are in its encoding, whatever the standard says.
pub(super) fn name(raw: &[u8]) -> Cow<'_, str> {
    match str::from_utf8(raw) {
        Ok(name) => Cow::Borrowed(name),
        Err(_) => GB18030.decode_without_bom_handling(raw).0,
    }
}

/// A text that was cut anywhere would not be known as one.
fn cut_between_characters(text: &mut Vec<u8>) {
    if let Err(error) = str::from_utf8(text)
        && error.error_len().is_none()
    {
        text.truncate(error.valid_up_to());
    }
}

fn list_tar(
    source: impl Read,
    mut draft: Draft,
    what: &str,
) -> io::Result<Result<Extracted, DocumentError>> {
    let mut archive = tar::Archive::new(source);
    let mut count = 0_usize;
    for entry in archive.entries()? {
        if let Err(error) = draft.has_time() {
            return Ok(Err(error));
        }
        let entry = entry?;
        if count >= draft.limits.parts_max {
            draft.is_cut();
            break;
        }
        count += 1;
        if line(&mut draft, &name(&entry.path_bytes()), entry.size()).is_err() {
            break;
        }
    }
    Ok(Ok(draft.finish(format!("{what}, {count} entries"))))
}

fn line(draft: &mut Draft, name: &str, bytes: u64) -> Result<(), IsFull> {
    // A line end in a name would make two entries of one.
    let name = name.escape_debug();
    draft.push(&format!("{name}  {bytes}\n"))
}

/// As much as is needed to know a tar archive by.
const TAR_BLOCK: u64 = 512;
