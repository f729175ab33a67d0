//! What one person and one chat may use in a day, and what they have used.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tracing::warn;
use xiaoo_store::{StoreError, TurnId};

use super::Pipeline;
use crate::config::BudgetConfig;

/// The offset of the day's beginning: China's midnight, where most of Feishu is.
const DAY_OFFSET_MS: i64 = 8 * 3_600_000;
const DAY_MS: i64 = 24 * 3_600_000;
/// How long a day's use is kept: for whoever asks in the morning how much yesterday was.
const USE_KEPT: Duration = Duration::from_secs(48 * 3_600);
/// Counted turns that are remembered one by one: many more than one person or chat has running
/// when a daemon stops.
const COUNTED_MAX: usize = 64;

/// What may be used in a day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Budgets {
    /// By one person.
    pub person: BudgetConfig,
    /// In one chat.
    pub chat: BudgetConfig,
}

/// What was used in a day.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Used {
    /// Answered messages, those that are being answered included.
    pub turns: u64,
    /// Tokens, read and written.
    pub tokens: u64,
    /// The newest of these turns: one that goes on after a restart is no other one.
    #[serde(default)]
    counted: Vec<i64>,
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
    /// Counts a turn that begins, unless a budget is used up already. One that goes on was counted
    /// when it began.
    pub(super) async fn begin_spending(
        &self,
        turn: TurnId,
        open_id: &str,
        chat_id: &str,
    ) -> Result<Option<UsedUp>, StoreError> {
        let Budgets { person, chat } = self.settings.budgets;
        if !self.count_in(turn, open_id, person).await? {
            return Ok(Some(UsedUp::Person));
        }
        if !self.count_in(turn, chat_id, chat).await? {
            self.use_more(open_id, |used| used.leave_out(turn)).await;
            return Ok(Some(UsedUp::Chat));
        }
        Ok(None)
    }

    /// Whether there is room for a turn; it is counted then. One step, so that many at once are
    /// counted one after another.
    async fn count_in(
        &self,
        turn: TurnId,
        who: &str,
        budget: BudgetConfig,
    ) -> Result<bool, StoreError> {
        if who.is_empty() {
            return Ok(true);
        }
        let mut is_in = true;
        self.change_note(
            &scope(who),
            &self.today(),
            USE_KEPT,
            |used: Option<&Used>| {
                let mut used = used.cloned().unwrap_or_default();
                let is_known = used.counted.contains(&turn.get());
                is_in = is_known || !is_spent(budget, &used);
                (is_in && !is_known).then(|| {
                    used.count_in(turn);
                    used
                })
            },
        )
        .await?;
        Ok(is_in)
    }

    /// Adds tokens to what was used today.
    pub(super) async fn spend(&self, open_id: &str, chat_id: &str, tokens: u64) {
        if tokens == 0 {
            return;
        }
        let add = |used: &mut Used| used.tokens = used.tokens.saturating_add(tokens);
        tokio::join!(self.use_more(open_id, add), self.use_more(chat_id, add));
    }

    /// Best effort: an answer is worth more than its bill.
    async fn use_more(&self, who: &str, change: impl Fn(&mut Used)) {
        if who.is_empty() {
            return;
        }
        let changed = self
            .change_note(
                &scope(who),
                &self.today(),
                USE_KEPT,
                |used: Option<&Used>| {
                    let mut used = used.cloned().unwrap_or_default();
                    change(&mut used);
                    Some(used)
                },
            )
            .await;
        if let Err(error) = changed {
            warn!("what was used could not be noted: {error}");
        }
    }

    /// What a person or a chat has used today.
    pub(super) async fn used(&self, who: &str) -> Result<Used, StoreError> {
        let used = self.note(&scope(who), &self.today()).await?;
        Ok(used.unwrap_or_default())
    }

    fn today(&self) -> String {
        day(self.now_ms())
    }
}

impl Used {
    fn count_in(&mut self, turn: TurnId) {
        self.turns = self.turns.saturating_add(1);
        self.counted.push(turn.get());
        let old = self.counted.len().saturating_sub(COUNTED_MAX);
        self.counted.drain(..old);
    }

    fn leave_out(&mut self, turn: TurnId) {
        let before = self.counted.len();
        self.counted.retain(|counted| *counted != turn.get());
        if self.counted.len() < before {
            self.turns = self.turns.saturating_sub(1);
        }
    }
}

fn is_spent(budget: BudgetConfig, used: &Used) -> bool {
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
            assert_eq!(is_spent(budget, &used(turns, tokens)), spent);
        }
        assert!(!is_spent(
            BudgetConfig::default(),
            &used(u64::MAX, u64::MAX)
        ));
    }

    fn used(turns: u64, tokens: u64) -> Used {
        Used {
            turns,
            tokens,
            counted: Vec::new(),
        }
    }

    #[test]
    fn the_newest_turns_are_remembered_and_can_be_left_out_again() {
        let turns = 2 * COUNTED_MAX as i64;
        let mut day = Used::default();
        for turn in 1..=turns {
            day.count_in(TurnId::from(turn));
        }
        assert_eq!(day.counted.len(), COUNTED_MAX);
        for _ in 0..2 {
            day.leave_out(TurnId::from(turns));
            day.leave_out(TurnId::from(1));
            assert_eq!(day.turns, turns as u64 - 1);
        }
    }
}
