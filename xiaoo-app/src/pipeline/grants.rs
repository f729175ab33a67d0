//! What need not be asked any more: which tools may always be used in a chat, and by whom.
//!
//! A word holds in the chat as a whole, with all its threads, and for the person who was asked;
//! only an admin's word can hold for everyone there. It ends when it is taken back, after a while,
//! and an admin's for everyone also when whoever gave it is an admin no more.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tracing::warn;
use xiaoo_store::StoreError;
use xiaoo_store::limits::NOTES_PER_SCOPE_MAX;

use super::Pipeline;
use super::admission::chat_of;
use super::notes::SETTING_KEPT;

/// How long a word holds: as long as what a conversation remembers.
const HOLDS: Duration = SETTING_KEPT;
/// Words on one tool in one chat that are remembered; the oldest go first. In a group of more
/// people who each want a tool for good, an admin can allow it for everyone.
const GRANTS_MAX: usize = 100;

/// Whose words are taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Revoke<'a> {
    /// Those on this person's calls (an open_id).
    Of(&'a str),
    /// All of the chat.
    All,
}

impl Revoke<'_> {
    fn is_about(self, grant: &Grant) -> bool {
        match self {
            Self::Of(who) => grant.to.as_deref() == Some(who),
            Self::All => true,
        }
    }
}

/// Somebody's word.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Grant {
    /// Whose calls it is about (an open_id); everyone's when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    to: Option<String>,
    /// Who gave it (an open_id).
    by: String,
    /// When, Unix milliseconds.
    at_ms: i64,
}

impl Grant {
    fn is_over(&self, now_ms: i64) -> bool {
        now_ms.saturating_sub(self.at_ms) >= millis(HOLDS)
    }

    fn is_for(&self, who: &str, is_admin: impl Fn(&str) -> bool) -> bool {
        match &self.to {
            // An empty id is nobody's: the platform did not tell.
            Some(to) => !to.is_empty() && to == who,
            None => is_admin(&self.by),
        }
    }
}

impl Pipeline {
    /// Whether the tool may be used for this person without a question. A store that does not say
    /// so has not said it.
    pub(super) async fn is_granted(&self, conversation: &str, tool: &str, who: &str) -> bool {
        let scope = scope(self, conversation);
        match self.note::<Vec<Grant>>(&scope, tool).await {
            Ok(grants) => grants.unwrap_or_default().iter().any(|grant| {
                let is_admin = |by: &str| self.settings.policy.is_admin(by);
                !grant.is_over(self.now_ms()) && grant.is_for(who, is_admin)
            }),
            Err(error) => {
                warn!("what may always be done cannot be read: {error}");
                false
            }
        }
    }

    /// Notes that the tool may always be used in the conversation's chat: for `to`, or for
    /// everyone.
    pub(super) async fn grant(&self, conversation: &str, tool: &str, to: Option<&str>, by: &str) {
        let new = Grant {
            to: to.map(str::to_owned),
            by: by.to_owned(),
            at_ms: self.now_ms(),
        };
        let scope = scope(self, conversation);
        let kept = self
            .change_note(&scope, tool, HOLDS, |known: Option<&Vec<Grant>>| {
                Some(with(known.cloned().unwrap_or_default(), new.clone()))
            })
            .await;
        if let Err(error) = kept {
            warn!("what may always be done could not be noted: {error}");
        }
    }

    /// Takes words back in the conversation's chat, those on `tool` alone or on all: from the next
    /// call on it is asked again. Gives the tools that it was about.
    ///
    /// # Errors
    ///
    /// Those of the store; the words on some tools may then be taken back and others not.
    pub(super) async fn revoke(
        &self,
        conversation: &str,
        which: Revoke<'_>,
        tool: Option<&str>,
    ) -> Result<Vec<String>, StoreError> {
        let scope = scope(self, conversation);
        let now_ms = self.now_ms();
        let notes = self.store.notes(&scope, NOTES_PER_SCOPE_MAX, now_ms);
        let mut tools = Vec::new();
        for (named, _) in notes.await? {
            if tool.is_some_and(|tool| tool != named) {
                continue;
            }
            let mut found = false;
            self.change_note(&scope, &named, HOLDS, |known: Option<&Vec<Grant>>| {
                let (kept, ended) = without(known?, which, now_ms);
                found = ended > 0;
                found.then_some(kept)
            })
            .await?;
            if found {
                tools.push(named);
            }
        }
        Ok(tools)
    }
}

