//! A disk whose calls fail: the real binary, with a shim before the system's library.

use std::fs;
use std::path::Path;
use std::process::Command;

use feishu_sim::SimConfig;
use feishu_sim::view::DeliveryState;
use model_sim::Script;

use crate::harness::{PATIENCE, Rig, Setup, Via};
use crate::run::store;

#[tokio::test(flavor = "multi_thread")]
async fn a_write_or_sync_that_fails_ends_the_daemon_and_loses_nothing_acknowledged() {
    let cases = [
        (Via::LongConnection, "sync"),
        (Via::LongConnection, "write"),
        (Via::Webhook, "sync"),
        (Via::Webhook, "write"),
    ];
    let runs = cases.map(|(via, call)| survives(via, call));
    futures_util::future::join_all(runs).await;
}

async fn survives(via: Via, call: &str) {
    let mut rig = on_a_bad_disk(via).await;
    rig.start_daemon().await;
    let before = rig.says("before");
    rig.answer_to(&before).await;
    // Acknowledged, and not answered when it happens.
    rig.model.script(Script::HangMidStream {
        text: "cut off by the disk".into(),
        pieces: 1,
    });
    let during = rig.says("while it fails");
    rig.model.wait_for_requests(2).await;

    rig.break_disk(call);
    let refused: Vec<_> = (0..20).map(|n| rig.says(&format!("refused {n}"))).collect();
    let ended = tokio::time::timeout(PATIENCE, rig.daemon.ended()).await;
    assert_eq!(ended.unwrap(), Some(1), "{via:?} {call}: {}", rig.log());
    for id in &refused {
        let delivery = rig.sim.message(id).unwrap().delivery.unwrap();
        assert_ne!(delivery.state, DeliveryState::Acked, "{via:?} {call}");
    }
    let log = rig.log();
    for word in ["xiaoo.db", "disk failed", "xiaoo-app store check"] {
        assert!(log.contains(word), "{via:?} {call}: no {word:?} in {log}");
    }

    rig.mend_disk(call);
    let checked = store(&["store", "check"], &rig.folder.path().join("xiaoo.db"));
    assert_eq!(checked.code, Some(0), "{via:?} {call}: {checked:?}");
    rig.start_daemon().await;
    for asked in refused.iter().chain([&before, &during]) {
        let answers = rig.answers_to(asked).await;
        assert_eq!(answers.len(), 1, "{via:?} {call}: {answers:?}");
    }
    let violations = rig.sim.violations();
    assert!(violations.is_empty(), "{via:?} {call}: {violations:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_can_not_be_read_keeps_the_daemon_from_starting() {
    let mut rig = on_a_bad_disk(Via::Webhook).await;
    rig.start_daemon().await;
    let before = rig.says("before");
    rig.answer_to(&before).await;
    rig.daemon.kill();
    rig.break_disk("read");
    rig.spawn();
    let ended = tokio::time::timeout(PATIENCE, rig.daemon.ended()).await;
    assert_eq!(ended.unwrap(), Some(1), "{}", rig.log());
    let log = rig.log();
    assert!(
        log.contains("xiaoo.db") && log.contains("disk I/O error"),
        "{log}"
    );
    rig.mend_disk("read");
    rig.start_daemon().await;
    let after = rig.says("after");
    rig.answer_to(&after).await;
}

async fn on_a_bad_disk(via: Via) -> Rig {
    let mut rig = Rig::without_daemon(Setup {
        via,
        // A refused event comes again after 30 ms, 0.6 s, 7 s and 43 s.
        sim: SimConfig {
            time_scale: 0.002,
            ..Setup::default().sim
        },
        ..Setup::default()
    })
    .await;
    let shim = rig.folder.path().join("bad_disk.so");
    compile(&shim);
    rig.daemon.wrapper = vec![
        "env".to_owned(),
        format!("LD_PRELOAD={}", shim.display()),
        format!("XIAOO_BAD_DISK={}", rig.folder.path().display()),
    ];
    rig
}

impl Rig {
    /// From now on these calls fail.
    fn break_disk(&self, call: &str) {
        fs::write(self.folder.path().join(call), "").unwrap();
    }

    fn mend_disk(&self, call: &str) {
        fs::remove_file(self.folder.path().join(call)).unwrap();
    }
}

fn compile(shim: &Path) {
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/store/bad_disk.c");
    let compiled = Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-o"])
        .arg(shim)
        .args([source, "-ldl"])
        .status()
        .expect("these tests need a C compiler: apt-get install -y build-essential");
    assert!(compiled.success());
}
