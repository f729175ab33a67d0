//! A text in the making, within its limits.

use std::time::Instant;

use super::{DocumentError, DocumentLimits, Extracted};
use crate::cut::head;

/// Takes text until there is too much of it or it took too long.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) limits: DocumentLimits,
    text: String,
    deadline: Instant,
    is_complete: bool,
}

/// The text is as long as it may be: whoever writes it may stop.
#[derive(Debug)]
pub(super) struct IsFull;

impl Draft {
    pub(super) fn new(limits: &DocumentLimits) -> Self {
        let now = Instant::now();
        Self {
            limits: *limits,
            text: String::new(),
            deadline: now.checked_add(limits.time_max).unwrap_or(now),
            is_complete: true,
        }
    }

    /// Adds to the text, as much as fits.
    pub(super) fn push(&mut self, text: &str) -> Result<(), IsFull> {
        let room = self.limits.text_bytes_max.saturating_sub(self.text.len());
        self.is_complete &= text.len() <= room;
        self.text.push_str(head(text, room));
        if self.is_complete {
            Ok(())
        } else {
            Err(IsFull)
        }
    }

    /// Ends the line, and leaves no more than one empty one.
    pub(super) fn end_line(&mut self) -> Result<(), IsFull> {
        if self.text.is_empty() || self.text.ends_with("\n\n") {
            return Ok(());
        }
        self.push("\n")
    }

    /// Begins a part: a page, a sheet.
    pub(super) fn heading(&mut self, heading: &str) -> Result<(), IsFull> {
        if !self.text.is_empty() {
            let end = self.text.trim_end().len();
            self.text.truncate(end);
            self.push("\n\n")?;
        }
        self.push("## ")?;
        self.push(heading)?;
        self.push("\n")
    }

    /// There is more than what is in it.
    pub(super) fn is_cut(&mut self) {
        self.is_complete = false;
    }

    pub(super) fn has_time(&self) -> Result<(), DocumentError> {
        if Instant::now() < self.deadline {
            return Ok(());
        }
        Err(DocumentError::TooMuch {
            what: "time".into(),
        })
    }

    pub(super) fn finish(mut self, what: impl Into<String>) -> Extracted {
        let end = self.text.trim_end().len();
        self.text.truncate(end);
        Extracted {
            what: what.into(),
            text: self.text,
            is_complete: self.is_complete,
        }
    }
}
