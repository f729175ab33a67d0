//! `store check`: is all that must hold still so?

use std::collections::BTreeMap;
use std::io::Write;

use anyhow::bail;
use xiaoo_store::{Inventory, Kind, StoreError, StoreReader, StoreUrl};

use super::{number, open};
use crate::store::how_to_save;

/// Says what is in the store, and what is wrong with it.
pub(super) fn run(url: &StoreUrl, out: &mut impl Write) -> anyhow::Result<()> {
    let reader = open(url)?;
    writeln!(out, "store    {url}")?;
    match reader.inventory() {
        Ok(inventory) => write_inventory(&inventory, out)?,
        Err(StoreError::Corrupt { detail }) => {
            writeln!(out, "         can't be counted: {detail}")?
        }
        Err(error) => return Err(error.into()),
    }
    writeln!(out)?;
    let failed = check_all(&reader, out)?;
    writeln!(out)?;
    match failed.worst {
        None => writeln!(out, "The store is consistent.")?,
        Some(Kind::Damage) => writeln!(out, "The store is damaged.\n{}", how_to_save(url))?,
        Some(Kind::Mistake) => writeln!(
            out,
            "Most likely this is a mistake of the daemon: please report it, with the lines above.\n\
             It can go on; `xiaoo-app store export` shows the turns and sends that are named."
        )?,
    }
    out.flush()?;
    if failed.checks > 0 {
        bail!("the store {url} failed {} of its checks", failed.checks);
    }
    Ok(())
}

#[derive(Default)]
struct Failed {
    checks: usize,
    worst: Option<Kind>,
}

fn check_all(reader: &StoreReader, out: &mut impl Write) -> anyhow::Result<Failed> {
    let mut failed = Failed::default();
    for check in reader.checks() {
        let promise = check.promise;
        let (times, examples, kind) = match reader.check(&check) {
            Ok(finding) if finding.count == 0 => {
                writeln!(out, "ok       {promise}")?;
                out.flush()?;
                continue;
            }
            Ok(finding) => (finding.count, finding.examples, check.kind()),
            // The check itself ran into the damage.
            Err(StoreError::Corrupt { detail }) => (1, vec![detail], Kind::Damage),
            Err(error) => return Err(error.into()),
        };
        writeln!(out, "FAILED   {promise}: not so {} times", number(times))?;
        for example in &examples {
            writeln!(out, "           {}", example.replace('\n', "; "))?;
        }
        if times > examples.len() as u64 {
            writeln!(out, "           …")?;
        }
        out.flush()?;
        failed.checks += 1;
        if failed.worst != Some(Kind::Damage) {
            failed.worst = Some(kind);
        }
    }
    Ok(failed)
}

fn write_inventory(inventory: &Inventory, out: &mut impl Write) -> std::io::Result<()> {
    let Inventory {
        schema,
        bytes,
        events,
        turns,
        steps,
        sends,
        history,
        notes,
    } = inventory;
    writeln!(
        out,
        "schema   {schema}, {} kB",
        number(bytes.div_ceil(1_000))
    )?;
    writeln!(out, "events   {} keys", number(*events))?;
    let turn_states = ["waiting", "ready", "running", "done"];
    writeln!(out, "turns    {}", states(turns, &turn_states))?;
    writeln!(out, "steps    {}", number(*steps))?;
    let send_states = ["waiting", "ready", "sending", "done", "dead"];
    writeln!(out, "sends    {}", states(sends, &send_states))?;
    writeln!(out, "history  {} rows", number(*history))?;
    writeln!(out, "notes    {}", number(*notes))
}

/// The usual states in the order in which they are passed, and any other.
fn states(counts: &BTreeMap<String, u64>, usual: &[&str]) -> String {
    let count = |state: &str| counts.get(state).copied().unwrap_or_default();
    let others = counts.keys().map(String::as_str);
    let others = others.filter(|state| !usual.contains(state));
    let texts = usual
        .iter()
        .copied()
        .chain(others)
        .map(|state| format!("{} {state}", number(count(state))));
    texts.collect::<Vec<_>>().join(", ")
}
