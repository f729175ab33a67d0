//! Spreadsheets, as lines of cells with tabs between them.

use std::io::Cursor;

use calamine::{Data, Ods, Reader, Xls, XlsError, Xlsb, Xlsx, XlsxError};

use super::draft::{Draft, IsFull};
use super::kind::Kind;
use super::{DocumentError, Extracted, broken};

type Source<'a> = Cursor<&'a [u8]>;

/// Excel since 2007, cell by cell: a cell in the last row of an empty sheet costs nothing.
pub(super) fn read_xlsx(bytes: &[u8], mut draft: Draft) -> Result<Extracted, DocumentError> {
    let told = |error| {
        if matches!(error, XlsxError::Password) {
            return DocumentError::Protected;
        }
        broken(Kind::Zip, error)
    };
    let mut book: Xlsx<Source<'_>> = Xlsx::new(Cursor::new(bytes)).map_err(told)?;
    let names = book.sheet_names();
    for (read, name) in names.iter().enumerate() {
        draft.has_time()?;
        if read >= draft.limits.parts_max {
            draft.is_cut();
            break;
        }
        // A sheet that is a chart has no cells.
        let Ok(mut cells) = book.worksheet_cells_reader(name) else {
            continue;
        };
        let mut rows = Rows::default();
        let mut written = draft.heading(name);
        while written.is_ok() {
            let Some(cell) = cells.next_cell().map_err(told)? else {
                break;
            };
            let (row, column) = cell.get_position();
            let value = Data::from(cell.get_value().clone());
            written = rows.put(&mut draft, row, column, &value);
            if rows.is_new {
                draft.has_time()?;
            }
        }
        if written.is_err() {
            break;
        }
    }
    Ok(draft.finish(what("Excel", &names)))
}

/// Excel's binary form since 2007.
pub(super) fn read_xlsb(bytes: &[u8], draft: Draft) -> Result<Extracted, DocumentError> {
    let book: Xlsb<Source<'_>> =
        Xlsb::new(Cursor::new(bytes)).map_err(|error| broken(Kind::Zip, error))?;
    read_ranges(book, "Excel", draft)
}

/// OpenDocument.
pub(super) fn read_ods(bytes: &[u8], draft: Draft) -> Result<Extracted, DocumentError> {
    let book: Ods<Source<'_>> =
        Ods::new(Cursor::new(bytes)).map_err(|error| broken(Kind::Zip, error))?;
    read_ranges(book, "OpenDocument spreadsheet", draft)
}

/// Office before 2007, of which Excel is read.
pub(super) fn read_compound(bytes: &[u8], draft: Draft) -> Result<Extracted, DocumentError> {
    let book: Xls<Source<'_>> = Xls::new(Cursor::new(bytes)).map_err(|error| {
        if matches!(error, XlsError::Password) {
            return DocumentError::Protected;
        }
        let why = format!(
            "{error}. Of these only Excel workbooks are read; ask for a PDF, or the document saved \
             in a newer format"
        );
        broken(Kind::Compound, why)
    })?;
    read_ranges(book, "Excel", draft)
}

fn read_ranges<'a, R>(mut book: R, kind: &str, mut draft: Draft) -> Result<Extracted, DocumentError>
where
    R: Reader<Source<'a>>,
    R::Error: core::fmt::Display,
{
    let names = book.sheet_names();
    for (read, name) in names.iter().enumerate() {
        if read >= draft.limits.parts_max {
            draft.is_cut();
            break;
        }
        let range = book
            .worksheet_range(name)
            .map_err(|error| broken(Kind::Compound, error))?;
        let mut rows = Rows::default();
        let mut written = draft.heading(name);
        for (row, column, value) in range.used_cells() {
            let (Ok(row), Ok(column)) = (u32::try_from(row), u32::try_from(column)) else {
                break;
            };
            written = written.and_then(|()| rows.put(&mut draft, row, column, value));
            if written.is_err() {
                break;
            }
            if rows.is_new {
                draft.has_time()?;
            }
        }
        if written.is_err() {
            break;
        }
    }
    Ok(draft.finish(what(kind, &names)))
}

fn what(kind: &str, sheets: &[String]) -> String {
    let count = sheets.len();
    format!("{kind}, {count} sheet{}", if count == 1 { "" } else { "s" })
}

/// Where the last cell was.
#[derive(Debug, Default)]
struct Rows {
    last: Option<(u32, u32)>,
    /// Whether the last cell began a row.
    is_new: bool,
}

impl Rows {
    /// Adds a cell; they come row by row. Rows without any are left out, columns are not.
    fn put(
        &mut self,
        draft: &mut Draft,
        row: u32,
        column: u32,
        value: &Data,
    ) -> Result<(), IsFull> {
        let text = shown(value);
        self.is_new = self.last.is_none_or(|(last, _)| last != row);
        if text.is_empty() {
            return Ok(());
        }
        let from = match self.last {
            Some((last, column)) if last == row => column,
            Some(_) => {
                draft.push("\n")?;
                0
            }
            None => 0,
        };
        let gap = column.saturating_sub(from).min(COLUMNS_MAX);
        draft.push(&"\t".repeat(usize::try_from(gap).unwrap_or(0)))?;
        self.last = Some((row, column));
        draft.push(&text)
    }
}

fn shown(value: &Data) -> String {
    match value {
        Data::DateTime(date) if date.is_datetime() => {
            let (year, month, day, hour, minute, second, _) = date.to_ymd_hms_milli();
            if date.as_f64().fract() == 0.0 {
                format!("{year:04}-{month:02}-{day:02}")
            } else {
                format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}")
            }
        }
        // One cell is one line.
        Data::String(text) => text.trim().replace(['\n', '\r', '\t'], " "),
        Data::Int(_)
        | Data::Float(_)
        | Data::Bool(_)
        | Data::DateTime(_)
        | Data::DateTimeIso(_)
        | Data::DurationIso(_)
        | Data::Error(_)
        | Data::Empty => value.to_string(),
    }
}

/// What Excel has.
const COLUMNS_MAX: u32 = 16_384;
