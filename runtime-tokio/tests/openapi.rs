//! The OpenAPI client against a server that misbehaves on cue.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a helper of a test that can't go on fails the test"
)]

mod support;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::Method;
use axum::response::Response;
use runtime_tokio::openapi::{ApiError, Container, OpenApi, OpenApiConfig, Patience, ReplyTarget};
use runtime_tokio::server::{self, ServerLimits};
use serde_json::{Value, json};
use support::{Log, soon, until};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tracing::subscriber::DefaultGuard;

const SECRET: &str = "planted-app-secret";
const TOKEN_PATH: &str = "/open-apis/auth/v3/tenant_access_token/internal";
const MESSAGES_PATH: &str = "/open-apis/im/v1/messages";

/// One request as the platform saw it.
#[derive(Clone, Debug)]
struct Seen {
    method: Method,
    path: String,
    query: String,
    authorization: String,
    body: Value,
}

/// What to do with one request.
#[derive(Clone)]
enum Cue {
    /// Status, headers and body.
    Answer(u16, &'static [(&'static str, &'static str)], Bytes),
    /// Take the request and close the connection without a word.
    Lose,
    /// Never answer.
    Hang,
}

impl Cue {
    fn json(status: u16, body: &Value) -> Self {
        Self::Answer(status, &[], body.to_string().into())
    }

    fn code(status: u16, code: i64) -> Self {
        Self::json(status, &json!({"code": code, "msg": "planted words"}))
    }

    fn sent() -> Self {
        Self::json(200, &json!({"code": 0, "data": {"message_id": "om_new"}}))
    }
}

/// The platform: answers calls by the script, then with success.
struct Platform {
    script: Mutex<VecDeque<Cue>>,
    seen: Mutex<Vec<Seen>>,
    /// Seconds that each token lives.
    token_life: u64,
    /// Token requests wait here: no permits, no tokens.
    token_gate: Semaphore,
    token_script: Mutex<VecDeque<Cue>>,
    /// A token that is no longer taken.
    revoked: Mutex<Option<&'static str>>,
}

impl Platform {
    fn script(&self, cues: impl IntoIterator<Item = Cue>) {
        self.script.lock().unwrap().extend(cues);
    }

    fn seen(&self, tokens: bool) -> Vec<Seen> {
        let mut seen = self.seen.lock().unwrap().clone();
        seen.retain(|seen| (seen.path == TOKEN_PATH) == tokens);
        seen
    }

    fn calls(&self) -> Vec<Seen> {
        self.seen(false)
    }

    fn token_requests(&self) -> usize {
        self.seen(true).len()
    }

    /// Every call's `uuid`.
    fn uuids(&self) -> Vec<Value> {
        let calls = self.calls();
        calls.iter().map(|call| call.body["uuid"].clone()).collect()
    }

