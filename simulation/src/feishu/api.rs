//! The platform's calls, as far as the daemon makes them.

use serde_json::{Value, json};

use super::limits::{self, Excess};
use super::shown::{self, is_final};
use super::{APP_ID, BOT, Message};
use crate::world::State;

/// How long a uuid is remembered.
const UUID_KEPT_MS: i64 = 3_600_000;
/// The mark on what there is no room for.
pub const MARK: &str = "CrossMark";
/// How long a token lives.
const TOKEN_MS: i64 = 7_200_000;

/// A call as it arrives.
pub struct Call {
    /// `GET` and so on.
    pub method: String,
    /// The path behind the host.
    pub path: String,
    /// The query.
    pub query: Vec<(String, String)>,
    /// The bearer token.
    pub token: Option<String>,
    /// The body.
    pub body: Value,
}

/// HTTP status and body.
pub type Answer = (u16, Value);

fn code(status: u16, code: i64, msg: &str) -> Answer {
    (status, json!({"code": code, "msg": msg, "data": {}}))
}

fn data(data: Value) -> Answer {
    (200, json!({"code": 0, "msg": "ok", "data": data}))
}

/// Does what is asked, for a process.
pub fn answer(state: &mut State, pid: u32, call: &Call) -> Answer {
    let parts: Vec<&str> = call.path.trim_start_matches('/').split('/').collect();
    let now = state.now_ms();
    match (call.method.as_str(), parts.as_slice()) {
        ("POST", ["callback", "ws", "endpoint"]) => return endpoint(state, pid),
        ("POST", ["open-apis", "auth", ..]) => return token(state),
        _ => {}
    }
    let is_good =
        |(known, until): &(String, i64)| call.token.as_ref() == Some(known) && *until > now;
    if !state.feishu.tokens.iter().any(is_good) {
        state.saw("a token is not taken");
        return code(400, 99_991_663, "invalid access token");
    }
    match limits::of_all(state, call) {
        Some(Excess::Calls) => return code(429, 99_991_400, "too fast"),
        Some(Excess::Target) => return code(400, 230_020, "too fast"),
        None => {}
    }
    match (call.method.as_str(), parts.as_slice()) {
        ("GET", ["open-apis", "bot", "v3", "info"]) => (
            200,
            json!({"code": 0, "bot": {"open_id": BOT, "app_name": "xiaoO", "activate_status": 2}}),
        ),
        ("POST", ["open-apis", "im", "v1", "messages"]) => send(state, pid, call, None),
        ("GET", ["open-apis", "im", "v1", "messages"]) => list(state, call),
        ("POST", ["open-apis", "im", "v1", "messages", id, "reply"]) => {
            send(state, pid, call, Some(id))
        }
        ("PATCH", ["open-apis", "im", "v1", "messages", id]) => patch(state, pid, call, id),
        ("POST", ["open-apis", "im", "v1", "messages", id, "reactions"]) => react(state, call, id),
        ("GET", ["open-apis", "im", "v1", "messages", id, "reactions"]) => {
            reactions(state, call, id)
        }
        ("GET", ["open-apis", "im", "v1", "chats", id]) => chat(state, id),
        (
            "DELETE",
            [
                "open-apis",
                "im",
                "v1",
                "messages",
                id,
                "reactions",
                reaction,
            ],
        ) => unreact(state, id, reaction),
        // A group of whom nobody is told, and quotes of what is gone.
        ("GET", ["open-apis", "im", "v1", "chats", _, "members"]) => {
            data(json!({"items": [], "has_more": false}))
        }
        ("GET", ["open-apis", "im", "v1", "messages", _]) => data(json!({"items": []})),
        _ => {
            state.violated(format_args!("unknown call {} {}", call.method, call.path));
            code(404, 99_992_402, "no such call")
        }
    }
}

