//! Instructions, allocations and times of every case.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use benches::callgrind;

use crate::{Failure, Goal};

/// By case: `job@peer/size`, `job/size` for ours; and how much longer a job takes
/// where the payload alone is larger.
pub(crate) struct Figures(BTreeMap<String, Figure>, Vec<Paired>);

/// A line that `paired` printed.
#[derive(serde::Deserialize)]
struct Paired {
    job: String,
    over_64k: f64,
}

#[derive(Default)]
struct Figure {
    instructions: f64,
    allocations: u64,
    nanos: f64,
}

/// The jobs, what each is compared under, and what is done in it.
const JOBS: [(&str, &str, &str); 5] = [
    (
        "decode",
        "decode",
        "A frame to its fields, headers and payload",
    ),
    (
        "decode+ack",
        "decode+ack",
        "The same, and its acknowledgement encoded",
    ),
    (
        "normalise",
        "normalise",
        "An event's JSON to a normalised message",
    ),
    (
        "webhook-encrypted",
        "webhook-encrypted",
        "A signed and encrypted body, verified and decrypted",
    ),
    (
        "frame-to-ack",
        "frame-to-ack",
        "From a frame to a normalised message and its acknowledgement",
    ),
];
const SIZES: [&str; 3] = ["1.2k", "16k", "64k"];

impl Figures {
    pub(crate) fn collect(folder: &Path) -> Result<Self, Failure> {
        let mut figures: BTreeMap<String, Figure> = BTreeMap::new();
        let count = std::env::current_exe()?.with_file_name("count");
        for line in said(&count.with_file_name("allocations"), &[])?.lines() {
            let (case, allocations) = line.split_once(' ').ok_or("no count")?;
            figures.entry(case.to_owned()).or_default().allocations = allocations.parse()?;
        }
        for case in said(&count, &["--list"])?.lines() {
            #[expect(clippy::cast_precision_loss, reason = "figures for people")]
            let instructions = callgrind::instructions(&count, case)? as f64;
            figures.entry(case.to_owned()).or_default().instructions = instructions;
        }
        for entry in std::fs::read_dir(folder.join("criterion"))? {
            let new = entry?.path().join("new");
            let Ok(about) = std::fs::read(new.join("benchmark.json")) else {
                continue; // a report, not a benchmark
            };
            let about: serde_json::Value = serde_json::from_slice(&about)?;
            let estimates = std::fs::read(new.join("estimates.json"))?;
            let estimates: serde_json::Value = serde_json::from_slice(&estimates)?;
            let nanos = estimates["median"]["point_estimate"].as_f64();
            let case = about["full_id"].as_str().ok_or("no full_id")?.to_owned();
            figures.entry(case).or_default().nanos = nanos.ok_or("no median")?;
        }
        let mut paired = Vec::new();
        for line in std::fs::read_to_string(folder.join("paired.jsonl"))?.lines() {
            paired.push(serde_json::from_str(line)?);
        }
        Ok(Self(figures, paired))
    }

    pub(crate) fn goals(&self) -> Vec<Goal> {
        let at_least = |what: &str, ratio: f64, goal: f64| -> Goal {
            let reach = format!("at least {goal}x");
            (
                what.to_owned(),
                reach,
                format!("{ratio:.1}x"),
                ratio >= goal,
            )
        };
        let at_most = |what: &str, value: f64, goal: f64, unit: &str| -> Goal {
            let measured = format!("{value:.2}{unit}");
            (
                what.to_owned(),
                format!("at most {goal}{unit}"),
                measured,
                value <= goal,
            )
        };
        let (ack, normal) = ("decode+ack/1.2k", "normalise/1.2k");
        let best = self
            .peers("decode+ack", "1.2k")
            .map(|(_, figure)| figure.instructions)
            .fold(f64::INFINITY, f64::min);
        #[expect(clippy::cast_precision_loss, reason = "a small count")]
        let allocations = self.get("frame-to-ack/1.2k").allocations as f64;
        let mut goals = vec![
            at_least(
                "decode + ack, instructions against prost owned",
                self.instructions("decode+ack@prost-owned/1.2k") / self.instructions(ack),
                10.0,
            ),
            at_least(
                "decode + ack, instructions against the best library",
                best / self.instructions(ack),
                4.0,
            ),
            at_most(
                "decode + ack, time against memcpy of the frame",
                self.nanos(ack) / self.nanos("memcpy/1.2k"),
                5.0,
                "x",
            ),
            at_least(
                "normalise, instructions against serde_json typed",
                self.instructions("normalise@serde-typed/1.2k") / self.instructions(normal),
                3.0,
            ),
            at_least(
                "normalise, instructions against serde_json Value",
                self.instructions("normalise@serde-value/1.2k") / self.instructions(normal),
                15.0,
            ),
            at_least(
                "normalise 16 KB dense in escapes, time against simd-json",
                self.nanos("normalise@simd-json/16k") / self.nanos("normalise/16k"),
                1.3,
            ),
            at_most(
                "allocations from frame to message and ack",
                allocations,
                0.0,
                "",
            ),
        ];
        goals.extend(self.1.iter().map(|paired| {
            let what = format!("{}, time at 64 KB over 1.2 KB, by turns", paired.job);
            at_most(&what, paired.over_64k, 1.05, "x")
        }));
        goals
    }

