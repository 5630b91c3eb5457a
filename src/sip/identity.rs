//! Who is calling, whom they dialled and by which way round: read from header values, tolerant of what trunks write.
//!
//! Pure text work on RFC 3261 `name-addr` and `addr-spec`, RFC 3966 `tel:`, RFC 3325 (asserted identity),
//! RFC 3323 (privacy), RFC 5806 (Diversion) and RFC 7044 (History-Info).

use super::header;
use crate::model::{Caller, Country, PhoneNumber, Private};

/// Addresses read from one kind of header; a call forwarded more often has its oldest stops left out.
const MOST_ADDRESSES: usize = 10;
/// Bytes kept of a name that is no number.
const LONGEST_NAME: usize = 64;
/// What Twilio sends for a caller without a number: ANONYMOUS, RESTRICTED, BLOCKED, UNKNOWN and UNAVAILABLE on a keypad
/// (<https://help.twilio.com/articles/223179988>).
const SPELLED: [&str; 5] = ["266696687", "7378742833", "2562533", "8656696", "86282452253"];

/// Who is calling.
///
/// `from` is the From header's value, `asserted` the values of P-Asserted-Identity (given only for a trusted trunk; each
/// may hold a comma list) and `privacy` those of Privacy. A caller who asked for privacy by either header is
/// [`Caller::Anonymous`] whatever the trunk asserts. Else the first number asserted, else whatever else is asserted,
/// else From.
pub fn caller(from: &str, asserted: &[&str], privacy: &[&str], country: Country) -> Caller {
    let from = Address::first(from);
    if wants_privacy(privacy) || from.as_ref().is_some_and(Address::is_anonymous) {
        return Caller::Anonymous;
    }
    let asserted: Vec<Address> = addresses(asserted).into_iter().filter(|a| !a.is_anonymous()).collect();
    if let Some(number) = asserted.iter().find_map(|address| address.number(country)) {
        return Caller::Number(number);
    }
    let Some(address) = asserted.into_iter().next().or(from) else { return Caller::Anonymous };
    match address.number(country) {
        Some(number) => Caller::Number(number),
        None => Caller::Other(Private::new(address.name())),
    }
}

/// The number that was dialled: the request's URI names it, or (on trunks that send to the registered contact) To does.
pub fn dialled(request_uri: &str, to: &str, country: Country) -> Option<PhoneNumber> {
    [request_uri, to].into_iter().filter_map(Address::first).find_map(|address| address.number(country))
}

/// The numbers or names that the call was diverted from, last first.
///
/// Diversion is in that order already. History-Info runs the other way and ends with the target that the call has
/// now, which is no diversion. A stop that both headers name is listed once. At most ten.
pub fn diversions(diversion: &[&str], history_info: &[&str]) -> Vec<Private<String>> {
    let mut history = addresses(history_info);
    history.pop();
    let mut names: Vec<String> = Vec::new();
    for address in addresses(diversion).into_iter().chain(history.into_iter().rev()) {
        let name = address.name();
        if !name.is_empty() && !names.contains(&name) {
            names.push(name);
        }
    }
    names.truncate(MOST_ADDRESSES);
    names.into_iter().map(Private::new).collect()
}

/// Whether any Privacy value asks that the caller not be named (RFC 3323 section 4.2, RFC 3325 section 9.3).
fn wants_privacy(values: &[&str]) -> bool {
    values
        .iter()
        .flat_map(|value| value.split([';', ',']))
        .any(|token| ["id", "user", "header"].iter().any(|asks| token.trim().eq_ignore_ascii_case(asks)))
}

/// One address of a header.
#[derive(Debug, PartialEq, Eq)]
struct Address {
    display: String,
    user: String,
    host: String,
    /// `phone-context` of a local `tel:` number.
    context: Option<String>,
}

fn addresses(values: &[&str]) -> Vec<Address> {
    values.iter().flat_map(|value| header::list(value)).filter_map(Address::parse).take(MOST_ADDRESSES).collect()
}

impl Address {
    /// The address of a header that holds one; what follows a comma is none of it.
    fn first(value: &str) -> Option<Address> {
        header::list(value).find_map(Address::parse)
    }

