//! The routes.

use core::time::Duration;
use std::collections::HashSet;
use std::io;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::body::Body;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, Path, State as Shared};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use bytes::Bytes;
use http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::state::{Answering, State};
use crate::wire::{self, Answer, Envelope};
use crate::{RecordedRequest, Script, demo};

/// Everything under `/v1`.
pub(crate) fn router(state: Arc<State>) -> Router {
    Router::new()
        .route("/v1/models", get(models))
        .route("/v1/models/{model}", get(model))
        .route("/v1/chat/completions", post(chat_completions))
        .fallback(unknown)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(state)
}

/// The messages of a request; empty when it has none.
pub(crate) fn messages(body: &Value) -> &[Value] {
    let messages = body.get("messages").and_then(Value::as_array);
    messages.map(Vec::as_slice).unwrap_or_default()
}

async fn models(Shared(state): Shared<Arc<State>>, headers: HeaderMap) -> Response {
    if let Some(refusal) = missing_key(&state, &headers) {
        return refusal;
    }
    Json(json!({"object": "list", "data": [description(&state.config.model)]})).into_response()
}

async fn model(
    Shared(state): Shared<Arc<State>>,
    Path(model): Path<String>,
    headers: HeaderMap,
) -> Response {
    if let Some(refusal) = missing_key(&state, &headers) {
        return refusal;
    }
    if model != state.config.model {
        return refuse(
            StatusCode::NOT_FOUND,
            &format!("The model '{model}' does not exist"),
        );
    }
    Json(description(&model)).into_response()
}

fn description(model: &str) -> Value {
    json!({"id": model, "object": "model", "created": 0, "owned_by": "model-sim"})
}

async fn unknown() -> Response {
    refuse(
        StatusCode::NOT_FOUND,
        "there is nothing here but /v1/models and /v1/chat/completions",
    )
}

async fn chat_completions(
    Shared(state): Shared<Arc<State>>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    if let Some(refusal) = missing_key(&state, &headers) {
        return refusal;
    }
    let bytes = match body {
        Ok(bytes) => bytes,
        Err(rejection) => return refuse(rejection.status(), &rejection.body_text()),
    };
    let Ok(body) = serde_json::from_slice::<Value>(&bytes) else {
        return refuse(StatusCode::BAD_REQUEST, "the request body is not JSON");
    };
    if let Err(why) = check_messages(&body) {
        return refuse(StatusCode::BAD_REQUEST, &why);
    }
    let request = RecordedRequest {
        had_key: bearer(&headers).is_some(),
        body,
    };
    let answering = state.begin_answer();
    let respond = Respond {
        is_streamed: request.body.get("stream") == Some(&Value::Bool(true)),
        envelope: envelope(&state, &request.body, bytes.len()),
        delay: state.config.chunk_delay,
        answering,
    };
    let script = match refusal_of_length(&state, bytes.len()) {
        Some(refusal) => refusal,
        None => {
            let script = state.take_script(&request);
            script.unwrap_or_else(|| demo::script(&request.body))
        }
    };
    state.record(bytes.len(), request);
    respond.with(script).await
}

/// How one request is to be answered.
struct Respond {
    is_streamed: bool,
    envelope: Envelope,
    delay: Duration,
    answering: Answering,
}

impl Respond {
    async fn with(self, script: Script) -> Response {
        let answer = |text| Answer {
            text,
            calls: Vec::new(),
        };
        match script {
            Script::Answer(text) => self.say(&answer(text)),
            Script::ToolCalls { text, calls } => self.say(&Answer { text, calls }),
            Script::Slow { text, chunk_delay } => Self {
                delay: chunk_delay,
                ..self
            }
            .say(&answer(text)),
            Script::Status {
                status,
                headers,
                body,
            } => scripted_status(status, &headers, body),
            Script::Raw {
                content_type,
                chunks,
            } => self.send(&content_type, chunks, End::Whole),
            Script::HangBeforeHeaders => core::future::pending().await,
            Script::HangMidStream { text, pieces } => {
                let mut events = self.envelope.events(&answer(text));
                // The first event is the role.
                events.truncate(pieces.saturating_add(1));
                self.stream(events, End::Hang)
            }
            Script::CutAfter { text, bytes } => {
                let mut stream = self.envelope.events(&answer(text)).concat();
                stream.truncate(bytes);
                self.stream(vec![stream.into()], End::Cut)
            }
            Script::CommentsOnly { every } => self.stream(Vec::new(), End::Comments(every)),
        }
    }

    fn say(self, answer: &Answer) -> Response {
        if self.is_streamed {
            let events = self.envelope.events(answer);
            self.stream(events, End::Whole)
        } else {
            Json(self.envelope.whole(answer)).into_response()
        }
    }

    fn stream(self, events: Vec<Bytes>, end: End) -> Response {
        let delay = self.delay;
        let chunks = events.into_iter().map(|event| (delay, event)).collect();
        self.send("text/event-stream; charset=utf-8", chunks, end)
    }

