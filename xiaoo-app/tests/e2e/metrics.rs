//! What `/metrics` says of a real daemon, and that the dashboard and the alerts ask for nothing
//! else.

use std::collections::BTreeSet;
use std::path::Path;

use feishu_sim::LinkAction;
use model_sim::Script;

use crate::harness::{PATIENCE, Rig, Setup, Via};
use crate::scrape::Scrape;

/// One unit for a million tokens that are read, half of one for those that are written.
const PRICES: &str = "input_price = 1\noutput_price = 0.5\ncurrency = \"CNY\"\n";
const COST: &str =
    "xiaoo_model_cost_total{instance=\"feishu\",model=\"scripted\",currency=\"CNY\"}";

async fn scrape(rig: &Rig) -> Scrape {
    Scrape::parse(&text(rig).await)
}

async fn text(rig: &Rig) -> String {
    let (status, text) = rig.get("/metrics").await.expect("the daemon answers");
    assert_eq!(status, 200);
    text
}

/// Asks until a sample has this value.
async fn until(rig: &Rig, sample: &str, value: f64) -> Scrape {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let scrape = scrape(rig).await;
        if scrape.get(sample) == value {
            return scrape;
        }
        assert!(
            tokio::time::Instant::now() < deadline,
            "{sample} is {}",
            scrape.get(sample)
        );
    }
}

fn by(family: &str, label: &str, value: &str) -> String {
    format!("{family}{{instance=\"feishu\",{label}=\"{value}\"}}")
}

fn of(family: &str) -> String {
    format!("{family}{{instance=\"feishu\"}}")
}

