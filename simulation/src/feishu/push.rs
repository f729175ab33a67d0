//! Events on their way to a daemon, until one of them says that it has them.

use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use proto_core::Method;
use runtime_tokio::webhook::EventRoute;
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};
use xiaoo_app::pipeline::admission::Admission;

use super::gateway::encode;
use crate::disk::CONVALESCENCE_MS;
use crate::world::World;

/// The waits before each try, in seconds; after the last one nothing comes.
const SCHEDULE: [u64; 5] = [0, 15, 300, 3_600, 21_600];
/// Tries of a platform that gives up soon.
const TRIES_OF_THE_IMPATIENT: usize = 3;
/// Commands that may wait for the disk, as many as production lets wait.
const COMMANDS_MAX: usize = 256;
/// How long an acknowledgement may take.
const ACK_WITHIN: Duration = Duration::from_secs(3);

/// An event to be pushed.
#[derive(Clone)]
pub struct Event {
    /// Its key.
    pub id: String,
    /// The message that it tells of.
    pub message: String,
    /// Whether anybody expects an answer.
    pub is_wanted: bool,
    /// Its JSON.
    pub payload: Bytes,
}

/// How a push went.
struct Pushed {
    pid: Option<u32>,
    code: Option<u16>,
}

/// Pushes until there is an acknowledgement, or no hope.
pub async fn deliver(world: World, event: Event) {
    world.lock().feishu.pushes_open += 1;
    let written_ms = world.now_ms();
    let (mut before, mut is_known) = (None, false);
    let is_impatient = world.plan().recover_after.is_some();
    let tries = if is_impatient {
        TRIES_OF_THE_IMPATIENT
    } else {
        SCHEDULE.len()
    };
    for wait in SCHEDULE.into_iter().take(tries) {
        sleep(Duration::from_secs(wait)).await;
        let pushed = if world.strikes(world.plan().faults.twice, "an event comes twice") {
            let both = tokio::join!(push(&world, &event), push(&world, &event));
            if both.0.code == Some(200) {
                both.0
            } else {
                both.1
            }
        } else {
            push(&world, &event).await
        };
        if before.is_some() && pushed.pid.is_some() && pushed.pid != before {
            world.saw("an event comes again to another process");
        }
        before = pushed.pid.or(before);
        if pushed.code == Some(200) {
            acknowledged(&world, &event);
            is_known = true;
            break;
        }
        world.saw("an event will come again");
    }
    if !is_known {
        let mut state = world.lock();
        state.step(format_args!("{} is given up", event.id));
        state.saw("a push is given up");
        if event.is_wanted {
            state.given_up.insert(event.message.clone(), written_ms);
        }
    }
    if world.strikes(
        world.plan().faults.again,
        "an acknowledged event comes again",
    ) {
        let is_late = world.lock().rng.f64() < 0.2;
        let longest = if is_late { 20_000 } else { 600 };
        sleep(world.millis(100..1_000 * longest)).await;
        push(&world, &event).await;
    }
    world.lock().feishu.pushes_open -= 1;
}

/// What was acknowledged is on disk.
fn acknowledged(world: &World, event: &Event) {
    let mut state = world.lock();
    state.step(format_args!("{} is acknowledged", event.id));
    state
        .acknowledged
        .insert(event.message.clone(), event.is_wanted);
    let ledger = &state.ledger;
    let is_kept =
        ledger.events.contains(&event.id) || ledger.by_message.contains_key(&event.message);
    if event.is_wanted && !is_kept {
        state.violated(format_args!(
            "{} is acknowledged and not on disk",
            event.message
        ));
    }
}

