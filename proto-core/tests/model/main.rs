//! The long-connection machine and a plain model of it get the same random
//! operations; what they say, count and wait for agrees at each step.
//!
//! `PROPTEST_CASES` says how many sequences; a failure prints the shortest one
//! that shows it.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

#[path = "../support/mod.rs"]
mod support;

mod operation;
mod reference;
mod trial;

use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, TestRunner};
use proto_core::conn::Event;

use operation::operations;
use support::Said;
use trial::Trial;

proptest! {
    // Nothing is written beside the test: the printed input is what to keep,
    // as a test of its own.
    #![proptest_config(Config { failure_persistence: None, ..Config::default() })]

    #[test]
    fn machine_and_model_agree(seed in any::<u64>(), operations in operations()) {
        Trial::new(seed).run(&operations);
    }
}

/// Agreeing on nothing would be easy: the operations reach whatever a machine
/// can say and answer.
#[test]
fn operations_reach_everything_a_machine_can_say() {
    let mut runner = TestRunner::deterministic();
    let (mut reached, mut totals) = (BTreeSet::new(), [0; 4]);
    for seed in 0..256 {
        let operations = operations().new_tree(&mut runner).unwrap().current();
        let mut trial = Trial::new(seed);
        trial.run(&operations);
        reached.extend(trial.said.iter().map(name));
        reached.extend(
            trial
                .redeemed
                .iter()
                .map(|redeemed| format!("{redeemed:?}")),
        );
        let stats = trial.stats();
        let counts = [stats.acknowledged, stats.doubles, stats.shed, trial.joined];
        for (total, count) in totals.iter_mut().zip(counts) {
            *total += count;
        }
    }
    for expected in [
        "Fetch",
        "Connect",
        "Send",
        "Disconnect(ConnectTimeout)",
        "Disconnect(PongTimeout)",
        "Disconnect(Shutdown)",
        "LinkUp",
        "LinkDown(Transport)",
        "LinkDown(Refused)",
        "Refused(Code)",
        "Refused(ForeignUrl)",
        "Refused(Handshake)",
        "Refused(HttpStatus)",
        "Refused(NoUrl)",
        "Refused(Unreachable)",
        "Fatal(Code)",
        "Fatal(Handshake)",
        // After several in a row.
        "Fatal(HttpStatus)",
        "Reconfigured",
        "AckOverdue",
        "BadFrame",
        "Discarded(Contradiction)",
        "Discarded(Expired)",
        "Discarded(Impossible)",
        "Discarded(NoRoom)",
        "Ok(())",
        "Err(BufferFull)",
        "Err(LinkDown)",
        "Err(TooLate)",
    ] {
        assert!(
            reached.contains(expected),
            "{expected} is not in {reached:?}"
        );
    }
    assert!(totals.iter().all(|total| *total >= 20), "{totals:?}");
}

/// Short for an output: its kind, and the reason if it has one.
fn name(said: &Said) -> String {
    match said {
        Said::Fetch(_) => "Fetch".into(),
        Said::Connect(..) => "Connect".into(),
        Said::Send(_) => "Send".into(),
        Said::Disconnect(_, reason) => format!("Disconnect({reason:?})"),
        Said::Event(Event::LinkDown(_, reason)) => format!("LinkDown({reason:?})"),
        Said::Event(Event::Discarded(why)) => format!("Discarded({why:?})"),
        Said::Event(Event::Refused(refusal)) => format!("Refused({})", head(refusal)),
        Said::Event(Event::Fatal(refusal)) => format!("Fatal({})", head(refusal)),
        Said::Event(event) => head(event),
    }
}

fn head(shown: impl std::fmt::Debug) -> String {
    let shown = format!("{shown:?}");
    let head = shown.split(['(', ' ']).next();
    head.unwrap_or_default().to_owned()
}
