//! Whom a text is written to: in which language, and by which name.

use crate::conversation::snippets::{self, Known};
use crate::conversation::templates::{TemplateError, Templates, Values};
use crate::model::{Language, PhoneNumber, ThreadId};
use crate::store::{Connection, StoreError, people, threads};

/// Whoever is behind a number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Addressee {
    /// The language of the thread, or else theirs.
    pub language: Option<Language>,
    /// What is known of them.
    pub known: Known,
}

/// Of a thread; none if it is not there.
pub fn of_thread(conn: &Connection, thread: ThreadId) -> Result<Option<Addressee>, StoreError> {
    let Some(thread) = threads::find(conn, thread)? else { return Ok(None) };
    let of_number = people_of(conn, &thread.number)?;
    Ok(Some(Addressee { language: thread.language.or(of_number.language), ..of_number }))
}

/// Of a number, whose newest thread says the language.
pub fn of_number(conn: &Connection, number: &PhoneNumber) -> Result<Addressee, StoreError> {
    match threads::of_number(conn, number, 1)?.first() {
        Some(thread) => Ok(of_thread(conn, thread.id)?.unwrap_or_default()),
        None => people_of(conn, number),
    }
}

/// The language is known where all of them share one.
fn people_of(conn: &Connection, number: &PhoneNumber) -> Result<Addressee, StoreError> {
    let people = people::of_number(conn, number)?;
    let mut languages = people.iter().map(|person| person.language.clone());
    let language = languages.next().flatten().filter(|first| languages.all(|other| other.as_ref() == Some(first)));
    Ok(Addressee { language, known: Known { people: people.into_iter().map(|person| person.name).collect() } })
}

impl Addressee {
    /// A template for them, in their language or else the `clinic`'s.
    ///
    /// # Errors
    /// There is no such template, or it needs what is not known of them.
    pub fn fill(
        &self,
        templates: &Templates,
        template: &str,
        values: Values,
        clinic: &Language,
    ) -> Result<String, TemplateError> {
        let language = self.language.as_ref().unwrap_or(clinic);
        templates.render(template, language, &snippets::values(values, &self.known))
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::model::PersonId;
    use crate::store::people::Contact;
    use crate::store::tests::{in_memory, tx};

    #[test]
    fn a_language_is_known_where_all_behind_a_number_share_it() {
        let conn = in_memory();
        let number = PhoneNumber::e164("+16462530142").unwrap();
        let language = || of_number(&conn, &number).unwrap().language.map(|language| language.to_string());
        let add = |name: &str, language: Option<&str>| {
            let at = Timestamp::UNIX_EPOCH;
            let contact = Contact {
                id: PersonId::new(at),
                number: number.clone(),
                name: name.into(),
                on_behalf_of: None,
                language: language.map(|tag| Language::parse(tag).unwrap()),
                note: String::new(),
            };
            people::add(&tx(&conn), &contact, "ana", at).unwrap();
        };
        assert_eq!(language(), None);
        add("Rosa", Some("es"));
        assert_eq!(language().as_deref(), Some("es"));
        add("Luis", Some("es"));
        assert_eq!(language().as_deref(), Some("es"));
        add("Ben", None);
        assert_eq!(language(), None);
    }
}
