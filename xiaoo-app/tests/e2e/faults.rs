//! What goes wrong on the way, and what people see of it: nothing.

use feishu_sim::{Fault, FaultKind, LinkAction};
use model_sim::Script;

use crate::harness::{PATIENCE, Rig, Setup, Via, answers};

#[tokio::test(flavor = "multi_thread")]
async fn calls_that_fail_are_repeated_and_nothing_is_shown_twice() {
    let reply = "POST /open-apis/im/v1/messages/:message_id/reply";
    for (name, fault) in [
        ("lost answer", FaultKind::ApiLostAnswer),
        ("cut", FaultKind::ApiCut),
        ("500", FaultKind::ApiStatus { status: 500 }),
        (
            "too fast",
            FaultKind::ApiCode {
                code: 230_020,
                status: 400,
            },
        ),
        ("rate limit", FaultKind::ApiRateLimited { reset: 1 }),
        ("expired token", FaultKind::ApiExpiredToken),
    ] {
        let rig = Rig::via(Via::LongConnection).await;
        rig.model.script(Script::Answer("once".into()));
        rig.sim.faults().add(Fault {
            target: Some(reply.into()),
            ..fault.times(2)
        });
        let asked = rig.says("hello");
        assert_eq!(rig.answer_to(&asked).await, "once", "{name}");
        rig.card_of(&asked);
        assert!(
            rig.sim.violations().is_empty(),
            "{name}: {:?}",
            rig.sim.violations()
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recalled_message_is_answered_in_its_chat() {
    let rig = Rig::via(Via::LongConnection).await;
    rig.model.script(Script::Slow {
        text: "the answer".into(),
        chunk_delay: std::time::Duration::from_millis(200),
    });
    let asked = rig.says("hello");
    rig.model.wait_for_requests(1).await;
    rig.sim.recall(&asked).unwrap();
    let shown = rig
        .sim
        .until(PATIENCE, |sim| {
            sim.messages(&rig.chat())
                .into_iter()
                .find(|message| message.text == "the answer")
        })
        .await;
    assert!(shown.is_some(), "{}", rig.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redelivered_event_is_answered_once_also_after_a_restart() {
    let mut rig = Rig::via(Via::LongConnection).await;
    rig.model.script(Script::Answer("only once".into()));
    rig.sim.faults().add(FaultKind::DuplicatePush.times(1));
    let asked = rig.says("hello");
    assert_eq!(rig.answer_to(&asked).await, "only once");
    rig.daemon.kill();
    rig.start_daemon().await;
    let event = rig.sim.acks().first().unwrap().event_id.clone();
    let message = rig.sim.message(&asked).unwrap();
    let again = serde_json::json!({
        "schema": "2.0",
        "header": {"event_id": event, "event_type": "im.message.receive_v1", "token": rig.sim.config().verification_token, "create_time": "1", "tenant_key": "t", "app_id": rig.sim.config().app_id},
        "event": {"sender": {"sender_id": {"open_id": message.sender.open_id}, "sender_type": "user"},
            "message": {"message_id": asked, "chat_id": message.chat_id, "chat_type": "p2p", "message_type": "text", "content": message.content, "create_time": "1"}}
    });
    // Once under its own id, once under another: the message is the same.
    let _ = rig.sim.push_event(&again);
    let mut other = again;
    other["header"]["event_id"] = "another-event-id".into();
    rig.sim.push_event(&other).unwrap();
    rig.sim
        .until(PATIENCE, |sim| {
            sim.acks()
                .iter()
                .any(|ack| ack.event_id == "another-event-id")
                .then_some(())
        })
        .await
        .unwrap();
    // A later message is answered, so nothing of the earlier one is on its way.
    rig.model.script(Script::Answer("next".into()));
    let next = rig.says("and now?");
    assert_eq!(rig.answer_to(&next).await, "next");
    assert_eq!(answers(&rig.sim, &rig.chat(), &asked).len(), 1);
    assert_eq!(rig.model.requests().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_happens_to_the_link_the_message_is_answered() {
    for fault in [
        FaultKind::GarbageFrame,
        FaultKind::BrokenFrame,
        FaultKind::TextFrame,
        FaultKind::HugeFrame { bytes: 64 << 20 },
        FaultKind::WsPing,
        FaultKind::Split { bytes: 100 },
        FaultKind::RepeatPart,
        FaultKind::LosePart,
        FaultKind::DropBeforePush,
        FaultKind::DropAfterPush,
        FaultKind::Close { code: 1000 },
        FaultKind::DelayPush { ms: 300 },
    ] {
        let rig = Rig::via(Via::LongConnection).await;
        rig.model.script(Script::Answer("still here".into()));
        let keeps_link = !matches!(
            fault,
            FaultKind::DropBeforePush | FaultKind::DropAfterPush | FaultKind::Close { .. }
        );
        if matches!(fault, FaultKind::RepeatPart | FaultKind::LosePart) {
            rig.sim
                .faults()
                .add(FaultKind::Split { bytes: 100 }.times(3));
        }
        rig.sim.faults().add(fault.clone().times(1));
        let asked = rig.says("are you there?");
        assert_eq!(rig.answer_to(&asked).await, "still here", "{fault:?}");
        let (_, ready) = rig.ready().await;
        let link = &ready["channels"]["feishu"]["link"];
        if keeps_link {
            assert_eq!(
                link["opened"], 1,
                "{fault:?}: the link must stay up: {link}"
            );
        }
        assert!(
            rig.sim.violations().is_empty(),
            "{fault:?}: {:?}",
            rig.sim.violations()
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_of_the_endpoint_are_waited_out_or_shown() {
    for (fault, fatal) in [
        (FaultKind::EndpointCode { code: 1 }, false),
        (FaultKind::EndpointStatus { status: 500 }, false),
        (FaultKind::EndpointCut, false),
        (FaultKind::EndpointGarbage, false),
        (FaultKind::EndpointNoConfig, false),
        (
            FaultKind::Handshake {
                http_status: 502,
                status: None,
                auth_code: None,
            },
            false,
        ),
        (FaultKind::EndpointCode { code: 514 }, true),
        (FaultKind::EndpointCode { code: 403 }, true),
        (
            FaultKind::Handshake {
                http_status: 403,
                status: Some(403),
                auth_code: None,
            },
            true,
        ),
    ] {
        let mut rig = Rig::without_daemon(Setup::default()).await;
        rig.sim.faults().add(fault.clone().times(1));
        rig.spawn();
        if !fatal {
            rig.until_ready().await;
            continue;
        }
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            assert!(
                tokio::time::Instant::now() < deadline,
                "{fault:?}: {}",
                rig.log()
            );
            if let Some((503, body)) = rig.get("/api/v1/ready").await
                && body.contains("refused for good")
            {
                break;
            }
        }
        // The process lives, and says so.
        assert_eq!(
            rig.get("/api/v1/health").await,
            Some((200, r#"{"status":"ok","version":"0.1.0"}"#.into()))
        );
        assert!(
            rig.log()
                .contains("giving up until the daemon is restarted"),
            "{fault:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_is_cut_comes_back() {
    let rig = Rig::via(Via::LongConnection).await;
    for (round, action) in [
        LinkAction::Drop,
        LinkAction::Close { code: 1001 },
        LinkAction::Close { code: 1000 },
    ]
    .into_iter()
    .enumerate()
    {
        assert_eq!(rig.sim.act_on_links(action), 1);
        // The new one may be open before the end of the old one has been noticed.
        rig.sim
            .until(PATIENCE, |sim| {
                let is_new = sim.connections().len() == round + 2;
                (is_new && sim.link().connections == 1).then_some(())
            })
            .await
            .unwrap();
    }
    rig.model.script(Script::Answer("back".into()));
    let asked = rig.says("hello");
    assert_eq!(rig.answer_to(&asked).await, "back");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_authentic_and_not_understood_is_acknowledged_and_counted() {
    let rig = Rig::via(Via::Webhook).await;
    let token = rig.sim.config().verification_token.clone();
    let client = runtime_tokio::http::loopback_client().unwrap();
    let url = format!(
        "http://127.0.0.1:{}/api/v1/channels/xiaoo/events",
        rig.daemon.port
    );
    for (body, status) in [
        (format!(r#"{{"token":"{token}","something":"else"}}"#), 200),
        (
            format!(
                r#"{{"schema":"2.0","header":{{"token":"{token}","event_type":"im.chat.sparkle_v9","event_id":"e"}},"event":{{}}}}"#
            ),
            200,
        ),
        (
            format!(
                r#"{{"schema":"2.0","header":{{"token":"{token}","event_type":"im.message.receive_v1","event_id":"f"}},"event":{{}}}}"#
            ),
            200,
        ),
        (r#"{"token":"wrong"}"#.into(), 401),
        ("hello".into(), 400),
    ] {
        let answer = client.post(&url).body(body.clone()).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), status, "{body}");
    }
    let (_, ready) = rig.ready().await;
    let events = &ready["channels"]["feishu"]["events"];
    assert_eq!(
        (&events["received"], &events["admitted"]),
        (&3.into(), &0.into()),
        "{events}"
    );
    assert_eq!(events["not_understood"], 2, "{events}");
    assert_eq!(ready["store"]["queued"], 0);
    assert_eq!(
        rig.log().matches("invalid verification token").count(),
        2,
        "one line, message and rule"
    );
}
