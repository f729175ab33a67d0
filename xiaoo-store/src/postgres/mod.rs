//! The PostgreSQL engine, for several daemons on one store.
//!
//! One thread with a small runtime of its own holds two connections: the writer's
//! and the keeper's. What several daemons have in common is in the tables: who has
//! which turn and which outbox row under way (an owner with a lease by the server's
//! clock), and how often each was claimed (the epoch that every write must show).
//!
//! A lost connection is not the end: the store says that it can't be reached, takes
//! nothing in, tries again, and goes on by itself.

mod admission;
mod batch;
mod commands;
mod keeper;
mod link;
mod notes;
mod outbox;
mod questions;
mod refused;
mod schema;
mod writer;

use core::time::Duration;
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::mpsc;
use std::thread;

use tokio::runtime;
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};
use tokio_postgres::{Config, Error};

use crate::command::Bounds;
use crate::desk::{self, Behind, Desk, Threads, Told};
use crate::error::{OpenError, StoreError};
use crate::types::Health;
use crate::url::PostgresUrl;

pub(crate) use refused::{refused, silent};
pub(crate) use schema::{identify, objects};

use batch::Counts;
use keeper::Keeper;
use link::{Link, Trouble};
use writer::Writer;

/// Patience with the server when a store is opened; another daemon's migration may be
/// under way.
const OPEN_TIMEOUT: Duration = Duration::from_secs(30);

/// Pauses between attempts to connect: the first, doubled up to the last.
const PAUSE_FIRST: Duration = Duration::from_millis(50);
const PAUSE_LAST: Duration = Duration::from_secs(2);

/// The server as one daemon sees it.
struct Server {
    config: Config,
    /// Where the tables are; also the channel of the hints, so that a store hears
    /// nothing of another in the same database.
    schema: Box<str>,
    /// Who we are in the tables: random, new for each opening.
    owner: String,
    /// The row that each transaction of our writer writes, see `writer::fate`.
    mark: String,
    lease: Duration,
    told: Told,
    /// Why each connection is down.
    down: RefCell<[Option<String>; 2]>,
}

/// Whose connection.
#[derive(Clone, Copy)]
enum Who {
    Writer,
    Keeper,
}

/// Connects, brings the tables up to date, and starts the thread.
pub(crate) fn open(
    url: &PostgresUrl,
    bounds: Bounds,
    lease: Duration,
) -> Result<(Desk, Threads), OpenError> {
    let name = url.to_string();
    let (desk, mut threads, behind) = desk::open(None);
    let (die, died) = oneshot::channel();
    let (opened, is_open) = mpsc::channel();
    let (url, server) = (url.clone(), name.clone());
    let handle = thread::Builder::new()
        .name("store-postgres".to_owned())
        .spawn(move || {
            let runtime = runtime::Builder::new_current_thread().enable_all().build();
            let runtime = match runtime {
                Ok(runtime) => runtime,
                Err(error) => {
                    drop(opened.send(Err(silent(&server, error))));
                    return;
                }
            };
            runtime.block_on(async {
                let engine = async {
                    let open = start(&url, bounds, lease, behind);
                    match timeout(OPEN_TIMEOUT, open).await {
                        Ok(Ok(started)) => {
                            drop(opened.send(Ok(())));
                            started.run().await;
                        }
                        Ok(Err(error)) => drop(opened.send(Err(error))),
                        Err(_) => drop(opened.send(Err(silent(&server, "no answer in time")))),
                    }
                };
                tokio::select! {
                    () = engine => {}
                    // An end without goodbye; a sender that is gone means nothing.
                    Ok(()) = died => {}
                }
            });
        });
    threads.add(handle.map_err(|error| silent(&name, error))?);
    threads.die_by(die);
    is_open
        .recv()
        .map_err(|_| silent(&name, "the engine stopped by a mistake of the program"))??;
    Ok((desk, threads))
}

/// An engine that is connected.
struct Started {
    server: Rc<Server>,
    writer: (Writer, Link),
    keeper: (Keeper, Link),
}