    fn send(self, content_type: &str, chunks: Vec<(Duration, Bytes)>, end: End) -> Response {
        let answering = self.answering;
        let body = Body::from_stream(async_stream::stream! {
            let _answering = answering;
            for (pause, bytes) in chunks {
                if !pause.is_zero() {
                    sleep(pause).await;
                }
                yield Ok(bytes);
                // Each piece is a read of its own for the client, as far as the kernel allows.
                tokio::task::yield_now().await;
            }
            match end {
                End::Whole => {}
                End::Hang => core::future::pending().await,
                End::Cut => yield Err(io::Error::from(io::ErrorKind::ConnectionReset)),
                End::Comments(every) => loop {
                    sleep(every).await;
                    yield Ok(Bytes::from_static(b": keep-alive\n\n"));
                },
            }
        });
        let Ok(content_type) = HeaderValue::from_str(content_type) else {
            return refuse(
                StatusCode::INTERNAL_SERVER_ERROR,
                "the script's content type is no header value",
            );
        };
        let headers = [
            (CONTENT_TYPE, content_type),
            (CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        ];
        (headers, body).into_response()
    }
}

/// What comes after the last scripted byte.
enum End {
    /// The proper end.
    Whole,
    /// Nothing, with the connection open.
    Hang,
    /// The connection breaks.
    Cut,
    /// Comments for ever.
    Comments(Duration),
}

fn scripted_status(status: u16, headers: &[(String, String)], body: String) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in headers {
        if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), value.parse()) {
            response.headers_mut().append(name, value);
        }
    }
    response
}

fn envelope(state: &State, body: &Value, prompt_bytes: usize) -> Envelope {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let model = body.get("model").and_then(Value::as_str);
    let options = body.get("stream_options");
    Envelope {
        number: state.next_answer(),
        created: now.unwrap_or_default().as_secs(),
        model: model.unwrap_or(&state.config.model).to_owned(),
        prompt_bytes,
        include_usage: options.and_then(|o| o.get("include_usage")) == Some(&Value::Bool(true)),
    }
}

/// What a request gets that is longer than the window.
fn refusal_of_length(state: &State, bytes: usize) -> Option<Script> {
    let window = state.config.context_window?;
    let tokens = wire::tokens(bytes);
    (tokens > window).then(|| Script::Status {
        status: 400,
        headers: vec![("content-type".into(), "application/json".into())],
        body: wire::too_long(window, tokens).to_string(),
    })
}

/// What every server with a chat template insists on: calls are answered at once, and nothing
/// else is.
fn check_messages(body: &Value) -> Result<(), String> {
    let messages = messages(body);
    if messages.is_empty() {
        return Err("'messages' must be a non-empty array".into());
    }
    if body.get("tools") == Some(&json!([])) {
        return Err("'tools' must not be an empty array".into());
    }
    let mut open: HashSet<&str> = HashSet::new();
    for message in messages {
        let text = |name: &str| message.get(name).and_then(Value::as_str);
        let role = text("role").unwrap_or_default();
        if role == "tool" {
            let id = text("tool_call_id").unwrap_or_default();
            if !open.remove(id) {
                return Err(format!(
                    "tool message {id:?} answers no preceding tool call"
                ));
            }
            continue;
        }
        if let Some(id) = open.iter().next() {
            return Err(format!("tool call {id:?} has no answer"));
        }
        match role {
            "system" | "developer" => {}
            "user" => check_parts(message)?,
            "assistant" => {
                let calls = message.get("tool_calls").and_then(Value::as_array);
                for call in calls.into_iter().flatten() {
                    let id = call.get("id").and_then(Value::as_str).unwrap_or_default();
                    let arguments = call.pointer("/function/arguments").and_then(Value::as_str);
                    let arguments = arguments.unwrap_or_default();
                    if id.is_empty() || !open.insert(id) {
                        return Err(format!("tool call id {id:?} is empty or comes twice"));
                    }
                    if serde_json::from_str::<Value>(arguments).is_err() {
                        return Err(format!("the arguments of tool call {id:?} are not JSON"));
                    }
                }
            }
            other => return Err(format!("unknown role {other:?}")),
        }
    }
    match open.iter().next() {
        Some(id) => Err(format!("tool call {id:?} has no answer")),
        None => Ok(()),
    }
}

/// Parts of a message are texts, and pictures that are there.
fn check_parts(message: &Value) -> Result<(), String> {
    let parts = message.get("content").and_then(Value::as_array);
    for part in parts.into_iter().flatten() {
        let text = |pointer: &str| part.pointer(pointer).and_then(Value::as_str);
        match text("/type") {
            Some("text") if text("/text").is_some() => {}
            Some("image_url") => {
                let url = text("/image_url/url").unwrap_or_default();
                let is_data = url.starts_with("data:image/") && url.contains(";base64,");
                if !is_data && !url.starts_with("https://") && !url.starts_with("http://") {
                    return Err("an image_url is neither an address nor a data: URL".into());
                }
            }
            _ => return Err("a part of the content is neither text nor image_url".into()),
        }
    }
    Ok(())
}

/// The refusal of a request without the key, where one is asked for.
fn missing_key(state: &State, headers: &HeaderMap) -> Option<Response> {
    let key = state.config.api_key.as_deref()?;
    (bearer(headers) != Some(key))
        .then(|| refuse(StatusCode::UNAUTHORIZED, "Incorrect API key provided."))
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    value.strip_prefix("Bearer ")
}

fn refuse(status: StatusCode, message: &str) -> Response {
    (status, Json(wire::error(message, "invalid_request_error"))).into_response()
}

/// Larger than any prompt that a test or a demonstration sends, pictures included.
const BODY_BYTES_MAX: usize = 32 << 20;
