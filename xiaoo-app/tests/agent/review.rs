//! Stops, restarts, late orders and a store that does not answer, at the moments that hurt.

use std::sync::Arc;
use std::time::{Duration, Instant};

use feishu_sim::{CardAction, FaultKind, UserFile, UserMessage};
use model_sim::Script;
use proto_core::Event;
use runtime_tokio::openapi::{OpenApi, OpenApiConfig, Patience};
use runtime_tokio::{InboundEvent, Ingress as _, Transport, Verdict, WallClock, http};
use serde_json::{Value, json};
use tokio::sync::watch;
use xiaoo_agent::{Model, ModelConfig, Provider, ToolSet};
use xiaoo_app::agents::{Agent, Agents};
use xiaoo_app::fail_point::FailPoint;
use xiaoo_app::pipeline::admission::Admission;
use xiaoo_app::pipeline::ask::{Ask, State, What};
use xiaoo_app::pipeline::policy::{DirectAccess, Policy};
use xiaoo_app::pipeline::{Pipeline, Settings, SharedPipeline, action};
use xiaoo_app::render;
use xiaoo_app::render::language::Language;
use xiaoo_store::{Expect, MemoryDisk, PutNote, Store, StoreGuard, StoreOptions};

use crate::harness::{PATIENCE, Rig, Setup, Via, answers};
use crate::seen::reply;
use crate::talk::asked;

/// A machine that is busy with other things answers within this, and what is waited for in these
/// tests takes much longer.
const SOON: Duration = Duration::from_secs(8);

