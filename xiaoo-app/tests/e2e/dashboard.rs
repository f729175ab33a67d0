//! What the dashboard is told, and who is told it.

use std::collections::HashMap;
use std::time::Duration;

use feishu_sim::LinkAction;
use model_sim::Script;
use serde_json::Value;
use xiaoo_app::routes::dashboard::VIEWERS_MAX;

use crate::harness::daemon::PLANTED;
use crate::harness::{PATIENCE, Rig, Setup, Via};

const STREAM: &str = "/api/v1/dashboard";
const TOKEN: &str = "planted-bearer-token";

/// Somebody who follows the stream.
struct Viewer {
    answer: reqwest::Response,
    rest: String,
    /// Everything that was told.
    all: String,
    sections: HashMap<String, Value>,
}

impl Viewer {
    async fn of(rig: &Rig) -> Self {
        let answer = asked(rig, STREAM, &[]).await;
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        Self {
            answer,
            rest: String::new(),
            all: String::new(),
            sections: HashMap::new(),
        }
    }

    /// Takes the next piece in; false at the end.
    async fn hears(&mut self) -> bool {
        let piece = tokio::time::timeout(PATIENCE, self.answer.chunk()).await;
        let Some(piece) = piece.expect("something is told in time").unwrap() else {
            return false;
        };
        let piece = String::from_utf8(piece.to_vec()).unwrap();
        self.all.push_str(&piece);
        self.rest.push_str(&piece);
        while let Some((event, rest)) = self.rest.split_once("\n\n") {
            let field = |name: &str| {
                let mut lines = event.lines();
                lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
            };
            if let (Some(name), Some(data)) = (field("event"), field("data")) {
                let data = serde_json::from_str(data).unwrap();
                self.sections.insert(name.to_owned(), data);
            }
            self.rest = rest.to_owned();
        }
        true
    }

    /// Listens until this is so.
    async fn until(&mut self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        while !is_so(self) {
            assert!(self.hears().await, "the stream ended before: {what}");
            assert!(
                tokio::time::Instant::now() < deadline,
                "never: {what}; {:#?}",
                self.sections
            );
        }
    }

    fn at(&self, section: &str, pointer: &str) -> Value {
        let section = self.sections.get(section);
        let found = section.and_then(|section| section.pointer(pointer));
        found.cloned().unwrap_or(Value::Null)
    }
}

