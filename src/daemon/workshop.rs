//! What the pages may do with the clinic's files: the command line's own checks and trials, and publishing.

mod recordings;

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use crate::call::{Book, line};
use crate::cli::check::{Checked, Draft, check_draft};
use crate::cli::{files, simulate};
use crate::clock::Clock;
use crate::model::{ClinicFile, Problem, PromptKey};
use crate::settings::Settings;
use crate::store::Store;
use crate::store::file_versions::{self, NewVersion, fingerprint};
use crate::web::Files;
use crate::web::admin::workshop::{OldRecording, PublishError, Published, RecordingError, Trial, TrialError, Workshop};

/// A longer trial is of no use to anybody.
const LONGEST_TRIAL: usize = 64 * 1024;
/// Who calls in a trial, unless somebody is named.
const CALLER: &str = "+12125550142";

/// The clinic's files, where `threadline.toml` is and what it names.
pub struct Bench {
    clock: Clock,
    /// The files in force.
    files: Arc<dyn Fn() -> Files + Send + Sync>,
    /// Takes other files for the calls to come.
    take: Box<dyn Fn(Book) + Send + Sync>,
    /// Held while a file is exchanged.
    one_at_a_time: Mutex<()>,
}

impl std::fmt::Debug for Bench {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bench").finish_non_exhaustive()
    }
}

impl Bench {
    /// A bench for the files in force; `take` puts others in force.
    pub fn new(
        clock: Clock,
        files: Arc<dyn Fn() -> Files + Send + Sync>,
        take: impl Fn(Book) + Send + Sync + 'static,
    ) -> Bench {
        Bench { clock, files, take: Box::new(take), one_at_a_time: Mutex::new(()) }
    }

    fn config(&self) -> PathBuf {
        (self.files)().settings.file.clone()
    }

    fn prompts(&self) -> PathBuf {
        (self.files)().settings.clinic.prompts.clone()
    }

    fn alone(&self) -> MutexGuard<'_, ()> {
        self.one_at_a_time.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes what was just written to `file`, or writes again what it said.
    fn take_or_put_back(&self, file: &Path, old: &[u8]) -> Result<(), RecordingError> {
        match files::load(&self.config()) {
            Ok(loaded) => {
                (self.take)(loaded.book);
                Ok(())
            }
            Err(problems) => {
                replace(file, old).map_err(cannot_write)?;
                Err(RecordingError::NotTaken(problems.0))
            }
        }
    }

    fn checked(&self, file: ClinicFile, text: &str) -> Checked {
        let now = (self.files)();
        let mut checked = check_draft(&self.config(), Some(Draft { file, text }), self.clock.now().wall, |settings| {
            // Reading all audio again takes seconds, and a text changes none of it.
            if settings.clinic.prompts == now.settings.clinic.prompts {
                ((*now.catalog).clone(), vec![])
            } else {
                files::load_catalog(settings)
            }
        });
        // Whoever runs `threadline prompts render` may be root: a page must not choose what that starts.
        if checked.settings.as_ref().is_some_and(|settings| settings.render != now.settings.render) {
            let (message, cure) = ("[prompts] render is a command", "change it on the box itself, not from a page");
            checked.problems.push(Problem::of_file(&now.settings.file, message, cure));
        }
        checked
    }
}

impl Workshop for Bench {
    fn path(&self, file: ClinicFile) -> PathBuf {
        path(&(self.files)().settings, file).to_owned()
    }

    fn read(&self, file: ClinicFile) -> Result<String, String> {
        fs::read_to_string(self.path(file)).map_err(|error| error.to_string())
    }

    fn check(&self, file: ClinicFile, text: &str) -> Vec<Problem> {
        self.checked(file, text).problems
    }

    fn trial(&self, file: ClinicFile, text: &str, trial: &Trial) -> Result<String, TrialError> {
        let checked = self.checked(file, text);
        let usable = checked.is_usable();
        let (true, Some(settings), Some(templates), Some(tree)) =
            (usable, checked.settings, checked.templates, checked.tree)
        else {
            return Err(TrialError::Mistakes(checked.problems));
        };
        let clinic = &settings.clinic;
        let at = match trial.at.trim() {
            "" => self.clock.now().wall,
            at => simulate::parse_at(at, &clinic.timezone).map_err(|_| TrialError::Time)?,
        };
        let from = match trial.from.trim() {
            "" => CALLER,
            from => from,
        };
        let caller = simulate::parse_from(from, clinic.country).map_err(|_| TrialError::Caller)?;
        let values = line::values(&settings);
        let (templates, prompts, ui) = (&templates, &checked.prompts, trial.ui);
        let world = simulate::World { tree, templates, values: &values, prompts, ui };
        let mut told = Bounded(Vec::new());
        simulate::simulate(&world, caller, at, &mut trial.script.as_bytes(), &mut told, false)
            .map_err(|_| TrialError::TooLong)?;
        Ok(String::from_utf8_lossy(&told.0).into_owned())
    }

