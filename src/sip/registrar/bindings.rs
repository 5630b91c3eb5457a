//! Which device of which extension is where: RFC 3261 section 10.3, step 7, without I/O. In memory alone: after a
//! restart every phone registers again by itself.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use super::asked::{Asked, What};
use crate::clock::Now;

/// The shortest registration, in seconds; a shorter one costs more than it is of use.
pub(super) const MIN_EXPIRES: u32 = 60;
/// The longest: a phone whose address has changed in silence is unreachable for so long at most.
const MAX_EXPIRES: u32 = 3_600;

/// A device.
pub(super) struct Binding<F> {
    /// Ours; another one when the way to it changes.
    pub id: u64,
    pub uri: String,
    instance: Option<String>,
    call_id: String,
    cseq: u32,
    /// The way to it.
    pub flow: F,
    /// Where it registered from.
    pub source: SocketAddr,
    pub user_agent: String,
    pub since: Now,
    pub until: Now,
}

/// Whom a REGISTER is from.
pub(super) struct Registrant<'a> {
    pub extension: &'a str,
    /// Devices that it may have.
    pub most: usize,
    pub source: SocketAddr,
    pub user_agent: &'a str,
}

/// Why a REGISTER changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// 423: it wants to be registered for less than [`MIN_EXPIRES`].
    Brief,
    /// 500: a later one has been served (RFC 3261 section 10.3, step 7).
    OutOfOrder,
    /// 403: more contacts than the extension may have.
    TooMany,
}

/// The devices of all extensions; `F` is a way to one.
pub(super) struct Bindings<F> {
    of: BTreeMap<String, Vec<Binding<F>>>,
    last_id: u64,
}

/// What a REGISTER changed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Changed {
    /// Devices that are new, or reached by another way.
    pub added: Vec<u64>,
    /// Devices that are gone.
    pub removed: usize,
}

impl<F> Default for Bindings<F> {
    fn default() -> Self {
        Bindings { of: BTreeMap::new(), last_id: 0 }
    }
}

impl<F> Bindings<F> {
    /// Does what an extension's REGISTER asks, all of it or nothing. At the most devices the one that has not been heard of
    /// for longest makes room: a phone that was replaced must not keep its successor out. `way` makes the way to a new
    /// device, and `same` says whether a known one's still leads to where the REGISTER came from.
    pub(super) fn update(
        &mut self,
        asked: Asked,
        from: &Registrant<'_>,
        now: Now,
        mut way: impl FnMut() -> F,
        same: impl Fn(&Binding<F>) -> bool,
    ) -> Result<Changed, Refusal> {
        let known = self.of.entry(from.extension.to_owned()).or_default();
        known.retain(|binding| binding.until.mono > now.mono);
        let Asked { call_id, cseq, what } = asked;
        let in_order = |binding: &Binding<F>| binding.call_id != call_id || binding.cseq < cseq;
        let mut changed = Changed::default();
        let contacts = match what {
            What::Query => vec![],
            What::Nobody if known.iter().all(in_order) => {
                changed.removed = known.len();
                known.clear();
                vec![]
            }
            What::Nobody => return Err(Refusal::OutOfOrder),
            What::Contacts(contacts) => contacts,
        };
        if contacts.iter().filter(|contact| contact.expires != Some(0)).count() > from.most {
            return Err(Refusal::TooMany);
        }
        let is = |binding: &Binding<F>, contact: &super::asked::Contact| match (&binding.instance, &contact.instance) {
            (Some(a), Some(b)) => a == b,
            _ => binding.uri == contact.uri,
        };
        for contact in &contacts {
            if contact.expires.is_some_and(|expires| expires > 0 && expires < MIN_EXPIRES) {
                return Err(Refusal::Brief);
            }
            if known.iter().any(|binding| is(binding, contact) && !in_order(binding)) {
                return Err(Refusal::OutOfOrder);
            }
        }
        for contact in contacts {
            let at = known.iter().position(|binding| is(binding, &contact));
            let expires = contact.expires.unwrap_or(MAX_EXPIRES).min(MAX_EXPIRES);
            if expires == 0 {
                changed.removed += usize::from(at.map(|at| known.remove(at)).is_some());
                continue;
            }
            let before = at.map(|at| known.remove(at));
            let since = before.as_ref().map_or(now, |binding| binding.since);
            let (id, flow) = match before {
                Some(binding) if same(&binding) => (binding.id, binding.flow),
                Some(_) | None => {
                    self.last_id += 1;
                    changed.added.push(self.last_id);
                    (self.last_id, way())
                }
            };
            // Whoever was heard of last stands last.
            known.push(Binding {
                id,
                uri: contact.uri,
                instance: contact.instance,
                call_id: call_id.clone(),
                cseq,
                flow,
                source: from.source,
                user_agent: from.user_agent.to_owned(),
                since,
                until: now.later(Duration::from_secs(expires.into())),
            });
        }
        while known.len() > from.most {
            known.remove(0);
            changed.removed += 1;
        }
        if known.is_empty() {
            self.of.remove(from.extension);
        }
        Ok(changed)
    }

