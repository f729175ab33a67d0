//! The machine: the program that really runs, the room on the disk, the daemon's own state.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};

use feishu_sim::LinkAction;

use crate::doctor::{Produced, Run};
use crate::harness::{PATIENCE, Rig, Setup, Via};
use crate::nginx::Nginx;

pub const BINARY: &[&str] = &["binary-differs", "binary-replaced"];
pub const DISK: &[&str] = &["disk-full"];
pub const NOT_READY: &[&str] = &["not-ready"];
pub const CHANGED: &[&str] = &["not-restarted"];
pub const FLAPS: &[&str] = &["link-flaps"];

/// So often a link comes back before it is remarkable, and once more.
const LOSSES: usize = 4;

/// Installs the program at `path` as `install` does: a new file in the place of the old one.
/// The shell writes it: what this process has open for writing can't be run.
fn install(path: &Path, make: &str) {
    let script = format!("{make} && mv \"$1.new\" \"$1\"");
    let done = Command::new("sh")
        .args(["-ec", &script, env!("CARGO_BIN_EXE_xiaoo-app")])
        .arg(path)
        .status()
        .unwrap();
    assert!(done.success(), "{script}");
}

const THE_SAME: &str = "{ ln \"$0\" \"$1.new\" 2>/dev/null || cp \"$0\" \"$1.new\"; }";
const ANOTHER_BUILD: &str = "cp \"$0\" \"$1.new\" && echo more >>\"$1.new\"";
const ANYTHING: &str = "echo more >\"$1.new\"";

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_runs_another_program_than_what_is_installed_is_named() {
    let mut produced = Produced::default();
    let mut rig = Rig::without_daemon(Setup::default()).await;
    let installed = rig.folder.path().join("xiaoo-app");
    // In the place of the program that the harness would start.
    let instead = format!("shift; exec '{}' \"$@\"", installed.display());
    rig.daemon.wrapper = ["sh", "-c", &instead, "sh"].map(str::to_owned).to_vec();

    install(&installed, THE_SAME);
    rig.start_daemon().await;
    produced.by(&rig, Run::default(), &[]).await;
    install(&installed, ANYTHING);
    produced
        .by(&rig, Run::default(), &["binary-replaced"])
        .await;
    rig.daemon.kill();

    install(&installed, ANOTHER_BUILD);
    rig.start_daemon().await;
    produced.by(&rig, Run::default(), &["binary-differs"]).await;
    rig.daemon.kill();

    // One of another version, seen by what it says of itself.
    let says = "location = /api/v1/health { return 200 '{\"status\":\"ok\",\"version\":\"0.0.9\"}'; }\n\
                location = /api/v1/ready { return 200 '{\"ready\":true}'; }";
    let old = Nginx::start(says).await;
    let port = old.url().rsplit(':').next().unwrap().parse().unwrap();
    let run = Run {
        port: Some(port),
        ..Run::default()
    };
    produced.by(&rig, run, &["binary-differs"]).await;
    produced.are(BINARY);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_with_little_room_is_named() {
    let mut produced = Produced::default();
    let rig = Rig::via(Via::LongConnection).await;
    let disk = rig.folder.path().join("disk");
    fs::create_dir(&disk).unwrap();
    let place = disk.display();
    for (size, wanted) in [("32m", DISK), ("256m", &[])] {
        let mount = format!("mount -t tmpfs -o size={size} tmpfs '{place}'");
        let run = Run::store(&format!("sqlite:{place}/xiaoo.db")).in_a_world(&mount);
        produced.by(&rig, run, wanted).await;
    }
    produced.are(DISK);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_runs_with_the_secret_of_before_is_not_ready() {
    let mut produced = Produced::default();
    let mut rig = Rig::without_daemon(Setup::default()).await;
    rig.daemon.env = vec![("E2E_SECRET", "wrong-secret".into())];
    rig.spawn();
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while !rig.log().contains("feishu websocket") || rig.get("/api/v1/health").await.is_none() {
        assert!(tokio::time::Instant::now() < deadline, "{}", rig.log());
        tokio::task::yield_now().await;
    }
    produced.by(&rig, Run::default(), NOT_READY).await;
    produced.are(NOT_READY);
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_that_were_changed_after_the_daemon_started_are_named() {
    let mut produced = Produced::default();
    let rig = Rig::via(Via::LongConnection).await;
    let folder = rig.folder.path();
    let secrets = folder.join("xiaoo.env");
    fs::write(&secrets, "A=1\n").unwrap();
    fs::set_permissions(&secrets, fs::Permissions::from_mode(0o600)).unwrap();
    let changed = |path: &Path, at: SystemTime| {
        let file = fs::OpenOptions::new().append(true).open(path).unwrap();
        file.set_modified(at).unwrap();
    };
    let (before, after) = (SystemTime::UNIX_EPOCH, SystemTime::now() + 2 * PATIENCE);
    let config = folder.join("config.toml");
    for (config_at, secrets_at, wanted) in [
        (before, before, &[][..]),
        (after, before, CHANGED),
        (before, after, CHANGED),
    ] {
        changed(&config, config_at);
        changed(&secrets, secrets_at);
        let run = Run {
            in_place: true,
            ..Run::args(["--env-file", secrets.to_str().unwrap()])
        };
        produced.by(&rig, run, wanted).await;
    }
    produced.are(CHANGED);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_comes_and_goes_is_named() {
    let mut produced = Produced::default();
    let rig = Rig::via(Via::LongConnection).await;
    let opened = async || {
        let (_, ready) = rig.ready().await;
        let link = &ready["channels"]["feishu"]["link"];
        (link["state"] == "open").then(|| link["opened"].as_u64())?
    };
    for loss in 1..=LOSSES {
        if loss == LOSSES {
            produced.by(&rig, Run::default(), &[]).await;
        }
        rig.sim.act_on_links(LinkAction::Drop);
        let deadline = tokio::time::Instant::now() + PATIENCE;
        while opened().await != Some(loss as u64 + 1) {
            assert!(tokio::time::Instant::now() < deadline, "{}", rig.log());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    produced.by(&rig, Run::default(), FLAPS).await;
    produced.are(FLAPS);
}
