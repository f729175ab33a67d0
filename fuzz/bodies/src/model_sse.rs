//! A model server's answer, cut by the network anywhere: the cuts don't
//! matter, text only grows, and what is asked of an answer holds.

use std::convert::Infallible;
use std::sync::LazyLock;

use arbitrary::{Arbitrary, Unstructured};
use futures_util::stream;
use tokio::runtime::{Builder, Runtime};
use xiaoo_agent::model::{AnswerLimits, ModelTimeouts, reply_of};
use xiaoo_agent::{ModelError, Reply};

/// Longer bodies are not also read byte by byte: it takes too long.
const EACH_BYTE_MAX: usize = 1000;

/// One for all runs: making it takes longer than an answer.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    let mut builder = Builder::new_current_thread();
    builder.enable_time().build().expect("a runtime")
});

/// A body, and how it comes in.
#[derive(Arbitrary, Debug)]
struct Response<'a> {
    /// Bit 0: announced as one piece of JSON. Bit 1: with limits that are soon
    /// met.
    setup: u8,
    /// The lengths of the reads, over and over; 0 reads to the end.
    reads: [u8; 3],
    body: &'a [u8],
}

/// Reads one body three ways.
pub fn model_sse(bytes: &[u8]) {
    let Ok(response) = Response::arbitrary_take_rest(Unstructured::new(bytes)) else {
        return;
    };
    if response.setup & 2 != 0 {
        // Where a limit is met depends on the reads: it is one for each read.
        limits_hold(&response);
        return;
    }
    let limits = AnswerLimits::default();
    let whole = answer(&response, &[], limits);
    assert_eq!(answer(&response, &response.reads, limits), whole);
    if response.body.len() <= EACH_BYTE_MAX {
        assert_eq!(answer(&response, &[1], limits), whole);
    }
    if let Ok(reply) = &whole.end {
        is_sound(reply, limits);
    }
}

fn limits_hold(response: &Response<'_>) {
    let mut limits = AnswerLimits::default();
    limits.stream_bytes_max = 2000;
    limits.event_bytes_max = 400;
    limits.content_bytes_max = 100;
    limits.tool_calls_max = 3;
    let answer = answer(response, &response.reads, limits);
    assert!(answer.shown.len() <= limits.content_bytes_max);
    if let Ok(reply) = &answer.end {
        is_sound(reply, limits);
    }
}

/// Ids are there to answer the calls by; nothing is larger than it may be.
fn is_sound(reply: &Reply, limits: AnswerLimits) {
    let calls = &reply.tool_calls;
    assert!(calls.len() <= limits.tool_calls_max);
    assert!(calls.iter().all(|call| !call.id.is_empty()));
    let arguments = calls
        .iter()
        .map(|call| call.name.len() + call.arguments.len());
    let content = reply.text.len() + reply.reasoning.len() + arguments.sum::<usize>();
    assert!(content <= limits.content_bytes_max);
}

#[derive(Debug, PartialEq)]
struct Answer {
    /// The text that was shown last.
    shown: String,
    end: Result<Reply, ModelError>,
}

fn answer(response: &Response<'_>, reads: &[u8], limits: AnswerLimits) -> Answer {
    let mut shown = String::new();
    let mut grown = |text: &str| {
        assert!(text.len() > shown.len() && text.starts_with(&shown));
        text.clone_into(&mut shown);
    };
    let kind = match response.setup & 1 {
        0 => "text/event-stream",
        _ => "application/json",
    };
    let pieces = pieces(response.body, reads)
        .into_iter()
        .map(Ok::<_, Infallible>);
    let http = http::Response::builder()
        .header("content-type", kind)
        .body(reqwest::Body::wrap_stream(stream::iter(pieces)))
        .expect("a good header");
    let timeouts = ModelTimeouts::default();
    let end = RUNTIME.block_on(reply_of(http.into(), timeouts, limits, 7, &mut grown));
    if let Ok(reply) = &end {
        assert!(reply.text.starts_with(&shown), "what was shown is gone");
    }
    Answer { shown, end }
}

fn pieces(body: &[u8], reads: &[u8]) -> Vec<Vec<u8>> {
    let mut rest = body;
    let mut pieces = Vec::new();
    for len in reads.iter().cycle() {
        if rest.is_empty() || *len == 0 {
            break;
        }
        let (piece, after) = rest.split_at(rest.len().min((*len).into()));
        pieces.push(piece.to_vec());
        rest = after;
    }
    pieces.push(rest.to_vec());
    pieces
}