    async fn answer(&self, request: Request) -> Cue {
        let (parts, body) = request.into_parts();
        let body = to_bytes(body, 1 << 20).await.unwrap();
        let path = parts.uri.path().to_owned();
        let authorization = parts.headers.get("authorization");
        let authorization = authorization
            .map_or("", |value| value.to_str().unwrap())
            .to_owned();
        let count = {
            let mut seen = self.seen.lock().unwrap();
            seen.push(Seen {
                method: parts.method,
                path: path.clone(),
                query: parts.uri.query().unwrap_or_default().to_owned(),
                authorization: authorization.clone(),
                body: serde_json::from_slice(&body).unwrap_or_default(),
            });
            seen.iter().filter(|seen| seen.path == TOKEN_PATH).count()
        };
        if path != TOKEN_PATH {
            let revoked = *self.revoked.lock().unwrap();
            if revoked.is_some_and(|token| authorization == format!("Bearer {token}")) {
                return Cue::code(400, 99_991_663);
            }
            return self
                .script
                .lock()
                .unwrap()
                .pop_front()
                .unwrap_or_else(Cue::sent);
        }
        self.token_gate.acquire().await.unwrap().forget();
        if let Some(cue) = self.token_script.lock().unwrap().pop_front() {
            return cue;
        }
        let token = format!("planted-token-{count}");
        let life = self.token_life;
        Cue::json(
            200,
            &json!({"code": 0, "tenant_access_token": token, "expire": life}),
        )
    }
}

async fn handle(State(platform): State<Arc<Platform>>, request: Request) -> Response {
    match platform.answer(request).await {
        Cue::Answer(status, headers, body) => {
            let mut response = Response::builder().status(status);
            for (name, value) in headers {
                response = response.header(*name, *value);
            }
            response.body(Body::from(body)).unwrap()
        }
        // Ends the connection's task, and the connection, without a message.
        Cue::Lose => std::panic::resume_unwind(Box::new("lost")),
        Cue::Hang => std::future::pending().await,
    }
}

/// A client and its platform.
struct Rig {
    api: OpenApi,
    platform: Arc<Platform>,
    log: Log,
    _listening: DefaultGuard,
}

#[derive(Clone, Copy)]
struct Setup {
    token_life: u64,
    token_permits: usize,
    patience: Patience,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            token_life: 7200,
            token_permits: Semaphore::MAX_PERMITS,
            patience: Patience {
                backoff: Duration::from_millis(5),
                too_fast: Duration::from_millis(20),
                ..Patience::default()
            },
        }
    }
}

impl Setup {
    async fn start(self) -> Rig {
        let (log, listening) = Log::capture();
        let platform = Arc::new(Platform {
            script: Mutex::default(),
            seen: Mutex::default(),
            token_life: self.token_life,
            token_gate: Semaphore::new(self.token_permits),
            token_script: Mutex::default(),
            revoked: Mutex::default(),
        });
        let address = serve(Arc::clone(&platform)).await;
        let config = OpenApiConfig {
            base_url: format!("http://{address}/"),
            app_id: "cli_a".into(),
            app_secret: SECRET.into(),
            patience: self.patience,
        };
        let http = runtime_tokio::http::loopback_client().unwrap();
        let api = OpenApi::new(http, config);
        Rig {
            api,
            platform,
            log,
            _listening: listening,
        }
    }
}

async fn serve(platform: Arc<Platform>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new().fallback(handle).with_state(platform);
    let limits = ServerLimits {
        // Idle connections outlive the jumps that tests make in time.
        header_timeout: Duration::from_secs(86_400),
        ..ServerLimits::default()
    };
    tokio::spawn(server::serve(
        listener,
        router,
        limits,
        CancellationToken::new(),
    ));
    address
}

impl Rig {
    async fn send(&self) -> Result<String, ApiError> {
        let sent = self
            .api
            .create_message("chat_id", "oc_1", "text", "{}", "uuid-1");
        soon("the call ends", sent)
            .await
            .map(|sent| sent.message_id)
    }

    /// Sends `count` messages at once; how many succeeded.
    async fn send_together(&self, count: usize) -> usize {
        let calls = std::iter::repeat_with(|| self.send()).take(count);
        let results = futures_util::future::join_all(calls).await;
        results.iter().filter(|result| result.is_ok()).count()
    }

    fn assert_no_secret_in(&self, error: &ApiError) {
        let (log, debug) = (self.log.text(), format!("{:?}", self.api));
        for text in [error.to_string(), format!("{error:?}"), log, debug] {
            assert!(
                !text.contains(SECRET) && !text.contains("planted-token"),
                "{text}"
            );
        }
    }
}

#[tokio::test]
async fn fifty_calls_at_once_fetch_one_token() {
    let rig = Setup::default().start().await;
    assert_eq!(rig.send_together(50).await, 50);
    assert_eq!(rig.platform.token_requests(), 1);
    let asked = &rig.platform.seen(true)[0];
    assert_eq!(asked.body, json!({"app_id": "cli_a", "app_secret": SECRET}));
    assert_eq!(asked.authorization, "");
    for call in rig.platform.calls() {
        assert_eq!(call.authorization, "Bearer planted-token-1");
        assert_eq!(call.query, "receive_id_type=chat_id");
    }
    assert_eq!(rig.api.stats().total(), 51);
}

