//! Event routes: of several bots each has its own, and what answers there may be anything.

use feishu_sim::{Sim, SimConfig};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::doctor::{Run, findings, output};
use crate::harness::{Rig, Setup, Via};
use crate::nginx::Nginx;

/// A daemon with two bots that take webhooks, and a Feishu for the second.
async fn two_bots() -> (Rig, Sim) {
    let mut rig = Rig::without_daemon(Setup {
        via: Via::Webhook,
        ..Setup::default()
    })
    .await;
    let second = Sim::start(SimConfig {
        app_id: "cli_00000000000000f2".into(),
        verification_token: "the second token".into(),
        webhook_url: Some(format!("http://127.0.0.1:{}/nowhere", rig.daemon.port)),
        ..Setup::default().sim
    })
    .await
    .unwrap();
    let account = format!(
        "[[channels.feishu.accounts]]\nchannel_instance_id = \"helpdesk\"\n\
         transport = \"webhook\"\napp_id = \"{}\"\napp_secret_env = \"E2E_SECRET\"\n\
         verification_token = \"the second token\"\nbase_url = \"{}\"\n",
        second.config().app_id,
        second.base_url(),
    );
    rig.reconfigure(|text| text + &account);
    rig.start_daemon().await;
    (rig, second)
}

/// As deploy/nginx has it.
fn location(public: &str, port: u16, inner: &str) -> String {
    let route = |name| format!("/api/v1/channels/{name}/events");
    format!(
        "location = {} {{ proxy_pass http://127.0.0.1:{port}{}; }}\n",
        route(public),
        route(inner)
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn each_of_several_bots_is_asked_at_its_own_route() {
    let (rig, _second) = two_bots().await;
    assert_eq!(findings(&rig, Run::default()).await, [""; 0]);
    // Only the second bot's token is another than the daemon's.
    let other = || Run::config("\"the second token\"", "\"another token\"");
    assert_eq!(findings(&rig, other()).await, ["token-mismatch"]);
    let (_, out) = output(&rig, other(), &[]).await;
    let failed: Vec<_> = out.lines().filter(|line| line.contains("FAILED")).collect();
    assert_eq!(failed.len(), 1, "{out}");
    assert!(failed[0].contains("[helpdesk]"), "{out}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_public_url_means_the_bot_that_it_names() {
    let (rig, _second) = two_bots().await;
    let port = rig.daemon.port;
    let health = format!(
        "location = /api/v1/health {{ proxy_pass http://127.0.0.1:{port}/api/v1/health; }}\n"
    );
    let first = location("xiaoo", port, "feishu");
    let shipped = health.clone() + &first + &location("xiaoo-helpdesk", port, "helpdesk");
    let plain = health.clone() + &first + &location("helpdesk", port, "helpdesk");
    let own = health.clone() + &first + &location("our-desk", port, "helpdesk");
    let crossed = health.clone() + &first + &location("xiaoo-helpdesk", port, "feishu");
    let second_alone = health + &location("xiaoo-helpdesk", port, "helpdesk");
    let route = |name: &str| format!("/api/v1/channels/{name}/events");
    let none: &[&str] = &[];
    for (locations, path, found) in [
        (&shipped, String::new(), none),
        (&shipped, route("xiaoo"), none),
        (&shipped, route("xiaoo-helpdesk"), none),
        (&plain, String::new(), none),
        (&plain, route("helpdesk"), none),
        (&own, String::new(), &["route-missing"]),
        (&own, route("our-desk"), none),
        (&crossed, String::new(), &["token-mismatch"]),
        (&crossed, route("xiaoo"), none),
        (&crossed, route("xiaoo-helpdesk"), &["token-mismatch"]),
        (&second_alone, String::new(), &["route-missing"]),
        (&second_alone, route("xiaoo-helpdesk"), none),
    ] {
        let nginx = Nginx::start(locations).await;
        let url = nginx.url() + &path;
        let run = Run::args(["--public-url", &url]);
        assert_eq!(findings(&rig, run).await, found, "{path:?} of {locations}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_repeats_what_was_asked_is_not_shown_with_its_token() {
    let rig = Rig::via(Via::Webhook).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(repeat(listener));
    let run = Run::args(["--public-url", &url]);
    let (code, out) = output(&rig, run, &[]).await;
    assert_eq!(code, Some(1), "{out}");
    let shown = out.lines().find(|line| line.contains("HTTP 418: "));
    assert!(
        shown.is_some_and(|line| line.contains("token\":\"…\"")),
        "{out}"
    );
    let token = &rig.sim.config().verification_token;
    assert!(!out.contains(token.as_str()), "{out}");
}

/// Answers every request with its own words.
async fn repeat(listener: TcpListener) {
    while let Ok((mut link, _)) = listener.accept().await {
        tokio::spawn(async move {
            let mut asked = Vec::new();
            let mut buffer = [0; 4096];
            // Small requests come in one or two pieces: the head, and a body as long as it says.
            while !is_whole(&asked) {
                match link.read(&mut buffer).await {
                    Ok(bytes @ 1..) => asked.extend_from_slice(&buffer[..bytes]),
                    Ok(0) | Err(_) => return,
                }
            }
            let (_, body) = parts(&asked).unwrap();
            let answer = format!(
                "HTTP/1.1 418 Repeated\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                body.len()
            );
            let _ = link.write_all(answer.as_bytes()).await;
        });
    }
}

fn parts(asked: &[u8]) -> Option<(String, String)> {
    let text = String::from_utf8(asked.to_vec()).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    Some((head.to_ascii_lowercase(), body.to_owned()))
}

fn is_whole(asked: &[u8]) -> bool {
    parts(asked).is_some_and(|(head, body)| {
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length:"));
        body.len() >= length.map_or(0, |length| length.trim().parse().unwrap())
    })
}