fn endpoint(state: &mut State, pid: u32) -> Answer {
    let ticket = state.feishu.new_number();
    state.step(format_args!("process {pid} asks for the endpoint"));
    let url = format!("ws://127.0.0.1:1/ws/v2?device_id={ticket}&service_id=7&ticket={ticket}");
    let config = json!({
        "ReconnectCount": -1, "ReconnectInterval": 30, "ReconnectNonce": 5, "PingInterval": 120
    });
    data(json!({"URL": url, "ClientConfig": config}))
}

fn token(state: &mut State) -> Answer {
    let now = state.now_ms();
    let tokens = &state.feishu.tokens;
    let good = tokens
        .iter()
        .rev()
        .find(|(_, until)| until - now >= 1_800_000);
    let (token, until) = match good.cloned() {
        Some(known) => known,
        None => {
            let number = state.feishu.new_number();
            let made = (format!("t-{number}"), now + TOKEN_MS);
            state.feishu.tokens.retain(|(_, until)| *until > now);
            state.feishu.tokens.push(made.clone());
            state.saw("a new token");
            made
        }
    };
    let expire = (until - now) / 1_000;
    (
        200,
        json!({"code": 0, "msg": "ok", "tenant_access_token": token, "expire": expire}),
    )
}

fn send(state: &mut State, pid: u32, call: &Call, reply_to: Option<&str>) -> Answer {
    let now = state.now_ms();
    let text = |name: &str| call.body[name].as_str().unwrap_or_default().to_owned();
    let uuid = text("uuid");
    if uuid.is_empty() || uuid.len() > 50 {
        state.violated(format_args!("a send with the uuid {uuid:?}"));
    }
    if let Some((made, at)) = state.feishu.uuids.get(&uuid).cloned() {
        if now - at < UUID_KEPT_MS {
            state.saw("a uuid again within the hour");
            state.step(format_args!("process {pid}: uuid of {made} again"));
            return data(json!({"message_id": made, "chat_id": ""}));
        }
        state.saw("a uuid again after its hour");
    }
    let (chat, thread) = match reply_to {
        Some(id) => match state.feishu.messages.get(id) {
            None => return code(400, 230_001, "no such message"),
            Some(message) if message.recalled => {
                state.saw("a reply to a recalled message");
                return code(400, 230_011, "recalled");
            }
            Some(message) => (message.chat.clone(), message.thread.clone()),
        },
        None => (text("receive_id"), None),
    };
    let id = format!("om_b{}", state.feishu.new_number());
    let message = Message {
        chat,
        thread,
        parent: reply_to.map(str::to_owned),
        sender: APP_ID.to_owned(),
        kind: text("msg_type"),
        content: text("content"),
        mentions: json!([]),
        created_ms: now,
        recalled: false,
    };
    let about = reply_to.unwrap_or("the chat");
    state.step(format_args!(
        "process {pid} sends {id}, {}, to {about}",
        message.kind
    ));
    shown::judge(state, pid, &id, &message);
    state.feishu.uuids.insert(uuid, (id.clone(), now));
    let chat = message.chat.clone();
    state.feishu.add(&id, message);
    data(json!({"message_id": id, "chat_id": chat}))
}

fn patch(state: &mut State, pid: u32, call: &Call, id: &str) -> Answer {
    let content = call.body["content"].as_str().unwrap_or_default().to_owned();
    let is_over = is_final(&content);
    let Some(message) = state.feishu.messages.get_mut(id) else {
        return code(400, 230_001, "no such message");
    };
    let was_over = is_final(&message.content);
    message.content = content;
    state.step(format_args!("process {pid} updates {id}, over: {is_over}"));
    if was_over && !is_over {
        state.saw("a late update behind the final state");
        if state.now_ms() - state.clock_jumped_ms < 60_000 {
            state.feishu.excused.insert(id.to_owned());
        }
    }
    if is_over
        && state
            .feishu
            .shown
            .maker(id)
            .is_some_and(|maker| maker != pid)
    {
        state.saw("a card is finished after a restart");
    }
    data(json!({}))
}

