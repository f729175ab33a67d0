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
    let from = newest_turns(history.iter(), bytes_max);
    history.get(from..).unwrap_or_default()
}

/// Where the newest whole turns that fit begin.
pub(super) fn newest_turns<'m, I>(messages: I, bytes_max: usize) -> usize
where
    I: DoubleEndedIterator<Item = &'m Message> + ExactSizeIterator,
{
    let mut bytes = 0_usize;
    let mut from = messages.len();
    for (at, message) in messages.enumerate().rev() {
        bytes = bytes.saturating_add(message.size());
        if bytes > bytes_max {
            break;
        }
        if matches!(message, Message::User { .. } | Message::Summary { .. }) {
            from = at;
        }
    }
    from
}

/// What of a history still counts: the newest summary stands before what it does not cover and
/// for all the rest, and what was said again stands for what was said the first time.
#[must_use]
pub fn effective_history(messages: Vec<Message>) -> Vec<Message> {
    let order = effective(&messages.iter().collect::<Vec<_>>());
    let mut messages: Vec<Option<Message>> = messages.into_iter().map(Some).collect();
    order
        .into_iter()
        .filter_map(|at| messages.get_mut(at)?.take())
        .collect()
}

/// Which messages those are, in their order.
pub(super) fn effective(messages: &[&Message]) -> Vec<usize> {
    let is_summary = |at: &usize| matches!(messages.get(*at), Some(Message::Summary { .. }));
    let summary = (0..messages.len()).rev().find(is_summary);
    let (mut order, from) = match (summary, summary.and_then(|at| messages.get(at))) {
        (Some(at), Some(Message::Summary { keeps, .. })) => {
            let before = (0..at).rev().filter(|at| !is_summary(at));
            let from = before.take(*keeps).last().unwrap_or(at);
            (vec![at], from)
        }
        _ => (Vec::new(), 0),
    };
    for at in (from..messages.len()).filter(|at| !is_summary(at)) {
        if let Some(Message::User { again: true, .. }) = messages.get(at) {
            let is_user = |at: &usize| matches!(messages.get(*at), Some(Message::User { .. }));
            // Its first version may be in the summary, and what came after it is not.
            let first = order.iter().rposition(is_user);
            let covered = order.iter().position(is_summary).map(|at| at + 1);
            order.truncate(first.or(covered).unwrap_or(0));
        }
        order.push(at);
    }
    order
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
            Message::User { .. } | Message::Summary { .. } => repaired.push(message),
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
                        // Some servers refuse a history with broken arguments in it, or with none.
                        if call.arguments.trim().is_empty()
                            || parse_arguments(&call.arguments).is_err()
                        {
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

    fn summary(keeps: usize) -> Message {
        Message::Summary {
            content: "s".into(),
            verbatim: Vec::new(),
            keeps,
        }
    }

    fn again(content: &str) -> Message {
        Message::User {
            content: content.into(),
            images: Vec::new(),
            again: true,
        }
    }

    #[test]
    fn a_summary_stands_for_what_it_covers_and_a_repetition_for_what_it_repeats() {
        let (u, a) = (Message::user, Message::assistant);
        let cases = [
            ("nothing", vec![], vec![]),
            (
                "nothing to replace",
                vec![u("1"), a("1"), u("2")],
                vec![u("1"), a("1"), u("2")],
            ),
            (
                "all before it",
                vec![u("1"), a("1"), summary(0), u("2")],
                vec![summary(0), u("2")],
            ),
            (
                "all but what it keeps, which stands behind it",
                vec![u("1"), a("1"), u("2"), a("2"), u("3"), summary(3), a("3")],
                vec![summary(3), u("2"), a("2"), u("3"), a("3")],
            ),
            (
                "an earlier summary too, which does not count",
                vec![u("1"), a("1"), summary(1), u("2"), summary(2), a("2")],
                vec![summary(2), a("1"), u("2"), a("2")],
            ),
            (
                "more than there is",
                vec![u("1"), summary(9), a("1")],
                vec![summary(9), u("1"), a("1")],
            ),
            (
                "the last thing said, once more",
                vec![u("1"), a("1"), u("2"), a("2"), again("2"), a("better")],
                vec![u("1"), a("1"), again("2"), a("better")],
            ),
            (
                "twice more",
                vec![u("1"), a("x"), again("1"), a("y"), again("1")],
                vec![again("1")],
            ),
            (
                "what a summary has covered the beginning of",
                vec![u("1"), summary(0), a("1"), again("1"), a("better")],
                vec![summary(0), again("1"), a("better")],
            ),
            (
                "the first thing ever",
                vec![a("x"), again("1")],
                vec![again("1")],
            ),
        ];
        for (case, messages, left) in cases {
            assert_eq!(effective_history(messages), left, "{case}");
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
            prop_assert!(is_valid(&repaired), "{:?}", repaired);
            prop_assert_eq!(repair_history(repaired.clone()), repaired);
        }

        /// However far a turn came, and wherever its conversation was shortened.
        #[test]
        fn any_beginning_of_any_turn_goes_on_as_a_valid_one(
            messages in prop::collection::vec(message(), 0..12),
            cut in 0..12_usize,
            later in prop::collection::vec(message(), 0..4),
        ) {
            let beginning = messages.iter().take(cut).cloned();
            let left = effective_history(beginning.chain(later).collect());
            let repaired = repair_history(left);
            prop_assert!(is_valid(&repaired), "{:?}", repaired);
        }

        #[test]
        fn what_counts_of_a_history_is_all_that_counts_of_it(messages in prop::collection::vec(message(), 0..12)) {
            let left = effective_history(messages);
            let is_summary = |message: &Message| matches!(message, Message::Summary { .. });
            // The summary stands first, before all that it does not stand for.
            prop_assert!(!left.iter().skip(1).any(is_summary));
        }
    }

    /// Whether servers accept it: every call is answered once and at once, and nothing else is.
    fn is_valid(messages: &[Message]) -> bool {
        let mut open: Vec<&str> = Vec::new();
        let mut ids = HashSet::new();
        for message in messages {
            match message {
                Message::Tool { tool_call_id, .. } => {
                    let Some(at) = open.iter().position(|id| id == tool_call_id) else {
                        return false;
                    };
                    open.remove(at);
                }
                _ if !open.is_empty() => return false,
                Message::Assistant { tool_calls, .. } => {
                    open.extend(tool_calls.iter().map(|call| call.id.as_str()));
                    if !tool_calls.iter().all(|call| ids.insert(&call.id)) {
                        return false;
                    }
                }
                Message::User { .. } | Message::Summary { .. } => {}
            }
        }
        open.is_empty()
    }

    fn message() -> impl Strategy<Value = Message> {
        prop_oneof![
            Just(Message::user("u")),
            Just(again("u")),
            Just(Message::assistant("a")),
            (0..6_usize).prop_map(summary),
            "[ab]{0,1}(_2)?".prop_map(|id| Message::tool(id, "t")),
            prop::collection::vec("[ab]{0,1}(_2)?", 0..3).prop_map(|ids| {
                asks(&ids.iter().map(String::as_str).collect::<Vec<_>>(), "{}")
            }),
        ]
    }
}
