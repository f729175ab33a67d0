//! What a seed decides before anything runs: how large the world is, which
//! faults are on, and how strong.

use std::time::Duration;

use fastrand::Rng;

/// One world.
#[derive(Clone, Debug)]
pub struct Plan {
    /// How long people write and faults happen.
    pub active: Duration,
    /// Events come by webhook instead of the long connection.
    pub webhook: bool,
    /// Daemons that share a store; one of them alone has it as a file.
    pub daemons: usize,
    /// Chats, and threads of the last one.
    pub chats: usize,
    /// Messages that people write.
    pub messages: usize,
    /// Turns at once in a daemon.
    pub turns_max: usize,
    /// Turns that may wait in one conversation.
    pub backlog_max: u64,
    /// Turns that may wait in the whole store.
    pub queued_max: u64,
    /// Bytes that fit between two ends of a connection.
    pub pipe_bytes: usize,
    /// The length of an outage after which the daemons read back what they missed. In
    /// such a world the platform gives an event up after minutes.
    pub recover_after: Option<Duration>,
    /// What goes wrong.
    pub faults: Faults,
}

/// Chances of what goes wrong, each call or thing; means of when, in seconds.
/// Zero is off.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    /// The platform answers a call with an error.
    pub api_error: f64,
    /// A call does not arrive.
    pub api_lost: f64,
    /// A call has its effect and its answer is lost.
    pub api_answer_lost: f64,
    /// A call or its answer takes seconds.
    pub api_slow: f64,
    /// A token ends before its time.
    pub token_revoked: f64,
    /// No call arrives for a while: from an answer then or later, so long.
    pub outage: Option<(Duration, Duration)>,
    /// The endpoint refuses, or the dial fails.
    pub dial_fails: f64,
    /// A link breaks, after so many seconds.
    pub link_breaks: f64,
    /// A link falls silent and stays open, after so many seconds.
    pub link_silent: f64,
    /// An event comes in parts, in any order, some twice.
    pub parts: f64,
    /// An event is pushed to two links at once.
    pub twice: f64,
    /// An acknowledged event comes again, up to six hours later.
    pub again: f64,
    /// The model refuses, fails, or its stream breaks.
    pub model_fails: f64,
    /// The model hangs.
    pub model_hangs: f64,
    /// The model wants a tool.
    pub model_tools: f64,
    /// A commit takes long.
    pub disk_slow: f64,
    /// A commit fails and leaves nothing.
    pub disk_fails: f64,
    /// The process dies in the middle of a commit.
    pub disk_torn: f64,
    /// The disk breaks for good for this process.
    pub disk_broken: f64,
    /// A process is killed, after so many seconds.
    pub kill: f64,
    /// A process dies when a call of it has just had its effect.
    pub kill_at_effect: f64,
    /// A process is stopped in good order, after so many seconds.
    pub stop: f64,
    /// A daemon stays away for an hour or two instead of seconds.
    pub long_absence: f64,
    /// The daemons' clock jumps, after so many seconds.
    pub clock_jump: f64,
    /// A lease runs out although its owner lives, after so many seconds.
    pub lapse: f64,
    /// People write many messages at once.
    pub burst: f64,
    /// A message is recalled before it is answered.
    pub recalled: f64,
}

impl Plan {
    /// The world of a seed.
    #[must_use]
    pub fn draw(rng: &mut Rng) -> Self {
        let long = rng.f64() < 0.2;
        let minutes = if long {
            rng.u64(180..360)
        } else {
            rng.u64(30..150)
        };
        let active = Duration::from_secs(60 * minutes);
        let daemons = if rng.f64() < 0.3 { rng.usize(2..4) } else { 1 };
        let mut faults = Faults::draw(rng, daemons > 1);
        if long {
            let from = rng.u64(60..1_800);
            let length = rng.u64(3_000..7_200);
            faults.outage = Some((Duration::from_secs(from), Duration::from_secs(length)));
        }
        let mut plan = Self {
            active,
            webhook: rng.f64() < 0.25,
            daemons,
            chats: rng.usize(2..6),
            messages: rng.usize(8..40),
            turns_max: rng.usize(1..8),
            backlog_max: rng.u64(2..12),
            queued_max: rng.u64(10..100),
            pipe_bytes: [64, 1_024, 65_536][rng.usize(0..3)],
            recover_after: None,
            faults,
        };
        if rng.f64() < 0.15 {
            plan.misses(rng);
        }
        plan
    }

    /// Makes it a world in which whole outages are missed.
    fn misses(&mut self, rng: &mut Rng) {
        self.recover_after = Some(Duration::from_secs(rng.u64(330..900)));
        self.active = self.active.max(Duration::from_secs(60 * rng.u64(60..180)));
        self.faults.long_absence = 0.7;
        self.faults.stop = 60.0 * rng.u64(5..30) as f64;
    }
}

impl Faults {
    fn draw(rng: &mut Rng, several: bool) -> Self {
        // A third of the worlds is nearly well, so that each fault is also seen alone.
        let usual = [0.15, 0.35, 0.6][rng.usize(0..3)];
        let mut chance = |strongest: f64| {
            let (is_on, strength) = (rng.f64() < usual, rng.f64());
            if is_on {
                strongest * strength.max(0.1)
            } else {
                0.0
            }
        };
        Self {
            api_error: chance(0.3),
            api_lost: chance(0.2),
            api_answer_lost: chance(0.3),
            api_slow: chance(0.3),
            token_revoked: chance(0.02),
            outage: None,
            dial_fails: chance(0.5),
            link_breaks: 60.0 * chance(30.0),
            link_silent: 60.0 * chance(30.0),
            parts: chance(0.8),
            twice: chance(0.3),
            again: chance(0.3),
            model_fails: chance(0.4),
            model_hangs: chance(0.1),
            model_tools: chance(0.8),
            disk_slow: chance(0.1),
            disk_fails: chance(0.1),
            disk_torn: chance(0.03),
            disk_broken: chance(0.005),
            kill: 60.0 * chance(20.0),
            kill_at_effect: chance(0.05),
            stop: 60.0 * chance(30.0),
            long_absence: chance(0.3),
            clock_jump: 60.0 * chance(20.0),
            lapse: if several { 60.0 * chance(10.0) } else { 0.0 },
            burst: chance(0.3),
            recalled: chance(0.2),
        }
    }
}
