//! The outbox against the platform: what is sent again, what is looked up
//! first, and what people see of it, which is one answer.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

use std::sync::Arc;
use std::time::Duration;

use feishu_sim::view::Message;
use feishu_sim::{FaultKind, Sim, SimConfig, UserMessage};
use runtime_tokio::openapi::{OpenApi, OpenApiConfig, Patience, derive_uuid};
use runtime_tokio::{WallClock, http};
use serde_json::json;
use tempfile::TempDir;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use xiaoo_agent::{Model, ModelConfig, Progress, Provider, ToolSet};
use xiaoo_app::agents::{Agent, Agents};
use xiaoo_app::pipeline::outbox::{self, RESENT_BLINDLY, Sending, TRIED_FOR};
use xiaoo_app::pipeline::signs::{self, Board};
use xiaoo_app::pipeline::{Pipeline, Settings, SharedPipeline};
use xiaoo_app::render::language::Language;
use xiaoo_store::{
    Claim, Fate, MemoryDisk, NewEvent, NewOutbox, NewTurn, OutboxRow, Outcome, Store, StoreGuard,
    StoreOptions, TurnResult,
};

const PATIENCE: Duration = Duration::from_secs(20);
const LIST: &str = "GET /open-apis/im/v1/messages";
const REPLY: &str = "POST /open-apis/im/v1/messages/:message_id/reply";

fn now_ms() -> i64 {
    WallClock::default().unix_ms()
}

struct Rig {
    sim: Sim,
    folder: TempDir,
    pipeline: SharedPipeline,
    guard: StoreGuard,
}

fn open(folder: &TempDir) -> (Store, StoreGuard) {
    let url = format!("sqlite:{}", folder.path().join("xiaoo.db").display());
    Store::open(&url.parse().unwrap(), StoreOptions::default()).unwrap()
}

fn pipeline(sim: &Sim, store: Store) -> SharedPipeline {
    pipeline_to(sim.base_url(), sim.config(), store)
}

fn pipeline_to(base_url: String, config: &SimConfig, store: Store) -> SharedPipeline {
    http::install_crypto_provider();
    let api = OpenApi::new(
        http::loopback_client().unwrap(),
        OpenApiConfig {
            base_url,
            app_id: config.app_id.clone(),
            app_secret: config.app_secret.clone().into(),
            patience: Patience {
                tries_max: 1,
                ..Patience::default()
            },
        },
    );
    let nowhere = ModelConfig::new(Provider::Compatible, "http://127.0.0.1:1/v1", "none");
    let (_, identity) = watch::channel(Some(config.bot_open_id.clone()));
    let model = Model::new(http::loopback_client().unwrap(), nowhere).unwrap();
    let agent = Agent::plain("main", model.into(), ToolSet::new(), "");
    Arc::new(Pipeline::new(
        store,
        api,
        Agents::one(agent),
        Settings::usual(&config.app_id, "feishu"),
        WallClock::default(),
        identity,
        None,
    ))
}

impl Rig {
    /// A platform whose hour of uuids lasts `scale` hours.
    async fn new(scale: f64) -> Self {
        let config = SimConfig {
            time_scale: scale,
            ..SimConfig::default()
        };
        let sim = Sim::start(config).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let (store, guard) = open(&folder);
        let pipeline = pipeline(&sim, store);
        Self {
            sim,
            folder,
            pipeline,
            guard,
        }
    }

    fn asked(&self) -> Message {
        let said = self.sim.user_says(UserMessage::text("question")).unwrap();
        self.sim.message(&said.message_id).unwrap()
    }

    /// A finished turn about `message` that has these to send.
    async fn owes(&self, message: &str, sendings: &[Sending]) {
        let store = &self.pipeline.store;
        let event = NewEvent {
            app: self.pipeline.settings.app_id.clone(),
            event_id: format!("event of {message}"),
            message_id: Some(message.to_owned()),
            received_ms: now_ms(),
            work: Some(NewTurn {
                conversation: "feishu:oc".into(),
                kind: "message".into(),
                body: "{}".into(),
                urgent: false,
            }),
        };
        store.admit(event).await.unwrap();
        let turn = store.claim(1, Claim::Any).await.unwrap().remove(0);
        let outbox = (0..).zip(sendings).map(|(ordinal, sending)| NewOutbox {
            uuid: derive_uuid("app", message, ordinal),
            kind: sending.kind().into(),
            body: sending.to_body(),
        });
        let result = TurnResult {
            outcome: Outcome::Answered,
            detail: None,
            finished_ms: now_ms(),
            history: Vec::new(),
            outbox: outbox.collect(),
        };
        store.finish(turn.key, result).await.unwrap();
    }

