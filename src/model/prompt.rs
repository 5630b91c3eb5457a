//! A prompt as the phone tree sees it: its name, words and fingerprint; the audio lives in `media/`.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Language;

/// A prompt's name in one language: `prompts/LANGUAGE/NAME.wav`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PromptKey {
    /// Which language's folder.
    pub language: Language,
    /// The file's name without `.wav`.
    pub name: String,
}

/// What is known of a prompt besides its audio.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PromptInfo {
    /// What it says: the text file beside the WAV.
    pub words: String,
    /// SHA-256 of the WAV file's bytes, lowercase hexadecimal: the evidence of what was heard.
    pub sha256: String,
    /// How long it plays.
    pub length: Duration,
}

/// All prompts that could be loaded.
#[derive(Clone, Debug, Default)]
pub struct PromptCatalog(pub BTreeMap<PromptKey, PromptInfo>);

impl PromptCatalog {
    /// The prompt `name` in `language`.
    pub fn find(&self, language: &Language, name: &str) -> Option<&PromptInfo> {
        self.0.get(&PromptKey { language: language.clone(), name: name.to_owned() })
    }

    /// Every language that has at least one prompt.
    pub fn languages(&self) -> Vec<Language> {
        let mut all: Vec<_> = self.0.keys().map(|key| key.language.clone()).collect();
        all.dedup();
        all
    }
}