async fn start(
    url: &PostgresUrl,
    bounds: Bounds,
    lease: Duration,
    behind: Behind,
) -> Result<Started, OpenError> {
    let name = &url.to_string();
    let failed = |error: Error| refused(name, &error);
    let link = Link::open(url.config(), &behind.told)
        .await
        .map_err(failed)?;
    schema::prepare(url, link.client()).await?;
    link.set_up(url.schema()).await.map_err(failed)?;
    let sql = "SELECT gen_random_uuid()::text, current_setting('fsync')";
    let row = link.row(sql, &[]).await.map_err(failed)?;
    if row.get::<_, &str>(1) == "off" {
        tracing::warn!(
            server = name,
            "the database server has fsync off: a power cut there loses what was acknowledged"
        );
    }
    let server = Rc::new(Server {
        config: url.config().clone(),
        schema: url.schema().into(),
        owner: row.get(0),
        mark: format!("{} mark", row.get::<_, &str>(0)),
        lease,
        told: behind.told,
        down: RefCell::default(),
    });
    let keeper_link = server.connect(Who::Keeper).await.map_err(failed)?;
    // Owners that are long gone; what they had is free with or without their row.
    link.batch("DELETE FROM owner WHERE until < now() - interval '1 day'")
        .await
        .map_err(failed)?;
    let writer = Writer {
        server: Rc::clone(&server),
        queue: behind.commands,
        orphans: behind.orphans,
        bounds,
        counts: Counts::default(),
        backlog: std::collections::VecDeque::new(),
    };
    let keeper = Keeper {
        server: Rc::clone(&server),
        reads: behind.reads,
    };
    Ok(Started {
        server,
        writer: (writer, link),
        keeper: (keeper, keeper_link),
    })
}

impl Started {
    async fn run(self) {
        let (writer, link) = self.writer;
        let (keeper, keeper_link) = self.keeper;
        let _told = TellPanic(self.server.told.clone());
        tokio::join!(writer.run(link), keeper.run(keeper_link));
        if let Ok(link) = self.server.connect(Who::Writer).await
            && let Err(error) = keeper::give_up(&self.server, &link).await
        {
            tracing::warn!(%error, "the lease was not given up and will run out by itself");
        }
    }
}

impl Server {
    /// Connects, however long it takes.
    async fn reach(&self, who: Who) -> Link {
        let mut pause = PAUSE_FIRST;
        loop {
            match self.connect(who).await {
                Ok(link) => return link,
                Err(error) => self.unreachable(who, &link::detail(&error)),
            }
            sleep(pause).await;
            pause = (pause * 2).min(PAUSE_LAST);
        }
    }

    async fn connect(&self, who: Who) -> Result<Link, Error> {
        let link = Link::open(&self.config, &self.told).await?;
        link.set_up(&self.schema).await?;
        if let Who::Keeper = who {
            link.batch(&format!("LISTEN \"{}\"", self.schema)).await?;
            keeper::renew(self, &link).await?;
        }
        Ok(link)
    }

    fn unreachable(&self, who: Who, why: &str) {
        let mut down = self.down.borrow_mut();
        let was_down = down.iter().any(Option::is_some);
        if let Some(entry) = down.get_mut(who as usize) {
            *entry = Some(why.to_owned());
        }
        if !was_down {
            tracing::warn!(why, "the store's database can't be reached, trying again");
        }
        self.tell(&down);
    }

    fn reachable(&self, who: Who) {
        let mut down = self.down.borrow_mut();
        if let Some(entry) = down.get_mut(who as usize) {
            *entry = None;
        }
        if down.iter().all(Option::is_none) {
            tracing::info!("the store's database can be reached again");
        }
        self.tell(&down);
    }

    fn tell(&self, down: &[Option<String>; 2]) {
        let health = down
            .iter()
            .flatten()
            .next()
            .map_or(Health::Good, |why| Health::Unreachable {
                reason: format!("the store's database can't be reached: {why}"),
            });
        self.told.health.send_if_modified(|old| {
            let is_new = *old != health;
            *old = health;
            is_new
        });
    }
}

/// What an error is for a caller who doesn't try again.
pub(crate) fn store_error(error: &Error) -> StoreError {
    match Trouble::of(error) {
        Trouble::Lost(why) => writer::unreachable(&why),
        Trouble::Refused(error) => error,
    }
}

/// An engine that panics must not look healthy.
struct TellPanic(Told);

impl Drop for TellPanic {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.health.send_replace(Health::Failed {
                reason: "the writer stopped by a mistake of the program".to_owned(),
            });
        }
    }
}
