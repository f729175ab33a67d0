//! What must hold in every store, as queries for what breaks it.

use super::NOTES_SINCE;

/// One thing that must hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Check {
    /// What must hold.
    pub promise: &'static str,
    pub(super) how: How,
    /// The version of the tables that brought what it is about.
    pub(super) since: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    /// SQLite's own check of every page, row and index.
    Pages,
    /// The tables and indexes are those that this version makes.
    Schema,
    /// A query that names, in the column `label`, what breaks the promise.
    Rows(&'static str),
}

/// What is to blame when a check fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The disk, or whoever wrote to the file.
    Damage,
    /// Most likely a mistake of the program.
    Mistake,
}

/// What a check has found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Finding {
    /// How often the promise is broken; 0 means that it holds.
    pub count: u64,
    /// The first few.
    pub examples: Vec<String>,
}

/// Examples in one finding: enough to begin looking.
pub(super) const EXAMPLES_MAX: usize = 5;

impl Check {
    /// What is to blame when it fails.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self.how {
            How::Pages | How::Schema => Kind::Damage,
            How::Rows(_) => Kind::Mistake,
        }
    }
}

const fn rows(promise: &'static str, sql: &'static str) -> Check {
    Check {
        promise,
        how: How::Rows(sql),
        since: 1,
    }
}

const fn note_rows(promise: &'static str, sql: &'static str) -> Check {
    Check {
        since: NOTES_SINCE,
        ..rows(promise, sql)
    }
}

pub(super) const OF_SQLITE: &[Check] = &[
    Check {
        promise: "every page, row and index of the file can be read",
        how: How::Pages,
        since: 1,
    },
    Check {
        promise: "the tables and indexes are those of this version",
        how: How::Schema,
        since: 1,
    },
    rows(
        "no id will be given twice",
        "SELECT name AS label FROM
         (SELECT 'turn' AS name, max(id) AS last FROM turn
          UNION ALL SELECT 'outbox', max(id) FROM outbox) AS used
         WHERE last > coalesce((SELECT seq FROM sqlite_sequence AS given
                                WHERE given.name = used.name), 0)",
    ),
    rows(
        "what is to be done has its body",
        "SELECT 'turn ' || id AS label FROM turn
         WHERE state <> 'done' AND NOT EXISTS (SELECT 1 FROM turn_body WHERE turn_id = turn.id)
         UNION ALL
         SELECT 'send ' || id FROM outbox
         WHERE state <> 'done' AND NOT EXISTS (SELECT 1 FROM outbox_body WHERE outbox_id = outbox.id)",
    ),
    rows(
        "no body is left of what is done",
        "SELECT 'turn ' || turn_id AS label FROM turn_body
         WHERE NOT EXISTS (SELECT 1 FROM turn WHERE id = turn_id AND state <> 'done')
         UNION ALL
         SELECT 'send ' || outbox_id FROM outbox_body
         WHERE NOT EXISTS (SELECT 1 FROM outbox WHERE id = outbox_id AND state <> 'done')",
    ),
    note_rows(
        "no version of a note will be given twice",
        "SELECT 'note ' || id AS label FROM note
         WHERE id > coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'note'), 0)",
    ),
];

pub(super) const OF_POSTGRES: &[Check] = &[
    Check {
        promise: "the tables and indexes are those of this version",
        how: How::Schema,
        since: 1,
    },
    rows(
        "no body is left of what is done",
        "SELECT 'turn ' || id AS label FROM turn WHERE state = 'done' AND length(body) > 0
         UNION ALL
         SELECT 'send ' || id FROM outbox WHERE state = 'done' AND length(body) > 0",
    ),
    rows(
        "what is under way has an owner, and nothing else has",
        "SELECT 'turn ' || id AS label FROM turn WHERE (state = 'running') <> (owner IS NOT NULL)
         UNION ALL
         SELECT 'send ' || id FROM outbox WHERE (state = 'sending') <> (owner IS NOT NULL)",
    ),
];

