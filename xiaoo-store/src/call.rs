//! A command on its way: from a caller, through an engine, and back.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};

use crate::command::{Answer, Command};
use crate::error::StoreError;

/// A command and the one who waits for its answer.
pub(crate) struct Job {
    pub(crate) task: Task,
    reply: Option<Reply>,
    /// Where it comes from when nobody waits: if it is refused it goes there again.
    home: Option<Weak<Orphans>>,
}

/// What is to be done.
pub(crate) enum Task {
    Command(Command),
    /// Makes the writer look at the orphans.
    Wake,
    /// Code of a test, in place of a command.
    #[cfg(test)]
    Test(Mutex<Option<TestTask>>),
}

/// Where the answer goes, and where it comes back to if nobody takes it.
struct Reply {
    to: oneshot::Sender<Result<Delivery, StoreError>>,
    orphanage: Arc<dyn Orphanage>,
}

/// An answer under way to its caller. If the caller goes away before it takes the
/// value, what the command took is put back.
pub(crate) struct Delivery {
    answer: Option<Answer>,
    orphanage: Arc<dyn Orphanage>,
}

/// Takes the commands that put back what was handed to nobody.
pub(crate) trait Orphanage: Send + Sync {
    fn adopt(&self, undo: Vec<Command>);
}

/// The orphans of an engine with a queue. They don't go through it, since it may
/// be full at that moment; each belongs to a command that has left the queue, so
/// their number is bounded by the callers that wait.
pub(crate) struct Orphans {
    jobs: Mutex<Jobs>,
    wake: mpsc::WeakSender<Job>,
    own: Weak<Self>,
}

#[derive(Default)]
struct Jobs {
    new: Vec<Job>,
    /// Those that were refused, and when they go out again.
    refused: Vec<Job>,
    again_at: Option<Instant>,
}

/// How long those that were refused wait: what the database does not want fails its whole batch.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

impl Job {
    /// A command, and the way its answer comes.
    pub(crate) fn new(
        command: Command,
        orphanage: Arc<dyn Orphanage>,
    ) -> (Self, oneshot::Receiver<Result<Delivery, StoreError>>) {
        Self::of(Task::Command(command), orphanage)
    }

    pub(crate) fn of(
        task: Task,
        orphanage: Arc<dyn Orphanage>,
    ) -> (Self, oneshot::Receiver<Result<Delivery, StoreError>>) {
        let (to, wait) = oneshot::channel();
        let reply = Some(Reply { to, orphanage });
        let home = None;
        (Self { task, reply, home }, wait)
    }

    /// A command that nobody waits for.
    pub(crate) fn unheard(command: Command) -> Self {
        Self {
            task: Task::Command(command),
            reply: None,
            home: None,
        }
    }

    /// Whether nobody needs it any more.
    pub(crate) fn is_void(&self) -> bool {
        match &self.task {
            Task::Command(command) => {
                !command.is_always_needed()
                    && self.reply.as_ref().is_none_or(|reply| reply.to.is_closed())
            }
            Task::Wake => true,
            #[cfg(test)]
            Task::Test(_) => false,
        }
    }

    /// Answers. The command must be durable by now, or have changed nothing.
    pub(crate) fn answer(mut self, result: Result<Answer, StoreError>) {
        match (self.reply.take(), result) {
            (Some(Reply { to, orphanage }), result) => {
                let delivery = result.map(|answer| Delivery {
                    answer: Some(answer),
                    orphanage,
                });
                // Nobody waits: the delivery comes back in the error, and its drop
                // undoes.
                drop(to.send(delivery));
            }
            (None, Ok(_)) => {}
            (None, Err(error)) => {
                let home = self.home.as_ref().and_then(Weak::upgrade);
                match home.filter(|_| !error.is_final()) {
                    Some(orphans) => {
                        tracing::warn!(%error, "what a cancelled call had taken is not put back yet");
                        orphans.keep(self);
                    }
                    None => {
                        tracing::warn!(%error, "what a cancelled call had taken stays taken until the next start");
                    }
                }
            }
        }
    }
}

impl Delivery {
    /// Takes the value; from here on it is the caller's.
    pub(crate) fn take(mut self) -> Answer {
        #[expect(
            clippy::expect_used,
            reason = "only this method takes the value, and it takes self"
        )]
        self.answer.take().expect("a delivery is taken once")
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        if let Some(answer) = self.answer.take() {
            let undo = answer.undo();
            if !undo.is_empty() {
                self.orphanage.adopt(undo);
            }
        }
    }
}

impl Orphans {
    pub(crate) fn new(wake: mpsc::WeakSender<Job>) -> Arc<Self> {
        Arc::new_cyclic(|own| Self {
            jobs: Mutex::default(),
            wake,
            own: own.clone(),
        })
    }

    /// Those that are due.
    pub(crate) fn take(&self) -> Vec<Job> {
        let mut jobs = self.jobs();
        let mut due = core::mem::take(&mut jobs.new);
        if jobs.again_at.is_some_and(|at| at <= Instant::now()) {
            due.append(&mut jobs.refused);
            jobs.again_at = None;
        }
        due
    }

    /// All of them, at the end.
    pub(crate) fn take_all(&self) -> Vec<Job> {
        let Jobs { new, refused, .. } = core::mem::take(&mut *self.jobs());
        new.into_iter().chain(refused).collect()
    }

    /// Keeps one that was refused for a later batch. It calls for none by itself, or a full disk
    /// would be asked without a pause.
    fn keep(&self, job: Job) {
        let mut jobs = self.jobs();
        jobs.refused.push(job);
        jobs.again_at = Some(Instant::now() + AGAIN_AFTER);
    }

    fn jobs(&self) -> MutexGuard<'_, Jobs> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Orphanage for Orphans {
    fn adopt(&self, undo: Vec<Command>) {
        self.jobs().new.extend(undo.into_iter().map(|command| Job {
            home: Some(self.own.clone()),
            ..Job::unheard(command)
        }));
        // A full queue means that the writer has a batch to gather anyway.
        if let Some(commands) = self.wake.upgrade() {
            drop(commands.try_send(Job {
                task: Task::Wake,
                reply: None,
                home: None,
            }));
        }
    }
}

/// What a test runs inside the SQLite writer.
#[cfg(test)]
pub(crate) type TestTask = Box<
    dyn FnOnce(&rusqlite::Connection, &mut crate::sqlite::Gauges) -> Result<Answer, StoreError>
        + Send,
>;
