//! How Twilio and SignalWire sign a webhook: `X-Twilio-Signature`
//! (Twilio: "Webhooks security" and "Webhook rules"; SignalWire's `X-SignalWire-Signature` is the same for forms).
//!
//! The signature is base64(HMAC(key, address ‖ each distinct name and value of a form, sorted)). The key is the auth
//! token, with SHA-1; or, where a webhook rule names another in `X-Twilio-Webhooks-Signature-Settings`, the secret of
//! that shared key, with the algorithm named there. Of a JSON body nothing is signed but its SHA-256, in the address.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Url;
use reqwest::header::HeaderMap;
use ring::{digest, hmac};

use super::gateway::HookError;

/// Headers that may carry the signature.
const HEADERS: [&str; 2] = ["x-twilio-signature", "x-signalwire-signature"];
/// Names another key and algorithm than the auth token and SHA-1: `key=…,algorithm=HMAC_SHA256`.
const SETTINGS: &str = "x-twilio-webhooks-signature-settings";
/// The query's field that binds a JSON body to the signed address.
const BODY_HASH: &str = "bodySHA256";

/// The secrets that a webhook may be signed with.
#[derive(Clone, Copy)]
pub struct Keys<'a> {
    /// The account's auth token.
    pub auth_token: &'a str,
    /// The secret of the shared key that a webhook rule names, where there is one.
    pub shared: Option<&'a str>,
}

