//! Proxies and certificate authorities of the daemon's own company: they hold for the calls, for
//! the endpoint and for the websocket alike.

use feishu_sim::SimConfig;
use model_sim::Script;

use crate::front::Front;
use crate::harness::{PATIENCE, Rig, Setup};

/// `user:word`, as the proxy hears it.
const AUTHORIZATION: &str = "Basic dXNlcjp3b3Jk";

/// A daemon that isn't started, whose platform is only known under these addresses.
async fn rig(base: &str, link_base: &str, channel: &'static str) -> Rig {
    let setup = Setup {
        channel,
        sim: SimConfig {
            link_base: Some(link_base.to_owned()),
            ..Setup::default().sim
        },
        ..Setup::default()
    };
    let rig = Rig::without_daemon(setup).await;
    let own = rig.sim.base_url();
    rig.reconfigure(|text| text.replace(&own, base));
    rig
}

/// Lets the daemon trust the front.
fn trust(rig: &Rig, front: &Front) {
    let file = rig.folder.path().join("ca.pem");
    std::fs::write(&file, &front.authority).unwrap();
    let line = format!("[channels.feishu]\nca_file = \"{}\"", file.display());
    rig.reconfigure(|text| text.replace("[channels.feishu]", &line));
}

fn platform(rig: &Rig) -> std::net::SocketAddr {
    let base = rig.sim.base_url();
    base.trim_start_matches("http://")
        .trim_end_matches('/')
        .parse()
        .unwrap()
}

async fn is_answered(rig: &Rig) {
    rig.model.script(Script::Answer("through all of it".into()));
    let asked = rig.says("do you hear me?");
    assert_eq!(rig.answer_to(&asked).await, "through all of it");
}

/// Waits until the daemon has said so.
async fn until_it_says(rig: &Rig, words: &str) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while !rig.log().contains(words) {
        assert!(
            tokio::time::Instant::now() < deadline,
            "it never said `{words}`:\n{}",
            rig.log()
        );
        tokio::task::yield_now().await;
    }
}

/// Names that nobody resolves: whoever arrives has come through the proxy.
const OPEN: &str = "https://open.feishu.invalid";
const GATEWAY: &str = "wss://gateway.feishu.invalid";
const MAY_DIAL: &str = "allowed_ws_hosts = [\".feishu.invalid\"]";

#[tokio::test(flavor = "multi_thread")]
async fn calls_endpoint_and_websocket_go_through_the_proxy() {
    let mut rig = rig(OPEN, GATEWAY, MAY_DIAL).await;
    let front = Front::new(
        platform(&rig),
        &["open.feishu.invalid", "gateway.feishu.invalid"],
    );
    trust(&rig, &front);
    let proxy = front.proxy(AUTHORIZATION).await;
    rig.daemon.env = vec![("HTTPS_PROXY", format!("http://user:word@{proxy}"))];
    rig.start_daemon().await;
    is_answered(&rig).await;
    assert_eq!(
        front.asked(),
        ["gateway.feishu.invalid:443", "open.feishu.invalid:443"]
    );
    let log = rig.log();
    for secret in ["user:word", "dXNlcjp3b3Jk"] {
        assert!(!log.contains(secret), "{log}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_of_no_proxy_is_reached_without_it() {
    let bind = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let simulator = bind.local_addr().unwrap();
    drop(bind);
    let front = Front::new(simulator, &["localhost"]);
    let direct = front.direct().await.port();
    let setup = Setup {
        sim: SimConfig {
            bind: simulator,
            link_base: Some(format!("wss://localhost:{direct}")),
            ..Setup::default().sim
        },
        ..Setup::default()
    };
    let mut rig = Rig::without_daemon(setup).await;
    let own = rig.sim.base_url();
    rig.reconfigure(|text| text.replace(&own, &format!("https://localhost:{direct}")));
    trust(&rig, &front);
    let proxy = front.proxy(AUTHORIZATION).await;
    rig.daemon.env = vec![
        ("HTTPS_PROXY", format!("http://user:word@{proxy}")),
        ("NO_PROXY", "localhost".into()),
    ];
    rig.start_daemon().await;
    is_answered(&rig).await;
    assert_eq!(front.asked(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_authority_is_not_trusted_and_named() {
    let mut rig = rig(OPEN, GATEWAY, MAY_DIAL).await;
    let front = Front::new(
        platform(&rig),
        &["open.feishu.invalid", "gateway.feishu.invalid"],
    );
    let proxy = front.proxy(AUTHORIZATION).await;
    rig.daemon.env = vec![("HTTPS_PROXY", format!("http://user:word@{proxy}"))];
    rig.spawn();
    until_it_says(&rig, "UnknownIssuer").await;
    assert!(rig.sim.api_log().is_empty(), "no secret has left");
}
