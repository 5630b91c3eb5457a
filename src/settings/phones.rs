//! `[[extension]]` and `[phones]`: the clinic's own phones, and whom they may call.

use std::time::Duration;

use super::file::{Around, SRTP};
use super::{Extension, Phones, Settings};
use crate::model::toml_file::{Table, Value};
use crate::model::{Phone, PhoneNumber, extension_name};

/// Devices of one extension, unless the file says otherwise.
const CONTACTS: i64 = 3;

/// Emergency numbers by country (ITU-T E.129 national numbering plans). `112` holds everywhere in the European Union
/// beside the country's own, and where none is listed.
const EMERGENCY: [(&str, &[&str]); 22] = [
    ("US", &["911", "933"]), // 933 reads one's registered address back
    ("CA", &["911"]),
    ("GB", &["999", "112"]),
    ("IE", &["112", "999"]),
    ("DE", &["112", "110"]),
    ("AT", &["112", "122", "133", "144"]),
    ("BE", &["112", "100", "101"]),
    ("FR", &["112", "15", "17", "18", "114"]),
    ("IT", &["112", "113", "115", "118"]),
    ("ES", &["112", "061", "080", "091", "092"]),
    ("GR", &["112", "100", "166", "199"]),
    ("PL", &["112", "997", "998", "999"]),
    ("CZ", &["112", "150", "155", "158"]),
    ("SK", &["112", "150", "155", "158"]),
    ("HU", &["112", "104", "105", "107"]),
    ("SI", &["112", "113"]),
    ("HR", &["112", "192", "193", "194"]),
    ("LU", &["112", "113"]),
    ("MT", &["112"]),
    ("CH", &["112", "117", "118", "144"]),
    ("AU", &["000", "112"]),
    ("NZ", &["111"]),
];

/// How long a call stays parked: unless the file says otherwise, and what it may say.
const PARKED_FOR: Duration = Duration::from_secs(120);
const PARKED_AT_LEAST: Duration = Duration::from_secs(1);
const PARKED_AT_MOST: Duration = Duration::from_secs(3_600);

/// Whether a number begins as one of `prefixes` says.
pub fn begins(prefixes: &[String], number: &PhoneNumber) -> bool {
    // An empty prefix would allow the world, which nobody writes on purpose: `+` says that.
    prefixes.iter().any(|prefix| !prefix.is_empty() && number.as_str().starts_with(prefix))
}

impl Settings {
    /// Whether a click in the inbox may have `phone` call this number: what the phone itself may dial, by its
    /// `[[extension]]`; from one of another telephone system what `[phones] pbx_may_call` says. Never the emergency
    /// services: a click is no place to say where help is needed.
    pub fn may_click_to_call(&self, phone: &Phone, number: &PhoneNumber) -> bool {
        let may_call = match phone {
            Phone::Extension(name) => self.extensions.iter().find(|known| known.name == *name).map(|own| &own.may_call),
            Phone::Uri(_) => Some(&self.phones.pbx_may_call),
            Phone::Number(_) | Phone::Emergency(_) => None,
        };
        !self.phones.is_emergency(number) && may_call.is_some_and(|prefixes| begins(prefixes, number))
    }
}

impl Phones {
    /// Whether this is an emergency number behind a country's code, of one to three digits (ITU-T E.164).
    fn is_emergency(&self, number: &PhoneNumber) -> bool {
        let code = |digits: &String| number.as_str().strip_prefix('+')?.strip_suffix(digits.as_str());
        self.emergency.iter().filter_map(code).any(|code| (1..=3).contains(&code.len()))
    }
}

