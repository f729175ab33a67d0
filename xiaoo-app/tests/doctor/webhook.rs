//! The webhook's layers, with a real nginx that is set up well and wrongly.

use crate::doctor::{Produced, Run, findings};
use crate::harness::{Rig, Via};
use crate::nginx::Nginx;

pub const IN_FRONT: &[&str] = &[
    "internal-published",
    "nginx-no-daemon",
    "public-dns",
    "public-foreign",
    "public-redirects",
    "public-unreachable",
    "route-guarded",
    "route-mismapped",
    "route-missing",
];
pub const OTHERWISE: &[&str] = &[
    "key-mismatch",
    "subscription-mode",
    "token-mismatch",
    "webhook-off",
];

const EVENTS: &str = "/api/v1/channels/xiaoo/events";
const INNER: &str = "/api/v1/channels/feishu/events";

fn location(public: &str, port: u16, inner: &str) -> String {
    format!("location = {public} {{ proxy_pass http://127.0.0.1:{port}{inner}; }}\n")
}

fn health(port: u16) -> String {
    location("/api/v1/health", port, "/api/v1/health")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_healthy_webhook_gives_no_alarm_plain_and_encrypted() {
    for via in [Via::Webhook, Via::EncryptedWebhook] {
        let rig = Rig::via(via).await;
        let port = rig.daemon.port;
        let good = health(port) + &location(EVENTS, port, INNER);
        let nginx = Nginx::start(&good).await;
        // A tunnel has nothing between, a team's gateway one route and nothing else.
        let tunnel = format!("http://127.0.0.1:{port}");
        let callback = "/api/v1/channels/mybot/events";
        let gateway = Nginx::start(&location(callback, port, INNER)).await;
        for url in [
            nginx.url(),
            nginx.url() + EVENTS,
            tunnel.clone() + EVENTS,
            tunnel + INNER,
            gateway.url() + callback,
        ] {
            let run = Run::args(["--public-url", &url]);
            assert_eq!(findings(&rig, run).await, [""; 0], "{via:?} {url}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_mistake_in_front_of_the_daemon_is_named() {
    let rig = Rig::via(Via::Webhook).await;
    let port = rig.daemon.port;
    let events = |more: &str| health(port) + &format!("location = {EVENTS} {{ {more} }}");
    let cases = [
        (health(port), "route-missing"),
        (
            health(port) + &location(EVENTS, port, "/events"),
            "route-mismapped",
        ),
        (
            health(port) + &location(INNER, port, INNER),
            "internal-published",
        ),
        (health(9) + &location(EVENTS, 9, INNER), "nginx-no-daemon"),
        (
            health(port) + &location(EVENTS, 9, INNER),
            "nginx-no-daemon",
        ),
        (
            events("return 301 https://elsewhere.invalid;"),
            "public-redirects",
        ),
        (events("return 401;"), "route-guarded"),
        (events("limit_except GET { deny all; }"), "route-guarded"),
        (
            "location / { return 200 'hello'; }".into(),
            "public-foreign",
        ),
    ];
    let mut produced = Produced::default();
    for (locations, id) in cases {
        let nginx = Nginx::start(&locations).await;
        let run = Run::args(["--public-url", &nginx.url()]);
        produced.by(&rig, run, &[id]).await;
    }
    let good = health(port) + &location(EVENTS, port, INNER);
    let inner = health(port) + &location(INNER, port, INNER);
    for (locations, id) in [(good, "route-missing"), (inner, "internal-published")] {
        let nginx = Nginx::start(&locations).await;
        let run = Run::args(["--public-url", &(nginx.url() + INNER)]);
        produced.by(&rig, run, &[id]).await;
    }
    for (url, id) in [
        ("http://127.0.0.1:9", "public-unreachable"),
        ("https://nowhere.invalid", "public-dns"),
    ] {
        let run = Run::args(["--public-url", url]);
        produced.by(&rig, run, &[id]).await;
    }
    produced.are(IN_FRONT);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_with_another_token_key_or_transport_is_named() {
    let mut produced = Produced::default();
    let plain = Rig::via(Via::Webhook).await;
    let token = plain.sim.config().verification_token.clone();
    let other = Run::config(format!("\"{token}\""), "\"another-token\"");
    produced.by(&plain, other, &["token-mismatch"]).await;

    let sealed = Rig::via(Via::EncryptedWebhook).await;
    let other = Run::env("E2E_KEY", Some("another key"));
    produced.by(&sealed, other, &["key-mismatch"]).await;

    let dialled = Rig::via(Via::LongConnection).await;
    let other = Run::config("transport = \"websocket\"", "transport = \"webhook\"");
    let wanted = ["subscription-mode", "webhook-off"];
    produced.by(&dialled, other, &wanted).await;
    produced.are(OTHERWISE);
}
