//! After a crash, against growth, and for whoever watches.

use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior, params};

use super::notes;
use super::writer::Gauges;
use crate::error::StoreError;
use crate::limits::{DEAD_KEPT, HISTORY_KEPT, KEYS_KEPT, PRUNE_BATCH_MAX, millis};
use crate::types::StoreStats;

/// Free pages given back to the disk by one pruning; few, as each is moved.
const FREED_PAGES_MAX: u32 = 256;

/// Puts back what a dead process had under way: we hold the lock, so whoever
/// claimed it is gone. Epochs and tries are not touched, so late writes of a
/// claim before the crash can't be mistaken for those of the next.
pub(super) fn recover(db: &mut Connection) -> rusqlite::Result<Gauges> {
    let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let turns = tx.execute(
        "UPDATE turn SET state = 'ready' WHERE state = 'running'",
        [],
    )?;
    // Nobody knows whether these were sent; the first try's time says what may be done.
    let sends = tx.execute(
        "UPDATE outbox SET state = 'ready', error = NULL WHERE state = 'sending'",
        [],
    )?;
    let queued = count(&tx, "SELECT count(*) FROM turn WHERE state = 'ready'")?
        + count(&tx, "SELECT count(*) FROM turn WHERE state = 'waiting'")?;
    let notes = count(&tx, "SELECT count(*) FROM note")?;
    tx.commit()?;
    if turns > 0 || sends > 0 {
        tracing::info!(turns, sends, "work that was cut off is taken up again");
    }
    Ok(Gauges { queued, notes })
}

/// Removes what is too old, a batch of each table.
pub(super) fn prune(
    tx: &Connection,
    gauges: &mut Gauges,
    now_ms: i64,
    batch: usize,
) -> Result<usize, StoreError> {
    let batch = i64::try_from(batch.min(PRUNE_BATCH_MAX)).unwrap_or(i64::MAX);
    let before_ms = |kept| now_ms.saturating_sub(millis(kept));
    // Before their rows go, and both statements choose the same ones.
    tx.prepare_cached(
        "DELETE FROM outbox_body WHERE outbox_id IN
         (SELECT id FROM outbox WHERE state = 'dead' AND created_ms < ?1
          ORDER BY created_ms LIMIT ?2)",
    )?
    .execute(params![before_ms(DEAD_KEPT), batch])?;
    let mut removed = notes::remove_expired(tx, gauges, now_ms, batch)?;
    for (kept, sql) in [
        (
            KEYS_KEPT,
            "DELETE FROM event WHERE id IN
             (SELECT id FROM event WHERE received_ms < ?1 ORDER BY received_ms LIMIT ?2)",
        ),
        (
            KEYS_KEPT,
            "DELETE FROM turn WHERE id IN
             (SELECT id FROM turn WHERE state = 'done' AND finished_ms < ?1
              ORDER BY finished_ms LIMIT ?2)",
        ),
        (
            KEYS_KEPT,
            "DELETE FROM outbox WHERE id IN
             (SELECT id FROM outbox WHERE state = 'done' AND created_ms < ?1
              ORDER BY created_ms LIMIT ?2)",
        ),
        (
            DEAD_KEPT,
            "DELETE FROM outbox WHERE id IN
             (SELECT id FROM outbox WHERE state = 'dead' AND created_ms < ?1
              ORDER BY created_ms LIMIT ?2)",
        ),
        (
            HISTORY_KEPT,
            "DELETE FROM history WHERE id IN
             (SELECT id FROM history WHERE created_ms < ?1 ORDER BY created_ms LIMIT ?2)",
        ),
    ] {
        removed += tx
            .prepare_cached(sql)?
            .execute(params![before_ms(kept), batch])?;
    }
    if removed > 0 {
        // One row a page: it ends when all rows have been asked for.
        tx.pragma(None, "incremental_vacuum", FREED_PAGES_MAX, |_| Ok(()))?;
    }
    Ok(removed)
}

/// Counts what is open, by the partial indexes: finished rows cost nothing.
pub(super) fn stats(db: &Connection) -> Result<StoreStats, StoreError> {
    let oldest = |sql: &str| -> rusqlite::Result<Option<i64>> {
        db.prepare_cached(sql)?
            .query_row([], |row| row.get(0))
            .optional()
    };
    let ready = count(db, "SELECT count(*) FROM turn WHERE state = 'ready'")?;
    let waiting = count(db, "SELECT count(*) FROM turn WHERE state = 'waiting'")?;
    let pages = count(db, "PRAGMA page_count")?;
    let page_bytes = count(db, "PRAGMA page_size")?;
    Ok(StoreStats {
        queued: ready + waiting,
        running: count(db, "SELECT count(*) FROM turn WHERE state = 'running'")?,
        // A head is older than all that wait behind it, but it may be running: so
        // both are asked.
        oldest_queued_ms: [
            oldest("SELECT received_ms FROM turn WHERE state = 'ready' ORDER BY id LIMIT 1")?,
            oldest(
                "SELECT received_ms FROM turn
                    WHERE id = (SELECT min(id) FROM turn INDEXED BY turn_waiting
                                 WHERE state = 'waiting')",
            )?,
        ]
        .into_iter()
        .flatten()
        .min(),
        outbox_open: count(
            db,
            "SELECT count(*) FROM outbox WHERE state IN ('ready', 'sending')",
        )? + count(db, "SELECT count(*) FROM outbox WHERE state = 'waiting'")?,
        outbox_dead: count(db, "SELECT count(*) FROM outbox WHERE state = 'dead'")?,
        file_bytes: pages.saturating_mul(page_bytes),
        wal_bytes: wal_bytes(db),
        ..StoreStats::default()
    })
}

fn count(db: &Connection, sql: &str) -> rusqlite::Result<u64> {
    let count: i64 = db.prepare_cached(sql)?.query_row([], |row| row.get(0))?;
    Ok(u64::try_from(count).unwrap_or(0))
}

fn wal_bytes(db: &Connection) -> u64 {
    // A log that isn't there is empty.
    db.path()
        .and_then(|path| std::fs::metadata(format!("{path}-wal")).ok())
        .map_or(0, |wal| wal.len())
}