/// Every `[[extension]]`, and `[phones]`.
pub(super) fn read(root: &Table<'_>, around: &Around<'_>) -> (Vec<Extension>, Phones) {
    let mut phones = Phones { emergency: vec![], pbx_may_call: vec![], parked_for: PARKED_FOR };
    let mut written = None;
    if let Some(table) = root.get("phones").and_then(|value| value.table()) {
        written = table.get("emergency").map(|value| value.one_or_more().iter().filter_map(short_number).collect());
        phones.pbx_may_call = prefixes(&table, "pbx_may_call");
        let parked_for = table.get("parked_for").and_then(|value| value.duration(PARKED_AT_LEAST..=PARKED_AT_MOST));
        phones.parked_for = parked_for.unwrap_or(PARKED_FOR);
        table.finish();
    }
    phones.emergency = written.unwrap_or_else(|| usual(around));
    let mut extensions: Vec<Extension> = Vec::new();
    for entry in root.get("extension").and_then(|value| value.list()).unwrap_or_default() {
        let Some(table) = entry.table() else { continue };
        let Some((extension, place)) = extension(&table, around) else { continue };
        if extensions.iter().any(|other| other.name.eq_ignore_ascii_case(&extension.name)) {
            place.error(format!("two extensions are named \"{}\"", extension.name), "give each a name of its own");
        }
        if phones.emergency.contains(&extension.name) {
            place.error(
                format!("\"{}\" is an emergency number", extension.name),
                "give the extension another name, or say [phones] emergency = […]",
            );
        }
        extensions.push(extension);
    }
    (extensions, phones)
}

fn usual(around: &Around<'_>) -> Vec<String> {
    let code = around.country.as_ref().map_or("", |country| country.code());
    let known = EMERGENCY.iter().find(|(country, _)| *country == code);
    known.map_or(&["112"][..], |(_, numbers)| numbers).iter().map(|number| (*number).to_owned()).collect()
}

fn short_number(value: &Value<'_>) -> Option<String> {
    let read = |text: &str| {
        let fits = (2..=6).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        if fits { Ok(text.to_owned()) } else { Err(format!("\"{text}\" is no emergency number")) }
    };
    value.parse_with(read, "write the digits that are dialled, such as \"911\"")
}

fn extension<'r>(table: &Table<'r>, around: &Around<'_>) -> Option<(Extension, Value<'r>)> {
    const NAME: &str = "write letters, digits, - and _, sixteen at most, such as name = \"201\"";
    let name = table.require("name", NAME);
    let read = |text: &str| {
        if extension_name(text) { Ok(text.to_owned()) } else { Err(format!("\"{text}\" cannot be dialled")) }
    };
    let spelled = name.as_ref().and_then(|value| value.parse_with(read, NAME));
    let shown_as = table.get("shown_as").and_then(|value| value.words().map(str::to_owned));
    let password = table.require("password", "write password = { file = \"201.password\" }");
    let password = password.and_then(|value| {
        let password = around.secrets.read(&value)?;
        // What a scanner tries first; sixteen random characters are out of its reach.
        if password.expose().chars().count() < 8
            || spelled.as_ref().is_some_and(|name| password.expose().contains(name.as_str()))
        {
            value.error("the password can be guessed", "put sixteen random characters into its place");
            return None;
        }
        Some(password)
    });
    let may_call = prefixes(table, "may_call");
    let contacts = table.get("contacts").and_then(|value| value.integer(1..=20)).unwrap_or(CONTACTS);
    let srtp = table.get("srtp").and_then(|value| value.choice(&SRTP));
    table.finish();
    let spelled = spelled?;
    let extension = Extension {
        shown_as: shown_as.unwrap_or_else(|| spelled.clone()),
        name: spelled,
        password: password?,
        may_call,
        contacts: usize::try_from(contacts).unwrap_or(1),
        srtp: srtp.unwrap_or_default(),
    };
    Some((extension, name?))
}

/// What numbers that may be dialled begin with; none where the file does not say.
fn prefixes(table: &Table<'_>, key: &'static str) -> Vec<String> {
    table.get(key).map(|value| value.one_or_more().iter().filter_map(prefix).collect()).unwrap_or_default()
}

