//! The wire's shapes: what we send, and the little that we require of what comes back.
//!
//! Servers leave out, null and retype nearly everything. Only `choices` and `usage` are looked
//! for, and a field of an unexpected type reads as absent.

use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use serde_json::{Map, Value, json};

use super::pictures::{Pictures, Seen};
use super::{ModelConfig, Usage};
use crate::message::{Image, Message, ToolCall};
use crate::tool::ToolSet;

/// What is asked: a conversation, and what may be called.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// The system prompt; left out when empty.
    pub system: &'a str,
    /// The conversation, oldest first; every tool call answered, see
    /// [`repair_history`](crate::repair_history).
    pub messages: &'a [Message],
    /// What may be called.
    pub tools: &'a ToolSet,
    /// The pictures of the messages, as far as the model gets them.
    pub pictures: &'a Pictures,
}

/// The body of a request.
pub(super) fn request(config: &ModelConfig, question: &Question<'_>, ask_for_usage: bool) -> Value {
    let mut body = Map::new();
    body.insert("model".into(), json!(config.model));
    if ask_for_usage {
        body.insert("stream_options".into(), json!({"include_usage": true}));
    }
    if let Some(max) = config.max_tokens {
        body.insert(config.provider.max_tokens_field().into(), json!(max));
    }
    body.extend(config.extra.clone());
    body.insert("stream".into(), json!(true));
    body.insert("messages".into(), messages(config, question));
    // An empty array is refused by several servers. To forbid tools, they are left out:
    // `tool_choice: none` is not known everywhere.
    if question.tools.is_empty() {
        body.remove("tools");
        body.remove("tool_choice");
    } else {
        let tools = question.tools.iter().map(|tool| {
            json!({"type": "function", "function": {
                "name": tool.name(),
                "description": tool.description(),
                "parameters": tool.parameters(),
            }})
        });
        body.insert("tools".into(), tools.collect());
    }
    Value::Object(body)
}

fn messages(config: &ModelConfig, question: &Question<'_>) -> Value {
    let system = (!question.system.is_empty())
        .then(|| json!({"role": "system", "content": question.system}));
    // Thinking goes back only inside the running tool loop; older thinking is refused or wasted.
    let loop_begins = question
        .messages
        .iter()
        .rposition(|message| matches!(message, Message::User { .. } | Message::Summary { .. }))
        .unwrap_or(0);
    let mut messages: Vec<Value> = system.into_iter().collect();
    // A turn that failed leaves a question without an answer, and some chat templates insist
    // that the roles alternate: what one side says in a row is one message.
    let mut said = UserContent::default();
    for (at, message) in question.messages.iter().enumerate() {
        let send_reasoning = config.send_reasoning && at > loop_begins;
        let message = match message {
            Message::User {
                content, images, ..
            } => {
                said.say(content);
                said.show(images, question.pictures);
                continue;
            }
            Message::Summary {
                content, verbatim, ..
            } => {
                said.say(&summary(content, verbatim));
                continue;
            }
            Message::Assistant {
                content,
                reasoning,
                tool_calls,
            } => assistant(content, send_reasoning.then_some(reasoning), tool_calls),
            Message::Tool {
                tool_call_id,
                content,
                ..
            } => json!({"role": "tool", "tool_call_id": tool_call_id, "content": content}),
        };
        messages.extend(said.take());
        messages.push(message);
    }
    messages.extend(said.take());
    Value::Array(messages)
}

/// What a summary looks like to a model: something that was said before, and not by it.
fn summary(content: &str, verbatim: &[String]) -> String {
    let mut text = format!(
        "<conversation_summary>\nThe conversation until here was shortened. This is what it came \
         to:\n{content}\n</conversation_summary>"
    );
    for kept in verbatim {
        text.push_str("\n\n");
        text.push_str(kept);
    }
    text
}

/// What the person said, in one message: texts, and pictures between them.
#[derive(Debug, Default)]
struct UserContent {
    parts: Vec<Value>,
    has_pictures: bool,
    /// The text that the next picture ends.
    text: Option<String>,
}

impl UserContent {
    fn say(&mut self, text: &str) {
        match &mut self.text {
            Some(before) => {
                before.push_str("\n\n");
                before.push_str(text);
            }
            None => self.text = Some(text.to_owned()),
        }
    }

    fn show(&mut self, images: &[Image], pictures: &Pictures) {
        for image in images {
            match pictures.get(&image.path) {
                Seen::Shown(url) => {
                    self.say(&format!("[image {}]", image.path));
                    self.end_text();
                    self.has_pictures = true;
                    self.parts
                        .push(json!({"type": "image_url", "image_url": {"url": url}}));
                }
                Seen::Hidden(why) => self.say(&format!("[image {}: {why}]", image.path)),
            }
        }
    }

    fn end_text(&mut self) {
        if let Some(text) = self.text.take() {
            self.parts.push(json!({"type": "text", "text": text}));
        }
    }

    /// The message, if anything was said.
    fn take(&mut self) -> Option<Value> {
        let mut said = core::mem::take(self);
        if !said.has_pictures {
            return said
                .text
                .map(|text| json!({"role": "user", "content": text}));
        }
        said.end_text();
        Some(json!({"role": "user", "content": said.parts}))
    }
}