async fn push(world: &World, event: &Event) -> Pushed {
    let began_ms = world.now_ms();
    let pushed = if world.plan().webhook {
        by_webhook(world, event).await
    } else {
        by_link(world, event).await
    };
    let (
        Pushed {
            pid: Some(pid),
            code,
        },
        link,
    ) = pushed
    else {
        return pushed.0;
    };
    let disk = world.lock().disk.memory.clone();
    let waiting = disk.map_or(0, |disk| disk.waiting());
    let mut state = world.lock();
    if waiting > COMMANDS_MAX {
        state.violated(format_args!("{waiting} commands wait for the disk"));
    }
    let code_or_none = code.unwrap_or(0);
    state.step(format_args!(
        "{} pushed to process {pid}: {code_or_none}",
        event.id
    ));
    let life = state.processes.get(&pid);
    let is_up = life.is_some_and(|life| !life.died.is_cancelled() && !life.stops);
    let is_linked = link.is_none_or(|link| {
        let links = &state.feishu.links;
        links
            .iter()
            .any(|known| known.id == link && !known.is_silent)
    });
    let is_well = state.disk.unwell_ms < began_ms - CONVALESCENCE_MS;
    let place = state.chat_of.get(&event.message);
    let has_no_room = place.is_some_and(|place| {
        let plan = world.plan();
        state.ledger.was_full(place, began_ms, plan)
    });
    if has_no_room && code != Some(200) {
        state.saw("no room, not even for a mark");
    } else if is_up && is_linked && is_well && code != Some(200) {
        let id = &event.id;
        state.violated(format_args!(
            "{id}: {code_or_none} from process {pid}, which is well"
        ));
    }
    Pushed {
        pid: Some(pid),
        code,
    }
}

/// To one of the links at random. Also says which.
async fn by_link(world: &World, event: &Event) -> (Pushed, Option<u64>) {
    let (link, pid, to, push, answer) = {
        let mut state = world.lock();
        let links = state.feishu.links.len();
        if links == 0 {
            return (
                Pushed {
                    pid: None,
                    code: None,
                },
                None,
            );
        }
        let chosen = state.rng.usize(0..links);
        let link = &state.feishu.links[chosen];
        let (id, pid, to) = (link.id, link.pid, link.to.clone());
        let is_silent = link.is_silent;
        let push = format!("push-{}", state.feishu.new_number());
        let (tell, answer) = oneshot::channel();
        state.feishu.waiting.insert(push.clone(), tell);
        // What goes into a silent link comes out nowhere.
        ((id), pid, (!is_silent).then_some(to), push, answer)
    };
    if let Some(to) = to {
        for frame in frames(world, event, &push) {
            sleep(world.millis(1..20)).await;
            // A full queue loses it, as a network may.
            let _ = to.try_send(frame);
        }
    }
    let code = timeout(ACK_WITHIN, answer).await.ok().and_then(Result::ok);
    world.lock().feishu.waiting.remove(&push);
    let pid = Some(pid);
    (Pushed { pid, code }, Some(link))
}

/// The event in one frame, or in parts in any order, some of them twice.
fn frames(world: &World, event: &Event, push: &str) -> Vec<Vec<u8>> {
    let parts = if world.strikes(world.plan().faults.parts, "an event in parts") {
        world.lock().rng.usize(2..6)
    } else {
        1
    };
    let length = event.payload.len().div_ceil(parts);
    let sum = parts.to_string();
    let mut frames: Vec<Vec<u8>> = event
        .payload
        .chunks(length)
        .enumerate()
        .map(|(seq, part)| {
            let seq = seq.to_string();
            let headers = [
                ("type", "event"),
                ("message_id", push),
                ("sum", sum.as_str()),
                ("seq", seq.as_str()),
                ("trace_id", "trace"),
            ];
            encode(Method::Data, &headers, part)
        })
        .collect();
    if parts > 1 {
        let mut state = world.lock();
        let doubled = frames[state.rng.usize(0..frames.len())].clone();
        frames.push(doubled);
        state.rng.shuffle(&mut frames);
    }
    frames
}

async fn by_webhook(world: &World, event: &Event) -> (Pushed, Option<u64>) {
    let chosen = {
        let mut state = world.lock();
        let up: Vec<(u32, EventRoute<Admission>)> = state
            .processes
            .iter()
            .filter(|(_, life)| !life.died.is_cancelled())
            .filter_map(|(pid, life)| Some((*pid, life.route.clone()?)))
            .collect();
        let count = up.len();
        (count > 0).then(|| up[state.rng.usize(0..count)].clone())
    };
    let Some((pid, route)) = chosen else {
        return (
            Pushed {
                pid: None,
                code: None,
            },
            None,
        );
    };
    sleep(world.millis(1..100)).await;
    let request = http::Request::post(crate::daemon::ROUTE)
        .header("content-type", "application/json")
        .body(Body::from(event.payload.clone()))
        .expect("a request like any other");
    let answer = timeout(ACK_WITHIN, route.answer(request)).await;
    let code = match answer {
        Ok(response) if world.lives(pid) => Some(response.status().as_u16()),
        _ => None,
    };
    let pid = Some(pid);
    (Pushed { pid, code }, None)
}
