//! What the model client makes of a server that misbehaves.

#![expect(
    clippy::unwrap_used,
    reason = "a helper of a test that can't go on fails the test"
)]

mod common;

use std::time::Duration;

use common::{KEY, model_at, start};
use model_sim::{ModelSim, Script};
use xiaoo_agent::model::{Pictures, Question, Update};
use xiaoo_agent::{
    InvalidModelConfig, Message, Model, ModelConfig, ModelError, Provider, Reply, ToolSet,
};

#[tokio::test]
async fn refusals_are_typed_and_not_repeated() {
    let cases = [
        (400, "bad_request"),
        (401, "unauthorized"),
        (402, "no_credit"),
        (403, "forbidden"),
        (404, "not_found"),
        (413, "context_overflow"),
        (422, "bad_request"),
    ];
    for (status, class) in cases {
        let sim = start().await;
        sim.script(Script::error(status, "no"));
        let asked = ask(&model_at(&sim.base_url(), |_| {})).await;
        assert_eq!(asked.class(), class, "{status}");
        assert_eq!(asked.requests(&sim), 1, "{status}");
    }
}

#[tokio::test]
async fn what_may_pass_is_tried_again() {
    let retry_after = |seconds: &str| Script::Status {
        status: 429,
        headers: vec![("retry-after".into(), seconds.into())],
        body: String::new(),
    };
    let cut = || Script::CutAfter {
        text: "never shown".into(),
        bytes: 40,
    };
    let cases = [
        (
            "overloaded, failed",
            vec![Script::error(503, "x"), Script::error(500, "x")],
        ),
        ("limited", vec![retry_after("0"), retry_after("0")]),
        ("broken off before text", vec![cut(), cut()]),
        ("nothing, once", vec![Script::Answer(String::new())]),
        (
            "no JSON",
            vec![
                Script::stream("data: {nope\n\n"),
                Script::stream("data: 7\n\n"),
            ],
        ),
        (
            "an error in the stream",
            vec![Script::stream("data: {\"error\":{\"message\":\"x\"}}\n\n")],
        ),
        (
            "closed at once",
            vec![Script::stream(""), Script::stream(": hello\n\n")],
        ),
    ];
    for (case, faults) in cases {
        let sim = start().await;
        let tries = faults.len() + 1;
        for fault in faults {
            sim.script(fault);
        }
        sim.script(Script::Answer("好".into()));
        let asked = ask(&model_at(&sim.base_url(), |_| {})).await;
        assert_eq!(asked.result.as_ref().unwrap().text, "好", "{case}");
        assert_eq!(asked.requests(&sim), tries, "{case}");
        assert_eq!(asked.retries + 1, tries, "{case}");
    }
}

#[tokio::test]
async fn tries_end() {
    let sim = start().await;
    for _ in 0..9 {
        sim.script(Script::error(500, "down"));
    }
    let asked = ask(&model_at(&sim.base_url(), |_| {})).await;
    assert_eq!(asked.class(), "provider");
    assert_eq!(asked.requests(&sim), 3);
}

#[tokio::test]
async fn nothing_twice_is_an_answer_of_its_own() {
    let sim = start().await;
    sim.script(Script::Answer(String::new()));
    sim.script(Script::Answer(" \n".into()));
    let asked = ask(&model_at(&sim.base_url(), |_| {})).await;
    assert_eq!(asked.class(), "empty");
    assert_eq!(asked.requests(&sim), 2);
}

#[tokio::test]
async fn a_wait_that_is_too_long_is_told_and_not_waited() {
    let sim = start().await;
    sim.script(Script::Status {
        status: 429,
        headers: vec![("retry-after".into(), "3600".into())],
        body: String::new(),
    });
    let asked = ask(&model_at(&sim.base_url(), |_| {})).await;
    let failure = asked.result.as_ref().unwrap_err();
    assert_eq!(failure.retry_after(), Some(Duration::from_secs(3600)));
    assert_eq!(asked.requests(&sim), 1);
}

#[tokio::test]
async fn after_text_was_shown_nothing_is_tried_again() {
    let text = || "这是一个足够长的回答，会被分成许多小块".to_owned();
    let cases = [
        (
            "transport",
            Script::CutAfter {
                text: text(),
                bytes: 1000,
            },
        ),
        (
            "idle",
            Script::HangMidStream {
                text: text(),
                pieces: 2,
            },
        ),
        (
            "truncated",
            Script::stream("data: {\"choices\":[{\"delta\":{\"content\":\"半\"}}]}\n\n"),
        ),
        (
            "provider",
            Script::stream(
                "data: {\"choices\":[{\"delta\":{\"content\":\"半\"}}]}\n\ndata: {\"error\":\"x\"}\n\n",
            ),
        ),
    ];
    for (class, fault) in cases {
        let sim = start().await;
        sim.script(fault);
        let model = model_at(&sim.base_url(), |config| {
            config.timeouts.idle = Duration::from_millis(500);
        });
        let asked = ask(&model).await;
        assert_eq!(asked.class(), class);
        assert!(!asked.shown.is_empty(), "{class}");
        assert_eq!(asked.requests(&sim), 1, "{class}");
    }
}

