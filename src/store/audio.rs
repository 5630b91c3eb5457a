//! Audio beside the database: voicemails and recorded calls, as WAV files in the store's folder.
//!
//! A file is written under a name that nobody reads, brought to the disk and renamed; only then its row is committed.
//! So a row always has its file; a file without a row is what a power cut left between the two, and the start says so.
//! These functions block: call them on a thread that may. [`Store::audio`](super::Store::audio) has them.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use ring::digest;
use rusqlite::Connection;

use super::{StoreError, Tx};

/// The end of a name that nobody reads yet.
const UNFINISHED: &str = ".part";

/// What is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audio {
    /// A message that a caller left.
    Voicemail,
    /// A conversation.
    Recording,
}

impl Audio {
    const ALL: [Audio; 2] = [Audio::Voicemail, Audio::Recording];

    fn folder(self) -> &'static str {
        match self {
            Audio::Voicemail => "voicemail",
            Audio::Recording => "recording",
        }
    }
}

/// A file that is on the disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Its name, relative to the store's folder: `voicemail/2026/0199….wav`.
    pub file: String,
    /// SHA-256 of its bytes, lowercase hexadecimal.
    pub sha256: String,
}

/// The store's folder, for its audio.
#[derive(Clone, Debug)]
pub struct AudioFiles(PathBuf);

impl AudioFiles {
    /// Those of the store in `dir`.
    pub(super) fn of_store(dir: &Path) -> AudioFiles {
        AudioFiles(dir.to_owned())
    }

    pub(super) fn folder(&self) -> &Path {
        &self.0
    }

    /// Begins a file; `id` names it, `at` its year.
    ///
    /// # Errors
    /// The folder or the file cannot be made, or there is one of that name.
    pub fn begin(&self, what: Audio, id: &str, at: Timestamp) -> io::Result<Unfinished> {
        let year = at.to_zoned(TimeZone::UTC).year();
        let file = format!("{}/{year:04}/{id}.wav", what.folder());
        let path = self.path(&file).ok_or(io::ErrorKind::InvalidInput)?;
        let folder = path.parent().ok_or(io::ErrorKind::InvalidInput)?.to_owned();
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
        let part = folder.join(format!("{id}{UNFINISHED}"));
        let open = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&part)?;
        Ok(Unfinished { open, part, path, file, finished: false })
    }

    /// Writes a file as a whole.
    ///
    /// # Errors
    /// As [`AudioFiles::begin`] and [`Unfinished::finish`].
    pub fn write(&self, what: Audio, id: &str, at: Timestamp, wav: &[u8]) -> io::Result<Stored> {
        let mut file = self.begin(what, id, at)?;
        file.write_all(wav)?;
        file.finish()
    }

    /// Where a file is; none: no name of ours. Rows are trusted no further than that.
    pub fn path(&self, file: &str) -> Option<PathBuf> {
        let mut parts = file.split('/');
        let (folder, year, name) = (parts.next()?, parts.next()?, parts.next()?);
        let stem = name.strip_suffix(".wav")?;
        let ours = parts.next().is_none()
            && Audio::ALL.iter().any(|what| what.folder() == folder)
            && !year.is_empty()
            && year.bytes().all(|byte| byte.is_ascii_digit())
            && (1..=64).contains(&stem.len())
            && stem.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        ours.then(|| self.0.join(file))
    }

    /// Deletes a file; one that is gone already is no error.
    pub(super) fn delete(&self, file: &str) -> io::Result<()> {
        let Some(path) = self.path(file) else { return Ok(()) };
        match fs::remove_file(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }

    /// For the start, before the first call: clears away what was never finished, and says which files no row knows.
    /// Those are kept: somebody's message may be in them.
    pub(super) fn look_after(&self, conn: &Connection) {
        match self.orphans(conn) {
            Ok(orphans) if orphans.is_empty() => {}
            Ok(orphans) => tracing::warn!(
                count = orphans.len(),
                first = orphans.first(),
                "audio without a record: the box stopped between the two; listen to it in the store's folder, then delete it"
            ),
            Err(error) => tracing::warn!(%error, "the audio in the store's folder could not be looked through"),
        }
    }

    fn orphans(&self, conn: &Connection) -> Result<Vec<String>, StoreError> {
        let mut query = conn.prepare(
            "SELECT EXISTS (SELECT 1 FROM voicemails WHERE file = ?1) OR EXISTS (SELECT 1 FROM recordings WHERE file = ?1)",
        )?;
        let mut orphans = Vec::new();
        for what in Audio::ALL {
            for (year, folder) in entries(&self.0.join(what.folder()))? {
                for (name, path) in entries(&folder)? {
                    if name.ends_with(UNFINISHED) {
                        fs::remove_file(&path).map_err(|source| StoreError::Folder { path, source })?;
                        continue;
                    }
                    let file = format!("{}/{year}/{name}", what.folder());
                    if !query.query_row([&file], |row| row.get::<_, bool>(0))? {
                        orphans.push(file);
                    }
                }
            }
        }
        orphans.sort();
        Ok(orphans)
    }
}