    /// The next row, as a process took it so long ago that then died.
    async fn taken(&self, ago: Duration) -> OutboxRow {
        let then = now_ms() - i64::try_from(ago.as_millis()).unwrap();
        let mut rows = self.pipeline.store.outbox_take(then, 1).await.unwrap();
        assert_eq!(rows.len(), 1);
        rows.remove(0)
    }

    /// Another process: opens the store and sends until nothing is left.
    async fn restart_and_drain(&mut self) {
        let (store, guard) = {
            // The old one lets go of the file first.
            let (spare, spare_guard) = open(&tempfile::tempdir().unwrap());
            self.pipeline = pipeline(&self.sim, spare);
            std::mem::replace(&mut self.guard, spare_guard).close();
            open(&self.folder)
        };
        self.guard = guard;
        self.pipeline = pipeline(&self.sim, store);
        self.drain().await;
    }

    async fn drain(&self) {
        let stop = CancellationToken::new();
        let sends = TaskTracker::new();
        let running = tokio::spawn(outbox::run(
            Arc::clone(&self.pipeline),
            sends.clone(),
            stop.clone(),
        ));
        let deadline = tokio::time::Instant::now() + PATIENCE;
        outbox::drained(&self.pipeline, deadline).await;
        stop.cancel();
        running.await.unwrap();
        let stats = self.pipeline.store.stats().await.unwrap();
        assert_eq!(stats.outbox_open, 0, "settled in time");
    }

    async fn dead(&self) -> u64 {
        self.pipeline.store.stats().await.unwrap().outbox_dead
    }

    /// The bot's messages, by their text.
    fn shown(&self, chat: &str) -> Vec<String> {
        let messages = self.sim.messages(chat).into_iter();
        let ours = messages.filter(|message| message.sender.is_self);
        ours.map(|message| message.text.replace("**", "")).collect()
    }

    fn calls(&self, name: &str) -> u64 {
        self.sim.api_calls().get(name).copied().unwrap_or_default()
    }
}

fn reply(message: &Message, part: usize, text: &str) -> Sending {
    Sending::Reply {
        message_id: message.message_id.clone(),
        chat_id: message.chat_id.clone(),
        in_thread: message.thread_id.is_some(),
        thread_id: message.thread_id.clone(),
        msg_type: "post".into(),
        content: json!({"zh_cn": {"title": "", "content": [[{"tag": "md", "text": text}]]}})
            .to_string(),
        fallback: None,
        part,
        asked_ms: now_ms(),
    }
}

/// What a process did with its row before it died.
async fn send(rig: &Rig, row: &OutboxRow) {
    let Ok(Sending::Reply {
        message_id,
        chat_id,
        in_thread,
        msg_type,
        content,
        ..
    }) = serde_json::from_slice(&row.body)
    else {
        panic!("a reply")
    };
    let target = runtime_tokio::openapi::ReplyTarget {
        message_id,
        chat_id,
        in_thread,
    };
    let api = &rig.pipeline.api;
    api.reply_or_create(&target, &msg_type, &content, &row.uuid)
        .await
        .unwrap();
}

/// Past Feishu's memory of uuids, and past ours of what may be resent blindly.
const LATE: Duration = Duration::from_secs(51 * 60);
/// An hour of uuids in 4 ms.
const FORGETFUL: f64 = 0.000_001;

#[tokio::test]
async fn within_the_hour_a_send_of_unknown_outcome_is_repeated_with_its_uuid() {
    let mut rig = Rig::new(1.0).await;
    let asked = rig.asked();
    rig.owes(&asked.message_id, &[reply(&asked, 0, "the **answer**")])
        .await;
    let row = rig.taken(Duration::from_secs(60)).await;
    send(&rig, &row).await;
    rig.restart_and_drain().await;
    assert_eq!(rig.shown(&asked.chat_id), ["the answer"]);
    assert_eq!((rig.calls(REPLY), rig.calls(LIST)), (2, 0));
}

