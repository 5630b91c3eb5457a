//! The clinic's phones: what they are called, whose they are, and which is one's own.

use std::collections::BTreeMap;

use maud::{Markup, html};
use serde::Deserialize;

use crate::model::{Phone, PhoneNumber, StaffName};
use crate::store::{Connection, StoreError, staff};
use crate::web::person::Person;
use crate::web::problem::Problem;
use crate::web::words::{Ui, calls as words};
use crate::web::{Files, Web};

/// The phones that can be somebody's, with how they are shown: the extensions by their names, and those of another
/// telephone system that the phone tree rings by their SIP addresses.
pub fn phones(files: &Files) -> Vec<(String, String)> {
    let extensions = files.settings.extensions.iter();
    let ours = extensions.map(|known| (known.name.clone(), format!("{} · {}", known.shown_as, known.name)));
    let elsewhere = files.tree.phones().into_keys().filter_map(|phone| match phone {
        Phone::Uri(uri) => Some((uri.clone(), uri.clone())),
        Phone::Extension(_) | Phone::Number(_) | Phone::Emergency(_) => None,
    });
    ours.chain(elsewhere).collect()
}

/// The phones of the clinic to choose one's own from: each with who has it now, unless that is `whose`.
pub fn phone_choice(
    ui: Ui,
    files: &Files,
    owners: &BTreeMap<String, (StaffName, String)>,
    whose: &StaffName,
) -> Markup {
    let words = words::words(ui);
    html! {
        select #phone name="phone" {
            option value="" { (words.no_phone_chosen) }
            @for (phone, shown_as) in phones(files) {
                @let owner = owners.get(&phone);
                option value=(phone) selected[owner.is_some_and(|(name, _)| name == whose)] {
                    (shown_as)
                    @if let Some((_, shown)) = owner.filter(|(name, _)| name != whose) { " (" ((words.now_with)(shown)) ")" }
                }
            }
        }
    }
}

/// Whose the clinic's phones are: the sign-in name, and how they are shown.
pub fn owners(conn: &Connection, files: &Files) -> Result<BTreeMap<String, (StaffName, String)>, StoreError> {
    let mut owners = BTreeMap::new();
    for (phone, _) in phones(files) {
        if let Some(owner) = staff::of_extension(conn, &phone)? {
            let shown = staff::find(conn, &owner)?.map_or(owner.to_string(), |staff| staff.shown_as);
            owners.insert(phone, (owner, shown));
        }
    }
    Ok(owners)
}

/// A form that says which phone is somebody's.
#[derive(Debug, Deserialize)]
pub struct Chosen {
    #[serde(default)]
    phone: String,
}

impl Chosen {
    /// Keeps it.
    pub async fn keep(self, web: &Web, person: &Person, whose: StaffName) -> Result<(), Problem> {
        let known = phones(&(web.files)()).iter().any(|(phone, _)| *phone == self.phone);
        if !known && !self.phone.is_empty() {
            return Err(Problem::refused(words::words(person.ui).no_such_phone));
        }
        let (actor, now) = (person.name.clone(), web.clock.now().wall);
        let set = web.store.write(move |tx| {
            let phone = Some(self.phone.as_str()).filter(|phone| !phone.is_empty());
            staff::set_extension(tx, &whose, phone, actor.as_str(), now)
        });
        set.await?;
        Ok(())
    }
}

/// A phone of the clinic as people call it; `phone` as the files write it: `extension:201`.
pub fn phone_name(files: &Files, phone: &str) -> String {
    let name = phone.strip_prefix("extension:").unwrap_or(phone);
    let known = files.settings.extensions.iter().find(|extension| extension.name == name);
    match known {
        Some(extension) => extension.shown_as.clone(),
        None => name.to_owned(),
    }
}

/// The person's own phone.
///
/// # Errors
/// They have chosen none, or it is none of the clinic's any more: says what to do.
pub async fn my_phone(web: &Web, person: &Person) -> Result<Phone, Problem> {
    let words = words::words(person.ui);
    let name = person.name.clone();
    let phone = web.store.read(move |conn| staff::extension(conn, &name)).await?;
    let phone = phone.ok_or_else(|| Problem::refused(words.no_phone))?;
    if !phones(&(web.files)()).iter().any(|(known, _)| *known == phone) {
        return Err(Problem::refused(words.phone_gone));
    }
    Ok(if phone_is_address(&phone) { Phone::Uri(phone) } else { Phone::Extension(phone) })
}

/// Whether somebody's phone is kept as a SIP address: the name of an extension holds no colon.
fn phone_is_address(phone: &str) -> bool {
    phone.contains(':')
}

/// Whether a number is the clinic's own.
pub fn is_ours(files: &Files, number: &PhoneNumber) -> bool {
    let trunks = files.settings.trunks.iter().flat_map(|trunk| trunk.numbers.iter());
    trunks.chain([&files.settings.sms.from]).any(|ours| ours == number)
}
