//! Starting, stopping, and being killed.

use std::time::Duration;

use model_sim::Script;

use crate::harness::{PATIENCE, Rig, Via, answers};

fn slow(text: &str) -> Script {
    Script::Slow {
        text: text.into(),
        chunk_delay: Duration::from_millis(150),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn health_is_exactly_what_the_guide_prints_and_ready_tells_the_truth() {
    let mut rig = Rig::via(Via::LongConnection).await;
    let health = Some((200, r#"{"status":"ok","version":"0.1.0"}"#.to_owned()));
    assert_eq!(rig.get("/api/v1/health").await, health);
    let (status, ready) = rig.ready().await;
    assert_eq!(status, 200, "{ready}");
    assert_eq!(ready["channels"]["feishu"]["link"]["state"], "open");
    // Not webhook mode: the event route says so.
    let client = runtime_tokio::http::loopback_client().unwrap();
    let posted = client
        .post(format!(
            "http://127.0.0.1:{}/api/v1/channels/feishu/events",
            rig.daemon.port
        ))
        .body("{}")
        .send()
        .await
        .unwrap();
    assert_eq!(posted.status(), 503);
    rig.sim.act_on_links(feishu_sim::LinkAction::Drop);
    rig.sim
        .faults()
        .add(feishu_sim::FaultKind::EndpointStatus { status: 500 });
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let (status, ready) = rig.ready().await;
        if status == 503 {
            assert!(
                ready["reasons"][0]
                    .as_str()
                    .unwrap()
                    .contains("not connected"),
                "{ready}"
            );
            break;
        }
        assert!(tokio::time::Instant::now() < deadline);
    }
    assert_eq!(rig.get("/api/v1/health").await, health);
    rig.sim.faults().clear();
    rig.until_ready().await;
    rig.daemon.kill();
}

#[tokio::test(flavor = "multi_thread")]
async fn asked_to_stop_it_finishes_the_running_turn_and_says_goodbye() {
    let mut rig = Rig::via(Via::LongConnection).await;
    rig.model.script(slow("a slow answer that takes a while"));
    let asked = rig.says("hello");
    rig.model.wait_for_requests(1).await;
    rig.daemon.signal("-TERM");
    assert_eq!(rig.daemon.ended().await, Some(0));
    assert_eq!(
        rig.answer_to(&asked).await,
        "a slow answer that takes a while"
    );
    let connection = rig.sim.connections().pop().unwrap();
    assert!(
        connection
            .close_reason
            .is_some_and(|reason| reason.contains("1000")),
        "closed without a close frame"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_ends_it_at_once() {
    let mut rig = Rig::via(Via::LongConnection).await;
    rig.model.script(Script::HangMidStream {
        text: "never to end".into(),
        pieces: 1,
    });
    rig.says("hello");
    rig.model.wait_for_requests(1).await;
    rig.daemon.signal("-TERM");
    rig.sim
        .until(PATIENCE, |sim| (!sim.link().up).then_some(()))
        .await
        .unwrap();
    rig.daemon.signal("-INT");
    assert_eq!(rig.daemon.ended().await, Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_in_the_middle_it_goes_on_after_the_start_and_answers_once() {
    for via in [Via::LongConnection, Via::Webhook] {
        let mut rig = Rig::via(via).await;
        rig.model.script(slow("this one is cut off by the kill"));
        let asked = rig.says("hello");
        rig.model.wait_for_requests(1).await;
        rig.daemon.kill();
        rig.model.script(Script::Answer("after the restart".into()));
        rig.start_daemon().await;
        assert_eq!(rig.answer_to(&asked).await, "after the restart", "{via:?}");
        rig.card_of(&asked);
        assert_eq!(answers(&rig.sim, &rig.chat(), &asked).len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_daemon_on_the_same_store_refuses_to_start() {
    let mut rig = Rig::via(Via::LongConnection).await;
    let config = rig.folder.path().join("config.toml");
    let second = std::process::Command::new(env!("CARGO_BIN_EXE_xiaoo-app"))
        .args(["daemon", "--port", "0", "--config"])
        .arg(config)
        .env("E2E_MODEL_KEY", "k")
        .env("E2E_SECRET", "s")
        .output()
        .unwrap();
    assert_eq!(second.status.code(), Some(1));
    let said = String::from_utf8(second.stderr).unwrap();
    assert!(said.contains("xiaoo.db"), "{said}");
    rig.daemon.kill();
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_are_never_logged() {
    let rig = Rig::via(Via::LongConnection).await;
    rig.model.script(Script::Answer("fine".into()));
    let asked = rig.says("a secret message text");
    rig.answer_to(&asked).await;
    let log = rig.log();
    assert!(log.contains("feishu websocket: connected"), "{log}");
    for secret in [
        "planted-model-key",
        &rig.sim.config().app_secret,
        "ticket=",
        "access_key=",
        "a secret message text",
        "Bearer",
    ] {
        assert!(!log.contains(secret), "{secret} is in the log");
    }
}
