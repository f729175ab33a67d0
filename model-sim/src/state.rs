//! What the server remembers, all of it bounded.

use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::{ModelSimConfig, RecordedRequest, Script};

/// Which requests a script is for.
pub(crate) enum Claim {
    /// Whoever comes.
    Any,
    /// Those whose last user message contains this.
    Said(String),
    /// Those of which this is true.
    When(Box<dyn Fn(&RecordedRequest) -> bool + Send + Sync>),
}

impl Claim {
    fn is_particular(&self) -> bool {
        match self {
            Self::Any => false,
            Self::Said(_) | Self::When(_) => true,
        }
    }

    fn holds(&self, request: &RecordedRequest) -> bool {
        match self {
            Self::Any => true,
            Self::Said(needle) => request.last_user_message().contains(needle),
            Self::When(is_it) => is_it(request),
        }
    }
}

impl fmt::Debug for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("Any"),
            Self::Said(needle) => f.debug_tuple("Said").field(needle).finish(),
            Self::When(_) => f.write_str("When"),
        }
    }
}

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) config: ModelSimConfig,
    memory: Mutex<Memory>,
    requests_seen: watch::Sender<u64>,
    being_answered: watch::Sender<usize>,
    next_answer: AtomicU64,
}

#[derive(Debug, Default)]
struct Memory {
    /// Each is used once.
    scripts: VecDeque<(Claim, Script)>,
    /// They stay.
    rules: Vec<(Claim, Script)>,
    requests: VecDeque<(usize, RecordedRequest)>,
    request_bytes: usize,
}

impl State {
    pub(crate) fn new(config: ModelSimConfig) -> Self {
        Self {
            config,
            memory: Mutex::default(),
            requests_seen: watch::Sender::new(0),
            being_answered: watch::Sender::new(0),
            next_answer: AtomicU64::new(1),
        }
    }

    pub(crate) fn push_script(&self, claim: Claim, script: Script) {
        let mut memory = self.memory();
        if memory.scripts.len() >= SCRIPTS_MAX {
            memory.scripts.pop_front();
        }
        memory.scripts.push_back((claim, script));
    }

    pub(crate) fn push_rule(&self, claim: Claim, script: Script) {
        let mut memory = self.memory();
        if memory.rules.len() >= SCRIPTS_MAX {
            memory.rules.remove(0);
        }
        memory.rules.push((claim, script));
    }

    /// The script for a request: the oldest one that claims it in particular, else the oldest
    /// rule that does, else the oldest script for whoever comes.
    pub(crate) fn take_script(&self, request: &RecordedRequest) -> Option<Script> {
        let mut memory = self.memory();
        let claims = |(claim, _): &(Claim, Script)| claim.is_particular() && claim.holds(request);
        if let Some(at) = memory.scripts.iter().position(claims) {
            return memory.scripts.remove(at).map(|(_, script)| script);
        }
        if let Some((_, script)) = memory.rules.iter().find(|rule| claims(rule)) {
            return Some(script.clone());
        }
        let at = memory
            .scripts
            .iter()
            .position(|(claim, _)| !claim.is_particular())?;
        memory.scripts.remove(at).map(|(_, script)| script)
    }

    pub(crate) fn scripts_left(&self) -> usize {
        self.memory().scripts.len()
    }

    pub(crate) fn record(&self, bytes: usize, request: RecordedRequest) {
        let mut guard = self.memory();
        let memory = &mut *guard;
        memory.requests.push_back((bytes, request));
        memory.request_bytes += bytes;
        while memory.requests.len() > self.config.requests_kept_max
            || memory.request_bytes > REQUEST_BYTES_KEPT_MAX
        {
            let Some((bytes, _)) = memory.requests.pop_front() else {
                break;
            };
            memory.request_bytes -= bytes;
        }
        drop(guard);
        self.requests_seen.send_modify(|seen| *seen += 1);
    }

    pub(crate) fn requests(&self) -> Vec<RecordedRequest> {
        let memory = self.memory();
        memory.requests.iter().map(|(_, r)| r.clone()).collect()
    }

    pub(crate) async fn wait_for_requests(&self, count: u64) {
        let mut seen = self.requests_seen.subscribe();
        // Can't end early: the sender is ours.
        let _ = seen.wait_for(|seen| *seen >= count).await;
    }

    pub(crate) async fn wait_until_idle(&self) {
        let mut being_answered = self.being_answered.subscribe();
        let _ = being_answered.wait_for(|count| *count == 0).await;
    }

    /// Counts an answer as under way until the guard is dropped.
    pub(crate) fn begin_answer(self: &Arc<Self>) -> Answering {
        self.being_answered.send_modify(|count| *count += 1);
        Answering(Arc::clone(self))
    }

    /// A number that no other answer has.
    pub(crate) fn next_answer(&self) -> u64 {
        self.next_answer.fetch_add(1, Ordering::Relaxed)
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An answer that is under way.
#[derive(Debug)]
pub(crate) struct Answering(Arc<State>);

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.being_answered.send_modify(|count| *count -= 1);
    }
}

/// More waiting scripts than any test writes; the oldest go first.
const SCRIPTS_MAX: usize = 1024;

/// Remembered requests of all sizes together.
const REQUEST_BYTES_KEPT_MAX: usize = 64 << 20;