async fn asked(rig: &Rig, path: &str, headers: &[(&str, &str)]) -> reqwest::Response {
    let client = runtime_tokio::http::loopback_client().unwrap();
    let mut request = client.get(format!("http://127.0.0.1:{}{path}", rig.daemon.port));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.send().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_stream_follows_what_happens_and_tells_no_secret_and_no_word_of_anybody() {
    let rig = Rig::start(Setup {
        model_pause: Duration::from_millis(150),
        ..Setup::default()
    })
    .await;
    let mut viewer = Viewer::of(&rig).await;
    viewer
        .until("all sections", |viewer| viewer.sections.len() == 8)
        .await;
    assert_eq!(viewer.at("hello", "/version"), "0.1.0");
    assert_eq!(viewer.at("hello", "/bots/0/instance"), "feishu");
    assert_eq!(viewer.at("ready", "/ready"), true);
    assert_eq!(viewer.at("link", "/feishu/state"), "open");
    assert_eq!(viewer.at("link", "/feishu/history/0/to"), "open");
    assert_eq!(viewer.at("turns", "/feishu"), serde_json::json!([]));

    let words = "these words are planted ".repeat(10);
    rig.model.script(Script::Answer(words));
    let asked = rig.says("a planted question");
    viewer
        .until("the turn writes", |viewer| {
            let chars = viewer.at("turns", "/feishu/0/detail");
            viewer.at("turns", "/feishu/0/stage") == "writing" && chars.as_u64() > Some(0)
        })
        .await;
    rig.answers_to(&asked).await;
    viewer
        .until("its end", |viewer| {
            viewer.at("ends", "/feishu/0/end") == "answered"
                && viewer.at("turns", "/feishu/0") == Value::Null
                && viewer.at("store", "/feishu/outbox") == 0
                && viewer.at("numbers", "/feishu/answered") == 1
        })
        .await;
    assert_eq!(viewer.at("events", "/feishu/0/fate"), "admitted");
    assert_eq!(viewer.at("events", "/feishu/0/id"), asked.as_str());
    assert_eq!(viewer.at("ends", "/feishu/0/model"), "scripted");
    assert!(viewer.at("ends", "/feishu/0/took_ms").as_u64() > Some(0));
    assert_eq!(viewer.at("numbers", "/feishu/ack_time/count"), 1);
    assert!(viewer.at("store", "/feishu/file_bytes").as_u64() > Some(0));

    rig.model.script(Script::error(401, "a bad key"));
    let asked = rig.says("a planted question again");
    rig.answers_to(&asked).await;
    viewer
        .until("the failure and its reason", |viewer| {
            let why = viewer.at("ends", "/feishu/1/why");
            viewer.at("ends", "/feishu/1/end") == "failed" && why.is_string()
        })
        .await;

    assert_eq!(rig.sim.act_on_links(LinkAction::Drop), 1);
    viewer
        .until("the link is back, and its loss known", |viewer| {
            let why = viewer.at("link", "/feishu/history/1/why");
            viewer.at("link", "/feishu/history/2/to") == "open" && why.is_string()
        })
        .await;

    let secret = rig.sim.config().app_secret.clone();
    let token = rig.sim.config().verification_token.clone();
    for planted in PLANTED.into_iter().chain(["planted", &secret, &token]) {
        assert!(!viewer.all.contains(planted), "{planted}: {}", viewer.all);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_ends_with_the_daemon_and_there_are_so_many_at_most() {
    let mut rig = Rig::via(Via::Webhook).await;
    let mut viewers = Vec::new();
    for _ in 0..VIEWERS_MAX {
        viewers.push(Viewer::of(&rig).await);
    }
    assert_eq!(asked(&rig, STREAM, &[]).await.status(), 503);
    // Who goes makes room.
    viewers.truncate(1);
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while asked(&rig, STREAM, &[]).await.status() != 200 {
        assert!(tokio::time::Instant::now() < deadline, "no room again");
    }
    let mut viewer = viewers.remove(0);
    rig.daemon.signal("-TERM");
    while viewer.hears().await {}
    assert_eq!(viewer.at("ready", "/stopping"), true);
    assert_eq!(rig.daemon.ended().await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pages_ask_for_nothing_from_elsewhere_and_say_who_may_see_more() {
    let mut rig = Rig::without_daemon(Setup {
        more: "[http]\nbearer_token_env = \"E2E_BEARER\"\n",
        ..Setup::default()
    })
    .await;
    rig.daemon.env.push(("E2E_BEARER", TOKEN.to_owned()));
    rig.start_daemon().await;

    let page = asked(&rig, "/", &[]).await;
    let policy = page.headers()["content-security-policy"].to_str().unwrap();
    assert!(policy.starts_with("default-src 'none';"), "{policy}");
    let mut paths = vec!["/".to_owned()];
    let text = page.text().await.unwrap();
    for part in text.split(['"', ' ']).filter(|part| part.starts_with('/')) {
        paths.push(part.to_owned());
    }
    assert!(paths.len() > 6, "{paths:?}");
    let forwarded = ("x-forwarded-for", "192.0.2.1");
    for path in paths {
        let answer = asked(&rig, &path, &[forwarded]).await;
        assert_eq!(answer.status(), 200, "{path}");
        let text = answer.text().await.unwrap();
        let text = text.replace("http://www.w3.org/2000/svg", "");
        assert!(!text.contains("://"), "{path} names another host");
    }

    let bearer = format!("Bearer {TOKEN}");
    let wrong = ("authorization", "Bearer no");
    for path in [STREAM, "/metrics"] {
        for (headers, status) in [
            (&[][..], 200),
            (&[("host", "evil.example")], 401),
            (&[forwarded], 401),
            (&[forwarded, wrong], 401),
            (&[forwarded, ("authorization", &bearer)], 200),
        ] {
            let answer = asked(&rig, path, headers).await;
            assert_eq!(answer.status(), status, "{path} {headers:?}");
        }
    }
    let ready = asked(&rig, "/api/v1/ready", &[forwarded]).await;
    assert_eq!(ready.status(), 200);
    assert_eq!(ready.text().await.unwrap(), r#"{"ready":true}"#);
    let (_, ready) = rig.ready().await;
    assert!(ready["channels"].is_object());
    assert!(!rig.log().contains(TOKEN));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_token_the_dashboard_is_for_this_machine_alone() {
    let rig = Rig::via(Via::Webhook).await;
    let forwarded = [("x-forwarded-for", "192.0.2.1")];
    assert_eq!(asked(&rig, STREAM, &forwarded).await.status(), 403);
    assert_eq!(asked(&rig, "/metrics", &forwarded).await.status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_switched_off_is_not_there() {
    let rig = Rig::start(Setup {
        more: "[http]\nmetrics = false\ndashboard = false\n",
        ..Setup::default()
    })
    .await;
    for path in ["/", STREAM, "/dashboard/app.js", "/metrics"] {
        assert_eq!(asked(&rig, path, &[]).await.status(), 404, "{path}");
    }
}
