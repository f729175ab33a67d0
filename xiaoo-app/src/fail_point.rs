//! Places where a test can have the process die, as by `kill -9`, or a loop stand still.
//!
//! `XIAOO_FAIL_POINT=name` does so at the first pass of that name. Only in
//! builds with debug assertions; in others a place is nothing at all.

/// Makes the places out of one list, so that there is none in the code that tests don't know.
macro_rules! fail_points {
    ($(#[$doc:meta])* $places:ident: $($place:ident = $name:literal,)*) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $places {
            $(#[doc = concat!("`", $name, "`")] $place,)*
        }

        impl $places {
            /// All of them, in the order in which one message passes them.
            pub const ALL: &[Self] = &[$(Self::$place,)*];

            /// What it is called.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$place => $name,)*
                }
            }
        }
    };
}

fail_points! {
    /// Where the process can die.
    FailPoint:
    AdmitBeforeCommit = "admit.before_commit",
    AdmitAfterCommit = "admit.after_commit",
    AdmitAcknowledged = "admit.acknowledged",
    ReactionShown = "sign.reaction_shown",
    CardShown = "sign.card_shown",
    ModelReplied = "model.replied",
    ModelRecorded = "model.recorded",
    ToolStarts = "tool.starts",
    ToolStarted = "tool.started",
    FileUploaded = "file.uploaded",
    ToolReturned = "tool.returned",
    ToolRecorded = "tool.recorded",
    FinishBeforeCommit = "finish.before_commit",
    FinishAfterCommit = "finish.after_commit",
    ReplyTaken = "outbox.reply.taken",
    ReplySent = "outbox.reply.sent",
    ReplySettled = "outbox.reply.settled",
    FileTaken = "outbox.file.taken",
    FileSent = "outbox.file.sent",
    FileSettled = "outbox.file.settled",
    CardTaken = "outbox.card.taken",
    CardSent = "outbox.card.sent",
    CardSettled = "outbox.card.settled",
    UnreactTaken = "outbox.unreact.taken",
    UnreactSent = "outbox.unreact.sent",
    UnreactSettled = "outbox.unreact.settled",
    // Only of a message that its conversation's backlog has no room for.
    MarkTaken = "outbox.mark.taken",
    MarkSent = "outbox.mark.sent",
    MarkSettled = "outbox.mark.settled",
}

/// Dies here if that was asked for.
#[cfg(debug_assertions)]
pub fn pass(place: FailPoint) {
    if is_chosen(place.name()) {
        std::process::abort();
    }
}

/// Dies here if that was asked for: never, in this build.
#[cfg(not(debug_assertions))]
#[inline]
pub const fn pass(_place: FailPoint) {}

fail_points! {
    /// A loop that can be made to stand still, so that a test sees who notices.
    Loop:
    Lanes = "loop.lanes",
    Urgent = "loop.urgent",
    Outbox = "loop.outbox",
    Http = "loop.http",
}

/// Stands still here for ever if that was asked for.
#[cfg(debug_assertions)]
pub async fn stand_still(place: Loop) {
    if is_chosen(place.name()) {
        core::future::pending().await
    }
}

/// Stands still here for ever if that was asked for: never, in this build.
#[cfg(not(debug_assertions))]
#[inline]
pub fn stand_still(_place: Loop) -> core::future::Ready<()> {
    core::future::ready(())
}

#[cfg(debug_assertions)]
fn is_chosen(name: &str) -> bool {
    use std::sync::LazyLock;

    static CHOSEN: LazyLock<Option<String>> =
        LazyLock::new(|| std::env::var("XIAOO_FAIL_POINT").ok());
    CHOSEN.as_deref() == Some(name)
}
