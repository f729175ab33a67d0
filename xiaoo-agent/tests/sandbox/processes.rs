use std::collections::BTreeSet;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use xiaoo_agent::sandbox::{Ended, Enforcement, SandboxError};

use crate::rig::{Rig, Who};

#[tokio::test]
async fn signals_stay_inside() {
    for who in Who::all() {
        let rig = Rig::new(who);
        for signal in ["TERM", "KILL", "STOP"] {
            let mut victim = Victim::start(&rig);
            let act = format!("kill -{signal} {}", victim.pid());
            let (ended, wrote) = rig.inside(&act).await;
            assert!(matches!(ended, Ended::Status(1..)), "{act}: {wrote}");
            assert!(victim.is_alive(), "{act}");
            assert!(rig.outside(&act).0, "{act}");
        }
        // The one that watches, and everybody.
        let (ended, wrote) = rig
            .inside("kill -KILL $PPID; kill -KILL -1; echo alive")
            .await;
        assert_eq!(ended, Ended::Status(0), "{wrote}");
        assert!(wrote.ends_with("alive\n"), "{wrote}");
        let (ended, wrote) = rig.inside("sleep 100 & kill $! && wait $!; echo $?").await;
        assert_eq!(ended, Ended::Status(0));
        assert!(wrote.ends_with("143\n"), "{wrote}");
    }
}

#[tokio::test]
async fn limits_of_others_stay() {
    for who in Who::all() {
        let rig = Rig::new(who);
        let victim = Victim::start(&rig);
        rig.is_stopped(&format!("prlimit --pid {} --nofile=7:7", victim.pid()))
            .await;
        rig.is_stopped(&format!("taskset -p 1 {}", victim.pid()))
            .await;
        // The tests may be at that already; nobody may go back.
        rig.is_stopped(&format!("renice -n 19 -p {}", victim.pid()))
            .await;
    }
}

#[tokio::test]
async fn there_is_no_way_into_another_namespace() {
    for who in Who::all() {
        let rig = Rig::new(who);
        rig.is_stopped("unshare --user true").await;
        if rustix::process::getuid().is_root() && who == Who::Me {
            rig.is_stopped("unshare --mount true").await;
            rig.is_stopped("nsenter --target $$ --uts true").await;
            rig.is_stopped("mkdir -p m; mount -t tmpfs none m && umount m")
                .await;
            rig.is_stopped("chroot / true").await;
            rig.is_stopped("ipcmk -M 4096").await;
        }
    }
}

#[tokio::test]
async fn the_environment_holds_nothing_of_the_daemon() {
    for who in Who::all() {
        let rig = Rig::new(who);
        assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some());
        let (_, wrote) = rig.inside("env").await;
        let names: BTreeSet<&str> = wrote
            .lines()
            .filter_map(|l| Some(l.split_once('=')?.0))
            .collect();
        let known = ["HOME", "LANG", "PATH", "PWD", "SHELL", "TERM", "TMPDIR"];
        assert_eq!(names, BTreeSet::from(known), "{wrote}");
        assert!(wrote.contains(&format!("HOME={}\n", rig.root.display())));
    }
}

#[tokio::test]
async fn root_is_root_no_more() {
    if !rustix::process::getuid().is_root() {
        return;
    }
    let rig = Rig::new(Who::Me);
    let mut foreign = Rig::new(Who::Nobody);
    // A file of somebody else, in a place where nothing but its owner stands in the way.
    let act = format!("cat {}/secret", foreign.outside.display());
    assert!(
        foreign
            .outside(&format!("chmod 600 {}/secret", foreign.outside.display()))
            .0
    );
    assert!(rig.outside(&act).0);
    foreign.policy.readable.push(foreign.outside.clone());
    let mut policy = rig.policy.clone();
    policy.readable.push(foreign.outside.clone());
    let command = ["/bin/sh", "-c", &act].map(str::to_owned).to_vec();
    let cancel = CancellationToken::new();
    let ran = rig.sandbox.run(command, &rig.root, &policy, &cancel);
    assert_eq!(ran.await.unwrap().ended, Ended::Status(1));
    assert_eq!(foreign.inside(&act).await.1, "planted-secret");
}

