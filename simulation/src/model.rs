//! The model's server.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::{BoxFuture, FutureExt as _};
use reqwest::{Body, Request, Response};
use serde_json::{Value, json};
use tokio::time::sleep;
use xiaoo_agent::{Attachment, Tool, ToolContext, ToolOutput};

use crate::feishu::network::{broken, response};
use crate::feishu::shown::mark;
use crate::world::World;

/// Lines of a long answer: some four messages.
const LONG: usize = 220;
/// One call of so many gives a file.
const FILE_EACH: u64 = 3;

/// What the model is asked now.
#[derive(Default)]
pub struct Asked {
    calls: BTreeMap<u64, Call>,
    runs: u64,
}

struct Call {
    pid: u32,
    lane: String,
    /// The lease under it ran out: another may run beside it.
    lapsed: bool,
}

impl Asked {
    /// A process is gone, and its questions with it.
    pub fn forget(&mut self, pid: u32) {
        self.calls.retain(|_, call| call.pid != pid);
    }

    /// Leases have run out.
    pub fn lapse(&mut self) {
        for call in self.calls.values_mut() {
            call.lapsed = true;
        }
    }
}

/// Ends a question when its answer is read or given up.
struct Open(World, u64);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.lock().asked.calls.remove(&self.1);
    }
}

