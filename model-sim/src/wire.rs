//! The shapes of the chat-completions API, as the official clients expect them.

use bytes::Bytes;
use serde_json::{Map, Value, json};

/// What is said in one answer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answer {
    pub(crate) text: String,
    /// Name and arguments of each call.
    pub(crate) calls: Vec<(String, String)>,
}

/// What all chunks of an answer have in common.
#[derive(Clone, Debug)]
pub(crate) struct Envelope {
    /// Distinguishes the ids of answers and calls.
    pub(crate) number: u64,
    pub(crate) created: u64,
    pub(crate) model: String,
    pub(crate) prompt_bytes: usize,
    pub(crate) include_usage: bool,
}

impl Envelope {
    /// The answer in one piece.
    pub(crate) fn whole(&self, answer: &Answer) -> Value {
        let mut message = Map::new();
        message.insert("role".into(), json!("assistant"));
        let text = (!answer.text.is_empty() || answer.calls.is_empty()).then_some(&answer.text);
        message.insert("content".into(), json!(text));
        message.insert("refusal".into(), Value::Null);
        if !answer.calls.is_empty() {
            let calls = answer.calls.iter().enumerate();
            let calls = calls.map(|(at, (name, arguments))| {
                json!({"id": self.call_id(at), "type": "function",
                    "function": {"name": name, "arguments": arguments}})
            });
            message.insert("tool_calls".into(), calls.collect());
        }
        json!({
            "id": self.id(),
            "object": "chat.completion",
            "created": self.created,
            "model": self.model,
            "choices": [{
                "index": 0,
                "message": message,
                "logprobs": null,
                "finish_reason": finish_reason(answer),
            }],
            "usage": self.usage(answer),
        })
    }

    /// The answer as the events of a stream: one piece each, the end marker last.
    pub(crate) fn events(&self, answer: &Answer) -> Vec<Bytes> {
        let mut deltas = vec![json!({"role": "assistant", "content": ""})];
        deltas.extend(pieces(&answer.text).map(|piece| json!({"content": piece})));
        for (at, (name, arguments)) in answer.calls.iter().enumerate() {
            deltas.push(json!({"tool_calls": [{
                "index": at, "id": self.call_id(at), "type": "function",
                "function": {"name": name, "arguments": ""},
            }]}));
            deltas.extend(pieces(arguments).map(
                |piece| json!({"tool_calls": [{"index": at, "function": {"arguments": piece}}]}),
            ));
        }
        let choice = |delta: Value, finish: Option<&str>| json!([{"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish}]);
        let mut events: Vec<Bytes> = deltas
            .into_iter()
            .map(|delta| self.event(&choice(delta, None), None))
            .collect();
        events.push(self.event(&choice(json!({}), Some(finish_reason(answer))), None));
        if self.include_usage {
            events.push(self.event(&json!([]), Some(self.usage(answer))));
        }
        events.push(Bytes::from_static(b"data: [DONE]\n\n"));
        events
    }

    fn event(&self, choices: &Value, usage: Option<Value>) -> Bytes {
        let mut chunk = json!({
            "id": self.id(),
            "object": "chat.completion.chunk",
            "created": self.created,
            "model": self.model,
            "choices": choices,
        });
        if let (Some(usage), Some(chunk)) = (usage, chunk.as_object_mut()) {
            chunk.insert("usage".into(), usage);
        }
        Bytes::from(format!("data: {chunk}\n\n"))
    }

    fn id(&self) -> String {
        format!("chatcmpl-sim-{}", self.number)
    }

    fn call_id(&self, at: usize) -> String {
        format!("call_sim_{}_{at}", self.number)
    }

    fn usage(&self, answer: &Answer) -> Value {
        let calls = answer
            .calls
            .iter()
            .map(|(name, args)| name.len() + args.len());
        let prompt = tokens(self.prompt_bytes);
        let completion = tokens(answer.text.len() + calls.sum::<usize>());
        json!({
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
        })
    }
}

/// An error in OpenAI's shape.
pub(crate) fn error(message: &str, kind: &str) -> Value {
    json!({"error": {"message": message, "type": kind, "param": null, "code": null}})
}

/// The refusal of a question that is too long, in OpenAI's words.
pub(crate) fn too_long(window: usize, tokens: usize) -> Value {
    json!({"error": {
        "message": format!(
            "This model's maximum context length is {window} tokens. However, your messages \
             resulted in {tokens} tokens. Please reduce the length of the messages."
        ),
        "type": "invalid_request_error",
        "param": "messages",
        "code": "context_length_exceeded",
    }})
}

/// The text of a message's content: a text, or parts of which the texts count.
pub(crate) fn text_of(message: &Value) -> String {
    match message.get("content") {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(parts)) => {
            let texts = parts.iter().filter_map(|part| part.get("text")?.as_str());
            texts.collect::<Vec<_>>().join("\n")
        }
        _ => String::new(),
    }
}

fn finish_reason(answer: &Answer) -> &'static str {
    if answer.calls.is_empty() {
        "stop"
    } else {
        "tool_calls"
    }
}

/// A text in the small pieces that models produce.
fn pieces(text: &str) -> impl Iterator<Item = &str> {
    /// About a word of English, or two Chinese ones.
    const CHARS: usize = 4;
    let mut rest = text;
    core::iter::from_fn(move || {
        let cut = rest.char_indices().nth(CHARS);
        let (piece, after) = rest.split_at_checked(cut.map_or(rest.len(), |(at, _)| at))?;
        rest = after;
        (!piece.is_empty()).then_some(piece)
    })
}

/// A guess, so that the counters move; there is no tokenizer here.
pub(crate) fn tokens(bytes: usize) -> usize {
    bytes.div_ceil(4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_add_up() {
        for text in ["", "a", "abcd", "abcde", "数据库连接池已耗尽 🚀 ok"] {
            assert_eq!(pieces(text).collect::<String>(), text);
        }
        assert_eq!(pieces("abcdefghi").count(), 3);
    }
}
