//! [`PhoneNumber`] (E.164) and [`Caller`]: who is calling.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{Private, is_unseen};

/// A country whose numbering plan reads a number written without `+` (ISO 3166-1 alpha-2, such as `US`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Country(phonenumber::country::Id);

/// Not a country that has a numbering plan.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("“{0}” is not a country; write its two letters, such as \"US\" or \"DE\"")]
pub struct CountryError(String);

impl FromStr for Country {
    type Err = CountryError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Country).map_err(|_| CountryError(text.to_owned()))
    }
}

impl Country {
    /// Its two letters (ISO 3166-1): `US`.
    pub fn code(&self) -> &str {
        self.0.as_ref()
    }
}

/// A telephone number in E.164: `+` and up to fifteen digits. Its `Debug` shows the last two digits alone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PhoneNumber(Box<str>);

/// Why a text is not a telephone number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NumberError {
    /// Not dialable: letters, too short, too long.
    #[error("not a phone number; write it in full, such as +12125550100")]
    Malformed,
    /// Dialable, but no such number exists in its country's plan.
    #[error("no such phone number in its country's numbering plan; check the digits")]
    Impossible,
}

impl PhoneNumber {
    /// Reads a number as people, trunks and gateways write it; one without `+` is read in `country`'s plan.
    pub fn parse(text: &str, country: Country) -> Result<Self, NumberError> {
        let text = text.trim();
        // Longer text costs time and is never a number: E.164 allows 15 digits, the rest is punctuation.
        if text.is_empty() || text.len() > 40 || !text.bytes().any(|b| b.is_ascii_digit()) {
            return Err(NumberError::Malformed);
        }
        // Numbers that are copied from elsewhere come with marks of direction around them.
        let text: String = text.chars().filter(|c| !is_unseen(*c)).collect();
        let text = text.trim();
        if let Some(number) = Self::fictional(text) {
            return Ok(number);
        }
        // With a country beside it, the library takes that country's trunk prefix off an international number too.
        let country = (!text.starts_with('+')).then_some(country.0);
        let number = phonenumber::parse(country, text).map_err(|_| NumberError::Malformed)?;
        if !phonenumber::is_valid(&number) {
            return Err(NumberError::Impossible);
        }
        Ok(PhoneNumber(number.format().mode(phonenumber::Mode::E164).to_string().into()))
    }

    /// Reads a number that must already be in E.164.
    pub fn e164(text: &str) -> Result<Self, NumberError> {
        let digits = text.strip_prefix('+').ok_or(NumberError::Malformed)?;
        let plain =
            (7..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit()) && !digits.starts_with('0');
        if plain { Ok(PhoneNumber(text.into())) } else { Err(NumberError::Malformed) }
    }

    /// `+1 NXX 555 01XX`, set aside for examples: the plan calls some of them invalid, demos and tests need them.
    fn fictional(text: &str) -> Option<Self> {
        let digits: String = text.chars().filter(char::is_ascii_digit).collect();
        let national = digits.strip_prefix('1').filter(|d| d.len() == 10)?;
        (text.starts_with('+') && national.get(3..8) == Some("55501"))
            .then(|| PhoneNumber(format!("+1{national}").into()))
    }

    /// The number in E.164: for the wire, the database and the page, never for a log.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// As people write it in `country`: `(212) 555-0142` at home, `+44 20 7946 0958` from elsewhere.
    pub fn shown_in(&self, country: Country) -> String {
        use phonenumber::{Mode, metadata::DATABASE};
        let Ok(number) = phonenumber::parse(None, &*self.0) else { return self.0.to_string() };
        let home =
            DATABASE.by_id(country.0.as_ref()).is_some_and(|plan| plan.country_code() == number.country().code());
        number.format().mode(if home { Mode::National } else { Mode::International }).to_string()
    }

