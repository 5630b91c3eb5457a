//! `[[extension]]` and `[phones]`: the clinic's own phones.

use std::time::Duration;

use super::file::{Around, SRTP};
use super::{Extension, Phones};
use crate::model::extension_name;
use crate::model::toml_file::{Table, Value};

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

/// Every `[[extension]]`, and `[phones]`.
pub(super) fn read(root: &Table<'_>, around: &Around<'_>) -> (Vec<Extension>, Phones) {
    let mut phones = Phones { emergency: vec![], parked_for: PARKED_FOR };
    let mut written = None;
    if let Some(table) = root.get("phones").and_then(|value| value.table()) {
        written = table.get("emergency").map(|value| value.one_or_more().iter().filter_map(short_number).collect());
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
    let may_call = table.get("may_call").map(|value| value.one_or_more().iter().filter_map(prefix).collect());
    let contacts = table.get("contacts").and_then(|value| value.integer(1..=20)).unwrap_or(CONTACTS);
    let srtp = table.get("srtp").and_then(|value| value.choice(&SRTP));
    table.finish();
    let spelled = spelled?;
    let extension = Extension {
        shown_as: shown_as.unwrap_or_else(|| spelled.clone()),
        name: spelled,
        password: password?,
        may_call: may_call.unwrap_or_default(),
        contacts: usize::try_from(contacts).unwrap_or(1),
        srtp: srtp.unwrap_or_default(),
    };
    Some((extension, name?))
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
        let number = |text| PhoneNumber::e164(text).unwrap();
        assert!(desk.may_call(&number("+12125550100")) && !desk.may_call(&number("+16465550100")));
        assert!(!lab.may_call(&number("+12125550100")), "nothing by default");
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