    fn publish(&self, file: ClinicFile, text: &str, base: &str) -> Result<Published, PublishError> {
        let _alone = self.alone();
        let before = self.read(file).map_err(PublishError::Unwritable)?;
        if fingerprint(&before) != base {
            return Err(PublishError::Changed);
        }
        let checked = self.checked(file, text);
        if !checked.is_usable() {
            return Err(PublishError::Mistakes(checked.problems));
        }
        let (path, config) = (self.path(file), self.config());
        let unwritable = |error: io::Error| PublishError::Unwritable(error.to_string());
        replace(&path, text.as_bytes()).map_err(unwritable)?;
        match files::load(&config) {
            Ok(loaded) => {
                (self.take)(loaded.book);
                Ok(Published { before, warnings: loaded.warnings })
            }
            Err(problems) => {
                replace(&path, before.as_bytes()).map_err(unwritable)?;
                Err(PublishError::NotTaken(problems.0))
            }
        }
    }

    fn replace_recording(&self, key: &PromptKey, wav: &[u8]) -> Result<(), RecordingError> {
        if let Some(fault) = recordings::fault(wav) {
            return Err(RecordingError::Fault(fault));
        }
        let _alone = self.alone();
        let folder = self.prompts();
        let old = recordings::exchange(&folder, key, wav, self.clock.now().wall).map_err(cannot_write)?;
        self.take_or_put_back(&recordings::path(&folder, key), &old)
    }

    fn set_words(&self, key: &PromptKey, words: &str) -> Result<String, RecordingError> {
        let _alone = self.alone();
        let file = recordings::path(&self.prompts(), key).with_extension("txt");
        let old = fs::read_to_string(&file).map_err(cannot_write)?;
        replace(&file, format!("{}\n", words.trim()).as_bytes()).map_err(cannot_write)?;
        self.take_or_put_back(&file, old.as_bytes())?;
        Ok(old.trim().to_owned())
    }

    fn old_recordings(&self, key: &PromptKey) -> Vec<OldRecording> {
        recordings::versions(&self.prompts(), key)
    }

    fn old_recording(&self, key: &PromptKey, id: i64) -> Option<Vec<u8>> {
        recordings::old(&self.prompts(), key, id)
    }
}

fn cannot_write(error: io::Error) -> RecordingError {
    RecordingError::Unwritable(error.to_string())
}

/// Where a file is.
fn path(settings: &Settings, file: ClinicFile) -> &Path {
    match file {
        ClinicFile::Tree => &settings.clinic.phone_tree,
        ClinicFile::Messages => &settings.clinic.messages,
        ClinicFile::Box => &settings.file,
    }
}

/// Keeps what the files say on disk, where that is not known yet: somebody has edited them outside of the pages.
pub fn note(store: &Store, settings: &Settings, at: Timestamp) {
    let texts: Vec<(ClinicFile, String)> = ClinicFile::ALL
        .into_iter()
        .filter_map(|file| Some((file, fs::read_to_string(path(settings, file)).ok()?)))
        .collect();
    store.try_write_detached("what the files say", move |tx| {
        for (file, text) in &texts {
            let version = NewVersion { file: *file, text, actor: file_versions::DISK, note: "", at };
            file_versions::keep(tx, version, "file.found")?;
        }
        Ok(())
    });
}

/// Puts `bytes` in the place of a file in one step, so that nobody ever reads half of it, and with its mode and owner.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    // A link stays one: what it names is exchanged.
    let path = fs::canonicalize(path)?;
    let about = fs::metadata(&path)?;
    let folder = path.parent().unwrap_or(Path::new("/"));
    let mut draft = tempfile::Builder::new().prefix(".threadline-").tempfile_in(folder)?;
    draft.write_all(bytes)?;
    draft.as_file().set_permissions(about.permissions())?;
    // Only root may give a file away; without that it belongs to who wrote it, as with any editor.
    let _ = chown(draft.path(), Some(about.uid()), Some(about.gid()))
        .or_else(|_| chown(draft.path(), None, Some(about.gid())));
    draft.as_file().sync_all()?;
    draft.persist(&path).map_err(|error| error.error)?;
    File::open(folder)?.sync_all()
}

/// Takes so much and no more.
struct Bounded(Vec<u8>);

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > LONGEST_TRIAL {
            return Err(io::Error::other("the trial is too long"));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn a_file_is_exchanged_whole_with_its_mode_and_through_a_link() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("a.toml"), folder.path().join("b.toml"));
        fs::write(&file, "old").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        symlink(&file, &link).unwrap();
        replace(&link, b"new").unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "new");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o640);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "no draft is left behind");
        assert!(replace(&folder.path().join("none"), b"").is_err());
    }
}
