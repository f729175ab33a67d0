//! A store with a past: the start does not take longer for it.

use std::time::{Duration, Instant};

use feishu_sim::UserMessage;
use xiaoo_store::{
    Claim, NewEvent, NewHistory, NewOutbox, NewTurn, Outcome, Store, StoreOptions, TurnResult,
};

use crate::harness::{Rig, Setup};
use crate::server::Cluster;

/// Turns in the past; each has left an event, a turn, two sends and two rows
/// of history.
const TURNS: usize = 17_000;
const ROWS: usize = TURNS * 6;
/// Lanes that are worked on side by side.
const LANES: usize = 500;
/// From the process's start until it says that it is ready.
const READY_WITHIN: Duration = Duration::from_secs(1);
/// Starts, of which half may be held up by what else this machine has to do.
const STARTS: usize = 5;

#[tokio::test(flavor = "multi_thread")]
async fn with_a_hundred_thousand_old_rows_in_a_file_it_is_ready_within_a_second() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("old.db");
    starts_in_time(format!("sqlite:{}", file.display())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_hundred_thousand_old_rows_on_a_server_it_is_ready_within_a_second() {
    starts_in_time(Cluster::shared().new_url().await).await;
}

async fn starts_in_time(url: String) {
    let mut rig = Rig::without_daemon(Setup {
        store: Some(url.clone()),
        ..Setup::default()
    })
    .await;
    let began = Instant::now();
    let url = url.parse().unwrap();
    let opened = tokio::task::spawn_blocking(move || Store::open(&url, StoreOptions::default()));
    let (store, guard) = opened.await.unwrap().unwrap();
    for from in (0..TURNS).step_by(LANES) {
        live(&store, from).await;
    }
    tokio::task::spawn_blocking(move || guard.close())
        .await
        .unwrap();
    let prepared = began.elapsed();
    let mut starts = Vec::new();
    for _ in 0..STARTS {
        let began = Instant::now();
        rig.start_daemon().await;
        starts.push(began.elapsed());
        // In a chat of its own: on a server what a dead daemon had begun waits.
        let chat = rig.sim.add_p2p_chat("somebody").unwrap();
        let asked = rig.sim.user_says(UserMessage::text("hello").in_chat(&chat));
        rig.answers_to(&asked.unwrap().message_id).await;
        // Not in good order: the next start has the log to read as well.
        rig.daemon.kill();
    }
    starts.sort();
    eprintln!("{ROWS} rows, prepared in {prepared:.1?}; ready after {starts:.0?}");
    assert!(starts[STARTS / 2] < READY_WITHIN, "{starts:?}");
}

/// Some turns, from their event to the last send.
async fn live(store: &Store, from: usize) {
    let events = (from..from + LANES).map(|number| NewEvent {
        app: "cli_old".into(),
        event_id: format!("event-{number}"),
        message_id: Some(format!("om_{number}")),
        received_ms: 1_700_000_000_000,
        work: Some(NewTurn {
            conversation: format!("feishu:oc_{}", number % LANES),
            kind: "message".into(),
            body: "an event's body".into(),
            urgent: false,
        }),
    });
    together(events.map(|event| store.admit(event))).await;
    let mut turns = Vec::new();
    while turns.len() < LANES {
        turns.extend(store.claim(64, Claim::Any).await.unwrap());
    }
    let results = turns.iter().map(|turn| {
        let row = |ordinal: usize| NewOutbox {
            uuid: format!("{}-{ordinal}", turn.event_id),
            kind: "reply".into(),
            body: "{}".into(),
        };
        let said = |role: &str| NewHistory {
            role: role.into(),
            body: "{}".into(),
        };
        let result = TurnResult {
            outcome: Outcome::Answered,
            detail: None,
            finished_ms: 1_700_000_000_000,
            history: vec![said("user"), said("assistant")],
            outbox: vec![row(0), row(1)],
        };
        store.finish(turn.key, result)
    });
    together(results).await;
    loop {
        let rows = store.outbox_take(1_700_000_000_000, 64).await.unwrap();
        if rows.is_empty() {
            return;
        }
        let sent = rows.iter().map(|row| store.outbox_done(row.key, "om"));
        together(sent).await;
    }
}

async fn together<T, E: std::fmt::Debug>(
    calls: impl Iterator<Item = impl Future<Output = Result<T, E>>>,
) {
    for done in futures_util::future::join_all(calls).await {
        done.unwrap();
    }
}
