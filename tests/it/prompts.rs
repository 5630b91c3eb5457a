//! What tests say: the house's prompts, of each the beginning. A clinic that says them starts sooner, and whoever listens
//! has heard it sooner. Those of the house itself are looked at in `content`.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use hound::{WavReader, WavWriter};
use tempfile::NamedTempFile;

/// The house's own.
pub const WHOLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/prompts");
/// So many milliseconds of each are said.
const SAID: u32 = 600;

/// The folder of the beginnings, with the words of the whole. Nobody may write into it: it is for all tests.
pub fn beginnings() -> &'static Path {
    static LAID: OnceLock<PathBuf> = OnceLock::new();
    LAID.get_or_init(|| {
        let to = Path::new(env!("CARGO_TARGET_TMPDIR")).join("prompts");
        for language in entries(Path::new(WHOLE)).into_iter().filter(|entry| entry.is_dir()) {
            let folder = to.join(language.file_name().unwrap());
            fs::create_dir_all(&folder).unwrap();
            let files = entries(&language);
            for file in &files {
                lay(file, &folder);
            }
            let names: BTreeSet<OsString> = files.iter().map(|file| file.file_name().unwrap().to_owned()).collect();
            let laid = entries(&folder).into_iter();
            for gone in laid.filter(|file| file.extension().is_some() && !names.contains(file.file_name().unwrap())) {
                fs::remove_file(gone).unwrap();
            }
        }
        to
    })
}

/// The files and folders of a folder.
fn entries(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}

/// Puts a file into the folder at one stroke: the tests of another process may be reading what is there.
fn lay(file: &Path, folder: &Path) {
    let mut new = NamedTempFile::new_in(folder).unwrap();
    if file.extension().is_some_and(|kind| kind == "wav") {
        let mut whole = WavReader::open(file).unwrap();
        let (spec, samples) = (whole.spec(), whole.spec().sample_rate / 1_000 * SAID);
        let mut beginning = WavWriter::new(&mut new, spec).unwrap();
        for sample in whole.samples::<i16>().take(samples as usize) {
            beginning.write_sample(sample.unwrap()).unwrap();
        }
        beginning.finalize().unwrap();
    } else {
        new.write_all(&fs::read(file).unwrap()).unwrap();
    }
    new.persist(folder.join(file.file_name().unwrap())).unwrap();
}
