//! What a conversation is set to: where it began anew, what was stopped, which model answers.

use serde::{Deserialize, Serialize};
use xiaoo_store::{StoreError, TurnId};

use super::Pipeline;
use super::notes::SETTING_KEPT;

/// The key of a conversation's note.
const NOTE: &str = "it";

/// What a conversation is set to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setting {
    /// Turns up to this one are stopped.
    #[serde(default)]
    stopped: Option<i64>,
    /// What turns up to this one have left is forgotten.
    #[serde(default)]
    forgotten: Option<i64>,
    /// The model that answers, if not the agent's first.
    #[serde(default)]
    pub model: Option<String>,
}

impl Setting {
    /// Whether somebody has stopped this turn, or one that came later.
    #[must_use]
    pub fn has_stopped(&self, turn: TurnId) -> bool {
        self.stopped.is_some_and(|stopped| turn.get() <= stopped)
    }

    /// Whether what this turn has left is forgotten.
    #[must_use]
    pub fn has_forgotten(&self, turn: TurnId) -> bool {
        self.forgotten
            .is_some_and(|forgotten| turn.get() <= forgotten)
    }

    /// Stops the turns up to this one.
    pub fn stop(&mut self, until: TurnId) {
        self.stopped = self.stopped.max(Some(until.get()));
    }

    /// Forgets what turns up to this one have left.
    pub fn forget(&mut self, until: TurnId) {
        self.forgotten = self.forgotten.max(Some(until.get()));
    }
}

impl Pipeline {
    /// What the conversation is set to.
    pub(super) async fn setting(&self, conversation: &str) -> Result<Setting, StoreError> {
        let setting = self.note(&scope(conversation), NOTE).await?;
        Ok(setting.unwrap_or_default())
    }

    /// Changes what the conversation is set to.
    pub(super) async fn set(
        &self,
        conversation: &str,
        mut change: impl FnMut(&mut Setting),
    ) -> Result<(), StoreError> {
        self.change_note(
            &scope(conversation),
            NOTE,
            SETTING_KEPT,
            |known: Option<&Setting>| {
                let mut setting = known.cloned().unwrap_or_default();
                change(&mut setting);
                Some(setting)
            },
        )
        .await
        .map(drop)
    }
}

fn scope(conversation: &str) -> String {
    format!("set:{conversation}")
}
