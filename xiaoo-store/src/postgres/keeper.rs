//! The task that reads, on a connection of its own, and keeps the lease.
//!
//! It also passes on what the server says of other daemons' work, and rings by itself
//! now and then: a hint may get lost, and a lease that runs out says nothing.

use core::time::Duration;
use std::rc::Rc;

use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};
use tokio_postgres::Error;
use tokio_postgres::types::ToSql;

use super::link::{Link, Trouble, detail};
use super::writer::unreachable;
use super::{Server, Who, questions};
use crate::command::Answer;
use crate::desk::Read;
use crate::error::StoreError;

/// How often everybody is told to look, hint or not.
const POLL: Duration = Duration::from_millis(1_500);

/// Patience with one answer; the server gives up earlier.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(12);

/// Renewals within one lease: two may fail before others take over.
const RENEWALS: u32 = 3;

/// The keeper's task; see the module.
pub(super) struct Keeper {
    pub(super) server: Rc<Server>,
    pub(super) reads: mpsc::Receiver<Read>,
}

impl Keeper {
    /// Works until every sender is gone and the queue is empty.
    pub(super) async fn run(mut self, link: Link) {
        let mut link = link;
        let now = Instant::now();
        let mut poll = interval_at(now, POLL);
        // The lease was taken with the connection.
        let between = self.server.lease / RENEWALS;
        let mut renew = interval_at(now + between, between);
        for ticks in [&mut poll, &mut renew] {
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        }
        loop {
            let lost = tokio::select! {
                () = link.lost() => Err("the server closed the connection".to_owned()),
                _ = renew.tick() => self.renew(&link).await,
                _ = poll.tick() => {
                    self.server.told.changed();
                    Ok(())
                }
                read = self.reads.recv() => match read {
                    Some(read) => self.answer(&link, read).await,
                    None => return,
                }
            };
            if let Err(why) = lost {
                drop(link);
                match self.reconnect(&why).await {
                    Some(new) => link = new,
                    None => return,
                }
            }
        }
    }

    async fn answer(&self, link: &Link, read: Read) -> Result<(), String> {
        if read.is_void() {
            return Ok(());
        }
        let asked = questions::ask(link, &read.question);
        let (answer, end) = match timeout(ANSWER_TIMEOUT, asked).await {
            Ok(Ok(Ok(Answer::Stats(stats)))) => {
                let stats = self.server.told.counters.counted(stats);
                (Ok(Answer::Stats(stats)), Ok(()))
            }
            Ok(Ok(answer)) => (answer, Ok(())),
            Ok(Err(error)) => match Trouble::of(&error) {
                Trouble::Lost(why) => (Err(unreachable(&why)), Err(why)),
                Trouble::Refused(error) => (Err(error), Ok(())),
            },
            Err(_) => {
                let why = "the server does not answer".to_owned();
                (Err(unreachable(&why)), Err(why))
            }
        };
        read.answer(answer);
        end
    }

    async fn renew(&self, link: &Link) -> Result<(), String> {
        match timeout(ANSWER_TIMEOUT, renew(&self.server, link)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(detail(&error)),
            Err(_) => Err("the server does not answer".to_owned()),
        }
    }

    /// The next connection; `None` when the store was closed meanwhile.
    async fn reconnect(&mut self, why: &str) -> Option<Link> {
        self.server.unreachable(Who::Keeper, why);
        let server = Rc::clone(&self.server);
        let mut arrival = core::pin::pin!(server.reach(Who::Keeper));
        let link = loop {
            tokio::select! {
                link = &mut arrival => break link,
                read = self.reads.recv() => read?.answer(Err(unreachable(why))),
            }
        };
        self.server.reachable(Who::Keeper);
        // Whatever was announced while nobody listened.
        self.server.told.changed();
        Some(link)
    }
}

/// Prolongs our lease, or takes one.
pub(super) async fn renew(server: &Server, link: &Link) -> Result<(), Error> {
    let sql = "INSERT INTO owner (id, until)
         VALUES ($1, now() + $2::bigint * interval '1 millisecond')
         ON CONFLICT (id) DO UPDATE SET until = excluded.until";
    let lease_ms = crate::limits::millis(server.lease);
    link.run(sql, &[&server.owner, &lease_ms]).await?;
    Ok(())
}

/// Gives our lease up: what we had under way is anybody's from here on.
pub(super) async fn give_up(server: &Server, link: &Link) -> Result<(), StoreError> {
    let sql = "DELETE FROM owner WHERE id IN ($1, $2)";
    let rows: [&(dyn ToSql + Sync); 2] = [&server.owner, &server.mark];
    let given_up = timeout(ANSWER_TIMEOUT, link.run(sql, &rows)).await;
    match given_up {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(unreachable(&detail(&error))),
        Err(_) => Err(unreachable("the server does not answer")),
    }
}