/// Each tool is a key of it. An earlier version kept under `grant:` what held for anybody in one
/// thread; nobody knows for whom it was meant, so it is asked again.
fn scope(pipeline: &Pipeline, conversation: &str) -> String {
    format!(
        "always:{}",
        chat_of(&pipeline.settings.instance, conversation)
    )
}

/// One more, in place of the older one for the same person, and without those that are over.
fn with(mut grants: Vec<Grant>, new: Grant) -> Vec<Grant> {
    grants.retain(|grant| grant.to != new.to && !grant.is_over(new.at_ms));
    grants.push(new);
    let old = grants.len().saturating_sub(GRANTS_MAX);
    grants.drain(..old);
    grants
}

/// What is left when some words are taken back, and how many of them still held.
fn without(grants: &[Grant], which: Revoke<'_>, now_ms: i64) -> (Vec<Grant>, usize) {
    let holding = grants.iter().filter(|grant| !grant.is_over(now_ms));
    let (ended, kept): (Vec<_>, Vec<_>) = holding.cloned().partition(|grant| which.is_about(grant));
    (kept, ended.len())
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(to: Option<&str>, by: &str, at_ms: i64) -> Grant {
        Grant {
            to: to.map(str::to_owned),
            by: by.into(),
            at_ms,
        }
    }

    #[test]
    fn a_word_is_for_its_person_or_by_an_admin_for_everyone_and_for_a_time() {
        let is_admin = |by: &str| by == "ou_admin";
        for (grant, who, is_for) in [
            (grant(Some("ou_1"), "ou_1", 0), "ou_1", true),
            (grant(Some("ou_1"), "ou_1", 0), "ou_2", false),
            (grant(Some("ou_1"), "ou_admin", 0), "ou_2", false),
            (grant(None, "ou_admin", 0), "ou_2", true),
            (grant(Some(""), "ou_admin", 0), "", false),
            // Who was an admin then.
            (grant(None, "ou_1", 0), "ou_1", false),
        ] {
            assert_eq!(grant.is_for(who, is_admin), is_for, "{grant:?} {who}");
        }
        let holds_ms = millis(HOLDS);
        let grant = grant(None, "ou_admin", 5);
        assert!(!grant.is_over(holds_ms + 4));
        assert!(grant.is_over(holds_ms + 5));
    }

    #[test]
    fn so_many_are_remembered_and_one_of_each_person() {
        let many = (0..GRANTS_MAX as i64).fold(Vec::new(), |grants, at| {
            with(grants, grant(Some(&at.to_string()), "ou", at))
        });
        assert_eq!(many.len(), GRANTS_MAX);
        let again = with(many.clone(), grant(Some("7"), "ou", 500));
        assert_eq!(again.len(), GRANTS_MAX);
        assert_eq!(again.last().unwrap().at_ms, 500);
        let more = with(many, grant(None, "ou", 500));
        assert_eq!((more.len(), more[0].at_ms), (GRANTS_MAX, 1));
        let holds_ms = millis(HOLDS);
        let late = with(more, grant(None, "ou", 600 + holds_ms));
        assert_eq!(late.len(), 1);
    }

    #[test]
    fn taken_back_is_ones_own_or_all_and_counted_is_what_still_held() {
        let now_ms = millis(HOLDS) + 1;
        let all = [
            grant(Some("ou_1"), "ou_1", 1),
            grant(Some("ou_1"), "ou_1", 2),
            grant(Some("ou_2"), "ou_2", 2),
            grant(None, "ou_admin", 2),
        ];
        for (which, left, ended) in [
            (Revoke::Of("ou_1"), &all[2..], 1),
            (Revoke::Of("ou_3"), &all[1..], 0),
            (Revoke::All, &[], 3),
        ] {
            assert_eq!(without(&all, which, now_ms), (left.to_vec(), ended));
        }
    }

    #[test]
    fn the_kept_form_is_stable() {
        for (grant, json) in [
            (grant(None, "ou_1", 1), r#"{"by":"ou_1","at_ms":1}"#),
            (
                grant(Some("ou_2"), "ou_1", 1),
                r#"{"to":"ou_2","by":"ou_1","at_ms":1}"#,
            ),
        ] {
            assert_eq!(serde_json::to_string(&grant).unwrap(), json);
            assert_eq!(serde_json::from_str::<Grant>(json).unwrap(), grant);
        }
    }
}
