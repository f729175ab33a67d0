use xiaoo_agent::sandbox::{Ended, Enforcement, Sandbox, SandboxError};

use crate::rig::{Rig, Who};

#[tokio::test]
async fn without_landlock_nothing_is_run() {
    for who in Who::all() {
        let mut rig = Rig::new(who);
        rig.sandbox.check(&rig.policy).await.unwrap();
        let helper = rig.helper.display();
        let line = format!("exec {helper} without-landlock {helper} \"$@\"");
        rig.sandbox = Sandbox::new(rig.script("without-landlock", &line));
        let refused = rig.try_inside("echo x > ran").await;
        assert!(
            matches!(&refused, Err(SandboxError::Refused(why)) if why.contains("Landlock")),
            "{refused:?}"
        );
        assert!(rig.sandbox.check(&rig.policy).await.is_err());
        assert!(!rig.root.join("ran").exists());
    }
}

#[tokio::test]
async fn an_operator_may_do_without() {
    let mut rig = Rig::new(Who::Me);
    rig.policy.enforcement = Enforcement::Waived;
    let helper = rig.helper.display();
    let line = format!("exec {helper} without-landlock {helper} \"$@\"");
    rig.sandbox = Sandbox::new(rig.script("without-landlock", &line));
    let act = format!("cat {}/secret; env | grep -c CARGO", rig.outside.display());
    let (ended, wrote) = rig.inside(&act).await;
    assert_eq!(
        (ended, wrote.as_str()),
        (Ended::Status(1), "planted-secret0\n")
    );
}

#[tokio::test]
async fn what_can_not_be_started_says_why() {
    let rig = Rig::new(Who::Me);
    let cancel = tokio_util::sync::CancellationToken::new();
    let run = |command: &str, sandbox: &Sandbox| {
        let (sandbox, command) = (sandbox.clone(), vec![command.to_owned()]);
        let (root, policy, cancel) = (rig.root.clone(), rig.policy.clone(), cancel.clone());
        async move { sandbox.run(command, &root, &policy, &cancel).await }
    };
    let ran = run("/nowhere/program", &rig.sandbox).await;
    assert!(
        matches!(&ran, Err(SandboxError::Refused(why)) if why.contains("/nowhere/program")),
        "{ran:?}"
    );
    let ran = run("/bin/true", &Sandbox::new("/nowhere/helper")).await;
    assert!(matches!(ran, Err(SandboxError::Start(_))), "{ran:?}");
    // A program that is no helper.
    let ran = run("/bin/true", &Sandbox::new("/bin/true")).await;
    assert!(matches!(ran, Err(SandboxError::Broken)), "{ran:?}");
}
