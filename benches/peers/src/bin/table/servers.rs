//! What the load generator measured.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use serde::Deserialize;

use crate::{Failure, Goal};

/// One run: `{"kind": "link", "who": "node", …}`.
#[derive(Clone, Deserialize)]
struct Run {
    kind: String,
    who: String,
    per_second: f64,
    cpu_micros: f64,
    resident_mb: f64,
    write_calls: Option<f64>,
}

/// The median run of each program, by kind and program.
pub(crate) struct Figures(BTreeMap<(String, String), Run>);

const KINDS: [(&str, &str); 3] = [
    ("link", "Long connection: events acknowledged, 64 in flight"),
    ("hook", "Webhook, plain: requests"),
    ("hook-encrypted", "Webhook, signed and encrypted: requests"),
];

impl Figures {
    pub(crate) fn read(file: &Path) -> Result<Self, Failure> {
        let mut runs: BTreeMap<(String, String), Vec<Run>> = BTreeMap::new();
        for line in std::fs::read_to_string(file)?.lines() {
            let run: Run = serde_json::from_str(line)?;
            let key = (run.kind.clone(), run.who.clone());
            runs.entry(key).or_default().push(run);
        }
        let median = |mut runs: Vec<Run>| {
            // Under strace only the calls count, not the speed.
            let write_calls = runs.iter().find_map(|run| run.write_calls);
            runs.retain(|run| run.write_calls.is_none());
            runs.sort_by(|a, b| a.per_second.total_cmp(&b.per_second));
            let run = runs.get(runs.len() / 2)?.clone();
            Some(Run { write_calls, ..run })
        };
        let medians = runs
            .into_iter()
            .filter_map(|(key, runs)| Some((key, median(runs)?)));
        Ok(Self(medians.collect()))
    }

    pub(crate) fn goals(&self) -> Vec<Goal> {
        let mut goals = Vec::new();
        for (kind, peer, goal) in [
            ("link", "node", 10.0),
            ("link", "go", 10.0),
            ("hook", "node", 5.0),
            ("hook", "go", 4.0),
            ("hook-encrypted", "node", 8.0),
            ("hook-encrypted", "go", 4.0),
        ] {
            let (Some(ours), Some(theirs)) = (self.get(kind, "ours"), self.get(kind, peer)) else {
                continue;
            };
            let ratio = ours.per_second / theirs.per_second;
            let cpu = theirs.cpu_micros / ours.cpu_micros;
            goals.push((
                format!("{kind}, per second on one core, against the official {peer} client"),
                format!("at least {goal}x"),
                format!("{ratio:.1}x ({cpu:.1}x by processor time)"),
                ratio >= goal,
            ));
        }
        if let Some(calls) = self.get("link", "ours").and_then(|run| run.write_calls) {
            goals.push((
                "write calls for each acknowledgement, 64 in flight".to_owned(),
                "at most 0.03".to_owned(),
                format!("{calls:.3}"),
                calls <= 0.03,
            ));
        }
        goals
    }

    pub(crate) fn write(&self, out: &mut String) -> std::fmt::Result {
        for (kind, what) in KINDS {
            writeln!(out, "\n### {what}\n")?;
            writeln!(
                out,
                "| one core | per second | of ours | processor time each | memory | write calls each |\n\
                 | --- | ---: | ---: | ---: | ---: | ---: |"
            )?;
            let mut rows: Vec<&Run> = self.0.values().filter(|run| run.kind == kind).collect();
            rows.sort_by(|a, b| b.per_second.total_cmp(&a.per_second));
            let ours = self
                .get(kind, "ours")
                .map_or(f64::NAN, |run| run.per_second);
            for run in rows {
                let calls = run
                    .write_calls
                    .map_or("-".to_owned(), |calls| format!("{calls:.3}"));
                writeln!(
                    out,
                    "| {} | {:.0} | {:.2} | {:.1} µs | {:.0} MB | {calls} |",
                    run.who,
                    run.per_second,
                    run.per_second / ours,
                    run.cpu_micros,
                    run.resident_mb
                )?;
            }
        }
        Ok(())
    }

    fn get(&self, kind: &str, who: &str) -> Option<&Run> {
        self.0.get(&(kind.to_owned(), who.to_owned()))
    }
}