/// What a webhook carries besides its address.
#[derive(Clone, Copy)]
pub enum Payload<'a> {
    /// The fields of a form.
    Form(&'a [(String, String)]),
    /// A JSON body as it came.
    Json(&'a [u8]),
}

/// Whether `payload`, sent to `url`, is signed with one of `keys`.
pub fn verify(keys: Keys<'_>, url: Option<&str>, headers: &HeaderMap, payload: Payload<'_>) -> Result<(), HookError> {
    let key = key(keys, headers)?;
    let url = url.ok_or(HookError::Unproven("web.public_url is not set, so no signature can be checked; set it"))?;
    let signature = HEADERS
        .iter()
        .find_map(|name| headers.get(*name))
        .and_then(|value| STANDARD.decode(value.as_bytes()).ok())
        .ok_or(HookError::Unproven("it has no signature"))?;
    let fields = match payload {
        Payload::Form(fields) => fields,
        Payload::Json(body) if is_of_body(url, body) => &[],
        Payload::Json(_) => return Err(HookError::Unproven("its body is not the one that was signed")),
    };
    let genuine = spellings(url).iter().any(|url| hmac::verify(&key, &signed(url, fields), &signature).is_ok());
    if genuine {
        return Ok(());
    }
    Err(HookError::Unproven(
        "its signature is wrong; check auth_token and webhook_key under [sms.twilio], and web.public_url",
    ))
}

/// The key that the headers name.
fn key(keys: Keys<'_>, headers: &HeaderMap) -> Result<hmac::Key, HookError> {
    let settings = headers.get(SETTINGS).map_or("", |value| value.to_str().unwrap_or_default());
    let setting = |setting: &str| Some(setting.trim().strip_prefix("algorithm=")?.trim().to_ascii_uppercase());
    let (algorithm, secret) = match settings.split(',').find_map(setting).as_deref() {
        None => (hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, Some(keys.auth_token)),
        Some("HMAC_SHA1") => (hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, keys.shared),
        Some("HMAC_SHA256") => (hmac::HMAC_SHA256, keys.shared),
        Some(_) => {
            return Err(HookError::Unproven("it is signed by an algorithm that is neither HMAC_SHA1 nor HMAC_SHA256"));
        }
    };
    let secret = secret.ok_or(HookError::Unproven(
        "it is signed with a shared key; write its secret as webhook_key under [sms.twilio]",
    ))?;
    Ok(hmac::Key::new(algorithm, secret.as_bytes()))
}

/// Whether the address carries the SHA-256 of `body`.
fn is_of_body(url: &str, body: &[u8]) -> bool {
    let Ok(parsed) = Url::parse(url) else { return false };
    let hash: String =
        digest::digest(&digest::SHA256, body).as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    // The hash is no secret: what makes it worth anything is that the address is signed.
    parsed.query_pairs().find(|(name, _)| name == BODY_HASH).is_some_and(|(_, said)| said.eq_ignore_ascii_case(&hash))
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

    const TOKEN: Keys<'_> = Keys { auth_token: "12345", shared: None };
    const SHARED: Keys<'_> = Keys { auth_token: "12345", shared: Some("shared-key") };
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
            assert_eq!(verify(TOKEN, Some(URL), &headers(name, SIGNATURE), Payload::Form(&fields())), Ok(()));
        }
    }

    #[test]
    fn a_port_may_be_signed_or_left_out() {
        let with = "https://mycompany.com:443/myapp.php?foo=1&bar=2";
        let signature = sign("12345", with, &fields());
        assert_ne!(signature, SIGNATURE);
        assert_eq!(verify(TOKEN, Some(URL), &headers(HEADERS[0], &signature), Payload::Form(&fields())), Ok(()));
        assert_eq!(verify(TOKEN, Some(with), &headers(HEADERS[0], SIGNATURE), Payload::Form(&fields())), Ok(()));
    }

    #[test]
    fn whatever_differs_is_refused() {
        let good = headers(HEADERS[0], SIGNATURE);
        let mut changed = fields();
        changed[1].1 = "1235".into();
        let mut more = fields();
        more.push(("Body".into(), "STOP".into()));
        let refused = |auth_token, url, headers: &HeaderMap, fields: &[(String, String)]| {
            let keys = Keys { auth_token, shared: None };
            matches!(verify(keys, url, headers, Payload::Form(fields)), Err(HookError::Unproven(_)))
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

    fn with_settings(signature: &str, settings: &str) -> HeaderMap {
        let mut headers = headers(HEADERS[0], signature);
        headers.insert(SETTINGS, settings.parse().unwrap());
        headers
    }

    // The vectors of the two tests below come out of Python's hmac and hashlib, and of twilio-python 9.13.0.
    #[test]
    fn a_shared_key_signs_with_the_algorithm_that_is_named() {
        const SHA256: &str = "QCYQe9VNqWEX8V0a+2j9n84Rig/VQSYoRshsCS4nk38=";
        const SHA1: &str = "U8TN5fJNE6sRd67OMRrBcEb44uY=";
        let check = |keys, signature, settings| {
            verify(keys, Some(URL), &with_settings(signature, settings), Payload::Form(&fields()))
        };
        assert_eq!(check(SHARED, SHA256, "key=webhooks_sharedkey_1,algorithm=HMAC_SHA256"), Ok(()));
        assert_eq!(check(SHARED, SHA1, "key=webhooks_sharedkey_1, algorithm=HMAC_SHA1"), Ok(()));
        // Without an algorithm it is the auth token's, as ever.
        assert_eq!(check(SHARED, SIGNATURE, ""), Ok(()));
        for (keys, signature, settings) in [
            (SHARED, SHA1, "key=1,algorithm=HMAC_SHA256"),
            (SHARED, SHA256, "key=1,algorithm=HMAC_SHA1"),
            (SHARED, SHA256, ""),
            // Nobody chooses the auth token for a webhook that names a key.
            (SHARED, SIGNATURE, "key=1,algorithm=HMAC_SHA1"),
            (Keys { shared: Some("shared-kez"), ..SHARED }, SHA256, "key=1,algorithm=HMAC_SHA256"),
        ] {
            assert!(check(keys, signature, settings).is_err(), "{signature} {settings}");
        }
        let named = |keys, settings| check(keys, SHA256, settings).unwrap_err().to_string();
        assert!(named(TOKEN, "key=1,algorithm=HMAC_SHA256").contains("webhook_key"));
        assert!(named(SHARED, "key=1,algorithm=NONE").contains("neither HMAC_SHA1 nor HMAC_SHA256"));
    }

    #[test]
    fn a_json_body_is_bound_by_its_hash_in_the_address() {
        const BODY: &str = "{\"MessageSid\":\"SM00000000000000000000000000000077\",\"From\":\"+12125550142\",\
                            \"To\":\"+12125550100\",\"Body\":\"¿Puedo venir a las 3?\",\"NumMedia\":0}";
        const HASH: &str = "bb9e2ade36ef24a7aeb25e42ad317f85753a51a67885666ed9b1a41b4dae6811";
        let url = format!("https://clinic.example/hooks/twilio/inbound?bodySHA256={HASH}");
        let by_token = headers(HEADERS[0], "MJi9y9ws08b7lC8hufjfsOPq/J0=");
        let by_key = with_settings("4TfL5taHKnA1TYW06SFfkNKwA3vSwC1+deqfnGC+3CQ=", "key=1,algorithm=HMAC_SHA256");
        let check = |url: &str, headers: &HeaderMap, body: &str| {
            verify(SHARED, Some(url), headers, Payload::Json(body.as_bytes())).is_ok()
        };
        assert!(check(&url, &by_token, BODY) && check(&url, &by_key, BODY));
        for headers in [&by_token, &by_key] {
            assert!(!check(&url, headers, &BODY.replace('3', "4")), "another body");
            assert!(!check(&url.replace("bb9e", "bb9f"), headers, BODY), "another hash");
            assert!(!check(url.split('?').next().unwrap(), headers, BODY), "no hash");
        }
        // Signed it may be, but the body is not bound to it.
        let bare = "https://clinic.example/hooks/twilio/inbound";
        assert!(!check(bare, &headers(HEADERS[0], &sign("12345", bare, &[])), BODY));
    }

    #[test]
    fn a_field_sent_twice_counts_once() {
        let mut twice = fields();
        twice.push(("Digits".into(), "1234".into()));
        assert_eq!(verify(TOKEN, Some(URL), &headers(HEADERS[0], SIGNATURE), Payload::Form(&twice)), Ok(()));
    }
}
