//! Going on where an interrupted run of a turn was.

use std::collections::HashSet;

use super::history::INTERRUPTED;
use super::run::{Answer, Turn, answers, calls};
use super::{Observer, Recorded, TurnError};
use crate::message::Message;

impl<O: Observer> Turn<'_, O> {
    /// Continues where an interrupted run of this turn was. Its answer, if it had one already.
    pub(super) async fn take_up(&mut self) -> Result<Option<Answer>, TurnError> {
        let mut said_by = self.models.name().to_owned();
        // Whether the starts of the last reply's calls were recorded.
        let mut tells_starts = false;
        for step in core::mem::take(&mut self.request.resume) {
            match step {
                Recorded::Reply {
                    reply,
                    model,
                    usage,
                } => {
                    self.models.spend(&model, usage);
                    (said_by, tells_starts) = (model, true);
                    self.after.push(reply);
                }
                Recorded::Started { started } => {
                    self.started.insert(started);
                }
                Recorded::Message(message) => {
                    tells_starts &= !matches!(message, Message::Assistant { .. });
                    self.after.push(message);
                }
            }
        }
        let answered: HashSet<String> = self.after.iter().filter_map(answers).collect();
        for call in self.after.iter().flat_map(calls) {
            if answered.contains(&call.id) {
                self.repeats.is_too_often(call);
            }
        }
        let last = |message: &&Message| matches!(message, Message::Assistant { .. });
        let Some(Message::Assistant {
            content,
            tool_calls,
            ..
        }) = self.after.iter().rev().find(last)
        else {
            return Ok(None);
        };
        if tool_calls.is_empty() {
            return Ok(Some(Answer {
                text: content.clone(),
                cut_off: false,
                model: said_by,
            }));
        }
        for call in tool_calls.clone() {
            if answered.contains(&call.id) {
                continue;
            }
            if tells_starts && !self.started.contains(&call.id) {
                self.answer_call(&call).await?;
            } else {
                self.add(Message::tool(call.id, INTERRUPTED)).await?;
            }
        }
        Ok(None)
    }
}