fn assistant(content: &str, reasoning: Option<&String>, tool_calls: &[ToolCall]) -> Value {
    let mut message = Map::new();
    message.insert("role".into(), json!("assistant"));
    // Beside tool calls "no text" is null: some gateways turn "" into an empty text block, which
    // the model behind them refuses.
    let content = (!content.is_empty() || tool_calls.is_empty()).then_some(content);
    message.insert("content".into(), json!(content));
    if tool_calls.is_empty() {
        return Value::Object(message);
    }
    if let Some(reasoning) = reasoning.filter(|reasoning| !reasoning.is_empty()) {
        message.insert("reasoning_content".into(), json!(reasoning));
    }
    let calls = tool_calls.iter().map(|call| {
        json!({"id": call.id, "type": "function", "function": {
            "name": call.name, "arguments": call.arguments,
        }})
    });
    message.insert("tool_calls".into(), calls.collect());
    Value::Object(message)
}

/// One event of a stream, or a whole answer.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Chunk {
    pub(super) choices: Option<Vec<Choice>>,
    #[serde(deserialize_with = "usage")]
    pub(super) usage: Option<Usage>,
    /// An object, or a text.
    pub(super) error: Option<Value>,
    /// `"error"` where an older vLLM puts the error's fields at the top.
    #[serde(deserialize_with = "lenient")]
    object: Option<String>,
    #[serde(rename = "type", deserialize_with = "lenient")]
    kind: Option<String>,
    message: Option<Value>,
    code: Option<Value>,
}

