//! The clinic's folder of prompts, read.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Prompt, PromptError, name};
use crate::model::{Language, PromptCatalog, PromptInfo, PromptKey};

/// All prompts of the clinic: `LANGUAGE/NAME.wav`, each with its words in `NAME.txt`.
#[derive(Debug, Default)]
pub struct PromptLibrary {
    prompts: BTreeMap<Language, BTreeMap<String, Entry>>,
}

#[derive(Debug)]
struct Entry {
    words: String,
    prompt: Arc<Prompt>,
}

impl PromptLibrary {
    /// Loads what can be loaded and says what could not. Files that are neither `.wav` nor `.txt` and names that
    /// begin with a dot are passed over.
    pub fn load(folder: &Path) -> (PromptLibrary, Vec<PromptError>) {
        let mut library = PromptLibrary::default();
        let mut errors = Vec::new();
        for folder in entries(folder, &mut errors).into_iter().filter(|path| path.is_dir()) {
            match Language::parse(&name(&folder)) {
                Ok(language) => library.load_language(language, &folder, &mut errors),
                Err(_) => errors.push(PromptError::Folder { folder }),
            }
        }
        (library, errors)
    }

    fn load_language(&mut self, language: Language, folder: &Path, errors: &mut Vec<PromptError>) {
        let prompts = self.prompts.entry(language).or_default();
        for file in entries(folder, errors) {
            let Some(stem) = file.file_stem().map(|stem| stem.to_string_lossy().into_owned()) else { continue };
            match file.extension().and_then(|extension| extension.to_str()) {
                Some("wav") => match entry(&file) {
                    Ok(entry) => {
                        prompts.insert(stem, entry);
                    }
                    Err(error) => errors.push(error),
                },
                Some("txt") if !file.with_extension("wav").exists() => errors.push(PromptError::NoRecording { file }),
                _ => {}
            }
        }
    }

    /// The prompt `name` in `language`.
    pub fn find(&self, language: &Language, name: &str) -> Option<Arc<Prompt>> {
        self.prompts.get(language)?.get(name).map(|entry| Arc::clone(&entry.prompt))
    }

    /// What the phone tree needs to know of them.
    pub fn catalog(&self) -> PromptCatalog {
        let entries = self.prompts.iter().flat_map(|(language, prompts)| {
            prompts.iter().map(|(name, entry)| {
                let info = PromptInfo {
                    words: entry.words.clone(),
                    sha256: entry.prompt.sha256.clone(),
                    length: entry.prompt.length,
                };
                (PromptKey { language: language.clone(), name: name.clone() }, info)
            })
        });
        PromptCatalog(entries.collect())
    }
}

fn entry(file: &Path) -> Result<Entry, PromptError> {
    let words = match fs::read_to_string(file.with_extension("txt")) {
        Ok(words) => words.trim().to_owned(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(PromptError::Unreadable { file: file.with_extension("txt"), error }),
    };
    if words.is_empty() {
        return Err(PromptError::NoWords { file: file.to_owned() });
    }
    Ok(Entry { words, prompt: Arc::new(Prompt::load(file)?) })
}

/// What is in a folder, sorted, without hidden names.
fn entries(folder: &Path, errors: &mut Vec<PromptError>) -> Vec<PathBuf> {
    let read = fs::read_dir(folder).and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect());
    let mut paths: Vec<PathBuf> = read.unwrap_or_else(|error| {
        errors.push(PromptError::Unreadable { file: folder.to_owned(), error });
        Vec::new()
    });
    paths.retain(|path| !name(path).starts_with('.'));
    paths.sort();
    paths
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use ring::digest;

    use super::super::tests::{spec, wav};
    use super::*;

    #[test]
    fn the_library_holds_what_is_whole_and_names_the_rest() {
        let folder = tempfile::tempdir().unwrap();
        let en = folder.path().join("en");
        fs::create_dir_all(&en).unwrap();
        fs::create_dir_all(folder.path().join("not a language")).unwrap();
        let tone = wav(spec(16_000, 1, 16), 0.2, 0.5);
        for stem in ["welcome", "mute"] {
            fs::write(en.join(stem).with_extension("wav"), &tone).unwrap();
        }
        fs::write(en.join("welcome.txt"), " Hello.\n").unwrap();
        fs::write(en.join("silent.txt"), "Hello?").unwrap();
        fs::write(en.join(".hidden.wav"), "x").unwrap();
        let (library, errors) = PromptLibrary::load(folder.path());
        let english = Language::parse("en").unwrap();
        assert!(library.find(&english, "welcome").is_some());
        assert!(library.find(&english, "mute").is_none());
        let catalog = library.catalog();
        let info = catalog.find(&english, "welcome").unwrap();
        assert_eq!((info.words.as_str(), info.length), ("Hello.", Duration::from_millis(200)));
        let sha256 = digest::digest(&digest::SHA256, &tone);
        assert_eq!(info.sha256, sha256.as_ref().iter().map(|b| format!("{b:02x}")).collect::<String>());
        assert_eq!(errors.len(), 3, "{errors:?}");
        assert!(!PromptLibrary::load(Path::new("/nowhere")).1.is_empty());
    }
}