    /// An extension's devices.
    pub(super) fn of(&self, extension: &str, now: Now) -> impl Iterator<Item = &Binding<F>> {
        self.of.get(extension).into_iter().flatten().filter(move |binding| binding.until.mono > now.mono)
    }

    /// All devices, by extension.
    pub(super) fn all(&self, now: Now) -> impl Iterator<Item = (&str, &Binding<F>)> {
        self.of
            .iter()
            .flat_map(|(extension, bindings)| bindings.iter().map(move |binding| (extension.as_str(), binding)))
            .filter(move |(_, binding)| binding.until.mono > now.mono)
    }

    /// Takes devices away; says whether there were any.
    pub(super) fn retain(&mut self, keep: impl Fn(&str, &Binding<F>) -> bool) -> bool {
        let count = |of: &BTreeMap<String, Vec<Binding<F>>>| of.values().map(Vec::len).sum::<usize>();
        let before = count(&self.of);
        for (extension, bindings) in &mut self.of {
            bindings.retain(|binding| keep(extension, binding));
        }
        self.of.retain(|_, bindings| !bindings.is_empty());
        before != count(&self.of)
    }
}

#[cfg(test)]
mod tests {
    use super::super::asked::Contact;
    use super::*;

    const SOURCE: &str = "192.0.2.7:5060";

    fn at(seconds: u64) -> Now {
        Now { mono: Duration::from_secs(seconds), wall: jiff::Timestamp::UNIX_EPOCH }
    }

    fn contact(uri: &str, expires: impl Into<Option<u32>>) -> Contact {
        Contact { uri: uri.to_owned(), instance: None, expires: expires.into() }
    }

    #[derive(Default)]
    struct Box {
        bindings: Bindings<u32>,
        cseq: u32,
        ways: u32,
    }

    impl Box {
        fn register(&mut self, contacts: Vec<Contact>, seconds: u64) -> Result<Changed, Refusal> {
            self.cseq += 1;
            let asked = Asked { call_id: "c".into(), cseq: self.cseq, what: What::Contacts(contacts) };
            self.ask(asked, SOURCE, seconds)
        }

        fn ask(&mut self, asked: Asked, source: &str, seconds: u64) -> Result<Changed, Refusal> {
            let source: SocketAddr = source.parse().unwrap();
            let from = Registrant { extension: "201", most: 2, source, user_agent: "phone" };
            let ways = &mut self.ways;
            let way = || {
                *ways += 1;
                *ways
            };
            self.bindings.update(asked, &from, at(seconds), way, |binding| binding.source == source)
        }

        fn there(&self, seconds: u64) -> Vec<(&str, u32, u64)> {
            let left = |binding: &Binding<u32>| binding.until.mono.as_secs() - seconds;
            self.bindings.of("201", at(seconds)).map(|b| (b.uri.as_str(), b.flow, left(b))).collect()
        }
    }

