//! The one task that writes.
//!
//! As in SQLite it takes a command and what else waits, runs all in one transaction,
//! and only then answers; the admissions among them are sent in one go. There are no
//! savepoints: a transaction that the server refuses is done again, each command by
//! itself.
//!
//! Transactions of several daemons meet. Each locks the conversations in which it may
//! promote, all at once and in one order, so none can wait for another in a circle.
//!
//! When the connection is lost, commands that tell of something that has happened wait
//! for the next one, the others are refused. If it was lost while a commit was under
//! way, the next connection asks what became of that transaction, so that nothing is
//! done twice and nothing that was done is forgotten.

use core::mem::take;
use core::pin::pin;
use core::time::Duration;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;

use futures_util::future::join3;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};
use tokio_postgres::Error;
use tokio_postgres::error::SqlState;

use super::admission::{self, Room};
use super::batch::{Counts, LOCK, commands_of, in_order, is_news, lanes};
use super::commands;
use super::link::{Link, Trouble};
use super::schema::LOCKS;
use super::{Server, Who, notes};
use crate::call::{Job, Orphans, Task};
use crate::command::{Answer, Bounds, Command};
use crate::error::StoreError;
use crate::limits::{BATCH_MAX, COMMANDS_MAX};

/// Patience with one transaction. The server gives up earlier, so past this it is
/// not there any more.
const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(12);

/// How often the server is asked about a transaction that it has not ended yet.
const FATE_POLL: Duration = Duration::from_millis(100);

/// The writer's task; see the module.
pub(super) struct Writer {
    pub(super) server: Rc<Server>,
    pub(super) queue: mpsc::Receiver<Job>,
    pub(super) orphans: Arc<Orphans>,
    pub(super) bounds: Bounds,
    pub(super) counts: Counts,
    /// What waited for a connection.
    pub(super) backlog: VecDeque<Job>,
}

/// A batch whose connection was lost.
struct Cut {
    jobs: Vec<Job>,
    why: String,
    /// The transaction, and the answers if it was committed all the same.
    doubt: Option<(String, Vec<Result<Answer, StoreError>>)>,
}

/// How a transaction can end, other than well.
enum End {
    Trouble(Trouble),
    Doubt {
        why: String,
        xid: String,
        answers: Vec<Result<Answer, StoreError>>,
    },
}

impl From<Error> for End {
    fn from(error: Error) -> Self {
        Self::Trouble(Trouble::of(&error))
    }
}

impl Writer {
    /// Works until every sender is gone and the queue is empty.
    pub(super) async fn run(mut self, link: Link) {
        let mut link = link;
        loop {
            let batch = tokio::select! {
                batch = self.gather() => batch,
                () = link.lost() => {
                    let cut = Cut {
                        jobs: Vec::new(),
                        why: "the server closed the connection".to_owned(),
                        doubt: None,
                    };
                    // So that the server gives up what the transaction held.
                    drop(link);
                    match self.reconnect(cut).await {
                        Some(new) => link = new,
                        None => return,
                    }
                    continue;
                }
            };
            let Some(batch) = batch else {
                break;
            };
            if let Err(cut) = self.commit(&link, batch).await {
                drop(link);
                match self.reconnect(cut).await {
                    Some(new) => link = new,
                    None => return,
                }
            }
        }
        let left = self.orphans.take_all();
        // After this the lease is given up, which puts back what could not be now.
        drop(self.commit(&link, left).await);
    }

    /// The next batch; cancel-safe, as it waits before it takes.
    async fn gather(&mut self) -> Option<Vec<Job>> {
        let mut batch: Vec<_> = take(&mut self.backlog).into();
        if batch.is_empty() {
            batch.push(self.queue.recv().await?);
        }
        batch.extend(self.orphans.take());
        while batch.len() < BATCH_MAX
            && let Ok(job) = self.queue.try_recv()
        {
            batch.push(job);
        }
        Some(batch)
    }

