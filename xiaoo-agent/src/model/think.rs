//! Thinking that a server without a reasoning parser leaves in the text, as `<think>…</think>`.
//!
//! Only a tag that opens the message counts: anywhere else it is something the model talks about.

const OPEN: &str = "<think>";
const CLOSE: &str = "</think>";

/// Sorts a message that comes in pieces into text and thinking; the tags may be cut anywhere.
#[derive(Clone, Debug)]
pub(super) enum ThinkFilter {
    /// Nothing but white space and perhaps a part of the opening tag so far.
    Opening(String),
    /// Inside; holds back what may be the beginning of the closing tag.
    Inside(String),
    /// The tag is closed, and only white space came since.
    Closed,
    /// The rest is text.
    Text,
}

impl ThinkFilter {
    pub(super) fn new() -> Self {
        Self::Opening(String::new())
    }

    /// Takes the next piece.
    pub(super) fn push(&mut self, piece: &str, text: &mut String, reasoning: &mut String) {
        match self {
            Self::Opening(held) => {
                held.push_str(piece);
                let begun = held.trim_start();
                if let Some(rest) = begun.strip_prefix(OPEN) {
                    let rest = rest.to_owned();
                    *self = Self::Inside(String::new());
                    self.push(&rest, text, reasoning);
                } else if !OPEN.starts_with(begun) {
                    text.push_str(held);
                    *self = Self::Text;
                }
            }
            Self::Inside(held) => {
                held.push_str(piece);
                if let Some((thought, rest)) = held.split_once(CLOSE) {
                    reasoning.push_str(thought);
                    let rest = rest.to_owned();
                    *self = Self::Closed;
                    self.push(&rest, text, reasoning);
                } else {
                    let sure = held.len() - tag_begun_at_end(held);
                    reasoning.extend(held.drain(..sure));
                }
            }
            Self::Closed => {
                let piece = piece.trim_start();
                if !piece.is_empty() {
                    text.push_str(piece);
                    *self = Self::Text;
                }
            }
            Self::Text => text.push_str(piece),
        }
    }

    /// The message is over: what was held back was no tag.
    pub(super) fn end(self, text: &mut String, reasoning: &mut String) {
        match self {
            Self::Opening(held) => text.push_str(&held),
            Self::Inside(held) => reasoning.push_str(&held),
            Self::Closed | Self::Text => {}
        }
    }
}

/// How many bytes at the end of `held` may be the beginning of the closing tag.
fn tag_begun_at_end(held: &str) -> usize {
    (1..CLOSE.len())
        .rev()
        .find(|&length| {
            CLOSE
                .get(..length)
                .is_some_and(|begun| held.ends_with(begun))
        })
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_opening_tag_counts_and_cuts_do_not_matter() {
        let cases = [
            (
                "<think>内部思考</think>\n\n最终答案",
                "最终答案",
                "内部思考",
            ),
            (" \n<think></think>好", "好", ""),
            ("use <think> and </think>", "use <think> and </think>", ""),
            ("<think>never closed </thi", "", "never closed </thi"),
            ("<thinking>", "<thinking>", ""),
            ("<th", "<th", ""),
            ("  plain", "  plain", ""),
            ("<think>a</think>b</think>", "b</think>", "a"),
            ("<think>a<</</think>b", "b", "a<</"),
            ("", "", ""),
        ];
        for (message, text, reasoning) in cases {
            for step in [1, 2, 3, 5, usize::MAX] {
                let mut filter = ThinkFilter::new();
                let (mut got_text, mut got_reasoning) = (String::new(), String::new());
                let chars: Vec<char> = message.chars().collect();
                for piece in chars.chunks(step.min(chars.len().max(1))) {
                    let piece: String = piece.iter().collect();
                    filter.push(&piece, &mut got_text, &mut got_reasoning);
                }
                filter.end(&mut got_text, &mut got_reasoning);
                assert_eq!(
                    (got_text.as_str(), got_reasoning.as_str()),
                    (text, reasoning),
                    "{message:?} in steps of {step}"
                );
            }
        }
    }
}
