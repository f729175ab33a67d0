//! Questions of a turn to the person that it is for: may this be done, and which of these?
//!
//! What was asked is a note in the store before anybody sees it, and so is the answer. It can be
//! given to another daemon than the one that waits, and a turn that goes on after a restart goes
//! on waiting for it.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use proto_core::InboundMessage;
use runtime_tokio::openapi::{ApiError, derive_uuid};
use serde::{Deserialize, Serialize};
use tracing::{info, warn};
use xiaoo_agent::{
    Approval, ApprovalRequest, Chat, ChatError, Member, OutgoingFile, PersonQuestion,
};
use xiaoo_store::limits::NOTES_PER_SCOPE_MAX;
use xiaoo_store::{StoreError, Turn, TurnId};

use super::notes::read;
use super::people::{self, Directory};
use super::running::Place;
use super::signs::{CARD_ORDINAL, event_key};
use super::upload::Uploads;
use super::{Pipeline, SharedPipeline};
use crate::render::ask::{self, Always, AskView, Outcome};
use crate::render::language::Language;

/// How often an answer is looked for without a word from the store.
const LOOK_AGAIN: Duration = Duration::from_secs(5);
/// How soon after a look the next one is made: a busy store has news all the time.
const LOOK_GAP: Duration = Duration::from_millis(100);
/// How long a question is kept: its card may be pressed long after.
const KEPT: Duration = Duration::from_secs(7 * 24 * 3_600);
/// Cards of one turn that are seen to when it ends: as many as it has steps, and some.
const CARDS_MAX: usize = 64;

/// A question, as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ask {
    /// Whose answer counts (an open_id).
    pub who: String,
    /// That person's name, if it is known.
    #[serde(default)]
    pub name: String,
    /// Whose turn it is.
    pub conversation: String,
    /// The words it is asked in.
    pub language: Language,
    /// What is asked.
    pub what: What,
    /// Until when, Unix milliseconds.
    pub deadline_ms: i64,
    /// The card's message, once it is sent.
    #[serde(default)]
    pub card: Option<String>,
    /// What became of it.
    pub state: State,
}

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// Whether a tool may be used.
    Approval {
        /// Which.
        tool: String,
        /// For what.
        what: String,
        /// Where.
        place: String,
        /// Whom "always" can be for.
        #[serde(default)]
        always: Always,
    },
    /// What the model wants to know.
    Question {
        /// The question.
        text: String,
        /// What can be chosen; free text when there is nothing.
        options: Vec<String>,
    },
}

/// What became of a question.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It waits.
    Open,
    /// Somebody has answered.
    Answered {
        /// Who (an open_id).
        by: String,
        /// What: `once`, `always`, `everyone` or `deny` for an approval, the answer itself for a
        /// question.
        choice: String,
        /// When, Unix milliseconds.
        at_ms: i64,
    },
    /// Nobody has answered in time.
    TimedOut,
    /// The turn ended first.
    Withdrawn,
}

/// Where the questions of a turn are kept; each has the call's id as its key.
pub(super) fn scope(turn: TurnId) -> String {
    format!("ask:{turn}")
}

impl Ask {
    /// The card's JSON; `id` is what its buttons say.
    #[must_use]
    pub fn card(&self, id: &str) -> String {
        let outcome = match &self.state {
            State::Open => None,
            State::Answered { by, choice, at_ms } => Some(Outcome::Answered {
                by,
                choice,
                at_ms: *at_ms,
            }),
            State::TimedOut => Some(Outcome::TimedOut),
            State::Withdrawn => Some(Outcome::Withdrawn),
        };
        let view = AskView {
            id,
            who: &self.who,
            outcome,
            language: self.language,
        };
        match &self.what {
            What::Approval {
                tool,
                what,
                place,
                always,
            } => ask::approval(&view, tool, (what, place), *always),
            What::Question { text, options } => ask::question(&view, text, options),
        }
    }
}

/// The id that a question's buttons carry: its turn and its call.
pub(super) fn button_id(turn: TurnId, call_id: &str) -> String {
    format!("{turn}/{call_id}")
}

/// The chat of one turn, as its tools see it.
pub struct ChatOfTurn {
    pipeline: SharedPipeline,
    turn: Turn,
    message: InboundMessage,
    language: Language,
    people: Arc<Directory>,
    /// The turn's place among those that run; others have it while people are waited for.
    place: Place,
    patience: Duration,
    uploads: Uploads,
}

