//! What a disk tells its witness.

use crate::command::{Answer, Command};
use crate::types::{
    Admission, Fenced, NewEvent, OutboxKey, OutboxRow, Step, Turn, TurnKey, TurnResult,
};

/// Something that was done on a disk. What was refused, or asked for by somebody who
/// has been replaced, was not done.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Deed<'a> {
    /// An event was taken in, or known again.
    Admitted(&'a NewEvent, &'a Admission),
    /// A turn was claimed.
    Claimed(&'a Turn),
    /// A turn was handed back.
    Released(TurnKey),
    /// A turn's step was kept.
    Stepped(TurnKey, &'a Step),
    /// A turn has ended.
    Finished(TurnKey, &'a TurnResult),
    /// A row was taken to be sent.
    Taken(&'a OutboxRow),
    /// A row was sent.
    Sent(OutboxKey),
    /// A row was given up, for this reason.
    GivenUp(OutboxKey, &'a str),
}

/// Who is told.
pub(super) type Witness = Box<dyn FnMut(Deed<'_>) + Send>;

/// Tells the witness, if there is one, what a command has done.
pub(super) fn tell(witness: Option<&mut Witness>, command: &Command, answer: &Answer) {
    let Some(witness) = witness else {
        return;
    };
    if matches!(answer, Answer::Fenced(Fenced::Replaced)) {
        return;
    }
    match (command, answer) {
        (Command::Admit(event), Answer::Admission(admission)) => {
            witness(Deed::Admitted(event, admission));
        }
        (_, Answer::Turns(turns)) => turns.iter().for_each(|turn| witness(Deed::Claimed(turn))),
        (_, Answer::Rows(rows)) => rows.iter().for_each(|row| witness(Deed::Taken(row))),
        (Command::Release(key), _) => witness(Deed::Released(*key)),
        (Command::NoteStep(key, step), _) => witness(Deed::Stepped(*key, step)),
        (Command::Finish(key, result), _) => witness(Deed::Finished(*key, result)),
        (Command::OutboxDone { row, .. }, _) => witness(Deed::Sent(*row)),
        (Command::OutboxDead { row, reason }, _) => witness(Deed::GivenUp(*row, reason)),
        _ => {}
    }
}
