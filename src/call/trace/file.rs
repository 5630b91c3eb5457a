//! The files of the traces: `traces/YYYY-MM-DD/CALL.jsonl` in the store's folder, one message a line, by the day (UTC)
//! that the call ended. The box's chores delete them after `[retention] traces`. These functions block.

use std::cmp::Reverse;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::TraceLine;
use crate::model::CallId;

/// Of one file, in bytes: what comes after is left out, as the beginning tells most.
const LONGEST: usize = 1 << 20;

/// What a name has led to.
#[derive(Debug, PartialEq, Eq)]
pub enum Found {
    /// No file.
    Nothing,
    /// This call.
    One(CallId, Vec<TraceLine>),
    /// So many calls whose ids begin so.
    Several(usize),
}

/// Writes a call that has just ended.
///
/// # Errors
/// The folder or the file cannot be written.
pub fn write(store: &Path, call: CallId, lines: &[TraceLine], at: Timestamp) -> io::Result<()> {
    if lines.is_empty() {
        return Ok(());
    }
    let folder = folder(store).join(day(at).to_string());
    DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
    let mut text = Vec::new();
    for line in lines {
        let mut json = serde_json::to_vec(line)?;
        json.push(b'\n');
        if text.len() + json.len() > LONGEST {
            break;
        }
        text.append(&mut json);
    }
    let path = folder.join(format!("{call}.jsonl"));
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?.write_all(&text)
}

fn day(at: Timestamp) -> Date {
    at.to_zoned(TimeZone::UTC).date()
}

fn folder(store: &Path) -> PathBuf {
    store.join("traces")
}

/// The days that there are, newest first; what has another name is not ours.
fn days(store: &Path) -> io::Result<Vec<(Date, PathBuf)>> {
    let entries = match fs::read_dir(folder(store)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(vec![]),
        entries => entries?,
    };
    let mut days = vec![];
    for entry in entries {
        let path = entry?.path();
        if let Some(day) = path.file_name().and_then(|name| name.to_str()?.parse::<Date>().ok()) {
            days.push((day, path));
        }
    }
    days.sort_by_key(|(day, _)| Reverse(*day));
    Ok(days)
}

/// Deletes the days that were over at `until`; how many it were.
///
/// # Errors
/// The folder cannot be read, or a day not deleted.
pub fn delete(store: &Path, until: Timestamp) -> io::Result<usize> {
    let mut deleted = 0;
    for (_, path) in days(store)?.into_iter().filter(|(over, _)| *over < day(until)) {
        fs::remove_dir_all(path)?;
        deleted += 1;
    }
    Ok(deleted)
}

/// The call that `wanted` means: the beginning of its id, or else the Call-ID of one of its legs.
///
/// # Errors
/// A file cannot be read, or is none of ours.
pub fn find(store: &Path, wanted: &str) -> io::Result<Found> {
    let mut files = vec![];
    for (_, day) in days(store)? {
        for entry in fs::read_dir(day)? {
            let path = entry?.path();
            let name = path.file_name().and_then(|name| name.to_str()?.strip_suffix(".jsonl")?.parse::<CallId>().ok());
            files.extend(name.map(|call| (call, path)));
        }
    }
    files.sort_by_key(|(call, _)| Reverse(*call));
    let by_id: Vec<_> = files.iter().filter(|(call, _)| call.to_string().starts_with(wanted)).collect();
    match by_id[..] {
        [(call, path)] => return Ok(Found::One(*call, read(path)?)),
        [] => {}
        _ => return Ok(Found::Several(by_id.len())),
    }
    for (call, path) in files {
        // Cheaper than to read every line of all of them.
        if fs::read_to_string(&path)?.contains(wanted) {
            let lines = read(&path)?;
            if lines.iter().any(|line| line.call_id == wanted) {
                return Ok(Found::One(call, lines));
            }
        }
    }
    Ok(Found::Nothing)
}

fn read(path: &Path) -> io::Result<Vec<TraceLine>> {
    fs::read_to_string(path)?.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::super::{CALLER, Way};
    use super::*;

    const AT: &str = "2026-11-02T23:59:00Z";

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn line(call_id: &str, message: &str) -> TraceLine {
        TraceLine {
            at: at(AT),
            leg: CALLER.to_owned(),
            direction: Way::Received,
            peer: "127.0.0.1:5070".parse().unwrap(),
            local: "127.0.0.1:5060".parse().unwrap(),
            transport: "udp".to_owned(),
            call_id: call_id.to_owned(),
            masked: false,
            message: message.to_owned(),
        }
    }

    #[test]
    fn a_call_is_found_again_by_its_id_or_a_legs_own() {
        let store = tempfile::tempdir().unwrap();
        assert_eq!(find(store.path(), "01").unwrap(), Found::Nothing);
        let (first, second) = (CallId::new(at(AT)), CallId::new(at("2026-11-03T00:01:00Z")));
        let lines = [line("a", "INVITE sip:b SIP/2.0\r\n\r\n"), line("a/2", "ACK")];
        write(store.path(), first, &lines, at(AT)).unwrap();
        write(store.path(), second, &[line("b", "BYE a/2")], at("2026-11-03T00:01:00Z")).unwrap();
        let path = store.path().join(format!("traces/2026-11-02/{first}.jsonl"));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        for wanted in [&first.to_string(), &first.to_string()[..20], "a/2"] {
            assert_eq!(find(store.path(), wanted).unwrap(), Found::One(first, lines.to_vec()), "{wanted}");
        }
        assert_eq!(find(store.path(), &first.to_string()[..4]).unwrap(), Found::Several(2));
        assert_eq!(find(store.path(), "../x").unwrap(), Found::Nothing);
        assert!(write(store.path(), first, &lines, at(AT)).is_err(), "nothing is written over");
    }

    #[test]
    fn a_file_is_bounded() {
        let store = tempfile::tempdir().unwrap();
        let call = CallId::new(at(AT));
        let many: Vec<_> = (0..1_000).map(|_| line("a", &"x".repeat(8_000))).collect();
        write(store.path(), call, &many, at(AT)).unwrap();
        let Found::One(_, kept) = find(store.path(), &call.to_string()).unwrap() else { panic!("it is there") };
        assert!((100..150).contains(&kept.len()), "{}", kept.len());
    }

    #[test]
    fn a_day_is_deleted_as_a_whole_once_it_is_over_for_long_enough() {
        let store = tempfile::tempdir().unwrap();
        assert_eq!(delete(store.path(), at(AT)).unwrap(), 0, "no folder, no files");
        for ended in [AT, "2026-11-03T00:01:00Z"] {
            write(store.path(), CallId::new(at(ended)), &[line("a", "ACK")], at(ended)).unwrap();
        }
        fs::create_dir(store.path().join("traces/mine")).unwrap();
        for (until, deleted) in [(AT, 0), ("2026-11-03T00:00:00Z", 1), ("2026-11-03T23:59:00Z", 0)] {
            assert_eq!(delete(store.path(), at(until)).unwrap(), deleted, "{until}");
        }
        let left = fs::read_dir(store.path().join("traces")).unwrap().map(|entry| entry.unwrap().file_name());
        let mut left: Vec<_> = left.collect();
        left.sort();
        assert_eq!(left, ["2026-11-03", "mine"], "what has another name is not ours");
    }
}