    async fn commit(&mut self, link: &Link, mut batch: Vec<Job>) -> Result<(), Cut> {
        batch.retain(|job| !job.is_void());
        if batch.is_empty() {
            return Ok(());
        }
        let began = Instant::now();
        match self.transact(link, &batch).await {
            Ok(answers) => {
                self.answer(batch, answers, began.elapsed());
                Ok(())
            }
            Err(End::Trouble(Trouble::Lost(why))) => Err(Cut::new(batch, why)),
            Err(End::Doubt { why, xid, answers }) => Err(Cut {
                jobs: batch,
                why,
                doubt: Some((xid, answers)),
            }),
            Err(End::Trouble(Trouble::Refused(error))) if batch.len() == 1 => {
                for job in batch {
                    job.answer(Err(error.clone()));
                }
                Ok(())
            }
            Err(End::Trouble(Trouble::Refused(_))) => self.commit_each(link, batch).await,
        }
    }

    /// Each command by itself: what is wrong with one hurts no other.
    async fn commit_each(&mut self, link: &Link, batch: Vec<Job>) -> Result<(), Cut> {
        let mut left = batch.into_iter();
        while let Some(job) = left.next() {
            if let Err(mut cut) = Box::pin(self.commit(link, vec![job])).await {
                // These were not begun.
                let rest: Vec<_> = left.collect();
                match &cut.doubt {
                    None => cut.jobs.extend(rest),
                    Some(_) => self.park(rest, &cut.why),
                }
                return Err(cut);
            }
        }
        Ok(())
    }

    /// The answers of a batch that is durable.
    async fn transact(
        &mut self,
        link: &Link,
        batch: &[Job],
    ) -> Result<Vec<Result<Answer, StoreError>>, End> {
        let worked = match timeout(TRANSACTION_TIMEOUT, self.work(link, batch)).await {
            Ok(worked) => worked,
            Err(_) => Err(End::Trouble(Trouble::Lost(
                "the server does not answer".to_owned(),
            ))),
        };
        let (xid, answers) = match worked {
            Ok(worked) => worked,
            Err(end) => {
                // A connection that is lost is closed, which rolls back as well.
                if let End::Trouble(Trouble::Refused(_)) = &end {
                    drop(timeout(TRANSACTION_TIMEOUT, link.batch("ROLLBACK")).await);
                }
                return Err(end);
            }
        };
        let commit = if is_news(batch, &answers) {
            format!("NOTIFY \"{}\"; COMMIT", self.server.schema)
        } else {
            "COMMIT".to_owned()
        };
        let why = match timeout(TRANSACTION_TIMEOUT, link.batch(&commit)).await {
            Ok(Ok(())) => return Ok(answers),
            Ok(Err(error)) => match Trouble::of(&error) {
                Trouble::Lost(why) => why,
                refused @ Trouble::Refused(_) => return Err(End::Trouble(refused)),
            },
            Err(_) => "the server does not answer".to_owned(),
        };
        Err(End::Doubt { why, xid, answers })
    }