#[tokio::test]
async fn one_caller_renews_a_token_near_its_end_and_the_others_do_not_wait() {
    let rig = Setup {
        token_permits: 1,
        ..Setup::default()
    }
    .start()
    .await;
    rig.send().await.unwrap();
    jump(Duration::from_secs(6700)).await;

    let api = rig.api.clone();
    let renewing = tokio::spawn(async move {
        api.create_message("chat_id", "oc_1", "text", "{}", "renews")
            .await
    });
    let platform = &rig.platform;
    until("the token is asked for", || platform.token_requests() == 2).await;
    assert_eq!(rig.send_together(20).await, 20, "with the old token");
    assert!(!renewing.is_finished());
    platform.token_gate.add_permits(1);
    soon("the renewing call ends", renewing)
        .await
        .unwrap()
        .unwrap();
    rig.send().await.unwrap();

    assert_eq!(platform.token_requests(), 2);
    let used: Vec<_> = platform
        .calls()
        .into_iter()
        .map(|call| call.authorization)
        .collect();
    assert_eq!(used[..21], vec!["Bearer planted-token-1"; 21]);
    assert_eq!(used[21..], vec!["Bearer planted-token-2"; 2]);

    // One that has ended is used by nobody.
    jump(Duration::from_secs(7300)).await;
    platform.token_gate.add_permits(1);
    assert_eq!(rig.send_together(20).await, 20);
    assert_eq!(platform.token_requests(), 3);
    assert!(
        platform.calls()[23..]
            .iter()
            .all(|call| call.authorization.ends_with("-3"))
    );
}

#[tokio::test]
async fn a_token_that_cannot_be_renewed_serves_to_its_end() {
    let rig = Setup::default().start().await;
    rig.send().await.unwrap();
    jump(Duration::from_secs(6700)).await;
    rig.platform
        .token_script
        .lock()
        .unwrap()
        .push_back(Cue::code(200, 10014));
    rig.send().await.unwrap();
    assert!(rig.platform.calls()[1].authorization.ends_with("-1"));
}

#[tokio::test]
async fn a_revoked_token_is_replaced_once() {
    let rig = Setup::default().start().await;
    rig.send().await.unwrap();
    *rig.platform.revoked.lock().unwrap() = Some("planted-token-1");
    assert_eq!(rig.send_together(20).await, 20);
    assert_eq!(rig.platform.token_requests(), 2, "one new token for all");
}

#[tokio::test]
async fn two_tokens_in_a_row_that_are_not_taken_are_an_error_not_a_loop() {
    let rig = Setup::default().start().await;
    rig.platform
        .script([Cue::code(400, 99_991_663), Cue::code(400, 99_991_663)]);
    let error = rig.send().await.unwrap_err();
    assert_eq!(error.code(), Some(99_991_663), "{error}");
    assert_eq!(
        (rig.platform.calls().len(), rig.platform.token_requests()),
        (2, 2)
    );
    rig.assert_no_secret_in(&error);
}

/// Moves tokio's clock without waiting.
async fn jump(by: Duration) {
    tokio::time::pause();
    tokio::time::advance(by).await;
    tokio::time::resume();
}

/// A limit header that asks for `n` seconds.
const WAIT_0: &[(&str, &str)] = &[("x-ogw-ratelimit-reset", "0")];
const WAIT_1: &[(&str, &str)] = &[("x-ogw-ratelimit-reset", "1")];
const WAIT_HOUR: &[(&str, &str)] = &[("x-ogw-ratelimit-reset", "3600")];

