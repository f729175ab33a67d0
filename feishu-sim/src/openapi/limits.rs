//! Rate limits: sliding windows by API, chat, message and card.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

use super::error::ApiError;
use crate::config::bound;

/// All windows.
#[derive(Debug)]
pub(crate) struct Limiter {
    is_on: bool,
    windows: HashMap<String, VecDeque<Instant>>,
}

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

/// Calls of one API in a minute.
const API_PER_MINUTE: usize = 1000;
/// Messages into one chat, updates of one message: a second.
const PRODUCT_PER_SECOND: usize = 5;
/// Operations on one card entity: a second.
const CARD_PER_SECOND: usize = 10;

impl Limiter {
    pub(crate) fn new(is_on: bool) -> Self {
        Self {
            is_on,
            windows: HashMap::new(),
        }
    }

    pub(crate) fn reset(&mut self) {
        self.windows.clear();
    }

    /// One API of this app: so many a second, 1000 a minute.
    pub(super) fn api(&mut self, name: &str, per_second: usize) -> Result<(), ApiError> {
        let now = Instant::now();
        // The second first: what it refuses does not count for the minute.
        if let Some(wait) = self.full(&format!("second {name}"), per_second, SECOND, now) {
            return Err(ApiError::rate_limited(wait));
        }
        if let Some(wait) = self.full(&format!("minute {name}"), API_PER_MINUTE, MINUTE, now) {
            return Err(ApiError::rate_limited(wait));
        }
        Ok(())
    }

    /// Messages into one chat, of all bots together.
    pub(super) fn chat(&mut self, chat_id: &str) -> Result<(), ApiError> {
        self.product(
            &format!("chat {chat_id}"),
            "5 messages a second to one chat",
        )
    }

    /// Card updates of one message.
    pub(super) fn message(&mut self, message_id: &str) -> Result<(), ApiError> {
        self.product(
            &format!("patch {message_id}"),
            "5 updates a second of one message",
        )
    }

    fn product(&mut self, key: &str, what: &str) -> Result<(), ApiError> {
        match self.full(key, PRODUCT_PER_SECOND, SECOND, Instant::now()) {
            Some(_) => Err(ApiError::too_frequent(what)),
            None => Ok(()),
        }
    }

    /// Operations on one card entity.
    pub(super) fn card(&mut self, card_id: &str) -> Result<(), ApiError> {
        let key = format!("card {card_id}");
        match self.full(&key, CARD_PER_SECOND, SECOND, Instant::now()) {
            Some(wait) => Err(ApiError::rate_limited(wait)),
            None => Ok(()),
        }
    }

    /// Counts this call. `Some`: it is one too many, and seconds to wait.
    fn full(&mut self, key: &str, max: usize, span: Duration, now: Instant) -> Option<u64> {
        if !self.is_on {
            return None;
        }
        if self.windows.len() >= bound::WINDOWS_MAX {
            self.windows.retain(|_, calls| {
                calls
                    .back()
                    .is_some_and(|last| now.duration_since(*last) < MINUTE)
            });
        }
        let calls = self.windows.entry(key.to_owned()).or_default();
        while calls
            .front()
            .is_some_and(|call| now.duration_since(*call) >= span)
        {
            calls.pop_front();
        }
        if calls.len() >= max {
            let oldest = calls.front().copied().unwrap_or(now);
            let wait = span.saturating_sub(now.duration_since(oldest));
            return Some(wait.as_secs() + 1);
        }
        calls.push_back(now);
        None
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_window_lets_its_number_through_and_slides() {
        let mut limits = Limiter::new(true);
        for _ in 0..5 {
            assert_eq!(limits.chat("oc_1"), Ok(()));
        }
        assert_eq!(limits.chat("oc_1").unwrap_err().code, 230_020);
        assert_eq!(limits.chat("oc_2"), Ok(()), "chats are counted apart");
        advance(SECOND).await;
        assert_eq!(limits.chat("oc_1"), Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn an_api_has_a_second_and_a_minute() {
        let mut limits = Limiter::new(true);
        let mut passed = 0;
        for _ in 0..40 {
            for _ in 0..50 {
                passed += usize::from(limits.api("GET /x", 50).is_ok());
            }
            assert_eq!(limits.api("GET /x", 50).unwrap_err().code, 99_991_400);
            advance(SECOND).await;
        }
        assert_eq!(passed, API_PER_MINUTE);
    }

    #[test]
    fn switched_off_nothing_is_limited() {
        let mut limits = Limiter::new(false);
        assert!((0..1000).all(|_| limits.chat("oc_1").is_ok()));
    }
}
