//! Daemons: the real ones, at the world's edges. They are killed, stopped,
//! started again.

use std::sync::Arc;
use std::time::Duration;

use proto_core::{HostPolicy, Verifier};
use runtime_tokio::WallClock;
use runtime_tokio::link::{LinkOptions, LinkStatus};
use runtime_tokio::openapi::{OpenApi, OpenApiConfig, Patience};
use runtime_tokio::webhook::{EventRoute, WebhookLimits, WebhookStats};
use tokio::sync::watch;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tower::service_fn;
use xiaoo_agent::{Model, ModelConfig, Provider, ToolSet};
use xiaoo_app::agents::{Agent, Agents};
use xiaoo_app::pipeline::{Pipeline, Settings};
use xiaoo_app::stages::Stages;
use xiaoo_store::{Health, MemoryDisk, Store, StoreGuard, StoreOptions, limits};

use crate::feishu::{APP_ID, VERIFICATION_TOKEN, gateway, network};
use crate::model::{self, Note};
use crate::people;
use crate::world::{Life, World};

/// Where webhooks go.
pub const ROUTE: &str = "/events";
/// How long a turn may take.
const TURN_TIMEOUT: Duration = Duration::from_secs(300);
/// Longest event, joined: a few times what anybody writes here.
pub const EVENT_BYTES_MAX: usize = 4 << 10;
/// Messages that are older are answered with a notice.
const MESSAGE_AGE_MAX: Duration = Duration::from_secs(3 * 3_600);

/// A daemon that runs.
struct Process {
    pid: u32,
    stages: Stages,
    guard: StoreGuard,
    died: CancellationToken,
    health: watch::Receiver<Health>,
}

/// Keeps one daemon up, as an init system does, while the world plays with it.
pub async fn keep(world: World, disk: MemoryDisk) {
    loop {
        let process = start(&world, &disk);
        let pid = process.pid;
        let mut health = process.health.clone();
        let failed = async move {
            let has_failed = |health: &Health| matches!(health, Health::Failed { .. });
            drop(health.wait_for(has_failed).await);
        };
        let faults = &world.plan().faults;
        tokio::select! {
            biased;
            () = process.died.cancelled() => bury(&world, &disk, process),
            () = failed => {
                world.saw("a store fails");
                stop(&world, process, Duration::ZERO).await;
            }
            () = world.strike(faults.kill) => {
                world.kill(pid, "killed");
                bury(&world, &disk, process);
            }
            () = world.strike(faults.stop) => {
                let grace = world.millis(0..20_000);
                stop(&world, process, grace).await;
            }
        }
        let is_long = world.strikes(faults.long_absence, "a long absence");
        let most = if is_long { 7_200_000 } else { 20_000 };
        // Somebody who looks after the machines starts it again when all is calm.
        tokio::select! {
            () = sleep(world.millis(200..most)) => {}
            () = world.calmed() => sleep(world.millis(200..20_000)).await,
        }
    }
}

