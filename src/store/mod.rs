//! What happened, on disk: one SQLite file, one writer, a few readers.
//!
//! - `writer`: one thread that runs closures as savepoints of one transaction and commits them together.
//! - `readers`: a few read-only connections.
//! - `migrations`: the schema, numbered. `column`: how our types are written into it.
//! - `lock`: one daemon a store. `beside`: how a command writes while it runs.
//! - `unrecorded`: the note that survives when the database could not be written.
//! - [`calls`], [`threads`], [`messages`], [`consents`], [`inbound`]: one file an aggregate, plain functions over a
//!   connection. [`outbox`]: what waits to be sent. [`sandbox`]: what the embedded gateway was given.
//! - [`staff`], [`sessions`]: the clinic's people, and who of them is signed in. [`credentials`], [`passkeys`],
//!   [`sign_in_links`]: by what they prove who they are.
//! - [`search`]: threads by words, names and numbers. [`past`]: a history written at once, for the filled demo.
//! - [`timeline`]: all that happened in a thread, newest first. [`notes`], [`drafts`], [`new_texts`], [`people`]: what
//!   staff write.
//! - [`voicemails`], [`callbacks`], [`recordings`]: what whoever stayed on the line has left; [`audio`]: its sound.
//! - [`queue`]: lists of threads, as the front desk works them. [`today`]: the rows of a day, for its numbers.
//! - [`file_versions`]: what the clinic's files said before.
//! - [`audit`]: the append-only chain. [`export`]: rows as the command line prints them.
//!
//! Reading functions take a [`Connection`]; writing ones take a [`Tx`], which only [`Store`] hands out.

pub mod audio;
pub mod audit;
mod beside;
pub mod callbacks;
pub mod calls;
mod column;
pub mod consents;
pub mod credentials;
pub mod drafts;
pub mod emergencies;
pub mod export;
pub mod file_versions;
pub mod inbound;
pub mod labels;
mod lock;
pub mod messages;
mod migrations;
pub mod new_texts;
pub mod notes;
pub mod outbox;
pub mod passkeys;
pub mod past;
pub mod people;
pub mod queue;
mod readers;
pub mod recordings;
pub mod sandbox;
pub mod search;
pub mod sessions;
pub mod sign_in_links;
pub mod staff;
pub mod threads;
pub mod timeline;
pub mod today;
mod unrecorded;
pub mod voicemails;
mod writer;

use std::cell::RefCell;
use std::fs;
use std::future::Future;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

pub use rusqlite::Connection;

use crate::events::{Event, Events};
pub use beside::{Beside, open_beside};
pub use unrecorded::Unrecorded;
pub use writer::Counters;

/// The name of the database file in the store's folder.
pub const FILE: &str = "threadline.db";

/// Why the database cannot be written at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unavailable {
    /// Another process holds the lock.
    Locked,
    /// The disk, or the database's limit, is full.
    Full,
    /// The disk or the file system answers with an error.
    Io,
    /// The file or its folder may not be written.
    ReadOnly,
}