pub(super) const OF_ALL: &[Check] = &[
    rows(
        "no event is there twice",
        "SELECT event_id AS label FROM event GROUP BY app, event_id HAVING count(*) > 1
         UNION ALL
         SELECT message_id FROM event WHERE message_id IS NOT NULL
         GROUP BY app, message_id HAVING count(*) > 1",
    ),
    rows(
        "turns are in legal states",
        "SELECT 'turn ' || id AS label FROM turn
         WHERE state NOT IN ('waiting', 'ready', 'running', 'done')
            OR (state = 'done') <> (finished_ms IS NOT NULL)
            OR (state = 'done') <> (outcome IS NOT NULL)
            OR outcome NOT IN ('answered', 'failed', 'interrupted', 'refused', 'silent')
            OR attempts < 0 OR epoch < attempts
            OR (state = 'running' AND attempts < 1)",
    ),
    rows(
        "each conversation has one turn at its head",
        "SELECT conversation AS label FROM turn WHERE state IN ('ready', 'running')
         GROUP BY conversation HAVING count(*) > 1
         UNION ALL
         SELECT DISTINCT conversation FROM turn AS behind WHERE state = 'waiting' AND NOT EXISTS
         (SELECT 1 FROM turn AS head WHERE head.conversation = behind.conversation
          AND head.state IN ('ready', 'running'))",
    ),
    rows(
        "turns are worked on in the order of arrival",
        "SELECT conversation AS label FROM turn AS head
         WHERE state IN ('ready', 'running') AND EXISTS
         (SELECT 1 FROM turn AS behind WHERE behind.conversation = head.conversation
          AND behind.state = 'waiting' AND behind.id < head.id)",
    ),
    rows(
        "steps are of turns that are not done",
        "SELECT DISTINCT 'turn ' || turn_id AS label FROM step
         WHERE NOT EXISTS (SELECT 1 FROM turn WHERE turn.id = turn_id AND state <> 'done')",
    ),
    rows(
        "sends are in legal states",
        "SELECT 'send ' || id AS label FROM outbox
         WHERE state NOT IN ('waiting', 'ready', 'sending', 'done', 'dead')
            OR attempts < 0
            OR (state = 'sending' AND (attempts < 1 OR first_try_at_ms IS NULL))
            OR (state = 'done' AND external_id IS NULL)
            OR (state = 'dead' AND error IS NULL)",
    ),
    rows(
        "each conversation has one send at its head",
        "SELECT conversation AS label FROM outbox WHERE state IN ('ready', 'sending')
         GROUP BY conversation HAVING count(*) > 1
         UNION ALL
         SELECT DISTINCT conversation FROM outbox AS behind WHERE state = 'waiting' AND NOT EXISTS
         (SELECT 1 FROM outbox AS head WHERE head.conversation = behind.conversation
          AND head.state IN ('ready', 'sending'))",
    ),
    rows(
        "sends go out in the order in which they were written",
        "SELECT conversation AS label FROM outbox AS head
         WHERE state IN ('ready', 'sending') AND EXISTS
         (SELECT 1 FROM outbox AS behind WHERE behind.conversation = head.conversation
          AND behind.state = 'waiting' AND behind.id < head.id)",
    ),
    rows(
        "no conversation remembers more than it may",
        "SELECT conversation AS label FROM history GROUP BY conversation HAVING count(*) > 1000",
    ),
    note_rows(
        "no note is there twice",
        "SELECT scope || ' ' || key AS label FROM note GROUP BY scope, key HAVING count(*) > 1",
    ),
    note_rows(
        "no scope has more notes than it may",
        "SELECT scope AS label FROM note GROUP BY scope HAVING count(*) > 1000",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::{CONVERSATION_HISTORY_MAX, NOTES_PER_SCOPE_MAX};

    #[test]
    fn the_bound_in_the_query_is_the_bound() {
        for (table, max) in [
            ("history", CONVERSATION_HISTORY_MAX),
            ("note", NOTES_PER_SCOPE_MAX),
        ] {
            let (from, bound) = (format!("FROM {table} "), format!("> {max}"));
            let has = |check: &Check| matches!(check.how, How::Rows(sql) if sql.contains(&from) && sql.ends_with(&bound));
            assert!(OF_ALL.iter().any(has), "{table}");
        }
    }
}
