//! What of the past may be sent: as much as fits, in the form that servers accept.

use std::collections::HashSet;

use serde_json::Value;

use crate::message::{Message, ToolCall};

/// A cautious guess at the tokens of so many bytes: English has about four bytes a token,
/// Chinese about three.
#[must_use]
pub fn estimate_tokens(bytes: usize) -> usize {
    bytes.div_ceil(3)
}

/// The newest whole turns that fit into `bytes_max`. A turn begins with what the person said, so
/// no tool result is ever parted from its call.
#[must_use]
pub fn fit_history(history: &[Message], bytes_max: usize) -> &[Message] {
    let mut bytes = 0_usize;
    let mut from = history.len();
    for (at, message) in history.iter().enumerate().rev() {
        bytes = bytes.saturating_add(message.size());
        if bytes > bytes_max {
            break;
        }
        if matches!(message, Message::User { .. }) {
            from = at;
        }
    }
    history.get(from..).unwrap_or_default()
}

/// A history that servers accept: every tool call is answered exactly once and at once, no answer
/// stands alone, ids are unique, arguments are JSON objects, no reply is empty.
///
/// A history that is fine comes back as it was. A call whose answer is missing was cut off by a
/// crash; the model is told that nobody knows how far it got.
#[must_use]
pub fn repair_history(messages: Vec<Message>) -> Vec<Message> {
    let mut repaired = Vec::with_capacity(messages.len());
    let mut used = HashSet::new();
    let mut messages = messages.into_iter().peekable();
    while let Some(message) = messages.next() {
        match message {
            // Not behind a call: an orphan.
            Message::Tool { .. } => {}
            Message::User { .. } => repaired.push(message),
            Message::Assistant {
                content,
                reasoning,
                mut tool_calls,
            } => {
                let mut answers = Vec::new();
                while let Some(Message::Tool {
                    tool_call_id,
                    content,
                    attachments,
                }) = messages.next_if(|next| matches!(next, Message::Tool { .. }))
                {
                    answers.push((tool_call_id, content, attachments));
                }
                let results: Vec<Message> = tool_calls
                    .iter_mut()
                    .map(|call| {
                        let answer = answers.iter().position(|(id, ..)| *id == call.id);
                        let answer = answer.map(|at| answers.remove(at));
                        claim_id(call, &mut used);
                        if parse_arguments(&call.arguments).is_err() {
                            call.arguments = "{}".into();
                        }
                        let (content, attachments) = match answer {
                            Some((_, content, attachments)) => (content, attachments),
                            None => (INTERRUPTED.into(), Vec::new()),
                        };
                        Message::Tool {
                            tool_call_id: call.id.clone(),
                            content,
                            attachments,
                        }
                    })
                    .collect();
                if !content.is_empty() || !tool_calls.is_empty() {
                    repaired.push(Message::Assistant {
                        content,
                        reasoning,
                        tool_calls,
                    });
                    repaired.extend(results);
                }
            }
        }
    }
    repaired
}

/// Gives the call an id that no earlier call has: some servers count from zero in every answer.
pub(super) fn claim_id(call: &mut ToolCall, used: &mut HashSet<String>) {
    let base = if call.id.is_empty() { "call" } else { &call.id };
    let mut id = base.to_owned();
    let mut next = 2_u32;
    while !used.insert(id.clone()) {
        id = format!("{base}_{next}");
        next = next.saturating_add(1);
    }
    call.id = id;
}

/// The arguments of a call, an object; nothing at all means an empty one.
pub(super) fn parse_arguments(arguments: &str) -> Result<Value, String> {
    if arguments.trim().is_empty() {
        return Ok(Value::Object(serde_json::Map::new()));
    }
    match serde_json::from_str(arguments) {
        Ok(object @ Value::Object(_)) => Ok(object),
        Ok(_) => Err("the arguments are not a JSON object".into()),
        Err(error) => Err(format!("the arguments are not valid JSON: {error}")),
    }
}

