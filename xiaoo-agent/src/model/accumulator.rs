//! What a server's events add up to. No I/O, no clock.
//!
//! The rules are the union of what servers were seen to do; `vectors/llm_sse` holds an example of
//! each, and every one of them is a test.

use std::collections::BTreeMap;

use serde_json::Value;

use super::complaint::Complaint;
use super::think::ThinkFilter;
use super::wire::{Chunk, Delta, FunctionDelta, ToolDelta};
use super::{AnswerLimits, Finish, ModelError, Reply, Usage};
use crate::message::ToolCall;

/// Adds up one answer.
#[derive(Debug)]
pub struct Accumulator {
    limits: AnswerLimits,
    /// Where made-up call ids begin; distinct for each answer of a conversation.
    id_seed: u64,
    think: ThinkFilter,
    text: String,
    reasoning: String,
    calls: Vec<Call>,
    /// The call that a wire index stands for at present. A map, because the index is a number
    /// that a stranger chose.
    call_at: BTreeMap<u64, usize>,
    content_bytes: usize,
    usage: Option<Usage>,
    finish: Option<Finish>,
    done: bool,
}

/// What one event brought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Advance {
    /// [`Accumulator::text`] has grown.
    pub text: bool,
    /// Anything of the answer has grown, or its end was announced. Keep-alives are no progress.
    pub progress: bool,
    /// The end marker: nothing after it counts.
    pub done: bool,
}

#[derive(Debug, Default)]
struct Call {
    id: String,
    name: String,
    arguments: String,
}

impl Accumulator {
    /// Nothing yet. `id_seed` makes the ids of calls that came without one.
    #[must_use]
    pub fn new(limits: AnswerLimits, id_seed: u64) -> Self {
        Self {
            limits,
            id_seed,
            think: ThinkFilter::new(),
            text: String::new(),
            reasoning: String::new(),
            calls: Vec::new(),
            call_at: BTreeMap::new(),
            content_bytes: 0,
            usage: None,
            finish: None,
            done: false,
        }
    }

    /// Takes one server-sent event.
    ///
    /// # Errors
    /// When the event is an error, is not JSON, or takes the answer over a limit. The answer is
    /// lost then; [`Accumulator::text`] keeps what came before.
    pub fn event(&mut self, name: Option<&str>, data: &str) -> Result<Advance, ModelError> {
        let data = data.trim();
        if self.done || data.is_empty() {
            return Ok(Advance {
                done: self.done,
                ..Advance::default()
            });
        }
        if data == "[DONE]" {
            self.done = true;
            return Ok(Advance {
                done: true,
                progress: true,
                text: false,
            });
        }
        let chunk: Chunk = match serde_json::from_str(data) {
            Ok(chunk) => chunk,
            Err(_) if name == Some("error") => {
                return Err(Complaint::from_json(&Value::from(data)).in_stream());
            }
            Err(error) => {
                return Err(ModelError::Malformed {
                    what: format!("an event is not a chunk: {}", position(&error)),
                });
            }
        };
        self.chunk(chunk)
    }

    /// Takes a whole answer, which some servers give although a stream was asked for.
    ///
    /// # Errors
    /// As [`Accumulator::event`], and when there is no choice in it.
    pub fn whole(&mut self, body: &[u8]) -> Result<(), ModelError> {
        let chunk: Chunk = serde_json::from_slice(body).map_err(|error| ModelError::Malformed {
            what: format!("the answer is not JSON: {}", position(&error)),
        })?;
        let has_choice = chunk.choices.iter().flatten().next().is_some();
        self.chunk(chunk)?;
        if !has_choice {
            return Err(ModelError::Malformed {
                what: "the answer has no choices".into(),
            });
        }
        self.done = true;
        Ok(())
    }

    /// The answer, when the stream is over.
    ///
    /// # Errors
    /// [`ModelError::Truncated`] when neither a reason to finish nor the end marker came: the
    /// connection broke, and what there is must not pass for an answer.
    pub fn finish(mut self) -> Result<Reply, ModelError> {
        if self.finish.is_none() && !self.done {
            return Err(ModelError::Truncated);
        }
        self.think.end(&mut self.text, &mut self.reasoning);
        let seed = self.id_seed;
        let tool_calls = self
            .calls
            .into_iter()
            .enumerate()
            .map(|(at, call)| ToolCall {
                id: if call.id.is_empty() {
                    format!("call_{seed:016x}_{at}")
                } else {
                    call.id
                },
                name: call.name,
                arguments: call.arguments,
            })
            .collect();
        Ok(Reply {
            text: self.text,
            reasoning: self.reasoning,
            tool_calls,
            usage: self.usage,
            finish: self.finish.unwrap_or(Finish::Unknown),
        })
    }

