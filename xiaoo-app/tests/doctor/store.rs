//! The store: a server that is away, hangs, or doesn't let us in, and a file that is none.

use crate::doctor::{Produced, Run};
use crate::harness::daemon::PLANTED;
use crate::harness::{Rig, Setup};
use crate::server::Cluster;

pub const PRODUCED: &[&str] = &["daemon-down", "store-unreachable"];

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_can_not_be_opened_is_named_and_one_that_is_new_is_none() {
    let mut produced = Produced::default();
    let cluster = Cluster::start();
    let url = cluster.new_url().await;
    let mut rig = Rig::without_daemon(Setup {
        store: Some(url.clone()),
        ..Setup::default()
    })
    .await;
    // Nobody has made tables in it yet.
    produced.by(&rig, Run::default(), &["daemon-down"]).await;
    rig.start_daemon().await;
    produced.by(&rig, Run::default(), &[]).await;
    rig.daemon.kill();

    let away = ["daemon-down", "store-unreachable"];
    let guarded = cluster.url("guarded").replace("xiaoo@", "guarded@");
    let guarded = format!("{guarded}\"\npassword_env = \"E2E_PASSWORD");
    let own = |other: &str| Run::config(url.clone(), other);
    produced.by(&rig, own(&guarded), &away).await;
    let written = guarded_with(&cluster, PLANTED[1]);
    produced.by(&rig, own(&written), &away).await;
    let frozen = cluster.frozen();
    produced.by(&rig, Run::default(), &away).await;
    drop(frozen);
    cluster.tell("stop");
    produced.by(&rig, Run::default(), &away).await;

    let folder = rig.folder.path().display().to_string();
    produced
        .by(&rig, own(&format!("sqlite:{folder}")), &away)
        .await;
    produced.are(PRODUCED);
}

/// A URL with the password in it.
fn guarded_with(cluster: &Cluster, password: &str) -> String {
    let url = cluster.url("guarded");
    url.replace("xiaoo@", &format!("guarded:{password}@"))
}