    fn parse(text: &str) -> Option<Address> {
        let (display, uri) = header::name_and_uri(text);
        let (scheme, rest) = uri.split_once(':')?;
        let rest = rest.split('?').next().unwrap_or_default();
        let (user, host) = match scheme.trim().to_ascii_lowercase().as_str() {
            "tel" => (rest, ""),
            "sip" | "sips" => match rest.rsplit_once('@') {
                Some((user, host)) => (user.split(':').next().unwrap_or_default(), host),
                None => ("", rest),
            },
            _ => return None,
        };
        let mut parameters = user.split(';');
        let user = percent_decoded(parameters.next().unwrap_or_default().trim());
        let context = parameters.find_map(|parameter| {
            let (name, value) = parameter.split_once('=')?;
            name.trim().eq_ignore_ascii_case("phone-context").then(|| percent_decoded(value.trim()))
        });
        let host = host.split([';', '>']).next().unwrap_or_default();
        Some(Address { display, user, host: host.trim().to_ascii_lowercase(), context })
    }

    fn is_anonymous(&self) -> bool {
        let says_so = |name: &str| {
            ["anonymous", "restricted", "unavailable", "unknown", "private", "withheld"]
                .iter()
                .any(|word| name.trim().eq_ignore_ascii_case(word))
        };
        let host = self.host.split(':').next().unwrap_or_default();
        self.user.is_empty()
            || says_so(&self.user)
            || self.display.trim().eq_ignore_ascii_case("anonymous")
            || host == "anonymous.invalid"
            || SPELLED.contains(&self.user.trim_start_matches('+'))
    }

    /// The user as a telephone number; a SIP user of letters is none even where a keypad could spell it.
    fn number(&self, country: Country) -> Option<PhoneNumber> {
        let user = self.user.as_str();
        if !user.chars().all(|c| c.is_ascii_digit() || "+-.() ".contains(c)) {
            return None;
        }
        if let Some(context) = self.context.as_deref().filter(|context| context.starts_with('+') && !user.contains('+'))
            && let Ok(number) = PhoneNumber::parse(&format!("{context}{user}"), country)
        {
            return Some(number);
        }
        PhoneNumber::parse(user, country).ok().or_else(|| {
            // E.164 without its plus, as many trunks send it.
            let digits = user.bytes().filter(u8::is_ascii_digit).count();
            let bare = (11..=15).contains(&digits) && !user.contains('+') && !user.starts_with('0');
            if bare { PhoneNumber::parse(&format!("+{user}"), country).ok() } else { None }
        })
    }

    /// The user, or where there is none the host, cut to what a record can hold.
    fn name(&self) -> String {
        let name = if self.user.is_empty() { &self.host } else { &self.user };
        let mut kept = String::new();
        for c in name.chars().filter(|c| !c.is_control()) {
            if kept.len() + c.len_utf8() > LONGEST_NAME {
                break;
            }
            kept.push(c);
        }
        kept
    }
}