/// What can go wrong in the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The folder cannot be made or read.
    #[error(
        "cannot use {path} as the store: {source}; make it a folder that this user may write, or change [store] path"
    )]
    Folder {
        /// The folder or file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// Another daemon has it open.
    #[error("{path} is in use by another threadline daemon; stop that one, or name another folder in [store] path")]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// An older daemon has it open.
    #[error(
        "{path} is open in a daemon of an older Threadline (schema {found}, this one needs {known}); restart the daemon, then do this again"
    )]
    OlderSchema {
        /// The database.
        path: PathBuf,
        /// Its schema.
        found: usize,
        /// Ours.
        known: usize,
    },
    /// Written by a newer Threadline.
    #[error(
        "{path} was written by a newer Threadline (schema {found}, this one knows {known}); install that version or restore an older backup"
    )]
    NewerSchema {
        /// The database.
        path: PathBuf,
        /// Its schema.
        found: u32,
        /// Ours.
        known: u32,
    },
    /// Nothing was written now; it may work later.
    #[error("{}", match .0 {
        Unavailable::Locked => "the database is locked by another program; end whatever else has threadline.db open",
        Unavailable::Full => "the disk is full; free space where threadline.db is",
        Unavailable::Io => "the disk that holds threadline.db answers with an error; look at the system's log",
        Unavailable::ReadOnly => "threadline.db may not be written; check its owner and whether the disk is mounted read-only",
    })]
    Unavailable(Unavailable),
    /// The statement itself is wrong, or a constraint forbids it.
    #[error("the database refused: {0}")]
    Sqlite(rusqlite::Error),
    /// The closure panicked; what it wrote was rolled back.
    #[error("a write to the store panicked and was rolled back; this is a bug, please report it with the log")]
    Panicked,
    /// The store is being closed.
    #[error("the store is closed; the daemon is stopping")]
    Closed,
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode::*;
        match error.sqlite_error_code() {
            Some(DatabaseBusy | DatabaseLocked) => StoreError::Unavailable(Unavailable::Locked),
            Some(DiskFull) => StoreError::Unavailable(Unavailable::Full),
            Some(SystemIoFailure | CannotOpen | OutOfMemory) => StoreError::Unavailable(Unavailable::Io),
            Some(ReadOnly) => StoreError::Unavailable(Unavailable::ReadOnly),
            _ => StoreError::Sqlite(error),
        }
    }
}

/// A write in progress: a connection inside a transaction, and what shall be announced once it is committed.
pub struct Tx<'a> {
    conn: &'a Connection,
    announced: RefCell<Vec<Event>>,
}

impl Tx<'_> {
    /// Announces `event` after the commit; a rolled-back write announces nothing.
    pub fn announce(&self, event: Event) {
        self.announced.borrow_mut().push(event);
    }
}

impl Deref for Tx<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        self.conn
    }
}

/// How patient the store is. Tests are less patient.
#[derive(Clone, Copy, Debug)]
struct Patience {
    /// How long SQLite waits for another program's lock.
    busy: Duration,
    /// How long a detached write is tried again before it is given up.
    retry_for: Duration,
    /// Detached writes that may wait.
    detached: usize,
    /// How long a detached write waits for others to be committed with it.
    gather: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Patience {
            busy: Duration::from_secs(5),
            retry_for: Duration::from_secs(60),
            detached: 8192,
            gather: Duration::from_millis(100),
        }
    }
}

/// The database. Cloning it gives another handle on the same writer and readers.
#[derive(Clone)]
pub struct Store {
    writer: Arc<writer::Writer>,
    readers: Arc<readers::Readers>,
    audio: audio::AudioFiles,
    before: Option<Unrecorded>,
    // The last field: let go of when the writer and readers are.
    _lock: Arc<lock::Lock>,
}

impl Store {
    /// Opens the store in `dir`, making the folder (mode 0700) and the database as needed, and brings the schema up.
    ///
    /// Refused while another has it open: two daemons would send each text twice. Readers ([`open_read_only`]) and
    /// commands ([`open_beside`]) may come and go.
    ///
    /// Says in the log and in the audit chain what the run before could not record ([`Store::unrecorded_before`]).
    pub fn open(dir: &Path, events: Events) -> Result<Store, StoreError> {
        Store::open_with(dir, events, Patience::default())
    }

    fn open_with(dir: &Path, events: Events, patience: Patience) -> Result<Store, StoreError> {
        make_folder(dir)?;
        let lock = lock::Lock::take(dir)?;
        let path = dir.join(FILE);
        let mut conn = connect(&path, patience.busy)?;
        migrations::migrate(&mut conn, &path)?;
        let audio = audio::AudioFiles::of_store(dir);
        audio.look_after(&conn);
        let note = unrecorded::Note::open(dir)?;
        let before = note.settle(&mut conn);
        let writer = writer::Writer::start(conn, events, note, patience)?;
        Ok(Store {
            writer: Arc::new(writer),
            readers: Arc::new(readers::Readers::new(path, patience.busy)),
            audio,
            before,
            _lock: Arc::new(lock),
        })
    }

