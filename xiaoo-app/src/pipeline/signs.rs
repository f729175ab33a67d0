//! Signs of life while a turn runs: the reaction on the person's message and
//! the progress card.
//!
//! They are best effort and never hold a turn up. What is shown is noted in
//! the store, so that it is taken away or finished even after a restart.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use proto_core::InboundMessage;
use runtime_tokio::openapi::{ApiError, derive_uuid};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};
use xiaoo_agent::Progress;
use xiaoo_store::{Fenced, Sign, Signs, Turn};

use crate::render::card::{CardView, Phase, ToolLine};
use crate::render::language::Language;

use super::lookup::{Fate, Sought, What};
use super::outbox::{RESENT_BLINDLY, look_up};
use super::{Settings, SharedPipeline};
use crate::fail_point::{self, FailPoint};

/// Waits between two updates of a card. With them a turn of up to 24 seconds
/// stays within eight calls; a longer one is updated less often than Feishu
/// would allow, for whoever else writes in that group.
const UPDATE_GAPS: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(3)];
/// The wait after those.
const UPDATE_GAP_LATER: Duration = Duration::from_secs(10);
/// How long a call that is under way when the turn ends is waited for. The
/// outbox finishes what it leaves open.
const LAST_CALL: Duration = Duration::from_secs(5);
/// How long a try that was given up may still take to arrive. One that the
/// client has not heard of for so long is slow on the platform's side.
pub(super) const SETTLED_AFTER: Duration = Duration::from_secs(20);
/// A call that took this long has given a try up on its way.
const TRY_TIMEOUT: Duration = Duration::from_secs(15);
/// Tool lines that a card shows; older ones give way.
const TOOL_LINES_MAX: usize = 12;

/// The ordinal of the card's uuid; answers count from 0.
pub const CARD_ORDINAL: u32 = 1_000_000;

/// What a turn does now, for the card.
#[derive(Clone, Debug)]
pub struct Board {
    view: Arc<Mutex<CardView>>,
    changed: watch::Sender<u64>,
    started: Instant,
    began_ms: i64,
}

impl Board {
    /// A board for a turn that begins now, which is `now_ms` Unix milliseconds.
    #[must_use]
    pub fn new(language: Language, model: &str, now_ms: i64) -> Self {
        Self {
            view: Arc::new(Mutex::new(CardView::working(language, model))),
            changed: watch::Sender::new(0),
            started: Instant::now(),
            began_ms: now_ms,
        }
    }

    /// When its turn began, Unix milliseconds.
    #[must_use]
    pub fn began_ms(&self) -> i64 {
        self.began_ms
    }

    /// Takes progress of the agent in.
    pub fn update(&self, progress: Progress) {
        {
            let mut view = self.view.lock().unwrap_or_else(PoisonError::into_inner);
            match progress {
                Progress::Thinking => view.stage = crate::render::card::Stage::Thinking,
                Progress::Writing { chars, preview } => {
                    view.stage = crate::render::card::Stage::Writing { chars, preview };
                }
                Progress::ToolStarted { name } => {
                    if view.tools.len() == TOOL_LINES_MAX {
                        view.tools.remove(0);
                    }
                    view.tools.push(ToolLine { name, ok: None });
                    view.stage = crate::render::card::Stage::Thinking;
                }
                Progress::ToolFinished { name, ok } => {
                    let line = view
                        .tools
                        .iter_mut()
                        .rev()
                        .find(|line| line.name == name && line.ok.is_none());
                    if let Some(line) = line {
                        line.ok = Some(ok);
                    }
                }
                Progress::Retrying { attempt, .. } => {
                    view.stage = crate::render::card::Stage::Retrying { attempt };
                }
                Progress::WaitingForApproval { tool } => {
                    view.stage = crate::render::card::Stage::AwaitingApproval { tool };
                }
                Progress::WaitingForPerson { .. } => {
                    view.stage = crate::render::card::Stage::AwaitingAnswer;
                }
                Progress::Compacting => view.stage = crate::render::card::Stage::Thinking,
                Progress::FellBack { model, .. } => {
                    view.model = model;
                    view.stage = crate::render::card::Stage::Thinking;
                }
            }
        }
        self.changed.send_modify(|version| *version += 1);
    }

    /// What it shows now.
    #[must_use]
    pub fn look(&self) -> CardView {
        let view = self.view.lock().unwrap_or_else(PoisonError::into_inner);
        CardView {
            elapsed: self.started.elapsed(),
            ..view.clone()
        }
    }

    /// The card's content in this phase.
    #[must_use]
    pub fn render(&self, phase: Phase) -> String {
        let view = CardView {
            phase,
            ..self.look()
        };
        view.to_json()
    }
}