/// Both transports' families come together only on two daemons. `tests/metrics/run.sh` says where
/// to leave what they said, for Prometheus' own tool to judge.
async fn leave_for_promtool(rig: &Rig, name: &str) {
    if let Some(folder) = std::env::var_os("XIAOO_SCRAPES") {
        std::fs::write(Path::new(&folder).join(name), text(rig).await).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_follow_what_happens() {
    let rig = Rig::start(Setup {
        llm: PRICES,
        ..Setup::default()
    })
    .await;
    let start = scrape(&rig).await;
    assert_eq!(start.get(COST), 0.0);
    assert_eq!(start.get("xiaoo_build_info{version=\"0.1.0\"}"), 1.0);
    assert_eq!(start.get(&of("xiaoo_link_up")), 1.0);
    assert_eq!(start.get(&of("xiaoo_store_up")), 1.0);
    assert_eq!(start.get(&of("xiaoo_identity_known")), 1.0);
    assert!(!start.has(&of("xiaoo_link_last_event_age_seconds")));
    assert!(!start.has(&by("xiaoo_webhook_requests_total", "outcome", "accepted")));

    rig.model.script(Script::Answer("hello".into()));
    let asked = rig.says("hello?");
    rig.answers_to(&asked).await;
    let answered = by("xiaoo_turns_total", "outcome", "answered");
    let after = until(&rig, &answered, 1.0).await;
    for (sample, value) in [
        (of("xiaoo_events_received_total"), 1.0),
        (by("xiaoo_events_total", "outcome", "admitted"), 1.0),
        (by("xiaoo_link_frames_total", "kind", "event"), 1.0),
        (
            by("xiaoo_link_events_total", "outcome", "acknowledged"),
            1.0,
        ),
        (of("xiaoo_ack_seconds_count"), 1.0),
        (of("xiaoo_model_reply_seconds_count"), 1.0),
        (of("xiaoo_queue_turns"), 0.0),
        (of("xiaoo_queue_oldest_age_seconds"), 0.0),
        (by("xiaoo_turns_total", "outcome", "failed"), 0.0),
    ] {
        assert_eq!(after.get(&sample), value, "{sample}");
    }
    for grown in [
        of("xiaoo_store_commits_total"),
        of("xiaoo_store_commit_seconds_total"),
        of("xiaoo_store_file_bytes"),
        of("xiaoo_ack_seconds_sum"),
        of("xiaoo_link_last_event_age_seconds"),
        by("xiaoo_model_tokens_total", "kind", "prompt"),
        by("xiaoo_model_tokens_total", "kind", "completion"),
        "xiaoo_openapi_requests_total{instance=\"feishu\",call=\"POST /im/v1/messages/:id/reply\",code=\"0\"}".into(),
    ] {
        assert!(after.get(&grown) > 0.0, "{grown} in {:?}", after);
    }

    let tokens = |kind| after.get(&by("xiaoo_model_tokens_total", "kind", kind));
    let cost = (tokens("prompt") * 1_000_000.0 + tokens("completion") * 500_000.0) / 1e12;
    assert_eq!(after.get(COST), cost);

    rig.model.script(Script::error(401, "bad key"));
    let asked = rig.says("and now?");
    rig.answers_to(&asked).await;
    until(&rig, &by("xiaoo_turns_total", "outcome", "failed"), 1.0).await;

    assert_eq!(rig.sim.act_on_links(LinkAction::Drop), 1);
    let reconnected = until(&rig, &of("xiaoo_link_opened_total"), 2.0).await;
    let lost = by("xiaoo_link_endings_total", "reason", "network");
    assert_eq!(reconnected.get(&lost), 1.0);
    leave_for_promtool(&rig, "long_connection.txt").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_event_route_refuses_is_counted() {
    let rig = Rig::via(Via::Webhook).await;
    rig.model.script(Script::Answer("hello".into()));
    let asked = rig.says("hello?");
    rig.answers_to(&asked).await;
    let route = format!(
        "http://127.0.0.1:{}/api/v1/channels/xiaoo/events",
        rig.daemon.port
    );
    let client = runtime_tokio::http::loopback_client().unwrap();
    let forged = client.post(route).body(r#"{"token":"wrong"}"#);
    assert_eq!(forged.send().await.unwrap().status(), 401);
    let after = scrape(&rig).await;
    for (outcome, count) in [("accepted", 1.0), ("rejected", 1.0), ("refused", 0.0)] {
        let sample = by("xiaoo_webhook_requests_total", "outcome", outcome);
        assert_eq!(after.get(&sample), count, "{outcome}");
    }
    assert_eq!(after.get(&of("xiaoo_events_received_total")), 1.0);
    assert_eq!(after.get(&of("xiaoo_ack_seconds_count")), 1.0);
    assert!(!after.has(&of("xiaoo_link_up")), "there is no link");
    assert!(
        !after.has_name("xiaoo_model_cost_total"),
        "nobody knows what it costs"
    );
    leave_for_promtool(&rig, "webhook.txt").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_dashboard_and_the_alerts_ask_for_what_there_is() {
    let link = Rig::start(Setup::default()).await;
    // A first event and a first pong, whose ages are asked for.
    let asked = link.says("hello?");
    link.answers_to(&asked).await;
    let pong = of("xiaoo_link_last_pong_age_seconds");
    let deadline = tokio::time::Instant::now() + PATIENCE;
    let mut scrapes = vec![scrape(&link).await];
    while !scrapes[0].has(&pong) {
        assert!(tokio::time::Instant::now() < deadline, "no pong");
        scrapes[0] = scrape(&link).await;
    }
    let webhook = Rig::start(Setup {
        via: Via::Webhook,
        llm: PRICES,
        ..Setup::default()
    })
    .await;
    scrapes.push(scrape(&webhook).await);

    let deploy = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy");
    for file in ["grafana/xiaoo.json", "prometheus/alerts.yml"] {
        let text = std::fs::read_to_string(deploy.join(file)).unwrap();
        let names = names(&text);
        assert!(names.len() >= 8, "{file}: {names:?}");
        for name in names {
            let is_there = scrapes.iter().any(|scrape| scrape.has_name(name));
            assert!(is_there, "{file} asks for {name}, which nobody has");
        }
    }
}

/// The words of a text that are names of our metrics.
fn names(text: &str) -> BTreeSet<&str> {
    text.split(|char: char| !(char.is_ascii_alphanumeric() || char == '_'))
        .filter(|word| word.starts_with("xiaoo_"))
        .collect()
}