#[tokio::test(flavor = "multi_thread")]
async fn stop_is_heard_while_files_are_fetched() {
    let rig = Rig::via(Via::LongConnection).await;
    let resources = "GET /open-apis/im/v1/messages/:message_id/resources";
    let slow = FaultKind::ApiLatency { ms: 25_000 }.on(resources);
    rig.sim.faults().add(slow);
    let file = UserMessage::file(UserFile::file("numbers.csv", "1,2\n"));
    let message = rig.sim.user_says(file).unwrap().message_id;
    let has_begun = rig.sim.until(PATIENCE, |sim| {
        (!sim.reactions(&message).is_empty()).then_some(())
    });
    has_begun.await.unwrap();
    let began = Instant::now();
    let stop = rig.says("/stop");
    assert_eq!(reply(&rig, &stop).await, "Stopped.");
    let card = rig.sim.until(PATIENCE, |sim| {
        let mut cards = sim.messages(&rig.chat()).into_iter();
        let card = cards.find_map(|message| message.card)?;
        (card.template == "grey").then_some(())
    });
    card.await.unwrap();
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
    assert!(rig.model.requests().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn no_answer_comes_after_the_word_that_all_is_stopped() {
    let rig = Rig::via(Via::LongConnection).await;
    let react = "POST /open-apis/im/v1/messages/:message_id/reactions";
    let slow = FaultKind::ApiLatency { ms: 4_000 }.on(react);
    rig.sim.faults().add(slow);
    // The model has answered, and the turn waits for its reaction to be settled.
    let message = rig.says("hello");
    rig.model.wait_for_requests(1).await;
    rig.model.wait_until_idle().await;
    let stop = rig.says("/stop");
    assert_eq!(reply(&rig, &stop).await, "Stopped.");
    rig.sim.faults().clear();
    let next = rig.says("and now?");
    rig.answer_to(&next).await;
    let shown = answers(&rig.sim, &rig.chat(), &message);
    assert!(shown.is_empty(), "{shown:?}");
    let history = rig.model.requests().pop().unwrap().body["messages"].to_string();
    assert!(history.contains("stopped by a person"), "{history}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_stops_hands_back_the_turn_that_waits_for_a_person() {
    let mut rig = Rig::start(Setup {
        more: "[limits]\nshutdown_grace_secs = 30\n\
               [tools]\nenable = [\"ask_user\"]\nask_first = [\"write_file\"]\n",
        ..Setup::default()
    })
    .await;
    for (tool, arguments, press, told) in [
        (
            "write_file",
            r#"{"path":"a.txt","content":"x"}"#,
            CardAction::label("", "Allow once"),
            "a.txt",
        ),
        (
            "ask_user",
            r#"{"question":"Which colour?"}"#,
            CardAction::label("", "Submit").with("answer", "blue"),
            "blue",
        ),
    ] {
        rig.model.script(Script::tool_call(tool, arguments));
        let message = rig.says("please do it");
        let card = asked(&rig, &message).await;
        let began = Instant::now();
        rig.daemon.signal("-TERM");
        assert_eq!(rig.daemon.ended().await, Some(0));
        assert!(began.elapsed() < SOON, "{tool}: {:?}", began.elapsed());
        rig.start_daemon().await;
        rig.model.script(Script::Answer("it is done".into()));
        let press = CardAction {
            message_id: card.message_id.clone(),
            ..press
        };
        let pressed = rig.sim.press(press).await.unwrap();
        assert_eq!(pressed.toast_type(), Some("success"), "{pressed:?}");
        assert_eq!(rig.answer_to(&message).await, "it is done");
        let result = rig.model.requests().pop().unwrap().body["messages"].to_string();
        assert!(
            result.contains(told) && !result.contains("Error"),
            "{result}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_of_before_the_outage_is_not_obeyed_and_its_sender_is_told() {
    let mut rig = Rig::without_daemon(Setup {
        more: "[limits]\nmessage_age_max_secs = 2\n",
        ..Setup::default()
    })
    .await;
    rig.spawn_to_die_at(Some(FailPoint::AdmitAfterCommit));
    rig.until_ready().await;
    let order = rig.says("/help");
    assert_eq!(rig.daemon.ended().await, None);
    tokio::time::sleep(Duration::from_secs(2)).await;
    rig.start_daemon().await;
    let told = reply(&rig, &order).await;
    assert!(told.contains("too late"), "{told}");
    // One that is said now is obeyed.
    let order = rig.says("/help");
    let told = reply(&rig, &order).await;
    assert!(told.contains("/stop"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_people_say_to_the_bot_itself_is_in_no_log() {
    let rig = Rig::via(Via::Webhook).await;
    for order in [
        "/model planted-words-of-mine",
        "/pair planted-words-of-mine",
    ] {
        let order = rig.says(order);
        reply(&rig, &order).await;
    }
    let log = rig.log();
    assert!(log.contains("the bot itself is told something"), "{log}");
    assert!(!log.contains("planted-words-of-mine"), "{log}");
}

/// A pipeline without a platform, on a store in memory.
fn pipeline(policy: Policy) -> (SharedPipeline, StoreGuard) {
    http::install_crypto_provider();
    let (store, guard) = Store::in_memory(&MemoryDisk::new(), &StoreOptions::default());
    let client = http::loopback_client().unwrap();
    let api = OpenApi::new(
        client.clone(),
        OpenApiConfig {
            base_url: "http://127.0.0.1:1".into(),
            app_id: "cli_a".into(),
            app_secret: "secret".to_owned().into(),
            patience: Patience::default(),
        },
    );
    let nowhere = ModelConfig::new(Provider::Compatible, "http://127.0.0.1:1/v1", "none");
    let model = Model::new(client, nowhere).unwrap();
    let agent = Agent::plain("main", model.into(), ToolSet::new(), "");
    let (_, identity) = watch::channel(Some("ou_bot".to_owned()));
    let settings = Settings {
        policy,
        ..Settings::usual("cli_a", "feishu")
    };
    let pipeline = Pipeline::new(
        store,
        api,
        Agents::one(agent),
        settings,
        WallClock::default(),
        identity,
        None,
    );
    (Arc::new(pipeline), guard)
}

/// Somebody says something; `number` tells events apart.
async fn says(
    admission: &Admission,
    sender: (&str, &str),
    chat_type: &str,
    number: u32,
) -> Verdict {
    let (sender_type, open_id) = sender;
    let event = json!({
        "schema": "2.0",
        "header": {
            "event_id": format!("event {number}"), "event_type": "im.message.receive_v1",
            "create_time": "1795000000000", "app_id": "cli_a", "tenant_key": "t", "token": "",
        },
        "event": {
            "sender": {"sender_id": {"open_id": open_id}, "sender_type": sender_type},
            "message": {
                "message_id": format!("om_{number}"), "create_time": "1795000000000",
                "chat_id": "oc_1", "chat_type": chat_type, "message_type": "text",
                "content": json!({"text": "@_user_1 hello"}).to_string(),
                "mentions": [{"key": "@_user_1", "id": {"open_id": "ou_bot"}, "name": "bot"}],
            },
        },
    });
    let payload = event.to_string();
    let event = Event::parse(payload.as_bytes());
    let event = InboundEvent {
        payload: payload.as_bytes(),
        event: event.as_ref().map_err(|error| *error),
        transport: Transport::Webhook,
        received: tokio::time::Instant::now(),
    };
    admission.accept(event).await
}

#[tokio::test]
async fn what_the_store_does_not_say_about_a_sender_is_asked_again() {
    for (policy, sender, chat_type) in [
        (
            Policy {
                direct: DirectAccess::Pairing,
                ..Policy::default()
            },
            ("user", "ou_1"),
            "p2p",
        ),
        (
            Policy {
                direct: DirectAccess::Allowlist,
                ..Policy::default()
            },
            ("user", "ou_1"),
            "p2p",
        ),
        (
            Policy {
                allow_bots: true,
                ..Policy::default()
            },
            ("app", "ou_2"),
            "group",
        ),
    ] {
        let (pipeline, guard) = pipeline(policy);
        let admission = Admission::new(Arc::clone(&pipeline));
        assert_eq!(
            says(&admission, sender, chat_type, 1).await,
            Verdict::Accepted
        );
        guard.close();
        assert_eq!(
            says(&admission, sender, chat_type, 2).await,
            Verdict::Refused
        );
    }
}

#[tokio::test]
async fn bots_have_so_many_answers_in_a_row_and_a_redelivery_is_not_one_more() {
    let (pipeline, _guard) = pipeline(Policy {
        allow_bots: true,
        ..Policy::default()
    });
    let most = pipeline.settings.bot_turns_max;
    let admission = Admission::new(Arc::clone(&pipeline));
    let (bot, person) = (("app", "ou_2"), ("user", "ou_1"));
    for number in 0..most {
        for _ in 0..2 {
            says(&admission, bot, "group", number).await;
        }
    }
    says(&admission, bot, "group", most).await;
    let queued = async || pipeline.store.stats().await.unwrap().queued;
    assert_eq!(queued().await, u64::from(most));
    says(&admission, person, "group", most + 1).await;
    says(&admission, bot, "group", most + 2).await;
    assert_eq!(queued().await, u64::from(most) + 2);
}

#[tokio::test]
async fn a_click_after_the_deadline_is_no_consent() {
    let (pipeline, _guard) = pipeline(Policy::default());
    let now_ms = pipeline.now_ms();
    for (deadline_ms, kind, state) in [
        (now_ms + 600_000, "success", "answered"),
        (now_ms - 1, "info", "timed_out"),
    ] {
        let ask = Ask {
            who: "ou_1".into(),
            name: String::new(),
            conversation: "feishu:oc_1".into(),
            language: Language::English,
            what: What::Approval {
                tool: "shell".into(),
                what: "rm -rf build".into(),
                place: String::new(),
                always: Default::default(),
            },
            deadline_ms,
            card: None,
            state: State::Open,
        };
        let note = PutNote {
            scope: "ask:7".into(),
            key: "call_1".into(),
            body: serde_json::to_string(&ask).unwrap().into(),
            expires_ms: None,
            expect: Expect::Anything,
            now_ms,
        };
        pipeline.store.put_note(note).await.unwrap();
        let click = render::action::CardAction {
            operator_open_id: "ou_1".into(),
            ask_id: Some("7/call_1".into()),
            choice: Some("once".into()),
            ..Default::default()
        };
        let answer: Value = serde_json::from_slice(&action::take(&pipeline, &click).await).unwrap();
        assert_eq!(answer["toast"]["type"], kind, "{answer}");
        let note = pipeline
            .store
            .note("ask:7", "call_1", now_ms)
            .await
            .unwrap();
        let kept: Value = serde_json::from_slice(&note.unwrap().body).unwrap();
        let is_so = kept["state"] == state || kept["state"].get(state).is_some();
        assert!(is_so, "{kept}");
    }
}

#[tokio::test]
async fn a_card_of_an_earlier_version_can_still_be_answered() {
    let (pipeline, _guard) = pipeline(Policy::default());
    let now_ms = pipeline.now_ms();
    let ask = json!({
        "who": "ou_1", "conversation": "feishu:oc_1:omt_1", "language": "english",
        "what": {"approval": {"tool": "shell", "what": "ls", "place": ""}},
        "deadline_ms": now_ms + 600_000, "state": "open",
    });
    let note = PutNote {
        scope: "ask:7".into(),
        key: "call_1".into(),
        body: ask.to_string().into(),
        expires_ms: None,
        expect: Expect::Anything,
        now_ms,
    };
    pipeline.store.put_note(note).await.unwrap();
    for (choice, kind) in [("everyone", "warning"), ("always", "success")] {
        let click = render::action::CardAction {
            operator_open_id: "ou_1".into(),
            ask_id: Some("7/call_1".into()),
            choice: Some(choice.into()),
            ..Default::default()
        };
        let answer = action::take(&pipeline, &click).await;
        let answer: Value = serde_json::from_slice(&answer).unwrap();
        assert_eq!(answer["toast"]["type"], kind, "{choice}: {answer}");
    }
    let granted = pipeline.store.note("always:feishu:oc_1", "shell", now_ms);
    let granted = granted.await.unwrap().unwrap();
    let granted: Value = serde_json::from_slice(&granted.body).unwrap();
    assert_eq!(
        (&granted[0]["to"], &granted[0]["by"]),
        (&json!("ou_1"), &json!("ou_1"))
    );
}
