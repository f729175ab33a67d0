//! One turn: a message in, an answer or an honest notice out.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use proto_core::{Event, InboundMessage};
use runtime_tokio::openapi::derive_uuid;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, error, info, info_span, warn};
use xiaoo_agent::{
    Message, Observer, Progress, RecordFailed, TurnError, TurnOutcome, TurnRequest, run_turn,
};
use xiaoo_store::{Fenced, NewHistory, NewOutbox, Outcome, Step, Store, Turn, TurnKey, TurnResult};

use crate::render::answer::{self, Content};
use crate::render::card::Phase;
use crate::render::language::Language;
use crate::render::notice::{self, Notice};

use super::outbox::Sending;
use super::policy::Decision;
use super::signs::{self, Board, Shown, card_uuid, event_key};
use super::{Counters, SharedPipeline, unix_ms};

/// Runs of one turn before it ends in a notice: a message that brings the
/// process down must not do so for ever.
const ATTEMPTS_MAX: u32 = 3;
/// Rows of history that are read; the agent fits them to the model.
const HISTORY_ROWS_MAX: usize = 400;

/// Runs a claimed turn to its end. When `give_up` fires it is handed back and
/// goes on after the next start.
pub async fn run(pipeline: &SharedPipeline, turn: Turn, give_up: &CancellationToken) {
    let span = info_span!("turn", id = %turn.key.id, conversation = turn.conversation);
    pipeline.counters.running.fetch_add(1, Ordering::Relaxed);
    run_in_span(pipeline, turn, give_up).instrument(span).await;
    pipeline.counters.running.fetch_sub(1, Ordering::Relaxed);
}

async fn run_in_span(pipeline: &SharedPipeline, turn: Turn, give_up: &CancellationToken) {
    let Some(message) = wanted(pipeline, &turn) else {
        finish(pipeline, &turn, silent()).await;
        return;
    };
    let language = Language::of(&message.text);
    let board = Board::new(language, &pipeline.model.config().model);
    let ended = CancellationToken::new();
    let show = signs::show(
        Arc::clone(pipeline),
        turn.clone(),
        message.clone(),
        board.clone(),
        ended.clone(),
    );
    let shown = tokio::spawn(show.in_current_span());

    let answered = answer(pipeline, &turn, &message, &board, give_up).await;
    ended.cancel();
    let shown = shown.await.unwrap_or_default();

    let result = match answered {
        Ok(outcome) => {
            info!(
                steps = outcome.steps,
                chars = outcome.answer.chars().count(),
                "answered"
            );
            Counters::count(&pipeline.counters.answered);
            answered_result(&turn, &message, &board, &shown, outcome)
        }
        Err(Ended::HandedBack) => {
            info!("the turn is handed back; it goes on after the next start");
            if let Err(error) = pipeline.store.release(turn.key).await {
                warn!(
                    "the turn could not be handed back, it will be found at the next start: {error}"
                );
            }
            return;
        }
        Err(Ended::Notice(notice, why)) => {
            warn!("the turn failed: {why}");
            Counters::count(&pipeline.counters.failed);
            failed_result(&turn, &message, &board, &shown, notice.text(language), why)
        }
    };
    finish(pipeline, &turn, result).await;
}

/// Why a turn has no answer.
enum Ended {
    /// The daemon stops.
    HandedBack,
    /// The person gets this notice; the words are for the operator.
    Notice(Notice, String),
}

/// The message, if it is still to be answered now that it is known who the
/// bot is.
fn wanted(pipeline: &SharedPipeline, turn: &Turn) -> Option<InboundMessage> {
    let bot_open_id = pipeline.identity.borrow().clone()?;
    let identity = pipeline.settings.identity(Some(&bot_open_id));
    let event = Event::parse(&turn.body).ok()?;
    let message = InboundMessage::from_event(&event, identity)?;
    match pipeline.settings.policy.decide(&message, true) {
        Decision::Answer => Some(message),
        Decision::Ignore(why) => {
            info!(why, "the message is left alone");
            None
        }
    }
}