/// What a turn has left on people's screens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shown {
    /// The reaction's id.
    pub reaction: Option<String>,
    /// The card's message id.
    pub card: Option<String>,
    /// A card was asked for and its fate is not known.
    pub card_unknown: bool,
    /// A reaction was asked for and its fate is not known.
    pub reaction_unknown: bool,
    /// Which reaction that is.
    pub emoji: String,
    /// A try that was given up may still arrive, behind what the outbox does.
    pub unsettled: bool,
}

impl Shown {
    /// What runs that were cut off have noted, or may have left without a note.
    #[must_use]
    pub fn by_earlier_runs(turn: &Turn, settings: &Settings) -> Self {
        let Signs { reaction, card } = turn.signs.clone();
        Self {
            reaction_unknown: reaction.is_none() && turn.attempts > 1,
            reaction,
            emoji: settings.reaction.clone().unwrap_or_default(),
            card_unknown: card.is_none() && turn.attempts > 1 && settings.progress_card,
            card,
            unsettled: false,
        }
    }
}

/// Shows signs of life until `ended`, and tells what is left to clean up.
pub async fn show(
    pipeline: SharedPipeline,
    turn: Turn,
    message: InboundMessage,
    board: Board,
    ended: CancellationToken,
) -> Shown {
    let ((reaction, reaction_unclear), (card, card_unclear)) = tokio::join!(
        async {
            let began = Instant::now();
            let reacted = bounded(&ended, react(&pipeline, &turn, &message)).await;
            let reacted = reacted.unwrap_or(Sighted::Unknown);
            let is_unclear = matches!(reacted, Sighted::Unknown) || began.elapsed() >= TRY_TIMEOUT;
            (reacted, is_unclear.then(Instant::now))
        },
        async {
            if !pipeline.settings.progress_card {
                return (Sighted::Nothing, None);
            }
            let opened = bounded(&ended, open_card(&pipeline, &turn, &message, &board)).await;
            let unclear = match &opened {
                Some(Sighted::There(card)) => {
                    keep_updated(&pipeline, &turn, card, &board, &ended).await
                }
                // Within the hour its uuid says whether it came after all; later only
                // a look at the chat can, when it must have.
                Some(Sighted::Unknown) | None => pipeline
                    .is_older(turn.received_ms, RESENT_BLINDLY)
                    .then(Instant::now),
                Some(Sighted::Nothing) => None,
            };
            (opened.unwrap_or(Sighted::Unknown), unclear)
        }
    );
    // A daemon that was replaced may have had a call under way.
    let was_elsewhere = (turn.attempts > 1 && pipeline.store.is_shared()).then_some(board.started);
    let last_unclear = was_elsewhere.max(reaction_unclear).max(card_unclear);
    Shown {
        reaction_unknown: matches!(reaction, Sighted::Unknown),
        reaction: reaction.id(),
        emoji: pipeline.settings.reaction.clone().unwrap_or_default(),
        card_unknown: matches!(card, Sighted::Unknown),
        card: card.id(),
        unsettled: last_unclear.is_some_and(|at| at.elapsed() < SETTLED_AFTER),
    }
}

/// Whether people see a sign.
enum Sighted {
    There(String),
    Nothing,
    Unknown,
}

impl Sighted {
    fn id(self) -> Option<String> {
        match self {
            Self::There(id) => Some(id),
            Self::Nothing | Self::Unknown => None,
        }
    }

    /// After a refusal or a lost answer. An earlier run of the turn may have
    /// shown what this one could not, and what passes is made up for at the end.
    fn after(error: &ApiError, turn: &Turn) -> Self {
        if error.outcome_is_unknown() || error.is_retryable() || turn.attempts > 1 {
            Self::Unknown
        } else {
            Self::Nothing
        }
    }
}

/// Runs a call to its end, or until some time after the turn has ended.
async fn bounded<T>(ended: &CancellationToken, call: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        result = call => Some(result),
        () = async {
            ended.cancelled().await;
            tokio::time::sleep(LAST_CALL).await;
        } => None,
    }
}

async fn react(pipeline: &SharedPipeline, turn: &Turn, message: &InboundMessage) -> Sighted {
    if let Some(known) = &turn.signs.reaction {
        return Sighted::There(known.clone());
    }
    let Some(emoji) = pipeline.settings.reaction.as_deref() else {
        return Sighted::Nothing;
    };
    match pipeline.api.add_reaction(&message.message_id, emoji).await {
        Ok(reaction) => {
            fail_point::pass(FailPoint::ReactionShown);
            let sign = Sign::Reaction(Some(reaction.clone()));
            if let Err(error) = pipeline.store.note_sign(turn.key, sign).await {
                warn!("a reaction could not be noted: {error}");
            }
            Sighted::There(reaction)
        }
        Err(error) => {
            debug!(message_id = message.message_id, "no reaction: {error}");
            Sighted::after(&error, turn)
        }
    }
}

