//! Lines to stderr: one write each, and one line whatever is in it.

use std::borrow::Cow;
use std::io::{self, Write, stderr};

use tracing_subscriber::fmt::MakeWriter;

/// Where lines go.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lines;

/// One line on its way; it comes in one piece.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line;

impl MakeWriter<'_> for Lines {
    type Writer = Line;

    fn make_writer(&self) -> Line {
        Line
    }
}

impl Write for Line {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.write_all(line)?;
        Ok(line.len())
    }

    fn write_all(&mut self, line: &[u8]) -> io::Result<()> {
        let text = line.strip_suffix(b"\n").unwrap_or(line);
        let mut whole = one_line(&String::from_utf8_lossy(text)).into_owned();
        whole.push('\n');
        stderr().write_all(whole.as_bytes())
    }

    fn flush(&mut self) -> io::Result<()> {
        stderr().flush()
    }
}

/// Without breaks inside: an error that somebody else has worded may have them, and must not
/// look like a line of ours.
pub(super) fn one_line(text: &str) -> Cow<'_, str> {
    if text.contains(['\n', '\r']) {
        Cow::Owned(text.replace('\n', "\\n").replace('\r', "\\r"))
    } else {
        Cow::Borrowed(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_no_breaks_inside() {
        for (text, expected) in [
            ("the turn failed: 500", "the turn failed: 500"),
            (
                "the turn failed: oh\r\n2026-11-28 INFO all is well",
                "the turn failed: oh\\r\\n2026-11-28 INFO all is well",
            ),
            ("", ""),
        ] {
            assert_eq!(one_line(text), expected);
        }
    }
}
