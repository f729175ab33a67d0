//! One turn: a message in, an answer or an honest notice out.

mod answer;
mod recorder;
mod unanswered;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use proto_core::{Event, InboundMessage};
use tokio::sync::OnceCell;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, info, info_span, trace, warn};
use xiaoo_agent::{Message, ModelUsage, TurnOutcome};
use xiaoo_store::{Fenced, Outcome, StoreError, Turn};

use super::admission::{LATE_TURN, REFUSED_TURN};
use super::busy::{self, BUSY_TURN, MARKED_TURN};
use super::command::ChatCommand;
use super::intake;
use super::orders;
use super::outcome::{Ending, finish, remembered_of_stopped, silent};
use super::people::Directory;
use super::policy::{Decision, Known};
use super::running::Place;
use super::signs::{self, Board, Shown};
use super::{Counters, SharedPipeline};
use crate::render::language::Language;
use crate::render::notice::Notice;

/// The wait before a turn that could not be handed back is handed back again.
const HAND_BACK_AGAIN: Duration = Duration::from_secs(1);

/// Runs a claimed turn to its end. When `give_up` fires it is handed back and
/// goes on after the next start.
pub async fn run(
    pipeline: &SharedPipeline,
    turn: Turn,
    place: &Place,
    give_up: &CancellationToken,
) {
    let span = info_span!(
        "turn",
        id = %turn.key.id,
        conversation = turn.conversation,
        message_id = turn.message_id,
        attempt = turn.attempts,
    );
    pipeline.counters.running.fetch_add(1, Ordering::Relaxed);
    run_in_span(pipeline, turn, place, give_up)
        .instrument(span)
        .await;
    pipeline.counters.running.fetch_sub(1, Ordering::Relaxed);
}

async fn run_in_span(
    pipeline: &SharedPipeline,
    turn: Turn,
    place: &Place,
    give_up: &CancellationToken,
) {
    let Some(message) = wanted(pipeline, &turn) else {
        finish(pipeline, &turn, silent(pipeline.now_ms()), None, give_up).await;
        return;
    };
    if turn.kind == MARKED_TURN {
        let reacts = pipeline.settings.reaction.is_some();
        let result = busy::marked(&turn, &message, reacts, pipeline.now_ms());
        finish(pipeline, &turn, result, None, give_up).await;
        return;
    }
    let language = Language::of_message(&message);
    let command = command(&turn, &message);
    let is_retry = command == Some(ChatCommand::Retry);
    let order = command.filter(|_| !is_retry);
    let agent = pipeline
        .agents
        .of(&message.chat_id, &message.sender_open_id);
    let model = &agent.models.first().config().model;
    let board = Board::new(language, model, pipeline.now_ms());
    let entry = pipeline
        .running
        .enter(&turn.conversation, turn.key.id, &board, give_up);
    let unanswered = match &order {
        Some(_) => unanswered::late_order(pipeline, &turn, &message, language),
        None => unanswered::reason(pipeline, &turn, &message, language).await,
    };
    if let Some(why) = unanswered {
        let (shown, asks) = match &order {
            // Nothing is shown before the answer to one.
            Some(_) => (Shown::default(), Vec::new()),
            None => (
                Shown::by_earlier_runs(&turn, &pipeline.settings),
                super::ask::withdrawn(pipeline, turn.key.id).await,
            ),
        };
        let ending = Ending {
            turn: &turn,
            message: &message,
            board: &board,
            shown: &shown,
            people: &Directory::default(),
            asks: &asks,
            now_ms: pipeline.now_ms(),
        };
        let mut result = ending.noticed(Outcome::Refused, why.said.as_deref(), why.reason);
        if why.is_stopped && !is_retry {
            result.history = remembered_of_stopped(&[intake::words_alone(&message)]);
        }
        finish(pipeline, &turn, result, None, give_up).await;
        return;
    }
    if let Some(order) = order {
        orders::obey(pipeline, &turn, &message, &order, language, give_up).await;
        return;
    }
    let ended = CancellationToken::new();
    let show = signs::show(
        Arc::clone(pipeline),
        turn.clone(),
        message.clone(),
        board.clone(),
        ended.clone(),
    );
    let shown = tokio::spawn(show.in_current_span());

    let question = answer::Question {
        pipeline,
        agent,
        turn: &turn,
        message: &message,
        board: &board,
        language,
        place,
        entry: &entry,
        is_retry,
        known_people: OnceCell::new(),
    };
    let answered = question.answer().await;
    ended.cancel();
    let shown = shown.await.unwrap_or_default();
    if let Err(Ended::Replaced) = answered {
        info!("the turn belongs to another run now");
        return;
    }
    if let Err(Ended::HandedBack) = answered {
        info!("the turn is handed back and goes on later");
        hand_back(pipeline, &turn, give_up).await;
        return;
    }
    let asks = super::ask::withdrawn(pipeline, turn.key.id).await;
    let people = question.people().await;
    // Also while the last of it was tidied up: nothing comes after the word that it is stopped.
    let answered = match question.is_stopped().await {
        true => Err(stopped(answered)),
        false => answered,
    };
    let ending = Ending {
        turn: &turn,
        message: &message,
        board: &board,
        shown: &shown,
        people: &people,
        asks: &asks,
        now_ms: pipeline.now_ms(),
    };
    let spent = match &answered {
        Ok(outcome) => outcome.by_model.clone(),
        Err(ended) => ended.spent().to_vec(),
    };
    let (result, instead) = match answered {
        Ok(outcome) => {
            told_answered(&outcome);
            Counters::count(&pipeline.counters.answered);
            let failed = ending.failed(
                Notice::Failed.text(language),
                "the answer could not be kept".into(),
                &[],
            );
            (ending.answered(&outcome), Some(failed))
        }
        Err(Ended::Stopped { messages, .. }) => {
            info!("the turn was stopped");
            Counters::count(&pipeline.counters.stopped);
            (ending.stopped(&messages), None)
        }
        Err(Ended::Notice {
            notice,
            why,
            messages,
            ..
        }) => {
            warn!("the turn failed: {why}");
            Counters::count(&pipeline.counters.failed);
            (ending.failed(notice.text(language), why, &messages), None)
        }
        // Both have ended above.
        Err(Ended::HandedBack | Ended::Replaced) => return,
    };
    // Before the next message of this conversation may be judged.
    let tokens = pipeline.counters.spent(&spent);
    pipeline
        .spend(&message.sender_open_id, &message.chat_id, tokens)
        .await;
    finish(pipeline, &turn, result, instead, give_up).await;
}

