//! Recordings, exchanged one at a time; each old one is kept under `.versions` beside them, which the loader passes over.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::replace;
use crate::media::Prompt;
use crate::model::PromptKey;
use crate::web::admin::workshop::OldRecording;

/// Where old recordings are.
const KEPT: &str = ".versions";

/// So many old recordings of a prompt are kept: the newest.
const MOST_KEPT: usize = 20;

/// Why a recording cannot be used, in the loader's own words, without the file's name.
pub fn fault(bytes: &[u8]) -> Option<String> {
    let file = Path::new("recording.wav");
    let error = Prompt::read(bytes, file).err()?.to_string();
    Some(error.trim_start_matches("recording.wav: ").to_owned())
}

/// The recording in force.
pub fn path(folder: &Path, key: &PromptKey) -> PathBuf {
    folder.join(key.language.as_str()).join(format!("{}.wav", key.name))
}

/// Exchanges a recording, keeping the old one as of `at` and 20 in all. Gives the old one.
pub fn exchange(folder: &Path, key: &PromptKey, bytes: &[u8], at: Timestamp) -> io::Result<Vec<u8>> {
    let file = path(folder, key);
    let old = fs::read(&file)?;
    let kept = kept(folder, key, at.as_microsecond());
    let beside = kept.parent().unwrap_or(folder);
    fs::create_dir_all(beside)?;
    fs::write(&kept, &old)?;
    File::open(&kept)?.sync_all()?;
    File::open(beside)?.sync_all()?;
    replace(&file, bytes)?;
    for old in versions(folder, key).iter().skip(MOST_KEPT) {
        // What cannot be taken away now is tried again the next time.
        let _ = fs::remove_file(self::kept(folder, key, old.id));
    }
    Ok(old)
}

/// The old recordings of a prompt, newest first.
pub fn versions(folder: &Path, key: &PromptKey) -> Vec<OldRecording> {
    let names = fs::read_dir(folder.join(KEPT).join(key.language.as_str())).into_iter().flatten().flatten();
    let mut all: Vec<OldRecording> = names
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let id: i64 = name.strip_prefix(&key.name)?.strip_prefix('.')?.strip_suffix(".wav")?.parse().ok()?;
            Some(OldRecording { id, until: Timestamp::from_microsecond(id).ok()? })
        })
        .collect();
    all.sort_by_key(|old| std::cmp::Reverse(old.id));
    all
}

/// An old recording.
pub fn old(folder: &Path, key: &PromptKey, id: i64) -> Option<Vec<u8>> {
    fs::read(kept(folder, key, id)).ok()
}

fn kept(folder: &Path, key: &PromptKey, id: i64) -> PathBuf {
    folder.join(KEPT).join(key.language.as_str()).join(format!("{}.{id}.wav", key.name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Language;

    #[test]
    fn an_old_recording_is_kept_and_found_by_its_own_name_alone() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        fs::create_dir(folder.join("en")).unwrap();
        let key = |name: &str| PromptKey { language: Language::default(), name: name.to_owned() };
        for name in ["a", "a.1"] {
            fs::write(path(folder, &key(name)), name).unwrap();
        }
        let at = |second| Timestamp::from_second(second).unwrap();
        assert_eq!(exchange(folder, &key("a"), b"new", at(7)).unwrap(), b"a");
        assert_eq!(exchange(folder, &key("a"), b"newer", at(8)).unwrap(), b"new");
        exchange(folder, &key("a.1"), b"other", at(9)).unwrap();
        let found = versions(folder, &key("a"));
        assert_eq!(found.iter().map(|old| old.until).collect::<Vec<_>>(), [at(8), at(7)]);
        assert_eq!(old(folder, &key("a"), found[0].id).unwrap(), b"new");
        assert_eq!(fs::read(path(folder, &key("a"))).unwrap(), b"newer");
    }

    #[test]
    fn of_a_prompt_that_is_recorded_every_day_the_newest_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        fs::create_dir(folder.join("en")).unwrap();
        let key = PromptKey { language: Language::default(), name: "a".to_owned() };
        fs::write(path(folder, &key), "0").unwrap();
        for second in 1..=MOST_KEPT as i64 + 3 {
            let at = Timestamp::from_second(second).unwrap();
            exchange(folder, &key, second.to_string().as_bytes(), at).unwrap();
        }
        let found = versions(folder, &key);
        assert_eq!(found.len(), MOST_KEPT);
        assert_eq!(old(folder, &key, found[MOST_KEPT - 1].id).unwrap(), b"3", "the three oldest are gone");
    }

    #[test]
    fn what_is_no_recording_says_why() {
        assert!(fault(b"ID3 and so on").unwrap().contains("not a WAV file"));
    }
}