    /// All of a transaction but its end: its number, and the answers to be.
    async fn work(
        &mut self,
        link: &Link,
        batch: &[Job],
    ) -> Result<(String, Vec<Result<Answer, StoreError>>), End> {
        let (turns, sends, names) = lanes(batch);
        let mark = prepared(link).await?;
        // Sent in one go, as the join looks at its parts in the order in which they are
        // written; the locks are taken in the order of their keys.
        let (begun, locked, xid) = join3(
            link.batch("BEGIN"),
            link.rows(LOCK, &[&LOCKS, &turns, &sends, &names]),
            link.client().query_one(&mark, &[&self.server.mark]),
        )
        .await;
        begun?;
        locked?;
        let xid: String = xid?.get(0);
        self.count(link, batch).await?;

        let mut room = self.counts.queued.room(self.bounds.queued_max);
        let admissions = batch.iter().filter_map(|job| match &job.task {
            Task::Command(Command::Admit(event)) => {
                let limits = Room {
                    in_store: room > 0,
                    store_max: self.bounds.queued_max,
                    lane_max: self.bounds.queued_per_conversation_max,
                };
                room = room.saturating_sub(u64::from(event.work.is_some()));
                Some(admission::admit(link, event, limits))
            }
            Task::Command(_) | Task::Wake => None,
            #[cfg(test)]
            Task::Test(_) => None,
        });
        // After an error the server only says that there was one, so the first counts.
        let admitted: Result<Vec<_>, Error> = in_order(admissions).await.into_iter().collect();
        let mut admitted = admitted?.into_iter();
        let max = self.bounds.notes_max;
        let mut room = notes::Room {
            left: self.counts.notes.room(max),
            max,
        };
        let mut answers = Vec::with_capacity(batch.len());
        for job in batch {
            let answer = match &job.task {
                Task::Command(Command::Admit(_)) => {
                    admitted.next().unwrap_or(Err(StoreError::Closed))
                }
                Task::Command(Command::PutNote(put)) => notes::put(link, put, &mut room).await?,
                Task::Command(command) => commands::run(link, &self.server.owner, command).await?,
                Task::Wake => Err(StoreError::Closed),
                #[cfg(test)]
                Task::Test(_) => Err(StoreError::Closed),
            };
            answers.push(answer);
        }
        Ok((xid, answers))
    }

    /// Knows how much waits and how many notes there are, well enough for what is new.
    async fn count(&mut self, link: &Link, batch: &[Job]) -> Result<(), Error> {
        let (mut turns, mut notes) = (0, 0);
        for command in commands_of(batch) {
            turns += u64::from(matches!(command, Command::Admit(event) if event.work.is_some()));
            notes += u64::from(matches!(command, Command::PutNote(_)));
        }
        if self.counts.queued.is_due(turns, self.bounds.queued_max) {
            // In the words of the indexes.
            let sql = "SELECT (SELECT count(*) FILTER (WHERE state = 'ready') FROM turn
                             WHERE state IN ('ready', 'running'))
                          + (SELECT count(*) FROM turn WHERE state = 'waiting')";
            self.counts.queued.set(link.row(sql, &[]).await?.get(0));
        }
        if self.counts.notes.is_due(notes, self.bounds.notes_max) {
            let sql = "SELECT count(*) FROM note";
            self.counts.notes.set(link.row(sql, &[]).await?.get(0));
        }
        Ok(())
    }

    fn answer(
        &mut self,
        batch: Vec<Job>,
        answers: Vec<Result<Answer, StoreError>>,
        took: Duration,
    ) {
        let told = &self.server.told;
        told.committed(batch.len(), took);
        if is_news(&batch, &answers) {
            told.changed();
        }
        for (job, answer) in batch.into_iter().zip(answers) {
            self.counts.follow(&job, &answer);
            job.answer(answer);
        }
    }

    /// The next connection, with all that was in doubt settled; `None` when the store
    /// was closed meanwhile.
    async fn reconnect(&mut self, cut: Cut) -> Option<Link> {
        let began = Instant::now();
        self.server.unreachable(Who::Writer, &cut.why);
        let Cut { jobs, why, doubt } = cut;
        let (mut in_doubt, xid, answers) = match doubt {
            None => {
                self.park(jobs, &why);
                (Vec::new(), None, Vec::new())
            }
            Some((xid, answers)) => (jobs, Some(xid), answers),
        };
        let server = Rc::clone(&self.server);
        let (link, committed) = {
            let mut arrival = pin!(arrive(&server, xid.as_deref()));
            loop {
                tokio::select! {
                    arrived = &mut arrival => break arrived,
                    job = self.queue.recv() => match job {
                        Some(job) => self.park([job], &why),
                        None => {
                            self.refuse_all(&why);
                            return None;
                        }
                    }
                }
            }
        };
        self.counts.forget();
        if committed {
            self.answer(take(&mut in_doubt), answers, began.elapsed());
        }
        self.park(in_doubt, &why);
        self.server.reachable(Who::Writer);
        Some(link)
    }

    /// Keeps for later what must be done, and refuses the rest.
    fn park(&mut self, jobs: impl IntoIterator<Item = Job>, why: &str) {
        for job in jobs {
            if job.is_void() {
                continue;
            }
            let needed = commands_of([&job]).any(Command::is_always_needed);
            if needed && self.backlog.len() < COMMANDS_MAX {
                self.backlog.push_back(job);
            } else {
                job.answer(Err(unreachable(why)));
            }
        }
    }

    fn refuse_all(&mut self, why: &str) {
        for job in take(&mut self.backlog) {
            job.answer(Err(unreachable(why)));
        }
    }
}

