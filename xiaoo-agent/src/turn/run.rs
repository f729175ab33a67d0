//! The loop itself.

use core::panic::AssertUnwindSafe;
use std::collections::HashSet;

use futures_util::future::FutureExt;
use serde_json::Value;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::history::{claim_id, fit_history, parse_arguments, repair_history};
use super::{Observer, Progress, TurnError, TurnOutcome, TurnRequest};
use crate::message::{Message, ToolCall};
use crate::model::{Finish, Model, ModelError, Question, Reply, Update, Usage};
use crate::tool::{ToolContext, ToolOutput, ToolSet};

pub(super) struct Turn<'a, O> {
    model: &'a Model,
    request: TurnRequest<'a>,
    observer: &'a mut O,
    cancel: &'a CancellationToken,
    /// What came after the user's message.
    after: Vec<Message>,
    /// Ids of all calls of the conversation.
    used_ids: HashSet<String>,
    repeats: Repeats,
    history_bytes_max: usize,
    usage: Usage,
}

impl<'a, O: Observer> Turn<'a, O> {
    pub(super) fn new(
        model: &'a Model,
        mut request: TurnRequest<'a>,
        observer: &'a mut O,
        cancel: &'a CancellationToken,
    ) -> Self {
        let after = core::mem::take(&mut request.resume);
        let used_ids = request.history.iter().chain(&after).flat_map(call_ids);
        Self {
            model,
            used_ids: used_ids.map(str::to_owned).collect(),
            after,
            repeats: Repeats::default(),
            history_bytes_max: request.limits.history_bytes_max,
            usage: Usage::default(),
            request,
            observer,
            cancel,
        }
    }

    pub(super) async fn run(mut self) -> Result<TurnOutcome, TurnError> {
        if let Some(answer) = self.take_up().await? {
            return Ok(self.outcome(answer, false));
        }
        loop {
            let is_last = self.steps() + 1 >= self.request.limits.steps_max;
            let reply = self.ask(is_last).await?;
            self.usage = self.usage.plus(reply.usage.unwrap_or_default());
            if let Some(text) = final_text(&reply, is_last)? {
                let cut_off = reply.finish == Finish::Length;
                self.add(Message::Assistant {
                    content: text.clone(),
                    reasoning: reply.reasoning,
                    tool_calls: Vec::new(),
                })
                .await?;
                return Ok(self.outcome(text, cut_off));
            }
            self.run_tools(reply).await?;
        }
    }

    /// Continues where an interrupted run of this turn was. Its answer, if it had one already.
    async fn take_up(&mut self) -> Result<Option<String>, TurnError> {
        let recorded = core::mem::take(&mut self.after);
        let was_answered: HashSet<String> = recorded
            .iter()
            .filter_map(|message| match message {
                Message::Tool { tool_call_id, .. } => Some(tool_call_id.clone()),
                Message::User { .. } | Message::Assistant { .. } => None,
            })
            .collect();
        for message in repair_history(recorded) {
            let is_new = matches!(&message, Message::Tool { tool_call_id, .. } if !was_answered.contains(tool_call_id));
            if is_new {
                self.add(message).await?;
            } else {
                self.after.push(message);
            }
        }
        Ok(match self.after.last() {
            Some(Message::Assistant {
                content,
                tool_calls,
                ..
            }) if tool_calls.is_empty() => Some(content.clone()),
            _ => None,
        })
    }

    /// Asks the model; with half the history once more, when it was too much.
    async fn ask(&mut self, is_last: bool) -> Result<Reply, TurnError> {
        loop {
            let history = fit_history(self.request.history, self.history_bytes_max);
            let history_bytes: usize = history.iter().map(Message::size).sum();
            match self.ask_once(history, is_last).await {
                Err(overflow @ ModelError::ContextOverflow { .. }) if history_bytes > 0 => {
                    // Ends, because it halves what there is.
                    self.history_bytes_max = history_bytes / 2;
                    self.observer.progress(Progress::Retrying {
                        attempt: 2,
                        why: overflow.class(),
                        wait: core::time::Duration::ZERO,
                    });
                }
                asked => return Ok(asked?),
            }
        }
    }

