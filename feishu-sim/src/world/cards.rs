//! Card entities (`CardKit`).

use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use super::World;

/// A card that lives on its own and is shown by at most one message.
#[derive(Debug)]
pub(crate) struct CardEntity {
    pub(crate) card_id: String,
    pub(crate) content: Value,
    /// Highest sequence number seen.
    pub(crate) sequence: i64,
    pub(crate) streaming: StreamingState,
    /// How long streaming lasts.
    pub(crate) streaming_for: Duration,
    pub(crate) made: Instant,
    /// The message that shows it.
    pub(crate) message_id: Option<String>,
    /// Recent idempotency keys.
    pub(crate) uuids: Vec<String>,
}

/// Whether text may be streamed into a card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StreamingState {
    /// Off.
    Off,
    /// On since then; closes by itself.
    On(Instant),
    /// Closed by itself, and the client has been told once.
    Closed,
}

impl CardEntity {
    /// Whether it streams now.
    pub(crate) fn is_streaming(&self) -> bool {
        match self.streaming {
            StreamingState::On(since) => since.elapsed() < self.streaming_for,
            StreamingState::Off | StreamingState::Closed => false,
        }
    }

    /// Follows `config.streaming_mode` of its content.
    pub(crate) fn follow_mode(&mut self) {
        let wanted = self
            .content
            .pointer("/config/streaming_mode")
            .and_then(Value::as_bool)
            .unwrap_or(false);
        self.streaming = match (wanted, self.is_streaming()) {
            (true, true) => self.streaming,
            (true, false) => StreamingState::On(Instant::now()),
            (false, _) => StreamingState::Off,
        };
    }
}

impl World {
    /// Shows a card's new state in the message that has it.
    pub(crate) fn show_card(&mut self, card_id: &str) {
        let Some(card) = self.cards.get(card_id) else {
            return;
        };
        let content = card.content.to_string();
        if let Some(message_id) = card.message_id.clone() {
            self.change(&message_id, content);
        }
    }
}
