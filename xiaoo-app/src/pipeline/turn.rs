//! One turn: a message in, an answer or an honest notice out.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use proto_core::{Event, InboundMessage};
use runtime_tokio::openapi::derive_uuid;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, error, info, info_span, warn};
use xiaoo_agent::{
    Message, Observer, Progress, RecordFailed, TurnError, TurnOutcome, TurnRequest, run_turn,
};
use xiaoo_store::{
    Fenced, NewHistory, NewOutbox, Outcome, Step, Store, StoreError, Turn, TurnKey, TurnResult,
};

use crate::render::answer::{self, Content};
use crate::render::card::Phase;
use crate::render::language::Language;
use crate::render::notice::{self, Notice};

use super::outbox::Sending;
use super::policy::Decision;
use super::signs::{self, Board, Shown, card_uuid, event_key};
use super::{Counters, SharedPipeline, unix_ms};
use crate::fail_point;

/// Runs of one turn before it ends in a notice: a message that brings the
/// process down must not do so for ever.
const ATTEMPTS_MAX: u32 = 3;
/// The wait before a result that could not be kept is tried again; doubles up
/// to [`FINISH_AGAIN_MAX`].
const FINISH_AGAIN: Duration = Duration::from_millis(200);
/// The longest of these waits.
const FINISH_AGAIN_MAX: Duration = Duration::from_secs(10);
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
        finish(pipeline, &turn, silent(), None, give_up).await;
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

    let failed = |notice: Notice, why: String| {
        failed_result(&turn, &message, &board, &shown, notice.text(language), why)
    };
    let (result, instead) = match answered {
        Ok(outcome) => {
            info!(
                steps = outcome.steps,
                chars = outcome.answer.chars().count(),
                "answered"
            );
            Counters::count(&pipeline.counters.answered);
            let instead = failed(Notice::Failed, "the answer could not be kept".into());
            (
                answered_result(&turn, &message, &board, &shown, outcome),
                Some(instead),
            )
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
            (failed(notice, why), None)
        }
    };
    finish(pipeline, &turn, result, instead, give_up).await;
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
    let stored = |error: StoreError| {
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

async fn history(pipeline: &SharedPipeline, turn: &Turn) -> Result<Vec<Message>, StoreError> {
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

/// What earlier runs have recorded. Also of a first attempt: one that was
/// handed back at a stop does not count, but its steps do.
async fn resume(store: &Store, turn: &Turn) -> Result<Vec<Message>, StoreError> {
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
        let is_result = matches!(message, Message::Tool { .. });
        fail_point::pass(if is_result {
            "tool.returned"
        } else {
            "model.replied"
        });
        let body = keep_message(message).map_err(|error| RecordFailed(error.to_string()))?;
        let step = Step {
            kind: "message".into(),
            body: body.into(),
        };
        match self.store.note_step(self.turn, step).await {
            Ok(Fenced::Done) => {
                fail_point::pass("model.recorded");
                Ok(())
            }
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

/// What is to be sent, in order: the answer, the card's final state, and the
/// reaction taken away.
fn outbox(
    turn: &Turn,
    message: &InboundMessage,
    board: &Board,
    shown: &Shown,
    phase: Phase,
    contents: Vec<Content>,
) -> Vec<NewOutbox> {
    let thread_id = message.thread_id.clone().filter(|id| !id.is_empty());
    let mut sendings = Vec::new();
    for (part, content) in contents.into_iter().enumerate() {
        sendings.push(Sending::Reply {
            message_id: message.message_id.clone(),
            chat_id: message.chat_id.clone(),
            in_thread: thread_id.is_some(),
            thread_id: thread_id.clone(),
            msg_type: content.msg_type.to_owned(),
            content: content.content,
            fallback: content.fallback,
            part,
            asked_ms: turn.received_ms,
        });
    }
    let finished = (shown.card.is_some() || shown.card_unknown).then(|| Sending::FinishCard {
        card: shown.card.clone(),
        reply_to: message.message_id.clone(),
        create_uuid: card_uuid(turn),
        content: board.render(phase),
        chat_id: message.chat_id.clone(),
        thread_id,
        asked_ms: turn.received_ms,
    });
    // An update that was abandoned under way may arrive behind the final state:
    // that is shown once more at the end.
    let again = finished.clone().filter(|_| shown.late_update);
    sendings.extend(finished);
    if shown.reaction.is_some() || shown.reaction_unknown {
        sendings.push(Sending::TakeReactionAway {
            message_id: message.message_id.clone(),
            reaction: shown.reaction.clone(),
            emoji: shown.emoji.clone(),
        });
    }
    sendings.extend(again);
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

/// Ends the turn in the store: without that the answer must not be sent. What
/// passes (a full disk, a server that is away) is waited for, until the daemon
/// stops; a result that can't be kept becomes a notice.
async fn finish(
    pipeline: &SharedPipeline,
    turn: &Turn,
    mut result: TurnResult,
    instead: Option<TurnResult>,
    give_up: &CancellationToken,
) {
    let mut instead = instead;
    let mut wait = FINISH_AGAIN;
    fail_point::pass("finish.before_commit");
    loop {
        let error = match pipeline.store.finish(turn.key, result.clone()).await {
            Ok(Fenced::Done) => {
                fail_point::pass("finish.after_commit");
                pipeline.outbox_bell.notify_one();
                return;
            }
            Ok(Fenced::Replaced) => {
                info!("the turn has ended already, or belongs to another run");
                // An earlier try of this loop may be what ended it.
                pipeline.outbox_bell.notify_one();
                return;
            }
            Err(error) => error,
        };
        if let (StoreError::TooLarge { .. }, Some(notice)) = (&error, instead.take()) {
            error!("the turn's result cannot be kept, a notice goes out instead: {error}");
            result = notice;
            continue;
        }
        error!("the turn's result could not be kept, trying again: {error}");
        tokio::select! {
            () = give_up.cancelled() => return,
            () = tokio::time::sleep(wait) => {}
        }
        wait = (wait * 2).min(FINISH_AGAIN_MAX);
    }
}
