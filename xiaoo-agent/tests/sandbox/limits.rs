use xiaoo_agent::sandbox::Ended;

use crate::rig::{Rig, Who};

#[tokio::test]
async fn a_fork_bomb_ends() {
    for who in Who::all() {
        let mut rig = Rig::new(who);
        rig.policy.limits.processes_max = 64;
        // It would stop by itself at some thousands, lest a broken sandbox breaks the machine.
        let bomb =
            "bomb() { [ $1 -gt 11 ] || { bomb $(($1+1)) & bomb $(($1+1)) & }; sleep 100; }; bomb 1";
        let (ended, _) = rig.inside(bomb).await;
        assert_eq!(ended, Ended::TooManyProcesses, "{who:?}");
        assert_eq!(rig.processes(), [""; 0]);
    }
}

#[tokio::test]
async fn processes_and_threads_are_counted() {
    for who in Who::all() {
        let mut rig = Rig::new(who);
        let helper = rig.helper.display().to_string();
        let many = [
            "for n in $(seq 60); do sleep 20 & done; sleep 2; echo done".to_owned(),
            format!("timeout 2 {helper} threads 60; echo done"),
        ];
        for act in many {
            rig.policy.limits.processes_max = 128;
            let (ended, wrote) = rig.inside(&act).await;
            assert_eq!(
                (ended, wrote.as_str()),
                (Ended::Status(0), "done\n"),
                "{act}"
            );
            rig.policy.limits.processes_max = 32;
            assert_eq!(rig.inside(&act).await.0, Ended::TooManyProcesses, "{act}");
        }
    }
}

#[tokio::test]
async fn memory_is_counted_over_all_processes() {
    for who in Who::all() {
        let mut rig = Rig::new(who);
        rig.policy.limits.memory_bytes_max = 200 << 20;
        let helper = rig.helper.display();
        assert_eq!(
            rig.inside(&format!("{helper} memory 100")).await,
            (Ended::Status(0), "100".into())
        );
        // One alone: the kernel gives it no more.
        let (ended, _) = rig.inside(&format!("{helper} memory 300; exit $?")).await;
        assert!(matches!(ended, Ended::Status(1..)), "{ended:?}");
        // Several: the warden adds up.
        let shells =
            "f() { x=$(head -c 60000000 /dev/zero | tr '\\0' x); sleep 20; }; f & f & f & f & wait";
        assert_eq!(rig.inside(shells).await.0, Ended::TooMuchMemory);
    }
}

#[tokio::test]
async fn no_file_grows_without_end() {
    for who in Who::all() {
        let mut rig = Rig::new(who);
        rig.policy.limits.file_bytes_max = 1 << 20;
        let (ended, _) = rig.inside("head -c 3000000 /dev/zero > f").await;
        assert_ne!(ended, Ended::Status(0));
        assert_eq!(
            std::fs::metadata(rig.root.join("f")).unwrap().len(),
            1 << 20
        );
        assert!(rig.outside("head -c 3000000 /dev/zero > f").0);
    }
}

#[tokio::test]
async fn the_disk_is_not_filled() {
    let acts = [
        "while :; do n=$((n+1)); head -c 1000000 /dev/zero > f$n || exit; done",
        "while :; do n=$((n+1)); head -c 1000000 /dev/zero > $TMPDIR/f$n || exit; done",
        // A file without a name.
        "exec 3>f; rm f; while :; do head -c 1000000 /dev/zero >&3 || exit; done",
        ": > f; fallocate -n -l 200M f && sleep 20",
    ];
    for who in Who::all() {
        for act in acts {
            let mut rig = Rig::new(who);
            rig.policy.limits.disk_bytes_max = 32 << 20;
            let (ended, wrote) = rig.inside(act).await;
            assert_eq!(ended, Ended::TooMuchDisk, "{act}: {wrote}");
        }
    }
}

#[tokio::test]
async fn a_full_workspace_can_be_emptied() {
    let mut rig = Rig::new(Who::Me);
    std::fs::write(rig.root.join("f"), vec![0; 8 << 20]).unwrap();
    rig.policy.limits.disk_bytes_max = 1 << 20;
    assert_eq!(rig.inside("rm f && sleep 0.5").await.0, Ended::Status(0));
}

#[tokio::test]
async fn the_time_of_a_processor_is_limited_too() {
    let mut rig = Rig::new(Who::Me);
    rig.policy.limits.time_max = std::time::Duration::from_secs(2);
    assert_eq!(rig.inside("while :; do :; done").await.0, Ended::TimedOut);
}
