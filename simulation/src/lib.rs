//! The whole daemon against a simulated world.
//!
//! The platform, the network, the clocks, the disk, the model and the deaths
//! of processes are simulated here; what runs between them is the code that
//! runs in production. A seed decides everything, so what it finds it finds
//! again.

pub mod daemon;
pub mod disk;
pub mod draw;
pub mod feishu;
pub mod ledger;
pub mod model;
pub mod people;
mod verdict;
pub mod world;

use std::collections::BTreeMap;
use std::time::Duration;

use fastrand::Rng;
use planted::Defect;
use rustix::time::{ClockId, clock_gettime};
use tokio::runtime::{Builder, RngSeed};
use tokio::time::{Instant, sleep};

use draw::Plan;
use world::World;
use xiaoo_store::Fate;

/// How long after the last fault everything must be done.
const DRAIN: Duration = Duration::from_secs(600);
/// How often that is looked at.
const LOOK: Duration = Duration::from_secs(10);

/// What a run of many seeds must have reached, or it shows nothing.
pub const PLACES: &[&str] = &[
    "a burst",
    "a card is finished after a restart",
    "a chat is looked up",
    "a dead owner's lease runs out",
    "a dial fails",
    "a duplicate is known again",
    "a late update behind the final state",
    "a link breaks",
    "a long absence",
    "a message is marked",
    "a message is recalled",
    "a missed message is read back",
    "a notice",
    "a push is given up",
    "a reply to a recalled message",
    "a row is given up",
    "a silent link is given up",
    "a store fails",
    "a token is not taken",
    "a turn begins again",
    "a turn goes on from its steps",
    "a turn is handed back",
    "a uuid again within the hour",
    "an acknowledged event comes again",
    "an answer in parts",
    "an event comes again to another process",
    "an event comes twice",
    "an event in parts",
    "answer lost",
    "broken disk",
    "call lost",
    "call refused",
    "clock jump",
    "failing disk",
    "killed",
    "killed at an effect",
    "killed in a commit",
    "leases run out under the living",
    "no room, not even for a mark",
    "outage",
    "reactions are looked up",
    "slow call",
    "slow disk",
    "somebody writes at once",
    "stopped",
    "the model fails",
    "the model hangs",
    "too fast for the platform",
    "torn commit",
];

/// What came of a seed.
#[derive(Debug)]
pub struct Report {
    /// What was found wrong.
    pub violations: Vec<String>,
    /// What happened how often.
    pub seen: BTreeMap<&'static str, u64>,
    /// How long the world lasted, however many daemons it had.
    pub simulated: Duration,
    /// How long this thread has had a core for it.
    pub cpu: Duration,
    /// What all its steps come to.
    pub trace: u64,
}

/// Runs the world of a seed, with a defect planted or none.
#[must_use]
pub fn run(seed: u64, defect: Option<Defect>, prints: bool) -> Report {
    planted::plant(defect);
    // What the daemon draws, and what tokio does.
    fastrand::seed(seed);
    let runtime = Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .rng_seed(RngSeed::from_bytes(&seed.to_be_bytes()))
        .build()
        .expect("a runtime without I/O");
    let before = on_the_core();
    let mut report = runtime.block_on(scenario(seed, prints));
    drop(runtime);
    report.cpu = on_the_core().saturating_sub(before);
    planted::plant(None);
    report
}

/// How long this thread has had a core: others may be at work on the machine.
fn on_the_core() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::try_from(time).expect("the time of a thread begins at zero")
}

async fn scenario(seed: u64, prints: bool) -> Report {
    let mut rng = Rng::with_seed(seed);
    let plan = Plan::draw(&mut rng);
    if prints {
        println!("{plan:#?}");
    }
    let began = Instant::now();
    let world = World::new(plan, rng, prints);
    let disk = disk::disk(&world);
    for _ in 0..world.plan().daemons {
        tokio::spawn(daemon::keep(world.clone(), disk.clone()));
    }
    people::write(&world);
    tokio::spawn(clock(world.clone()));
    tokio::spawn(leases(world.clone(), disk.clone()));
    sleep(world.plan().active).await;
    world.calm();
    while world.lock().feishu.pushes_open > 0 {
        sleep(LOOK).await;
    }
    let deadline = Instant::now() + DRAIN;
    while Instant::now() < deadline && !verdict::is_done(&world) {
        sleep(LOOK).await;
    }
    verdict::last(&world);
    let simulated = began.elapsed();
    // These hold each other.
    disk.set_fates(|_| Fate::Synced);
    disk.set_witness(|_| {});
    let mut state = world.lock();
    let processes = std::mem::take(&mut state.processes);
    let memory = state.disk.memory.take();
    let report = Report {
        violations: state.violations.clone(),
        seen: state.seen.clone(),
        simulated,
        cpu: Duration::ZERO,
        trace: state.trace_hash(),
    };
    drop(state);
    drop((processes, memory));
    report
}

/// Has the daemons' clock jump, by less than what the daemon allows for.
async fn clock(world: World) {
    loop {
        world.strike(world.plan().faults.clock_jump).await;
        let ahead_ms = world.lock().rng.i64(-110_000..110_000);
        world.set_clock(ahead_ms);
    }
}

/// Has leases run out under owners that live.
async fn leases(world: World, disk: xiaoo_store::MemoryDisk) {
    loop {
        world.strike(world.plan().faults.lapse).await;
        world.step(format_args!("leases run out"));
        world.saw("leases run out under the living");
        disk.lapse();
        let mut state = world.lock();
        state.ledger.lapse();
        state.asked.lapse();
    }
}
