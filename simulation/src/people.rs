//! People who write.

use std::time::Duration;

use serde_json::json;
use tokio::time::sleep;

use crate::feishu::push::{self, Event};
use crate::feishu::{APP_ID, BOT, Message, VERIFICATION_TOKEN};
use crate::world::World;

/// Messages of a burst.
const BURST: usize = 15;
/// What somebody writes who sees the bot come back is numbered from here.
const LATER: u64 = 1_000;

/// Has everybody write, some time before the world calms down.
pub fn write(world: &World) {
    let (mut number, messages) = (0, world.plan().messages);
    while number < messages {
        let (at, chat) = {
            let mut state = world.lock();
            let seconds = world.plan().active.as_secs();
            (
                state.rng.u64(0..1_000 * seconds),
                state.rng.usize(0..world.plan().chats),
            )
        };
        let is_burst = world.strikes(world.plan().faults.burst / 4.0, "a burst");
        let count = if is_burst { BURST } else { 1 };
        for _ in 0..count {
            number += 1;
            let at = Duration::from_millis(at) + world.millis(0..500);
            tokio::spawn(say(world.clone(), number, chat, at));
        }
    }
}

/// The bot is back, and somebody writes at once: before it has looked at what it missed.
pub fn greet(world: &World) {
    let is_missed = world.plan().recover_after.is_some();
    if is_missed && world.strikes(0.5, "somebody writes at once") {
        let number = LATER + world.lock().feishu.new_number();
        let number = usize::try_from(number).unwrap_or(usize::MAX);
        let chat = world.lock().rng.usize(0..world.plan().chats);
        let soon = world.millis(0..400);
        tokio::spawn(say(world.clone(), number, chat, soon));
    }
}

async fn say(world: World, number: usize, chat: usize, at: Duration) {
    sleep(at).await;
    let id = format!("om_u{number}");
    let event = compose(&world, &id, number, chat);
    if world.strikes(world.plan().faults.recalled, "a message is recalled") {
        let (world, id) = (world.clone(), id.clone());
        tokio::spawn(async move {
            sleep(world.millis(10..20_000)).await;
            world.step(format_args!("{id} is recalled"));
            if let Some(message) = world.lock().feishu.messages.get_mut(&id) {
                message.recalled = true;
            }
        });
    }
    push::deliver(world, event).await;
}

/// Direct chats, groups, and threads in the last chat.
fn compose(world: &World, id: &str, number: usize, chat: usize) -> Event {
    let is_group = chat % 2 == 1;
    let has_threads = chat + 1 == world.plan().chats && is_group;
    let mut state = world.lock();
    let thread = has_threads.then(|| format!("omt_{}", state.rng.u8(0..3)));
    let is_for_us = !is_group || state.rng.f64() < 0.85;
    let is_of_a_bot = state.rng.f64() < 0.03;
    let now = state.now_ms().to_string();
    let chat_id = format!("oc_{chat}");
    let greeting = if is_group && is_for_us {
        "@_user_1 "
    } else {
        ""
    };
    let content = json!({"text": format!("{greeting}q={id} please")}).to_string();
    let mentions = json!([{"key": "@_user_1", "id": {"open_id": BOT}, "name": "xiaoO"}]);
    let event_id = format!("ev_{number}");
    let payload = json!({
        "schema": "2.0",
        "header": {
            "event_id": event_id, "event_type": "im.message.receive_v1", "create_time": now,
            "token": VERIFICATION_TOKEN, "app_id": APP_ID, "tenant_key": "tenant"
        },
        "event": {
            "sender": {
                "sender_id": {"open_id": format!("ou_{}", number % 5)},
                "sender_type": if is_of_a_bot { "app" } else { "user" }
            },
            "message": {
                "message_id": id, "create_time": now, "chat_id": chat_id,
                "chat_type": if is_group { "group" } else { "p2p" }, "thread_id": thread,
                "message_type": "text", "content": content,
                "mentions": if is_group && is_for_us { mentions } else { json!(null) }
            }
        }
    });
    state.step(format_args!("{id} is written in {chat_id}, {thread:?}"));
    let place = thread.clone().unwrap_or_else(|| chat_id.clone());
    state.chat_of.insert(id.to_owned(), place);
    let created_ms = state.now_ms();
    let message = Message {
        chat: chat_id,
        thread,
        parent: None,
        sender: if is_of_a_bot {
            "cli_another".to_owned()
        } else {
            format!("ou_{}", number % 5)
        },
        kind: "text".into(),
        content,
        mentions: if is_group && is_for_us {
            json!([{"key": "@_user_1", "id": BOT, "id_type": "open_id", "name": "xiaoO"}])
        } else {
            json!([])
        },
        created_ms,
        recalled: false,
    };
    state.feishu.add(id, message);
    Event {
        id: event_id,
        message: id.to_owned(),
        is_wanted: is_for_us && !is_of_a_bot,
        payload: payload.to_string().into(),
    }
}