#[tokio::test]
async fn after_the_hour_a_send_that_arrived_is_found_and_not_repeated() {
    for (name, recalled, in_thread) in [
        ("reply", false, false),
        ("in a thread", false, true),
        ("to the chat, its message being gone", true, false),
    ] {
        let mut rig = Rig::new(FORGETFUL).await;
        let mut asked = rig.asked();
        if in_thread {
            let said = rig.sim.user_says(UserMessage {
                reply_to: Some(asked.message_id),
                in_thread: true,
                ..UserMessage::text("in a thread")
            });
            asked = rig.sim.message(&said.unwrap().message_id).unwrap();
            assert!(asked.thread_id.is_some());
        }
        rig.owes(&asked.message_id, &[reply(&asked, 0, "the **answer**")])
            .await;
        let row = rig.taken(LATE).await;
        assert_eq!(row.key.attempt, 1);
        if recalled {
            rig.sim.recall(&asked.message_id).unwrap();
        }
        send(&rig, &row).await;
        let sent = rig.calls(REPLY);
        rig.restart_and_drain().await;
        assert_eq!(rig.shown(&asked.chat_id), ["the answer"], "{name}");
        assert_eq!(rig.calls(REPLY), sent, "{name}: nothing was sent again");
        assert!(rig.calls(LIST) >= 1, "{name}");
        assert_eq!(rig.dead().await, 0, "{name}");
    }
}

#[tokio::test]
async fn after_the_hour_a_send_that_never_arrived_is_made_up_for() {
    let mut rig = Rig::new(FORGETFUL).await;
    let asked = rig.asked();
    // Others talk meanwhile, for more than one page, and the bot to others.
    let other = rig.asked();
    for number in 0..120 {
        rig.sim
            .user_says(UserMessage::text(format!("message {number}")))
            .unwrap();
    }
    rig.owes(&other.message_id, &[reply(&other, 0, "for another")])
        .await;
    rig.drain().await;
    rig.owes(&asked.message_id, &[reply(&asked, 0, "the answer")])
        .await;
    rig.taken(LATE).await;
    rig.restart_and_drain().await;
    assert_eq!(rig.shown(&asked.chat_id), ["for another", "the answer"]);
    assert_eq!(rig.calls(LIST), 3);
}

#[tokio::test]
async fn parts_of_one_answer_are_told_apart() {
    // With the same words in each, only the order tells.
    let same = ["again and again"; 3];
    let different = ["one part", "another", "the last"];
    for (texts, second_arrived) in [(same, true), (different, true), (different, false)] {
        let mut rig = Rig::new(FORGETFUL).await;
        let asked = rig.asked();
        let parts = [0, 1, 2].map(|part| reply(&asked, part, texts[part]));
        rig.owes(&asked.message_id, &parts).await;
        let first = rig.taken(LATE * 2).await;
        send(&rig, &first).await;
        rig.pipeline
            .store
            .outbox_done(first.key, "om")
            .await
            .unwrap();
        let second = rig.taken(LATE).await;
        if second_arrived {
            send(&rig, &second).await;
        }
        rig.restart_and_drain().await;
        assert_eq!(rig.shown(&asked.chat_id), texts, "{second_arrived}");
    }
}

#[tokio::test]
async fn what_nobody_can_tell_is_given_up_and_not_sent_twice() {
    let mut rig = Rig::new(FORGETFUL).await;
    let asked = rig.asked();
    rig.owes(&asked.message_id, &[reply(&asked, 0, "the answer")])
        .await;
    let row = rig.taken(LATE).await;
    send(&rig, &row).await;
    rig.sim.faults().add(
        FaultKind::ApiCode {
            code: 230_027,
            status: 400,
        }
        .on(LIST),
    );
    rig.restart_and_drain().await;
    assert_eq!(rig.shown(&asked.chat_id), ["the answer"]);
    assert_eq!(rig.dead().await, 1);
    assert_eq!(
        rig.pipeline
            .counters
            .given_up
            .load(std::sync::atomic::Ordering::Relaxed),
        1
    );
}

#[tokio::test]
async fn a_chat_that_cannot_be_read_now_is_read_later() {
    for (ago, sent) in [(LATE, true), (TRIED_FOR, false)] {
        let mut rig = Rig::new(FORGETFUL).await;
        let asked = rig.asked();
        rig.owes(&asked.message_id, &[reply(&asked, 0, "the answer")])
            .await;
        rig.taken(ago).await;
        let fault = FaultKind::ApiStatus { status: 502 }.times(1);
        rig.sim.faults().add(feishu_sim::Fault {
            target: Some(LIST.into()),
            ..fault
        });
        rig.restart_and_drain().await;
        assert_eq!(rig.shown(&asked.chat_id).len(), usize::from(sent));
        assert_eq!(rig.dead().await, u64::from(!sent));
    }
}

