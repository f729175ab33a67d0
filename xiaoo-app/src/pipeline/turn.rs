//! One turn: a message in, an answer or an honest notice out.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use planted::Defect;
use proto_core::{Event, InboundMessage};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, info, info_span, warn};
use xiaoo_agent::{
    Message, Observer, Progress, RecordFailed, TurnError, TurnOutcome, TurnRequest, run_turn,
};
use xiaoo_store::{Fenced, Outcome, Step, Store, StoreError, Turn, TurnKey};

use super::admission::LATE_TURN;
use super::busy::{self, BUSY_TURN, MARKED_TURN};
use super::outcome::{Ending, finish, keep_message, silent};
use super::policy::{Decision, Known};
use super::signs::{self, Board, Shown};
use super::{Counters, SharedPipeline};
use crate::agents::Agent;
use crate::fail_point;
use crate::render::language::Language;
use crate::render::notice::Notice;

/// Runs of one turn before it ends in a notice: a message that brings the
/// process down must not do so for ever, and one that was in the way of others
/// that do should get its answer.
const ATTEMPTS_MAX: u32 = 5;
/// Times below are not Unix milliseconds: as such they would be of 2001.
const MILLISECONDS_SINCE: i64 = 1_000_000_000_000;
/// The wait before a turn that could not be handed back is handed back again.
const HAND_BACK_AGAIN: Duration = Duration::from_secs(1);
/// Rows of history that are read; the agent fits them to the model.
const HISTORY_ROWS_MAX: usize = 400;

/// Runs a claimed turn to its end. When `give_up` fires it is handed back and
/// goes on after the next start.
pub async fn run(pipeline: &SharedPipeline, turn: Turn, give_up: &CancellationToken) {
    let span = info_span!(
        "turn",
        id = %turn.key.id,
        conversation = turn.conversation,
        message_id = turn.message_id,
        attempt = turn.attempts,
    );
    pipeline.counters.running.fetch_add(1, Ordering::Relaxed);
    run_in_span(pipeline, turn, give_up).instrument(span).await;
    pipeline.counters.running.fetch_sub(1, Ordering::Relaxed);
}

