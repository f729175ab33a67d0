//! What the platform tells of the app's version and subscriptions.

use feishu_sim::SimConfig;
use serde_json::Value;

use crate::doctor::{Produced, Run, checks};
use crate::harness::{Rig, Setup, Via};

pub const PRODUCED: &[&str] = &[
    "buttons-unsubscribed",
    "daemon-down",
    "event-unsubscribed",
    "not-published",
    "subscription-mode",
];
/// What is no failure, as only people can tell; doctor says where to read on.
pub const TOLD: &[&str] = &["no-events"];

const MESSAGE: &str = "im.message.receive_v1";
const BUTTON: &str = "card.action.trigger";

fn names<const N: usize>(names: [&str; N]) -> Vec<String> {
    names.map(str::to_owned).to_vec()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_published_version_lacks_is_named_and_a_draft_does_not_count() {
    let usual = || Setup::default().sim;
    let webhook = "http://127.0.0.1:9/api/v1/channels/xiaoo/events";
    let cases: [(SimConfig, &[&str]); 6] = [
        (usual(), &[]),
        (
            SimConfig {
                subscriptions: names([BUTTON]),
                ..usual()
            },
            &["event-unsubscribed"],
        ),
        (
            SimConfig {
                subscriptions: names([BUTTON]),
                draft_subscriptions: Some(names([MESSAGE, BUTTON])),
                ..usual()
            },
            &["event-unsubscribed"],
        ),
        (
            SimConfig {
                subscriptions: names([MESSAGE]),
                ..usual()
            },
            &["buttons-unsubscribed"],
        ),
        (
            SimConfig {
                activate_status: 0,
                draft_subscriptions: Some(names([MESSAGE, BUTTON])),
                ..usual()
            },
            &["not-published"],
        ),
        (
            SimConfig {
                webhook_url: Some(webhook.into()),
                ..usual()
            },
            &["subscription-mode"],
        ),
    ];
    let mut produced = Produced::default();
    for (sim, more) in cases {
        let rig = Rig::without_daemon(Setup {
            sim,
            ..Setup::default()
        })
        .await;
        let mut wanted = [&["daemon-down"], more].concat();
        wanted.sort_unstable();
        produced.by(&rig, Run::default(), &wanted).await;
    }
    produced.are(PRODUCED);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_platform_does_not_tell_is_no_alarm() {
    let mut sim = Setup::default().sim;
    sim.granted_scopes
        .retain(|scope| scope.starts_with("im:") || scope.starts_with("cardkit:"));
    let rig = Rig::start(Setup {
        sim,
        ..Setup::default()
    })
    .await;
    let checks = checks(&rig, Run::default()).await;
    let told = |id: &str| outcome(&checks, id)["outcome"].clone();
    for id in ["subscription", "buttons", "mode"] {
        assert_eq!(told(id), "unknown", "{id}");
    }
    assert_eq!(told("scopes"), "holds");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_no_event_came_doctor_says_where_to_read_on() {
    let rig = Rig::via(Via::LongConnection).await;
    let before = checks(&rig, Run::default()).await;
    let events = outcome(&before, "events");
    assert_eq!(events["outcome"], "unknown");
    let [id] = TOLD else { panic!() };
    let detail = events["detail"].as_str().unwrap();
    assert!(detail.contains(&format!("doctor explain {id}")), "{detail}");
    let asked = rig.says("is anybody there?");
    rig.answer_to(&asked).await;
    let after = checks(&rig, Run::default()).await;
    assert_eq!(outcome(&after, "events")["outcome"], "holds");
}

fn outcome<'a>(checks: &'a [Value], id: &str) -> &'a Value {
    checks.iter().find(|check| check["id"] == id).unwrap()
}