#[tokio::test]
async fn an_unreadable_answer_of_a_send_is_not_taken_for_a_refusal() {
    let rig = Rig::new(1.0).await;
    let asked = rig.asked();
    rig.owes(&asked.message_id, &[reply(&asked, 0, "the answer")])
        .await;
    // The effect is there, the answer is some proxy's page.
    rig.sim.faults().add(feishu_sim::Fault {
        target: Some(REPLY.into()),
        ..FaultKind::ApiLateStatus { status: 404 }.times(1)
    });
    rig.drain().await;
    assert_eq!(rig.shown(&asked.chat_id), ["the answer"]);
    assert_eq!((rig.dead().await, rig.calls(REPLY)), (0, 2));
}

#[tokio::test]
async fn a_row_waits_for_the_one_before_it() {
    let rig = Rig::new(1.0).await;
    let asked = rig.asked();
    let parts = [0, 1, 2, 3].map(|part| reply(&asked, part, &format!("part {part}")));
    rig.owes(&asked.message_id, &parts).await;
    // The first is refused for a moment; the others would pass.
    rig.sim.faults().add(feishu_sim::Fault {
        target: Some(REPLY.into()),
        ..FaultKind::ApiStatus { status: 503 }.times(2)
    });
    rig.drain().await;
    assert_eq!(
        rig.shown(&asked.chat_id),
        ["part 0", "part 1", "part 2", "part 3"]
    );
}

#[tokio::test]
async fn a_card_of_unknown_fate_is_finished_and_never_doubled() {
    for (since, exists, cards) in [
        (Duration::ZERO, true, 1),
        (Duration::ZERO, false, 1),
        (LATE, true, 1),
        (LATE, false, 0),
    ] {
        let late = since >= RESENT_BLINDLY;
        let rig = Rig::new(if late { FORGETFUL } else { 1.0 }).await;
        let asked = rig.asked();
        let card = |title: &str| {
            json!({"schema": "2.0", "config": {"update_multi": true},
                "header": {"title": {"tag": "plain_text", "content": title}},
                "body": {"elements": [{"tag": "markdown", "content": "text"}]}})
            .to_string()
        };
        let api = &rig.pipeline.api;
        if exists {
            api.reply_message(
                (&asked.message_id, ""),
                "interactive",
                &card("works"),
                "u",
                false,
            )
            .await
            .unwrap();
        }
        let finish = Sending::FinishCard {
            card: None,
            reply_to: asked.message_id.clone(),
            create_uuid: "u".into(),
            content: card("done"),
            chat_id: asked.chat_id.clone(),
            thread_id: None,
            asked_ms: now_ms() - i64::try_from(since.as_millis()).unwrap(),
            not_before_ms: 0,
        };
        rig.owes(&asked.message_id, &[finish]).await;
        rig.drain().await;
        let messages = rig.sim.messages(&asked.chat_id);
        let titles: Vec<_> = messages
            .into_iter()
            .filter_map(|message| message.card)
            .map(|card| card.title)
            .collect();
        assert_eq!(titles, vec!["done"; cards], "{since:?}, {exists}");
    }
}

#[tokio::test]
async fn a_reaction_that_nobody_noted_is_found_and_taken_away() {
    let rig = Rig::new(1.0).await;
    let asked = rig.asked();
    let id = &asked.message_id;
    rig.pipeline.api.add_reaction(id, "Get").await.unwrap();
    let person = asked.sender.open_id.clone();
    rig.sim.react(id, &person, "Get").unwrap();
    let unreact = Sending::TakeReactionAway {
        message_id: id.clone(),
        reaction: None,
        emoji: "Get".into(),
        not_before_ms: 0,
    };
    rig.owes(id, &[unreact]).await;
    rig.drain().await;
    let left = rig.sim.reactions(id);
    assert_eq!(left.len(), 1, "{left:?}");
    assert_eq!(left[0].operators[0].open_id, person, "the person's own");
}