/// Leaves processes behind in sessions of their own, whose parents are gone.
const HIDING: &str = "setsid -f sleep 1000; setsid sh -c 'setsid -f sleep 1000; sleep 1000' & ";

#[tokio::test]
async fn what_hides_in_other_sessions_outlives_a_group_outside() {
    let rig = Rig::new(Who::Me);
    let mut group = Command::new("setsid")
        .args(["-w", "sh", "-c", &format!("{HIDING} wait")])
        .current_dir(&rig.root)
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    wait_for(|| {
        rig.processes()
            .iter()
            .filter(|line| line.contains("1000"))
            .count()
            >= 4
    })
    .await;
    group.kill().unwrap();
    group.wait().unwrap();
    assert!(!rig.processes().is_empty());
    // One that is just being made is in no list yet.
    wait_for(|| {
        rig.kill_all();
        rig.processes().is_empty()
    })
    .await;
}

#[tokio::test]
async fn nothing_outlives_the_time() {
    for who in Who::all() {
        for enforcement in [Enforcement::Required, Enforcement::Waived] {
            let mut rig = Rig::new(who);
            rig.policy.limits.time_max = Duration::from_secs(1);
            rig.policy.enforcement = enforcement;
            let (ended, wrote) = rig
                .inside(&format!("echo begun; {HIDING} sleep 1000"))
                .await;
            assert_eq!((ended, wrote.as_str()), (Ended::TimedOut, "begun\n"));
            assert_eq!(rig.processes(), [""; 0]);
        }
    }
}

#[tokio::test]
async fn nothing_outlives_the_command() {
    for who in Who::all() {
        let rig = Rig::new(who);
        let (ended, wrote) = rig.inside(&format!("{HIDING} echo done")).await;
        assert_eq!((ended, wrote.as_str()), (Ended::Status(0), "done\n"));
        assert_eq!(rig.processes(), [""; 0]);
    }
}

#[tokio::test]
async fn nothing_outlives_a_cancelled_or_forgotten_call() {
    for who in Who::all() {
        for is_dropped in [false, true] {
            let rig = Rig::new(who);
            let cancel = CancellationToken::new();
            let command = format!("{HIDING} sleep 1000");
            let command = ["/bin/sh", "-c", &command].map(str::to_owned).to_vec();
            let run = rig.sandbox.run(command, &rig.root, &rig.policy, &cancel);
            let mut run = Box::pin(run);
            let begun = || {
                rig.processes()
                    .iter()
                    .filter(|line| line.contains("1000"))
                    .count()
                    >= 4
            };
            tokio::select! {
                ran = &mut run => panic!("{ran:?}"),
                () = wait_for(begun) => {}
            }
            if is_dropped {
                drop(run);
            } else {
                cancel.cancel();
                assert!(matches!(run.await, Err(SandboxError::Cancelled)));
                assert_eq!(rig.processes(), [""; 0]);
            }
            rig.is_quiet().await;
        }
    }
}

/// Somebody of the same user who has done nothing.
struct Victim(Child);

impl Victim {
    fn start(rig: &Rig) -> Self {
        let line = match rig.who {
            Who::Me => "exec sleep 1000".to_owned(),
            Who::Nobody => {
                "exec /usr/bin/setpriv --reuid=65534 --regid=65534 --clear-groups sleep 1000".into()
            }
        };
        let child = Command::new("/bin/sh").args(["-c", &line]).spawn().unwrap();
        let victim = Self(child);
        // It is who it shall be when it is what it shall be.
        let stat = format!("/proc/{}/comm", victim.pid());
        while std::fs::read_to_string(&stat).unwrap() != "sleep\n" {
            std::thread::yield_now();
        }
        victim
    }

    fn pid(&self) -> u32 {
        self.0.id()
    }

    fn is_alive(&mut self) -> bool {
        self.0.try_wait().unwrap().is_none()
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

async fn wait_for(condition: impl Fn() -> bool) {
    let wait = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), wait)
        .await
        .unwrap();
}