fn chat(state: &mut State, id: &str) -> Answer {
    state.saw("a chat's kind is asked for");
    let number: usize = id.trim_start_matches("oc_").parse().unwrap_or(0);
    let mode = if number % 2 == 1 { "group" } else { "p2p" };
    data(json!({"name": id, "chat_mode": mode}))
}

fn react(state: &mut State, call: &Call, id: &str) -> Answer {
    match state.feishu.messages.get(id) {
        Some(message) if !message.recalled => {}
        _ => return code(400, 231_003, "not found or recalled"),
    }
    let emoji = call.body["reaction_type"]["emoji_type"].as_str();
    let emoji = emoji.unwrap_or_default().to_owned();
    // What a second one gives is not documented: here it is the first again.
    let number = state.feishu.new_number();
    let there = state.feishu.reactions.entry(id.to_owned()).or_default();
    let known = there.iter().find(|(_, known)| *known == emoji);
    let reaction = known.map_or(format!("re_{number}"), |(known, _)| known.clone());
    if known.is_none() {
        there.push((reaction.clone(), emoji.clone()));
    }
    state.step(format_args!("reaction {reaction}, {emoji}, on {id}"));
    if emoji == MARK {
        shown::mark_of(state, id);
    }
    data(json!({"reaction_id": reaction}))
}

fn reactions(state: &mut State, call: &Call, id: &str) -> Answer {
    let there = state.feishu.reactions.get(id).cloned().unwrap_or_default();
    state.saw("reactions are looked up");
    let mut query = call.query.iter();
    let wanted = query.find(|(name, _)| name == "reaction_type");
    let is_wanted = |emoji: &String| wanted.is_none_or(|(_, wanted)| wanted == emoji);
    let item = |reaction| json!({"reaction_id": reaction, "operator": {"operator_id": APP_ID}});
    let items: Vec<Value> = there
        .into_iter()
        .filter(|(_, emoji)| is_wanted(emoji))
        .map(|(reaction, _)| item(reaction))
        .collect();
    data(json!({"items": items, "has_more": false}))
}

fn unreact(state: &mut State, id: &str, reaction: &str) -> Answer {
    let there = state.feishu.reactions.entry(id.to_owned()).or_default();
    let before = there.len();
    there.retain(|(known, _)| known != reaction);
    if there.len() == before {
        return code(400, 231_011, "no such reaction");
    }
    state.step(format_args!("reaction {reaction} taken away"));
    data(json!({}))
}

fn list(state: &mut State, call: &Call) -> Answer {
    let query = |name: &str| {
        let found = call.query.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str()).unwrap_or_default()
    };
    let since_ms = query("start_time").parse::<i64>().unwrap_or(0) * 1_000;
    let from = query("page_token").parse::<usize>().unwrap_or(0);
    let list = state.feishu.lists.get(query("container_id"));
    let ids = list.cloned().unwrap_or_default();
    let found = ids.iter().rev().filter_map(|id| {
        let message = state.feishu.messages.get(id)?;
        Some((id, message)).filter(|_| message.created_ms >= since_ms)
    });
    let all: Vec<Value> = found
        .map(|(id, message)| {
            // In a thread every parent is the thread's first message.
            let root = message
                .thread
                .as_ref()
                .map(|thread| format!("om_of_{thread}"));
            let parent = message
                .parent
                .as_ref()
                .map(|parent| root.as_ref().unwrap_or(parent));
            let is_person = message.sender.starts_with("ou_");
            let sender_type = if is_person { "user" } else { "app" };
            json!({
                "message_id": id, "msg_type": message.kind,
                "create_time": message.created_ms.to_string(),
                "parent_id": parent, "root_id": parent, "thread_id": message.thread,
                "deleted": message.recalled, "mentions": message.mentions,
                "sender": {"id": message.sender, "sender_type": sender_type},
                "body": {"content": message.content}
            })
        })
        .collect();
    state.saw("a chat is looked up");
    let page: Vec<Value> = all.iter().skip(from).take(50).cloned().collect();
    let next = from + page.len();
    let has_more = next < all.len();
    data(json!({"items": page, "has_more": has_more, "page_token": next.to_string()}))
}
