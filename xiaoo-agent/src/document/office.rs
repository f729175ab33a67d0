//! Office documents since 2007 and OpenDocument: archives of XML.

use std::io::{BufReader, Cursor, Read as _};

use quick_xml::events::Event;
use zip::ZipArchive;
use zip::result::ZipError;

use super::draft::{Draft, IsFull};
use super::kind::Kind;
use super::{DocumentError, Extracted, archive, broken, sheet, slides};

pub(super) type Archive<'a> = ZipArchive<Cursor<&'a [u8]>>;

/// An Office document is read, any other archive is listed.
pub(super) fn read_zip(bytes: &[u8], draft: Draft) -> Result<Extracted, DocumentError> {
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(told)?;
    let has = |name: &str| archive.index_for_name(name).is_some();
    if has("word/document.xml") {
        unpacks_to_enough(&mut archive, &draft)?;
        return read_word(&mut archive, draft);
    }
    if has("ppt/presentation.xml") {
        unpacks_to_enough(&mut archive, &draft)?;
        return slides::read(&mut archive, draft);
    }
    if has("xl/workbook.xml") {
        unpacks_to_enough(&mut archive, &draft)?;
        return sheet::read_xlsx(bytes, draft);
    }
    if has("xl/workbook.bin") {
        unpacks_to_enough(&mut archive, &draft)?;
        return sheet::read_xlsb(bytes, draft);
    }
    if has("mimetype") && has("content.xml") {
        unpacks_to_enough(&mut archive, &draft)?;
        let mut media_type = String::new();
        let file = archive.by_name("mimetype").map_err(told)?;
        // What is no text is no media type that is known here.
        let _ = file.take(MEDIA_TYPE_MAX).read_to_string(&mut media_type);
        return if media_type.contains("opendocument.spreadsheet") {
            sheet::read_ods(bytes, draft)
        } else {
            read_open_document(&mut archive, draft)
        };
    }
    archive::read_zip(&mut archive, draft)
}

fn read_word(archive: &mut Archive<'_>, mut draft: Draft) -> Result<Extracted, DocumentError> {
    let parts = [
        ("word/document.xml", ""),
        ("word/footnotes.xml", "footnotes"),
        ("word/endnotes.xml", "endnotes"),
        ("word/comments.xml", "comments"),
    ];
    for (name, heading) in parts {
        if archive.index_for_name(name).is_none() {
            continue;
        }
        let begun = if heading.is_empty() {
            Ok(())
        } else {
            draft.heading(heading)
        };
        if begun.is_err() || !read_xml(archive, name, Dialect::Office, &mut draft)? {
            break;
        }
    }
    Ok(draft.finish("Word document"))
}

fn read_open_document(
    archive: &mut Archive<'_>,
    mut draft: Draft,
) -> Result<Extracted, DocumentError> {
    read_xml(archive, "content.xml", Dialect::OpenDocument, &mut draft)?;
    Ok(draft.finish("OpenDocument text"))
}

/// Which elements hold text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    /// Only those that are called `t`.
    Office,
    /// Paragraphs and headings, and all that is in them.
    OpenDocument,
}

/// Adds the text of one file of the archive; false when the draft is full.
pub(super) fn read_xml(
    archive: &mut Archive<'_>,
    name: &str,
    dialect: Dialect,
    draft: &mut Draft,
) -> Result<bool, DocumentError> {
    let file = archive.by_name(name).map_err(told)?;
    // The sizes that an archive tells need not be true.
    let file = file.take(draft.limits.unpacked_bytes_max);
    let mut reader = quick_xml::Reader::from_reader(BufReader::new(file));
    let mut writer = Writer {
        draft,
        dialect,
        in_text: 0,
        in_fallback: 0,
        in_row: 0,
    };
    let mut buffer = Vec::new();
    let mut events = 0_u32;
    loop {
        buffer.clear();
        events = events.wrapping_add(1);
        if events.is_multiple_of(EVENTS_BETWEEN_LOOKS) {
            writer.draft.has_time()?;
        }
        let event = reader
            .read_event_into(&mut buffer)
            .map_err(|error| broken(Kind::Zip, error))?;
        if matches!(event, Event::Eof) {
            return Ok(true);
        }
        if writer.take(&event).is_err() {
            return Ok(false);
        }
    }
}

