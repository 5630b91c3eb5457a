//! Files beside the database that are kept for a while and have no row: what went over the wire.

use std::fs;
use std::io;
use std::path::Path;
use std::time::SystemTime;

use jiff::Timestamp;

/// The folder of what went over the wire, in the store's own.
pub const TRACES: &str = "traces";

/// Deletes files of `folder` that were last written until `until`, `most` of them; how many it were. A folder that is not
/// there has none; folders in it are left alone. Blocks.
///
/// # Errors
/// The folder cannot be read, or a file not deleted.
pub fn delete(folder: &Path, until: Timestamp, most: usize) -> io::Result<usize> {
    let until = SystemTime::from(until);
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        other => other?,
    };
    let mut deleted = 0;
    for entry in entries {
        if deleted >= most {
            break;
        }
        let entry = entry?;
        let found = match entry.metadata() {
            // Somebody else has deleted it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            other => other?,
        };
        if found.is_file() && found.modified()? <= until {
            fs::remove_file(entry.path())?;
            deleted += 1;
        }
    }
    Ok(deleted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_old_go_and_the_new_stay() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join(TRACES);
        let at: Timestamp = "2026-03-02T09:00:00Z".parse().unwrap();
        let hours = jiff::SignedDuration::from_hours;
        assert_eq!(delete(&folder, at, 10).unwrap(), 0, "no folder, no files");
        fs::create_dir_all(folder.join("a folder")).unwrap();
        for (name, age) in [("a.pcap", 9), ("b.txt", 2), ("c.pcap", 1), ("d.pcap", -1)] {
            let file = fs::File::create(folder.join(name)).unwrap();
            file.set_modified(SystemTime::from(at - hours(age))).unwrap();
        }
        assert_eq!(delete(&folder, at - hours(1), 2).unwrap(), 2, "no more at once than it was told");
        assert_eq!(delete(&folder, at - hours(1), 2).unwrap(), 1);
        assert_eq!(delete(&folder, at - hours(1), 2).unwrap(), 0);
        let mut left: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["a folder", "d.pcap"]);
    }
}