fn too_fast(wait: &'static [(&'static str, &'static str)]) -> Cue {
    Cue::Answer(
        429,
        wait,
        Bytes::from_static(br#"{"code":99991400,"msg":"limited"}"#),
    )
}

#[tokio::test]
async fn what_passes_is_tried_again_with_the_same_uuid() {
    let page = || Cue::Answer(502, &[], Bytes::from_static(b"<html>bad gateway</html>"));
    let rows = [
        ("429", vec![too_fast(WAIT_0)]),
        (
            "230020",
            vec![Cue::code(400, 230_020), Cue::code(200, 230_020)],
        ),
        ("a 5xx with JSON", vec![Cue::code(500, 5000)]),
        ("an unknown code with 5xx", vec![Cue::code(503, 424_242)]),
        ("a gateway's page", vec![page(), page(), page()]),
        ("an empty 504", vec![Cue::Answer(504, &[], Bytes::new())]),
        ("a lost answer", vec![Cue::Lose]),
        ("three lost answers", vec![Cue::Lose, Cue::Lose, Cue::Lose]),
        (
            "all kinds",
            vec![Cue::Lose, Cue::code(200, 230_049), too_fast(WAIT_0)],
        ),
    ];
    for (name, cues) in rows {
        let rig = Setup::default().start().await;
        let tries = cues.len() + 1;
        rig.platform.script(cues);
        assert_eq!(
            rig.send().await.map_err(|error| error.to_string()),
            Ok("om_new".into()),
            "{name}"
        );
        assert_eq!(rig.platform.uuids(), vec![json!("uuid-1"); tries], "{name}");
        assert_eq!(rig.platform.token_requests(), 1, "{name}");
    }
}

#[tokio::test]
async fn the_platform_says_how_long_to_wait() {
    let rig = Setup::default().start().await;
    rig.platform.script([too_fast(WAIT_1)]);
    let before = std::time::Instant::now();
    rig.send().await.unwrap();
    assert!(
        before.elapsed() >= Duration::from_secs(1),
        "it did not wait"
    );
    assert_eq!(rig.platform.calls().len(), 2);

    // Longer than our patience: an error now, not a try too early.
    rig.platform.script([too_fast(WAIT_HOUR)]);
    let error = rig.send().await.unwrap_err();
    assert_eq!(error.code(), Some(99_991_400));
    assert_eq!(error.retry_after(), Some(Duration::from_secs(3600)));
    assert_eq!(rig.platform.calls().len(), 3);
}

#[tokio::test]
async fn patience_ends() {
    let rows = [
        ("5xx", Cue::code(500, 5000)),
        ("too fast", too_fast(WAIT_0)),
        ("lost answers", Cue::Lose),
        ("no answers", Cue::Hang),
    ];
    for (name, cue) in rows {
        let mut setup = Setup::default();
        setup.patience.call_timeout = Duration::from_millis(300);
        setup.patience.tries_max = 3;
        let rig = setup.start().await;
        rig.platform.script(std::iter::repeat_n(cue, 9));
        let error = rig.send().await.unwrap_err();
        assert!(error.is_retryable(), "{name}: {error}");
        assert_eq!(rig.platform.uuids(), vec![json!("uuid-1"); 3], "{name}");
        rig.assert_no_secret_in(&error);
    }
}

#[tokio::test]
async fn what_cannot_pass_is_not_tried_again() {
    let large = format!("{{\"code\":0,\"pad\":\"{}\"}}", "x".repeat(4 << 20));
    let rows = [
        ("unknown code", Cue::code(400, 424_242), Some(424_242)),
        (
            "unknown code with 200",
            Cue::code(200, 424_242),
            Some(424_242),
        ),
        ("no permission", Cue::code(400, 230_027), Some(230_027)),
        ("no scope", Cue::code(403, 99_991_672), Some(99_991_672)),
        (
            "not JSON",
            Cue::Answer(200, &[], Bytes::from_static(b"<html>")),
            None,
        ),
        ("no data", Cue::json(200, &json!({"code": 0})), None),
        (
            "no code",
            Cue::json(200, &json!({"data": {"message_id": "om"}})),
            None,
        ),
        ("too large", Cue::Answer(200, &[], large.into()), None),
    ];
    for (name, cue, code) in rows {
        let rig = Setup::default().start().await;
        rig.platform.script([cue]);
        let error = rig.send().await.unwrap_err();
        assert_eq!(error.code(), code, "{name}: {error}");
        assert_eq!(
            matches!(error, ApiError::TooLarge { .. }),
            name == "too large",
            "{error}"
        );
        assert!(!error.is_retryable() && !error.is_fatal_config(), "{name}");
        assert_eq!(rig.platform.calls().len(), 1, "{name}");
        rig.assert_no_secret_in(&error);
    }
}

#[tokio::test]
async fn a_wrong_app_secret_is_a_matter_for_a_person() {
    let rig = Setup::default().start().await;
    rig.platform
        .token_script
        .lock()
        .unwrap()
        .push_back(Cue::code(200, 10014));
    let error = rig.send().await.unwrap_err();
    assert!(error.is_fatal_config(), "{error}");
    assert_eq!(error.code(), Some(10014));
    assert_eq!(
        (rig.platform.token_requests(), rig.platform.calls().len()),
        (1, 0)
    );
    rig.assert_no_secret_in(&error);
}

#[tokio::test]
async fn an_error_carries_what_support_asks_for_and_no_secret() {
    let rig = Setup::default().start().await;
    let in_header = &[("x-tt-logid", "log-header")];
    let plain = json!({"code": 230_002, "msg": "Bot is NOT in the chat"});
    let with_id = json!({"code": 230_002, "msg": "no", "error": {"log_id": "log-body"}});
    let rows = [
        (
            "in the header",
            plain.to_string(),
            "Bot is NOT in the chat",
            "log-header",
        ),
        ("in the body", with_id.to_string(), "no", "log-body"),
    ];
    for (name, body, words, id) in rows {
        rig.platform
            .script([Cue::Answer(400, in_header, body.into())]);
        let error = rig.send().await.unwrap_err();
        let ApiError::Code {
            call,
            code,
            msg,
            log_id,
            http_status,
            ..
        } = &error
        else {
            panic!("{name}: {error:?}")
        };
        assert_eq!(
            (call.as_str(), *code, *http_status),
            ("POST /im/v1/messages", 230_002, 400)
        );
        assert_eq!((msg.as_str(), log_id.as_str()), (words, id), "{name}");
        let text = error.to_string();
        for part in [call, "230002", words, id, "400"] {
            assert!(text.contains(part), "{name}: {text}");
        }
        assert!(error.target_is_gone());
        rig.assert_no_secret_in(&error);
    }
    let counts = rig.api.stats().by_call();
    assert_eq!(counts[&("POST /im/v1/messages".to_owned(), 230_002)], 2);
}

#[tokio::test]
async fn an_answer_to_a_message_that_is_gone_goes_to_its_chat() {
    let target = |chat_id: &str| ReplyTarget {
        message_id: "om_1".into(),
        chat_id: chat_id.into(),
        in_thread: true,
    };
    let reply = format!("{MESSAGES_PATH}/om_1/reply");
    let rows = [
        (
            "recalled",
            230_011,
            "oc_1",
            vec![reply.as_str(), MESSAGES_PATH],
        ),
        ("recalled, chat unknown", 230_011, "", vec![reply.as_str()]),
        ("content refused", 230_025, "oc_1", vec![reply.as_str()]),
    ];
    for (name, code, chat_id, paths) in rows {
        let rig = Setup::default().start().await;
        rig.platform.script([Cue::code(400, code)]);
        let target = target(chat_id);
        let sent = rig
            .api
            .reply_or_create(&target, "text", "{\"text\":\"hi\"}", "uuid-1");
        assert_eq!(soon(name, sent).await.is_ok(), paths.len() == 2, "{name}");
        let calls = rig.platform.calls();
        assert_eq!(
            calls.iter().map(|call| &call.path).collect::<Vec<_>>(),
            paths,
            "{name}"
        );
        assert_eq!(
            rig.platform.uuids(),
            vec![json!("uuid-1"); paths.len()],
            "{name}"
        );
        assert!(calls.iter().all(|call| call.method == Method::POST));
        assert!(
            calls
                .iter()
                .all(|call| call.body["content"] == "{\"text\":\"hi\"}"),
            "{name}"
        );
        assert_eq!(calls[0].body["reply_in_thread"], true);
        if let Some(created) = calls.get(1) {
            assert_eq!(created.body["receive_id"], "oc_1");
            assert_eq!(created.query, "receive_id_type=chat_id");
        }
    }
}

#[tokio::test]
async fn where_a_thread_cannot_be_written_to_the_answer_goes_outside_then_to_the_chat() {
    let reply = format!("{MESSAGES_PATH}/om_1/reply");
    let ladder = [reply.as_str(), reply.as_str(), MESSAGES_PATH];
    for code in [230_019, 230_071, 230_072] {
        for (in_thread, refusals, paths) in [
            (true, 1, &ladder[..2]),
            (true, 2, &ladder[..]),
            // Nothing to leave: the chat at once.
            (false, 1, &ladder[1..]),
        ] {
            let rig = Setup::default().start().await;
            rig.platform
                .script(std::iter::repeat_n(Cue::code(400, code), refusals));
            let target = ReplyTarget {
                message_id: "om_1".into(),
                chat_id: "oc_1".into(),
                in_thread,
            };
            let sent = rig.api.reply_or_create(&target, "text", "{}", "uuid-1");
            soon("the answer is sent", sent).await.unwrap();
            let calls = rig.platform.calls();
            let seen: Vec<_> = calls.iter().map(|call| call.path.as_str()).collect();
            assert_eq!(seen, paths, "{code}, {in_thread}");
            assert_eq!(rig.platform.uuids(), vec![json!("uuid-1"); paths.len()]);
            let threads = calls
                .iter()
                .filter(|call| call.body["reply_in_thread"] == true);
            assert_eq!(threads.count(), usize::from(in_thread), "{code}");
        }
    }
}

#[tokio::test]
async fn one_call_ends_within_its_own_bound_however_its_tries_go() {
    for cues in [
        vec![Cue::Hang],
        vec![Cue::Lose, Cue::Lose, Cue::Hang],
        vec![Cue::code(400, 230_020); 40],
    ] {
        let rig = Setup {
            patience: Patience {
                tries_max: u32::MAX,
                backoff: Duration::from_millis(1),
                too_fast: Duration::from_millis(20),
                total_max: Duration::from_millis(300),
                ..Patience::default()
            },
            ..Setup::default()
        }
        .start()
        .await;
        rig.send_together(1).await;
        rig.platform.script(cues);
        let began = tokio::time::Instant::now();
        let error = rig.send().await.unwrap_err();
        assert!(error.is_retryable(), "{error}");
        assert!(
            began.elapsed() < Duration::from_secs(5),
            "{:?}",
            began.elapsed()
        );
    }
}

#[tokio::test]
async fn a_chat_is_read_back_newest_first_and_page_by_page() {
    let rig = Setup::default().start().await;
    let page = json!({"code": 0, "data": {"has_more": true, "page_token": "p2", "items": [
        {"message_id": "om_2", "msg_type": "post", "create_time": "1795000000123", "parent_id": "om_1",
         "root_id": "om_1", "sender": {"id": "cli_a", "id_type": "app_id", "sender_type": "app"},
         "body": {"content": "{}"}, "content_v2": [1]},
        {"message_id": "om_1", "deleted": true}
    ]}});
    let reactions = json!({"code": 0, "data": {"has_more": false, "items": [
        {"reaction_id": "r_1", "operator": {"operator_id": "cli_a", "operator_type": "app"}}
    ]}});
    let nothing = json!({"code": 0, "data": {}});
    rig.platform.script(
        [page, nothing, reactions]
            .iter()
            .map(|answer| Cue::json(200, answer)),
    );
    let chat = Container::Chat("oc_1");
    let first = rig
        .api
        .list_messages(chat, 1_795_000_000, None)
        .await
        .unwrap();
    assert!(first.has_more);
    let [reply, recalled] = &first.items[..] else {
        panic!("{first:?}")
    };
    assert_eq!(reply.create_time_ms(), Some(1_795_000_000_123));
    assert_eq!((reply.sender.id.as_str(), reply.content()), ("cli_a", "{}"));
    assert_eq!(reply.parent_id.as_deref(), Some("om_1"));
    assert_eq!((recalled.create_time_ms(), recalled.content()), (None, ""));
    let thread = Container::Thread("omt_1");
    let second = rig
        .api
        .list_messages(thread, 1_795_000_000, first.page_token.as_deref())
        .await
        .unwrap();
    assert!(second.items.is_empty() && !second.has_more);
    let reacted = rig.api.list_reactions("om_1", "Get", None).await.unwrap();
    assert_eq!(reacted.items[0].operator.operator_id, "cli_a");
    let queries: Vec<_> = rig
        .platform
        .calls()
        .into_iter()
        .map(|call| call.query)
        .collect();
    assert_eq!(
        queries,
        [
            "container_id_type=chat&container_id=oc_1&sort_type=ByCreateTimeDesc&page_size=50&start_time=1795000000",
            "container_id_type=thread&container_id=omt_1&sort_type=ByCreateTimeDesc&page_size=50&page_token=p2",
            "reaction_type=Get&page_size=50",
        ]
    );
}

/// Ids come from events: whatever they say, the call stays the same.
async fn assert_id_stays_one_segment(id: &str) {
    let rig = Setup::default().start().await;
    let _ = rig
        .api
        .reply_message((id, ""), "text", "{}", "u", false)
        .await;
    let _ = rig.api.patch_card(id, "{}").await;
    let _ = rig.api.add_reaction(id, "OK").await;
    let _ = rig.api.delete_reaction(id, id).await;
    let _ = rig.api.chat_info(id).await;
    let _ = rig.api.chat_members(id, Some("a&b=c#/..")).await;
    let allowed = [
        &["im", "v1", "messages", "*", "reply"][..],
        &["im", "v1", "messages", "*"],
        &["im", "v1", "messages", "*", "reactions"],
        &["im", "v1", "messages", "*", "reactions", "*"],
        &["im", "v1", "chats", "*"],
        &["im", "v1", "chats", "*", "members"],
    ];
    for call in rig.platform.calls() {
        let path = call.path.strip_prefix("/open-apis/").unwrap_or_default();
        let segments: Vec<_> = path.split('/').collect();
        let fits = allowed.iter().any(|pattern| {
            pattern.len() == segments.len()
                && pattern.iter().zip(&segments).all(|(expected, segment)| {
                    expected == segment || (*expected == "*" && !segment.is_empty())
                })
        });
        assert!(
            fits,
            "{id:?} changed the call to {} {}",
            call.method, call.path
        );
        assert!(
            call.query.is_empty() || call.query.ends_with("&page_token=a%26b%3Dc%23%2F.."),
            "{id:?}: {}",
            call.query
        );
    }
}

#[tokio::test]
async fn ids_cannot_change_the_call() {
    let rows = [
        "om_1",
        "om_1/../../auth",
        "a/b",
        "om?x=1",
        "om#x",
        "a\\..\\b",
        "%2e%2e",
        "om 1\r\nx: y",
    ];
    for id in rows {
        assert_id_stays_one_segment(id).await;
    }
}

#[tokio::test]
async fn ids_of_dots_alone_cannot_change_the_call() {
    for id in ["..", ".", "/..", "../", ""] {
        assert_id_stays_one_segment(id).await;
    }
}

#[tokio::test]
async fn a_token_endpoint_in_trouble_is_not_asked_more_often_than_patience_allows() {
    let rig = Setup::default().start().await;
    let trouble = std::iter::repeat_n(Cue::code(500, 5000), 99);
    rig.platform.token_script.lock().unwrap().extend(trouble);
    let error = rig.send().await.unwrap_err();
    assert_eq!(error.code(), Some(5000));
    assert_eq!(rig.platform.token_requests(), 4);
}
