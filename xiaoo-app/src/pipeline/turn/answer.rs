//! From a message to the agent's answer: what it brings along, what was said before, and the
//! agent loop on top.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use planted::Defect;
use proto_core::InboundMessage;
use tokio::sync::OnceCell;
use tracing::{info, warn};
use xiaoo_agent::{
    Invocation, Message, ModelUsage, Recorded, Skills, TurnError, TurnFailed, TurnOutcome,
    TurnRequest, Workspace, run_turn,
};
use xiaoo_store::limits::CONVERSATION_HISTORY_MAX;
use xiaoo_store::{StoreError, Turn};

use super::super::SharedPipeline;
use super::super::admission::LATE_TURN;
use super::super::ask::ChatOfTurn;
use super::super::command::words;
use super::super::fetch;
use super::super::guests;
use super::super::intake::{self, Gathered};
use super::super::people::{self, Directory};
use super::super::running::{Entry, Place};
use super::super::setting::Setting;
use super::super::signs::Board;
use super::Ended;
use super::recorder::{self, Recorder, Steps, kept};
use crate::agents::{Agent, Kit, chats};
use crate::render::context::{author_of, tame};
use crate::render::language::Language;
use crate::render::notice::Notice;

/// Runs of one turn before it ends in a notice: a message that brings the
/// process down must not do so for ever, and one that was in the way of others
/// that do should get its answer.
const ATTEMPTS_MAX: u32 = 5;
/// Rows of history that are read: all that there are, so that what is summarised never falls out
/// of them before; the agent fits them to the model.
const HISTORY_ROWS_MAX: usize = CONVERSATION_HISTORY_MAX;
/// Bytes of history that are read: more than any model takes at once, so that what is summarised
/// is what was said and not what was left out.
const HISTORY_BYTES_MAX: usize = 4 << 20;
/// How soon after one look for a stop mark the next is made.
const STOP_LOOK_GAP: Duration = Duration::from_millis(250);

/// A message that is to be answered, and all that the answer depends on.
pub(super) struct Question<'a> {
    pub(super) pipeline: &'a SharedPipeline,
    pub(super) agent: &'a Agent,
    pub(super) turn: &'a Turn,
    pub(super) message: &'a InboundMessage,
    pub(super) board: &'a Board,
    pub(super) language: Language,
    pub(super) place: &'a Place,
    pub(super) entry: &'a Entry<'a>,
    pub(super) is_retry: bool,
    pub(super) known_people: OnceCell<Arc<Directory>>,
}

/// What the agent loop begins with.
struct Prepared {
    setting: Setting,
    history: Vec<Message>,
    resume: Vec<Recorded>,
    user: Message,
    people: Arc<Directory>,
    kit: Kit,
}

