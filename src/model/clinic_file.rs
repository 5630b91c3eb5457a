//! The three files that a clinic writes itself.

use std::fmt;
use std::str::FromStr;

/// One of the clinic's files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ClinicFile {
    /// `phone-tree.toml`
    Tree,
    /// `messages.toml`
    Messages,
    /// `threadline.toml`
    Box,
}

impl ClinicFile {
    /// All of them.
    pub const ALL: [ClinicFile; 3] = [ClinicFile::Tree, ClinicFile::Messages, ClinicFile::Box];

    /// As records and addresses name it: `tree`.
    pub fn as_str(self) -> &'static str {
        match self {
            ClinicFile::Tree => "tree",
            ClinicFile::Messages => "messages",
            ClinicFile::Box => "box",
        }
    }
}

impl fmt::Display for ClinicFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// There is no such file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("“{0}” is none of the clinic's files; write tree, messages or box")]
pub struct ClinicFileError(String);

impl FromStr for ClinicFile {
    type Err = ClinicFileError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let file = ClinicFile::ALL.into_iter().find(|file| file.as_str() == text);
        file.ok_or_else(|| ClinicFileError(text.to_owned()))
    }
}