struct Writer<'a> {
    draft: &'a mut Draft,
    dialect: Dialect,
    /// How many elements with text this is in.
    in_text: u32,
    /// Within what is there a second time, for readers that don't know the first.
    in_fallback: u32,
    in_row: u32,
}

impl Writer<'_> {
    fn take(&mut self, event: &Event<'_>) -> Result<(), IsFull> {
        match event {
            Event::Start(start) => self.start(start.local_name().as_ref(), false),
            Event::Empty(start) => self.start(start.local_name().as_ref(), true),
            Event::End(end) => self.end(end.local_name().as_ref()),
            Event::Text(text) if self.is_shown() => self.draft.push(&text.xml10_content()),
            Event::CData(text) if self.is_shown() => self.draft.push(&text.xml10_content()),
            Event::GeneralRef(reference) if self.is_shown() => {
                let character = match &**reference {
                    "lt" => Some('<'),
                    "gt" => Some('>'),
                    "amp" => Some('&'),
                    "quot" => Some('"'),
                    "apos" => Some('\''),
                    _ => reference.resolve_char_ref().ok().flatten(),
                };
                let mut bytes = [0; 4];
                self.draft
                    .push(character.map_or("", |c| c.encode_utf8(&mut bytes)))
            }
            Event::Text(_)
            | Event::CData(_)
            | Event::GeneralRef(_)
            | Event::Comment(_)
            | Event::Decl(_)
            | Event::PI(_)
            | Event::DocType(_)
            | Event::Eof => Ok(()),
        }
    }

    fn is_shown(&self) -> bool {
        self.in_text > 0 && self.in_fallback == 0
    }

    fn start(&mut self, name: &str, is_empty: bool) -> Result<(), IsFull> {
        let is_word = self.dialect == Dialect::Office;
        match name {
            "Fallback" if !is_empty => self.in_fallback += 1,
            "tr" | "table-row" if !is_empty => self.in_row += 1,
            "t" if is_word && !is_empty => self.in_text += 1,
            "p" | "h" if !is_word && !is_empty => self.in_text += 1,
            "tab" if self.in_fallback == 0 => return self.draft.push("\t"),
            "s" if self.is_shown() => return self.draft.push(" "),
            "br" | "cr" | "line-break" if self.in_fallback == 0 => return self.draft.push("\n"),
            _ => {}
        }
        Ok(())
    }

    fn end(&mut self, name: &str) -> Result<(), IsFull> {
        let is_word = self.dialect == Dialect::Office;
        match name {
            "Fallback" => self.in_fallback = self.in_fallback.saturating_sub(1),
            "t" if is_word => self.in_text = self.in_text.saturating_sub(1),
            "p" | "h" => {
                if !is_word {
                    self.in_text = self.in_text.saturating_sub(1);
                }
                if self.in_fallback > 0 {
                    return Ok(());
                }
                // A row of a table is one line, whatever its cells hold.
                return if self.in_row > 0 {
                    self.draft.push(" ")
                } else {
                    self.draft.end_line()
                };
            }
            "tc" | "table-cell" => return self.draft.push("\t"),
            "tr" | "table-row" => {
                self.in_row = self.in_row.saturating_sub(1);
                return self.draft.end_line();
            }
            _ => {}
        }
        Ok(())
    }
}

/// Refuses what says itself that it unpacks to too much. What lies about it meets the other
/// limits.
fn unpacks_to_enough(archive: &mut Archive<'_>, draft: &Draft) -> Result<(), DocumentError> {
    let bytes_max = draft.limits.unpacked_bytes_max;
    let total = archive.decompressed_size().unwrap_or(u128::MAX);
    if archive.len() > ENTRIES_MAX || total > u128::from(bytes_max) {
        return Err(archive::too_large(bytes_max));
    }
    Ok(())
}

pub(super) fn told(error: ZipError) -> DocumentError {
    if matches!(
        error,
        ZipError::UnsupportedArchive(ZipError::PASSWORD_REQUIRED)
    ) {
        return DocumentError::Protected;
    }
    broken(Kind::Zip, error)
}

/// A document of a thousand pages has some thousands of pictures.
const ENTRIES_MAX: usize = 20_000;

/// A media type, with room.
const MEDIA_TYPE_MAX: u64 = 200;

/// Looking at the clock costs more than an event.
const EVENTS_BETWEEN_LOOKS: u32 = 4096;