async fn answer(
    pipeline: &SharedPipeline,
    turn: &Turn,
    message: &InboundMessage,
    board: &Board,
    give_up: &CancellationToken,
) -> Result<TurnOutcome, Ended> {
    if turn.attempts > ATTEMPTS_MAX {
        let why = format!("{} runs were cut off", turn.attempts - 1);
        return Err(Ended::Notice(Notice::Interrupted, why));
    }
    let stored = |error: xiaoo_store::StoreError| {
        Ended::Notice(Notice::Failed, format!("the store cannot be read: {error}"))
    };
    let history = history(pipeline, turn).await.map_err(stored)?;
    let resume = resume(&pipeline.store, turn).await.map_err(stored)?;
    if !resume.is_empty() {
        info!(steps = resume.len(), "goes on from the last recorded step");
    }
    let request = TurnRequest {
        system: &pipeline.settings.system_prompt,
        history: &history,
        user: Message::user(user_text(message)),
        resume,
        tools: &pipeline.tools,
        limits: pipeline.settings.turn_limits,
    };
    let mut recorder = Recorder {
        store: &pipeline.store,
        turn: turn.key,
        board,
    };
    let running = run_turn(&pipeline.model, request, &mut recorder, give_up);
    match tokio::time::timeout(pipeline.settings.turn_timeout, running).await {
        Err(_) => {
            let why = format!("no answer within {:?}", pipeline.settings.turn_timeout);
            Err(Ended::Notice(Notice::TimedOut, why))
        }
        Ok(Err(TurnError::Cancelled)) => Err(Ended::HandedBack),
        Ok(Err(error)) => Err(Ended::Notice(Notice::Failed, error.to_string())),
        Ok(Ok(outcome)) => Ok(outcome),
    }
}

/// What the model reads as the person's words.
fn user_text(message: &InboundMessage) -> String {
    if message.text.is_empty() {
        "(the message has no text)".to_owned()
    } else {
        message.text.clone()
    }
}

async fn history(
    pipeline: &SharedPipeline,
    turn: &Turn,
) -> Result<Vec<Message>, xiaoo_store::StoreError> {
    let bytes_max = pipeline.settings.turn_limits.history_bytes_max;
    let rows = pipeline
        .store
        .history(&turn.conversation, HISTORY_ROWS_MAX, bytes_max)
        .await?;
    Ok(rows
        .iter()
        .filter_map(|row| kept_message(&row.body))
        .collect())
}

async fn resume(store: &Store, turn: &Turn) -> Result<Vec<Message>, xiaoo_store::StoreError> {
    if turn.attempts <= 1 {
        return Ok(Vec::new());
    }
    let steps = store.steps(turn.key.id).await?;
    Ok(steps
        .iter()
        .filter_map(|step| kept_message(&step.body))
        .collect())
}

/// A row that cannot be read (of a newer version, say) is left out and said;
/// the conversation goes on without it.
fn kept_message(body: &[u8]) -> Option<Message> {
    serde_json::from_slice(body)
        .inspect_err(|error| warn!("a kept message cannot be read: {error}"))
        .ok()
}

fn keep_message(message: &Message) -> Result<String, serde_json::Error> {
    serde_json::to_string(message)
}

/// Shows progress, and makes each step durable before the turn goes on.
struct Recorder<'a> {
    store: &'a Store,
    turn: TurnKey,
    board: &'a Board,
}

