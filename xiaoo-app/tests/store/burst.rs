//! Five thousand events in one second: each is acknowledged or refused in time, what was
//! acknowledged is on disk once, and memory stays within its bound.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use feishu_sim::{SimConfig, UserMessage};
use model_sim::Script;
use serde_json::json;
use tokio::sync::{Mutex, Semaphore};
use tokio::task::JoinSet;
use xiaoo_store::{Record, StoreReader, StoreUrl};

use crate::harness::{PATIENCE, Rig, Setup, Via};

const EVENTS: usize = 5_000;
/// Slices of the second, and chats that the events come from.
const SLICES: usize = 50;
const CHATS: usize = 100;
/// With its envelope such a text makes an event of 1.2 KB.
const TEXT_BYTES: usize = 600;

/// Connections that a proxy before the daemon keeps.
const CONNECTIONS: usize = 256;

/// One burst at a time: two would share the machine and neither be a burst.
static BURST: Mutex<()> = Mutex::const_new(());

/// What Feishu waits for an answer.
const ANSWERED_WITHIN: Duration = Duration::from_secs(3);

/// Past this it was no burst.
const SENT_WITHIN: Duration = Duration::from_secs(2);

/// What the daemon may take of memory at most, code and all, after the burst. What comes
/// in is bounded by the frames and requests that may be under way, not by the burst: a
/// build for tests needs 40 MB with it, and five thousand bodies alone would be six more.
const RESIDENT_KB_MAX: u64 = 64 << 10;

#[tokio::test(flavor = "multi_thread")]
async fn a_burst_over_the_long_connection_is_answered_in_time_and_kept() {
    let _alone = BURST.lock().await;
    let rig = taking_in(Via::LongConnection).await;
    let chats: Vec<_> = (0..CHATS)
        .map(|number| rig.sim.add_p2p_chat(&format!("person {number}")).unwrap())
        .collect();
    let before = resident_kb(&rig, "VmRSS");
    let began = Instant::now();
    let mut said = BTreeSet::new();
    for slice in 0..SLICES {
        for number in slice * EVENTS / SLICES..(slice + 1) * EVENTS / SLICES {
            let text = format!("{number} {}", "x".repeat(TEXT_BYTES));
            let message = UserMessage::text(text).in_chat(&chats[number % CHATS]);
            said.insert(rig.sim.user_says(message).unwrap().event_id.unwrap());
        }
        next_slice(began, slice).await;
    }
    let sent_in = began.elapsed();
    let all_acked = rig.sim.until(PATIENCE, |sim| {
        let acks = sim.acks();
        let acked = acks.iter().filter(|ack| ack.code == 200);
        (acked.count() >= EVENTS).then_some(acks)
    });
    let acks = all_acked.await.expect("all are taken in sooner or later");
    let first: BTreeMap<_, _> = acks
        .iter()
        .filter(|ack| ack.attempt == 1)
        .map(|ack| (&ack.event_id, Duration::from_millis(ack.latency_ms)))
        .collect();
    if sent_in <= SENT_WITHIN {
        assert_eq!(first.len(), EVENTS, "some pushes had no answer in time");
    }
    let refused = acks.iter().filter(|ack| ack.code != 200).count();
    let took = first.into_values().collect();
    assert_kept(rig, before, sent_in, refused, took, &said);
}

/// Posted past the simulated Feishu, whose own work for each event would be the limit.
#[tokio::test(flavor = "multi_thread")]
async fn a_burst_of_webhooks_is_answered_in_time_and_kept() {
    let _alone = BURST.lock().await;
    let rig = taking_in(Via::Webhook).await;
    let client = runtime_tokio::http::loopback_client().unwrap();
    let before = resident_kb(&rig, "VmRSS");
    let began = Instant::now();
    let connections = Arc::new(Semaphore::new(CONNECTIONS));
    let mut posts = JoinSet::new();
    for slice in 0..SLICES {
        for number in slice * EVENTS / SLICES..(slice + 1) * EVENTS / SLICES {
            let connections = Arc::clone(&connections);
            let post = post(client.clone(), rig.daemon.port, event(&rig, number));
            posts.spawn(async move {
                let due = Instant::now();
                let _connection = connections.acquire_owned().await.unwrap();
                (number, post.await, due.elapsed())
            });
        }
        next_slice(began, slice).await;
    }
    let sent_in = began.elapsed();
    let mut took = Vec::new();
    let mut kept = BTreeSet::new();
    while let Some(posted) = posts.join_next().await {
        let (number, status, time) = posted.unwrap();
        took.push(time);
        match status {
            200 => assert!(kept.insert(format!("burst-{number}"))),
            refused => assert_eq!(refused, 503),
        }
    }
    let refused = EVENTS - kept.len();
    assert_kept(rig, before, sent_in, refused, took, &kept);
}

