//! The thread that reads, on a connection of its own: a long read holds up no
//! commit, and no worker of the runtime ever waits for the disk.

use rusqlite::Connection;
use tokio::sync::mpsc;

use super::{history, notes, outbox, turns, upkeep};
use crate::command::{Answer, Question};
use crate::desk::{Counters, Read};
use crate::error::StoreError;

/// Answers until every sender is gone and the queue is empty.
pub(super) fn run(db: &Connection, counters: &Counters, mut queue: mpsc::Receiver<Read>) {
    while let Some(read) = queue.blocking_recv() {
        if !read.is_void() {
            let answer = ask(db, counters, &read.question);
            read.answer(answer);
        }
    }
}

fn ask(db: &Connection, counters: &Counters, question: &Question) -> Result<Answer, StoreError> {
    Ok(match question {
        Question::Steps(turn) => Answer::Steps(turns::steps(db, *turn)?),
        Question::History {
            conversation,
            rows_max,
            bytes_max,
        } => Answer::History(history::history(db, conversation, *rows_max, *bytes_max)?),
        Question::Note { scope, key, now_ms } => {
            Answer::Note(notes::note(db, scope, key, *now_ms)?)
        }
        Question::Notes { scope, max, now_ms } => {
            Answer::Notes(notes::notes(db, scope, *max, *now_ms)?)
        }
        Question::Conversation(conversation) => {
            Answer::Conversation(turns::conversation_stats(db, conversation)?)
        }
        Question::OutboxNext => Answer::Next(outbox::outbox_next_ms(db)?),
        Question::Stats => Answer::Stats(counters.counted(upkeep::stats(db)?)),
        Question::Whereabouts {
            app,
            silence,
            conversations_max,
        } => Answer::Whereabouts(history::whereabouts(db, app, silence, *conversations_max)?),
    })
}
