//! A disk that is really full: a small file system, filled up under the running daemon.

use std::fs::{self, File};
use std::io::{ErrorKind, Write as _};
use std::path::PathBuf;
use std::time::Duration;

use feishu_sim::FaultKind;
use feishu_sim::view::DeliveryState;
use model_sim::Script;
use serde_json::Value;

use crate::harness::{PATIENCE, Rig, Setup, Via, answers};
use crate::run::in_a_namespace;

/// Room for the store and its log, and for the answers after the flood.
const DISK: &str = "24m";
/// Refusals after which the disk is full for good.
const REFUSED: u64 = 8;

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_says_so_and_recovers_by_itself_and_nothing_is_lost() {
    tokio::join!(fills_up(Via::LongConnection), fills_up(Via::Webhook));
}

async fn fills_up(via: Via) {
    let mut rig = Rig::without_daemon(Setup {
        via,
        more: "[store]\nurl = \"sqlite:disk/xiaoo.db\"",
        // A refused event comes again after 30 ms, 0.6 s, 7 s and 43 s.
        sim: feishu_sim::SimConfig {
            time_scale: 0.002,
            ack_within: Duration::from_secs(3),
            ..Setup::default().sim
        },
        ..Setup::default()
    })
    .await;
    let disk = rig.folder.path().join("disk");
    fs::create_dir(&disk).unwrap();
    rig.daemon.wrapper = on_a_small_disk(&disk.display().to_string());
    rig.start_daemon().await;
    let before = rig.says("before");
    rig.answer_to(&before).await;

    // One answer is on its way when it happens.
    let slow = FaultKind::ApiLatency { ms: 2_000 };
    rig.sim.faults().add(slow.on("POST /open-apis/im"));
    let sending = rig.says("answered before it fills up");
    until(&rig, |ready| ready["store"]["outbox"].as_u64() > Some(0)).await;

    // One turn is in the middle of its answer when it happens.
    rig.model.script(Script::Slow {
        text: "slow as it is this answer comes while there is no room".into(),
        chunk_delay: Duration::from_millis(100),
    });
    let during = rig.says("while it fills up");
    rig.model.wait_for_requests(3).await;
    // The namespace of the daemon is not ours; its view of the file system is.
    let filler = PathBuf::from(format!(
        "/proc/{}/root{}/filler",
        rig.daemon.id(),
        disk.display()
    ));
    fill(&filler);
    // What the log has room for is still taken.
    let mut asked = Vec::new();
    let refused = |ready: &Value| {
        let counted = &ready["channels"]["feishu"]["events"]["refused"];
        counted.as_u64().unwrap_or_default()
    };
    while refused(&rig.ready().await.1) < REFUSED {
        asked.push(rig.says(&"no room ".repeat(400)));
        assert!(asked.len() < 1_000, "never refused");
    }
    let reasons = until_ready_is(&rig, false).await;
    assert!(reasons.contains("no room for the store"), "{reasons}");

    // What had been sent before can't be settled, or what comes next can't be taken.
    let refusals = [
        "the outbox could not be updated, trying again",
        "the outbox cannot be read",
    ];
    until(&rig, |_| {
        let log = rig.log();
        refusals.iter().any(|refusal| log.contains(refusal))
    })
    .await;
    rig.sim.faults().clear();

    fs::remove_file(&filler).unwrap();
    until_ready_is(&rig, true).await;
    for asked in &asked {
        rig.answers_to(asked).await;
    }
    rig.answers_to(&sending).await;
    rig.answers_to(&during).await;
    for message in asked.iter().chain([&before, &sending, &during]) {
        let shown = answers(&rig.sim, &rig.chat(), message);
        assert_eq!(shown.len(), 1, "{via:?}: {shown:?}");
    }
    let acked = |id: &String| {
        let delivery = rig.sim.message(id).unwrap().delivery.unwrap();
        delivery.state == DeliveryState::Acked
    };
    assert!(asked.iter().all(acked));
    assert!(!rig.log().contains("has failed"), "{}", rig.log());
    assert!(
        rig.sim.violations().is_empty(),
        "{:?}",
        rig.sim.violations()
    );
}

/// Mounts a file system of that size for the daemon alone; it goes when the daemon goes.
fn on_a_small_disk(directory: &str) -> Vec<String> {
    let [alone] = in_a_namespace();
    let mount = format!("mount -t tmpfs -o size={DISK} tmpfs \"$0\" && exec \"$@\"");
    ["unshare", alone, "sh", "-c", &mount, directory]
        .map(str::to_owned)
        .to_vec()
}

/// Takes all the room there is.
fn fill(path: &std::path::Path) {
    let mut file = File::create(path).unwrap();
    for size in [1 << 20, 4_096, 1] {
        let block = vec![b'x'; size];
        loop {
            match file.write(&block) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::StorageFull => break,
                Err(error) => panic!("{error}"),
            }
        }
    }
}

async fn until_ready_is(rig: &Rig, wanted: bool) -> String {
    let ready = until(rig, |ready| ready["ready"] == wanted).await;
    ready["reasons"].to_string()
}

async fn until(rig: &Rig, holds: impl Fn(&Value) -> bool) -> Value {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let (_, ready) = rig.ready().await;
        if holds(&ready) {
            return ready;
        }
        assert!(tokio::time::Instant::now() < deadline, "{ready}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
