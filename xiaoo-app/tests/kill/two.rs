//! One of two daemons on a server, each with a disk of its own, killed between a step and
//! its record: the other goes on.

use std::time::{Duration, Instant};

use feishu_sim::SimConfig;
use xiaoo_app::fail_point::FailPoint;

use crate::balancer::Balancer;
use crate::crowd::Crowd;
use crate::harness::{PATIENCE, Rig, Setup, Via};
use crate::places::is_of_a_mark;
use crate::server::Cluster;

/// Places at a time; each waits for a lease to run out most of the time.
const AT_A_TIME: usize = 10;
/// Between two messages: the one that is to die gets about every second.
const EVERY: Duration = Duration::from_millis(100);

#[tokio::test(flavor = "multi_thread")]
async fn one_of_two_killed_at_every_named_place_the_other_goes_on() {
    let by_webhook = FailPoint::ALL
        .iter()
        .filter(|place| place.name().starts_with("admit."))
        .map(|place| (Via::Webhook, *place));
    let places: Vec<_> = FailPoint::ALL
        .iter()
        // Nobody here meets a full backlog.
        .filter(|place| !is_of_a_mark(**place))
        .map(|place| (Via::LongConnection, *place))
        .chain(by_webhook)
        .collect();
    for some in places.chunks(AT_A_TIME) {
        let runs = some.iter().map(|(via, place)| survives(*via, *place));
        futures_util::future::join_all(runs).await;
    }
}

async fn survives(via: Via, fail_point: FailPoint) {
    let place = fail_point.name();
    let balancer = Balancer::start().await;
    let defaults = Setup::default();
    let mut rig = Rig::without_daemon(Setup {
        via,
        webhook_port: Some(balancer.port),
        store: Some(Cluster::shared().new_url().await),
        sim: SimConfig {
            // The daemon's own waits are as long as ever.
            uuid_window: Duration::from_secs(3600 * 100),
            ..defaults.sim
        },
        ..defaults
    })
    .await;
    rig.spawn_to_die_at(Some(fail_point));
    let mut other = rig.daemon_elsewhere();
    balancer.leads_to([rig.daemon.port, other.port]);
    other.start().await;
    rig.until_ready().await;
    let mut crowd = Crowd::new(&rig.sim, &rig.model, 20);
    let mut rng = fastrand::Rng::with_seed(1);
    let began = Instant::now();
    while rig.daemon.lives() {
        let log = || rig.log();
        assert!(
            began.elapsed() < PATIENCE,
            "{place} was never passed; log:\n{}",
            log()
        );
        crowd.says(&rig.sim, &mut rng);
        tokio::time::sleep(EVERY).await;
    }
    let died = Instant::now();
    crowd.settles(&rig.sim, PATIENCE).await;
    let took = died.elapsed();
    let tally = crowd.tally(&rig.sim, Some(&rig.log()));
    eprintln!(
        "{place}, {via:?}: all settled {took:.1?} after the death; {} said",
        tally.said
    );
    tally.assert_kept(&rig);
    assert_eq!((tally.answered, tally.notices), (tally.said, 0), "{place}");
    let (_, ready) = other.ready().await;
    assert_eq!(ready["store"]["dead"], 0, "{place}: {ready}");
}
