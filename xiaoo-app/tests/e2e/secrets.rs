//! Canaries: distinctive secrets in every place that holds one, and distinctive words of people
//! and of the model. No secret may be in anything that the daemon says, at any level; no word
//! before `trace`. On the way: a line is one fact, and one about the link says so.

use std::process::{Command, Stdio};

use feishu_sim::view::Message;
use feishu_sim::{CardAction, LinkAction, Sim, SimConfig, UserMessage};
use model_sim::Script;
use serde_json::{Value, json};

use crate::harness::daemon::PLANTED;
use crate::harness::{PATIENCE, Rig, Setup, Via, answers};

const APP_SECRET: &str = "canary-app-secret-71c9";
const WRONG_SECRET: &str = "canary-wrong-secret-71c9";
const VERIFICATION_TOKEN: &str = "canary-verification-71c9";
const WRONG_TOKEN: &str = "canary-forged-token-71c9";
const ENCRYPT_KEY: &str = "canary-encrypt-key-71c9";
const BEARER: &str = "canary-bearer-71c9";
const MCP_BEARER: &str = "canary-mcp-bearer-71c9";
const STORE_PASSWORD: &str = "canary-store-password-71c9";
const PROXY_PASSWORD: &str = "canary-proxy-password-71c9";
/// `user:` and that, as a proxy hears it.
const PROXY_AUTHORIZATION: &str = "dXNlcjpjYW5hcnktcHJveHktcGFzc3dvcmQtNzFjOQ";

/// What a connection URL carries its ticket and its key in.
const IN_CONNECTION_URLS: [&str; 2] = ["access_key=", "ticket="];

/// All of them.
const SECRETS: [&str; 12] = [
    APP_SECRET,
    WRONG_SECRET,
    VERIFICATION_TOKEN,
    WRONG_TOKEN,
    ENCRYPT_KEY,
    BEARER,
    MCP_BEARER,
    STORE_PASSWORD,
    PROXY_PASSWORD,
    PROXY_AUTHORIZATION,
    PLANTED[0],
    PLANTED[1],
];

/// What people say, and what the model and its tools do.
const WORDS: [&str; 7] = [
    "canary-question",
    "canary-command",
    "canary-output",
    "canary-answer",
    "canary-unmentioned",
    "canary-forged-words",
    "canary-to-the-bot",
];

/// As much as anybody can ask for: of the daemon, and of each library by its name.
const LOUDEST: &str = "trace,h2=trace,hyper=trace,hyper_util=trace,mio=trace,reqwest=trace,\
    rmcp=trace,rustls=trace,tokio_postgres=trace,tokio_tungstenite=trace,tungstenite=trace";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Text,
    Json,
}

const SECTIONS: &str = "[http]\nbearer_token_env = \"CANARY_BEARER\"\n\
    [tools]\nenable = [\"shell\"]\nask_first = [\"shell\"]\n\
    [tools.mcp.away]\nurl = \"http://127.0.0.1:9/mcp\"\nbearer_token_env = \"CANARY_MCP\"\n";

fn setup(via: Via) -> Setup {
    Setup {
        via,
        more: SECTIONS,
        sim: SimConfig {
            app_secret: APP_SECRET.into(),
            verification_token: VERIFICATION_TOKEN.into(),
            encrypt_key: (via == Via::EncryptedWebhook).then(|| ENCRYPT_KEY.into()),
            ..Setup::default().sim
        },
        ..Setup::default()
    }
}

