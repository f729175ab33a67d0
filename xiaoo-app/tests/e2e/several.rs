//! Several daemons on one PostgreSQL store.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use feishu_sim::view::{DeliveryState, Message};
use feishu_sim::{CardAction, Fault, FaultKind, SimConfig, UserFile, UserMessage};
use model_sim::Script;
use serde_json::json;
use xiaoo_app::fail_point::FailPoint;

use crate::balancer::Balancer;
use crate::harness::{Daemon, PATIENCE, Rig, Setup, Via, answers};
use crate::server::{Cluster, connect};

/// From a daemon's death until another has taken its work up.
const TAKEN_OVER_WITHIN: Duration = Duration::from_secs(15);

/// A rig with a server, its store's URL, and a way to the daemons.
async fn rig(via: Via, cluster: &Cluster, channel: &'static str) -> (Rig, String, Balancer) {
    let url = cluster.new_url().await;
    let balancer = Balancer::start().await;
    let defaults = Setup::default();
    let rig = Rig::without_daemon(Setup {
        via,
        store: Some(url.clone()),
        webhook_port: Some(balancer.port),
        channel,
        sim: SimConfig {
            // The daemon's own waits are as long as ever.
            uuid_window: Duration::from_secs(3600 * 100),
            ..defaults.sim
        },
        ..defaults
    })
    .await;
    balancer.leads_to([rig.daemon.port]);
    (rig, url, balancer)
}

/// Another daemon, that is ready.
async fn another(rig: &Rig, balancer: &Balancer) -> Daemon {
    let mut other = rig.another_daemon();
    other.start().await;
    balancer.leads_to([other.port]);
    other
}