async fn run_in_span(pipeline: &SharedPipeline, turn: Turn, give_up: &CancellationToken) {
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
    let language = Language::of(&message.text);
    let agent = pipeline
        .agents
        .of(&message.chat_id, &message.sender_open_id);
    let board = Board::new(language, &agent.model.config().model);
    if let Some((notice, why)) = unanswered(pipeline, &turn, &message) {
        let shown = Shown::by_earlier_runs(&turn, &pipeline.settings);
        let ending = Ending {
            turn: &turn,
            message: &message,
            board: &board,
            shown: &shown,
            now_ms: pipeline.now_ms(),
        };
        let text = notice.map(|notice| notice.text(language));
        let result = ending.noticed(Outcome::Refused, text, why);
        finish(pipeline, &turn, result, None, give_up).await;
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

    let answered = answer(pipeline, agent, &turn, &message, &board, give_up).await;
    ended.cancel();
    let shown = shown.await.unwrap_or_default();

    let ending = Ending {
        turn: &turn,
        message: &message,
        board: &board,
        shown: &shown,
        now_ms: pipeline.now_ms(),
    };
    let failed = |notice: Notice, why: String| {
        ending.noticed(Outcome::Failed, Some(notice.text(language)), why)
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
            (ending.answered(&outcome), Some(instead))
        }
        Err(Ended::HandedBack) => {
            info!("the turn is handed back and goes on later");
            hand_back(pipeline, &turn, give_up).await;
            return;
        }
        Err(Ended::Replaced) => {
            info!("the turn belongs to another run now");
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

/// Why a message is not to be answered, if so, and what its sender is told.
fn unanswered(
    pipeline: &SharedPipeline,
    turn: &Turn,
    message: &InboundMessage,
) -> Option<(Option<Notice>, String)> {
    let (settings, counters) = (&pipeline.settings, &pipeline.counters);
    if turn.kind == BUSY_TURN {
        return Some((
            Some(Notice::Busy),
            "the conversation's backlog is full".into(),
        ));
    }
    let age_max = settings.message_age_max?;
    // A time that is none, or in seconds, is the platform's slip.
    let said_ms = if message.create_time_ms >= MILLISECONDS_SINCE {
        message.create_time_ms
    } else {
        turn.received_ms
    };
    if !pipeline.is_older(said_ms, age_max) {
        return None;
    }
    warn!(
        message_id = message.message_id,
        told = settings.late_notice,
        "a message is older than {age_max:?} and is not answered"
    );
    Counters::count(&counters.late);
    let notice = settings.late_notice.then_some(Notice::Late);
    Some((notice, format!("the message is older than {age_max:?}")))
}

/// Puts the turn back. One that is neither run nor handed back would stand still for
/// as long as this process lives, so a store that is away is waited for.
async fn hand_back(pipeline: &SharedPipeline, turn: &Turn, give_up: &CancellationToken) {
    loop {
        let error = match pipeline.store.release(turn.key).await {
            Ok(Fenced::Done | Fenced::Replaced) => return,
            Err(error) => error,
        };
        if give_up.is_cancelled() || !error.is_retryable() {
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
    /// The person gets this notice; the words are for the operator.
    Notice(Notice, String),
}

impl Ended {
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
            Self::Notice(Notice::Failed, error.to_string())
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

async fn answer(
    pipeline: &SharedPipeline,
    agent: &Agent,
    turn: &Turn,
    message: &InboundMessage,
    board: &Board,
    give_up: &CancellationToken,
) -> Result<TurnOutcome, Ended> {
    if turn.attempts > ATTEMPTS_MAX {
        let why = format!("{} runs were cut off", turn.attempts - 1);
        return Err(Ended::Notice(Notice::Interrupted, why));
    }
    let history = history(pipeline, agent, turn)
        .await
        .map_err(Ended::by_store)?;
    let resume = resume(&pipeline.store, turn)
        .await
        .map_err(Ended::by_store)?;
    if !resume.is_empty() {
        info!(steps = resume.len(), "goes on from the last recorded step");
    }
    let request = TurnRequest {
        system: &agent.system_prompt,
        history: &history,
        user: Message::user(user_text(turn, message, pipeline.now_ms())),
        resume,
        tools: &agent.tools,
        limits: agent.limits,
    };
    let mut recorder = Recorder {
        store: &pipeline.store,
        turn: turn.key,
        board,
        cut_off: None,
    };
    let running = run_turn(&agent.model, request, &mut recorder, give_up);
    let ran = tokio::time::timeout(pipeline.settings.turn_timeout, running).await;
    match ran {
        Err(_) => {
            let why = format!("no answer within {:?}", pipeline.settings.turn_timeout);
            Err(Ended::Notice(Notice::TimedOut, why))
        }
        Ok(Err(TurnError::Cancelled)) => Err(Ended::HandedBack),
        Ok(Err(error)) => Err(recorder
            .cut_off
            .unwrap_or_else(|| Ended::Notice(Notice::Failed, error.to_string()))),
        Ok(Ok(outcome)) => Ok(outcome),
    }
}

/// What the model reads as the person's words.
fn user_text(turn: &Turn, message: &InboundMessage, now_ms: i64) -> String {
    let text = if message.text.is_empty() {
        "(the message has no text)"
    } else {
        &message.text
    };
    if turn.kind != LATE_TURN {
        return text.to_owned();
    }
    let minutes = now_ms.saturating_sub(message.create_time_ms) / 60_000;
    format!(
        "(This message was sent {minutes} minutes ago, while you could not be reached. \
         Say so if it matters for the answer.)\n{text}"
    )
}

async fn history(
    pipeline: &SharedPipeline,
    agent: &Agent,
    turn: &Turn,
) -> Result<Vec<Message>, StoreError> {
    let bytes_max = agent.limits.history_bytes_max;
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
    if planted::is(Defect::NoResume) {
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

/// Shows progress, and makes each step durable before the turn goes on.
struct Recorder<'a> {
    store: &'a Store,
    turn: TurnKey,
    board: &'a Board,
    /// Why a step could not be kept.
    cut_off: Option<Ended>,
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
        let (ended, why) = match self.store.note_step(self.turn, step).await {
            Ok(Fenced::Done) => {
                fail_point::pass("model.recorded");
                return Ok(());
            }
            Ok(Fenced::Replaced) => (
                Ended::Replaced,
                "the turn belongs to another run now".to_owned(),
            ),
            Err(error) => {
                let why = error.to_string();
                (Ended::by_store(error), why)
            }
        };
        self.cut_off = Some(ended);
        Err(RecordFailed(why))
    }
}