impl Observer for Recorder<'_> {
    fn progress(&mut self, progress: Progress) {
        self.board.update(progress);
    }

    async fn record(&mut self, message: &Message) -> Result<(), RecordFailed> {
        let body = keep_message(message).map_err(|error| RecordFailed(error.to_string()))?;
        let step = Step {
            kind: "message".into(),
            body: body.into(),
        };
        match self.store.note_step(self.turn, step).await {
            Ok(Fenced::Done) => Ok(()),
            Ok(Fenced::Replaced) => Err(RecordFailed("the turn belongs to another run now".into())),
            Err(error) => Err(RecordFailed(error.to_string())),
        }
    }
}

fn answered_result(
    turn: &Turn,
    message: &InboundMessage,
    board: &Board,
    shown: &Shown,
    outcome: TurnOutcome,
) -> TurnResult {
    let history = outcome
        .new_messages
        .iter()
        .filter_map(|kept| {
            let body = keep_message(kept).ok()?;
            Some(NewHistory {
                role: role(kept).into(),
                body: body.into(),
            })
        })
        .collect();
    let contents = answer::contents(&outcome.answer);
    TurnResult {
        outcome: Outcome::Answered,
        detail: None,
        finished_ms: unix_ms(),
        history,
        outbox: outbox(turn, message, board, shown, Phase::Done, contents),
    }
}

fn failed_result(
    turn: &Turn,
    message: &InboundMessage,
    board: &Board,
    shown: &Shown,
    notice: &str,
    why: String,
) -> TurnResult {
    TurnResult {
        outcome: Outcome::Failed,
        detail: Some(why),
        finished_ms: unix_ms(),
        history: Vec::new(),
        outbox: outbox(
            turn,
            message,
            board,
            shown,
            Phase::Failed,
            vec![notice::content(notice)],
        ),
    }
}

fn silent() -> TurnResult {
    TurnResult {
        outcome: Outcome::Silent,
        detail: None,
        finished_ms: unix_ms(),
        history: Vec::new(),
        outbox: Vec::new(),
    }
}

/// What is to be sent, in order: the card's final state, the answer, and the
/// reaction taken away.
fn outbox(
    turn: &Turn,
    message: &InboundMessage,
    board: &Board,
    shown: &Shown,
    phase: Phase,
    contents: Vec<Content>,
) -> Vec<NewOutbox> {
    let mut sendings = Vec::new();
    if shown.card.is_some() || shown.card_unknown {
        sendings.push(Sending::FinishCard {
            card: shown.card.clone(),
            reply_to: message.message_id.clone(),
            create_uuid: card_uuid(turn),
            content: board.render(phase),
        });
    }
    for content in contents {
        sendings.push(Sending::Reply {
            message_id: message.message_id.clone(),
            chat_id: message.chat_id.clone(),
            in_thread: message
                .thread_id
                .as_deref()
                .is_some_and(|id| !id.is_empty()),
            msg_type: content.msg_type.to_owned(),
            content: content.content,
            fallback: content.fallback,
        });
    }
    if let Some(reaction) = &shown.reaction {
        sendings.push(Sending::TakeReactionAway {
            message_id: message.message_id.clone(),
            reaction: reaction.clone(),
        });
    }
    (0_u32..)
        .zip(sendings)
        .map(|(ordinal, sending)| NewOutbox {
            uuid: derive_uuid(&turn.app, event_key(turn), ordinal),
            kind: sending.kind().to_owned(),
            body: sending.to_body(),
        })
        .collect()
}

fn role(message: &Message) -> &'static str {
    match message {
        Message::User { .. } => "user",
        Message::Assistant { .. } => "assistant",
        Message::Tool { .. } => "tool",
    }
}

/// Tries to end the turn in the store; without it the answer must not be sent.
async fn finish(pipeline: &SharedPipeline, turn: &Turn, result: TurnResult) {
    match pipeline.store.finish(turn.key, result).await {
        Ok(Fenced::Done) => pipeline.outbox_bell.notify_one(),
        Ok(Fenced::Replaced) => info!("the turn belongs to another run now"),
        Err(error) => {
            error!("the turn's result could not be kept; it runs again after a restart: {error}")
        }
    }
}