fn slow(text: &str) -> Script {
    Script::Slow {
        text: text.into(),
        chunk_delay: Duration::from_millis(200),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_that_start_at_once_share_the_work_and_answer_once() {
    const CHATS: usize = 8;
    const EACH: usize = 4;
    for via in [Via::LongConnection, Via::Webhook] {
        let (mut rig, _, balancer) = rig(via, Cluster::shared(), "").await;
        let mut other = rig.another_daemon();
        balancer.leads_to([other.port]);
        rig.spawn();
        other.spawn();
        rig.until_ready().await;
        other.until_ready().await;
        // Every event comes twice, each time to whom Feishu or nginx likes.
        rig.sim
            .faults()
            .add(FaultKind::DuplicatePush.on("im.message"));
        for talk in talks(&rig, CHATS, EACH).await {
            talk.is_answered(&rig).await;
        }
        assert_eq!(rig.model.requests().len(), CHATS * EACH, "{via:?}: turns");
        let mut duplicates = 0;
        for daemon in [&rig.daemon, &other] {
            let (_, ready) = daemon.ready().await;
            let events = &ready["channels"]["feishu"]["events"];
            assert!(events["received"].as_u64() > Some(0), "{via:?}: {ready}");
            duplicates += events["duplicates"].as_u64().unwrap();
        }
        assert!(duplicates >= (CHATS * EACH) as u64, "{via:?}: {duplicates}");
        assert!(
            rig.sim.violations().is_empty(),
            "{:?}",
            rig.sim.violations()
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_in_the_middle_of_turns_the_other_goes_on_in_time_and_in_order() {
    tokio::join!(takes_over(Via::LongConnection), takes_over(Via::Webhook));
}

async fn takes_over(via: Via) {
    const CHATS: usize = 6;
    let (mut rig, _, balancer) = rig(via, Cluster::shared(), "").await;
    rig.start_daemon().await;
    for _ in 0..CHATS {
        rig.model
            .script(slow("this one is cut off by the kill of its daemon"));
    }
    let talks = talks(&rig, CHATS, 2).await;
    rig.model.wait_for_requests(CHATS as u64).await;
    let other = another(&rig, &balancer).await;
    rig.daemon.kill();
    let died = Instant::now();
    for talk in &talks {
        rig.answer_to(&talk.asked[0]).await;
    }
    let took = died.elapsed();
    eprintln!("{via:?}: {CHATS} turns taken over and answered {took:.1?} after the death");
    assert!(took < TAKEN_OVER_WITHIN, "{via:?}: {took:?}");
    for talk in &talks {
        talk.is_answered(&rig).await;
    }
    let (_, ready) = other.ready().await;
    assert_eq!(ready["channels"]["feishu"]["events"]["answered"], 2 * CHATS);
    assert_eq!(ready["store"]["dead"], 0, "{ready}");
}

/// What somebody said in a chat, in the order in which it arrived.
struct Talk {
    chat: String,
    asked: Vec<String>,
}

/// People say so many things each, one after another and all at the same time.
async fn talks(rig: &Rig, people: usize, each: usize) -> Vec<Talk> {
    let begun = |person| Talk {
        chat: rig.sim.add_p2p_chat(&format!("person {person}")).unwrap(),
        asked: Vec::new(),
    };
    let mut talks: Vec<_> = (0..people).map(begun).collect();
    for number in 0..each {
        for talk in &mut talks {
            let says = UserMessage::text(format!("number {number}")).in_chat(&talk.chat);
            talk.asked.push(rig.sim.user_says(says).unwrap().message_id);
        }
        let arrived = rig.sim.until(PATIENCE, |sim| {
            let mut said = talks.iter().flat_map(|talk| &talk.asked);
            let is_acked = |said: &String| {
                let delivery = sim.message(said).unwrap().delivery.unwrap();
                delivery.state == DeliveryState::Acked
            };
            said.all(is_acked).then_some(())
        });
        arrived.await.unwrap();
    }
    talks
}

impl Talk {
    /// Each message has one answer and one card, and they came in order.
    async fn is_answered(&self, rig: &Rig) {
        for asked in &self.asked {
            assert!(!rig.answer_to(asked).await.starts_with("Sorry"));
            rig.card_of(asked);
        }
        let shown = rig.sim.messages(&self.chat);
        let answered: Vec<_> = shown
            .iter()
            .filter(|message| message.sender.is_self && message.card.is_none())
            .filter_map(|message| message.parent_id.clone())
            .collect();
        assert_eq!(answered, self.asked);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_stopped_and_replaced_changes_nothing_when_it_goes_on() {
    tokio::join!(replaced_in_a_turn(), replaced_while_sending());
}

async fn replaced_in_a_turn() {
    let (mut rig, url, balancer) = rig(Via::LongConnection, Cluster::shared(), "").await;
    rig.start_daemon().await;
    rig.model
        .script(slow("this run is stopped and goes on much later"));
    let asked = rig.says("hello");
    rig.model.wait_for_requests(1).await;
    rig.daemon.signal("-STOP");
    let others = "from the other, which is still in the middle of it when the first goes on";
    rig.model.script(slow(others));
    let _other = another(&rig, &balancer).await;
    rig.model.wait_for_requests(2).await;
    rig.daemon.signal("-CONT");
    said(&rig.daemon, &["the turn belongs to another run now"]).await;
    assert_eq!(rig.answer_to(&asked).await, others);
    let [_, _, history, steps] = tables(&url).await;
    assert_eq!((history.lines().count(), steps.as_str()), (2, ""));
    assert_eq!(rig.card_of(&asked).card.unwrap().template, "green");
    // It is one of two again.
    rig.until_ready().await;
    rig.model.script(Script::Answer("next".into()));
    let next = rig.says("and now?");
    assert_eq!(rig.answer_to(&next).await, "next");
    assert_eq!(rig.model.requests().len(), 3);
}

async fn replaced_while_sending() {
    let quiet = "progress = \"off\"\nreaction = \"off\"";
    let (mut rig, url, balancer) = rig(Via::Webhook, Cluster::shared(), quiet).await;
    rig.start_daemon().await;
    // On its way when its sender is stopped.
    rig.sim.faults().add(Fault {
        target: Some("POST /open-apis/im/v1/messages".into()),
        ..FaultKind::ApiLatency { ms: 2_000 }.times(1)
    });
    let asked = rig.says("hello");
    let client = connect(&url).await;
    let deadline = Instant::now() + PATIENCE;
    let sql = "SELECT id FROM xiaoo.outbox WHERE state = 'sending'";
    while !matches!(client.query_opt(sql, &[]).await, Ok(Some(_))) {
        assert!(Instant::now() < deadline, "{}", rig.log());
    }
    rig.daemon.signal("-STOP");
    let other = another(&rig, &balancer).await;
    said(&other, &["sent turn="]).await;
    let before = tables(&url).await;
    rig.daemon.signal("-CONT");
    // In time or too late: that is its client's affair.
    said(&rig.daemon, &["sent turn=", "not sent yet turn="]).await;
    rig.until_ready().await;
    // Whatever it has to write down is behind this.
    let next = rig.says("and now?");
    let answered = rig.sim.until(PATIENCE, |sim| {
        (answers(sim, &rig.chat(), &next).len() == 1).then_some(())
    });
    answered.await.unwrap();
    let after = tables(&url).await;
    let [of_turn, of_send] =
        [0, 1].map(|table| (before[table].lines().next(), after[table].lines().next()));
    assert_eq!(of_turn.0, of_turn.1);
    assert_eq!(of_send.0, of_send.1);
    assert_eq!(answers(&rig.sim, &rig.chat(), &asked).len(), 1);
}

/// What is in the store's tables, a row a line.
async fn tables(url: &str) -> [String; 4] {
    let client = connect(url).await;
    let mut tables = Vec::new();
    for table in ["turn", "outbox", "history", "step"] {
        let sql =
            format!("SELECT string_agg(row::text, E'\\n' ORDER BY id) FROM xiaoo.{table} AS row");
        let rows: Option<String> = client.query_one(&sql, &[]).await.unwrap().get(0);
        tables.push(rows.unwrap_or_default());
    }
    tables.try_into().unwrap()
}

/// Waits until a daemon's log has one of these.
async fn said(daemon: &Daemon, words: &[&str]) {
    let deadline = Instant::now() + PATIENCE;
    while !words.iter().any(|words| daemon.log().contains(words)) {
        assert!(
            Instant::now() < deadline,
            "never said {words:?}:\n{}",
            daemon.log()
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_server_events_are_refused_and_all_goes_on_when_it_is_back() {
    tokio::join!(
        survives_an_outage(Via::LongConnection),
        survives_an_outage(Via::Webhook)
    );
}

async fn survives_an_outage(via: Via) {
    let cluster = Cluster::start();
    let (mut rig, _, balancer) = rig(via, &cluster, "").await;
    rig.start_daemon().await;
    let other = another(&rig, &balancer).await;
    rig.model
        .script(slow("this takes longer than the server is away"));
    let running = rig.says("hello");
    rig.model.wait_for_requests(1).await;
    cluster.tell("stop");
    for daemon in [&rig.daemon, &other] {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let (status, ready) = daemon.ready().await;
            if status == 503 {
                let reasons = ready["reasons"].to_string();
                assert!(reasons.contains("database can't be reached"), "{ready}");
                break;
            }
            assert!(Instant::now() < deadline, "{ready}");
        }
        assert_eq!(daemon.get("/api/v1/health").await.unwrap().0, 200);
    }
    let refused = rig.says("can you hear me?");
    let code = if via == Via::LongConnection { 500 } else { 503 };
    let was_refused = rig.sim.until(PATIENCE, |sim| {
        sim.acks().iter().any(|ack| ack.code == code).then_some(())
    });
    was_refused
        .await
        .unwrap_or_else(|| panic!("{via:?}: {:?}", rig.sim.acks()));
    cluster.tell("start");
    rig.until_ready().await;
    other.until_ready().await;
    assert_eq!(
        rig.answer_to(&running).await,
        "this takes longer than the server is away"
    );
    assert!(!rig.answer_to(&refused).await.starts_with("Sorry"));
    for asked in [&running, &refused] {
        assert_eq!(rig.card_of(asked).card.unwrap().template, "green");
    }
    assert_eq!(rig.model.requests().len(), 2, "{via:?}: turns");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_asked_before_an_outage_of_the_server_can_answer_after_it() {
    let cluster = Cluster::start();
    let rig = Rig::start(Setup {
        store: Some(cluster.new_url().await),
        more: "[tools]\nenable = [\"shell\"]\n",
        ..Setup::default()
    })
    .await;
    let run = json!({"command": "echo from the sandbox"});
    for script in [
        Script::tool_call("shell", run.to_string()),
        Script::Answer("it is done".into()),
    ] {
        rig.model.script(script);
    }
    let message = rig.says("run it");
    let asked = rig.sim.until(PATIENCE, |sim| {
        let mut messages = sim.messages(&rig.chat()).into_iter();
        messages.find(|message| {
            let card = message.card.as_ref();
            card.is_some_and(|card| card.template == "orange")
        })
    });
    let card = asked.await.unwrap_or_else(|| panic!("{}", rig.log()));
    cluster.tell("stop");
    // However that is taken.
    said(&rig.daemon, &["cannot be read yet", "nobody can be asked"]).await;
    cluster.tell("start");
    rig.until_ready().await;
    let press = CardAction::label(&card.message_id, "Allow once");
    let pressed = rig.sim.press(press).await.unwrap();
    assert_eq!(pressed.toast_type(), Some("success"), "{pressed:?}");
    assert_eq!(rig.answer_to(&message).await, "it is done");
    let result = rig.model.requests().pop().unwrap().body.to_string();
    assert!(result.contains("exit status 0"), "{result}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_a_dead_daemons_disk_is_sent_once_by_the_other() {
    let (mut rig, _, balancer) = rig(Via::LongConnection, Cluster::shared(), "").await;
    let write = json!({"path": "report.csv", "content": "a,b\n"});
    let send = json!({"path": "report.csv"});
    for script in [
        Script::tool_call("write_file", write.to_string()),
        Script::tool_call("send_file", send.to_string()),
        Script::Answer("here it is".into()),
    ] {
        rig.model.script(script);
    }
    // The result is kept, its text is sent, and its file is not.
    rig.spawn_to_die_at(Some(FailPoint::FileTaken));
    rig.until_ready().await;
    let asked = rig.says("write me a report");
    assert_eq!(rig.daemon.ended().await, None);
    let _other = elsewhere(&rig, &balancer).await;
    let answers = rig.answers_to(&asked).await;
    let names = |message: &Message| -> Vec<String> {
        let files = message.files.iter();
        files.map(|file| file.name.clone()).collect()
    };
    assert_eq!(answers.len(), 2, "{answers:?}");
    assert_eq!(answers[0].text, "here it is");
    assert_eq!(names(&answers[1]), ["report.csv"]);
    assert_eq!(files_of(&rig, "").len(), 1, "on the disk of the dead one");
    assert!(files_of(&rig, "elsewhere").is_empty());
    // Nothing is held up, and nothing comes again.
    rig.model.script(Script::Answer("next".into()));
    assert_eq!(rig.answer_to(&rig.says("and now?")).await, "next");
    assert_eq!(self::answers(&rig.sim, &rig.chat(), &asked).len(), 2);
    assert_eq!(rig.sim.api_calls()["POST /open-apis/im/v1/files"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_one_has_fetched_can_be_asked_about_at_another_unless_it_was_taken_away_there()
{
    const RESOURCE: &str = "GET /open-apis/im/v1/messages/:message_id/resources/:file_key";
    let (mut rig, _, balancer) = rig(Via::LongConnection, Cluster::shared(), "").await;
    rig.start_daemon().await;
    let file = UserFile::file("numbers.csv", "name,count\nleft,3\nright,5\n");
    let brought = rig.sim.user_says(UserMessage::file(file)).unwrap();
    rig.answer_to(&brought.message_id).await;
    rig.daemon.kill();
    let _other = elsewhere(&rig, &balancer).await;
    let reads = async |rig: &Rig| {
        let read = json!({"path": "files/numbers.csv"});
        let read = Script::tool_call("read_file", read.to_string());
        rig.model.script(read);
        rig.model.script(Script::Answer("as it says".into()));
        rig.answer_to(&rig.says("what did the second column say?"))
            .await;
        let requests = rig.model.requests();
        requests.last().unwrap().tool_results().pop().unwrap()
    };
    let result = reads(&rig).await;
    assert!(result.contains("right,5"), "{result}");
    assert_eq!(rig.sim.api_calls()[RESOURCE], 2, "once for each disk");
    let [here] = files_of(&rig, "elsewhere").try_into().unwrap();
    std::fs::remove_file(here).unwrap();
    let result = reads(&rig).await;
    assert!(result.starts_with("Error"), "{result}");
    assert_eq!(rig.sim.api_calls()[RESOURCE], 2);
}

/// Another daemon, with a disk of its own, that is ready.
async fn elsewhere(rig: &Rig, balancer: &Balancer) -> Daemon {
    let mut other = rig.daemon_elsewhere();
    other.start().await;
    balancer.leads_to([other.port]);
    other
}

/// The files of all conversations on a disk, but for those that are ours alone.
fn files_of(rig: &Rig, disk: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut directories = vec![rig.folder.path().join(disk).join("chats")];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
            let is_ours = entry.file_name().as_encoded_bytes().starts_with(b".");
            match entry.file_type().unwrap() {
                kind if kind.is_dir() => directories.push(entry.path()),
                _ => files.extend((!is_ours).then(|| entry.path())),
            }
        }
    }
    files
}
