//! Reads an admin's TOML so that all mistakes are reported at once, each where it stands.
//!
//! A [`Reader`] collects problems; [`Table`] and [`Value`] walk the document and report what they cannot read. A key
//! that nobody asked for is a mistake when [`Table::finish`] is called. Reading goes on after a mistake: a method that
//! gives `None` has reported why. [`Reader::finish`] says whether the file may be used.
//!
//! `duration`: how people write a time span. `spelling`: what they meant where they wrote something else.

mod duration;
mod spelling;

use std::cell::RefCell;
use std::fmt::Display;
use std::ops::{Range, RangeInclusive};
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{Problem, Problems, Severity};

pub use duration::duration;
pub use spelling::closest;

/// Bytes of the file's text.
pub type Span = Range<usize>;

/// One file being read.
#[derive(Debug)]
pub struct Reader<'r> {
    file: &'r Path,
    text: &'r str,
    problems: RefCell<Vec<Problem>>,
}

impl<'r> Reader<'r> {
    /// A reader of `text`; `file` is only named in problems.
    pub fn new(file: &'r Path, text: &'r str) -> Self {
        Reader { file, text, problems: RefCell::default() }
    }

    /// The document, or every place where it is no TOML.
    pub fn document(&self) -> Result<Spanned<DeTable<'r>>, Problems> {
        let (document, errors) = DeTable::parse_recoverable(self.text);
        for error in &errors {
            let span = error.span().unwrap_or(0..0);
            self.error(
                span,
                format!("not TOML: {}", error.message().trim()),
                "see https://toml.io for how it is written",
            );
        }
        if errors.is_empty() { Ok(document) } else { Err(Problems(self.sorted())) }
    }

    /// The document's outermost table.
    pub fn root(&'r self, document: &'r Spanned<DeTable<'r>>) -> Table<'r> {
        Table { reader: self, table: document.get_ref(), place: 0..0, asked: RefCell::default() }
    }

    /// Reports an error at `span`.
    pub fn error(&self, span: Span, message: impl Into<String>, cure: impl Into<String>) {
        self.report(Severity::Error, span, message.into(), cure.into());
    }

    /// Reports a warning at `span`.
    pub fn warning(&self, span: Span, message: impl Into<String>, cure: impl Into<String>) {
        self.report(Severity::Warning, span, message.into(), cure.into());
    }

    /// Reports a secret written into the file, without showing its line.
    pub fn secret_in_clear(&self, span: Span, key: &str, cure: &str) {
        self.error(span, format!("`{key}` is a secret and must not stand in this file"), cure);
        if let Some(problem) = self.problems.borrow_mut().last_mut() {
            problem.source_line = format!("{key} = …");
        }
    }

    /// Whether an error was reported so far.
    pub fn has_errors(&self) -> bool {
        self.problems.borrow().iter().any(|problem| problem.severity == Severity::Error)
    }

    /// The warnings, or all problems if one of them is an error.
    pub fn finish(self) -> Result<Vec<Problem>, Problems> {
        let problems = self.sorted();
        if self.has_errors() { Err(Problems(problems)) } else { Ok(problems) }
    }

    fn report(&self, severity: Severity, span: Span, message: String, cure: String) {
        let mut start = span.start.min(self.text.len());
        while !self.text.is_char_boundary(start) {
            start -= 1;
        }
        let (before, after) = self.text.split_at(start);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let line_end = after.find('\n').map_or(self.text.len(), |at| start + at);
        self.problems.borrow_mut().push(Problem {
            file: self.file.to_owned(),
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            source_line: self.text[line_start..line_end].trim_end().to_owned(),
            message,
            cure,
            severity,
        });
    }

    fn sorted(&self) -> Vec<Problem> {
        let mut problems = self.problems.borrow().clone();
        problems.sort_by_key(|problem| (problem.line, problem.column));
        problems.dedup();
        problems
    }
}

/// A table of the document.
#[derive(Debug)]
pub struct Table<'r> {
    reader: &'r Reader<'r>,
    table: &'r DeTable<'r>,
    place: Span,
    asked: RefCell<Vec<&'static str>>,
}