    pub(crate) fn write(&self, out: &mut String) -> std::fmt::Result {
        for (ours, theirs, what) in JOBS {
            writeln!(out, "\n### {what}\n")?;
            writeln!(
                out,
                "| | instructions, 1.2 KB | of ours | allocations | time of ours, 1.2 KB | 16 KB | 64 KB |\n\
                 | --- | ---: | ---: | ---: | ---: | ---: | ---: |"
            )?;
            let mut rows = vec![("**ours**".to_owned(), ours.to_owned())];
            if ours == "decode+ack" {
                let machine = "ours, by the connection machine".to_owned();
                rows.push((machine, "machine".to_owned()));
            }
            let peers = self.peers(theirs, "1.2k").map(|(name, _)| name.to_owned());
            rows.extend(peers.map(|name| (name.clone(), format!("{theirs}@{name}"))));
            rows.push(("memcpy of the frame".to_owned(), "memcpy".to_owned()));
            for (name, job) in rows {
                let small = self.get(&format!("{job}/1.2k"));
                write!(
                    out,
                    "| {name} | {} | {:.2} | {} |",
                    thousands(small.instructions),
                    small.instructions / self.instructions(&format!("{ours}/1.2k")),
                    small.allocations,
                )?;
                for size in SIZES {
                    let of_ours = self.nanos(&format!("{ours}/{size}"));
                    let nanos = self.nanos(&format!("{job}/{size}"));
                    if job == ours {
                        write!(out, " {} |", time(nanos))?;
                    } else {
                        write!(out, " {:.2} |", nanos / of_ours)?;
                    }
                }
                writeln!(out)?;
            }
        }
        Ok(())
    }

    fn peers<'a>(
        &'a self,
        job: &'a str,
        size: &'a str,
    ) -> impl Iterator<Item = (&'a str, &'a Figure)> {
        self.0.iter().filter_map(move |(case, figure)| {
            let (named, at) = case.split_once('/')?;
            let (its_job, peer) = named.split_once('@')?;
            (its_job == job && at == size).then_some((peer, figure))
        })
    }

    fn get(&self, case: &str) -> &Figure {
        &self.0[case]
    }

    fn instructions(&self, case: &str) -> f64 {
        self.get(case).instructions
    }

    fn nanos(&self, case: &str) -> f64 {
        self.get(case).nanos
    }
}

fn said(program: &Path, arguments: &[&str]) -> Result<String, Failure> {
    let output = Command::new(program).args(arguments).output()?;
    if !output.status.success() {
        return Err(format!("{}: {}", program.display(), output.status).into());
    }
    Ok(String::from_utf8(output.stdout)?)
}

fn time(nanos: f64) -> String {
    if nanos < 1e4 {
        format!("{nanos:.0} ns")
    } else {
        format!("{:.1} µs", nanos / 1e3)
    }
}

fn thousands(count: f64) -> String {
    let digits = format!("{count:.0}");
    let groups: Vec<&str> = digits
        .as_bytes()
        .rchunks(3)
        .rev()
        .filter_map(|group| std::str::from_utf8(group).ok())
        .collect();
    groups.join(",")
}
