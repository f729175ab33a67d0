//! Every stream in `vectors/llm_sse` comes out as its `.expect.json` says, whichever way the
//! network cuts it.

use core::time::Duration;
use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use futures_util::stream;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::complaint::Complaint;
use super::{Accumulator, AnswerLimits, Finish, ModelError, Reply, read};

#[test]
fn captured_streams_come_out_as_expected() {
    assert_eq!(check_folder(&vectors().join("captured")), 7);
}

#[test]
fn constructed_streams_come_out_as_expected() {
    assert_eq!(check_folder(&vectors().join("constructed")), 44);
}

/// Recordings of hosted services are not ours to hand on; who has them can point here.
#[test]
fn recorded_streams_come_out_as_expected() {
    let folder = std::env::var_os("XIAOO_RECORDED_STREAMS").map_or_else(
        || workspace().join("../shared/vectors/llm_sse/recorded"),
        PathBuf::from,
    );
    if folder.is_dir() {
        assert!(check_folder(&folder) > 0, "no streams in {folder:?}");
    }
}

#[test]
fn http_answers_are_the_right_errors() {
    let cases = [
        ("litellm_500", "provider"),
        ("litellm_context", "context_overflow"),
        ("litellm_midstream-error", "overloaded"),
        ("litellm_nonexist", "bad_request"),
        ("litellm_rate-limit", "rate_limited"),
        ("llamacpp_context_overflow", "context_overflow"),
        ("llamacpp_loading_503", "overloaded"),
    ];
    for (name, class) in cases {
        let path = vectors().join(format!("captured/{name}.http.txt"));
        let text = fs::read_to_string(path).unwrap().replace("\r\n", "\n");
        let (head, body) = text.split_once("\n\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let error = Complaint::from_body(body.as_bytes()).with_status(status);
        assert_eq!(error.class(), class, "{name}: {error}");
        if name == "llamacpp_context_overflow" {
            assert_eq!(error, ModelError::ContextOverflow { limit: Some(2048) });
        }
    }
}

#[test]
fn answers_in_one_piece_are_taken_and_pages_are_not() {
    let whole = |path: &str| {
        let mut answer = accumulator();
        answer.whole(&fs::read(vectors().join(path)).unwrap())?;
        answer.finish()
    };
    let reply = whole("constructed/not_sse_json_reply.json").unwrap();
    assert_eq!(reply.text, "忽略了 stream");
    assert_eq!(reply.finish, Finish::Stop);
    assert_eq!(reply.usage.unwrap().total_tokens, 18);
    for path in [
        "constructed/not_sse_html.html",
        "captured/litellm_anthropic_stream_ignored.json",
    ] {
        assert_eq!(whole(path).unwrap_err().class(), "malformed", "{path}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_cut_of_any_stream_gives_the_same(pick in any::<prop::sample::Index>(), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..20)) {
        let streams = streams_in(&vectors().join("constructed"));
        let body = fs::read(&streams[pick.index(streams.len())]).unwrap();
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(body.len())).collect();
        cuts.sort_unstable();
        prop_assert_eq!(decode(&body, &cuts), decode(&body, &[]));
    }

    #[test]
    fn bytes_never_panic(body in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = decode(&body, &[]);
    }

    #[test]
    fn events_never_panic(events in prop::collection::vec(event(), 0..20)) {
        let mut answer = accumulator();
        for event in events {
            let _ = answer.event(None, &event.to_string());
        }
        if let Ok(reply) = answer.finish() {
            prop_assert!(reply.tool_calls.iter().all(|call| !call.id.is_empty()));
        }
    }
}

#[test]
fn limits_hold_at_their_edge() {
    let limits = AnswerLimits {
        content_bytes_max: 6,
        tool_calls_max: 2,
        ..AnswerLimits::default()
    };
    let say = |text: &str| format!(r#"{{"choices":[{{"delta":{{"content":"{text}"}}}}]}}"#);
    let mut answer = Accumulator::new(limits, 0);
    assert!(answer.event(None, &say("你")).is_ok());
    assert!(answer.event(None, &say("好")).is_ok());
    assert_eq!(
        answer.event(None, &say("!")).unwrap_err().class(),
        "too_large"
    );

    let call =
        |id: &str| format!(r#"{{"choices":[{{"delta":{{"tool_calls":[{{"id":"{id}"}}]}}}}]}}"#);
    let mut answer = Accumulator::new(limits, 0);
    assert!(answer.event(None, &call("a")).is_ok());
    assert!(answer.event(None, &call("b")).is_ok());
    assert_eq!(
        answer.event(None, &call("c")).unwrap_err(),
        ModelError::TooManyToolCalls { limit: 2 }
    );
}

#[test]
fn fields_of_a_strange_type_read_as_absent() {
    let strange = [
        r#"{"choices":[{"index":"0","delta":{"content":7,"reasoning":[]},"finish_reason":3}],"usage":"n/a","object":{}}"#,
        r#"{"choices":null,"usage":true}"#,
        r#"{"choices":[{"delta":{"tool_calls":null,"content":[{"type":"text","text":"好"},{"type":"image"}]},"finish_reason":"stop"}]}"#,
    ];
    let mut answer = accumulator();
    for event in strange {
        answer.event(None, event).unwrap();
    }
    let reply = answer.finish().unwrap();
    assert_eq!((reply.text.as_str(), reply.usage), ("好", None));
}

#[test]
fn nothing_after_the_end_marker_counts() {
    let mut answer = accumulator();
    answer.event(None, "[DONE]").unwrap();
    let late = r#"{"choices":[{"delta":{"content":"late"}}],"error":"late"}"#;
    assert!(answer.event(None, late).unwrap().done);
    assert_eq!(answer.finish().unwrap().text, "");
}

#[test]
fn calls_without_an_id_get_one_that_no_other_answer_makes() {
    let event = r#"{"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"name":"a"}},{"index":1,"function":{"name":"b"}}]},"finish_reason":"stop"}]}"#;
    let ids = |seed| {
        let mut answer = Accumulator::new(AnswerLimits::default(), seed);
        answer.event(None, event).unwrap();
        let calls = answer.finish().unwrap().tool_calls;
        calls.into_iter().map(|call| call.id).collect::<Vec<_>>()
    };
    assert_eq!(
        ids(1),
        ["call_0000000000000001_0", "call_0000000000000001_1"]
    );
    assert_ne!(ids(1), ids(2));
}

/// Runs every stream of a folder three ways; how many there were.
fn check_folder(folder: &Path) -> usize {
    let streams = streams_in(folder);
    for path in &streams {
        let body = fs::read(path).unwrap();
        let expect: Value =
            serde_json::from_slice(&fs::read(path.with_extension("expect.json")).unwrap()).unwrap();
        let splits: Vec<usize> = expect["read_splits"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|at| usize::try_from(at.as_u64().unwrap()).unwrap())
            .collect();
        let each_byte: Vec<usize> = (1..body.len()).collect();
        for (cut, how) in [(vec![], "whole"), (splits, "split"), (each_byte, "bytes")] {
            check(&decode(&body, &cut), &expect, &format!("{path:?}, {how}"));
        }
    }
    streams.len()
}

fn check(decoded: &Decoded, expect: &Value, case: &str) {
    let outcome = match &decoded.end {
        Ok(reply) if reply.finish == Finish::Length => "truncated",
        Ok(_) => "complete",
        Err(ModelError::Truncated) => "truncated",
        Err(_) => "error",
    };
    assert_eq!(outcome, expect["outcome"], "{case}: {:?}", decoded.end);
    assert_eq!(decoded.text, expect["text"], "{case}");
    let reply = match &decoded.end {
        Ok(reply) => reply,
        Err(error) => {
            // An error that came from the server keeps its words.
            let said = expect["error"]["message"].as_str().unwrap_or_default();
            if expect["error"]["code"] != "protocol" {
                assert!(error.to_string().contains(said), "{case}: {error}");
            }
            return;
        }
    };
    assert_eq!(reply.reasoning, expect["reasoning"], "{case}");
    let finish = match expect["finish_reason"].as_str() {
        None => Finish::Unknown,
        Some("length") => Finish::Length,
        Some("content_filter" | "sensitive") => Finish::Filtered,
        Some(_) => Finish::Stop,
    };
    assert_eq!(reply.finish, finish, "{case}");
    let calls = expect["tool_calls"].as_array().unwrap();
    assert_eq!(reply.tool_calls.len(), calls.len(), "{case}");
    for (call, expected) in reply.tool_calls.iter().zip(calls) {
        match expected["id"].as_str() {
            Some(id) => assert_eq!(call.id, id, "{case}"),
            None => assert!(!call.id.is_empty(), "{case}"),
        }
        assert_eq!(call.name, expected["name"], "{case}");
        assert_eq!(call.arguments, expected["arguments"], "{case}");
    }
    // The vectors do not say what was cached.
    let usage = reply.usage.map(|usage| {
        json!({
            "prompt_tokens": usage.prompt_tokens,
            "completion_tokens": usage.completion_tokens,
            "total_tokens": usage.total_tokens,
        })
    });
    assert_eq!(usage.unwrap_or_default(), expect["usage"], "{case}");
}

#[derive(Debug, PartialEq)]
struct Decoded {
    text: String,
    end: Result<Reply, ModelError>,
}

/// What the client makes of a body that is read in pieces.
fn decode(body: &[u8], cuts: &[usize]) -> Decoded {
    let mut pieces = Vec::new();
    let mut from = 0;
    for &cut in cuts.iter().chain([&body.len()]) {
        pieces.push(Bytes::copy_from_slice(&body[from..cut]));
        from = cut;
    }
    let reads = stream::iter(pieces.into_iter().map(Ok));
    let mut answer = accumulator();
    let mut shown = String::new();
    let read = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap()
        .block_on(read::events(
            reads,
            &mut answer,
            Duration::from_secs(60),
            &mut |text| text.clone_into(&mut shown),
        ));
    let end = read.and_then(|()| answer.finish());
    let text = end.as_ref().map_or(shown, |reply| reply.text.clone());
    Decoded { text, end }
}

fn accumulator() -> Accumulator {
    Accumulator::new(AnswerLimits::default(), 7)
}

fn streams_in(folder: &Path) -> Vec<PathBuf> {
    let mut streams: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|kind| kind == "txt"))
        .filter(|path| path.with_extension("expect.json").is_file())
        .collect();
    streams.sort();
    streams
}

fn vectors() -> PathBuf {
    workspace().join("vectors/llm_sse")
}

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Events that nearly make sense.
fn event() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        "(<think>|</think>|[a-z你 ]{0,5}|stop|error)".prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 40, 4, |inner| {
        let key = prop::sample::select(vec![
            "choices",
            "delta",
            "message",
            "content",
            "tool_calls",
            "function",
            "index",
            "id",
            "name",
            "arguments",
            "finish_reason",
            "usage",
            "error",
            "reasoning",
            "code",
        ]);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::vec((key, inner), 0..5).prop_map(|fields| {
                let named = fields
                    .into_iter()
                    .map(|(key, value)| (key.to_owned(), value));
                Value::Object(named.collect())
            }),
        ]
    })
}