/// What the model reads in place of a result that was never recorded.
pub(super) const INTERRUPTED: &str = "Error: this call was interrupted by a restart before its \
    result was recorded. It may or may not have taken effect. Check before you repeat it.";

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn asks(ids: &[&str], arguments: &str) -> Message {
        Message::Assistant {
            content: String::new(),
            reasoning: String::new(),
            tool_calls: ids
                .iter()
                .map(|id| ToolCall {
                    id: (*id).into(),
                    name: "t".into(),
                    arguments: arguments.into(),
                })
                .collect(),
        }
    }

    #[test]
    fn what_is_fine_stays() {
        let fine = vec![
            Message::user("a"),
            asks(&["1", "2"], "{}"),
            Message::tool("1", "x"),
            Message::tool("2", "y"),
            Message::assistant("b"),
            Message::user("c"),
        ];
        assert_eq!(repair_history(fine.clone()), fine);
    }

    #[test]
    fn what_is_broken_is_mended() {
        let cases = [
            (
                "a call that was cut off",
                vec![Message::user("a"), asks(&["1"], "{}")],
                vec![
                    Message::user("a"),
                    asks(&["1"], "{}"),
                    Message::tool("1", INTERRUPTED),
                ],
            ),
            (
                "an answer to nothing, and one too many",
                vec![
                    Message::tool("0", "x"),
                    Message::user("a"),
                    asks(&["1"], "{}"),
                    Message::tool("1", "x"),
                    Message::tool("1", "again"),
                ],
                vec![
                    Message::user("a"),
                    asks(&["1"], "{}"),
                    Message::tool("1", "x"),
                ],
            ),
            (
                "an answer that comes too late",
                vec![
                    asks(&["1"], "{}"),
                    Message::user("a"),
                    Message::tool("1", "x"),
                ],
                vec![
                    asks(&["1"], "{}"),
                    Message::tool("1", INTERRUPTED),
                    Message::user("a"),
                ],
            ),
            (
                "ids that come again",
                vec![
                    asks(&["1", "1"], "{}"),
                    Message::tool("1", "x"),
                    Message::tool("1", "y"),
                    asks(&["1"], "{}"),
                    Message::tool("1", "z"),
                ],
                vec![
                    asks(&["1", "1_2"], "{}"),
                    Message::tool("1", "x"),
                    Message::tool("1_2", "y"),
                    asks(&["1_3"], "{}"),
                    Message::tool("1_3", "z"),
                ],
            ),
            (
                "arguments that are no object, and an empty reply",
                vec![
                    asks(&["1"], r#"{"a":"#),
                    Message::tool("1", "x"),
                    Message::assistant(""),
                ],
                vec![asks(&["1"], "{}"), Message::tool("1", "x")],
            ),
        ];
        for (case, broken, mended) in cases {
            assert_eq!(repair_history(broken), mended, "{case}");
        }
    }

    #[test]
    fn the_newest_whole_turns_are_kept() {
        let history = [
            Message::user("old"),
            Message::assistant("o"),
            Message::user("new"),
            asks(&["1"], "{}"),
            Message::tool("1", "x"),
            Message::assistant("n"),
        ];
        let size = |messages: &[Message]| messages.iter().map(Message::size).sum::<usize>();
        let (all, newest) = (size(&history), size(&history[2..]));
        let cases = [
            (all, 0),
            (all - 1, 2),
            (newest, 2),
            (newest - 1, 6),
            (0, 6),
            (usize::MAX, 0),
        ];
        for (bytes_max, from) in cases {
            assert_eq!(
                fit_history(&history, bytes_max),
                &history[from..],
                "{bytes_max}"
            );
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn whatever_goes_in_servers_accept_what_comes_out(messages in prop::collection::vec(message(), 0..12)) {
            let repaired = repair_history(messages);
            let mut open: Vec<&str> = Vec::new();
            let mut ids = HashSet::new();
            for message in &repaired {
                match message {
                    Message::Tool { tool_call_id, .. } => {
                        let at = open.iter().position(|id| id == tool_call_id);
                        prop_assert!(at.is_some(), "{:?}", repaired);
                        open.remove(at.unwrap());
                    }
                    Message::User { .. } => prop_assert!(open.is_empty()),
                    Message::Assistant { tool_calls, .. } => {
                        prop_assert!(open.is_empty());
                        for call in tool_calls {
                            prop_assert!(ids.insert(call.id.clone()));
                            open.push(&call.id);
                        }
                    }
                }
            }
            prop_assert!(open.is_empty());
            prop_assert_eq!(repair_history(repaired.clone()), repaired);
        }
    }

    fn message() -> impl Strategy<Value = Message> {
        prop_oneof![
            Just(Message::user("u")),
            Just(Message::assistant("a")),
            "[ab]{0,1}(_2)?".prop_map(|id| Message::tool(id, "t")),
            prop::collection::vec("[ab]{0,1}(_2)?", 0..3).prop_map(|ids| {
                asks(&ids.iter().map(String::as_str).collect::<Vec<_>>(), "{}")
            }),
        ]
    }
}
