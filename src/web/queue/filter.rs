//! A filter as an address names it. Tags and reasons are words that people typed, a patient's name or illness among them,
//! and an address stays in histories and logs: there each has a name that says nothing to anybody else.

use ring::hmac;

use crate::store::labels::Labels;
use crate::store::queue::Filter;

/// Bytes of a name: enough that no two of a page's choices share one.
const BYTES: usize = 8;

/// What an address asks for.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The name of a tag.
    pub tag: Option<&'a str>,
    /// The name of a reason.
    pub reason: Option<&'a str>,
    /// A team, by its name in the clinic's file.
    pub team: Option<&'a str>,
}

/// What `word` is called in this session's addresses. Without the session's secret it cannot be guessed at word by word;
/// in another session it is called something else.
fn name_of(session: &str, kind: &str, word: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, session.as_bytes());
    let tag = hmac::sign(&key, format!("{kind}\0{word}").as_bytes());
    tag.as_ref().iter().take(BYTES).map(|byte| format!("{byte:02x}")).collect()
}

/// The filter that is asked for among what there is to choose; true beside it if a word was asked for that is not in use,
/// or not called so: by an old address, or because the last thread with it is done.
pub fn chosen(session: &str, asked: Asked<'_>, choices: &Labels) -> (Filter, bool) {
    let find = |kind: &str, name: Option<&str>, words: &[String]| {
        let name = name.filter(|name| !name.is_empty())?;
        Some(words.iter().find(|word| name_of(session, kind, word) == name).cloned())
    };
    let (tag, reason) = (find("tag", asked.tag, &choices.tags), find("reason", asked.reason, &choices.reasons));
    let gone = matches!((&tag, &reason), (Some(None), _) | (_, Some(None)));
    let team = asked.team.filter(|team| !team.is_empty()).map(str::to_owned);
    (Filter { tag: tag.flatten(), reason: reason.flatten(), team }, gone)
}

/// What follows `/?view=…` to ask for `filter` in this session.
pub fn query(session: &str, filter: &Filter) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    for (kind, word) in [("tag", &filter.tag), ("reason", &filter.reason)] {
        if let Some(word) = word {
            query.append_pair(kind, &name_of(session, kind, word));
        }
    }
    if let Some(team) = &filter.team {
        query.append_pair("team", team);
    }
    query.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choices() -> Labels {
        Labels { tags: vec!["Jane Doe".into(), "hiv".into()], reasons: vec!["hiv".into()], more: false }
    }

    fn read(session: &str, query: &str) -> (Filter, bool) {
        let fields: Vec<(String, String)> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let field = |name: &str| fields.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        let asked = Asked { tag: field("tag"), reason: field("reason"), team: field("team") };
        chosen(session, asked, &choices())
    }

    #[test]
    fn an_address_leads_back_to_the_words_and_says_none_of_them() {
        let filter = Filter { tag: Some("hiv".into()), reason: Some("hiv".into()), team: Some("front_desk".into()) };
        let asked = query("s", &filter);
        assert_eq!(read("s", &asked), (filter.clone(), false));
        assert!(!asked.contains("hiv") && asked.contains("team=front_desk"), "{asked}");
        let only = |tag: &str| query("s", &Filter { tag: Some(tag.into()), ..Filter::default() });
        assert!(only("hiv") != only("Jane Doe") && !asked.contains(&only("hiv").replace("tag", "reason")));
    }

    #[test]
    fn what_is_called_otherwise_or_not_in_use_asks_for_nothing() {
        let filter = Filter { tag: Some("hiv".into()), ..Filter::default() };
        assert_eq!(read("another", &query("s", &filter)), (Filter::default(), true));
        assert_eq!(read("s", "tag=hiv&reason="), (Filter::default(), true), "an address of before");
        let gone = Filter { tag: Some("billing".into()), team: Some("front_desk".into()), ..Filter::default() };
        assert_eq!(read("s", &query("s", &gone)), (Filter { tag: None, ..gone }, true));
        assert_eq!(read("s", "tag=&reason=&team="), (Filter::default(), false));
    }
}
