//! PDF.

use lopdf::Document;

use super::draft::Draft;
use super::kind::Kind;
use super::{DocumentError, Extracted, broken};

pub(super) fn read(bytes: &[u8], mut draft: Draft) -> Result<Extracted, DocumentError> {
    let document = Document::load_mem(bytes).map_err(|error| broken(Kind::Pdf, error))?;
    // Loading it has tried the empty password, which most of the protected ones have.
    if document.is_encrypted() {
        return Err(DocumentError::Protected);
    }
    let pages = document.get_pages();
    let what = format!(
        "PDF, {} page{}",
        pages.len(),
        if pages.len() == 1 { "" } else { "s" }
    );
    let unpacked_max = usize::try_from(draft.limits.unpacked_bytes_max).unwrap_or(usize::MAX);
    let mut has_text = false;
    for (read, page) in pages.keys().enumerate() {
        draft.has_time()?;
        if read >= draft.limits.parts_max {
            draft.is_cut();
            break;
        }
        // One page that can't be read takes no others with it.
        let text = document.extract_text_with_limit(&[*page], unpacked_max);
        let text = text.unwrap_or_else(|error| format!("(this page can't be read: {error})"));
        has_text |= !text.trim().is_empty();
        let added = draft
            .heading(&format!("page {page}"))
            .and_then(|()| draft.push(text.trim()));
        if added.is_err() {
            break;
        }
    }
    if !has_text {
        return Ok(Extracted {
            text: format!("({what}, but no text in it: its pages are probably pictures.)"),
            what,
            is_complete: true,
        });
    }
    Ok(draft.finish(what))
}