fn log_at(rig: &mut Rig, level: &str, format: Format) {
    rig.daemon.env.extend([
        ("CANARY_BEARER", BEARER.to_owned()),
        ("CANARY_MCP", MCP_BEARER.to_owned()),
        ("E2E_KEY", ENCRYPT_KEY.to_owned()),
        ("XIAOO_LOG", level.to_owned()),
        ("XIAOO_LOG_FORMAT", format!("{format:?}")),
    ]);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_level_says_a_secret_and_none_before_trace_what_people_say() {
    for (via, level, format) in [
        (Via::LongConnection, "debug", Format::Text),
        (Via::LongConnection, LOUDEST, Format::Json),
        (Via::Webhook, "debug", Format::Json),
        (Via::Webhook, LOUDEST, Format::Text),
        (Via::EncryptedWebhook, "debug", Format::Text),
        (Via::EncryptedWebhook, LOUDEST, Format::Text),
    ] {
        let case = format!("{via:?} at {level} as {format:?}");
        let mut rig = Rig::without_daemon(setup(via)).await;
        log_at(&mut rig, level, format);
        rig.start_daemon().await;
        a_day(&rig, via).await;
        let said = everything_said(&rig).await;
        rig.daemon.signal("-TERM");
        assert_eq!(rig.daemon.ended().await, Some(0), "{case}");
        let said = said + &rig.log();

        let token = access_token(&rig).await;
        says_none_of(&said, &[token.as_str()], &case);
        says_none_of(&said, &SECRETS, &case);
        says_none_of(&said, &IN_CONNECTION_URLS, &case);
        if level == "debug" {
            says_none_of(&said, &WORDS, &case);
        } else {
            // Else there would be nothing to find.
            assert!(said.contains("hyper_util"), "{case}");
            for word in ["canary-question", "canary-answer", "canary-to-the-bot"] {
                assert!(said.contains(word), "{case}: {word} is not said");
            }
            // What nobody said to the bot is nobody's.
            says_none_of(&said, &["canary-unmentioned", "canary-forged-words"], &case);
        }
        lines_are_facts(&rig.log(), format, &case);
    }
}

/// What happens to a daemon: questions, calls that somebody agrees to, failures, forgeries.
async fn a_day(rig: &Rig, via: Via) {
    rig.model.script(Script::tool_call(
        "shell",
        r#"{"command":"echo canary-output canary-command"}"#,
    ));
    rig.model.script(Script::Answer("canary-answer".into()));
    let question = rig.says("canary-question");
    let card = asked(rig, &question).await;
    let agreed = CardAction::label(&card.message_id, "Allow once");
    rig.sim.press(agreed).await.unwrap();
    assert_eq!(rig.answer_to(&question).await, "canary-answer");

    // A server that shows the key it was given, and breaks its lines.
    let complaint = format!("no such key: {}\nsecond line", PLANTED[0]);
    rig.model.script(Script::error(401, &complaint));
    let question = rig.says("canary-question once more");
    rig.answers_to(&question).await;

    let group = [rig.sim.people()[0].open_id.clone()];
    let group = rig.sim.add_group("ops", &group).unwrap();
    let mut unmentioned = UserMessage::text("canary-unmentioned").in_chat(&group);
    unmentioned.mention_bot = Some(false);
    rig.sim.user_says(unmentioned).unwrap();
    let order = rig.says("/model canary-to-the-bot");
    let obeyed = |sim: &Sim| answers(sim, &rig.chat(), &order).pop();
    assert!(rig.sim.until(PATIENCE, obeyed).await.is_some());

    if via == Via::LongConnection {
        assert_eq!(rig.sim.act_on_links(LinkAction::Drop), 1);
        until(rig, |log| {
            log.matches("feishu websocket: connected").count() == 2
        })
        .await;
    } else {
        forge(rig).await;
        until(rig, |log| log.contains("request refused")).await;
    }
    rig.model.script(Script::Answer("canary-answer".into()));
    let question = rig.says("canary-question at last");
    rig.answers_to(&question).await;
}

/// Requests of somebody who knows the route and nothing else.
async fn forge(rig: &Rig) {
    let route = format!(
        "http://127.0.0.1:{}/api/v1/channels/xiaoo/events",
        rig.daemon.port
    );
    let client = runtime_tokio::http::loopback_client().unwrap();
    let event = json!({"schema": "2.0", "header": {"token": WRONG_TOKEN, "event_id": "e",
        "event_type": "im.message.receive_v1"}, "event": {"text": "canary-forged-words"}});
    for body in [
        event.to_string(),
        json!({"encrypt": "Y2FuYXJ5LWZvcmdlZC13b3Jkcw=="}).to_string(),
        format!("{{\"token\":\"{WRONG_TOKEN}\",\"canary-forged-words"),
        json!({"type": "url_verification", "challenge": "c", "token": WRONG_TOKEN}).to_string(),
    ] {
        let answer = client.post(&route).body(body).send().await.unwrap();
        assert!(answer.status().is_client_error(), "{}", answer.status());
    }
}

/// All that can be asked for beside the log.
async fn everything_said(rig: &Rig) -> String {
    let mut said = String::new();
    for path in ["/metrics", "/api/v1/ready", "/api/v1/health"] {
        said += &rig.get(path).await.unwrap().1;
    }
    let mut doctor = Command::new(env!("CARGO_BIN_EXE_xiaoo-app"));
    doctor
        .args(["doctor", "--json", "--config"])
        .arg(rig.folder.path().join("config.toml"))
        .args(["--port", &rig.daemon.port.to_string()])
        .env("E2E_MODEL_KEY", PLANTED[0])
        .env("E2E_SECRET", APP_SECRET)
        .env("HOME", rig.daemon.home())
        .envs(rig.daemon.env.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null());
    // The platform answers in this process.
    let looked = tokio::task::spawn_blocking(move || doctor.output().unwrap());
    let looked = looked.await.unwrap();
    let found: Value = serde_json::from_slice(&looked.stdout).unwrap();
    assert!(found["checks"].as_array().unwrap().len() > 5, "{found}");
    said += &String::from_utf8(looked.stdout).unwrap();
    said += &String::from_utf8(looked.stderr).unwrap();
    said
}

/// The token that the daemon has: the platform gives the same to whoever asks.
async fn access_token(rig: &Rig) -> String {
    let url = format!(
        "{}/open-apis/auth/v3/tenant_access_token/internal",
        rig.sim.base_url()
    );
    let client = runtime_tokio::http::loopback_client().unwrap();
    let who = json!({"app_id": rig.sim.config().app_id, "app_secret": APP_SECRET});
    let answer = client.post(url).body(who.to_string()).send().await.unwrap();
    let answer: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
    let token = answer["tenant_access_token"].as_str().unwrap();
    assert!(token.len() > 30, "{token}");
    token.to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_at_the_start_shows_no_secret_either() {
    let in_url = format!("postgres://u:{STORE_PASSWORD}@127.0.0.1:9/db");
    let in_variable = "postgres://u@127.0.0.1:9/db";
    for (case, store, more, env, said, ends) in [
        (
            "a wrong secret",
            None,
            "",
            ("E2E_SECRET", WRONG_SECRET.to_owned()),
            "the bot's identity cannot be had",
            false,
        ),
        (
            "a server with its password in the url",
            Some(in_url),
            "",
            ("E2E_PASSWORD", String::new()),
            "check that the server runs",
            true,
        ),
        (
            "a server with its password in a variable",
            Some(in_variable.to_owned()),
            "password_env = \"E2E_PASSWORD\"\n",
            ("E2E_PASSWORD", STORE_PASSWORD.to_owned()),
            "check that the server runs",
            true,
        ),
        (
            "a proxy that is not there",
            None,
            "",
            (
                "HTTPS_PROXY",
                format!("http://user:{PROXY_PASSWORD}@127.0.0.1:9"),
            ),
            "feishu websocket: ",
            false,
        ),
    ] {
        let mut rig = Rig::without_daemon(Setup {
            store,
            more,
            ..setup(Via::LongConnection)
        })
        .await;
        if env.0 == "HTTPS_PROXY" {
            let own = rig.sim.base_url();
            rig.reconfigure(|text| text.replace(&own, "https://open.feishu.invalid"));
        }
        log_at(&mut rig, LOUDEST, Format::Text);
        rig.daemon.env.push(env);
        rig.spawn();
        if ends {
            assert_eq!(rig.daemon.ended().await, Some(1), "{case}");
        }
        until(&rig, |log| log.contains(said)).await;
        rig.daemon.kill();
        says_none_of(&rig.log(), &SECRETS, case);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_format_that_nobody_knows_is_said_and_lines_are_text() {
    let mut rig = Rig::without_daemon(Setup::default()).await;
    rig.daemon.env.push(("XIAOO_LOG_FORMAT", "xml".to_owned()));
    rig.start_daemon().await;
    let log = rig.log();
    let complaint = "xiaoo-app: XIAOO_LOG_FORMAT: there is no format \"xml\", only text, json, \
                     journald and auto; taken as auto\n";
    assert!(log.starts_with(complaint), "{log}");
    lines_are_facts(&log[complaint.len()..], Format::Text, "xml");
}

fn says_none_of(said: &str, secrets: &[&str], case: &str) {
    for secret in secrets {
        let line = said.lines().find(|line| line.contains(secret));
        assert_eq!(line, None, "{case}: {secret} is said");
    }
}

/// Each line is a whole one, and those of the link can be found by their words.
fn lines_are_facts(log: &str, format: Format, case: &str) {
    let mut of_the_link = 0;
    for line in log.lines() {
        let from = match format {
            Format::Text => {
                let mut words = line.split_whitespace();
                let is_time = words.next().is_some_and(|word| word.ends_with('Z'));
                let level = words.next().unwrap_or_default();
                let is_level = ["ERROR", "WARN", "INFO", "DEBUG", "TRACE"].contains(&level);
                assert!(is_time && is_level, "{case}: {line}");
                line.to_owned()
            }
            Format::Json => {
                let fact: Value = serde_json::from_str(line)
                    .unwrap_or_else(|why| panic!("{case}: {why}: {line}"));
                fact["target"].as_str().unwrap().to_owned()
            }
        };
        if from.contains("runtime_tokio::link") {
            assert!(line.contains("feishu websocket"), "{case}: {line}");
            of_the_link += 1;
        }
    }
    let has_link = case.starts_with("LongConnection") || case == "xml";
    assert_eq!(of_the_link > 0, has_link, "{case}");
}

/// Waits until the log is so.
async fn until(rig: &Rig, is_so: impl Fn(&str) -> bool) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while !is_so(&rig.log()) {
        let is_late = tokio::time::Instant::now() > deadline;
        assert!(!is_late, "never said:\n{}", rig.log());
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

/// The card that asks about this message.
async fn asked(rig: &Rig, message_id: &str) -> Message {
    let asks = |message: &Message| {
        let card = message.card.as_ref();
        message.parent_id.as_deref() == Some(message_id)
            && card.is_some_and(|card| card.template == "orange")
    };
    let found = rig.sim.until(PATIENCE, |sim| {
        sim.messages(&rig.chat()).into_iter().find(asks)
    });
    let found = found.await;
    found.unwrap_or_else(|| panic!("nobody was asked; log:\n{}", rig.log()))
}
