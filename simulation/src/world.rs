//! What everything in a simulated world shares: the plan, the time, the trace,
//! and what was seen and found wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write as _};
use std::hash::{DefaultHasher, Hasher as _};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use fastrand::Rng;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use runtime_tokio::link::LinkStatus;
use runtime_tokio::webhook::EventRoute;
use xiaoo_app::pipeline::admission::Admission;

use crate::daemon::EVENT_BYTES_MAX;
use crate::disk::DiskState;
use crate::draw::Plan;
use crate::feishu::Feishu;
use crate::ledger::Ledger;
use crate::model::Asked;

/// When worlds begin, Unix milliseconds.
pub const EPOCH_MS: i64 = 1_790_000_000_000;
/// Split events that a link joins at once.
const SETS_MAX: usize = 16;
/// Deliveries in flight on one link: some times what all people write at once.
const IN_FLIGHT_MAX: u64 = 256;
/// Things found wrong that are kept: the first ones tell.
const VIOLATIONS_MAX: usize = 10;

/// A world. A cheap handle: clone it.
#[derive(Clone)]
pub struct World(Arc<Inner>);

struct Inner {
    plan: Plan,
    started: Instant,
    /// How far the daemons' wall clock is ahead of the platform's.
    ahead_ms: AtomicI64,
    /// Fires when from there on nothing goes wrong any more.
    calm: CancellationToken,
    state: Mutex<State>,
}

/// What changes.
pub struct State {
    /// Draws what happens.
    pub rng: Rng,
    /// The platform.
    pub feishu: Feishu,
    /// What is on the disk, as its witness tells.
    pub ledger: Ledger,
    /// What the model is asked now.
    pub asked: Asked,
    /// How the disk is.
    pub disk: DiskState,
    /// The processes that ever ran, by number.
    pub processes: BTreeMap<u32, Life>,
    /// Messages whose events were acknowledged, and whether they are to be answered.
    pub acknowledged: BTreeMap<String, bool>,
    /// When it was that no event could have come in.
    pub reach: Reach,
    /// Messages of whose events the platform pushes no more, with when they were
    /// written, Unix milliseconds; those that want an answer.
    pub given_up: BTreeMap<String, i64>,
    /// Where each message was written: its thread or chat.
    pub chat_of: BTreeMap<String, String>,
    /// Tool calls that were made.
    pub noted: BTreeSet<u64>,
    /// When the outage began.
    pub outage_began: Option<Instant>,
    /// When the daemons' clock last jumped.
    pub clock_jumped_ms: i64,
    /// What happened how often.
    pub seen: BTreeMap<&'static str, u64>,
    /// What is wrong.
    pub violations: Vec<String>,
    started: Instant,
    trace: DefaultHasher,
    line: String,
    prints: bool,
    is_unbounded: bool,
}

/// Whether any daemon can be reached.
#[derive(Default)]
pub struct Reach {
    /// Since when none can.
    lost: Option<i64>,
    /// The times in which none could: from, until.
    pub gaps: Vec<(i64, i64)>,
}

/// A process, from outside.
#[derive(Clone)]
pub struct Life {
    /// Fires when it dies: nothing gets in or out from then on.
    pub died: CancellationToken,
    /// It was told to stop.
    pub stops: bool,
    /// Its webhook.
    pub route: Option<EventRoute<Admission>>,
    /// What it says of its link.
    pub link: Option<LinkStatus>,
}

impl World {
    /// A world that begins now.
    #[must_use]
    pub fn new(plan: Plan, rng: Rng, prints: bool) -> Self {
        let started = Instant::now();
        let state = State {
            rng,
            feishu: Feishu::default(),
            ledger: Ledger::default(),
            asked: Asked::default(),
            disk: DiskState::default(),
            processes: BTreeMap::new(),
            acknowledged: BTreeMap::new(),
            reach: Reach::default(),
            given_up: BTreeMap::new(),
            chat_of: BTreeMap::new(),
            noted: BTreeSet::new(),
            outage_began: None,
            clock_jumped_ms: 0,
            seen: BTreeMap::new(),
            violations: Vec::new(),
            started,
            trace: DefaultHasher::new(),
            line: String::new(),
            prints,
            is_unbounded: false,
        };
        Self(Arc::new(Inner {
            plan,
            started,
            ahead_ms: AtomicI64::new(0),
            calm: CancellationToken::new(),
            state: Mutex::new(state),
        }))
    }