/// Connects, however long it takes, and asks what became of a transaction.
async fn arrive(server: &Server, xid: Option<&str>) -> (Link, bool) {
    loop {
        let link = server.reach(Who::Writer).await;
        let fate = match xid {
            None => return (link, false),
            Some(xid) => fate(server, &link, xid).await,
        };
        match fate {
            Ok(Some(committed)) => return (link, committed),
            Ok(None) => server.unreachable(Who::Writer, "the server is a standby"),
            Err(error) => server.unreachable(Who::Writer, &super::link::detail(&error)),
        }
        sleep(FATE_POLL).await;
    }
}

/// Whether a transaction was committed, as far as this server goes; `None` when it can't say.
///
/// Its number only tells when it has ended, not how. A server gives numbers anew that it does not
/// remember: those of transactions that a crash kept from the disk, and after a fail-over or a
/// restore those that did not come along. So the number may be nobody's yet (an error), or that
/// of somebody who has committed, and neither the server's identity nor its timeline tells: a
/// crash changes neither. What cannot be mistaken is the mark, which is there exactly if the rest
/// of the transaction is. What is not there now will not come later either, so it may be done
/// again; but not by the word of a standby, which may not have come to what it has received.
async fn fate(server: &Server, link: &Link, xid: &str) -> Result<Option<bool>, Error> {
    if link.row("SELECT pg_is_in_recovery()", &[]).await?.get(0) {
        return Ok(None);
    }
    loop {
        let sql = "SELECT pg_xact_status($1::text::xid8)";
        let status: Option<String> = match link.row(sql, &[&xid]).await {
            Ok(row) => row.get(0),
            // "transaction ID … is in the future"
            Err(error) if error.code() == Some(&SqlState::INVALID_PARAMETER_VALUE) => None,
            Err(error) => return Err(error),
        };
        if status.as_deref() != Some("in progress") {
            break;
        }
        sleep(FATE_POLL).await;
    }
    // By a statement of its own, or it might not see what has ended just now. A row says by
    // which transaction it was written, and nobody else writes this one.
    let sql = "SELECT EXISTS
         (SELECT FROM owner WHERE id = $1 AND xmin = $2::text::xid8::xid)";
    Ok(Some(link.row(sql, &[&server.mark, &xid]).await?.get(0)))
}

/// Leaves the mark, see [`fate`], and says the transaction's number. It is a row of `owner`
/// without a lease, so that its end needs no care: rows that are long out are removed.
const MARK: &str = "
INSERT INTO owner (id, until) VALUES ($1, now())
ON CONFLICT (id) DO UPDATE SET until = excluded.until
RETURNING pg_current_xact_id()::text";

/// Also leaves the mark, in case the transaction must be asked for.
async fn prepared(link: &Link) -> Result<tokio_postgres::Statement, Error> {
    link.prepare(LOCK).await?;
    link.prepare(admission::ADMIT).await?;
    link.prepare(MARK).await
}

pub(super) fn unreachable(why: &str) -> StoreError {
    StoreError::Unreachable {
        detail: why.to_owned(),
    }
}

impl Cut {
    fn new(jobs: Vec<Job>, why: String) -> Self {
        Self {
            jobs,
            why,
            doubt: None,
        }
    }
}