#[tokio::test]
async fn every_silence_has_a_deadline() {
    let once = |config: &mut ModelConfig| {
        config.retry.tries_max = 1;
        config.timeouts.headers = LONG;
        config.timeouts.idle = LONG;
        config.timeouts.no_progress = LONG;
    };
    let sim = start().await;
    sim.script(Script::HangBeforeHeaders);
    let model = model_at(&sim.base_url(), |config| {
        once(config);
        config.timeouts.headers = SHORT;
    });
    assert_eq!(
        ask(&model).await.result,
        Err(ModelError::Idle { waited: SHORT })
    );

    sim.script(Script::HangMidStream {
        text: String::new(),
        pieces: 0,
    });
    let model = model_at(&sim.base_url(), |config| {
        once(config);
        config.timeouts.idle = SHORT;
    });
    assert_eq!(
        ask(&model).await.result,
        Err(ModelError::Idle { waited: SHORT })
    );

    sim.script(Script::CommentsOnly {
        every: Duration::from_millis(5),
    });
    let model = model_at(&sim.base_url(), |config| {
        once(config);
        config.timeouts.no_progress = SHORT;
    });
    assert_eq!(
        ask(&model).await.result,
        Err(ModelError::NoProgress { waited: SHORT })
    );

    let empty_chunk = || {
        (
            Duration::from_millis(5),
            "data: {\"choices\":[]}\n\n".into(),
        )
    };
    sim.script(Script::Raw {
        content_type: "text/event-stream".into(),
        chunks: std::iter::repeat_with(empty_chunk).take(400).collect(),
    });
    assert_eq!(
        ask(&model).await.result,
        Err(ModelError::NoProgress { waited: SHORT })
    );
    // None of them is left behind on the server.
    sim.wait_until_idle().await;
}

#[tokio::test]
async fn there_is_no_limit_on_the_whole() {
    let sim = start().await;
    let text = "一二三四五六七八九十".repeat(4);
    sim.script(Script::Slow {
        text: text.clone(),
        chunk_delay: Duration::from_millis(30),
    });
    let model = model_at(&sim.base_url(), |config| {
        config.timeouts.headers = Duration::from_millis(250);
        config.timeouts.idle = Duration::from_millis(250);
        config.timeouts.no_progress = Duration::from_millis(250);
    });
    let began = std::time::Instant::now();
    assert_eq!(ask(&model).await.result.unwrap().text, text);
    assert!(
        began.elapsed() > Duration::from_millis(300),
        "too fast to prove anything"
    );
}

#[tokio::test]
async fn limits_hold() {
    let sim = start().await;
    let long = || Script::Answer("x".repeat(5000));
    let too_large = |adjust: fn(&mut ModelConfig)| model_at(&sim.base_url(), adjust);
    for model in [
        too_large(|config| config.limits.content_bytes_max = 4999),
        too_large(|config| config.limits.stream_bytes_max = 5000),
        too_large(|config| config.limits.event_bytes_max = 50),
    ] {
        sim.script(long());
        assert_eq!(ask(&model).await.class(), "too_large");
    }
    sim.script(Script::Raw {
        content_type: "application/json".into(),
        chunks: vec![(Duration::ZERO, " ".repeat(5000).into())],
    });
    let model = too_large(|config| config.limits.content_bytes_max = 2000);
    assert_eq!(ask(&model).await.class(), "too_large");
}

#[tokio::test]
async fn an_answer_in_one_piece_is_an_answer_and_a_page_is_not() {
    let sim = start().await;
    let raw = |content_type: &str, body: &'static str| Script::Raw {
        content_type: content_type.into(),
        chunks: vec![
            // Empty lines before the JSON keep the line open at DeepSeek.
            (Duration::ZERO, "\n\n".into()),
            (Duration::ZERO, body.into()),
        ],
    };
    let json =
        r#"{"choices":[{"message":{"role":"assistant","content":"好"},"finish_reason":"stop"}]}"#;
    let model = model_at(&sim.base_url(), |config| config.retry.tries_max = 1);
    sim.script(raw("application/json", json));
    assert_eq!(ask(&model).await.result.unwrap().text, "好");
    sim.script(raw("text/html", "<html>login</html>"));
    assert_eq!(ask(&model).await.class(), "malformed");
}