#[tokio::test]
async fn whoever_lost_the_turn_updates_its_card_no_more() {
    for lost in [false, true] {
        let rig = Rig::new(1.0).await;
        let asked = rig.asked();
        let store = &rig.pipeline.store;
        let body = json!({"schema": "2.0",
            "header": {"event_id": "e", "event_type": "im.message.receive_v1", "app_id": "cli_a"},
            "event": {"sender": {"sender_id": {"open_id": "ou_1"}, "sender_type": "user"},
                "message": {"message_id": asked.message_id, "chat_id": asked.chat_id, "chat_type": "p2p",
                    "message_type": "text", "content": "{\"text\":\"hi\"}", "create_time": "1795000000000"}}})
        .to_string();
        let event = proto_core::Event::parse(body.as_bytes()).unwrap();
        let identity = proto_core::Identity {
            open_id: &rig.sim.config().bot_open_id,
            app_id: "cli_a",
        };
        let message = proto_core::InboundMessage::from_event(&event, identity).unwrap();
        let event = NewEvent {
            app: "app".into(),
            event_id: "e".into(),
            message_id: Some(asked.message_id.clone()),
            received_ms: now_ms(),
            work: Some(NewTurn {
                conversation: "feishu:oc".into(),
                kind: "message".into(),
                body: body.into(),
                urgent: false,
            }),
        };
        store.admit(event).await.unwrap();
        let turn = store.claim(1, Claim::Any).await.unwrap().remove(0);
        let (board, ended) = (
            Board::new(Language::English, "model", 0),
            CancellationToken::new(),
        );
        let showing = tokio::spawn(signs::show(
            Arc::clone(&rig.pipeline),
            turn.clone(),
            message,
            board.clone(),
            ended.clone(),
        ));
        let card = rig.sim.until(PATIENCE, |sim| {
            let messages = sim.messages(&asked.chat_id);
            messages.into_iter().find(|message| message.card.is_some())
        });
        let card = card.await.unwrap().message_id;
        if lost {
            store.release(turn.key).await.unwrap();
            assert_eq!(store.claim(1, Claim::Any).await.unwrap().len(), 1);
        }
        // The first update may come a second after the card.
        let news = async {
            loop {
                board.update(Progress::Thinking);
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let updated = rig.sim.until(Duration::from_secs(3), |sim| {
            (sim.card_versions(&card).len() > 1).then_some(())
        });
        let updated = tokio::select! {
            updated = updated => updated,
            () = news => None,
        };
        assert_eq!(updated.is_some(), !lost);
        ended.cancel();
        let shown = showing.await.unwrap();
        assert_eq!(shown.card, Some(card));
        assert!(!shown.unsettled);
    }
}

#[test]
fn rows_of_an_earlier_version_can_be_read() {
    let rows = [
        json!({"send": "reply", "message_id": "om", "chat_id": "oc", "in_thread": false,
            "msg_type": "text", "content": "{}", "fallback": null}),
        json!({"send": "finish_card", "card": "om", "reply_to": "om", "create_uuid": "u", "content": "{}"}),
        json!({"send": "take_reaction_away", "message_id": "om", "reaction": "r"}),
    ];
    for row in rows {
        serde_json::from_value::<Sending>(row.clone()).unwrap_or_else(|why| panic!("{row}: {why}"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_was_stuck_once_is_asked_again_before_the_loop_is_found_dead() {
    // What the systemd unit gives a loop, of which a quarter goes by between two looks at it.
    const WATCHDOG: Duration = Duration::from_secs(60);
    const SEEN_WITHIN: Duration = Duration::from_secs(45);
    let seconds = |seconds| tokio::time::sleep(Duration::from_secs(seconds));
    let disk = MemoryDisk::new();
    let (store, _guard) = Store::in_memory(&disk, &StoreOptions::default());
    let nowhere = "http://127.0.0.1:1".to_owned();
    let pipeline = pipeline_to(nowhere, &SimConfig::default(), store);
    let heart = &pipeline.hearts.outbox;
    pipeline.hearts.beat_every(WATCHDOG / 8);
    let stop = CancellationToken::new();
    let sending = outbox::run(Arc::clone(&pipeline), TaskTracker::new(), stop.clone());
    let sending = tokio::spawn(sending);
    seconds(29).await;
    let last = heart.beats();
    assert!(last > 0);
    disk.set_fates(|_| Fate::Held);
    // The next look comes half a minute after the first, and is given up after another half.
    seconds(2).await;
    assert_eq!((disk.waiting(), heart.beats()), (1, last));
    seconds(30).await;
    disk.set_fates(|_| Fate::Synced);
    disk.resume();
    seconds(SEEN_WITHIN.as_secs() - 30).await;
    assert!(heart.beats() > last, "nothing for {SEEN_WITHIN:?}");
    stop.cancel();
    sending.await.unwrap();
}
