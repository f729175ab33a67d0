//! Keeping a question within what the model can read.
//!
//! First what can be read again from a file is taken out, then the older part is summarised, and
//! only when that fails are the oldest turns dropped.

use super::history::{effective, newest_turns};
use super::run::Turn;
use super::{Observer, Progress, TurnError, output, summary};
use crate::cut::head;
use crate::message::Message;
use crate::model::{Finish, ModelError, Pictures, Question, Usage};
use crate::tool::ToolSet;

/// The sizes of the parts of a question, in bytes but for the messages.
#[derive(Clone, Copy, Debug)]
struct Sizes {
    /// The system prompt and the tools.
    fixed: usize,
    /// Everything before the turn.
    history: usize,
    /// The turn.
    turn: usize,
    /// What all of it may come to.
    room: usize,
    history_max: usize,
    /// How many messages there are before the turn.
    messages: usize,
    messages_max: usize,
}

impl Sizes {
    fn all(self) -> usize {
        self.fixed + self.history + self.turn
    }

    fn is_over(self) -> bool {
        self.all() > self.room || self.history > self.history_max || self.has_many_messages()
    }

    fn has_many_messages(self) -> bool {
        self.messages > self.messages_max
    }
}

impl<O: Observer> Turn<'_, O> {
    /// Shortens the conversation until it fits, or cannot be shortened any more. Whether anything
    /// was done.
    pub(super) async fn make_room(&mut self) -> Result<bool, TurnError> {
        let mut is_shorter = false;
        let sizes = self.sizes();
        if sizes.is_over() && sizes.turn > sizes.history {
            is_shorter |= self.take_outputs_out().await;
        }
        if self.sizes().is_over() {
            is_shorter |= self.summarise().await?;
        }
        if self.sizes().is_over() {
            is_shorter |= self.take_outputs_out().await;
        }
        if self.sizes().is_over() {
            is_shorter |= self.drop_turns();
        }
        Ok(is_shorter)
    }

    /// Which messages count, as places in the whole conversation, and where in them the turn
    /// begins.
    pub(super) fn view(&self) -> (Vec<usize>, usize) {
        let whole = self.whole();
        let mut order = effective(&whole);
        let user_at = self.request.history.len();
        let is_summary = |at: &usize| matches!(whole.get(*at), Some(Message::Summary { .. }));
        let lead = usize::from(order.first().is_some_and(is_summary));
        let turn_at = |order: &[usize]| {
            let in_turn = |at: &usize| *at >= user_at;
            let rest = order.iter().skip(lead);
            lead + rest.take_while(|at| !in_turn(at)).count()
        };
        let earlier = order.get(lead..turn_at(&order)).unwrap_or_default();
        let earlier: Vec<&Message> = earlier
            .iter()
            .filter_map(|at| whole.get(*at).copied())
            .collect();
        let dropped = newest_turns(earlier.into_iter(), self.history_bytes);
        order.drain(lead..lead + dropped);
        let turn_at = turn_at(&order);
        (order, turn_at)
    }

    /// History, the person's message and all after it.
    pub(super) fn whole(&self) -> Vec<&Message> {
        let user = core::iter::once(&self.request.user);
        self.request
            .history
            .iter()
            .chain(user)
            .chain(&self.after)
            .collect()
    }

    fn sizes(&self) -> Sizes {
        let whole = self.whole();
        let (order, turn_at) = self.view();
        let size = |order: &[usize]| -> usize {
            let messages = order.iter().filter_map(|at| whole.get(*at));
            messages.map(|message| self.size(message)).sum()
        };
        let (history, turn) = order.split_at_checked(turn_at).unwrap_or_default();
        Sizes {
            fixed: self.fixed_bytes,
            history: size(history),
            turn: size(turn),
            room: self.models.room_bytes(),
            history_max: self.request.limits.history_bytes_max,
            messages: history.len(),
            messages_max: self.request.limits.history_messages_max,
        }
    }

    fn size(&self, message: &Message) -> usize {
        self.sent(message)
            .map_or_else(|| message.size(), |sent| sent.size())
    }

    /// What is sent in place of this message, if something is.
    pub(super) fn sent(&self, message: &Message) -> Option<Message> {
        let Message::Tool {
            tool_call_id,
            attachments,
            ..
        } = message
        else {
            return None;
        };
        Some(Message::Tool {
            tool_call_id: tool_call_id.clone(),
            content: self.stubs.get(tool_call_id)?.clone(),
            attachments: attachments.clone(),
        })
    }

    /// Takes outputs of this turn out, the oldest first, until there is some room again. Each
    /// stays readable in its file.
    async fn take_outputs_out(&mut self) -> bool {
        let sizes = self.sizes();
        let target = sizes.room / 4 * 3;
        let mut excess = sizes.all().saturating_sub(target);
        let last = |message: &Message| matches!(message, Message::Assistant { .. });
        // What the model has not looked at yet stays.
        let seen = self.after.iter().rposition(last).unwrap_or(0);
        let mut found = Vec::new();
        let whole: Vec<&Message> = self.after.iter().collect();
        for (at, message) in whole.iter().enumerate().take(seen) {
            if let Message::Tool {
                tool_call_id,
                content,
                ..
            } = message
                && content.len() > STUB_BYTES_MIN
                && !self.stubs.contains_key(tool_call_id)
                && !summary::is_instruction(whole.get(..at).unwrap_or_default(), tool_call_id)
            {
                found.push((tool_call_id.clone(), content.clone()));
            }
        }
        let mut is_shorter = false;
        for (id, content) in found {
            if excess == 0 {
                break;
            }
            let workspace = self.request.workspace.as_ref();
            let Some(stub) = output::stub(workspace, &id, &content).await else {
                break;
            };
            excess = excess.saturating_sub(content.len());
            self.stubs.insert(id, stub);
            is_shorter = true;
        }
        is_shorter
    }

    /// Has the older part summarised. Whether there is a summary now.
    async fn summarise(&mut self) -> Result<bool, TurnError> {
        if self.summaries_fail {
            return Ok(false);
        }
        let sizes = self.sizes();
        let whole = self.whole();
        let (order, turn_at) = self.view();
        let messages: Vec<&Message> = order
            .iter()
            .filter_map(|at| whole.get(*at).copied())
            .collect();
        // Half of what there is room for, so that it is not to be done again at once.
        let mut keep =
            (sizes.room.saturating_sub(sizes.fixed) / 2).min(sizes.history_max / 2 + sizes.turn);
        if sizes.has_many_messages() {
            let newest = turn_at.saturating_sub(sizes.messages_max / 2);
            let newest = messages.get(newest..).unwrap_or_default().iter();
            keep = keep.min(newest.map(|message| self.size(message)).sum());
        }
        let user_at = self.request.history.len();
        let has_request = order.get(turn_at) == Some(&user_at);
        // A turn whose beginning is covered already may be parted anywhere.
        let parted_from = if has_request { turn_at } else { 0 };
        let Some(cut) = summary::cut(&messages, parted_from, keep) else {
            return Ok(false);
        };
        let (covered, _) = messages.split_at_checked(cut).unwrap_or_default();
        let kept_from = order.get(cut).copied().unwrap_or(whole.len());
        let kept = whole.get(kept_from..).unwrap_or_default().iter();
        let keeps = kept
            .filter(|m| !matches!(m, Message::Summary { .. }))
            .count();
        let verbatim = summary::verbatim(covered);
        let covers_request = !has_request || cut > turn_at;
        let text = summary::transcript(covered, sizes.room.min(TRANSCRIPT_BYTES_MAX));

        self.observer.progress(Progress::Compacting);
        let (mut content, usage) = match self.ask_for_summary(text).await {
            Ok(summary) => summary,
            Err(error) => {
                tracing::warn!("the conversation could not be summarised: {error}");
                self.summaries_fail = true;
                return Ok(false);
            }
        };
        let content_max = (keep / 4).clamp(SUMMARY_BYTES_MIN, SUMMARY_BYTES_MAX);
        content.truncate(head(&content, content_max).len());
        if covers_request {
            content.push_str(&summary::request(&self.request.user));
        }
        self.add_reply(
            Message::Summary {
                content,
                verbatim,
                keeps,
            },
            usage,
        )
        .await?;
        Ok(true)
    }

    async fn ask_for_summary(&mut self, transcript: String) -> Result<(String, Usage), ModelError> {
        let bytes = summary::SYSTEM.len() + transcript.len();
        let messages = [Message::user(format!("{transcript}\n\n{}", summary::TASK))];
        let question = Question {
            system: summary::SYSTEM,
            messages: &messages,
            tools: &ToolSet::new(),
            pictures: &Pictures::default(),
        };
        loop {
            let asked = self.models.ask(&question, bytes, &mut |_| {}).await;
            let mut unanswered = match asked {
                Ok((reply, _)) if reply.finish == Finish::Filtered => {
                    return Err(ModelError::Filtered);
                }
                Ok((reply, _)) if reply.text.trim().is_empty() => return Err(ModelError::Empty),
                Ok((reply, usage)) => return Ok((reply.text.trim().to_owned(), usage)),
                Err(unanswered) => unanswered,
            };
            // Nobody sees a summary grow.
            unanswered.shown = false;
            if !self.fall_back(&unanswered) {
                return Err(unanswered.error);
            }
        }
    }

    /// Drops the oldest turns, where there are any.
    fn drop_turns(&mut self) -> bool {
        let sizes = self.sizes();
        let excess = sizes.all().saturating_sub(sizes.room);
        let fits = sizes.history.saturating_sub(excess).min(sizes.history_max);
        let (order, _) = self.view();
        let whole = self.whole();
        // The summary stays.
        let summary = order.first().and_then(|at| whole.get(*at));
        let summary = summary.filter(|first| matches!(first, Message::Summary { .. }));
        let before = order.len();
        self.history_bytes = fits.saturating_sub(summary.map_or(0, |summary| summary.size()));
        before > self.view().0.len()
    }
}

/// A shorter output is not worth a file.
const STUB_BYTES_MIN: usize = 1 << 10;

/// What is handed to the model that summarises at most, however large its window is.
const TRANSCRIPT_BYTES_MAX: usize = 1 << 20;

/// A summary may always have this much.
const SUMMARY_BYTES_MIN: usize = 1 << 10;

/// A summary that is longer is none.
const SUMMARY_BYTES_MAX: usize = 24 << 10;
