//! Defects that can be planted to see whether the simulation finds them.
//!
//! Each breaks one promise, at the place that keeps it. Without the feature
//! `armed` none is ever planted, and a check for one is the constant `false`.

/// A promise that is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Defect {
    /// An event is acknowledged before it is on disk.
    AckBeforeCommit,
    /// What could not be made durable is acknowledged all the same.
    RefusalAccepted,
    /// An event that comes again is a new one.
    NoDedup,
    /// Group messages are judged before it is known who the bot is.
    JudgedOnAGuess,
    /// Each try of a send has another uuid.
    NoUuid,
    /// An old send is repeated without a look at the chat.
    NoLookup,
    /// A daemon that was replaced can still write.
    NoEpoch,
    /// What is put off is never tried again.
    LostTimer,
    /// The newest turn of a conversation comes first.
    WrongOrder,
    /// Rows of one conversation are sent side by side.
    NoSendLane,
    /// All chats are one conversation.
    OneConversation,
    /// The steps of a run that was cut off are forgotten.
    NoResume,
    /// A result that could not be kept at once is dropped.
    FinishedOnce,
    /// A card of an earlier run is not finished.
    CardForgotten,
    /// The reaction stays.
    ReactionForgotten,
    /// A token that is not taken is kept.
    StaleToken,
    /// A silent link is never given up.
    DeafLink,
    /// Calls are made as fast as they come.
    NoPace,
    /// What became of a row is told to the store once, heard or not.
    SettledOnce,
    /// A try that was given up may have the last word on a card.
    NotSettled,
    /// After an outage the first event that comes in is taken for its end.
    GapForgotten,
    /// A message beyond the backlog is taken in and not marked.
    MarkForgotten,
}

impl Defect {
    /// All of them.
    pub const ALL: [Self; 22] = [
        Self::AckBeforeCommit,
        Self::RefusalAccepted,
        Self::NoDedup,
        Self::JudgedOnAGuess,
        Self::NoUuid,
        Self::NoLookup,
        Self::NoEpoch,
        Self::LostTimer,
        Self::WrongOrder,
        Self::NoSendLane,
        Self::OneConversation,
        Self::NoResume,
        Self::FinishedOnce,
        Self::CardForgotten,
        Self::ReactionForgotten,
        Self::StaleToken,
        Self::DeafLink,
        Self::NoPace,
        Self::SettledOnce,
        Self::NotSettled,
        Self::GapForgotten,
        Self::MarkForgotten,
    ];
}

#[cfg(feature = "armed")]
std::thread_local! {
    static PLANTED: core::cell::Cell<Option<Defect>> = const { core::cell::Cell::new(None) };
}

/// Plants one, or none, for what runs on this thread.
#[cfg(feature = "armed")]
pub fn plant(defect: Option<Defect>) {
    PLANTED.set(defect);
}

/// Whether this one is planted.
#[cfg(feature = "armed")]
#[must_use]
pub fn is(defect: Defect) -> bool {
    PLANTED.get() == Some(defect)
}

/// Whether this one is planted: never, in this build.
#[cfg(not(feature = "armed"))]
#[must_use]
#[inline]
pub const fn is(_: Defect) -> bool {
    false
}
