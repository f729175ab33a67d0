//! Places where a test can have the process die, as by `kill -9`, or a loop stand still.
//!
//! `XIAOO_FAIL_POINT=name` does so at the first pass of that name. Only in
//! builds with debug assertions; in others a place is nothing at all.

/// Every place, in the order in which one message passes them.
pub const NAMES: &[&str] = &[
    "admit.before_commit",
    "admit.after_commit",
    "admit.acknowledged",
    "sign.reaction_shown",
    "sign.card_shown",
    "model.replied",
    "model.recorded",
    "tool.starts",
    "tool.started",
    "tool.returned",
    "tool.recorded",
    "finish.before_commit",
    "finish.after_commit",
    "outbox.reply.taken",
    "outbox.reply.sent",
    "outbox.reply.settled",
    "outbox.file.taken",
    "outbox.file.sent",
    "outbox.file.settled",
    "outbox.card.taken",
    "outbox.card.sent",
    "outbox.card.settled",
    "outbox.unreact.taken",
    "outbox.unreact.sent",
    "outbox.unreact.settled",
];

/// Dies here if that was asked for.
#[cfg(debug_assertions)]
pub fn pass(name: &str) {
    if is_chosen(name) {
        std::process::abort();
    }
}

/// Dies here if that was asked for: never, in this build.
#[cfg(not(debug_assertions))]
#[inline]
pub const fn pass(_name: &str) {}

/// The loops that can be made to stand still, so that a test sees who notices.
pub const LOOPS: &[&str] = &["loop.lanes", "loop.urgent", "loop.outbox"];

/// Stands still here for ever if that was asked for.
#[cfg(debug_assertions)]
pub async fn stand_still(name: &str) {
    if is_chosen(name) {
        core::future::pending().await
    }
}

/// Stands still here for ever if that was asked for: never, in this build.
#[cfg(not(debug_assertions))]
#[inline]
pub fn stand_still(_name: &str) -> core::future::Ready<()> {
    core::future::ready(())
}

#[cfg(debug_assertions)]
fn is_chosen(name: &str) -> bool {
    use std::sync::LazyLock;

    static CHOSEN: LazyLock<Option<String>> =
        LazyLock::new(|| std::env::var("XIAOO_FAIL_POINT").ok());
    CHOSEN.as_deref() == Some(name)
}
