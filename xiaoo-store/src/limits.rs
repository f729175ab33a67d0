//! Every bound of the store, with its reason.

use core::time::Duration;

/// Patience of an admission: Feishu waits 3 s for its answer, and half of that
/// belongs to the network and to policy.
pub const ADMIT_DEADLINE: Duration = Duration::from_millis(1_500);

/// Patience of every other call. A disk that takes longer than this is not
/// coming back, and a caller that waits for ever can't be stopped.
pub const CALL_DEADLINE: Duration = Duration::from_secs(30);

/// Largest single payload. The webhook takes bodies of 1 MiB at most, and a
/// normalised message is smaller than what it came in.
pub const BODY_BYTES_MAX: usize = 1 << 20;

/// Longest id, key, kind or role. Feishu's ids are below 100 bytes; longer ones
/// would make fat index rows.
pub const NAME_BYTES_MAX: usize = 512;

/// Longest reason or error text kept; the rest is cut off.
pub const DETAIL_BYTES_MAX: usize = 1_024;

/// Most history rows one turn may add: a long tool loop has a few dozen.
pub const TURN_HISTORY_MAX: usize = 512;

/// Most outbox rows one turn may add: a long answer in parts, files, a card.
pub const TURN_OUTBOX_MAX: usize = 128;

/// Most steps one turn may record: twenty questions with thirty-two calls each, of which the
/// start and the result are steps. A loop that needs more is not getting anywhere.
pub const TURN_STEPS_MAX: usize = 2_048;

/// Bytes that the steps of one turn may hold together, since a run that goes on
/// reads them all at once.
pub const TURN_STEP_BYTES_MAX: usize = 16 << 20;

/// History rows kept for a conversation; older ones fall off when a turn ends.
/// No model's window holds more of a chat than this.
pub const CONVERSATION_HISTORY_MAX: usize = 1_000;

/// Most turns handed out by one claim, so that the bodies in memory are bounded.
pub const CLAIM_MAX: usize = 64;

/// Most outbox rows handed out at once, for the same reason.
pub const OUTBOX_TAKE_MAX: usize = 64;

/// Most rows that one pruning takes from one table: a few milliseconds of work,
/// so that an admission behind it is not held up.
pub const PRUNE_BATCH_MAX: usize = 1_000;

/// Turns that may wait in the whole store, unless the options say otherwise.
/// With a minute a turn and 16 at a time this is ten hours of work: more than
/// the time in which an answer still helps.
pub const QUEUED_MAX: u64 = 10_000;

/// Turns that may wait in one conversation, unless the options say otherwise, so
/// that one busy chat can't take the whole queue.
pub const QUEUED_PER_CONVERSATION_MAX: u64 = 100;

/// Largest body of a note. The largest thing that one is about is a card, and Feishu
/// takes cards of 30 kB at most.
pub const NOTE_BYTES_MAX: usize = 32 << 10;

/// Notes that one scope may have, so that all of them can be read at once. What a
/// stranger can make grow, pairing codes for instance, ends here.
pub const NOTES_PER_SCOPE_MAX: usize = 1_000;

/// Notes that there may be in the whole store, unless the options say otherwise: a
/// dozen for each of some thousand chats and people. They are small, so that is some
/// ten MB. Daemons that share a store count now and then, and may exceed it by what the
/// others write in some seconds.
pub const NOTES_MAX: u64 = 100_000;

/// How long de-duplication keys and finished turns are kept. Feishu's last
/// redelivery comes after 7 h 22 min; two days also cover a stopped clock.
pub const KEYS_KEPT: Duration = Duration::from_secs(48 * HOUR_SECS);

/// How long outbox rows that were given up are kept for people to look at.
pub const DEAD_KEPT: Duration = Duration::from_secs(30 * 24 * HOUR_SECS);

/// How long a conversation's memory is kept after it was written.
pub const HISTORY_KEPT: Duration = Duration::from_secs(90 * 24 * HOUR_SECS);

/// How long a daemon's turns and sends are its own after it was last heard of, when
/// several share a store on a server. It is heard of three times as often, so two
/// messages may get lost. People who wait for a dead one's answer wait so long, and
/// then until another looks: 15 s together.
pub const LEASE: Duration = Duration::from_secs(12);

/// Commands that may wait for the writer. Producers beyond this wait outside,
/// which their deadline bounds.
pub(crate) const COMMANDS_MAX: usize = 256;

/// Commands in one transaction: enough to share a sync among all that can wait,
/// few enough that one transaction stays within milliseconds.
pub(crate) const BATCH_MAX: usize = 128;

/// Reads that may wait for the reader.
pub(crate) const READS_MAX: usize = 64;

const HOUR_SECS: u64 = 3_600;

/// So long, as the times in the store count.
pub(crate) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
