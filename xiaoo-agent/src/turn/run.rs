//! The loop itself.

use std::collections::{HashMap, HashSet};

use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::calls::Repeats;
use super::deadline::Deadline;
use super::history::{claim_id, repair_history};
use super::models::{Models, Unanswered};
use super::{
    Observer, Progress, Recorded, TurnError, TurnFailed, TurnOutcome, TurnRequest, pictures,
};
use crate::message::{Message, ToolCall};
use crate::model::{Finish, ModelChain, ModelError, Question, Reply, Update, Usage};
use crate::tool::ToolSet;

pub(super) struct Turn<'a, O> {
    pub(super) models: Models<'a>,
    pub(super) request: TurnRequest<'a>,
    pub(super) observer: &'a mut O,
    pub(super) deadline: Deadline,
    /// What tools are stopped by; fires at the latest when the turn is over.
    pub(super) stop: CancellationToken,
    _stop: DropGuard,
    /// What came after the user's message.
    pub(super) after: Vec<Message>,
    /// Calls that started; they may be without a result.
    pub(super) started: HashSet<String>,
    /// Ids of all calls of the conversation.
    used_ids: HashSet<String>,
    pub(super) repeats: Repeats,
    /// What is sent in place of outputs that were taken out, by the id of the call.
    pub(super) stubs: HashMap<String, String>,
    /// The system prompt and the tools.
    pub(super) fixed_bytes: usize,
    /// How much history is sent; less than what is allowed once turns had to be dropped.
    pub(super) history_bytes: usize,
    /// Whether it was tried in vain to have the conversation summarised.
    pub(super) summaries_fail: bool,
}

/// An answer, and how it came about.
pub(super) struct Answer {
    pub(super) text: String,
    pub(super) cut_off: bool,
    pub(super) model: String,
}

impl<'a, O: Observer> Turn<'a, O> {
    pub(super) fn new(
        models: &'a ModelChain,
        request: TurnRequest<'a>,
        observer: &'a mut O,
        cancel: &CancellationToken,
    ) -> Self {
        let recorded = request.resume.iter().filter_map(Recorded::message);
        let used_ids = request.history.iter().chain(recorded).flat_map(call_ids);
        let stop = cancel.child_token();
        Self {
            models: Models::new(models),
            used_ids: used_ids.map(str::to_owned).collect(),
            deadline: Deadline::new(request.limits.turn_timeout),
            _stop: stop.clone().drop_guard(),
            stop,
            after: Vec::new(),
            started: HashSet::new(),
            repeats: Repeats::default(),
            stubs: HashMap::new(),
            fixed_bytes: request.system.len() + tools_size(request.tools),
            history_bytes: usize::MAX,
            summaries_fail: false,
            request,
            observer,
        }
    }

    pub(super) fn deadline(&self) -> &Deadline {
        &self.deadline
    }

    pub(super) async fn run(&mut self) -> Result<Answer, TurnError> {
        if let Some(answer) = self.take_up().await? {
            return Ok(answer);
        }
        if self.models.stands_in() {
            self.observer.progress(Progress::FellBack {
                model: self.models.name().to_owned(),
                why: "known",
            });
        }
        loop {
            let is_last = self.steps() + 1 >= self.request.limits.steps_max;
            let (reply, usage) = self.ask(is_last).await?;
            if let Some(text) = final_text(&reply, is_last)? {
                let answer = Answer {
                    text: text.clone(),
                    cut_off: reply.finish == Finish::Length,
                    model: self.models.name().to_owned(),
                };
                let said = Message::Assistant {
                    content: text,
                    reasoning: reply.reasoning,
                    tool_calls: Vec::new(),
                };
                self.add_reply(said, usage).await?;
                return Ok(answer);
            }
            self.run_tools(reply, usage).await?;
        }
    }

    /// Asks the model; once more with a shorter conversation when it was too much, and the next
    /// model when this one is down.
    async fn ask(&mut self, is_last: bool) -> Result<(Reply, Usage), TurnError> {
        let mut was_refused = false;
        loop {
            self.make_room().await?;
            let (bytes, asked) = self.ask_once(is_last).await;
            let unanswered = match asked {
                Ok(reply) => return Ok(reply),
                Err(unanswered) => unanswered,
            };
            if let ModelError::ContextOverflow { limit } = unanswered.error
                && !was_refused
                && !unanswered.shown
            {
                was_refused = true;
                self.models.refused(bytes, limit);
                if self.make_room().await? {
                    self.observer.progress(Progress::Retrying {
                        attempt: 2,
                        why: unanswered.error.class(),
                        wait: core::time::Duration::ZERO,
                    });
                    continue;
                }
            }
            if !self.fall_back(&unanswered) {
                return Err(unanswered.error.into());
            }
            was_refused = false;
        }
    }

    /// Whether there is another model to ask; it is the one from now on.
    pub(super) fn fall_back(&mut self, unanswered: &Unanswered) -> bool {
        let Some(model) = self.models.fall_back(unanswered) else {
            return false;
        };
        self.observer.progress(Progress::FellBack {
            model: model.config().model.clone(),
            why: unanswered.error.class(),
        });
        true
    }

