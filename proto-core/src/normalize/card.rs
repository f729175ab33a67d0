//! The visible words of a card, whichever of its forms it comes in: the
//! simplified rows of an event, a card of version 1, or one of version 2.

use super::words::{Blanks, Words, Writer, Written};
use super::{filled, post};
use crate::TextBuffer;
use crate::json::{Json, JsonStr};

/// Where visible words hang, in the order in which a card shows them.
const BRANCHES: [&str; 14] = [
    "title",
    "header",
    "subtitle",
    "body",
    "elements",
    "fields",
    "columns",
    "actions",
    "text",
    "placeholder",
    "options",
    "label",
    "extra",
    "content",
];

pub(super) fn write<T: TextBuffer>(out: &mut Writer<'_, '_, T>, content: Json<'_>) -> Written {
    let start = out.len();
    let mut card = Card {
        out,
        start,
        last_line: start,
    };
    card.collect(content)?;
    if out.len() == start {
        out.raw("[interactive]")?;
    }
    Ok(())
}

struct Card<'x, 'w, 'm, T> {
    out: &'x mut Writer<'w, 'm, T>,
    start: usize,
    /// Where the last line began.
    last_line: usize,
}

impl<T: TextBuffer> Card<'_, '_, '_, T> {
    /// Depth is bounded by the JSON document's own bound.
    fn collect(&mut self, value: Json<'_>) -> Written {
        if let Some(text) = value.as_str() {
            return self.line(|out| words(out, text));
        }
        if value.is_array() {
            if value.items().next().is_some() && value.items().all(is_inline) {
                return self.line(|out| {
                    value
                        .items()
                        .try_for_each(|element| write_inline(out, element))
                });
            }
            return value.items().try_for_each(|item| self.collect(item));
        }
        // One pass over the members: cards nest deeply.
        let mut children = [None; BRANCHES.len()];
        for (key, child) in value.members() {
            let place = BRANCHES.iter().position(|branch| key == **branch);
            if let Some(slot) = place.and_then(|place| children.get_mut(place)) {
                *slot = Some(child);
            }
        }
        let children = children.into_iter().flatten();
        children
            .into_iter()
            .try_for_each(|child| self.collect(child))
    }

    /// A line, unless the same words stand right above: that is one label, said
    /// twice by the format.
    fn line(&mut self, write: impl FnOnce(&mut Writer<'_, '_, T>) -> Written) -> Written {
        let before = self.out.len();
        let mut line_start = before;
        self.out.line(self.start, "\n", |out| {
            line_start = out.len();
            write(out)?;
            out.trim_end(line_start);
            Ok(())
        })?;
        let above = self.out.since(self.last_line);
        let above = above.get(..before - self.last_line).unwrap_or_default();
        if self.out.len() > before && above == self.out.since(line_start) {
            self.out.truncate(before);
        } else if self.out.len() > before {
            self.last_line = line_start;
        }
        Ok(())
    }
}

fn words<T: TextBuffer>(out: &mut Writer<'_, '_, T>, text: JsonStr<'_>) -> Written {
    let mut words = Words::new(out, Blanks::Trimmed);
    words.string(text)?;
    words.finish()
}

/// An element of a simplified row that stands in the row's line.
fn is_inline(element: Json<'_>) -> bool {
    element.get_str("tag").is_some_and(|tag| {
        ["text", "a", "at", "emotion"]
            .iter()
            .any(|inline| tag == **inline)
    })
}

fn write_inline<T: TextBuffer>(out: &mut Writer<'_, '_, T>, element: Json<'_>) -> Written {
    let text = filled(element.get_str("text"));
    if element.get_str("tag").is_some_and(|tag| tag == "at") {
        return post::write_at(out, element);
    }
    if element.get_str("tag").is_some_and(|tag| tag == "a") {
        return post::write_link(out, element);
    }
    text.map_or(Ok(()), |text| out.words(text))
}
