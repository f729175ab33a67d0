//! How fast the platform may be called.

use std::collections::{BTreeMap, VecDeque};

use super::api::Call;
use crate::world::State;

/// The last calls of each kind.
#[derive(Default)]
pub struct Limits {
    windows: BTreeMap<String, VecDeque<i64>>,
}

/// A bound: so many in so many milliseconds.
type Bound = (usize, i64);

/// Calls of one kind.
const API: [Bound; 2] = [(50, 1_000), (1_000, 60_000)];
/// Messages into one chat, and updates of one message.
const TARGET: [Bound; 1] = [(5, 1_000)];

impl Limits {
    /// Counts a call of this name; whether it is one too many.
    fn exceeds(&mut self, name: String, now_ms: i64, bounds: &[Bound]) -> bool {
        let window = self.windows.entry(name).or_default();
        let longest = bounds.iter().map(|(_, ms)| *ms).max().unwrap_or(0);
        while window.front().is_some_and(|at| now_ms - at >= longest) {
            window.pop_front();
        }
        let exceeds = bounds.iter().any(|(count, ms)| {
            let recent = window.iter().rev().take_while(|at| now_ms - **at < *ms);
            recent.count() >= *count
        });
        if !exceeds {
            window.push_back(now_ms);
        }
        exceeds
    }
}

/// What there was too much of.
#[derive(Clone, Copy, Debug)]
pub enum Excess {
    /// Calls of this kind.
    Calls,
    /// Messages into this chat, or updates of this message.
    Target,
}

/// Counts a call that arrives, of whomever.
pub fn of_all(state: &mut State, call: &Call) -> Option<Excess> {
    let excess = count(state, "all", call);
    if excess.is_some() {
        state.saw("too fast for the platform");
    }
    excess
}

/// Counts a call that a process makes: alone it must stay below the limits.
pub fn judge(state: &mut State, pid: u32, call: &Call) {
    let who = format!("process {pid}");
    if let Some(excess) = count(state, &who, call) {
        let (method, path) = (&call.method, &call.path);
        state.violated(format_args!(
            "{who} exceeds a limit: {excess:?}, {method} {path}"
        ));
    }
}

fn count(state: &mut State, who: &str, call: &Call) -> Option<Excess> {
    let now = state.now_ms();
    let parts: Vec<&str> = call.path.trim_start_matches('/').split('/').collect();
    let is_id = |part: &str| {
        ["om_", "re_", "oc_"]
            .iter()
            .any(|kind| part.starts_with(kind))
    };
    let shape = parts
        .iter()
        .map(|part| if is_id(part) { ":id" } else { part });
    let name = format!(
        "{who}: {} {}",
        call.method,
        shape.collect::<Vec<_>>().join("/")
    );
    let target = match (call.method.as_str(), parts.as_slice()) {
        ("POST", [.., id, "reply"]) => {
            let message = state.feishu.messages.get(*id);
            message.map(|message| message.chat.clone())
        }
        ("POST", [.., "messages"]) => call.body["receive_id"].as_str().map(str::to_owned),
        ("PATCH", [.., id]) => Some((*id).to_owned()),
        _ => None,
    };
    let limits = &mut state.feishu.limits;
    if limits.exceeds(name, now, &API) {
        return Some(Excess::Calls);
    }
    let target = target.map(|target| format!("{who}: {target}"))?;
    limits
        .exceeds(target, now, &TARGET)
        .then_some(Excess::Target)
}