    /// Runs `f` on the writer and answers once it is committed. What fails or panics is rolled back alone.
    ///
    /// Waits while the queue is full. Dropping the future does not undo a write that has been queued.
    pub fn write<T, F>(&self, f: F) -> impl Future<Output = Result<T, StoreError>> + use<T, F>
    where
        T: Send + 'static,
        F: FnOnce(&Tx<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        let writer = self.writer.clone();
        async move { writer.write(f).await }
    }

    /// [`Store::write`] for threads that may block: the command line, tests. Never on a runtime's thread.
    pub fn write_blocking<T, F>(&self, f: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Tx<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        self.writer.write_blocking(f)
    }

    /// Queues a write and returns at once: for the call path, which never waits for a disk. It is committed with the
    /// next [`Store::write`], or within 100 ms together with others like it; a power cut before that loses it.
    ///
    /// While the database is locked or full it is tried again for a minute (`f` may so run more than once). What is
    /// then given up, or finds the queue full, is logged under `label`, counted ([`Store::counters`]) and noted beside
    /// the database, so that the next start says so. `label` is shown: it names the kind of record, nobody's data.
    pub fn try_write_detached<F>(&self, label: &'static str, f: F)
    where
        F: FnMut(&Tx<'_>) -> Result<(), StoreError> + Send + 'static,
    {
        self.writer.detach(label, f);
    }

    /// Reads on one of a few read-only connections, off the runtime's threads.
    pub fn read<T, F>(&self, f: F) -> impl Future<Output = Result<T, StoreError>> + use<T, F>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        let readers = self.readers.clone();
        async move { readers.read(f).await }
    }

    /// [`Store::read`] for threads that may block.
    pub fn read_blocking<T>(&self, f: impl FnOnce(&Connection) -> Result<T, StoreError>) -> Result<T, StoreError> {
        self.readers.read_blocking(f)
    }

    /// The folder with the database and what belongs to it.
    pub fn folder(&self) -> &Path {
        self.audio.folder()
    }

    /// The audio beside the database.
    pub fn audio(&self) -> &audio::AudioFiles {
        &self.audio
    }

    /// What has been committed, failed and lost since the start.
    pub fn counters(&self) -> Counters {
        self.writer.counters()
    }

    /// What the run before this one could not record.
    pub fn unrecorded_before(&self) -> Option<&Unrecorded> {
        self.before.as_ref()
    }

    /// Commits what is queued, gives every waiting detached write a last try, and stops the writer. Later writes fail
    /// with [`StoreError::Closed`]. Blocks for as long as the disk takes.
    pub fn close(&self) {
        self.writer.close();
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("counters", &self.counters()).finish()
    }
}

/// Opens the database of `dir` for reading only, while the daemon may be running: for `export` and the like.
pub fn open_read_only(dir: &Path) -> Result<Connection, StoreError> {
    let path = dir.join(FILE);
    fs::metadata(&path).map_err(|source| StoreError::Folder { path: path.clone(), source })?;
    let conn = readers::connect(&path, Patience::default().busy)?;
    migrations::check(&conn, &path)?;
    Ok(conn)
}

/// A connection that can write.
fn connect(path: &Path, busy: Duration) -> Result<Connection, StoreError> {
    let conn = Connection::open(path)?;
    // The wait comes first: switching to WAL needs the lock that another process may hold.
    conn.busy_timeout(busy)?;
    conn.pragma_update(None, "journal_mode", "wal")?;
    conn.pragma_update(None, "synchronous", "full")?;
    conn.pragma_update(None, "foreign_keys", "on")?;
    conn.set_prepared_statement_cache_capacity(128);
    Ok(conn)
}

fn make_folder(dir: &Path) -> Result<(), StoreError> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(|source| StoreError::Folder { path: dir.to_owned(), source })
}

#[cfg(test)]
pub(crate) mod tests;