/// A daemon that takes events in; what it claims of them stands still.
async fn taking_in(via: Via) -> Rig {
    let mut rig = Rig::without_daemon(Setup {
        via,
        // What is refused comes again after 1.5 s.
        sim: SimConfig {
            time_scale: 0.1,
            ack_within: ANSWERED_WITHIN,
            limits_on: false,
            ..Setup::default().sim
        },
        ..Setup::default()
    })
    .await;
    rig.daemon.wrapper = vec!["env".to_owned(), "XIAOO_LOG=warn".to_owned()];
    for _ in 0..64 {
        let text = "never to end".to_owned();
        rig.model.script(Script::HangMidStream { text, pieces: 1 });
    }
    rig.start_daemon().await;
    rig
}

fn event(rig: &Rig, number: usize) -> String {
    let text = format!("{number} {}", "x".repeat(TEXT_BYTES));
    let config = rig.sim.config();
    json!({
        "schema": "2.0",
        "header": {
            "event_id": format!("burst-{number}"),
            "event_type": "im.message.receive_v1",
            "create_time": "1700000000000",
            "token": config.verification_token,
            "app_id": config.app_id,
            "tenant_key": "tenant",
        },
        "event": {
            "sender": {
                "sender_id": { "open_id": format!("ou_{number:032x}") },
                "sender_type": "user",
                "tenant_key": "tenant",
            },
            "message": {
                "message_id": format!("om_{number:032x}"),
                "create_time": "1700000000000",
                "chat_id": format!("oc_{:032x}", number % CHATS),
                "chat_type": "p2p",
                "message_type": "text",
                "content": json!({ "text": text }).to_string(),
            },
        },
    })
    .to_string()
}

/// The status of the answer.
async fn post(client: reqwest::Client, port: u16, body: String) -> u16 {
    let url = format!("http://127.0.0.1:{port}/api/v1/channels/feishu/events");
    let answer = client
        .post(url)
        .header("content-type", "application/json")
        .body(body)
        .send();
    answer.await.unwrap().status().as_u16()
}

/// Waits until the slice's part of the second is over.
async fn next_slice(began: Instant, slice: usize) {
    let slices = u32::try_from(slice + 1).unwrap();
    let due = Duration::from_secs(1) * slices / u32::try_from(SLICES).unwrap();
    tokio::time::sleep(due.saturating_sub(began.elapsed())).await;
}

fn assert_kept(
    mut rig: Rig,
    before: u64,
    sent_in: Duration,
    refused: usize,
    mut took: Vec<Duration>,
    acknowledged: &BTreeSet<String>,
) {
    let peak = resident_kb(&rig, "VmHWM");
    rig.daemon.kill();
    took.sort_unstable();
    let slowest = took[took.len() - 1];
    eprintln!(
        "{EVENTS} events sent in {sent_in:.2?}, {refused} refused; half answered within {:.0?}, \
         all within {slowest:.0?}; resident {before} kB before, {peak} kB at most",
        took[took.len() / 2],
    );
    // A machine that can't even send them in time has other things to do.
    if sent_in <= SENT_WITHIN {
        assert!(slowest <= ANSWERED_WITHIN, "{slowest:?}");
    } else {
        eprintln!("too busy a machine to judge times");
    }
    let kept = kept(&rig);
    assert!(acknowledged.is_subset(&kept), "acknowledged and not kept");
    assert!(peak <= RESIDENT_KB_MAX, "{peak} kB");
    assert!(rig.sim.violations().is_empty());
}

/// The events in the store, each of which must be there once.
fn kept(rig: &Rig) -> BTreeSet<String> {
    let url = StoreUrl::sqlite(rig.folder.path().join("xiaoo.db"));
    let mut kept = BTreeSet::new();
    for record in StoreReader::open(&url).unwrap().export() {
        if let Record::Turn(turn) = record.unwrap() {
            let event_id = turn.event_id;
            assert!(kept.insert(event_id.clone()), "{event_id} is there twice");
        }
    }
    kept
}

/// A line of what the system says of the daemon's memory.
fn resident_kb(rig: &Rig, name: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", rig.daemon.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
