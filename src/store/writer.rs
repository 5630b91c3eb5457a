//! The one writer: a thread that takes all closures that wait, runs each in a savepoint of one transaction, commits
//! once and then answers them all. One flush to the disk so carries hundreds of calls.
//!
//! A write whose caller waits is committed at once, and takes with it whatever came before it. Detached ones gather for
//! a moment ([`Patience::gather`]) while nobody waits: a flush for each would cost more than all else that the call path
//! does. In exchange, a power cut or a kill loses as much of the call log as had not yet been committed. What a caller
//! was promised is not of it: consents and the texts asked for are waited for, and a call whose start is on record but not
//! its end is seen by the next start, which queues the text that its caller is owed.
//!
//! A write whose caller waits is told at once when the database is locked or full. A detached one (the call path's) is
//! tried again for a bounded time; what is given up is logged, counted and noted ([`super::unrecorded`]).

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::RecvTimeoutError;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::unrecorded::Note;
use super::{Patience, StoreError, Tx, Unavailable};
use crate::clock::monotonic;
use crate::events::{Event, Events};

/// Closures in one transaction, and detached ones that gather: bounds how long the first of them waits.
const BATCH: usize = 512;
/// Waited-for writes in the queue; a further one waits for its turn.
const TURNS: usize = 1024;
/// Between two tries at a database that cannot be written.
const RETRY_EVERY: Duration = Duration::from_millis(500);

/// What the writer has done since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Writes committed.
    pub committed: u64,
    /// Transactions that committed them.
    pub transactions: u64,
    /// Writes that answered an error to whoever waited for them.
    pub failed: u64,
    /// Tries of detached writes that will be made again.
    pub retried: u64,
    /// Detached writes given up: records that are missing.
    pub lost: u64,
}

#[derive(Default)]
struct Counts {
    committed: AtomicU64,
    transactions: AtomicU64,
    failed: AtomicU64,
    retried: AtomicU64,
    lost: AtomicU64,
}

