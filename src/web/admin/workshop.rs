//! What pages may do with the clinic's files, as the daemon hands it in: pages know neither command line nor audio.

use std::path::PathBuf;

use jiff::Timestamp;

use crate::model::{ClinicFile, Problem, PromptKey};
use crate::web::words::Ui;

/// The clinic's files on disk. Everything here waits for the disk: never on a runtime's thread.
pub trait Workshop: Send + Sync {
    /// Where a file is.
    fn path(&self, file: ClinicFile) -> PathBuf;

    /// What a file says now.
    ///
    /// # Errors
    /// It cannot be read: what the system says.
    fn read(&self, file: ClinicFile) -> Result<String, String>;

    /// Everything that would be wrong or odd with the files if `file` said `text`.
    fn check(&self, file: ClinicFile, text: &str) -> Vec<Problem>;

    /// A call in virtual time, as if `file` said `text`: what the caller hears and gets, line by line.
    ///
    /// # Errors
    /// There is no such time or caller, or the files would not be usable.
    fn trial(&self, file: ClinicFile, text: &str, trial: &Trial) -> Result<String, TrialError>;

    /// Writes `text` in the place of what `file` says, if that is known by `base` (its SHA-256), and takes it for the
    /// calls to come. Nothing has changed when this fails.
    ///
    /// # Errors
    /// Why it was not published.
    fn publish(&self, file: ClinicFile, text: &str, base: &str) -> Result<Published, PublishError>;

    /// Exchanges a recording that is there, keeps the old one, and takes the new one for the calls to come. Nothing has
    /// changed when this fails.
    ///
    /// # Errors
    /// Why it was not exchanged.
    fn replace_recording(&self, key: &PromptKey, wav: &[u8]) -> Result<(), RecordingError>;

    /// Writes what a recording says. Gives what was written before.
    ///
    /// # Errors
    /// Why it was not written.
    fn set_words(&self, key: &PromptKey, words: &str) -> Result<String, RecordingError>;

    /// The old recordings of a prompt, newest first.
    fn old_recordings(&self, key: &PromptKey) -> Vec<OldRecording>;

    /// One of them.
    fn old_recording(&self, key: &PromptKey, id: i64) -> Option<Vec<u8>>;
}

/// A recording that was replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OldRecording {
    /// Its number.
    pub id: i64,
    /// Until when it was in force.
    pub until: Timestamp,
}

/// Why a recording was not exchanged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecordingError {
    /// It cannot be played: the loader's own words.
    Fault(String),
    /// The folder or file cannot be written: what the system says.
    Unwritable(String),
    /// It was written, could not be taken, and the old one was put back.
    NotTaken(Vec<Problem>),
}

/// A call to be tried.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trial {
    /// When it comes, in the clinic's zone: `2026-07-06T10:00`. Now, if it is empty.
    pub at: String,
    /// Who calls: a number, or `anonymous`. Some number, if it is empty.
    pub from: String,
    /// What the caller does: keys, `wait 5`, `hangup`.
    pub script: String,
    /// In which language it is told.
    pub ui: Ui,
}

/// Why a call could not be tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TrialError {
    /// There is no such time.
    Time,
    /// There is no such caller.
    Caller,
    /// The files would not be usable.
    Mistakes(Vec<Problem>),
    /// It told more than anybody reads.
    TooLong,
}

/// What was published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// What the file said before.
    pub before: String,
    /// What is odd, but not wrong.
    pub warnings: Vec<Problem>,
}

/// Why nothing was published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PublishError {
    /// Somebody else has changed the file since it was read.
    Changed,
    /// It would not be usable.
    Mistakes(Vec<Problem>),
    /// The folder or file cannot be written: what the system says.
    Unwritable(String),
    /// It was written, could not be taken, and the old text was put back.
    NotTaken(Vec<Problem>),
}