/// What a number that may be dialled begins with, in E.164.
fn prefix(value: &Value<'_>) -> Option<String> {
    let read = |text: &str| {
        let digits = text.strip_prefix('+').unwrap_or_default();
        let fits = (1..=15).contains(&digits.len())
            && digits.bytes().all(|byte| byte.is_ascii_digit())
            && !digits.starts_with('0');
        if fits { Ok(text.to_owned()) } else { Err(format!("\"{text}\" is no beginning of a number")) }
    };
    value.parse_with(
        read,
        "write the country's code and what follows, such as \"+1212\"; \"+1\" is all of North America",
    )
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::{SecretPlaces, Settings};
    use crate::model::{PhoneNumber, Problems};

    fn settings(country: &str, tables: &str) -> Result<Settings, Problems> {
        let text = format!(
            "{tables}\n[clinic]\nname = \"A\"\ntimezone = \"UTC\"\ncountry = \"{country}\"\n\
             [sms]\ngateway = \"sandbox\"\nfrom = \"+12125550100\"\n"
        );
        let environment = |name: &str| (name == "P").then(|| "swordfish-17".to_owned());
        let secrets = SecretPlaces { folder: "/nowhere".into(), credentials: None, environment };
        Settings::parse(Path::new("t.toml"), &text, &secrets)
    }

    #[test]
    fn an_extension_is_read_with_its_defaults() {
        let full = "[[extension]]\nname = \"201\"\nshown_as = \"Front desk\"\npassword = { env = \"P\" }\n\
                    may_call = [\"+1212\"]\ncontacts = 2\n[[extension]]\nname = \"lab\"\npassword = { env = \"P\" }\n";
        let settings = settings("US", full).unwrap();
        let [desk, lab] = &settings.extensions[..] else { panic!("two extensions") };
        assert_eq!((desk.name.as_str(), desk.shown_as.as_str(), desk.contacts), ("201", "Front desk", 2));
        assert_eq!(desk.password.expose(), "swordfish-17");
        assert_eq!((lab.shown_as.as_str(), lab.contacts), ("lab", 3));
        assert_eq!((&desk.may_call[..], &lab.may_call[..]), (&["+1212".to_owned()][..], &[][..]), "nothing by default");
    }

    #[test]
    fn a_click_calls_whom_the_phone_may_call_and_never_the_emergency_services() {
        let extension = "[[extension]]\nname = \"201\"\npassword = { env = \"P\" }\nmay_call = [\"+1212\", \"+4\"]\n";
        let phones = "[phones]\nemergency = [\"112\", \"116117\"]\n";
        let may = |tables: &str, phone: &str, number: &str| {
            let settings = settings("US", tables).unwrap();
            settings.may_click_to_call(&phone.parse().unwrap(), &PhoneNumber::e164(number).unwrap())
        };
        let (own, other, pbx) = ("extension:201", "extension:202", "sip:reception@10.0.0.20");
        let bound = &format!("{extension}{phones}pbx_may_call = [\"+1646\", \"+4\"]\n");
        for (phone, number, expected) in [
            (own, "+12125550142", true),
            (own, "+16465550142", false),
            (other, "+12125550142", false),
            (pbx, "+16465550142", true),
            (pbx, "+12125550142", false),
            ("+16465550199", "+16465550142", false),
            // Help is not called by a click, whatever begins as it may.
            (own, "+49116117", false),
            (pbx, "+49116117", false),
            (pbx, "+4930116117", true),
        ] {
            assert_eq!(may(bound, phone, number), expected, "{phone} {number}");
        }
        assert!(!may(&format!("{extension}{phones}"), pbx, "+16465550142"), "nothing by default");
        let wrong = settings("US", "[phones]\npbx_may_call = [\"646\"]\n").unwrap_err().to_string();
        assert!(wrong.contains("\"646\" is no beginning of a number"), "{wrong}");
    }

    #[test]
    fn names_are_used_once_and_never_those_of_an_emergency() {
        let two = |first: &str, second: &str| {
            let one = |name: &str| format!("[[extension]]\nname = \"{name}\"\npassword = {{ env = \"P\" }}\n");
            settings("US", &(one(first) + &one(second))).unwrap_err().to_string()
        };
        let problems = two("desk", "Desk");
        assert!(problems.contains("t.toml:5:8: error: two extensions are named \"Desk\""), "{problems}");
        assert!(two("201", "911").contains("\"911\" is an emergency number"));
    }

    #[test]
    fn emergency_numbers_are_those_of_the_country() {
        let of = |country, tables| settings(country, tables).unwrap().phones.emergency;
        assert_eq!(of("US", ""), ["911", "933"]);
        assert_eq!(of("CA", ""), ["911"]);
        assert_eq!(of("GB", ""), ["999", "112"]);
        assert_eq!(of("DE", ""), ["112", "110"]);
        assert_eq!(of("SE", ""), ["112"]);
        assert_eq!(of("US", "[phones]\nemergency = [\"911\", \"988\"]"), ["911", "988"]);
    }
}
