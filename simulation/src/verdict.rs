//! The last look at a world: nothing is lost, nothing is left.

use crate::feishu::shown::is_final;
use crate::world::{State, World};

/// Whether all that is to be done is done.
pub fn is_done(world: &World) -> bool {
    let state = world.lock();
    state.ledger.is_drained() && left_over(&state).next().is_none()
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
    let intruding: Vec<String> = state
        .acknowledged
        .iter()
        .filter(|(message, is_wanted)| !**is_wanted && state.feishu.shown.is_answered(message))
        .map(|(message, _)| format!("{message} is answered and nobody asked"))
        .collect();
    let left: Vec<String> = left_over(&state).collect();
    for what in [unfinished, unanswered, intruding, left].concat() {
        state.violated(format_args!("{what}"));
    }
}

/// Whether nothing was ever said about a message, without a good reason.
fn is_lost(state: &State, message: &str) -> bool {
    if state.feishu.shown.is_answered(message) {
        return false;
    }
    let Some(turn) = state.ledger.by_message.get(message) else {
        // Beyond the backlog one notice speaks for many.
        let place = state.chat_of.get(message).cloned().unwrap_or_default();
        return !state.ledger.full.iter().any(|lane| lane.ends_with(&place));
    };
    let written = state.feishu.messages.get(message);
    if written.is_some_and(|written| written.recalled) {
        // Its notice goes to the chat and says not what it is about.
        return false;
    }
    let is_dead = |kind: &str| {
        let mut dead = state.ledger.dead.iter();
        dead.any(|(owner, dead, _)| owner == turn && dead == kind)
    };
    !is_dead("reply")
}

/// What is still on people's screens and should not be.
fn left_over(state: &State) -> impl Iterator<Item = String> {
    let dead = |about: &str, kind: &str| {
        let turn = state.ledger.by_message.get(about);
        let mut dead = state.ledger.dead.iter();
        dead.any(|(owner, dead, _)| Some(owner) == turn && dead == kind)
    };
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
            let is_left = !there.is_empty() && !message.recalled && !dead(about, "unreact");
            is_left.then(|| format!("the reaction on {about} is still there"))
        });
    cards.chain(reactions)
}