impl Question<'_> {
    /// Answers it, unless somebody stops it.
    pub(super) async fn answer(&self) -> Result<TurnOutcome, Ended> {
        tokio::select! {
            answered = self.ask() => answered,
            never = self.watch_for_stop() => match never {},
        }
    }

    /// Whether somebody has stopped it, on whichever daemon.
    pub(super) async fn is_stopped(&self) -> bool {
        if self.entry.is_stopped() || !self.pipeline.store.is_shared() {
            return self.entry.is_stopped();
        }
        let setting = self.pipeline.setting(&self.turn.conversation).await;
        setting.is_ok_and(|setting| setting.has_stopped(self.turn.key.id))
    }

    /// Who is in the chat, if it is a group.
    pub(super) async fn people(&self) -> Arc<Directory> {
        if self.message.is_direct {
            return Arc::default();
        }
        let people = self
            .known_people
            .get_or_init(|| people::of_if_known(self.pipeline, &self.message.chat_id));
        Arc::clone(people.await)
    }

    /// Where the conversation's files are.
    fn root(&self) -> Option<PathBuf> {
        self.agent.conversation_root(&self.turn.conversation)
    }

    async fn ask(&self) -> Result<TurnOutcome, Ended> {
        if self.turn.attempts > ATTEMPTS_MAX {
            let why = format!("{} runs were cut off", self.turn.attempts - 1);
            return Err(Ended::notice(Notice::Interrupted, why));
        }
        // Files and people of a slow platform are not waited for when nobody wants them any more.
        let prepared = tokio::select! {
            biased;
            () = self.entry.cancel().cancelled() => {
                let said = (!self.is_retry).then(|| intake::words_alone(self.message));
                return Err(self.cancelled(said.into_iter().collect(), Vec::new()));
            }
            prepared = self.prepared() => prepared?,
        };
        self.run(prepared).await
    }

    /// All that the agent loop begins with, what the message brings along fetched and recorded.
    async fn prepared(&self) -> Result<Prepared, Ended> {
        let (pipeline, turn) = (self.pipeline, self.turn);
        let setting = pipeline
            .setting(&turn.conversation)
            .await
            .map_err(Ended::by_store)?;
        let history = self.history(&setting).await.map_err(Ended::by_store)?;
        let steps = self.steps().await.map_err(Ended::by_store)?;
        if !steps.resume.is_empty() {
            info!(
                steps = steps.resume.len(),
                "goes on from the last recorded step"
            );
        }
        let workspace = self.workspace().await;
        if let Some(workspace) = &workspace {
            fetch::again(pipeline, &turn.conversation, workspace).await;
        }
        let people = self.people().await;
        let kit = self.agent.kit(workspace.as_ref()).await;
        let user = match steps.said {
            Some(said) => said,
            None => {
                self.recorded(&history, workspace.as_ref(), &people, &kit)
                    .await?
            }
        };
        Ok(Prepared {
            setting,
            history,
            resume: steps.resume,
            user,
            people,
            kit,
        })
    }

    async fn run(&self, prepared: Prepared) -> Result<TurnOutcome, Ended> {
        let Prepared {
            setting,
            history,
            resume,
            user,
            people,
            kit,
        } = prepared;
        let chat = ChatOfTurn::new(
            self.pipeline,
            self.turn,
            self.message,
            self.language,
            Arc::clone(&people),
            self.place.clone(),
        );
        let system = self.agent.system_prompt(&kit, &people);
        let request = TurnRequest {
            system: &system,
            history: &history,
            resume,
            approvals: self.agent.approvals.clone(),
            workspace: kit.workspace,
            chat: Arc::new(chat),
            limits: self.agent.limits,
            ..TurnRequest::new(user, &kit.tools)
        };
        let models = self.agent.models_led_by(setting.model.as_deref());
        let mut recorder = self.recorder();
        match run_turn(&models, request, &mut recorder, self.entry.cancel()).await {
            Ok(outcome) => Ok(outcome),
            Err(failed) => Err(self.ended(*failed, recorder.cut_off)),
        }
    }

    fn recorder(&self) -> Recorder<'_> {
        Recorder {
            store: &self.pipeline.store,
            turn: self.turn.key,
            board: self.board,
            counters: &self.pipeline.counters,
            asked: None,
            cut_off: None,
        }
    }

    fn ended(&self, failed: TurnFailed, cut_off: Option<Ended>) -> Ended {
        let TurnFailed {
            error,
            messages,
            by_model: spent,
            ..
        } = failed;
        if error == TurnError::Cancelled {
            return self.cancelled(messages, spent);
        }
        if let Some(ended) = cut_off {
            return ended;
        }
        let notice = match &error {
            TurnError::TimedOut { .. } => Notice::TimedOut,
            TurnError::Model(error) if error.class() == "context_overflow" => Notice::TooLong,
            TurnError::Model(_) | _ => Notice::Failed,
        };
        Ended::Notice {
            notice,
            why: error.to_string(),
            messages,
            spent,
        }
    }

    fn cancelled(&self, messages: Vec<Message>, spent: Vec<ModelUsage>) -> Ended {
        match self.entry.is_stopped() {
            true => Ended::Stopped { messages, spent },
            false => Ended::HandedBack,
        }
    }

    /// What the model reads as the person's words, recorded: what they bring along is fetched
    /// once.
    async fn recorded(
        &self,
        history: &[Message],
        workspace: Option<&Workspace>,
        people: &Directory,
        kit: &Kit,
    ) -> Result<Message, Ended> {
        let Gathered { mut said, brought } = match self.is_retry {
            true => Gathered {
                said: said_last(history, self.message)?,
                brought: Vec::new(),
            },
            false => {
                let about = (self.turn.conversation.as_str(), self.message);
                intake::gather(self.pipeline, about, workspace, people).await
            }
        };
        if self.turn.kind == LATE_TURN
            && let Message::User { content, .. } = &mut said
        {
            let now_ms = self.pipeline.now_ms();
            let minutes = now_ms.saturating_sub(self.message.create_time_ms) / 60_000;
            *content = format!(
                "(This message was sent {minutes} minutes ago, while you could not be reached. \
                 Say so if it matters for the answer.)\n{content}"
            );
        }
        self.add_called_skill(&kit.skills, &mut said).await;
        self.recorder().said(&said).await?;
        guests::forget_brought(self.pipeline, self.message, &brought).await;
        Ok(said)
    }

    /// `/skill-name words`: the skill's own text goes behind the words.
    async fn add_called_skill(&self, skills: &Skills, said: &mut Message) {
        let Some(Invocation { skill, args }) = skills.invocation(&words(self.message)) else {
            return;
        };
        info!(skill = skill.name(), "a skill is called by name");
        // Its files are listed, which waits for a disk. What somebody wrote can't make a tag there
        // either.
        let rendered = tokio::task::spawn_blocking(move || skill.render(&tame(&args))).await;
        if let (Ok(text), Message::User { content, .. }) = (rendered, said) {
            content.push_str("\n\n");
            content.push_str(&text);
        }
    }

    async fn workspace(&self) -> Option<Workspace> {
        let root = self.root()?;
        let files = self.pipeline.settings.files;
        let now_ms = self.pipeline.now_ms();
        let opened = tokio::task::spawn_blocking(move || {
            let workspace = Workspace::open(root)?;
            if let Err(error) = chats::mark_used(workspace.root(), now_ms) {
                warn!("a conversation's directory will look unused: {error}");
            }
            Ok::<_, std::io::Error>(workspace)
        })
        .await;
        match opened {
            Ok(Ok(workspace)) => Some(workspace.holding(files.conversation_bytes_max)),
            Ok(Err(error)) => {
                warn!("the conversation's directory cannot be used: {error}");
                None
            }
            Err(_) => None,
        }
    }

    async fn steps(&self) -> Result<Steps, StoreError> {
        if planted::is(Defect::NoResume) {
            return Ok(Steps::default());
        }
        recorder::steps(&self.pipeline.store, self.turn).await
    }

    async fn history(&self, setting: &Setting) -> Result<Vec<Message>, StoreError> {
        let rows = self
            .pipeline
            .store
            .history(&self.turn.conversation, HISTORY_ROWS_MAX, HISTORY_BYTES_MAX)
            .await?;
        Ok(rows
            .iter()
            .filter(|row| !setting.has_forgotten(row.turn))
            .filter_map(|row| kept(&row.body))
            .collect())
    }

    /// Looks for a stop mark that another daemon has set; this one's own stop comes at once.
    async fn watch_for_stop(&self) -> core::convert::Infallible {
        let pipeline = self.pipeline;
        if pipeline.store.is_shared() {
            let mut changes = pipeline.store.changes();
            while changes.changed().await.is_ok() && !self.entry.is_stopped() {
                let setting = pipeline.setting(&self.turn.conversation).await;
                if setting.is_ok_and(|setting| setting.has_stopped(self.turn.key.id)) {
                    self.entry.stop();
                }
                tokio::time::sleep(STOP_LOOK_GAP).await;
            }
        }
        core::future::pending().await
    }
}