impl<'r> Table<'r> {
    /// The value of `key`, if it is there.
    pub fn get(&self, key: &'static str) -> Option<Value<'r>> {
        self.asked.borrow_mut().push(key);
        self.table.get_key_value(key).map(|(key, value)| self.value(key, value))
    }

    /// The value of `key`; its absence is a mistake, and `cure` says what to write.
    pub fn require(&self, key: &'static str, cure: &str) -> Option<Value<'r>> {
        let value = self.get(key);
        if value.is_none() {
            self.reader.error(self.place.clone(), format!("`{key}` is missing"), cure);
        }
        value
    }

    /// All entries, whatever their keys, in the order of the file.
    pub fn entries(&self) -> Vec<Value<'r>> {
        let mut entries: Vec<_> = self.table.iter().map(|(key, value)| self.value(key, value)).collect();
        entries.sort_by_key(|entry| entry.key_span.start);
        entries
    }

    /// Reports every key that was not asked for.
    pub fn finish(&self) {
        self.finish_or(|_| None);
    }

    /// As [`Table::finish`]; `explain` may know an unasked key and say message and cure.
    pub fn finish_or(&self, explain: impl Fn(&str) -> Option<(String, String)>) {
        let asked = self.asked.borrow();
        for entry in self.entries().iter().filter(|entry| !asked.contains(&entry.key)) {
            let (message, cure) = explain(entry.key).unwrap_or_else(|| {
                let cure = match closest(entry.key, asked.iter().copied()) {
                    Some(known) => format!("did you mean `{known}`?"),
                    None if asked.is_empty() => "remove it".to_owned(),
                    None => format!("remove it; known here: {}", list(&asked)),
                };
                (format!("unknown key `{}`", entry.key), cure)
            });
            self.reader.error(entry.key_span.clone(), message, cure);
        }
    }

    /// Where it stands: its key.
    pub fn place(&self) -> Span {
        self.place.clone()
    }

    /// The reader, to report to.
    pub fn reader(&self) -> &'r Reader<'r> {
        self.reader
    }

    fn value(&self, key: &'r Spanned<std::borrow::Cow<'r, str>>, value: &'r Spanned<DeValue<'r>>) -> Value<'r> {
        Value {
            reader: self.reader,
            key: key.as_ref(),
            key_span: key.span(),
            value: value.get_ref(),
            span: value.span(),
        }
    }
}

/// A value of the document, with its key.
#[derive(Clone, Debug)]
pub struct Value<'r> {
    reader: &'r Reader<'r>,
    key: &'r str,
    key_span: Span,
    value: &'r DeValue<'r>,
    span: Span,
}

impl<'r> Value<'r> {
    /// Its key; that of the list, for a list's item.
    pub fn key(&self) -> &'r str {
        self.key
    }

    /// Where the key stands.
    pub fn key_span(&self) -> Span {
        self.key_span.clone()
    }

    /// Where the value stands.
    pub fn span(&self) -> Span {
        self.span.clone()
    }

    /// The reader, to report to.
    pub fn reader(&self) -> &'r Reader<'r> {
        self.reader
    }

    /// Reports an error at the value.
    pub fn error(&self, message: impl Into<String>, cure: impl Into<String>) {
        self.reader.error(self.span(), message, cure);
    }

    /// Whether it is a table, inline or not.
    pub fn is_table(&self) -> bool {
        self.value.is_table()
    }

    /// Whether it is a text.
    pub fn is_string(&self) -> bool {
        self.value.is_str()
    }

    /// Whether it is true or false.
    pub fn is_boolean(&self) -> bool {
        self.value.as_bool().is_some()
    }

    /// A text.
    pub fn string(&self) -> Option<&'r str> {
        self.or_wrong(self.value.as_str(), "a text in quotes")
    }

    /// A text that is not blank.
    pub fn words(&self) -> Option<&'r str> {
        let text = self.string()?;
        if text.trim().is_empty() {
            self.error(format!("`{}` is empty", self.key), "write something, or remove the line");
            return None;
        }
        Some(text)
    }

    /// A whole number in `range`.
    pub fn integer(&self, range: RangeInclusive<i64>) -> Option<i64> {
        let number = self.value.as_integer().map(|n| i64::from_str_radix(n.as_str(), n.radix()).unwrap_or(i64::MAX));
        let number = self.or_wrong(number, "a whole number")?;
        if range.contains(&number) {
            return Some(number);
        }
        self.error(format!("`{}` is out of range", self.key), format!("write {} to {}", range.start(), range.end()));
        None
    }

    /// True or false.
    pub fn boolean(&self) -> Option<bool> {
        self.or_wrong(self.value.as_bool(), "true or false")
    }

    /// A number, whole or not.
    pub fn float(&self) -> Option<f64> {
        let text = self.value.as_float().map(|n| n.as_str()).or(self.value.as_integer().map(|n| n.as_str()));
        self.or_wrong(text.and_then(|text| text.parse().ok()), "a number such as 1.0")
    }

    /// A table. Its place is this value's key.
    pub fn table(&self) -> Option<Table<'r>> {
        let table = self.or_wrong(self.value.as_table(), "a table, such as { … }")?;
        Some(Table { reader: self.reader, table, place: self.key_span(), asked: RefCell::default() })
    }

    /// A list's items.
    pub fn list(&self) -> Option<Vec<Value<'r>>> {
        let items = self.or_wrong(self.value.as_array(), "a list, such as [ … ]")?;
        Some(items.iter().map(|item| self.item(item)).collect())
    }

    /// One value, or the items of a list of them.
    pub fn one_or_more(&self) -> Vec<Value<'r>> {
        match self.value.as_array() {
            Some(items) => items.iter().map(|item| self.item(item)).collect(),
            None => vec![self.clone()],
        }
    }

    /// A text that `T` can read; its error is the message.
    pub fn parse<T: FromStr<Err: Display>>(&self, cure: &str) -> Option<T> {
        self.parse_with(|text| text.parse().map_err(|error: T::Err| error.to_string()), cure)
    }

    /// A text that `read` can read; its error is the message.
    pub fn parse_with<T>(&self, read: impl FnOnce(&str) -> Result<T, String>, cure: &str) -> Option<T> {
        read(self.string()?).map_err(|message| self.error(format!("`{}`: {message}", self.key), cure)).ok()
    }

    /// One of `choices`, by name.
    pub fn choice<T: Copy>(&self, choices: &[(&str, T)]) -> Option<T> {
        let text = self.string()?;
        let found = choices.iter().find(|(name, _)| *name == text).map(|(_, choice)| *choice);
        if found.is_none() {
            let names: Vec<_> = choices.iter().map(|(name, _)| *name).collect();
            self.error(format!("`{}` cannot be \"{text}\"", self.key), format!("write one of {}", list(&names)));
        }
        found
    }

    /// A duration such as `4s`, `10m`, `24h` in `range`.
    pub fn duration(&self, range: RangeInclusive<Duration>) -> Option<Duration> {
        const CURE: &str = "write it as \"4s\", \"10m\", \"24h\", \"30d\" or \"1m30s\"";
        let text = self.or_wrong(self.value.as_str(), "a duration such as \"4s\"")?;
        let Some(duration) = duration(text) else {
            self.error(format!("`{}`: \"{text}\" is not a duration", self.key), CURE);
            return None;
        };
        if range.contains(&duration) {
            return Some(duration);
        }
        let cure = format!("write {} to {}", duration::shown(*range.start()), duration::shown(*range.end()));
        self.error(format!("`{}` is out of range", self.key), cure);
        None
    }

    /// A date, in quotes or not.
    pub fn date(&self) -> Option<jiff::civil::Date> {
        const CURE: &str = "write it as \"2026-12-25\"";
        let written = self.value.as_str().map(str::to_owned).or(self.value.as_datetime().map(ToString::to_string));
        let written = self.or_wrong(written, "a date such as \"2026-12-25\"")?;
        // The civil parser would also take a time of day and drop it.
        let date = (written.len() == 10).then(|| written.parse().ok()).flatten();
        if date.is_none() {
            self.error(format!("`{}`: {written} is not a date", self.key), CURE);
        }
        date
    }

    fn item(&self, item: &'r Spanned<DeValue<'r>>) -> Value<'r> {
        let span = item.span();
        // A table of `[[…]]` has no key of its own: its place is its header.
        let key_span = span.clone();
        Value { reader: self.reader, key: self.key, key_span, value: item.get_ref(), span }
    }

    fn or_wrong<T>(&self, value: Option<T>, expected: &str) -> Option<T> {
        if value.is_none() {
            let found = match self.value {
                DeValue::String(_) => "a text",
                DeValue::Integer(_) => "a whole number",
                DeValue::Float(_) => "a number",
                DeValue::Boolean(_) => "true or false",
                DeValue::Datetime(_) => "a date",
                DeValue::Array(_) => "a list",
                DeValue::Table(_) => "a table",
            };
            self.error(format!("`{}` is {found}", self.key), format!("write {expected}"));
        }
        value
    }
}