/// The names and paths in a folder; none if it is not there.
fn entries(folder: &Path) -> Result<Vec<(String, PathBuf)>, StoreError> {
    let broken = |source| StoreError::Folder { path: folder.to_owned(), source };
    let read = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(broken)?,
    };
    let named = |entry: io::Result<fs::DirEntry>| {
        entry.map(|entry| (entry.file_name().to_string_lossy().into_owned(), entry.path()))
    };
    read.map(named).collect::<io::Result<_>>().map_err(broken)
}

/// Deletes a file in the transaction that says so. The file goes first: a row whose deletion is then rolled back is
/// deleted again, a file without a row would stay.
pub(super) fn delete(_tx: &Tx<'_>, files: &AudioFiles, file: &str) -> Result<(), StoreError> {
    files.delete(file).map_err(|source| StoreError::Folder { path: files.0.join(file), source })
}

/// A file that is being written. Dropped unfinished, it is gone.
#[derive(Debug)]
pub struct Unfinished {
    open: File,
    part: PathBuf,
    path: PathBuf,
    file: String,
    finished: bool,
}

impl Unfinished {
    /// Brings the file to the disk and gives it its name.
    ///
    /// # Errors
    /// The disk is full or broken, or there is a file of that name.
    pub fn finish(mut self) -> io::Result<Stored> {
        let sha256 = self.sha256()?;
        self.open.sync_all()?;
        if self.path.exists() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        fs::rename(&self.part, &self.path)?;
        self.finished = true;
        // The name, too, must survive a power cut.
        if let Some(folder) = self.path.parent() {
            File::open(folder)?.sync_all()?;
        }
        Ok(Stored { file: self.file.clone(), sha256 })
    }

    fn sha256(&mut self) -> io::Result<String> {
        self.open.flush()?;
        self.open.seek(SeekFrom::Start(0))?;
        let mut context = digest::Context::new(&digest::SHA256);
        let mut piece = vec![0; 64 * 1024];
        loop {
            match self.open.read(&mut piece)? {
                0 => break,
                length => context.update(piece.get(..length).unwrap_or_default()),
            }
        }
        Ok(context.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect())
    }
}

impl Write for Unfinished {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.open.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.open.flush()
    }
}

/// A WAV's header is written last.
impl Seek for Unfinished {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.open.seek(to)
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if !self.finished {
            let _ = fs::remove_file(&self.part);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::store::tests::in_memory;

    fn at() -> Timestamp {
        "2026-03-02T09:00:00Z".parse().unwrap()
    }

    #[test]
    fn a_file_is_there_as_a_whole_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let files = AudioFiles::of_store(dir.path());
        let mut begun = files.begin(Audio::Voicemail, "a", at()).unwrap();
        begun.write_all(b"half").unwrap();
        let path = files.path("voicemail/2026/a.wav").unwrap();
        assert!(!path.exists());
        drop(begun);
        assert_eq!(entries(path.parent().unwrap()).unwrap(), []);
        let stored = files.write(Audio::Voicemail, "a", at(), b"abc").unwrap();
        assert_eq!(stored.file, "voicemail/2026/a.wav");
        assert_eq!(
            stored.sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
            "FIPS 180-4, B.1"
        );
        assert_eq!(fs::read(&path).unwrap(), b"abc");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
        let again = files.write(Audio::Voicemail, "a", at(), b"other").unwrap_err();
        assert_eq!(again.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&path).unwrap(), b"abc", "nothing is written over");
    }

    #[test]
    fn no_name_leads_out_of_the_folder() {
        let files = AudioFiles::of_store(Path::new("/store"));
        assert_eq!(files.path("recording/2026/a-1.wav"), Some(PathBuf::from("/store/recording/2026/a-1.wav")));
        for name in [
            "",
            "voicemail/2026",
            "voicemail/../../etc.wav",
            "voicemail/2026/../a.wav",
            "voicemail/2026/.wav",
            "voicemail/2026/a.txt",
            "voicemail/2026/a/b.wav",
            "/etc/2026/a.wav",
            "threadline.db",
            "other/2026/a.wav",
            "voicemail//a.wav",
        ] {
            assert_eq!(files.path(name), None, "{name}");
        }
        assert!(files.begin(Audio::Recording, "../x", at()).is_err());
    }

    #[test]
    fn what_no_row_knows_is_found_and_what_was_never_finished_is_cleared_away() {
        let dir = tempfile::tempdir().unwrap();
        let files = AudioFiles::of_store(dir.path());
        let conn = in_memory();
        assert_eq!(files.orphans(&conn).unwrap(), Vec::<String>::new());
        files.write(Audio::Recording, "lost", at(), b"x").unwrap();
        let known = files.write(Audio::Voicemail, "known", at(), b"x").unwrap();
        conn.execute(
            "INSERT INTO voicemails (id, call, node, recorded_at, length_ms, language, file, sha256)
             VALUES ('1', '1', 'voicemail:desk', 0, 0, 'en', ?, '')",
            [&known.file],
        )
        .unwrap();
        let half = dir.path().join("voicemail/2026/half.part");
        fs::write(&half, b"x").unwrap();
        assert_eq!(files.orphans(&conn).unwrap(), ["recording/2026/lost.wav"]);
        assert!(!half.exists());
        files.delete(&known.file).unwrap();
        files.delete(&known.file).unwrap();
    }
}
