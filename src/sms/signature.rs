//! How Twilio and SignalWire sign a form webhook: `X-Twilio-Signature`
//! (Twilio: "Webhooks security"; SignalWire's `X-SignalWire-Signature` is the same for forms).
//!
//! The signature is base64(HMAC-SHA1(auth token, address ‖ each distinct name and value, sorted)).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Url;
use reqwest::header::HeaderMap;
use ring::hmac;

use super::gateway::HookError;

/// Headers that may carry the signature.
const HEADERS: [&str; 2] = ["x-twilio-signature", "x-signalwire-signature"];
/// Names another key and algorithm than the auth token and SHA-1.
const SETTINGS: &str = "x-twilio-webhooks-signature-settings";

/// Whether the form `fields`, sent to `url`, is signed with `token`.
pub fn verify(
    token: &str,
    url: Option<&str>,
    headers: &HeaderMap,
    fields: &[(String, String)],
) -> Result<(), HookError> {
    let settings = headers.get(SETTINGS).map(|value| value.to_str().unwrap_or_default());
    if settings.is_some_and(|value| !value.contains("algorithm=HMAC_SHA1") && value.contains("algorithm=")) {
        return Err(HookError::Unproven(
            "signed with a shared key (HMAC_SHA256), which is not supported; let the gateway sign with the auth token",
        ));
    }
    let url = url.ok_or(HookError::Unproven("web.public_url is not set, so no signature can be checked; set it"))?;
    let signature = HEADERS
        .iter()
        .find_map(|name| headers.get(*name))
        .and_then(|value| STANDARD.decode(value.as_bytes()).ok())
        .ok_or(HookError::Unproven("it has no signature"))?;
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, token.as_bytes());
    let genuine = spellings(url).iter().any(|url| hmac::verify(&key, &signed(url, fields), &signature).is_ok());
    if genuine {
        return Ok(());
    }
    Err(HookError::Unproven("its signature is wrong; check sms.twilio.auth_token and web.public_url"))
}

/// The signature that the gateway would send: for the tests' gateways and for `demo`.
pub fn sign(token: &str, url: &str, fields: &[(String, String)]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, token.as_bytes());
    STANDARD.encode(hmac::sign(&key, &signed(url, fields)))
}

/// The bytes that are signed: a name with the same value twice counts once.
fn signed(url: &str, fields: &[(String, String)]) -> Vec<u8> {
    let mut fields: Vec<_> = fields.iter().collect();
    fields.sort();
    fields.dedup();
    let mut bytes = url.as_bytes().to_vec();
    for (name, value) in fields {
        bytes.extend_from_slice(name.as_bytes());
        bytes.extend_from_slice(value.as_bytes());
    }
    bytes
}

/// The address as given, with its port written out, and without: gateways differ in which they sign.
fn spellings(url: &str) -> Vec<String> {
    let mut all = vec![url.to_owned()];
    if let Ok(parsed) = Url::parse(url) {
        let host = parsed.host_str().unwrap_or_default();
        let rest = url.split_once("://").map_or("", |(_, rest)| rest.find(['/', '?']).map_or("", |at| &rest[at..]));
        let scheme = parsed.scheme();
        all.push(format!("{scheme}://{host}{rest}"));
        if let Some(port) = parsed.port_or_known_default() {
            all.push(format!("{scheme}://{host}:{port}{rest}"));
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    const URL: &str = "https://mycompany.com/myapp.php?foo=1&bar=2";
    // Twilio's published example; the same value comes out of Python's hmac module.
    const SIGNATURE: &str = "RSOYDt4T1cUTdK1PDd93/VVr8B8=";

    fn fields() -> Vec<(String, String)> {
        [
            ("CallSid", "CA1234567890ABCDE"),
            ("Digits", "1234"),
            ("From", "+14158675309"),
            ("To", "+18005551212"),
            ("Caller", "+14158675309"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec()
    }

    fn headers(name: &'static str, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name.parse().unwrap(), value.parse().unwrap())])
    }

    #[test]
    fn the_published_example_verifies_under_both_headers() {
        assert_eq!(sign("12345", URL, &fields()), SIGNATURE);
        for name in HEADERS {
            assert_eq!(verify("12345", Some(URL), &headers(name, SIGNATURE), &fields()), Ok(()));
        }
    }

    #[test]
    fn a_port_may_be_signed_or_left_out() {
        let with = "https://mycompany.com:443/myapp.php?foo=1&bar=2";
        let signature = sign("12345", with, &fields());
        assert_ne!(signature, SIGNATURE);
        assert_eq!(verify("12345", Some(URL), &headers(HEADERS[0], &signature), &fields()), Ok(()));
        assert_eq!(verify("12345", Some(with), &headers(HEADERS[0], SIGNATURE), &fields()), Ok(()));
    }

    #[test]
    fn whatever_differs_is_refused() {
        let good = headers(HEADERS[0], SIGNATURE);
        let mut changed = fields();
        changed[1].1 = "1235".into();
        let mut more = fields();
        more.push(("Body".into(), "STOP".into()));
        let refused = |token, url, headers: &HeaderMap, fields: &[(String, String)]| {
            matches!(verify(token, url, headers, fields), Err(HookError::Unproven(_)))
        };
        assert!(refused("12346", Some(URL), &good, &fields()));
        assert!(refused("12345", Some("https://mycompany.com/other"), &good, &fields()));
        assert!(refused("12345", None, &good, &fields()));
        assert!(refused("12345", Some(URL), &good, &changed));
        assert!(refused("12345", Some(URL), &good, &more));
        assert!(refused("12345", Some(URL), &HeaderMap::new(), &fields()));
        assert!(refused("12345", Some(URL), &headers(HEADERS[0], "not base64!"), &fields()));
        assert!(refused("12345", Some(URL), &headers(HEADERS[0], ""), &fields()));
    }

    #[test]
    fn another_algorithm_is_refused_by_name() {
        let mut headers = headers(HEADERS[0], SIGNATURE);
        headers.insert(SETTINGS, "key=SK1,algorithm=HMAC_SHA256".parse().unwrap());
        let refused = verify("12345", Some(URL), &headers, &fields()).unwrap_err();
        assert!(refused.to_string().contains("HMAC_SHA256"), "{refused}");
    }

    #[test]
    fn a_field_sent_twice_counts_once() {
        let mut twice = fields();
        twice.push(("Digits".into(), "1234".into()));
        assert_eq!(verify("12345", Some(URL), &headers(HEADERS[0], SIGNATURE), &twice), Ok(()));
    }
}