/// `a`, `b`, `c`
fn list(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(text: &str, read: impl Fn(&Table<'_>)) -> String {
        let file = Path::new("x.toml");
        let reader = Reader::new(file, text);
        let document = match reader.document() {
            Ok(document) => document,
            Err(problems) => return problems.to_string(),
        };
        read(&reader.root(&document));
        Problems(reader.sorted()).to_string()
    }

    #[test]
    fn all_mistakes_are_reported_where_they_stand() {
        let text = "wait = 4\n\nsayy = \"ü\"\nnumber = { a = \"ö\", depth = \"x\" }\n";
        let shown = problems(text, |root| {
            root.get("wait").unwrap().duration(Duration::ZERO..=Duration::from_secs(60));
            root.get("say");
            let number = root.get("number").unwrap().table().unwrap();
            number.get("a");
            number.get("depth").unwrap().integer(1..=3);
            root.require("start", "write start = \"menu:welcome\"");
            root.finish();
        });
        assert_eq!(
            shown,
            "x.toml:1:1: error: `start` is missing\n  1 | wait = 4\n  cure: write start = \"menu:welcome\"\n\
             x.toml:1:8: error: `wait` is a whole number\n  1 | wait = 4\n  cure: write a duration such as \"4s\"\n\
             x.toml:3:1: error: unknown key `sayy`\n  3 | sayy = \"ü\"\n  cure: did you mean `say`?\n\
             x.toml:4:29: error: `depth` is a text\n  4 | number = { a = \"ö\", depth = \"x\" }\n  \
             cure: write a whole number"
        );
    }

    #[test]
    fn what_is_no_toml_is_reported_with_its_line() {
        let shown = problems("a = 1\nb = \nc = [1\n", |_| panic!("not reached"));
        assert!(shown.contains("x.toml:2:") && shown.contains("not TOML"), "{shown}");
    }
}