async fn open_card(
    pipeline: &SharedPipeline,
    turn: &Turn,
    message: &InboundMessage,
    board: &Board,
) -> Sighted {
    if let Some(known) = &turn.signs.card {
        return Sighted::There(known.clone());
    }
    let shown = match shown_long_ago(pipeline, turn, message).await {
        Some(Sighted::There(card)) => card,
        Some(unclear) => return unclear,
        None => {
            let uuid = card_uuid(turn);
            let content = board.render(Phase::Working);
            let about = (message.message_id.as_str(), message.chat_id.as_str());
            let sent = pipeline
                .api
                .reply_message(about, "interactive", &content, &uuid, false)
                .await;
            match sent {
                Ok(sent) => sent.message_id,
                Err(error) => {
                    warn!(message_id = message.message_id, "no progress card: {error}");
                    return Sighted::after(&error, turn);
                }
            }
        }
    };
    fail_point::pass(FailPoint::CardShown);
    let sign = Sign::Card(Some(shown.clone()));
    if let Err(error) = pipeline.store.note_sign(turn.key, sign).await {
        warn!("a progress card could not be noted: {error}");
    }
    Sighted::There(shown)
}

/// A card of an earlier run that died before it could note it, when Feishu no
/// longer knows its uuid. `None`: send it, nothing can be doubled.
async fn shown_long_ago(
    pipeline: &SharedPipeline,
    turn: &Turn,
    message: &InboundMessage,
) -> Option<Sighted> {
    if turn.attempts <= 1 || !pipeline.is_older(turn.received_ms, RESENT_BLINDLY) {
        return None;
    }
    let sought = Sought {
        chat_id: &message.chat_id,
        thread_id: message.thread_id.as_deref().filter(|id| !id.is_empty()),
        reply_to: &message.message_id,
        asked_ms: turn.received_ms,
        first_try_ms: turn.received_ms,
        what: What::Card,
    };
    match look_up(pipeline, &sought).await {
        Ok(Fate::Sent(card)) => Some(Sighted::There(card)),
        Ok(Fate::Absent) => None,
        Ok(Fate::Unknown(why)) => {
            debug!("whether there is a card cannot be known: {why}");
            Some(Sighted::Unknown)
        }
        Err(error) => {
            debug!("whether there is a card is not known yet: {error}");
            Some(Sighted::Unknown)
        }
    }
}

/// Patches the card when something changed, never faster than the gaps allow.
/// Says when a try of one was last given up: it may still arrive.
async fn keep_updated(
    pipeline: &SharedPipeline,
    turn: &Turn,
    card: &str,
    board: &Board,
    ended: &CancellationToken,
) -> Option<Instant> {
    let mut changed = board.changed.subscribe();
    let mut unclear = None;
    for gap in UPDATE_GAPS
        .into_iter()
        .chain(core::iter::repeat(UPDATE_GAP_LATER))
    {
        let due = async {
            tokio::time::sleep(gap).await;
            // The sender lives in `board`, so this ends only with news.
            let _ = changed.changed().await;
        };
        tokio::select! {
            () = ended.cancelled() => return unclear,
            () = due => {}
        }
        // Another daemon that has taken the turn over may have finished the card.
        let sign = Sign::Card(Some(card.to_owned()));
        match pipeline.store.note_sign(turn.key, sign).await {
            Ok(Fenced::Done) => {}
            Ok(Fenced::Replaced) => return None,
            Err(error) => {
                debug!("a progress card was not updated: {error}");
                continue;
            }
        }
        let content = board.render(Phase::Working);
        let began = Instant::now();
        let patched = bounded(ended, pipeline.api.patch_card(card, &content)).await;
        let is_known = match patched {
            Some(Ok(())) => true,
            Some(Err(error)) => {
                debug!("a progress card was not updated: {error}");
                if error.target_is_gone() {
                    return None;
                }
                !error.outcome_is_unknown()
            }
            None => false,
        };
        if !is_known || began.elapsed() >= TRY_TIMEOUT {
            unclear = Some(Instant::now());
        }
    }
    unclear
}

/// The uuid under which a turn's card is sent, whoever sends it.
#[must_use]
pub fn card_uuid(turn: &Turn) -> String {
    derive_uuid(&turn.app, event_key(turn), CARD_ORDINAL)
}

/// What names a turn's event in uuids: the message, which stays the same when
/// Feishu pushes it again under another event id.
#[must_use]
pub fn event_key(turn: &Turn) -> &str {
    turn.message_id.as_deref().unwrap_or(&turn.event_id)
}