impl ChatOfTurn {
    /// The chat of `turn`, which `message` asked for.
    #[must_use]
    pub fn new(
        pipeline: &SharedPipeline,
        turn: &Turn,
        message: &InboundMessage,
        language: Language,
        people: Arc<Directory>,
        place: Place,
    ) -> Self {
        Self {
            patience: pipeline.settings.approval_timeout,
            pipeline: Arc::clone(pipeline),
            turn: turn.clone(),
            message: message.clone(),
            language,
            people,
            place,
            uploads: Uploads::default(),
        }
    }

    /// Whom "always" can be for in this chat.
    fn always(&self) -> Always {
        let has_admins = !self.pipeline.settings.policy.admins.is_empty();
        match (self.message.is_direct, has_admins) {
            (true, _) => Always::Alone,
            (false, false) => Always::Asker,
            (false, true) => Always::AskerOrEveryone,
        }
    }

    /// Asks, and waits until there is an answer, or the time is over.
    async fn wait_for(
        &self,
        call_id: &str,
        what: What,
        patience: Duration,
    ) -> Result<State, CannotAsk> {
        let scope = scope(self.turn.key.id);
        let patience_ms = i64::try_from(patience.as_millis()).unwrap_or(i64::MAX);
        let new = Ask {
            who: self.message.sender_open_id.clone(),
            name: self.people.name_of(&self.message.sender_open_id),
            conversation: self.turn.conversation.clone(),
            language: self.language,
            what,
            deadline_ms: self.pipeline.now_ms().saturating_add(patience_ms),
            card: None,
            state: State::Open,
        };
        // What was asked before a restart stands.
        let asked = self
            .pipeline
            .change_note(&scope, call_id, KEPT, |known: Option<&Ask>| {
                known.is_none().then(|| new.clone())
            })
            .await?;
        let mut ask = asked.unwrap_or(new);
        let mut changes = self.pipeline.store.changes();
        loop {
            if ask.state != State::Open {
                return Ok(ask.state);
            }
            let left_ms = ask.deadline_ms.saturating_sub(self.pipeline.now_ms());
            let Some(left) = u64::try_from(left_ms).ok().filter(|left| *left > 0) else {
                return self.time_is_over(&scope, call_id).await;
            };
            if ask.card.is_none() {
                ask.card = self.show(&scope, call_id, &ask).await?;
            }
            let has_news = async {
                match ask.card {
                    Some(_) => drop(changes.changed().await),
                    // Nobody can have answered it, and the platform is given some time.
                    None => core::future::pending().await,
                }
            };
            tokio::select! {
                () = has_news => {}
                () = tokio::time::sleep(Duration::from_millis(left).min(LOOK_AGAIN)) => {}
            }
            match self.pipeline.note::<Ask>(&scope, call_id).await {
                Ok(newer) => ask = newer.unwrap_or(ask),
                // People take longer than a store needs to come back.
                Err(error) if error.is_retryable() => {
                    warn!("whether there is an answer cannot be read yet: {error}");
                }
                Err(error) => return Err(error.into()),
            }
            if ask.state == State::Open {
                tokio::time::sleep(LOOK_GAP).await;
            }
        }
    }

    /// Sends the card, and gives its message. What passes is tried again at the next look.
    async fn show(
        &self,
        scope: &str,
        call_id: &str,
        ask: &Ask,
    ) -> Result<Option<String>, CannotAsk> {
        let id = button_id(self.turn.key.id, call_id);
        let key = format!("{}/{call_id}", event_key(&self.turn));
        let uuid = derive_uuid(&self.turn.app, &key, CARD_ORDINAL + 1);
        let about = (
            self.message.message_id.as_str(),
            self.message.chat_id.as_str(),
        );
        let in_thread = self
            .message
            .thread_id
            .as_deref()
            .is_some_and(|id| !id.is_empty());
        let sent = self
            .pipeline
            .api
            .reply_message(about, "interactive", &ask.card(&id), &uuid, in_thread)
            .await;
        let card = match sent {
            Ok(sent) => sent.message_id,
            Err(error) if error.is_retryable() || error.outcome_is_unknown() => {
                warn!("a question is not shown yet: {error}");
                return Ok(None);
            }
            Err(error) => return Err(error.into()),
        };
        info!(card, "a person is asked");
        let noted = self
            .pipeline
            .change_note(scope, call_id, KEPT, |known: Option<&Ask>| {
                known.map(|known| Ask {
                    card: Some(card.clone()),
                    ..known.clone()
                })
            })
            .await;
        match noted {
            Ok(_) => {}
            // The next look finds it without a card, and the same uuid gives the same one.
            Err(error) if error.is_retryable() => {
                warn!("a question's card could not be noted yet: {error}");
            }
            Err(error) => return Err(error.into()),
        }
        Ok(Some(card))
    }