    /// The visible text so far.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    fn chunk(&mut self, mut chunk: Chunk) -> Result<Advance, ModelError> {
        if let Some(error) = chunk.take_error() {
            return Err(Complaint::from_json(&error).in_stream());
        }
        let mut advance = Advance::default();
        // Never added up: some servers send the running total with every chunk, some send the
        // last one twice.
        if let Some(usage) = chunk.usage {
            self.usage = Some(usage);
        }
        let ours = |index: Option<u64>| index.is_none_or(|index| index == 0);
        for choice in chunk.choices.into_iter().flatten() {
            if !ours(choice.index) {
                continue;
            }
            if let Some(delta) = choice.delta.or(choice.message) {
                let grown = self.delta(delta)?;
                advance.text |= grown.text;
                advance.progress |= grown.progress;
            }
            // Not the end: OpenRouter says it twice, and usage may follow.
            if let Some(reason) = choice.finish_reason.as_deref() {
                self.finish = Some(finish(reason)?);
                advance.progress = true;
            }
        }
        Ok(advance)
    }

    fn delta(&mut self, delta: Delta) -> Result<Advance, ModelError> {
        let mut advance = Advance::default();
        // One key only: a gateway that sends both says the same thing twice.
        let reasoning = delta
            .reasoning_content
            .filter(|piece| !piece.is_empty())
            .or(delta.reasoning)
            .unwrap_or_default();
        if !reasoning.is_empty() {
            self.grow(reasoning.len())?;
            self.reasoning.push_str(&reasoning);
            advance.progress = true;
        }
        let content = delta.content.map(plain_text).unwrap_or_default();
        if !content.is_empty() {
            self.grow(content.len())?;
            let before = self.text.len();
            self.think
                .push(&content, &mut self.text, &mut self.reasoning);
            advance.text = self.text.len() > before;
            advance.progress = true;
        }
        for call in delta.tool_calls.into_iter().flatten() {
            self.tool_delta(call)?;
            advance.progress = true;
        }
        Ok(advance)
    }

    fn tool_delta(&mut self, delta: ToolDelta) -> Result<(), ModelError> {
        let id = delta.id.unwrap_or_default();
        let FunctionDelta { name, arguments } = delta.function.unwrap_or_default();
        let name = name.unwrap_or_default();
        let arguments = arguments.map(argument_text).unwrap_or_default();
        self.grow(id.len() + name.len() + arguments.len())?;

        let at = self.call_for(delta.index, &id, &name)?;
        let Some(call) = self.calls.get_mut(at) else {
            return Ok(());
        };
        // Empty never overwrites, and the first name stays: some servers repeat both.
        if call.id.is_empty() {
            call.id = id;
        }
        if call.name.is_empty() {
            call.name = name;
        }
        call.arguments.push_str(&arguments);
        Ok(())
    }

    /// The call that a fragment belongs to; begins a new one where it must.
    fn call_for(&mut self, index: Option<u64>, id: &str, name: &str) -> Result<usize, ModelError> {
        let known = match index {
            // Older vLLM and SGLang number every call 0; a different id tells them apart.
            Some(index) => self.call_at.get(&index).copied().filter(|&at| {
                self.calls
                    .get(at)
                    .is_some_and(|call| id.is_empty() || call.id.is_empty() || call.id == id)
            }),
            None if !id.is_empty() => self.calls.iter().position(|call| call.id == id),
            None if name.is_empty() => self.calls.len().checked_sub(1),
            None => None,
        };
        if let Some(at) = known {
            return Ok(at);
        }
        let at = self.calls.len();
        if at >= self.limits.tool_calls_max {
            return Err(ModelError::TooManyToolCalls {
                limit: self.limits.tool_calls_max,
            });
        }
        self.calls.push(Call::default());
        if let Some(index) = index {
            self.call_at.insert(index, at);
        }
        Ok(at)
    }

    fn grow(&mut self, bytes: usize) -> Result<(), ModelError> {
        self.content_bytes = self.content_bytes.saturating_add(bytes);
        if self.content_bytes > self.limits.content_bytes_max {
            return Err(ModelError::TooLarge {
                what: "text, thinking and tool arguments",
                limit_bytes: self.limits.content_bytes_max,
            });
        }
        Ok(())
    }
}

/// What a reason to finish means; some are failures in disguise.
fn finish(reason: &str) -> Result<Finish, ModelError> {
    match reason {
        "stop" | "tool_calls" | "function_call" | "tool_use" | "end_turn" => Ok(Finish::Stop),
        "length" | "max_tokens" => Ok(Finish::Length),
        "content_filter" | "sensitive" => Ok(Finish::Filtered),
        "model_context_window_exceeded" => Err(ModelError::ContextOverflow { limit: None }),
        "error" | "network_error" => Err(ModelError::Provider {
            message: format!("finish_reason {reason}"),
            retry_after: None,
        }),
        _ => Ok(Finish::Unknown),
    }
}

/// Content is a text, or a list of parts of which we take the texts.
fn plain_text(content: Value) -> String {
    match content {
        Value::String(text) => text,
        Value::Array(parts) => parts
            .iter()
            .filter_map(|part| part.get("text")?.as_str())
            .collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => String::new(),
    }
}

/// Arguments are a piece of text, or the whole as JSON.
fn argument_text(arguments: Value) -> String {
    match arguments {
        Value::String(piece) => piece,
        Value::Null => String::new(),
        whole @ (Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
            whole.to_string()
        }
    }
}

/// Where the JSON broke. serde's own message can quote the content.
fn position(error: &serde_json::Error) -> String {
    format!(
        "{:?} error at line {}, column {}",
        error.classify(),
        error.line(),
        error.column()
    )
}
