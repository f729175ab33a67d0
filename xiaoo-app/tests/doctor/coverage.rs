//! Each finding of the table is produced by a test that breaks its layer on purpose.

use std::collections::BTreeSet;

use xiaoo_app::commands::doctor::findings;

use crate::{certificates, front, machine, reload, several, silence, store, subscription};
use crate::{webhook, websocket};

/// What the tests produce. Each list stands beside its test, which is held to it.
const PRODUCED: &[&[&str]] = &[
    certificates::PRODUCED,
    front::PRODUCED,
    machine::BINARY,
    machine::CHANGED,
    machine::DISK,
    machine::FLAPS,
    machine::NOT_READY,
    reload::PRODUCED,
    several::PRODUCED,
    silence::PRODUCED,
    silence::OF_NAMES,
    store::PRODUCED,
    subscription::PRODUCED,
    subscription::TOLD,
    webhook::IN_FRONT,
    webhook::OTHERWISE,
    websocket::PLATFORM,
    websocket::MODEL,
    websocket::MACHINE,
];

#[test]
fn each_finding_is_produced_by_a_test() {
    let produced = PRODUCED.iter().copied().flatten().copied();
    let known = findings::ALL.iter().map(|finding| finding.id);
    assert_eq!(
        known.collect::<BTreeSet<_>>(),
        produced.collect::<BTreeSet<_>>(),
        "left: the table; right: what is broken in a test"
    );
}