    async fn time_is_over(&self, scope: &str, call_id: &str) -> Result<State, CannotAsk> {
        let ended = end(&self.pipeline, scope, call_id, State::TimedOut).await?;
        let Some(ask) = ended else {
            return Ok(State::TimedOut);
        };
        if let Some(card) = &ask.card {
            let content = ask.card(&button_id(self.turn.key.id, call_id));
            // Best effort: the outbox does it again when the turn ends.
            if let Err(error) = self.pipeline.api.patch_card(card, &content).await {
                warn!("a question's card could not be closed yet: {error}");
            }
        }
        Ok(ask.state)
    }
}

/// Ends a question that is open; gives what is there then.
pub(super) async fn end(
    pipeline: &Pipeline,
    scope: &str,
    call_id: &str,
    state: State,
) -> Result<Option<Ask>, StoreError> {
    pipeline
        .change_note(scope, call_id, KEPT, |known: Option<&Ask>| {
            known.filter(|ask| ask.state == State::Open).map(|ask| Ask {
                state: state.clone(),
                ..ask.clone()
            })
        })
        .await
}

/// What a turn has asked, all of it ended now.
pub(super) async fn withdrawn(pipeline: &Pipeline, turn: TurnId) -> Vec<(String, Ask)> {
    let scope = scope(turn);
    let asked = pipeline
        .store
        .notes(&scope, NOTES_PER_SCOPE_MAX, pipeline.now_ms())
        .await
        .unwrap_or_else(|error| {
            warn!("what was asked cannot be read: {error}");
            Vec::new()
        });
    let (mut closed, mut ended) = (Vec::new(), Vec::new());
    for (call_id, note) in asked {
        match read::<Ask>(&note) {
            Some(ask) if ask.state != State::Open => ended.push((call_id, ask)),
            Some(_) => match end(pipeline, &scope, &call_id, State::Withdrawn).await {
                Ok(ask) => closed.extend(ask.map(|ask| (call_id, ask))),
                Err(error) => warn!("a question could not be withdrawn: {error}"),
            },
            None => {}
        }
    }
    // The cards of those that were answered have said so already.
    closed.extend(ended);
    closed.truncate(CARDS_MAX);
    closed
}

impl Chat for ChatOfTurn {
    fn members(&self) -> BoxFuture<'_, Result<Vec<Member>, ChatError>> {
        Box::pin(async {
            if self.message.is_direct {
                return Err(ChatError::Unavailable);
            }
            let people = people::of(&self.pipeline, &self.message.chat_id)
                .await
                .map_err(|error| ChatError::Platform(error.to_string()))?;
            Ok(people.members())
        })
    }

    fn approve<'a>(&'a self, request: &'a ApprovalRequest) -> BoxFuture<'a, Approval> {
        Box::pin(async {
            let (conversation, who) = (&self.turn.conversation, &self.message.sender_open_id);
            let granted = self.pipeline.is_granted(conversation, &request.tool, who);
            if granted.await {
                return Approval::Allowed;
            }
            let what = What::Approval {
                tool: request.tool.clone(),
                what: request.what.clone(),
                place: request.place.clone(),
                always: self.always(),
            };
            let waiting = self.wait_for(&request.call_id, what, self.patience);
            match self.place.lent(waiting).await {
                Ok(State::Answered { choice, .. }) if choice != ask::DENY => Approval::Allowed,
                Ok(State::Answered { .. } | State::Withdrawn) => Approval::Denied,
                Ok(State::TimedOut | State::Open) => Approval::TimedOut,
                Err(error) => {
                    warn!("nobody can be asked: {error}");
                    Approval::Unavailable
                }
            }
        })
    }

    fn ask<'a>(&'a self, question: &'a PersonQuestion) -> BoxFuture<'a, Result<String, ChatError>> {
        Box::pin(async {
            let what = What::Question {
                text: question.text.clone(),
                options: question.options.clone(),
            };
            let waiting = self.wait_for(&question.call_id, what, question.patience);
            match self.place.lent(waiting).await {
                Ok(State::Answered { choice, .. }) => Ok(choice),
                Ok(State::TimedOut | State::Open | State::Withdrawn) => Err(ChatError::TimedOut),
                Err(error) => Err(ChatError::Platform(error.to_string())),
            }
        })
    }

    fn take_file(&self, file: OutgoingFile) -> BoxFuture<'_, Result<String, ChatError>> {
        Box::pin(self.uploads.take(&self.pipeline.api, file))
    }
}

/// Why nobody can be asked.
#[derive(Debug, thiserror::Error)]
enum CannotAsk {
    #[error("{0}")]
    Api(#[from] ApiError),
    #[error("{0}")]
    Store(#[from] StoreError),
}
