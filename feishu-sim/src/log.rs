//! What was seen: acks, calls, violations. The newest are kept one by one,
//! counters count all.

use std::collections::{BTreeMap, VecDeque};

use serde_json::{Value, json};

use crate::config::bound;
use crate::view::{Ack, ApiCall, Violation};

/// The record.
#[derive(Debug, Default)]
pub(crate) struct Log {
    pub(crate) acks: VecDeque<Ack>,
    pub(crate) calls: VecDeque<ApiCall>,
    pub(crate) call_counts: BTreeMap<String, u64>,
    pub(crate) violations: VecDeque<Violation>,
    pub(crate) violation_count: u64,
    pub(crate) quirks: VecDeque<Violation>,
    pub(crate) quirk_count: u64,
    pub(crate) counts: Counts,
}

/// Plain counters.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) events: u64,
    pub(crate) pushes: u64,
    pub(crate) redeliveries: u64,
    pub(crate) acked: u64,
    pub(crate) missed: u64,
    pub(crate) given_up: u64,
    pub(crate) late_acks: u64,
    pub(crate) endpoint_calls: u64,
    pub(crate) refused_handshakes: u64,
}

impl Log {
    pub(crate) fn ack(&mut self, ack: Ack) {
        keep(&mut self.acks, ack);
    }

    /// Counts a call, before anybody can see what it does.
    pub(crate) fn called(&mut self, name: &str) {
        *self.call_counts.entry(name.to_owned()).or_default() += 1;
    }

    pub(crate) fn call(&mut self, call: ApiCall) {
        keep(&mut self.calls, call);
    }

    pub(crate) fn violation(&mut self, violation: Violation) {
        self.violation_count += 1;
        keep(&mut self.violations, violation);
    }

    pub(crate) fn quirk(&mut self, quirk: Violation) {
        self.quirk_count += 1;
        keep(&mut self.quirks, quirk);
    }

    /// For `GET /sim/stats`.
    pub(crate) fn to_json(&self) -> Value {
        let mut latencies: Vec<u64> = self
            .acks
            .iter()
            .filter(|ack| ack.code == 200)
            .map(|ack| ack.latency_ms)
            .collect();
        latencies.sort_unstable();
        let at = |share: usize| {
            let place = latencies.len().saturating_sub(1) * share / 100;
            latencies.get(place).copied()
        };
        json!({
            "api_calls": self.call_counts,
            "events": self.counts.events,
            "pushes": self.counts.pushes,
            "redeliveries": self.counts.redeliveries,
            "acked": self.counts.acked,
            "missed": self.counts.missed,
            "given_up": self.counts.given_up,
            "late_acks": self.counts.late_acks,
            "endpoint_calls": self.counts.endpoint_calls,
            "refused_handshakes": self.counts.refused_handshakes,
            "ack_latency_ms": {"p50": at(50), "p90": at(90), "p99": at(99), "max": at(100)},
            "violation_count": self.violation_count,
            "violations": newest(&self.violations),
            "quirk_count": self.quirk_count,
            "quirks": newest(&self.quirks),
            "acks": newest(&self.acks),
        })
    }
}

fn keep<T>(list: &mut VecDeque<T>, one: T) {
    if list.len() >= bound::LOG_MAX {
        list.pop_front();
    }
    list.push_back(one);
}

/// The newest few, oldest first.
fn newest<T: serde::Serialize>(list: &VecDeque<T>) -> Vec<&T> {
    list.iter()
        .skip(list.len().saturating_sub(STATS_LIST_MAX))
        .collect()
}

/// How many single records `GET /sim/stats` shows of each kind.
const STATS_LIST_MAX: usize = 100;
