//! `/sim/…` and the chat page: the world seen and moved from outside.

mod page;
mod stream;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::Request;
use axum::response::Response;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::events::Event;
use crate::faults::Fault;
use crate::link::LinkAction;
use crate::lock::lock;
use crate::people::{self, CardAction, UserMessage};
use crate::server::{empty_response, json_response, query_pairs, read_body};
use crate::shared::Shared;
use crate::view::ChatType;
use crate::{SimError, delivery, webhook};

pub(crate) async fn route(shared: Arc<Shared>, request: Request) -> Response {
    if !is_from_here(request.headers()) {
        return empty_response(StatusCode::FORBIDDEN);
    }
    let path = request.uri().path().to_owned();
    if request.method() == Method::GET && path == "/sim/stream" {
        return stream::stream(&shared);
    }
    let Some(path) = path.strip_prefix("/sim/") else {
        return page::file(&path);
    };
    let (head, body) = match read_body(request).await {
        Ok(read) => read,
        Err(refusal) => return refusal,
    };
    let segments: Vec<&str> = path.split('/').collect();
    let query = query_pairs(head.uri.query().unwrap_or_default());
    let answer = match (&head.method, segments.as_slice()) {
        (&Method::GET, ["resources", key]) => return resource(&shared, key),
        (&Method::GET, rest) => look(&shared, rest, &query),
        (_, rest) => act(&shared, &head.method, rest, &query, &body).await,
    };
    match answer {
        Ok(body) => json_response(StatusCode::OK, &body),
        Err(Refusal { status, error }) => json_response(status, &json!({"error": error})),
    }
}

/// Whether no foreign web page is behind a request. A browser lets any site
/// post to loopback, and a bot that acts on what "people" say would obey it: so
/// the origin must be this page's, and the host no name that a foreign DNS
/// server could have pointed here (those have a dot).
fn is_from_here(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).map(|value: &HeaderValue| value.to_str());
    let Some(Ok(host)) = text(header::HOST) else {
        return false;
    };
    let is_address = host.parse::<SocketAddr>().is_ok() || host.parse::<IpAddr>().is_ok();
    let is_ours = match text(header::ORIGIN) {
        None => true,
        Some(Ok(origin)) => origin.strip_prefix("http://") == Some(host),
        Some(Err(_)) => false,
    };
    (is_address || !host.contains('.')) && is_ours
}

struct Refusal {
    status: StatusCode,
    error: String,
}

