//! Every file of the fuzzers' corpus, replayed through the function that its fuzz target calls.

#[path = "../fuzz/targets.rs"]
mod targets;

use std::path::{Path, PathBuf};

fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    entries.map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn the_corpus_breaks_nothing() {
    let folders = entries(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus"));
    assert!(folders.len() >= 5, "{folders:?}");
    for folder in folders {
        let target = folder.file_name().unwrap().to_str().unwrap();
        let files = entries(&folder);
        assert!(files.len() >= 3, "corpus/{target} needs seeds");
        for file in files {
            // A panic in a target names only its own line: this says which file caused it.
            println!("{}", file.display());
            assert!(targets::run(target, &std::fs::read(&file).unwrap()), "corpus/{target} has no target");
        }
    }
}