    async fn ask_once(&mut self, history: &[Message], is_last: bool) -> Result<Reply, ModelError> {
        let user = core::iter::once(&self.request.user);
        let messages: Vec<Message> = history
            .iter()
            .chain(user)
            .chain(&self.after)
            .cloned()
            .collect();
        let messages = repair_history(messages);
        let no_tools = ToolSet::new();
        let has_used_up = is_last && !self.request.tools.is_empty();
        let system = if has_used_up {
            format!("{}\n\n{LAST_STEP}", self.request.system)
        } else {
            self.request.system.to_owned()
        };
        let question = Question {
            system: system.trim(),
            messages: &messages,
            tools: if has_used_up {
                &no_tools
            } else {
                self.request.tools
            },
        };
        self.observer.progress(Progress::Thinking);
        let observer = &mut *self.observer;
        let mut next_at = None;
        self.model
            .answer(&question, &mut |update| match update {
                Update::Text(text) => {
                    let now = Instant::now();
                    if next_at.is_none_or(|at| now >= at) {
                        next_at = Some(now + Progress::WRITING_INTERVAL);
                        observer.progress(Progress::Writing {
                            chars: text.chars().count(),
                            preview: text.to_owned(),
                        });
                    }
                }
                Update::Retrying { attempt, why, wait } => {
                    observer.progress(Progress::Retrying {
                        attempt,
                        why: why.class(),
                        wait,
                    });
                }
            })
            .await
    }

    /// Records what the model asked for, then does it, one call after the other.
    async fn run_tools(&mut self, reply: Reply) -> Result<(), TurnError> {
        let mut tool_calls = reply.tool_calls;
        let mut arguments = Vec::with_capacity(tool_calls.len());
        for call in &mut tool_calls {
            claim_id(call, &mut self.used_ids);
            let parsed = parse_arguments(&call.arguments);
            // Some servers refuse a history with broken arguments in it, or with none.
            if parsed.is_err() || call.arguments.trim().is_empty() {
                call.arguments = "{}".into();
            }
            arguments.push(parsed);
        }
        self.add(Message::Assistant {
            content: reply.text,
            reasoning: reply.reasoning,
            tool_calls: tool_calls.clone(),
        })
        .await?;
        for (call, arguments) in tool_calls.into_iter().zip(arguments) {
            self.observer.progress(Progress::ToolStarted {
                name: call.name.clone(),
            });
            let output = self.run_tool(&call, arguments).await;
            self.observer.progress(Progress::ToolFinished {
                name: call.name,
                ok: !output.is_error,
            });
            let content = cut(output.content, self.request.limits.tool_output_bytes_max);
            self.add(Message::Tool {
                tool_call_id: call.id,
                content,
                attachments: output.attachments,
            })
            .await?;
        }
        Ok(())
    }

    async fn run_tool(&mut self, call: &ToolCall, arguments: Result<Value, String>) -> ToolOutput {
        let arguments = match arguments {
            Ok(arguments) => arguments,
            Err(why) => return ToolOutput::error(format!("Error: {why}")),
        };
        let Some(tool) = self.request.tools.get(&call.name) else {
            let names: Vec<&str> = self.request.tools.iter().map(|tool| tool.name()).collect();
            return ToolOutput::error(format!(
                "Error: there is no tool of that name. There are: {}",
                names.join(", ")
            ));
        };
        if self.repeats.is_too_often(call) {
            return ToolOutput::error(SAME_AGAIN);
        }
        let limit = self.request.limits.tool_timeout;
        let context = ToolContext::new(&call.id, self.cancel.child_token());
        let called = AssertUnwindSafe(tool.call(arguments, &context)).catch_unwind();
        match timeout(limit, called).await {
            Ok(Ok(output)) => output,
            Ok(Err(_)) => {
                tracing::error!(tool = tool.name(), "a tool panicked");
                ToolOutput::error("Error: the tool broke. That is a bug in the tool.")
            }
            Err(_) => {
                context.cancel.cancel();
                ToolOutput::error(format!("Error: the tool took longer than {limit:?}"))
            }
        }
    }

