//! What a REGISTER asks for (RFC 3261 section 10.3).

use rsipstack::sip::Request;

use crate::sip::header;
use crate::sip::message::{self, all, first};

/// Contacts read from one REGISTER.
const MOST_CONTACTS: usize = 16;
/// The longest contact that is kept, in bytes.
const LONGEST: usize = 512;

/// A REGISTER, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    pub call_id: String,
    pub cseq: u32,
    pub what: What,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// Nothing: it asks who is registered.
    Query,
    /// `Contact: *`: nobody is to be any more.
    Nobody,
    /// These are to be, or no longer.
    Contacts(Vec<Contact>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Contact {
    /// As it stands there: requests to it go out so.
    pub uri: String,
    /// Which device, however its address changes (RFC 5626 section 4.1).
    pub instance: Option<String>,
    /// For how many seconds; 0: no longer. `None`: ours to choose.
    pub expires: Option<u32>,
}

/// `None`: malformed.
pub(super) fn read(request: &Request) -> Option<Asked> {
    let seconds = |text: &str| text.trim().parse::<u32>().ok();
    let of_all = first!(request, Expires).and_then(seconds);
    let values: Vec<&str> = all!(request, Contact).flat_map(header::list).filter(|value| !value.is_empty()).collect();
    let what = match values[..] {
        [] => What::Query,
        ["*"] if of_all == Some(0) => What::Nobody,
        _ if values.len() > MOST_CONTACTS || values.contains(&"*") => return None,
        _ => What::Contacts(
            values
                .into_iter()
                .map(|value| {
                    let uri = header::uri(value).filter(|uri| uri.len() <= LONGEST && is_sip(uri))?;
                    let own = header::parameter(value, "expires").map(seconds);
                    Some(Contact {
                        uri: uri.to_owned(),
                        instance: header::parameter(value, "+sip.instance").map(|i| i.chars().take(128).collect()),
                        // A malformed one is as if it were not there (RFC 3261 section 10.2.1.1).
                        expires: own.flatten().or(of_all),
                    })
                })
                .collect::<Option<Vec<_>>>()?,
        ),
    };
    Some(Asked { call_id: first!(request, CallId)?.to_owned(), cseq: message::cseq(&request.headers)?, what })
}

fn is_sip(uri: &str) -> bool {
    ["sip:", "sips:"].iter().any(|scheme| uri.get(..scheme.len()).is_some_and(|s| s.eq_ignore_ascii_case(scheme)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn register(headers: &str) -> Option<Asked> {
        let text = format!(
            "REGISTER sip:box SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bKx\r\nFrom: <sip:201@box>;tag=f\r\n\
             To: <sip:201@box>\r\nCall-ID: c\r\nCSeq: 7 REGISTER\r\n{headers}Content-Length: 0\r\n\r\n"
        );
        read(&Request::try_from(text.as_bytes()).unwrap())
    }

    fn contacts(headers: &str) -> Vec<(String, Option<u32>)> {
        match register(headers).map(|asked| asked.what) {
            Some(What::Contacts(contacts)) => contacts.into_iter().map(|c| (c.uri, c.expires)).collect(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_contacts_own_time_comes_first() {
        let some = |uri: &str, expires| (uri.to_owned(), expires);
        assert_eq!(
            contacts("Contact: <sip:201@h:5070;ob>;expires=90, sip:201@i;expires=x\r\nExpires: 600\r\n"),
            [some("sip:201@h:5070;ob", Some(90)), some("sip:201@i", Some(600))]
        );
        assert_eq!(contacts("Contact: <sip:201@h>\r\n"), [some("sip:201@h", None)]);
        let asked = register("Contact: <sip:201@h>;+sip.instance=\"<urn:uuid:1>\"\r\n").unwrap();
        let What::Contacts(contacts) = asked.what else { panic!() };
        assert_eq!(contacts[0].instance.as_deref(), Some("\"<urn:uuid:1>\""));
        assert_eq!((asked.call_id.as_str(), asked.cseq), ("c", 7));
    }

    #[test]
    fn a_star_stands_alone_and_ends_everything() {
        assert_eq!(register("Contact: *\r\nExpires: 0\r\n").unwrap().what, What::Nobody);
        assert_eq!(register("Contact: *\r\nExpires: 60\r\n"), None);
        assert_eq!(register("Contact: *\r\n"), None);
        assert_eq!(register("Contact: *\r\nContact: <sip:201@h>\r\nExpires: 0\r\n"), None);
        assert_eq!(register("").unwrap().what, What::Query);
        assert_eq!(register("Contact: <tel:+12125550100>\r\n"), None);
        assert_eq!(register(&"Contact: <sip:201@h>\r\n".repeat(17)), None);
    }
}