/// What the sender of `message` has said last, once more. In a group that is not what others have
/// said: it is theirs to be repeated.
fn said_last(history: &[Message], message: &InboundMessage) -> Result<Message, Ended> {
    let own = (!message.is_direct).then_some(message.sender_open_id.as_str());
    let is_own = |said: &&Message| {
        let is_user = matches!(said, Message::User { .. });
        is_user && (own.is_none() || author_of(said.content()) == own)
    };
    let last = history.iter().rev().find(is_own);
    // What is in a summary by now can be said again, and not be replaced.
    let effective = xiaoo_agent::effective_history(history.to_vec());
    let mut newest = effective.iter().rev();
    let newest = newest.find(|message| matches!(message, Message::User { .. }));
    last.cloned()
        .and_then(|said| again(said, newest == last))
        .ok_or_else(|| Ended::notice(Notice::NothingToRetry, "there is nothing to retry".into()))
}

/// The same words once more: in place of the first, unless something else was said since, which
/// stays.
fn again(message: Message, is_last: bool) -> Option<Message> {
    match message {
        Message::User {
            content, images, ..
        } => Some(Message::User {
            content,
            images,
            again: is_last,
        }),
        Message::Assistant { .. } | Message::Tool { .. } | Message::Summary { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn said_last_is_also_what_a_summary_covers_by_now() {
        let message = InboundMessage {
            is_direct: true,
            ..InboundMessage::default()
        };
        let user = Message::user;
        let summary = |keeps| Message::Summary {
            content: "so far".into(),
            verbatim: Vec::new(),
            keeps,
        };
        let answer = || Message::assistant("yes");
        for (history, said, is_replaced) in [
            (vec![user("a"), answer(), user("b"), answer()], "b", true),
            (vec![user("a"), answer(), summary(2)], "a", true),
            (vec![user("a"), answer(), user("b"), summary(0)], "b", false),
        ] {
            let Ok(Message::User { content, again, .. }) = said_last(&history, &message) else {
                panic!("{history:?}");
            };
            assert_eq!((content.as_str(), again), (said, is_replaced));
        }
        assert!(said_last(&[summary(0)], &message).is_err());
    }
}