    /// What the seed decided.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.0.plan
    }

    /// What changes. Never held over a call of the daemon's code.
    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The daemons' wall clock.
    #[must_use]
    pub fn wall(&self) -> SystemTime {
        let ms = self.now_ms() + self.0.ahead_ms.load(Ordering::Relaxed);
        SystemTime::UNIX_EPOCH + Duration::from_millis(ms.unsigned_abs())
    }

    /// Puts the daemons' clock so far from the platform's.
    pub fn set_clock(&self, ahead_ms: i64) {
        self.0.ahead_ms.store(ahead_ms, Ordering::Relaxed);
        self.step(format_args!("clock {ahead_ms} ms ahead"));
        let mut state = self.lock();
        state.clock_jumped_ms = state.now_ms();
        drop(state);
        self.saw("clock jump");
    }

    /// The platform's clock, Unix milliseconds.
    #[must_use]
    pub fn now_ms(&self) -> i64 {
        EPOCH_MS + i64::try_from(self.0.started.elapsed().as_millis()).unwrap_or(i64::MAX)
    }

    /// From here on nothing goes wrong any more.
    pub fn calm(&self) {
        self.step(format_args!("calm"));
        self.0.calm.cancel();
    }

    /// Waits until nothing goes wrong any more.
    pub async fn calmed(&self) {
        self.0.calm.cancelled().await;
    }

    /// Waits until something with this mean (in seconds) happens, for ever once it
    /// is calm.
    pub async fn strike(&self, mean: f64) {
        tokio::select! {
            biased;
            () = self.calmed() => std::future::pending().await,
            () = tokio::time::sleep(self.after(mean)) => {}
        }
    }

    /// Whether nothing goes wrong any more.
    #[must_use]
    pub fn is_calm(&self) -> bool {
        self.0.calm.is_cancelled()
    }

    /// Whether no call gets anywhere now.
    #[must_use]
    pub fn is_out(&self) -> bool {
        let Some((_, length)) = self.plan().faults.outage else {
            return false;
        };
        let began = self.lock().outage_began;
        let is_on = began.is_some_and(|began| began.elapsed() < length);
        is_on && !self.is_calm()
    }

    /// Begins the outage, if one is due: just when an answer has arrived, so that
    /// nobody hears of it while its uuid is remembered.
    pub fn begin_outage(&self) -> bool {
        let outage = self.plan().faults.outage;
        let is_due = outage.is_some_and(|(from, _)| self.0.started.elapsed() >= from);
        let mut state = self.lock();
        if !is_due || state.outage_began.is_some() || self.is_calm() {
            return false;
        }
        state.step(format_args!("an outage begins"));
        state.outage_began = Some(Instant::now());
        true
    }

    /// Whether something with this chance goes wrong now.
    pub fn strikes(&self, chance: f64, what: &'static str) -> bool {
        if chance <= 0.0 || self.is_calm() {
            return false;
        }
        let mut state = self.lock();
        let strikes = state.rng.f64() < chance;
        if strikes {
            state.saw(what);
        }
        strikes
    }

    /// When something with this mean (in seconds) happens next.
    pub fn after(&self, mean: f64) -> Duration {
        if mean <= 0.0 || self.is_calm() {
            return FAR;
        }
        let draw = self.lock().rng.f64();
        Duration::from_secs_f64(-mean * (1.0 - draw).ln()).max(Duration::from_millis(1))
    }

    /// So many milliseconds.
    pub fn millis(&self, range: std::ops::Range<u64>) -> Duration {
        Duration::from_millis(self.lock().rng.u64(range))
    }

    /// One step of the world.
    pub fn step(&self, what: fmt::Arguments<'_>) {
        self.lock().step(what);
    }

    /// Counts something that happened.
    pub fn saw(&self, what: &'static str) {
        self.lock().saw(what);
    }

    /// Whether a process lives.
    #[must_use]
    pub fn lives(&self, pid: u32) -> bool {
        let state = self.lock();
        state
            .processes
            .get(&pid)
            .is_some_and(|life| !life.died.is_cancelled())
    }

    /// Ends a process here and now, as far as anybody outside can tell.
    pub fn kill(&self, pid: u32, why: &'static str) {
        let mut state = self.lock();
        if let Some(life) = state.processes.get(&pid).cloned()
            && !life.died.is_cancelled()
        {
            state.step(format_args!("process {pid} dies: {why}"));
            state.saw(why);
            state.asked.forget(pid);
            drop(state);
            life.died.cancel();
            self.lock().look_at_reach();
        }
    }
}