    /// Asks once; also says how many bytes the question had.
    async fn ask_once(&mut self, is_last: bool) -> (usize, Result<(Reply, Usage), Unanswered>) {
        let messages = self.messages();
        let no_tools = ToolSet::new();
        let has_used_up = is_last && !self.request.tools.is_empty();
        let system = if has_used_up {
            format!("{}\n\n{LAST_STEP}", self.request.system)
        } else {
            self.request.system.to_owned()
        };
        let can_see = self.models.model().config().vision;
        let pictures = pictures::of(&messages, self.request.workspace.as_ref(), can_see).await;
        let question = Question {
            system: system.trim(),
            messages: &messages,
            tools: if has_used_up {
                &no_tools
            } else {
                self.request.tools
            },
            pictures: &pictures,
        };
        let bytes = self.fixed_bytes + messages.iter().map(Message::size).sum::<usize>();
        self.observer.progress(Progress::Thinking);
        let observer = &mut *self.observer;
        let mut next_at = None;
        let asked = self
            .models
            .ask(&question, bytes, &mut |update| match update {
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
            .await;
        (bytes, asked)
    }

    /// The conversation as it is sent.
    fn messages(&self) -> Vec<Message> {
        let whole = self.whole();
        let (order, _) = self.view();
        let messages = order.iter().filter_map(|at| whole.get(*at).copied());
        let sent = messages.map(|message| self.sent(message).unwrap_or_else(|| message.clone()));
        repair_history(sent.collect())
    }

    /// Records what the model asked for, then does it, one call after the other.
    async fn run_tools(&mut self, reply: Reply, usage: Usage) -> Result<(), TurnError> {
        let mut tool_calls = reply.tool_calls;
        for call in &mut tool_calls {
            claim_id(call, &mut self.used_ids);
        }
        let said = Message::Assistant {
            content: reply.text,
            reasoning: reply.reasoning,
            tool_calls: tool_calls.clone(),
        };
        self.add_reply(said, usage).await?;
        for call in &tool_calls {
            self.answer_call(call).await?;
        }
        Ok(())
    }

    pub(super) async fn add(&mut self, message: Message) -> Result<(), TurnError> {
        let step = Recorded::Message(message);
        self.observer.record(&step).await?;
        self.after.extend(step.into_message());
        Ok(())
    }

    /// Adds what the model has just said.
    pub(super) async fn add_reply(
        &mut self,
        reply: Message,
        usage: Usage,
    ) -> Result<(), TurnError> {
        let step = Recorded::Reply {
            reply,
            model: self.models.name().to_owned(),
            usage,
        };
        self.observer.record(&step).await?;
        self.after.extend(step.into_message());
        Ok(())
    }

    /// Questions that were answered, those of an interrupted run included.
    fn steps(&self) -> u32 {
        let replies = self.after.iter();
        let replies = replies.filter(|message| matches!(message, Message::Assistant { .. }));
        u32::try_from(replies.count()).unwrap_or(u32::MAX)
    }

    pub(super) fn outcome(self, answer: Answer) -> TurnOutcome {
        TurnOutcome {
            answer: answer.text,
            cut_off: answer.cut_off,
            usage: self.models.usage(),
            by_model: self.models.by_model(),
            steps: self.steps(),
            model: answer.model,
            new_messages: self.into_messages(),
        }
    }

    pub(super) fn failed(self, error: TurnError) -> TurnFailed {
        let (usage, by_model) = (self.models.usage(), self.models.by_model());
        let started = self.started.clone();
        let mut messages = self.into_messages();
        let answered: HashSet<String> = messages.iter().filter_map(answers).collect();
        let open = messages.iter().flat_map(calls);
        let open: Vec<Message> = open
            .filter(|call| !answered.contains(&call.id))
            .map(|call| {
                let fate = if started.contains(&call.id) {
                    CUT_OFF
                } else {
                    NOT_MADE
                };
                Message::tool(call.id.clone(), fate)
            })
            .collect();
        // Only the last reply's calls can be open, and their results stand last.
        messages.extend(open);
        TurnFailed {
            error,
            messages: repair_history(messages),
            usage,
            by_model,
        }
    }

    fn into_messages(self) -> Vec<Message> {
        let after: Vec<Message> = self
            .after
            .iter()
            .map(|message| self.sent(message).unwrap_or_else(|| message.clone()))
            .collect();
        core::iter::once(self.request.user).chain(after).collect()
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

pub(super) fn calls(message: &Message) -> &[ToolCall] {
    match message {
        Message::Assistant { tool_calls, .. } => tool_calls,
        Message::User { .. } | Message::Tool { .. } | Message::Summary { .. } => &[],
    }
}

fn call_ids(message: &Message) -> impl Iterator<Item = &str> {
    calls(message).iter().map(|call| call.id.as_str())
}

/// The call that this is the result of.
pub(super) fn answers(message: &Message) -> Option<String> {
    match message {
        Message::Tool { tool_call_id, .. } => Some(tool_call_id.clone()),
        Message::User { .. } | Message::Assistant { .. } | Message::Summary { .. } => None,
    }
}

/// What the tools take up in a request.
fn tools_size(tools: &ToolSet) -> usize {
    /// What the JSON around one of them comes to, rounded up.
    const FRAMING: usize = 64;
    let size = |tool: &dyn crate::tool::Tool| {
        FRAMING + tool.name().len() + tool.description().len() + tool.parameters().to_string().len()
    };
    tools.iter().map(|tool| size(tool.as_ref())).sum()
}

const LAST_STEP: &str =
    "No more tool calls are possible in this turn. Answer now with what you have found out.";

/// What stands for the result of a call in a turn that ended while it ran.
const CUT_OFF: &str = "Error: the turn ended while this call was running. It may or may not have \
    taken effect. Check before you repeat it.";

/// And of one that it ended before.
const NOT_MADE: &str = "Error: the turn ended before this call was made.";
