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
    Invocation, Message, Skills, TurnError, TurnFailed, TurnOutcome, TurnRequest, Workspace,
    run_turn,
};
use xiaoo_store::{StoreError, Turn};

use super::super::SharedPipeline;
use super::super::admission::LATE_TURN;
use super::super::ask::ChatOfTurn;
use super::super::command::words;
use super::super::intake;
use super::super::people::{self, Directory};
use super::super::running::{Entry, Place};
use super::super::setting::Setting;
use super::super::signs::Board;
use super::Ended;
use super::recorder::{self, Recorder, Steps, kept};
use crate::agents::Agent;
use crate::render::context::tame;
use crate::render::language::Language;
use crate::render::notice::Notice;

/// Runs of one turn before it ends in a notice: a message that brings the
/// process down must not do so for ever, and one that was in the way of others
/// that do should get its answer.
const ATTEMPTS_MAX: u32 = 5;
/// Rows of history that are read; the agent fits them to the model.
const HISTORY_ROWS_MAX: usize = 400;
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

impl Question<'_> {
    /// Answers it, unless somebody stops it.
    pub(super) async fn answer(&self) -> Result<TurnOutcome, Ended> {
        tokio::select! {
            answered = self.ask() => answered,
            never = self.watch_for_stop() => match never {},
        }
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
    pub(super) fn root(&self) -> Option<PathBuf> {
        self.agent.conversation_root(&self.turn.conversation)
    }

    async fn ask(&self) -> Result<TurnOutcome, Ended> {
        let (pipeline, turn) = (self.pipeline, self.turn);
        if turn.attempts > ATTEMPTS_MAX {
            let why = format!("{} runs were cut off", turn.attempts - 1);
            return Err(Ended::notice(Notice::Interrupted, why));
        }
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
        let people = self.people().await;
        let kit = self.agent.kit(workspace.as_ref()).await;
        let mut recorder = Recorder {
            store: &pipeline.store,
            turn: turn.key,
            board: self.board,
            cut_off: None,
        };
        let user = match steps.said {
            Some(said) => said,
            None => {
                let mut said = self.said(&history, workspace.as_ref(), &people).await?;
                self.add_called_skill(&kit.skills, &mut said).await;
                recorder.said(&said).await?;
                said
            }
        };
        let chat = ChatOfTurn::new(
            pipeline,
            turn,
            self.message,
            self.language,
            Arc::clone(&people),
            self.place.clone(),
        );
        let system = self.agent.system_prompt(&kit, &people);
        let request = TurnRequest {
            system: &system,
            history: &history,
            resume: steps.resume,
            approvals: self.agent.approvals.clone(),
            workspace: kit.workspace,
            chat: Arc::new(chat),
            limits: self.agent.limits,
            ..TurnRequest::new(user, &kit.tools)
        };
        let models = self.agent.models_led_by(setting.model.as_deref());
        match run_turn(&models, request, &mut recorder, self.entry.cancel()).await {
            Ok(outcome) => Ok(outcome),
            Err(failed) => Err(self.ended(*failed, recorder.cut_off)),
        }
    }

    fn ended(&self, failed: TurnFailed, cut_off: Option<Ended>) -> Ended {
        let TurnFailed {
            error,
            messages,
            usage,
            ..
        } = failed;
        if error == TurnError::Cancelled {
            return match self.entry.is_stopped() {
                true => Ended::Stopped { messages, usage },
                false => Ended::HandedBack,
            };
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
            usage,
        }
    }

    /// What the model reads as the person's words, with all that they bring along.
    async fn said(
        &self,
        history: &[Message],
        workspace: Option<&Workspace>,
        people: &Directory,
    ) -> Result<Message, Ended> {
        if self.is_retry {
            let last = xiaoo_agent::effective_history(history.to_vec())
                .into_iter()
                .rev()
                .find_map(again);
            return last.ok_or_else(|| {
                Ended::notice(Notice::NothingToRetry, "there is nothing to retry".into())
            });
        }
        let mut said = intake::gather(self.pipeline, self.message, workspace, people).await;
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
        let opened = tokio::task::spawn_blocking(move || Workspace::open(root)).await;
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

/// The same words once more, in place of the first.
fn again(message: Message) -> Option<Message> {
    match message {
        Message::User {
            content, images, ..
        } => Some(Message::User {
            content,
            images,
            again: true,
        }),
        Message::Assistant { .. } | Message::Tool { .. } | Message::Summary { .. } => None,
    }
}
