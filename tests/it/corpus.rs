//! Every file of the fuzzers' corpus, replayed through the function that its fuzz target calls.

use std::path::{Path, PathBuf};

/// What a fuzz target calls.
type Target = fn(&[u8]);

/// One for each folder of `tests/fuzz/corpus/`, under its name.
const TARGETS: [(&str, Target); 1] = [("sdp", threadline::sip::sdp::exercise)];

fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    entries.map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn the_corpus_breaks_nothing() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus");
    for folder in entries(&corpus) {
        let name = folder.file_name().unwrap().to_str().unwrap();
        assert!(TARGETS.iter().any(|(target, _)| *target == name), "corpus/{name} has no target here");
    }
    for (target, run) in TARGETS {
        let files = entries(&corpus.join(target));
        assert!(files.len() >= 3, "corpus/{target} needs seeds");
        for file in files {
            // A panic below names only its line: this says which file caused it.
            println!("{}", file.display());
            run(&std::fs::read(&file).unwrap());
        }
    }
}
