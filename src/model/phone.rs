//! A phone of the clinic that can ring, and how several of them do.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::Deserialize;

use super::{PhoneNumber, Private};

/// A phone that a caller can be connected to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phone {
    /// `extension:201`: a phone that registers with this box, by the name of its `[[extension]]`.
    Extension(String),
    /// `sip:201@10.0.0.20`: a phone or an extension of another telephone system.
    Uri(String),
    /// `+12125550123`: a number out through a trunk.
    Number(PhoneNumber),
    /// `911`: an emergency number, to the trunk as it was dialled. No file names one.
    Emergency(Private<String>),
}

/// Not a phone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a phone; write \"extension:201\", \"sip:201@10.0.0.20\" or a number such as \"+12125550123\"")]
pub struct PhoneError;

impl FromStr for Phone {
    type Err = PhoneError;

    fn from_str(text: &str) -> Result<Phone, PhoneError> {
        if let Some(name) = text.strip_prefix("extension:") {
            return if extension_name(name) { Ok(Phone::Extension(name.to_owned())) } else { Err(PhoneError) };
        }
        if text.starts_with("sip:") || text.starts_with("sips:") {
            let fits = text.contains('@') && !text.chars().any(|c| c.is_control() || " \t<>\"?".contains(c));
            return if fits { Ok(Phone::Uri(text.to_owned())) } else { Err(PhoneError) };
        }
        PhoneNumber::e164(text.strip_prefix("tel:").unwrap_or(text)).map(Phone::Number).map_err(|_| PhoneError)
    }
}

/// Whether an extension may be called so: one to sixteen letters, digits, `-` or `_`, as it stands in a SIP address.
pub fn extension_name(name: &str) -> bool {
    (1..=16).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
}

/// As the files write it. A number is shown in full: this is for files and screens, never for logs.
impl fmt::Display for Phone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Phone::Extension(name) => write!(f, "extension:{name}"),
            Phone::Uri(uri) => f.write_str(uri),
            Phone::Number(number) => f.write_str(number.as_str()),
            Phone::Emergency(digits) => f.write_str(digits.expose()),
        }
    }
}

/// A phone of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Which.
    pub phone: Phone,
    /// How long it stays silent after the others have begun to ring.
    pub delay: Duration,
    /// How long it rings; the group's own time unless the file says otherwise.
    pub ring_for: Duration,
}

/// Which phones of a group ring.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// All at once.
    #[default]
    All,
    /// One after the other, in the order of the file.
    InTurn,
    /// One after the other, who has been off the phone for longest first.
    LongestIdle,
}

/// Why nobody came to the phone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unanswered {
    /// There is nobody who could: no phone of the group is reachable.
    Nobody,
    /// The line is full.
    Full,
    /// Every phone was tried, and none was picked up in time.
    NoAnswer,
    /// Every phone was tried, and every one was busy or refused.
    Busy,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phone_is_read_as_it_is_written() {
        for text in ["extension:201", "extension:front-desk", "sip:201@10.0.0.20", "sips:a@pbx:5061", "+12125550123"] {
            assert_eq!(text.parse::<Phone>().unwrap().to_string(), text);
        }
        for text in ["", "201", "extension:", "extension:a b", "sip:201", "sip:a@b>", "tel:12", "http://a@b"] {
            assert_eq!(text.parse::<Phone>(), Err(PhoneError), "{text}");
        }
    }
}