/// `%2B` → `+`; what is no escape stays as it is.
fn percent_decoded(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        let escape = (byte == b'%').then(|| tail.get(..2)).flatten().and_then(|hex| {
            let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
            Some(digit(hex.first()?)? * 16 + digit(hex.get(1)?)?)
        });
        match escape {
            Some(decoded) => {
                out.push(decoded);
                rest = tail.get(2..).unwrap_or_default();
            }
            None => {
                out.push(byte);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn us() -> Country {
        "US".parse().unwrap()
    }

    fn from(header: &str) -> String {
        caller(header, &[], &[], us()).as_str().to_owned()
    }

    #[test]
    fn from_is_read_in_every_form_that_trunks_write() {
        for header in [
            "<sip:+12125550142@carrier.example>;tag=1",
            "sip:+12125550142@carrier.example;tag=1",
            "\"Jo \\\"J\\\" Doe\" <sip:+12125550142@10.0.0.1:5060;user=phone>;tag=x",
            "\"Doe, Jo <sip:+16462530100@evil>\" <sip:+12125550142@h>;tag=x",
            "Jo Doe <tel:+1-212-555-0142>;tag=2",
            "tel:+12125550142;tag=2",
            "<sip:%2B12125550142@h>",
            "<sip:12125550142@h>",
            "<sips:+12125550142;isub=1:secret@[2001:db8::1]:5061>",
            "<SIP:+1(212)555-0142@h>",
            "<sip:+12125550142;phone-context=+1@h;user=phone>",
            "<tel:5550142;phone-context=+1212>",
            "\"unclosed <sip:+12125550142@h>",
        ] {
            assert_eq!(from(header), "+12125550142", "{header}");
        }
    }

    #[test]
    fn anonymous_in_every_form() {
        for header in [
            "\"Anonymous\" <sip:anonymous@anonymous.invalid>;tag=1",
            "Anonymous <sip:c8oqz84zk7z@privacy.org>;tag=1",
            "<sip:Restricted@carrier.example>",
            "<sip:carrier.example>",
            "<sip:+266696687@pstn.twilio.example>",
            "\"x\" <sip:unavailable@h>",
            "",
            "nonsense",
        ] {
            assert_eq!(caller(header, &[], &[], us()), Caller::Anonymous, "{header}");
        }
        for privacy in ["id", "ID", "none;id", "critical; user", "header,critical"] {
            let said = caller("<sip:+12125550142@h>", &["<sip:+12125550142@h>"], &[privacy], us());
            assert_eq!(said, Caller::Anonymous, "{privacy}");
        }
        assert_eq!(caller("<sip:+12125550142@h>", &[], &["none", "session"], us()).as_str(), "+12125550142");
        // The caller withheld the number; the carrier still knows it. It is not ours to use.
        let withheld = caller("<sip:anonymous@anonymous.invalid>", &["<tel:+12125550142>"], &[], us());
        assert_eq!(withheld, Caller::Anonymous);
    }

    #[test]
    fn the_asserted_identity_goes_before_from() {
        let asserted = |values: &[&str]| caller("<sip:+16462530100@h>", values, &[], us()).as_str().to_owned();
        assert_eq!(asserted(&["\"Cullen, <J>\" <sip:jo@h>, <tel:+12125550142>"]), "+12125550142");
        assert_eq!(asserted(&["<sip:jo@h>", "tel:+12125550142"]), "+12125550142");
        assert_eq!(asserted(&["<sip:jo@h>"]), "jo");
        assert_eq!(asserted(&["<sip:anonymous@anonymous.invalid>"]), "+16462530100");
        assert_eq!(asserted(&[""]), "+16462530100");
    }

    #[test]
    fn what_is_no_number_keeps_its_name_within_bounds() {
        assert_eq!(from("<sip:201@10.0.0.20>"), "201");
        assert_eq!(from("<sip:flowers@h>"), "flowers");
        assert_eq!(from(&format!("<sip:{}@h>", "ä".repeat(500))).len(), LONGEST_NAME);
    }

    #[test]
    fn the_number_dialled_is_in_the_request_or_in_to() {
        let dialled = |request: &str, to: &str| dialled(request, to, us()).map(String::from);
        assert_eq!(dialled("sip:+12125550100@us", "<sip:+16462530100@h>").as_deref(), Some("+12125550100"));
        assert_eq!(dialled("sip:clinic@192.0.2.1:5060", "<sip:6462530100@h>").as_deref(), Some("+16462530100"));
        assert_eq!(dialled("tel:+12125550100", "").as_deref(), Some("+12125550100"));
        assert_eq!(dialled("sip:192.0.2.1", "<sip:clinic@h>"), None);
    }

    #[test]
    fn diversions_are_listed_last_first_and_once() {
        let names =
            |d: &[&str], h: &[&str]| -> Vec<String> { diversions(d, h).into_iter().map(Private::into_inner).collect() };
        let diversion =
            "\"Desk, <2>\" <sip:+12125550102@h>;reason=no-answer, <sip:+12125550101@h>;reason=unconditional";
        assert_eq!(names(&[diversion], &[]), ["+12125550102", "+12125550101"]);
        let history = "<sip:+12125550101@h>;index=1, <sip:+12125550102@h?Reason=SIP%3Bcause%3D302>;index=1.1, \
                       <sip:+12125550100@h>;index=1.1.1";
        assert_eq!(names(&[], &[history]), ["+12125550102", "+12125550101"]);
        assert_eq!(names(&[diversion], &[history]).len(), 2);
        assert!(names(&[], &["<sip:+12125550100@h>;index=1"]).is_empty());
        let many = (0..200).map(|n| format!("<sip:{n}@h>")).collect::<Vec<_>>().join(",");
        assert_eq!(names(&[&many], &[]).len(), MOST_ADDRESSES);
    }

    proptest! {
        #[test]
        fn nothing_panics(text in "\\PC{0,80}", other in "[\"<>,;:@%\\\\a-c0-9+?= ]{0,60}") {
            for value in [text.as_str(), other.as_str()] {
                caller(value, &[value], &[value], us());
                dialled(value, value, us());
                prop_assert!(diversions(&[value], &[value]).len() <= MOST_ADDRESSES);
                header::uri(value);
            }
        }

        #[test]
        fn any_display_name_may_stand_before_the_address(name in "[^\"\\\\\\p{C}]{0,30}") {
            prop_assume!(!name.trim().eq_ignore_ascii_case("anonymous"));
            let read = from(&format!("\"{name}\" <sip:+12125550142@h>;tag=1"));
            prop_assert_eq!(read, "+12125550142");
        }
    }
}