    /// Whether a text can reach it as far as its numbering plan tells; a plan that mixes mobiles and landlines says yes.
    pub fn can_text(&self) -> bool {
        use phonenumber::{Type, metadata::DATABASE};
        let Ok(number) = phonenumber::parse(None, &*self.0) else { return false };
        let national = number.national().value().to_string();
        // Asked first: the library's own order takes a prefix of a mobile for a landline in some plans.
        let mobile = number.metadata(&DATABASE).and_then(|plan| plan.descriptors().mobile());
        mobile.is_some_and(|mobile| mobile.is_match(&national))
            || !matches!(
                number.number_type(&DATABASE),
                Type::FixedLine | Type::TollFree | Type::PremiumRate | Type::SharedCost | Type::Uan | Type::Voicemail
            )
    }
}

impl TryFrom<String> for PhoneNumber {
    type Error = NumberError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        PhoneNumber::e164(&text)
    }
}

impl From<PhoneNumber> for String {
    fn from(number: PhoneNumber) -> String {
        number.0.into()
    }
}

impl fmt::Debug for PhoneNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "+…{}", self.0.get(self.0.len().saturating_sub(2)..).unwrap_or_default())
    }
}

/// Who is calling, as far as the trunk tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Caller {
    /// A telephone number.
    Number(PhoneNumber),
    /// The caller asked not to be named, or the trunk names nobody.
    Anonymous,
    /// Something that is no telephone number: an extension, a SIP user.
    Other(Private<String>),
}

impl Caller {
    /// The telephone number, if it is one.
    pub fn number(&self) -> Option<&PhoneNumber> {
        match self {
            Caller::Number(number) => Some(number),
            Caller::Anonymous | Caller::Other(_) => None,
        }
    }

    /// For the record and the page: the number, the name as it came, or `anonymous`.
    pub fn as_str(&self) -> &str {
        match self {
            Caller::Number(number) => number.as_str(),
            Caller::Anonymous => "anonymous",
            Caller::Other(name) => name.expose(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn us(text: &str) -> Result<PhoneNumber, NumberError> {
        PhoneNumber::parse(text, "US".parse().unwrap())
    }

    #[test]
    fn numbers_are_read_as_people_write_them() {
        for text in ["+12125550142", "+1 (212) 555-0142"] {
            assert_eq!(us(text).unwrap().as_str(), "+12125550142", "{text}");
        }
        assert_eq!(us("(646) 253-0142").unwrap().as_str(), "+16462530142");
        assert_eq!(us("+44 20 7946 0958").unwrap().as_str(), "+442079460958");
        // As other programs hand them out.
        assert_eq!(us("\u{202a}+44 20 7946\u{200b} 0958\u{202c}").unwrap().as_str(), "+442079460958");
        assert_eq!(us("\u{2066} +1 (212) 555-0142\u{2069}").unwrap().as_str(), "+12125550142");
        assert_eq!(us("anonymous"), Err(NumberError::Malformed));
        assert_eq!(us("201"), Err(NumberError::Impossible));
        assert_eq!(us(&"9".repeat(500)), Err(NumberError::Malformed));
    }

    #[test]
    fn a_landline_cannot_take_texts() {
        assert!(!us("+49 30 901820").unwrap().can_text());
        assert!(us("+49 1512 3456789").is_ok_and(|mobile| mobile.can_text()));
        assert!(us("+33 6 12 34 56 78").unwrap().can_text());
        assert!(us("+16462530142").unwrap().can_text());
        assert!(!us("+18002530142").unwrap().can_text());
    }

    #[test]
    fn a_number_is_shown_as_people_write_it_at_home_and_from_elsewhere() {
        let home = |number: &str, country: &str| us(number).unwrap().shown_in(country.parse().unwrap());
        assert_eq!(home("+12125550142", "US"), "(212) 555-0142");
        assert_eq!(home("+442079460958", "US"), "+44 20 7946 0958");
        assert_eq!(home("+442079460958", "GB"), "020 7946 0958");
    }

    #[test]
    fn debug_shows_two_digits() {
        assert_eq!(format!("{:?}", us("+12125550142").unwrap()), "+…42");
    }
}