impl From<SimError> for Refusal {
    fn from(why: SimError) -> Self {
        let status = match why {
            SimError::Unknown { .. } => StatusCode::NOT_FOUND,
            SimError::Full { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            SimError::Bind { .. } | SimError::Invalid(_) => StatusCode::BAD_REQUEST,
        };
        Self {
            status,
            error: why.to_string(),
        }
    }
}

fn no_route() -> Refusal {
    Refusal {
        status: StatusCode::NOT_FOUND,
        error: "no such route; feishu-sim's README lists them".to_owned(),
    }
}

/// Routes that change nothing.
fn look(shared: &Shared, segments: &[&str], query: &[(String, String)]) -> Result<Value, Refusal> {
    match segments {
        ["chats"] => {
            let world = lock(&shared.world);
            let chats: Vec<_> = world
                .chats_in_order()
                .into_iter()
                .map(|chat| world.chat_view(chat))
                .collect();
            let people: Vec<_> = world.people.values().collect();
            Ok(json!({"bot": world.person_view(&world.bot), "people": people, "chats": chats}))
        }
        ["chats", chat_id, "messages"] => {
            let limit = query
                .iter()
                .find(|(key, _)| key == "limit")
                .and_then(|(_, value)| value.parse().ok())
                .unwrap_or(MESSAGES_SHOWN)
                .clamp(1, MESSAGES_SHOWN_MAX);
            let world = lock(&shared.world);
            let chat = world.chat(chat_id)?;
            Ok(json!({
                "chat": world.chat_view(chat),
                "messages": world.chat_messages(chat, limit),
            }))
        }
        ["messages", message_id] => {
            let world = lock(&shared.world);
            let message = world.message(message_id)?;
            Ok(json!({"message": world.message_view(message)}))
        }
        ["messages", message_id, "versions"] => {
            let world = lock(&shared.world);
            let message = world.message(message_id)?;
            Ok(json!({"versions": world.version_views(message)}))
        }
        ["link"] => Ok(json!(shared.link())),
        ["faults"] => Ok(json!({"faults": shared.faults.list()})),
        ["stats"] => {
            let connections = lock(&shared.links).connections();
            let mut stats = lock(&shared.log).to_json();
            if let Some(fields) = stats.as_object_mut() {
                fields.insert("connections".to_owned(), json!(connections));
                let everyone = lock(&shared.world).everyone_mentioned;
                fields.insert("everyone_mentioned".to_owned(), json!(everyone));
            }
            Ok(stats)
        }
        _ => Err(no_route()),
    }
}

#[derive(Deserialize)]
struct FaultList {
    faults: Vec<Fault>,
}

#[derive(Deserialize)]
struct Recall {
    message_id: String,
}

#[derive(Deserialize)]
struct Reaction {
    message_id: String,
    sender: String,
    emoji_type: String,
    #[serde(default)]
    remove: bool,
}

#[derive(Deserialize)]
struct NewChat {
    chat_type: ChatType,
    name: String,
    #[serde(default)]
    members: Vec<String>,
}

#[derive(Deserialize)]
struct NewPerson {
    name: String,
}

#[derive(Deserialize)]
struct Membership {
    chat_id: String,
    open_id: String,
    #[serde(default)]
    remove: bool,
}

#[derive(Deserialize)]
struct Webhook {
    url: Option<String>,
    #[serde(default)]
    verify: bool,
}

/// Routes that do something.
async fn act(
    shared: &Arc<Shared>,
    method: &Method,
    segments: &[&str],
    query: &[(String, String)],
    body: &Bytes,
) -> Result<Value, Refusal> {
    match (method, segments) {
        (&Method::POST, ["messages"]) => {
            let sent = people::say(shared, json_body::<UserMessage>(body)?)?;
            let world = lock(&shared.world);
            let view = world
                .message(&sent.message_id)
                .map(|message| world.message_view(message))?;
            Ok(json!({
                "message_id": sent.message_id,
                "event_id": sent.event_id,
                "message": view,
            }))
        }
        (&Method::POST, ["resources"]) => {
            let named = |key: &str| query.iter().find(|(known, _)| known == key);
            let text = |key| named(key).map_or("", |(_, value)| value.as_str());
            let kind = serde_json::from_value(json!(text("kind")))
                .map_err(|_| SimError::Invalid("kind is file, image, audio or video".to_owned()))?;
            let key = people::store(&mut lock(&shared.world), kind, text("name"), body.clone());
            Ok(json!({"key": key}))
        }
        (&Method::POST, ["forward"]) => {
            let sent = people::forward(shared, json_body(body)?)?;
            Ok(json!({"message_id": sent.message_id, "event_id": sent.event_id}))
        }
        (&Method::POST, ["people"]) => {
            let wanted: NewPerson = json_body(body)?;
            let mut world = lock(&shared.world);
            let open_id = world.add_somebody(&wanted.name)?;
            Ok(json!(world.person_view(&open_id)))
        }
        (&Method::POST, ["members"]) => {
            let wanted: Membership = json_body(body)?;
            let mut world = lock(&shared.world);
            if wanted.remove {
                world.remove_member(&wanted.chat_id, &wanted.open_id)?;
            } else {
                world.add_member(&wanted.chat_id, &wanted.open_id)?;
            }
            Ok(json!({"ok": true}))
        }
        (&Method::POST, ["recall"]) => {
            people::recall(shared, &json_body::<Recall>(body)?.message_id)?;
            Ok(json!({"ok": true}))
        }
        (&Method::POST, ["reactions"]) => {
            let wanted: Reaction = json_body(body)?;
            people::react(
                shared,
                &wanted.message_id,
                &wanted.sender,
                &wanted.emoji_type,
                wanted.remove,
            )?;
            Ok(json!({"ok": true}))
        }
        (&Method::POST, ["card_action"]) => {
            let pressed = people::press(shared, json_body::<CardAction>(body)?).await?;
            Ok(json!({
                "ok": true,
                "status": pressed.status,
                "response": pressed.response,
                "card": pressed.card,
            }))
        }
        (&Method::POST, ["events"]) => {
            let event = Event::from_body(&json_body(body)?).ok_or_else(|| {
                SimError::Invalid("neither a 2.0 nor a 1.0 event: no id or no type".to_owned())
            })?;
            let event_id = event.event_id.clone();
            delivery::deliver(shared, event)?;
            Ok(json!({"event_id": event_id}))
        }
        (&Method::POST, ["chats"]) => {
            let wanted: NewChat = json_body(body)?;
            let mut world = lock(&shared.world);
            let chat_id = world.add_chat(None, wanted.chat_type, &wanted.name, &wanted.members)?;
            let chat = world.chat(&chat_id)?;
            Ok(json!(world.chat_view(chat)))
        }
        (&Method::PUT, ["faults"]) => {
            let list: FaultList = json_body(body)?;
            shared.faults.set(list.faults);
            Ok(faults_told(shared))
        }
        (&Method::DELETE, ["faults"]) => {
            shared.faults.clear();
            Ok(faults_told(shared))
        }
        (&Method::POST, ["link"]) => {
            let action: LinkAction = json_body(body)?;
            let connections = lock(&shared.links).act(&action);
            Ok(json!({"connections": connections}))
        }
        (&Method::PUT, ["webhook"]) => {
            let wanted: Webhook = json_body(body)?;
            if let (Some(url), true) = (&wanted.url, wanted.verify) {
                webhook::verify_url(shared, url)
                    .await
                    .map_err(|why| SimError::Invalid(format!("URL check failed: {why}")))?;
            }
            (*lock(&shared.webhook_url)).clone_from(&wanted.url);
            Ok(json!({"ok": true, "url": wanted.url}))
        }
        (&Method::POST, ["reset"]) => {
            shared.reset();
            Ok(json!({"ok": true}))
        }
        _ => Err(no_route()),
    }
}

/// The faults now in force, told to the stream too.
fn faults_told(shared: &Shared) -> Value {
    let faults = json!({"faults": shared.faults.list()});
    shared.changes.announce("faults", || faults.clone());
    faults
}

fn json_body<T: DeserializeOwned>(body: &Bytes) -> Result<T, SimError> {
    serde_json::from_slice(body).map_err(|why| SimError::Invalid(format!("body: {why}")))
}

/// An image or file. Never as a type that a browser would run.
fn resource(shared: &Shared, key: &str) -> Response {
    let resource = lock(&shared.world).resources.get(key).cloned();
    let Some(resource) = resource else {
        return empty_response(StatusCode::NOT_FOUND);
    };
    let mut response = Response::new(resource.bytes.into());
    let headers = response.headers_mut();
    if let Ok(mime) = HeaderValue::from_str(&resource.mime) {
        headers.insert(header::CONTENT_TYPE, mime);
    }
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    response
}

/// Messages shown unless asked, and at most.
const MESSAGES_SHOWN: usize = 200;
const MESSAGES_SHOWN_MAX: usize = 500;
