//! Pings keep the interval that the server asks for, and silence ends a link.

use core::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use proto_core::Config;
use proto_core::conn::{CloseReason, HeapMemory, LinkState, Timer};

use crate::cases;
use crate::rig::Rig;
use crate::support::Said;

/// The interval that the machine keeps when the server asks for `raw` seconds:
/// no longer than ten minutes, and the old one instead of none.
fn kept(raw: i64, old: Duration) -> Duration {
    match u64::try_from(raw) {
        Ok(seconds @ 1..) => Duration::from_secs(seconds.min(600)),
        _ => old,
    }
}

fn intervals() -> impl Strategy<Value = i64> {
    prop_oneof![4 => 1..700_i64, 1 => -10..3_i64, 1 => any::<i64>()]
}

proptest! {
    #![proptest_config(cases())]

    /// Each ping is answered after a while with another interval: a longer
    /// one counts from the next ping on, a shorter one from this one, but
    /// never from before now.
    #[test]
    fn gaps_between_pings_are_what_the_server_asks_for(
        first in intervals(),
        rounds in vec((0..30_000_u64, intervals()), 1..20),
    ) {
        let default = Duration::from_secs(120);
        let mut rig = Rig::new(Config::default(), 1, HeapMemory::new(1, 256, 0));
        rig.connect(&format!(r#"{{"PingInterval":{first}}}"#));
        let mut interval = kept(first, default);
        for (answered_after, raw) in rounds {
            let pinged = rig.now;
            let answered_after = Duration::from_millis(answered_after).min(interval / 2);
            rig.pass(answered_after);
            rig.pong(&format!(r#"{{"PingInterval":{raw}}}"#));
            let new = kept(raw, interval);
            let gap = interval.min(new.max(answered_after));
            interval = new;
            // The link may count as stable before, or at the same time.
            let said = loop {
                let (timer, said) = rig.next_timer();
                prop_assert!(matches!(timer, Timer::Ping | Timer::Stable));
                if !said.is_empty() {
                    break said;
                }
            };
            prop_assert!(matches!(&said[..], [Said::Send(_)]), "{:?}", said);
            prop_assert_eq!(rig.now - pinged, gap);
        }
    }

    /// However often a silent link is pinged, it ends when the first ping
    /// has been waiting for too long.
    #[test]
    fn a_silent_link_ends_with_its_first_unanswered_ping(
        interval in 1..700_i64,
        pong_timeout in prop_oneof![1..100_000_u64, (1..100_u64).prop_map(|seconds| seconds * 1000)],
        heard_after in 0..100_000_u64,
    ) {
        let pong_timeout = Duration::from_millis(pong_timeout);
        let config = Config { pong_timeout, ..Config::default() };
        let mut rig = Rig::new(config, 1, HeapMemory::new(1, 256, 0));
        rig.connect(&format!(r#"{{"PingInterval":{interval}}}"#));
        let interval = kept(interval, Duration::ZERO);
        let opened = rig.now;
        // The last sign of life, before the silence.
        let heard_after = Duration::from_millis(heard_after).min(pong_timeout - Duration::from_millis(1));
        while rig.machine.poll_timeout().unwrap().0 <= opened + heard_after {
            rig.next_timer();
        }
        rig.now = opened + heard_after;
        rig.machine.handle_other_message(rig.epoch, false);
        let pings_before = u32::try_from(heard_after.as_millis() / interval.as_millis()).unwrap();
        let unanswered = opened + interval * (pings_before + 1);
        // Another timer may be due at the moment of the end.
        let said = loop {
            match rig.next_timer().1 {
                said if rig.machine.state() != LinkState::Open => break said,
                said => prop_assert!(matches!(&said[..], [] | [Said::Send(_)]), "{:?}", said),
            }
            prop_assert!(rig.now <= unanswered + pong_timeout);
        };
        prop_assert_eq!(rig.now, unanswered + pong_timeout);
        prop_assert_eq!(&said[0], &Said::Disconnect(rig.epoch, CloseReason::PongTimeout));
    }
}
