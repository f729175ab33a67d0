//! `store prune`: what is old goes now, and not when a daemon gets to it.

use std::io::Write;

use anyhow::{Context as _, bail};
use tokio::runtime::Builder;
use xiaoo_store::limits::PRUNE_BATCH_MAX;
use xiaoo_store::{OpenError, Prunable, Store, StoreOptions, StoreUrl};

use super::{number, open};
use crate::cli::StorePruneArgs;
use crate::store::explain;
use runtime_tokio::WallClock;

/// Counts what is old, and removes it unless that is all that was asked for.
pub(super) fn run(
    args: &StorePruneArgs,
    url: &StoreUrl,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    let now_ms = WallClock::default().unix_ms();
    let prunable = open(url)?.prunable(now_ms)?;
    write_prunable(&prunable, out)?;
    if args.dry_run {
        writeln!(out, "Nothing was removed: a dry run.")?;
        return Ok(());
    }
    let (store, guard) = match Store::open(url, StoreOptions::default()) {
        Ok(opened) => opened,
        Err(error @ OpenError::LockedByAnother { .. }) => bail!(
            "{error}\nA daemon prunes by itself, every ten minutes; --dry-run works beside it."
        ),
        Err(error) => return Err(explain(url, error)),
    };
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .context("no runtime can be made")?;
    let mut removed: u64 = 0;
    loop {
        let rows = runtime.block_on(store.prune(now_ms, PRUNE_BATCH_MAX))?;
        if rows == 0 {
            break;
        }
        removed += rows as u64;
        writeln!(out, "{} rows removed", number(removed))?;
        out.flush()?;
    }
    guard.close();
    writeln!(out, "Done: {} rows were removed.", number(removed))?;
    Ok(())
}

fn write_prunable(prunable: &Prunable, out: &mut impl Write) -> std::io::Result<()> {
    let Prunable {
        events,
        turns,
        sent,
        dead,
        history,
        notes,
    } = prunable;
    for (rows, what) in [
        (events, "keys of events, older than 48 hours"),
        (turns, "turns that are done, older than 48 hours"),
        (sent, "answers that are sent, older than 48 hours"),
        (dead, "dead letters, older than 30 days"),
        (history, "rows of history, older than 90 days"),
        (notes, "notes that have expired"),
    ] {
        writeln!(out, "{:>10}  {what}", number(*rows))?;
    }
    writeln!(out, "{:>10}  in all", number(prunable.rows()))
}
