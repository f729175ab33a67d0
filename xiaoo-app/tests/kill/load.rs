//! Killed at random moments under load, over both transports: one daemon with a file,
//! and two that share a server.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use feishu_sim::{ClientConfig, Fault, FaultKind, SimConfig};

use crate::balancer::Balancer;
use crate::crowd::Crowd;
use crate::harness::{Daemon, Rig, Setup, Via};
use crate::server::Cluster;

/// Kills in all, half of them over each transport.
const KILLS: u64 = 20;
/// The same where a dead daemon's work waits for its lease to run out.
const KILLS_OF_TWO: u64 = 12;
/// Between two messages of the crowd.
const EVERY: Duration = Duration::from_millis(40);
/// How long nothing may happen before nobody is owed anything. Feishu's fourth push
/// of an event comes, at this speed, after 15 s, and a lease lasts for 12 s.
const NOTHING_FOR: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_random_nothing_is_lost_doubled_or_out_of_order() {
    side_by_side(Keeps::File, KILLS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_on_one_server_killed_at_random_lose_double_and_reorder_nothing() {
    side_by_side(Keeps::Server, KILLS_OF_TWO).await;
}

/// Where what must not be lost is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Keeps {
    /// In a file, by one daemon.
    File,
    /// On a PostgreSQL server, by two daemons of which one or the other is killed, or
    /// both.
    Server,
}

impl Keeps {
    /// People who talk, each in a chat of their own. A conversation that a dead daemon
    /// was working on stands still until its lease is out: there must be others.
    fn people(self) -> usize {
        match self {
            Self::File => 10,
            Self::Server => 60,
        }
    }
}

/// Both transports side by side: much of it is waiting for Feishu to push again.
async fn side_by_side(keeps: Keeps, kills: u64) {
    let kills = setting("XIAOO_KILLS").unwrap_or(kills);
    let seed = setting("XIAOO_SEED").unwrap_or_else(|| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        u64::from(now.subsec_nanos())
    });
    eprintln!("{keeps:?}: {kills} kills; to repeat them: XIAOO_SEED={seed}");
    let mut first = fastrand::Rng::with_seed(seed);
    let mut second = first.fork();
    tokio::join!(
        run(keeps, Via::LongConnection, kills.div_ceil(2), &mut first),
        run(keeps, Via::Webhook, kills.div_ceil(2), &mut second),
    );
}

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

async fn run(keeps: Keeps, via: Via, kills: u64, rng: &mut fastrand::Rng) {
    let balancer = Balancer::start().await;
    let store = match keeps {
        Keeps::File => None,
        Keeps::Server => Some(Cluster::shared().new_url().await),
    };
    let mut rig = Rig::without_daemon(Setup {
        via,
        sim: SimConfig {
            time_scale: 0.004,
            // The daemon's own waits are as long as ever.
            uuid_window: Duration::from_secs(3600 * 250),
            ack_within: Duration::from_secs(1),
            // The platform's limits would be reached, and are tested elsewhere.
            limits_on: false,
            client_config: ClientConfig {
                reconnect_nonce: 0,
                ..ClientConfig::default()
            },
            ..SimConfig::default()
        },
        store,
        webhook_port: Some(balancer.port),
        // A turn is long enough to be killed in its middle, and short enough
        // that the daemon keeps up.
        model_pause: Duration::from_millis(1),
        // Work that was cut off heaps up, and a full backlog is no loss.
        more: "[limits]\nmax_queue_per_conversation = 10000",
        ..Setup::default()
    })
    .await;
    let mut other = (keeps == Keeps::Server).then(|| rig.daemon_elsewhere());
    balancer.leads_to([&rig.daemon].into_iter().chain(&other).map(|one| one.port));
    // On an empty database both make the tables.
    rig.spawn();
    if let Some(other) = &mut other {
        other.start().await;
    }
    rig.until_ready().await;
    trouble(&rig);

    let began = Instant::now();
    let mut crowd = Crowd::new(&rig.sim, &rig.model, keeps.people());
    let mut starts = Vec::new();
    for _ in 0..kills {
        let lives = Duration::from_millis(rng.u64(30..900));
        talk(&mut crowd, &rig, rng, lives).await;
        let started = match &mut other {
            None => again(&mut rig.daemon),
            Some(other) => match rng.u8(..5) {
                0 => {
                    other.kill();
                    again(&mut rig.daemon);
                    again(other)
                }
                1 | 2 => again(&mut rig.daemon),
                _ => again(other),
            },
        };
        // One in four is killed again before it is up.
        if rng.u8(..4) == 0 {
            let lives = Duration::from_millis(rng.u64(5..120));
            talk(&mut crowd, &rig, rng, lives).await;
        } else {
            rig.until_ready().await;
            if let Some(other) = &other {
                other.until_ready().await;
            }
            starts.push(started.elapsed());
        }
    }
    rig.until_ready().await;
    rig.sim.faults().clear();
    crowd.settles(&rig.sim, NOTHING_FOR).await;
    let tally = crowd.tally(&rig.sim, Some(&rig.log()));
    starts.sort();
    eprintln!(
        "{keeps:?}, {via:?}: {kills} kills in {:.1?}; {} said, {} acknowledged, {} answered ({} notices), {} lost, \
         {} doubled, {} out of order; ready after {:.0?} (median), {:.0?} (longest)",
        began.elapsed(),
        tally.said,
        tally.acknowledged,
        tally.answered,
        tally.notices,
        tally.lost.len(),
        tally.doubled.len(),
        tally.out_of_order.len(),
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

/// Kills a daemon and starts it again.
fn again(daemon: &mut Daemon) -> Instant {
    daemon.kill();
    let started = Instant::now();
    daemon.spawn();
    started
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