/// A write whose caller waits: its closure, and where its answer goes.
trait Waited: Send {
    fn run(&mut self, tx: &Tx<'_>) -> Result<(), StoreError>;
    fn answer(self: Box<Self>, outcome: Result<(), StoreError>);
}

struct Once<T, F> {
    f: Option<F>,
    value: Option<T>,
    reply: oneshot::Sender<Result<T, StoreError>>,
}

impl<T: Send, F: FnOnce(&Tx<'_>) -> Result<T, StoreError> + Send> Waited for Once<T, F> {
    fn run(&mut self, tx: &Tx<'_>) -> Result<(), StoreError> {
        let f = self.f.take().ok_or(StoreError::Closed)?;
        self.value = Some(f(tx)?);
        Ok(())
    }

    fn answer(self: Box<Self>, outcome: Result<(), StoreError>) {
        let value = self.value;
        // Nobody may be waiting any more: that is no error.
        let _ = self.reply.send(outcome.and_then(|()| value.ok_or(StoreError::Closed)));
    }
}

/// May run more than once, each time in a transaction of its own.
type Closure = dyn FnMut(&Tx<'_>) -> Result<(), StoreError> + Send;

struct Detached {
    label: &'static str,
    queued: Instant,
    run: Box<Closure>,
    _turn: OwnedSemaphorePermit,
}

enum Work {
    Waited { work: Box<dyn Waited>, _turn: Option<OwnedSemaphorePermit> },
    Detached(Detached),
}

enum Job {
    Work(Work),
    Close(mpsc::SyncSender<()>),
}

/// The handle on the writer's thread. Dropping the last one lets the thread finish what is queued and end.
pub(super) struct Writer {
    jobs: mpsc::Sender<Job>,
    turns: Arc<Semaphore>,
    detached_turns: Arc<Semaphore>,
    counts: Arc<Counts>,
    note: Arc<Note>,
}

impl Writer {
    pub(super) fn start(
        conn: Connection,
        events: Events,
        note: Note,
        patience: Patience,
    ) -> Result<Writer, StoreError> {
        let (jobs, queue) = mpsc::channel();
        let counts = Arc::new(Counts::default());
        let note = Arc::new(note);
        let worker = Worker {
            conn,
            events,
            queue,
            counts: counts.clone(),
            note: note.clone(),
            patience,
            backlog: Vec::new(),
            retry_at: monotonic(),
        };
        thread::Builder::new()
            .name("store-writer".into())
            .spawn(move || worker.work())
            .map_err(|source| StoreError::Folder { path: "the store's writer thread".into(), source })?;
        Ok(Writer {
            jobs,
            turns: Arc::new(Semaphore::new(TURNS)),
            detached_turns: Arc::new(Semaphore::new(patience.detached)),
            counts,
            note,
        })
    }

    pub(super) async fn write<T, F>(&self, f: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Tx<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        let turn = self.turns.clone().acquire_owned().await.map_err(|_| StoreError::Closed)?;
        let answer = self.queue(f, Some(turn))?;
        answer.await.map_err(|_| StoreError::Closed)?
    }

    /// Takes no turn: a thread that blocks here bounds itself.
    pub(super) fn write_blocking<T, F>(&self, f: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Tx<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        self.queue(f, None)?.blocking_recv().map_err(|_| StoreError::Closed)?
    }

    fn queue<T, F>(
        &self,
        f: F,
        turn: Option<OwnedSemaphorePermit>,
    ) -> Result<oneshot::Receiver<Result<T, StoreError>>, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Tx<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let once = Once { f: Some(f), value: None, reply };
        self.jobs
            .send(Job::Work(Work::Waited { work: Box::new(once), _turn: turn }))
            .map_err(|_| StoreError::Closed)?;
        Ok(answer)
    }

    pub(super) fn detach<F>(&self, label: &'static str, f: F)
    where
        F: FnMut(&Tx<'_>) -> Result<(), StoreError> + Send + 'static,
    {
        let queued = self.detached_turns.clone().try_acquire_owned().is_ok_and(|turn| {
            let work = Detached { label, queued: monotonic(), run: Box::new(f), _turn: turn };
            self.jobs.send(Job::Work(Work::Detached(work))).is_ok()
        });
        if !queued {
            // The writer's thread writes the note down: nothing here touches the disk.
            lose(&self.counts, &self.note, label);
        }
    }

    pub(super) fn counters(&self) -> Counters {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Counters {
            committed: read(&self.counts.committed),
            transactions: read(&self.counts.transactions),
            failed: read(&self.counts.failed),
            retried: read(&self.counts.retried),
            lost: read(&self.counts.lost),
        }
    }

    pub(super) fn close(&self) {
        self.turns.close();
        self.detached_turns.close();
        let (done, wait) = mpsc::sync_channel(1);
        if self.jobs.send(Job::Close(done)).is_ok() {
            // An error says that the thread is gone already.
            let _ = wait.recv();
        }
        self.note.flush();
    }
}

fn lose(counts: &Counts, note: &Note, label: &'static str) {
    counts.lost.fetch_add(1, Ordering::Relaxed);
    note.add(label);
}

struct Worker {
    conn: Connection,
    events: Events,
    queue: mpsc::Receiver<Job>,
    counts: Arc<Counts>,
    note: Arc<Note>,
    patience: Patience,
    /// Detached writes that wait for the database to become writable.
    backlog: Vec<Detached>,
    /// When they are tried again.
    retry_at: Instant,
}

/// What is to be committed next.
#[derive(Default)]
struct Round {
    todo: VecDeque<Work>,
    /// Who waits for the end.
    closing: Vec<mpsc::SyncSender<()>>,
    /// Nothing will come after it.
    last: bool,
}

impl Worker {
    fn work(mut self) {
        loop {
            let Round { mut todo, closing, last } = self.gather();
            if last || monotonic() >= self.retry_at {
                for work in self.backlog.drain(..).rev() {
                    todo.push_front(Work::Detached(work));
                }
            }
            let waiting = self.backlog.len();
            self.commit(todo);
            if self.backlog.len() > waiting {
                self.retry_at = monotonic() + RETRY_EVERY;
            }
            if last {
                for work in std::mem::take(&mut self.backlog) {
                    lose(&self.counts, &self.note, work.label);
                }
            }
            self.note.waiting(self.backlog.len());
            self.note.flush();
            if last {
                if let Err(error) = self.conn.pragma(None, "wal_checkpoint", "TRUNCATE", |_| Ok(())) {
                    tracing::debug!(%error, "the write-ahead log stays; the next start reads it");
                }
                drop(self.conn);
                for done in closing {
                    let _ = done.send(());
                }
                return;
            }
        }
    }

    /// Waits until something is to be committed, and takes what else is queued by then.
    fn gather(&self) -> Round {
        let mut round = Round::default();
        let mut due = (!self.backlog.is_empty()).then_some(self.retry_at);
        while round.todo.len() < BATCH || !round.closing.is_empty() {
            let job = match due {
                None => self.queue.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(due) => self.queue.recv_timeout(due.saturating_duration_since(monotonic())),
            };
            let job_due = match job {
                Ok(Job::Work(work)) => {
                    let job_due = match &work {
                        Work::Waited { .. } => monotonic(),
                        Work::Detached(work) => work.queued + self.patience.gather,
                    };
                    round.todo.push_back(work);
                    job_due
                }
                Ok(Job::Close(done)) => {
                    round.closing.push(done);
                    monotonic()
                }
                Err(RecvTimeoutError::Timeout) => break,
                Err(RecvTimeoutError::Disconnected) => {
                    round.last = true;
                    break;
                }
            };
            due = Some(due.map_or(job_due, |due| due.min(job_due)));
        }
        round.last |= !round.closing.is_empty();
        round
    }

    /// Runs and commits everything in `todo`, in as few transactions as SQLite allows.
    fn commit(&mut self, mut todo: VecDeque<Work>) {
        while !todo.is_empty() {
            if let Err(error) = self.conn.execute_batch("BEGIN IMMEDIATE") {
                let error = StoreError::from(error);
                return todo.into_iter().for_each(|work| self.failed(work, StoreError::Unavailable(reason(&error))));
            }
            let mut done = Vec::with_capacity(todo.len());
            let mut announced = Vec::new();
            let mut broken = None;
            while let Some(mut work) = todo.pop_front() {
                let outcome = run(&self.conn, &mut work, &mut announced);
                // A full disk can make SQLite roll back everything: then nothing that ran before is there either.
                if self.conn.is_autocommit() {
                    broken = Some(outcome.as_ref().err().map_or(Unavailable::Io, reason));
                    done.push(work);
                    break;
                }
                match outcome {
                    Ok(()) => done.push(work),
                    Err(error) => self.failed(work, error),
                }
            }
            if broken.is_none()
                && let Err(error) = self.conn.execute_batch("COMMIT")
            {
                broken = Some(reason(&StoreError::from(error)));
                if !self.conn.is_autocommit()
                    && let Err(error) = self.conn.execute_batch("ROLLBACK")
                {
                    tracing::warn!(%error, "a transaction could not be rolled back");
                }
            }
            match broken {
                Some(why) => done.into_iter().for_each(|work| self.failed(work, StoreError::Unavailable(why))),
                None => {
                    self.counts.committed.fetch_add(done.len() as u64, Ordering::Relaxed);
                    self.counts.transactions.fetch_add(1, Ordering::Relaxed);
                    announced.into_iter().for_each(|event| self.events.announce(event));
                    for work in done {
                        if let Work::Waited { work, .. } = work {
                            work.answer(Ok(()));
                        }
                    }
                }
            }
        }
    }

    /// Answers a write that was rolled back, or keeps it for another try.
    fn failed(&mut self, work: Work, error: StoreError) {
        match work {
            Work::Waited { work, .. } => {
                self.counts.failed.fetch_add(1, Ordering::Relaxed);
                work.answer(Err(error));
            }
            Work::Detached(work) => {
                let again = matches!(error, StoreError::Unavailable(_))
                    && monotonic().saturating_duration_since(work.queued) < self.patience.retry_for;
                if again {
                    self.counts.retried.fetch_add(1, Ordering::Relaxed);
                    self.backlog.push(work);
                } else {
                    tracing::error!(record = work.label, %error, "a record could not be written and is given up");
                    lose(&self.counts, &self.note, work.label);
                }
            }
        }
    }
}

/// Why nothing could be written, for everybody who shared the transaction.
fn reason(error: &StoreError) -> Unavailable {
    match error {
        StoreError::Unavailable(why) => *why,
        _ => Unavailable::Io,
    }
}

/// Runs one write in its savepoint: either all of it and its announcements stay, or nothing.
fn run(conn: &Connection, work: &mut Work, announced: &mut Vec<Event>) -> Result<(), StoreError> {
    execute(conn, "SAVEPOINT one")?;
    let tx = Tx { conn, announced: Default::default() };
    let outcome = catch_unwind(AssertUnwindSafe(|| match work {
        Work::Waited { work, .. } => work.run(&tx),
        Work::Detached(work) => (work.run)(&tx),
    }))
    .unwrap_or(Err(StoreError::Panicked));
    if conn.is_autocommit() {
        return outcome;
    }
    match outcome {
        Ok(()) => {
            execute(conn, "RELEASE one")?;
            announced.append(&mut tx.announced.borrow_mut());
            Ok(())
        }
        Err(error) => {
            execute(conn, "ROLLBACK TO one")?;
            execute(conn, "RELEASE one")?;
            Err(error)
        }
    }
}

fn execute(conn: &Connection, sql: &str) -> rusqlite::Result<()> {
    conn.prepare_cached(sql)?.execute([]).map(drop)
}