/// Never, as far as a world lasts.
pub const FAR: Duration = Duration::from_secs(1_000 * 3_600);

impl State {
    /// One step of the world.
    pub fn step(&mut self, what: fmt::Arguments<'_>) {
        let at = self.started.elapsed().as_millis();
        self.line.clear();
        // Writing to a string can't fail.
        let _ = write!(self.line, "{at} {what}");
        self.trace.write(self.line.as_bytes());
        if self.prints {
            let seconds = at / 1_000;
            println!(
                "{:>3}:{:02}:{:02}.{:03} {what}",
                seconds / 3_600,
                seconds / 60 % 60,
                seconds % 60,
                at % 1_000
            );
        }
        self.look_at_bounds();
    }

    /// What a process keeps in memory has a bound.
    fn look_at_bounds(&mut self) {
        let alive = self.processes.values();
        let alive = alive.filter(|life| !life.died.is_cancelled());
        let mut links = alive.filter_map(|life| Some(life.link.as_ref()?.snapshot()));
        let beyond = links.find(|link| {
            link.joining_bytes > SETS_MAX * EVENT_BYTES_MAX || link.in_flight > IN_FLIGHT_MAX
        });
        if let Some(link) = beyond.filter(|_| !self.is_unbounded) {
            self.is_unbounded = true;
            let (joining, in_flight) = (link.joining_bytes, link.in_flight);
            self.violated(format_args!(
                "a link holds {joining} bytes of parts and {in_flight} deliveries"
            ));
        }
    }

    /// Notes when nobody can be reached any more, and when somebody can again.
    pub fn look_at_reach(&mut self) {
        let now = self.now_ms();
        let is_up = |pid: &u32| {
            let life = self.processes.get(pid);
            life.is_some_and(|life| !life.died.is_cancelled() && !life.stops)
        };
        let mut routes = self.processes.iter();
        let has_route = routes.any(|(pid, life)| life.route.is_some() && is_up(pid));
        let mut links = self.feishu.links.iter();
        let has_link = links.any(|link| !link.is_silent && is_up(&link.pid));
        let is_reached = has_route || has_link;
        match (is_reached, self.reach.lost) {
            (false, None) => self.reach.lost = Some(now),
            (true, Some(from)) => {
                self.reach.lost = None;
                self.reach.gaps.push((from, now));
            }
            (true, None) | (false, Some(_)) => {}
        }
    }

    /// Counts something that happened.
    pub fn saw(&mut self, what: &'static str) {
        *self.seen.entry(what).or_default() += 1;
    }

    /// Something that must never be.
    pub fn violated(&mut self, what: fmt::Arguments<'_>) {
        self.step(format_args!("VIOLATION {what}"));
        if self.violations.len() < VIOLATIONS_MAX {
            let at = self.started.elapsed();
            self.violations.push(format!("{what} (after {at:?})"));
        }
    }

    /// The platform's clock, Unix milliseconds.
    #[must_use]
    pub fn now_ms(&self) -> i64 {
        EPOCH_MS + i64::try_from(self.started.elapsed().as_millis()).unwrap_or(i64::MAX)
    }

    /// The thread or chat that a conversation's name tells of.
    #[must_use]
    pub fn chat_of_lane(&self, lane: &str) -> Option<&String> {
        let place = lane.rsplit(':').next()?;
        self.chat_of.values().find(|known| *known == place)
    }

    /// What all steps so far come to.
    #[must_use]
    pub fn trace_hash(&self) -> u64 {
        self.trace.finish()
    }
}