impl Chunk {
    /// The error that this chunk is, wherever the server put it.
    pub(super) fn take_error(&mut self) -> Option<Value> {
        if let Some(error) = self.error.take() {
            return Some(error);
        }
        if self.object.as_deref() == Some("error") || self.kind.as_deref() == Some("error") {
            return Some(json!({
                "message": self.message.take(), "code": self.code.take(), "type": self.kind.take(),
            }));
        }
        self.choices
            .iter_mut()
            .flatten()
            .find_map(|choice| choice.error.take())
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Choice {
    #[serde(deserialize_with = "lenient")]
    pub(super) index: Option<u64>,
    pub(super) delta: Option<Delta>,
    /// In place of `delta` in an answer that is not streamed.
    pub(super) message: Option<Delta>,
    #[serde(deserialize_with = "lenient")]
    pub(super) finish_reason: Option<String>,
    error: Option<Value>,
}

/// What is new. Both spellings of the thinking are fields of their own: some gateways send both
/// in one delta, which an alias would turn into a duplicate-field error.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Delta {
    pub(super) content: Option<Value>,
    #[serde(deserialize_with = "lenient")]
    pub(super) reasoning: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub(super) reasoning_content: Option<String>,
    pub(super) tool_calls: Option<Vec<ToolDelta>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ToolDelta {
    #[serde(deserialize_with = "lenient")]
    pub(super) index: Option<u64>,
    #[serde(deserialize_with = "lenient")]
    pub(super) id: Option<String>,
    pub(super) function: Option<FunctionDelta>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct FunctionDelta {
    #[serde(deserialize_with = "lenient")]
    pub(super) name: Option<String>,
    /// A piece of text, or the whole as an object.
    pub(super) arguments: Option<Value>,
}

/// What an answer cost, as servers say it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct StatedUsage {
    prompt_tokens: u64,
    completion_tokens: u64,
    total_tokens: u64,
    #[serde(deserialize_with = "lenient")]
    prompt_tokens_details: Option<PromptDetails>,
    /// DeepSeek's own name for what others say in the details.
    #[serde(deserialize_with = "lenient")]
    prompt_cache_hit_tokens: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct PromptDetails {
    #[serde(deserialize_with = "lenient")]
    cached_tokens: Option<u64>,
}

impl From<StatedUsage> for Usage {
    fn from(stated: StatedUsage) -> Self {
        let cached = stated
            .prompt_tokens_details
            .and_then(|details| details.cached_tokens)
            .or(stated.prompt_cache_hit_tokens);
        Self {
            prompt_tokens: stated.prompt_tokens,
            // They are some of those that were read, whatever a server counts.
            cached_tokens: cached.unwrap_or_default().min(stated.prompt_tokens),
            completion_tokens: stated.completion_tokens,
            total_tokens: stated.total_tokens,
        }
    }
}

fn usage<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Usage>, D::Error> {
    let stated: Option<StatedUsage> = lenient(deserializer)?;
    Ok(stated.map(Usage::from))
}

/// Reads what is there if it has the expected type, and nothing otherwise.
fn lenient<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned,
{
    let value = Value::deserialize(deserializer)?;
    Ok(serde_json::from_value(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Provider;
    use crate::tool::CurrentTime;

    fn call(id: &str) -> ToolCall {
        ToolCall {
            id: id.into(),
            name: "now".into(),
            arguments: "{}".into(),
        }
    }

    #[test]
    fn a_request_says_what_was_said() {
        let mut config = ModelConfig::new(Provider::Zhipu, "http://h", "glm-5");
        config.max_tokens = Some(100);
        config.extra.insert("temperature".into(), json!(0.5));
        config.extra.insert("messages".into(), json!("ours win"));
        let step = |reasoning: &str, id: &str| Message::Assistant {
            content: String::new(),
            reasoning: reasoning.into(),
            tool_calls: vec![call(id)],
        };
        let tools = ToolSet::new().with(CurrentTime::new(0)).unwrap();
        let question = Question {
            system: "be kind",
            messages: &[
                Message::user("a"),
                step("old", "1"),
                Message::tool("1", "x"),
                Message::assistant("b"),
                Message::user("never answered"),
                Message::user("c"),
                step("new", "2"),
                Message::tool("2", "y"),
            ],
            tools: &tools,
            pictures: &Pictures::default(),
        };
        let body = request(&config, &question, true);
        let wire_call = |id: &str| json!([{"id": id, "type": "function", "function": {"name": "now", "arguments": "{}"}}]);
        assert_eq!(
            body["messages"],
            json!([
                {"role": "system", "content": "be kind"},
                {"role": "user", "content": "a"},
                {"role": "assistant", "content": null, "tool_calls": wire_call("1")},
                {"role": "tool", "tool_call_id": "1", "content": "x"},
                {"role": "assistant", "content": "b"},
                {"role": "user", "content": "never answered\n\nc"},
                {"role": "assistant", "content": null, "reasoning_content": "new", "tool_calls": wire_call("2")},
                {"role": "tool", "tool_call_id": "2", "content": "y"},
            ])
        );
        assert_eq!(body["max_tokens"], 100);
        assert_eq!(body["temperature"], 0.5);
        assert_eq!(body["stream_options"], json!({"include_usage": true}));
        assert_eq!(body["tools"][0]["function"]["name"], "current_time");
    }

    #[test]
    fn what_is_not_there_is_left_out() {
        let config = ModelConfig::new(Provider::OpenAi, "http://h", "m");
        let question = Question {
            system: "",
            messages: &[Message::user("a")],
            tools: &ToolSet::new(),
            pictures: &Pictures::default(),
        };
        assert_eq!(
            request(&config, &question, false),
            json!({"model": "m", "stream": true, "messages": [{"role": "user", "content": "a"}]})
        );
    }

    #[test]
    fn pictures_stand_between_the_texts_or_are_named() {
        let mut config = ModelConfig::new(Provider::Compatible, "http://h", "m");
        config.vision = true;
        let image = |path: &str| Image {
            path: path.into(),
            media_type: "image/png".into(),
        };
        let mut pictures = Pictures::default();
        pictures.show("a.png", "data:image/png;base64,QQ==".into());
        pictures.hide("b.png", "the file is gone");
        let asked = |images: Vec<Image>| Message::User {
            content: "look".into(),
            images,
            again: false,
        };
        let messages = [
            Message::Summary {
                content: "s".into(),
                verbatim: vec!["<skill>v</skill>".into()],
                keeps: 0,
            },
            asked(vec![image("a.png"), image("b.png")]),
            Message::user("and?"),
            Message::assistant("c"),
            asked(vec![image("c.png")]),
        ];
        let question = Question {
            system: "",
            messages: &messages,
            tools: &ToolSet::new(),
            pictures: &pictures,
        };
        let body = request(&config, &question, false);
        assert_eq!(
            body["messages"],
            json!([
                {"role": "user", "content": [
                    {"type": "text", "text": "<conversation_summary>\nThe conversation until here was shortened. This is what it came to:\ns\n</conversation_summary>\n\n<skill>v</skill>\n\nlook\n\n[image a.png]"},
                    {"type": "image_url", "image_url": {"url": "data:image/png;base64,QQ=="}},
                    {"type": "text", "text": "[image b.png: the file is gone]\n\nand?"},
                ]},
                {"role": "assistant", "content": "c"},
                {"role": "user", "content": "look\n\n[image c.png: not shown]"},
            ])
        );
    }

    #[test]
    fn what_was_cached_is_said_in_two_ways_and_never_more_than_what_was_read() {
        for (stated, cached) in [
            (json!({"prompt_tokens": 10}), 0),
            (
                json!({"prompt_tokens": 10, "prompt_tokens_details": {"cached_tokens": 8}}),
                8,
            ),
            (
                json!({"prompt_tokens": 10, "prompt_tokens_details": null, "prompt_cache_hit_tokens": 7}),
                7,
            ),
            (
                json!({"prompt_tokens": 10, "prompt_tokens_details": {"cached_tokens": "many"}}),
                0,
            ),
            (
                json!({"prompt_tokens": 10, "prompt_cache_hit_tokens": 11}),
                10,
            ),
        ] {
            let chunk: Chunk = serde_json::from_value(json!({"usage": stated})).unwrap();
            let usage = chunk.usage.unwrap();
            assert_eq!(
                (usage.prompt_tokens, usage.cached_tokens),
                (10, cached),
                "{stated}"
            );
        }
    }
}