    async fn add(&mut self, message: Message) -> Result<(), TurnError> {
        self.observer.record(&message).await?;
        self.after.push(message);
        Ok(())
    }

    /// Questions that were answered, those of an interrupted run included.
    fn steps(&self) -> u32 {
        let replies = self.after.iter();
        let replies = replies.filter(|message| matches!(message, Message::Assistant { .. }));
        u32::try_from(replies.count()).unwrap_or(u32::MAX)
    }

    fn outcome(self, answer: String, cut_off: bool) -> TurnOutcome {
        let steps = self.steps();
        let mut new_messages = vec![self.request.user];
        new_messages.extend(self.after);
        TurnOutcome {
            new_messages,
            answer,
            cut_off,
            usage: self.usage,
            steps,
        }
    }
}

/// The answer, if this reply is one; `None` when tools are to be run first.
fn final_text(reply: &Reply, is_last: bool) -> Result<Option<String>, ModelError> {
    let text = reply.text.trim();
    match reply.finish {
        Finish::Filtered => Err(ModelError::Filtered),
        // Arguments that end at the limit are half arguments: such a call is never run.
        Finish::Length if text.is_empty() => Err(ModelError::Truncated),
        Finish::Length => Ok(Some(text.to_owned())),
        Finish::Stop | Finish::Unknown if reply.tool_calls.is_empty() => Ok(Some(text.to_owned())),
        // It was offered no tools and asked for some all the same.
        Finish::Stop | Finish::Unknown if is_last && text.is_empty() => Err(ModelError::Empty),
        Finish::Stop | Finish::Unknown if is_last => Ok(Some(text.to_owned())),
        Finish::Stop | Finish::Unknown => Ok(None),
    }
}

/// Notices a model that turns in a circle.
#[derive(Debug, Default)]
struct Repeats {
    last: Option<(String, String)>,
    times: u32,
}

impl Repeats {
    /// Counts the call in; whether it comes once too often in a row.
    fn is_too_often(&mut self, call: &ToolCall) -> bool {
        /// Twice may be a second look; the third time nothing new can come.
        const TIMES_MAX: u32 = 2;
        let this = (call.name.clone(), call.arguments.clone());
        if self.last.as_ref() == Some(&this) {
            self.times = self.times.saturating_add(1);
        } else {
            self.last = Some(this);
            self.times = 1;
        }
        self.times > TIMES_MAX
    }
}

fn call_ids(message: &Message) -> impl Iterator<Item = &str> {
    let calls = match message {
        Message::Assistant { tool_calls, .. } => tool_calls.as_slice(),
        Message::User { .. } | Message::Tool { .. } => &[],
    };
    calls.iter().map(|call| call.id.as_str())
}

/// The beginning of a tool's output, cut at a character, with a word on what is missing.
fn cut(mut output: String, bytes_max: usize) -> String {
    let bytes = output.len();
    if bytes > bytes_max {
        let fits = output.char_indices().map(|(at, _)| at);
        let shown = fits.take_while(|at| *at <= bytes_max).last().unwrap_or(0);
        output.truncate(shown);
        output.push_str(&format!("\n[cut: the first {shown} of {bytes} bytes]"));
    }
    output
}

const LAST_STEP: &str =
    "No more tool calls are possible in this turn. Answer now with what you have found out.";

const SAME_AGAIN: &str = "Error: this is the third time in a row that you make the same call with \
    the same arguments; it was not run. Use the earlier results, or try something else.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_is_cut_between_characters() {
        assert_eq!(cut("你好".into(), 6), "你好");
        assert_eq!(cut("你好".into(), 5), "你\n[cut: the first 3 of 6 bytes]");
        assert_eq!(cut("你好".into(), 0), "\n[cut: the first 0 of 6 bytes]");
    }
}
