use std::fs;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::PermissionsExt as _;

use xiaoo_agent::sandbox::Ended;

use crate::rig::{Rig, Who, script};

#[tokio::test]
async fn nothing_outside_can_be_read() {
    for who in Who::all() {
        let rig = Rig::new(who);
        let secret = rig.outside.join("secret");
        let secret = secret.display();
        let root = rig.root.display();
        let me = std::process::id();
        let mut acts = vec![
            format!("cat {secret}"),
            format!("cd ../outside && cat secret"),
            format!("rm -f {root}/link; ln -s {secret} {root}/link && cat {root}/link"),
            format!("rm -f {root}/up; ln -s .. {root}/up && cat {root}/up/outside/secret"),
            format!("ls {}", rig.outside.display()),
            "ls /".into(),
            "ls /tmp".into(),
            "cat /proc/self/cmdline".into(),
            "cat /proc/1/cmdline".into(),
            "ls /proc".into(),
        ];
        if who == Who::Me {
            acts.push(format!("cat /proc/{me}/environ"));
            acts.push(format!("cat /proc/{me}/maps"));
        }
        if rustix::process::getuid().is_root() && who == Who::Me {
            acts.push("cat /etc/shadow".into());
            acts.push("ls /root".into());
        }
        for act in acts {
            rig.is_stopped(&act).await;
        }
        let (ended, wrote) = rig.inside("cat /proc/$PPID/environ").await;
        assert_eq!(ended, Ended::Status(1), "{wrote}");
        assert!(rig.outside("cat /proc/$$/environ").0);
    }
}

#[tokio::test]
async fn nothing_outside_can_be_changed() {
    for who in Who::all() {
        let rig = Rig::new(who);
        let out = rig.outside.display();
        // What an act changes outside is made anew before it is tried inside.
        let acts = [
            format!("echo x > {out}/new"),
            format!("rm -rf {out}/made; mkdir {out}/made"),
            format!("echo x >> {out}/kept"),
            format!("truncate -s 0 {out}/kept"),
            format!("rm {out}/removed"),
            format!("mv {out}/moved {out}/elsewhere"),
            format!("mv {out}/moved taken"),
            format!("ln {out}/kept hard"),
            format!("echo x > given; mv given {out}/given"),
            format!("rm -f {out}/symbolic; ln -s kept {out}/symbolic"),
            format!("rm -f {out}/fifo; mkfifo {out}/fifo"),
            format!("rm -rf {out}/empty; rmdir {out}/hollow"),
        ];
        let plant = || {
            let _ = fs::remove_file(rig.root.join("hard"));
            let line = format!(
                "cd {out} && rm -rf * && echo kept > kept && echo x > removed && echo x > moved && mkdir hollow"
            );
            assert!(rig.outside(&line).0);
        };
        for act in acts {
            plant();
            let (succeeded, wrote) = rig.outside(&act);
            assert!(succeeded, "{who:?} outside: {act}: {wrote}");
            plant();
            let before = tree(&rig);
            let (ended, wrote) = rig.inside(&act).await;
            assert!(
                matches!(ended, Ended::Status(1..)),
                "{act}: {ended:?} {wrote}"
            );
            assert_eq!(tree(&rig), before, "{act}");
        }
    }
}

#[tokio::test]
async fn modes_and_times_of_files_outside_stay() {
    for who in Who::all() {
        let rig = Rig::new(who);
        let secret = rig.outside.join("secret");
        let acts = [
            format!("chmod 777 {}", secret.display()),
            format!("touch -h -d 2001-01-01 {}", secret.display()),
        ];
        for act in acts {
            let state = || {
                let metadata = fs::metadata(&secret).unwrap();
                (metadata.permissions().mode(), metadata.modified().unwrap())
            };
            let before = state();
            // It says that it worked: many tools give up otherwise.
            assert_eq!(rig.inside(&act).await.0, Ended::Status(0), "{act}");
            assert_eq!(state(), before, "{act}");
            assert!(rig.outside(&act).0);
            assert_ne!(state(), before, "{act}");
        }
    }
}

#[tokio::test]
async fn files_that_the_daemon_has_open_are_not_there() {
    for who in Who::all() {
        let rig = Rig::new(who);
        let file = fs::File::open(rig.outside.join("secret")).unwrap();
        rustix::io::fcntl_setfd(&file, rustix::io::FdFlags::empty()).unwrap();
        rig.is_stopped(&format!("readlink /proc/self/fd/{}", file.as_raw_fd()))
            .await;
    }
}

#[tokio::test]
async fn the_workspace_is_as_free_as_any_directory() {
    for who in Who::all() {
        let rig = Rig::new(who);
        let act = "set -e
            mkdir -p a/b && echo one > a/b/f && mv a/b/f a/g && ln -s g a/l && cat a/l
            cp -p a/g h && rm h && mkfifo p && truncate -s 1 a/g
            printf '#!/bin/sh\\necho script\\n' > s.sh && chmod +x s.sh && sh s.sh
            echo kept > $TMPDIR/t && cat $TMPDIR/t
            tar cf t.tar a && mkdir out && tar xf t.tar -C out && ls out/a
            seq 3 | sort -r | head -n 1; pwd; echo x > /dev/null; date -u -d @0 +%Y";
        let (ended, wrote) = rig.inside(act).await;
        let root = rig.root.display();
        let expected = format!("one\nscript\nkept\nb\ng\nl\n3\n{root}\n1970\n");
        assert_eq!((ended, wrote), (Ended::Status(0), expected), "{who:?}");
        let left: Vec<_> = fs::read_dir(&rig.root)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.starts_with(".tmp"))
            .collect();
        assert_eq!(left, [""; 0]);
    }
}

#[tokio::test]
async fn what_may_be_read_can_be_run_and_not_written() {
    for who in Who::all() {
        let mut rig = Rig::new(who);
        let skill = rig.outside.join("skill");
        fs::create_dir(&skill).unwrap();
        script(&skill.join("run.sh"), "echo ran");
        let act = format!("{}/run.sh", skill.display());
        rig.is_stopped(&act).await;
        rig.policy.readable.push(skill.clone());
        assert_eq!(rig.inside(&act).await, (Ended::Status(0), "ran\n".into()));
        let (ended, _) = rig.inside(&format!("echo x >> {act}")).await;
        assert!(matches!(ended, Ended::Status(1..)));
    }
}

/// All names outside, with their contents.
fn tree(rig: &Rig) -> Vec<(String, Option<String>)> {
    let mut all: Vec<_> = fs::read_dir(&rig.outside)
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            let is_file = fs::symlink_metadata(&path).unwrap().is_file();
            let content = is_file.then(|| fs::read_to_string(&path).unwrap());
            (path.display().to_string(), content)
        })
        .collect();
    all.sort();
    all
}