/// The same, if somebody has stopped it on its last steps.
fn stopped(answered: Result<TurnOutcome, Ended>) -> Ended {
    match answered {
        Ok(TurnOutcome {
            new_messages: messages,
            by_model: spent,
            ..
        })
        | Err(Ended::Notice {
            messages, spent, ..
        }) => Ended::Stopped { messages, spent },
        Err(ended @ (Ended::Stopped { .. } | Ended::HandedBack | Ended::Replaced)) => ended,
    }
}

fn told_answered(outcome: &TurnOutcome) {
    info!(
        steps = outcome.steps,
        chars = outcome.answer.chars().count(),
        model = outcome.model,
        prompt_tokens = outcome.usage.prompt_tokens,
        completion_tokens = outcome.usage.completion_tokens,
        "answered"
    );
    trace!(text = outcome.answer, "what is answered");
}

/// What the bot itself is told, if it is. Also of a message that was taken in before it was known
/// who the bot is, when its mention stood before the words.
fn command(turn: &Turn, message: &InboundMessage) -> Option<ChatCommand> {
    // An order of long ago is about a world that is gone.
    let is_said_now = ![BUSY_TURN, LATE_TURN, REFUSED_TURN].contains(&turn.kind.as_str());
    ChatCommand::of(message).filter(|_| is_said_now)
}

/// Puts the turn back. One that is neither run nor handed back would stand still for
/// as long as this process lives, so a store that is away or ill is waited for.
async fn hand_back(pipeline: &SharedPipeline, turn: &Turn, give_up: &CancellationToken) {
    loop {
        let error = match pipeline.store.release(turn.key).await {
            Ok(Fenced::Done | Fenced::Replaced) => return,
            Err(error) => error,
        };
        if give_up.is_cancelled() || error.is_final() {
            warn!("the turn could not be handed back, it will be found at the next start: {error}");
            return;
        }
        tokio::select! {
            () = give_up.cancelled() => {}
            () = tokio::time::sleep(HAND_BACK_AGAIN) => {}
        }
    }
}

/// Why a turn has no answer.
enum Ended {
    /// The daemon stops, or the store is away: the turn goes on later.
    HandedBack,
    /// Its lease ran out and somebody else has taken it over.
    Replaced,
    /// Somebody has stopped it.
    Stopped {
        /// How far it came.
        messages: Vec<Message>,
        /// What it cost.
        spent: Vec<ModelUsage>,
    },
    /// The person gets this notice; the words are for the operator.
    Notice {
        notice: Notice,
        why: String,
        messages: Vec<Message>,
        spent: Vec<ModelUsage>,
    },
}

impl Ended {
    /// With a notice, before anything came of it.
    fn notice(notice: Notice, why: String) -> Self {
        Self::Notice {
            notice,
            why,
            messages: Vec::new(),
            spent: Vec::new(),
        }
    }

    /// What cannot be kept or read because the store's server is away goes on when it
    /// is back; anything else would be no better then.
    fn by_store(error: StoreError) -> Self {
        let is_away = matches!(
            error,
            StoreError::Deadline { .. } | StoreError::Unreachable { .. }
        );
        if is_away {
            warn!("the turn cannot go on now: {error}");
            Self::HandedBack
        } else {
            Self::notice(Notice::Failed, error.to_string())
        }
    }

    fn spent(&self) -> &[ModelUsage] {
        match self {
            Self::HandedBack | Self::Replaced => &[],
            Self::Stopped { spent, .. } | Self::Notice { spent, .. } => spent,
        }
    }
}

/// The message, if it is still to be answered now that it is known who the
/// bot is.
fn wanted(pipeline: &SharedPipeline, turn: &Turn) -> Option<InboundMessage> {
    let bot_open_id = pipeline.identity.borrow().clone()?;
    let identity = pipeline.settings.identity(Some(&bot_open_id));
    let event = Event::parse(&turn.body).ok()?;
    let message = InboundMessage::from_event(&event, identity)?;
    // Who was let in when the message came stays let in for it.
    let known = Known {
        identity: true,
        paired: true,
    };
    match pipeline.settings.policy.decide(&message, known) {
        Decision::Answer | Decision::Refuse(_) => Some(message),
        Decision::Ignore(why) => {
            info!(why, "the message is left alone");
            None
        }
    }
}
