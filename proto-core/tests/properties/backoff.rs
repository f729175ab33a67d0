//! Waits between attempts: inside their bounds, whatever ends the attempts,
//! and never those of a herd.

use core::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use proto_core::conn::{CloseReason, HeapMemory, Timer};
use proto_core::{Config, EndpointReply, HandshakeRefusal};

use crate::cases;
use crate::rig::{NO_CONFIG, Rig};

const SECOND: Duration = Duration::from_secs(1);

/// How an attempt ends.
#[derive(Clone, Copy, Debug)]
enum End {
    Unreachable,
    Busy,
    TooMany,
    TimedOut,
    DialFailed,
    Refused,
    /// The link opens, and is lost before it counts as stable.
    Flaps(u64),
    /// The link stands long enough for the outage to be over.
    Stands,
}

fn end() -> impl Strategy<Value = End> {
    prop_oneof![
        Just(End::Unreachable),
        Just(End::Busy),
        Just(End::TooMany),
        Just(End::TimedOut),
        Just(End::DialFailed),
        Just(End::Refused),
        (0..30_000_u64).prop_map(End::Flaps),
        Just(End::Stands),
    ]
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn waits_stay_inside_their_bounds(
        seed in any::<u64>(),
        interval in 1..700_u64,
        nonce in 0..400_u64,
        ends in vec(end(), 1..40),
    ) {
        let intervals = format!(r#"{{"ReconnectInterval":{interval},"ReconnectNonce":{nonce}}}"#);
        let mut rig = Rig::new(Config::default(), seed, HeapMemory::new(1, 256, 0));
        prop_assert_eq!(wait(&mut rig), Duration::ZERO, "nothing to wait for");
        open(&mut rig, &intervals);
        rig.lose();
        let (mut attempts, mut is_slow) = (0_u32, false);
        for end in ends {
            let longest = match attempts {
                _ if is_slow => 120 * SECOND,
                0 => SECOND * nonce.min(5) as u32,
                later => (SECOND * 2_u32.pow((later - 1).min(6))).min(SECOND * interval.min(60) as u32),
            };
            let shortest = if is_slow { 60 * SECOND } else { Duration::ZERO };
            let waited = wait(&mut rig);
            prop_assert!((shortest..=longest).contains(&waited), "{} before: {:?}", attempts, waited);

            is_slow = matches!(end, End::TooMany);
            attempts = if matches!(end, End::Stands) { 0 } else { attempts + 1 };
            finish(&mut rig, &intervals, end);
        }
    }
}

/// To the next attempt, and how long that took.
fn wait(rig: &mut Rig<HeapMemory>) -> Duration {
    let from = rig.now;
    rig.attempt();
    rig.now - from
}

fn open(rig: &mut Rig<HeapMemory>, intervals: &str) {
    rig.grant(intervals);
    rig.machine.handle_open(rig.now, rig.epoch);
    rig.drain();
}

/// Brings an attempt to its end.
fn finish(rig: &mut Rig<HeapMemory>, intervals: &str, end: End) {
    let (now, epoch) = (rig.now, rig.epoch);
    let busy = |code: &'static str| EndpointReply::Http {
        status: 200,
        body: code.as_bytes(),
    };
    match end {
        End::Unreachable => rig
            .machine
            .handle_endpoint(now, epoch, EndpointReply::Failed),
        End::Busy => rig
            .machine
            .handle_endpoint(now, epoch, busy(r#"{"code":1}"#)),
        End::TooMany => rig
            .machine
            .handle_endpoint(now, epoch, busy(r#"{"code":1000040350}"#)),
        End::TimedOut => assert_eq!(rig.next_timer().0, Timer::Connect),
        End::DialFailed => {
            rig.grant(intervals);
            rig.machine
                .handle_closed(now, epoch, CloseReason::ConnectFailed);
        }
        End::Refused => {
            rig.grant(intervals);
            let refusal = HandshakeRefusal {
                http_status: 502,
                ..HandshakeRefusal::default()
            };
            rig.machine.handle_refused(now, epoch, refusal);
        }
        End::Flaps(millis) => {
            open(rig, intervals);
            rig.pass(Duration::from_millis(millis));
            rig.lose();
        }
        End::Stands => {
            open(rig, intervals);
            rig.pong(NO_CONFIG);
            while rig.next_timer().0 != Timer::Stable {}
            rig.lose();
        }
    }
    rig.drain();
}

/// A thousand machines lose the server at one moment, and it stays away for a
/// while. However their seeds are related, each wave of their attempts is
/// spread out: of a thousand spread evenly over the five seconds of the first
/// wave, 20 fall into a tenth of a second; by chance, but for one time in a
/// million, not more than 60. Later waves are no denser.
#[test]
fn a_thousand_machines_do_not_come_back_as_a_herd() {
    const FULLEST: usize = 60;
    type Seed = fn(u64) -> u64;
    let families: [(&str, Seed); 5] = [
        ("one after the other", |machine| machine),
        ("in the high bits only", |machine| machine << 48),
        ("addresses", |machine| 0x7ffc_0000_1000 + machine * 4096),
        ("times of start, 10 ms apart", |machine| {
            1_772_445_600_000_000_000 + machine * 10_000_000
        }),
        ("at random", |machine| {
            machine.wrapping_mul(0x2545_f491_4f6c_dd1d)
        }),
    ];
    for (family, seed) in families {
        let mut waves = [const { Vec::new() }; 5];
        for machine in 0..1000 {
            let mut rig = Rig::new(Config::default(), seed(machine), HeapMemory::new(1, 256, 0));
            rig.connect(NO_CONFIG);
            rig.lose();
            let lost = rig.now;
            for wave in &mut waves {
                rig.attempt();
                wave.push((rig.now - lost).as_millis());
                rig.lose();
            }
        }
        for (number, mut dials) in waves.into_iter().enumerate() {
            dials.sort_unstable();
            let within = |from: usize| dials[from..].partition_point(|at| *at < dials[from] + 100);
            let fullest = (0..dials.len()).map(within).max();
            assert!(
                fullest <= Some(FULLEST),
                "{family}, wave {number}: {fullest:?} in 100 ms"
            );
        }
    }
}
