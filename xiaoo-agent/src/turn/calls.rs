//! One call of a tool: asked for, agreed to, noted, made.

use core::time::Duration;
use std::collections::HashSet;
use std::sync::Arc;

use serde_json::Value;
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument as _;

use super::history::parse_arguments;
use super::run::{Turn, calls};
use super::{Observer, Progress, Recorded, TurnError, output};
use crate::chat::{Approval, ApprovalRequest};
use crate::message::{Message, ToolCall};
use crate::skill::{InForce, LoadSkill};
use crate::tool::{Intent, Tool, ToolContext, ToolOutput};

impl<O: Observer> Turn<'_, O> {
    /// Makes a call, and records what came of it.
    pub(super) async fn answer_call(&mut self, call: &ToolCall) -> Result<(), TurnError> {
        let output = self.make_call(call).await?;
        self.observer.progress(Progress::ToolFinished {
            name: call.name.clone(),
            ok: !output.is_error,
        });
        let content = output::shortened(
            self.request.workspace.as_ref(),
            &call.id,
            output.content,
            self.request.limits.tool_output_bytes_max,
        )
        .await;
        self.add(Message::Tool {
            tool_call_id: call.id.clone(),
            content,
            attachments: output.attachments,
        })
        .await
    }

    async fn make_call(&mut self, call: &ToolCall) -> Result<ToolOutput, TurnError> {
        let arguments = match parse_arguments(&call.arguments) {
            Ok(arguments) => arguments,
            Err(why) => return Ok(ToolOutput::error(format!("Error: {why}"))),
        };
        let Some(tool) = self.request.tools.get(&call.name).map(Arc::clone) else {
            let names: Vec<&str> = self.request.tools.iter().map(|tool| tool.name()).collect();
            return Ok(ToolOutput::error(format!(
                "Error: there is no tool of that name. There are: {}",
                names.join(", ")
            )));
        };
        if self.repeats.is_too_often(call) {
            return Ok(ToolOutput::error(SAME_AGAIN));
        }
        if let Some(refusal) = self.not_listed(&call.name) {
            return Ok(ToolOutput::error(refusal));
        }
        let context = ToolContext::new(&call.id, self.stop.child_token())
            .with_workspace(self.request.workspace.clone())
            .with_chat(Arc::clone(&self.request.chat));
        if let Some(refusal) = self.refusal(tool.as_ref(), &arguments, &context).await {
            return Ok(ToolOutput::error(refusal));
        }
        if !tool.is_repeatable() {
            let started = Recorded::Started {
                started: call.id.clone(),
            };
            self.observer.record(&started).await?;
            self.started.insert(call.id.clone());
        }
        Ok(self.run_tool(tool, arguments, context).await)
    }

    /// Why the call is not made, if the skills that are in force do not list its tool.
    fn not_listed(&self, tool: &str) -> Option<String> {
        let loads = self.after.iter().flat_map(calls);
        let loads: HashSet<&str> = loads
            .filter(|call| call.name == LoadSkill::NAME)
            .map(|call| call.id.as_str())
            .collect();
        let loaded = self.after.iter().filter_map(|message| match message {
            Message::Tool {
                tool_call_id,
                content,
                ..
            } => loads
                .contains(tool_call_id.as_str())
                .then_some(content.as_str()),
            Message::User { .. } | Message::Assistant { .. } | Message::Summary { .. } => None,
        });
        let in_force = InForce::of(self.request.user.content(), loaded);
        let may = in_force.check(tool).err()?;
        tracing::info!(tool, "a call of a tool that no skill in force lists");
        Some(format!(
            "Error: this call was not made: the skill that you follow allows no other tools than \
             {}. Do not try to reach the same by other means. Go on without it, or say what you \
             would need.",
            may.join(", ")
        ))
    }

    /// Why the call is not made, if somebody has to agree to it and does not.
    async fn refusal(
        &mut self,
        tool: &dyn Tool,
        arguments: &Value,
        context: &ToolContext,
    ) -> Option<String> {
        if !self.request.approvals.ask_first(tool.name()) && !tool.needs_approval(arguments) {
            return None;
        }
        let Intent { what, place } = tool.intent(arguments, context);
        let request = ApprovalRequest {
            call_id: context.call_id.clone(),
            tool: tool.name().to_owned(),
            what,
            place,
        };
        self.observer.progress(Progress::WaitingForApproval {
            tool: request.tool.clone(),
        });
        let asked = self.request.chat.approve(&request);
        let asked = timeout(APPROVAL_WITHIN, asked);
        let approval = self.deadline.paused(asked).await;
        let why = match approval.unwrap_or(Approval::TimedOut) {
            Approval::Allowed => return None,
            Approval::Denied => "a person was asked and said no",
            Approval::TimedOut => "a person was asked and did not answer in time",
            Approval::Unavailable => "a person would have to agree to it, and nobody can be asked",
        };
        tracing::info!(tool = tool.name(), "a call was not agreed to: {why}");
        Some(format!(
            "Error: this call was not made: {why}. Do not try to reach the same by other means. \
             Go on without it, or say what you would need."
        ))
    }

    async fn run_tool(
        &mut self,
        tool: Arc<dyn Tool>,
        arguments: Value,
        context: ToolContext,
    ) -> ToolOutput {
        let name = tool.name().to_owned();
        let waits_for_people = tool.waits_for_people();
        self.observer
            .progress(Progress::ToolStarted { name: name.clone() });
        if waits_for_people {
            self.observer
                .progress(Progress::WaitingForPerson { tool: name.clone() });
        }
        let limit = self.request.limits.tool_timeout.max(tool.time_max());
        let cancel = context.cancel.clone();
        // A task of its own: one that blocks its thread blocks nobody who waits for it.
        let running =
            tokio::spawn(async move { tool.call(arguments, &context).await }.in_current_span());
        let running = AbortOnDropHandle::new(running);
        let ran = if waits_for_people {
            Ok(self.deadline.paused(running).await)
        } else {
            timeout(limit, running).await
        };
        match ran {
            Ok(Ok(output)) => output,
            Ok(Err(_)) => {
                tracing::error!(tool = name, "a tool panicked");
                ToolOutput::error("Error: the tool broke. That is a bug in the tool.")
            }
            Err(_) => {
                cancel.cancel();
                ToolOutput::error(format!("Error: the tool took longer than {limit:?}"))
            }
        }
    }
}

/// Notices a model that turns in a circle.
#[derive(Debug, Default)]
pub(super) struct Repeats {
    last: Option<(String, String)>,
    times: u32,
}

impl Repeats {
    /// Counts the call in; whether it comes once too often in a row.
    pub(super) fn is_too_often(&mut self, call: &ToolCall) -> bool {
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

/// A chat says itself how long it waits for somebody to agree; one that never comes back does not
/// hold a conversation for ever.
const APPROVAL_WITHIN: Duration = Duration::from_secs(24 * 3_600);

const SAME_AGAIN: &str = "Error: this is the third time in a row that you make the same call with \
    the same arguments; it was not run. Use the earlier results, or try something else.";