#[tokio::test]
async fn a_field_that_is_refused_is_left_out_for_good() {
    let sim = start().await;
    sim.script(Script::error(400, "unknown parameter: stream_options"));
    let model = model_at(&sim.base_url(), |config| config.retry.tries_max = 1);
    assert!(ask(&model).await.result.is_ok());
    assert!(ask(&model).await.result.is_ok());
    let had_field: Vec<bool> = sim
        .requests()
        .iter()
        .map(|request| request.body.get("stream_options").is_some())
        .collect();
    assert_eq!(had_field, [true, false, false]);
}

#[tokio::test]
async fn the_key_is_sent_and_never_told() {
    let sim = start().await;
    sim.script(Script::error(
        401,
        &format!("bad key ({KEY}), sk-or-v1-0123456789"),
    ));
    let model = model_at(&sim.base_url(), |_| {});
    let asked = ask(&model).await;
    assert!(sim.requests()[0].had_key);
    let failure = asked.result.unwrap_err();
    for told in [
        failure.to_string(),
        format!("{failure:?} {model:?} {:?}", model.config()),
    ] {
        assert!(!told.contains(KEY) && !told.contains("sk-or"), "{told}");
    }
    let model = model_at(&sim.base_url(), |config| config.api_key = None);
    assert!(ask(&model).await.result.is_ok());
    assert!(!sim.requests()[1].had_key);
}

#[tokio::test]
async fn a_server_that_is_not_there_is_a_transport_failure_without_its_address() {
    let sim = start().await;
    let api_base = sim.base_url();
    sim.shutdown().await;
    let asked = ask(&model_at(&api_base, |_| {})).await;
    assert_eq!(asked.retries, 2);
    let failure = asked.result.unwrap_err();
    assert_eq!(failure.class(), "transport");
    assert!(!failure.to_string().contains("http://"), "{failure}");
}

#[test]
fn configurations_that_can_not_work_are_refused() {
    let base = "https://h/v1";
    let cases = [
        (
            "h/v1",
            "m",
            "k",
            Some(InvalidModelConfig::ApiBase("h/v1".into())),
        ),
        (
            "ftp://h",
            "m",
            "k",
            Some(InvalidModelConfig::ApiBase("ftp://h".into())),
        ),
        (base, " ", "k", Some(InvalidModelConfig::Model)),
        (base, "m", "k\n", Some(InvalidModelConfig::ApiKey)),
        ("https://h/api/paas/v4/", "m", "k", None),
    ];
    let _ = model_at(base, |_| {});
    for (api_base, model, key, refused) in cases {
        let config = ModelConfig::new(Provider::Zhipu, api_base, model)
            .with_api_key(Some(key.to_owned().into()));
        assert_eq!(Model::new(reqwest::Client::new(), config).err(), refused);
    }
}

#[test]
fn providers_are_found_by_the_names_people_use() {
    for provider in Provider::ALL {
        assert_eq!(Provider::from_name(provider.name()), Some(provider));
    }
    let cases = [
        ("OpenRouter", Some(Provider::OpenRouter)),
        ("z.ai", Some(Provider::Zhipu)),
        ("Kimi", Some(Provider::Moonshot)),
        ("llama.cpp", Some(Provider::LlamaCpp)),
        ("openai-compatible", Some(Provider::Compatible)),
        ("nobody", None),
    ];
    for (name, provider) in cases {
        assert_eq!(Provider::from_name(name), provider, "{name}");
    }
}

struct Asked {
    result: Result<Reply, ModelError>,
    shown: String,
    retries: usize,
}

impl Asked {
    fn class(&self) -> &'static str {
        self.result
            .as_ref()
            .map_or_else(ModelError::class, |_| "answered")
    }

    fn requests(&self, sim: &ModelSim) -> usize {
        sim.requests().len()
    }
}

async fn ask(model: &Model) -> Asked {
    let (mut shown, mut retries) = (String::new(), 0);
    let question = Question {
        system: "",
        messages: &[Message::user("hi")],
        tools: &ToolSet::new(),
        pictures: &Pictures::default(),
    };
    let result = model
        .answer(&question, &mut |update| match update {
            Update::Text(text) => text.clone_into(&mut shown),
            Update::Retrying { .. } => retries += 1,
        })
        .await;
    Asked {
        result,
        shown,
        retries,
    }
}

/// Long enough for any machine, where a test expects something else to come first.
const LONG: Duration = Duration::from_secs(60);

/// Short, where a test expects this to come first: the other side will never do anything.
const SHORT: Duration = Duration::from_millis(50);