fn start(world: &World, disk: &MemoryDisk) -> Process {
    let plan = world.plan();
    let options = StoreOptions {
        queued_max: plan.queued_max,
        queued_per_conversation_max: plan.backlog_max,
        ..StoreOptions::default()
    };
    let (store, guard) = if plan.daemons == 1 {
        let opened = Store::in_memory(disk, &options);
        world.lock().ledger.recovered();
        opened
    } else {
        Store::in_memory_beside(disk, &options)
    };
    let (pid, died) = {
        let mut state = world.lock();
        let pid = state.processes.len() as u32 + 1;
        state.step(format_args!("process {pid} starts"));
        state.saw("a process starts");
        let died = CancellationToken::new();
        let life = Life {
            died: died.clone(),
            stops: false,
            route: None,
            link: None,
        };
        state.processes.insert(pid, life);
        (pid, died)
    };
    let told = world.clone();
    let clock = WallClock::new(move || told.wall());
    let wire = world.clone();
    let api = OpenApi::new(
        service_fn(move |request| network::exchange(wire.clone(), pid, request)),
        OpenApiConfig {
            base_url: "http://feishu.simulation".into(),
            app_id: APP_ID.into(),
            app_secret: "secret".to_owned().into(),
            patience: Patience::default(),
        },
    );
    let wire = world.clone();
    let model = Model::new(
        service_fn(move |request| model::exchange(wire.clone(), pid, request)),
        ModelConfig::new(
            Provider::Compatible,
            "http://model.simulation/v1",
            "simulated",
        ),
    );
    let (identity, known) = watch::channel(None);
    let health = store.health_changes();
    let tools = ToolSet::new()
        .with(Note(world.clone()))
        .expect("the tool is sound");
    let mut agent = Agent::plain(
        "main",
        model.expect("the model can be asked").into(),
        tools,
        "Answer.",
    );
    agent.limits.turn_timeout = TURN_TIMEOUT;
    let settings = Settings {
        turns_max: plan.turns_max,
        message_age_max: Some(MESSAGE_AGE_MAX),
        recover_after: plan.recover_after,
        ..Settings::usual(APP_ID, "feishu")
    };
    let pipeline = Arc::new(Pipeline::new(
        store,
        api,
        Agents::one(agent),
        settings,
        clock.clone(),
        known,
        None,
    ));
    let link = (!plan.webhook).then(|| {
        let options = LinkOptions {
            core: proto_core::Config {
                hosts: HostPolicy {
                    loopback: true,
                    also: None,
                },
                limits: proto_core::Limits {
                    event_bytes_max: EVENT_BYTES_MAX,
                    ..proto_core::Limits::default()
                },
                ..proto_core::Config::default()
            },
            dialer: gateway::dialer(world, pid),
            clock,
        };
        (options, LinkStatus::default())
    });
    let status = link.as_ref().map(|(_, status)| status.clone());
    let stages = Stages::start(pipeline, identity, link);
    if let Some(life) = world.lock().processes.get_mut(&pid) {
        life.link = status;
    }
    if plan.webhook {
        let verifier = Verifier::new(Some(VERIFICATION_TOKEN), None);
        let route = EventRoute::new(
            verifier.expect("a token of a usual length"),
            Arc::clone(stages.admission()),
            WebhookLimits::default(),
            Arc::new(WebhookStats::default()),
        );
        let mut state = world.lock();
        if let Some(life) = state.processes.get_mut(&pid) {
            life.route = Some(route);
        }
        state.look_at_reach();
        drop(state);
        people::greet(world);
    }
    Process {
        pid,
        stages,
        guard,
        died,
        health,
    }
}

/// A process that died: what still runs of it reaches nobody.
fn bury(world: &World, disk: &MemoryDisk, process: Process) {
    world.kill(process.pid, "killed");
    process.guard.abandon();
    world.lock().disk.unwell_ms = world.now_ms();
    if world.plan().daemons > 1 {
        let (world, disk) = (world.clone(), disk.clone());
        tokio::spawn(async move {
            sleep(limits::LEASE).await;
            disk.lapse_of_the_dead();
            world.lock().ledger.recovered();
            world.saw("a dead owner's lease runs out");
        });
    }
    tokio::spawn(process.stages.stop(Duration::ZERO));
}

/// Ends a process in good order.
async fn stop(world: &World, process: Process, grace: Duration) {
    let pid = process.pid;
    {
        let mut state = world.lock();
        state.step(format_args!("process {pid} stops, {grace:?}"));
        state.saw("stopped");
        if let Some(life) = state.processes.get_mut(&pid) {
            life.stops = true;
        }
        state.look_at_reach();
    }
    let died = process.died.clone();
    tokio::select! {
        () = process.stages.stop(grace) => {}
        () = died.cancelled() => {}
    }
    drop(process.guard.close());
    world.lock().ledger.recovered();
    world.kill(pid, "ended");
}
