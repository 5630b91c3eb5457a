//! [`Problem`]: one mistake in an admin's file, with where it stands and what to write instead.

use std::fmt;
use std::path::{Path, PathBuf};

/// Whether a problem keeps the file from being used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The file cannot be used as it is.
    Error,
    /// The file works, but probably not as meant.
    Warning,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
        })
    }
}

/// One mistake. Its `Display` is the whole report: place, message, the line itself, the cure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file, as it was named to us.
    pub file: PathBuf,
    /// Counted from 1; 0: the file as a whole.
    pub line: usize,
    /// Characters, counted from 1; 0: the file as a whole.
    pub column: usize,
    /// The line as it is written; empty for the file as a whole.
    pub source_line: String,
    /// What is wrong.
    pub message: String,
    /// What to write or do instead.
    pub cure: String,
    /// Error or warning.
    pub severity: Severity,
}

impl Problem {
    /// An error about a file as a whole: it is missing, or it is no text.
    pub fn of_file(file: &Path, message: impl Into<String>, cure: impl Into<String>) -> Problem {
        Problem {
            file: file.to_owned(),
            line: 0,
            column: 0,
            source_line: String::new(),
            message: message.into(),
            cure: cure.into(),
            severity: Severity::Error,
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file.display())?;
        if self.line > 0 {
            write!(f, "{}:{}:", self.line, self.column)?;
        }
        write!(f, " {}: {}", self.severity, self.message)?;
        if self.line > 0 {
            write!(f, "\n  {} | {}", self.line, self.source_line.trim_end())?;
        }
        if !self.cure.is_empty() {
            write!(f, "\n  cure: {}", self.cure)?;
        }
        Ok(())
    }
}

/// All mistakes that were found, in the order of their lines; at least one of them is an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, problem) in self.0.iter().enumerate() {
            if n > 0 {
                f.write_str("\n")?;
            }
            problem.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}