    #[test]
    fn a_phone_registers_refreshes_and_leaves() {
        let mut box_ = Box::default();
        assert_eq!(box_.register(vec![contact("sip:a", 120)], 0), Ok(Changed { added: vec![1], removed: 0 }));
        assert_eq!(box_.there(20), [("sip:a", 1, 100)]);
        assert_eq!(box_.register(vec![contact("sip:a", None)], 60), Ok(Changed::default()), "the same way");
        assert_eq!(box_.there(60), [("sip:a", 1, 3_600)]);
        assert_eq!(box_.register(vec![contact("sip:a", 90_000)], 60).unwrap().added, [0; 0]);
        assert_eq!(box_.there(60), [("sip:a", 1, 3_600)], "capped");
        assert_eq!(box_.register(vec![contact("sip:a", 0)], 61), Ok(Changed { added: vec![], removed: 1 }));
        assert!(box_.there(61).is_empty() && box_.bindings.of.is_empty());
    }

    #[test]
    fn whoever_does_not_come_back_is_gone() {
        let mut box_ = Box::default();
        box_.register(vec![contact("sip:a", 60)], 0).unwrap();
        assert_eq!(box_.there(59).len(), 1);
        assert!(box_.there(60).is_empty() && box_.bindings.all(at(60)).next().is_none());
    }

    #[test]
    fn a_moved_phone_is_reached_by_its_new_way() {
        let mut box_ = Box::default();
        box_.register(vec![contact("sip:a", 60)], 0).unwrap();
        let again = Asked { call_id: "c".into(), cseq: 2, what: What::Contacts(vec![contact("sip:a", 60)]) };
        assert_eq!(box_.ask(again, "198.51.100.1:999", 1).unwrap().added, [2]);
        assert_eq!(box_.there(1), [("sip:a", 2, 60)]);
        let device = |uri: &str| Contact { instance: Some("i".into()), ..contact(uri, 60) };
        box_.register(vec![device("sip:b1")], 2).unwrap();
        box_.register(vec![device("sip:b2")], 3).unwrap();
        assert_eq!(box_.there(3).iter().map(|(uri, ..)| *uri).collect::<Vec<_>>(), ["sip:a", "sip:b2"]);
    }

    #[test]
    fn what_is_refused_changes_nothing() {
        let mut box_ = Box::default();
        box_.register(vec![contact("sip:a", 60)], 0).unwrap();
        assert_eq!(box_.register(vec![contact("sip:b", 60), contact("sip:a", 59)], 1), Err(Refusal::Brief));
        let three = ["sip:b", "sip:c", "sip:d"].map(|uri| contact(uri, 60)).to_vec();
        assert_eq!(box_.register(three, 1), Err(Refusal::TooMany));
        let old = |what| Asked { call_id: "c".into(), cseq: 1, what };
        assert_eq!(box_.ask(old(What::Contacts(vec![contact("sip:a", 0)])), SOURCE, 1), Err(Refusal::OutOfOrder));
        assert_eq!(box_.ask(old(What::Nobody), SOURCE, 1), Err(Refusal::OutOfOrder));
        assert_eq!(box_.there(1), [("sip:a", 1, 59)]);
        assert_eq!(box_.ask(old(What::Query), SOURCE, 1), Ok(Changed::default()));
    }

    #[test]
    fn the_oldest_device_makes_room() {
        let mut box_ = Box::default();
        for uri in ["sip:a", "sip:b", "sip:a", "sip:c"] {
            box_.register(vec![contact(uri, 60)], 0).unwrap();
        }
        assert_eq!(box_.there(0).iter().map(|(uri, ..)| *uri).collect::<Vec<_>>(), ["sip:a", "sip:c"]);
        let all = Asked { call_id: "other".into(), cseq: 1, what: What::Nobody };
        assert_eq!(box_.ask(all, SOURCE, 0), Ok(Changed { added: vec![], removed: 2 }));
        assert!(box_.there(0).is_empty());
    }
}