/// Answers a question of a process.
pub async fn exchange(
    world: World,
    pid: u32,
    request: Request,
) -> Result<Response, reqwest::Error> {
    if !world.lives(pid) {
        return std::future::pending().await;
    }
    let body = request.body().and_then(Body::as_bytes);
    let question: Value = serde_json::from_slice(body.unwrap_or_default()).unwrap_or_default();
    let Some((message, open)) = begin(&world, pid, &question) else {
        return Ok(response(400, "{}".into()));
    };
    let faults = &world.plan().faults;
    sleep(world.millis(100..3_000)).await;
    if world.strikes(faults.model_hangs, "the model hangs") {
        sleep(Duration::from_secs(900)).await;
    }
    if !world.lives(pid) {
        return std::future::pending().await;
    }
    if world.strikes(faults.model_fails, "the model fails") {
        let kind = world.lock().rng.usize(0..4);
        match kind {
            0 => return Err(broken()),
            1 => return Ok(response(500, r#"{"error":{"message":"oops"}}"#.into())),
            2 => return Ok(response(429, r#"{"error":{"message":"slow down"}}"#.into())),
            _ => {
                let half = vec![delta(json!({"content": "half an answ"}))];
                return Ok(stream(world, pid, open, half, false));
            }
        }
    }
    let last = question["messages"].as_array().and_then(|all| all.last());
    let is_after_tool = last.is_some_and(|last| last["role"] == "tool");
    let mut state = world.lock();
    state.asked.runs += 1;
    let run = state.asked.runs;
    drop(state);
    let wants_tool = !is_after_tool && question["tools"].is_array();
    if wants_tool && world.strikes(faults.model_tools, "a tool is wanted") {
        let call = json!({"tool_calls": [{"index": 0, "id": format!("call_{run}"), "type": "function",
            "function": {"name": "note", "arguments": json!({"run": run, "about": message}).to_string()}}]});
        let chunks = vec![delta(call), finish("tool_calls")];
        return Ok(stream(world, pid, open, chunks, true));
    }
    world.step(format_args!("the model answers {message}, run {run}"));
    let is_long = message.ends_with('7');
    let lines = if is_long { LONG } else { 1 };
    // Texts are known again by their letters alone.
    let letters = letters(run);
    let line = |number| {
        let padding = if is_long {
            "words and words and words and more of them, on and on "
        } else {
            ""
        };
        format!("{letters} about={message} run={run} line={number} {padding}{padding}{padding}\n\n")
    };
    let text: Vec<String> = (1..=lines).map(line).collect();
    let half = text.len() / 2;
    let chunks = vec![
        delta(json!({"content": text[..half].concat()})),
        delta(json!({"content": text[half..].concat()})),
        finish("stop"),
    ];
    Ok(stream(world, pid, open, chunks, true))
}

/// Checks the question, and counts it as open.
fn begin(world: &World, pid: u32, question: &Value) -> Option<(String, Open)> {
    let messages = question["messages"].as_array()?;
    let asks = |message: &Value| {
        let is_user = message["role"] == "user";
        mark(message["content"].as_str().filter(|_| is_user)?, "q=")
    };
    let at = messages
        .iter()
        .rposition(|message| asks(message).is_some())?;
    let message = asks(&messages[at])?;
    let mut state = world.lock();
    let state = &mut *state;
    let turn = *state.ledger.by_message.get(&message)?;
    let record = state.ledger.turns.get(&turn)?;
    let lane = record.conversation.clone();
    let known = messages.len() - at - 1;
    let lapsed = state.ledger.lapsed.contains(&turn);
    if (known as u32) < record.steps_at_claim && !lapsed {
        let kept = record.steps_at_claim;
        state.violated(format_args!(
            "{message} is asked about without its {kept} steps"
        ));
    }
    for earlier in messages[..at].iter().filter_map(asks) {
        let theirs = state.ledger.by_message.get(&earlier);
        let theirs = theirs.and_then(|turn| state.ledger.turns.get(turn));
        if theirs.is_none_or(|theirs| theirs.conversation != lane) {
            state.violated(format_args!(
                "{message} is asked about with {earlier} of another chat"
            ));
        }
    }
    if state.chat_of.get(&message) != state.chat_of_lane(&lane) {
        state.violated(format_args!("{message} is in the conversation {lane}"));
    }
    let lapsed = state.ledger.lapsed.contains(&turn);
    let mut others = state.asked.calls.values();
    if !lapsed && others.any(|other| other.lane == lane && !other.lapsed) {
        state.violated(format_args!("two turns of {lane} ask the model at once"));
    }
    let mine = state
        .asked
        .calls
        .values()
        .filter(|call| call.pid == pid)
        .count();
    if mine >= world.plan().turns_max {
        state.violated(format_args!("process {pid} asks {mine} questions at once"));
    }
    let id = state.feishu.new_number();
    state.step(format_args!("process {pid} asks the model about {message}"));
    state.asked.calls.insert(id, Call { pid, lane, lapsed });
    Some((message, Open(world.clone(), id)))
}

/// A number in letters.
fn letters(mut number: u64) -> String {
    let mut letters = String::new();
    while number > 0 {
        letters.push(char::from(b'a' + (number % 26) as u8));
        number /= 26;
    }
    letters
}

fn delta(delta: Value) -> Value {
    json!({"choices": [{"index": 0, "delta": delta}]})
}

fn finish(reason: &str) -> Value {
    json!({"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]})
}

/// The chunks, one after the other; a stream that is not whole breaks off.
fn stream(world: World, pid: u32, open: Open, chunks: Vec<Value>, is_whole: bool) -> Response {
    let mut events: Vec<String> = chunks
        .iter()
        .map(|chunk| format!("data: {chunk}\n\n"))
        .collect();
    if is_whole {
        events.push("data: [DONE]\n\n".to_owned());
    }
    let state = (world, open, events.into_iter());
    let events = futures_util::stream::unfold(state, move |(world, open, mut events)| async move {
        let event = events.next()?;
        sleep(world.millis(10..2_500)).await;
        if !world.lives(pid) {
            return std::future::pending().await;
        }
        Some((Ok::<_, std::io::Error>(event), (world, open, events)))
    });
    let mut response = http::Response::new(Body::wrap_stream(events.boxed()));
    let kind = http::HeaderValue::from_static("text/event-stream");
    response.headers_mut().insert("content-type", kind);
    Response::from(response)
}

/// A tool that notes that it was called: never twice for one call. Some calls give a file to go out
/// with the answer.
pub struct Note(pub World);

impl Tool for Note {
    fn name(&self) -> &str {
        "note"
    }

    fn description(&self) -> &str {
        "Notes something."
    }

    fn parameters(&self) -> Value {
        json!({"type": "object"})
    }

    fn call<'a>(&'a self, arguments: Value, _: &'a ToolContext) -> BoxFuture<'a, ToolOutput> {
        async move {
            let run = arguments["run"].as_u64().unwrap_or(0);
            {
                let mut state = self.0.lock();
                if !state.noted.insert(run) {
                    state.violated(format_args!("the tool call of run {run} is made twice"));
                }
            }
            sleep(self.0.millis(1..2_000)).await;
            let mut output = ToolOutput::ok("noted");
            if run.is_multiple_of(FILE_EACH) {
                let about = arguments["about"].as_str().unwrap_or_default();
                output.attachments.push(Attachment {
                    key: Some(format!("about={about} file={run}")),
                    name: "note.txt".into(),
                    is_image: false,
                });
            }
            output
        }
        .boxed()
    }
}
