//! What one person and one chat may use in a day, and what they have used.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tracing::warn;
use xiaoo_store::StoreError;

use super::Pipeline;
use crate::config::BudgetConfig;

/// The offset of the day's beginning: China's midnight, where most of Feishu is.
const DAY_OFFSET_MS: i64 = 8 * 3_600_000;
const DAY_MS: i64 = 24 * 3_600_000;
/// How long a day's use is kept: for whoever asks in the morning how much yesterday was.
const USE_KEPT: Duration = Duration::from_secs(48 * 3_600);

/// What may be used in a day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Budgets {
    /// By one person.
    pub person: BudgetConfig,
    /// In one chat.
    pub chat: BudgetConfig,
}

/// What was used in a day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Used {
    /// Answered messages, those that are being answered included.
    pub turns: u64,
    /// Tokens, read and written.
    pub tokens: u64,
}

/// Whose budget is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UsedUp {
    /// The person's.
    Person,
    /// The chat's.
    Chat,
}

impl Pipeline {
    /// Counts a turn that begins, unless a budget is used up already.
    pub(super) async fn begin_spending(
        &self,
        open_id: &str,
        chat_id: &str,
    ) -> Result<Option<UsedUp>, StoreError> {
        let Budgets { person, chat } = self.settings.budgets;
        if is_spent(person, self.used(open_id).await?) {
            return Ok(Some(UsedUp::Person));
        }
        if is_spent(chat, self.used(chat_id).await?) {
            return Ok(Some(UsedUp::Chat));
        }
        self.spend(open_id, chat_id, 1, 0).await;
        Ok(None)
    }

    /// Adds to what was used today. Best effort: an answer is worth more than its bill.
    pub(super) async fn spend(&self, open_id: &str, chat_id: &str, turns: u64, tokens: u64) {
        let day = day(self.now_ms());
        for who in [open_id, chat_id].into_iter().filter(|who| !who.is_empty()) {
            let spent = self
                .change_note(&scope(who), &day, USE_KEPT, |used: Option<&Used>| {
                    let used = used.copied().unwrap_or_default();
                    Some(Used {
                        turns: used.turns.saturating_add(turns),
                        tokens: used.tokens.saturating_add(tokens),
                    })
                })
                .await;
            if let Err(error) = spent {
                warn!("what was used could not be noted: {error}");
            }
        }
    }

    /// What a person or a chat has used today.
    pub(super) async fn used(&self, who: &str) -> Result<Used, StoreError> {
        let used = self.note(&scope(who), &day(self.now_ms())).await?;
        Ok(used.unwrap_or_default())
    }
}

fn is_spent(budget: BudgetConfig, used: Used) -> bool {
    budget.turns.is_some_and(|turns| used.turns >= turns)
        || budget.tokens.is_some_and(|tokens| used.tokens >= tokens)
}

fn scope(who: &str) -> String {
    format!("used:{who}")
}

/// Days since the epoch, by China's clock.
fn day(now_ms: i64) -> String {
    now_ms
        .saturating_add(DAY_OFFSET_MS)
        .div_euclid(DAY_MS)
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_begins_at_chinas_midnight() {
        let midnight = 1_795_968_000_000;
        assert_eq!(midnight % DAY_MS, DAY_MS - DAY_OFFSET_MS);
        let today: i64 = day(midnight).parse().unwrap();
        assert_eq!(day(midnight - 1), (today - 1).to_string());
        assert_eq!(day(midnight + DAY_MS - 1), today.to_string());
    }

    #[test]
    fn a_budget_is_spent_when_either_limit_is_reached() {
        let budget = BudgetConfig {
            turns: Some(2),
            tokens: Some(100),
        };
        for (turns, tokens, spent) in [
            (1, 99, false),
            (2, 0, true),
            (0, 100, true),
            (3, 1_000, true),
        ] {
            assert_eq!(is_spent(budget, Used { turns, tokens }), spent);
        }
        let none = Used {
            turns: u64::MAX,
            tokens: u64::MAX,
        };
        assert!(!is_spent(BudgetConfig::default(), none));
    }
}
