//! Killed at random moments under load, over both transports.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use feishu_sim::{ClientConfig, Fault, FaultKind, SimConfig};

use crate::crowd::Crowd;
use crate::harness::{Rig, Setup, Via};

/// Kills in all, half of them over each transport.
const KILLS: u64 = 20;
/// People who talk, each in a chat of their own.
const PEOPLE: usize = 10;
/// Between two messages of the crowd.
const EVERY: Duration = Duration::from_millis(40);
/// From the last kill until nobody is owed anything. Feishu's fourth push of
/// an event comes, at this speed, after 15 s; what heaps up with each kill is
/// worked off.
const SETTLED_WITHIN: Duration = Duration::from_secs(60);
const FOR_EACH_KILL: Duration = Duration::from_secs(1);

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_random_nothing_is_lost_doubled_or_out_of_order() {
    let kills = setting("XIAOO_KILLS").unwrap_or(KILLS);
    let seed = setting("XIAOO_SEED").unwrap_or_else(|| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        u64::from(now.subsec_nanos())
    });
    eprintln!("{kills} kills; to repeat them: XIAOO_SEED={seed}");
    let mut first = fastrand::Rng::with_seed(seed);
    let mut second = first.fork();
    // Side by side: much of it is waiting for Feishu to push again.
    tokio::join!(
        run(Via::LongConnection, kills.div_ceil(2), &mut first),
        run(Via::Webhook, kills.div_ceil(2), &mut second),
    );
}

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

async fn run(via: Via, kills: u64, rng: &mut fastrand::Rng) {
    let began = Instant::now();
    let mut rig = Rig::start(Setup {
        via,
        sim: SimConfig {
            time_scale: 0.004,
            ack_within: Duration::from_secs(1),
            // The platform's limits would be reached, and are tested elsewhere.
            limits_on: false,
            client_config: ClientConfig {
                reconnect_nonce: 0,
                ..ClientConfig::default()
            },
            ..SimConfig::default()
        },
        // A turn is long enough to be killed in its middle, and short enough
        // that the daemon keeps up.
        model_pause: Duration::from_millis(1),
        // Work that was cut off heaps up, and a full backlog is no loss.
        more: "[limits]\nmax_queue_per_conversation = 10000",
        ..Setup::default()
    })
    .await;
    trouble(&rig);
    let mut crowd = Crowd::new(&rig.sim, PEOPLE);
    let mut starts = Vec::new();
    for _ in 0..kills {
        let lives = Duration::from_millis(rng.u64(30..900));
        talk(&mut crowd, &rig, rng, lives).await;
        rig.daemon.kill();
        let started = Instant::now();
        rig.spawn();
        // One in four is killed again before it is up.
        if rng.u8(..4) == 0 {
            let lives = Duration::from_millis(rng.u64(5..120));
            talk(&mut crowd, &rig, rng, lives).await;
        } else {
            rig.until_ready().await;
            starts.push(started.elapsed());
        }
    }
    rig.until_ready().await;
    rig.sim.faults().clear();
    let kills_left_behind = FOR_EACH_KILL * u32::try_from(kills).unwrap();
    crowd
        .settles(&rig.sim, SETTLED_WITHIN + kills_left_behind)
        .await;
    let tally = crowd.tally(&rig.sim, Some(&rig.log()));
    starts.sort();
    eprintln!(
        "{via:?}: {kills} kills in {:.1?}; {} said, {} acknowledged, {} answered ({} notices), {} lost, {} doubled; \
         ready after {:.0?} (median), {:.0?} (longest)",
        began.elapsed(),
        tally.said,
        tally.acknowledged,
        tally.answered,
        tally.notices,
        tally.lost.len(),
        tally.doubled.len(),
        starts.get(starts.len() / 2).copied().unwrap_or_default(),
        starts.last().copied().unwrap_or_default(),
    );
    tally.assert_kept(&rig);
    assert!(
        rig.sim.violations().is_empty(),
        "{:?}",
        rig.sim.violations()
    );
}

/// What else goes wrong meanwhile: answers are lost, calls fail, events come
/// twice.
fn trouble(rig: &Rig) {
    let some = |kind: FaultKind, target: &str, probability| {
        rig.sim.faults().add(Fault {
            probability,
            ..kind.on(target)
        });
    };
    let messages = "POST /open-apis/im/v1/messages";
    some(FaultKind::ApiLostAnswer, messages, 0.05);
    some(FaultKind::ApiStatus { status: 502 }, messages, 0.03);
    some(FaultKind::ApiLateStatus { status: 404 }, messages, 0.02);
    some(FaultKind::ApiLostAnswer, "PATCH", 0.03);
    some(FaultKind::DuplicatePush, "im.message", 0.1);
}

/// People talk for so long.
async fn talk(crowd: &mut Crowd, rig: &Rig, rng: &mut fastrand::Rng, lives: Duration) {
    let ends = tokio::time::Instant::now() + lives;
    while tokio::time::Instant::now() + EVERY < ends {
        crowd.says(&rig.sim, rng);
        tokio::time::sleep(EVERY).await;
    }
    crowd.says(&rig.sim, rng);
    tokio::time::sleep_until(ends).await;
}
