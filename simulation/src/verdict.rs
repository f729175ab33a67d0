//! The last look at a world: nothing is lost, nothing is left.

use crate::feishu::api::MARK;
use crate::feishu::shown::is_final;
use crate::world::{State, World};

/// Whether all that is to be done is done.
pub fn is_done(world: &World) -> bool {
    let state = world.lock();
    let is_back = |message: &String| state.ledger.by_message.contains_key(message);
    state.ledger.is_drained()
        && left_over(&state).next().is_none()
        && links_in_use(&state).next().is_none()
        && missed(world, &state).all(is_back)
}

/// How much longer than the daemons' patience an outage is that they must notice: a
/// link that has gone deaf looks open for a while, looks are a minute apart, and the
/// clock jumps.
const NOTICED_MS: i64 = (150 + 60 + 220) * 1_000;

/// Messages that were written in an outage, that the platform has given up, and that
/// must have been read back since.
fn missed<'a>(world: &World, state: &'a State) -> impl Iterator<Item = &'a String> {
    let recover_after = world.plan().recover_after;
    let patience_ms = recover_after.map(|patience| patience.as_millis() as i64 + NOTICED_MS);
    state
        .given_up
        .iter()
        .filter_map(move |(message, written_ms)| {
            let mut gaps = state.reach.gaps.iter();
            let (_, until) = gaps.find(|(from, until)| {
                (from..until).contains(&written_ms) && Some(until - from) > patience_ms
            })?;
            patience_ms?;
            let place = state.chat_of.get(message)?;
            let is_recalled = state.feishu.messages.get(message)?.recalled;
            let is_owed = state.ledger.is_known(place, *until) && !is_recalled;
            is_owed.then_some(message)
        })
}

/// Checks what must be true at the end.
pub fn last(world: &World) {
    let mut state = world.lock();
    let unfinished: Vec<String> = state
        .ledger
        .turns
        .iter()
        .filter(|(_, turn)| turn.ended.is_none() || turn.rows_open > 0)
        .map(|(id, turn)| {
            let (ended, rows) = (turn.ended, turn.rows_open);
            format!(
                "turn {id} of {} is not done: {ended:?}, {rows} rows",
                turn.message
            )
        })
        .collect();
    let unanswered: Vec<String> = state
        .acknowledged
        .iter()
        .filter(|(message, is_wanted)| **is_wanted && is_lost(&state, message))
        .map(|(message, _)| format!("{message} is acknowledged and not answered"))
        .collect();
    let missed: Vec<String> = missed(world, &state)
        .filter(|message| is_lost(&state, message))
        .map(|message| format!("{message} was missed in an outage and is not answered"))
        .collect();
    let intruding: Vec<String> = state
        .acknowledged
        .iter()
        .filter(|(message, is_wanted)| !**is_wanted && state.feishu.shown.is_answered(message))
        .map(|(message, _)| format!("{message} is answered and nobody asked"))
        .collect();
    let kept_back: Vec<String> = state
        .ledger
        .files
        .iter()
        .filter(|(turn, file)| {
            let mut dead = state.ledger.dead.iter();
            let is_dead = dead.any(|(owner, kind, _)| owner == turn && kind == "file");
            !is_dead && !state.feishu.shown.has_file(file)
        })
        .map(|(turn, file)| format!("the file {file} of turn {turn} was never shown"))
        .collect();
    let left: Vec<String> = left_over(&state).collect();
    let held: Vec<String> = links_in_use(&state).collect();
    for what in [
        unfinished, unanswered, missed, intruding, kept_back, left, held,
    ]
    .concat()
    {
        state.violated(format_args!("{what}"));
    }
}

/// Whether nothing was ever said about a message, without a good reason.
fn is_lost(state: &State, message: &str) -> bool {
    let shown = &state.feishu.shown;
    if shown.is_answered(message) || shown.is_marked(message) {
        return false;
    }
    if !state.ledger.by_message.contains_key(message) {
        return true;
    }
    let written = state.feishu.messages.get(message);
    if written.is_some_and(|written| written.recalled) {
        // Its notice goes to the chat and says not what it is about; a mark it has none.
        return false;
    }
    !state.ledger.is_dead(message, "reply") && !state.ledger.is_dead(message, "mark")
}

/// Links that still hold what came in, long after it did.
fn links_in_use(state: &State) -> impl Iterator<Item = String> {
    let alive = state.processes.iter();
    let alive = alive.filter(|(_, life)| !life.died.is_cancelled());
    alive.filter_map(|(pid, life)| {
        let link = life.link.as_ref()?.snapshot();
        let (joining, in_flight) = (link.joining_bytes, link.in_flight);
        let is_used = joining > 0 || in_flight > 0;
        is_used.then(|| {
            format!("process {pid} still holds {joining} bytes of parts, {in_flight} deliveries")
        })
    })
}

/// What is still on people's screens and should not be.
fn left_over(state: &State) -> impl Iterator<Item = String> {
    let dead = |about: &str, kind: &str| state.ledger.is_dead(about, kind);
    let cards = state.feishu.shown.cards().filter_map(move |(about, card)| {
        let content = &state.feishu.messages.get(card)?.content;
        let is_excused = state.feishu.excused.contains(card) || dead(about, "card");
        let is_left = !is_final(content) && !is_excused;
        is_left.then(|| format!("the card {card} about {about} still says that it works"))
    });
    let reactions = state
        .feishu
        .reactions
        .iter()
        .filter_map(move |(about, there)| {
            // What is on a recalled message nobody sees.
            let message = state.feishu.messages.get(about)?;
            let is_there = there.iter().any(|(_, emoji)| emoji != MARK);
            let is_left = is_there && !message.recalled && !dead(about, "unreact");
            is_left.then(|| format!("the reaction on {about} is still there"))
        });
    cards.chain(reactions)
}
