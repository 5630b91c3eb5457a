//! What a passkey proves, verified (WebAuthn level 3, sections 7.1 and 7.2), as plain functions over bytes.
//!
//! Attestation is not asked for: whose make a key is says nothing about whose hand it is in. The browser hands over the
//! public key as SubjectPublicKeyInfo (section 5.2.1.1), so that no CBOR is read here; that it is the one of the
//! authenticator's data is as much the browser's word as the data itself, for nothing is signed at a registration.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as B64;
use ring::{digest, signature};
use serde::Deserialize;

use crate::store::passkeys::Credential;

/// COSE algorithms that we verify, the best first: ES256, EdDSA, RS256 (RFC 9053, RFC 8812).
pub const ALGORITHMS: [i64; 3] = [-7, -8, -257];

/// Whom a passkey is for, and where it may be used from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    /// The relying party's id: the host.
    pub id: String,
    /// Origins that belong to it: `https://clinic.example`.
    pub origins: Vec<String>,
}

/// Why a passkey is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Not what a browser sends.
    #[error("what the browser sent cannot be read")]
    Malformed,
    /// For another purpose: a registration instead of a sign-in, or the other way round.
    #[error("it was made for something else")]
    Kind,
    /// For another challenge.
    #[error("it answers another challenge")]
    Challenge,
    /// From another site, or for another one.
    #[error("it belongs to another site")]
    Site,
    /// Nobody touched the key, or it did not ask who touches it (PIN, finger, face).
    #[error("the key did not make sure of its person")]
    NotVerified,
    /// The signature is not the key's.
    #[error("the signature is not the key's")]
    Signature,
    /// The key's counter went backward: there are two of it (section 6.1.1).
    #[error("the key was copied: its counter went backward")]
    Copied,
    /// A kind of key that we do not verify.
    #[error("this kind of key is not known here")]
    Algorithm,
}

#[derive(Deserialize)]
struct ClientData {
    #[serde(rename = "type")]
    kind: String,
    challenge: String,
    origin: String,
    #[serde(default, rename = "crossOrigin")]
    cross_origin: bool,
}

/// The challenge that a browser's answer names, before anything is verified: to take it up.
pub fn challenge(client_data: &[u8]) -> Option<String> {
    serde_json::from_slice::<ClientData>(client_data).ok().map(|data| data.challenge)
}

fn check_client(client_data: &[u8], kind: &str, challenge: &str, site: &Site) -> Result<(), Refused> {
    let data: ClientData = serde_json::from_slice(client_data).map_err(|_| Refused::Malformed)?;
    if data.kind != kind {
        return Err(Refused::Kind);
    }
    if data.challenge != challenge {
        return Err(Refused::Challenge);
    }
    if data.cross_origin || !site.origins.contains(&data.origin) {
        return Err(Refused::Site);
    }
    Ok(())
}

/// Authenticator data (section 6.1): SHA-256 of the site's id, flags, counter, and at a registration the credential.
struct Authenticator<'a> {
    counter: u32,
    rest: &'a [u8],
}

/// User present.
const PRESENT: u8 = 1;
/// User verified.
const VERIFIED: u8 = 1 << 2;
/// Attested credential data follows.
const ATTESTED: u8 = 1 << 6;

fn check_authenticator<'a>(data: &'a [u8], site: &Site, needs: u8) -> Result<Authenticator<'a>, Refused> {
    let (hash, rest) = data.split_at_checked(32).ok_or(Refused::Malformed)?;
    let (&flags, rest) = rest.split_first().ok_or(Refused::Malformed)?;
    let (counter, rest) = rest.split_first_chunk::<4>().ok_or(Refused::Malformed)?;
    if hash != digest::digest(&digest::SHA256, site.id.as_bytes()).as_ref() {
        return Err(Refused::Site);
    }
    if flags & (PRESENT | VERIFIED) != PRESENT | VERIFIED {
        return Err(Refused::NotVerified);
    }
    if flags & needs != needs {
        return Err(Refused::Malformed);
    }
    Ok(Authenticator { counter: u32::from_be_bytes(*counter), rest })
}

/// A registration: the new credential's id (base64url) and what its signatures are verified with.
pub fn registration(
    site: &Site,
    expected: &str,
    client_data: &[u8],
    authenticator_data: &[u8],
    key: &[u8],
    algorithm: i64,
) -> Result<(String, Credential), Refused> {
    check_client(client_data, "webauthn.create", expected, site)?;
    let data = check_authenticator(authenticator_data, site, ATTESTED)?;
    // 16 bytes say whose make it is; two how long the id is.
    let rest = data.rest.get(16..).ok_or(Refused::Malformed)?;
    let (length, rest) = rest.split_first_chunk::<2>().ok_or(Refused::Malformed)?;
    let id = rest.get(..usize::from(u16::from_be_bytes(*length))).ok_or(Refused::Malformed)?;
    // Section 7.1 step 24: no id is longer.
    if id.is_empty() || id.len() > 1023 {
        return Err(Refused::Malformed);
    }
    public_key(key, algorithm)?;
    Ok((B64.encode(id), Credential { key: B64.encode(key), algorithm, counter: data.counter }))
}

/// A sign-in: the key's counter now.
pub fn assertion(
    site: &Site,
    expected: &str,
    credential: &Credential,
    client_data: &[u8],
    authenticator_data: &[u8],
    signature: &[u8],
) -> Result<u32, Refused> {
    check_client(client_data, "webauthn.get", expected, site)?;
    let data = check_authenticator(authenticator_data, site, 0)?;
    let key = B64.decode(&credential.key).map_err(|_| Refused::Malformed)?;
    let (bytes, verify) = public_key(&key, credential.algorithm)?;
    let mut signed = authenticator_data.to_vec();
    signed.extend_from_slice(digest::digest(&digest::SHA256, client_data).as_ref());
    signature::UnparsedPublicKey::new(verify, bytes).verify(&signed, signature).map_err(|_| Refused::Signature)?;
    // A key that counts nothing always says 0, which most passkeys do.
    if (data.counter > 0 || credential.counter > 0) && data.counter <= credential.counter {
        return Err(Refused::Copied);
    }
    Ok(data.counter)
}

/// `SEQUENCE { SEQUENCE { id-ecPublicKey, prime256v1 }, BIT STRING }` up to the point (RFC 5480).
const P256: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce,
    0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];
/// The same for Ed25519 (RFC 8410).
const ED25519: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
/// The same for RSA with 2048 bits and the exponent 65537 (RFC 8017), as TPMs have it.
const RSA_2048: [u8; 24] = [
    0x30, 0x82, 0x01, 0x22, 0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00,
    0x03, 0x82, 0x01, 0x0f, 0x00,
];

/// The key's own bytes, as `ring` takes them, and how it verifies. Each kind has one length, and so one beginning.
fn public_key(spki: &[u8], algorithm: i64) -> Result<(&[u8], &'static dyn signature::VerificationAlgorithm), Refused> {
    let (start, length, verify): (&[u8], usize, &'static dyn signature::VerificationAlgorithm) = match algorithm {
        -7 => (&P256, 65, &signature::ECDSA_P256_SHA256_ASN1),
        -8 => (&ED25519, 32, &signature::ED25519),
        -257 => (&RSA_2048, 270, &signature::RSA_PKCS1_2048_8192_SHA256),
        _ => return Err(Refused::Algorithm),
    };
    let key = spki.strip_prefix(start).filter(|key| key.len() == length).ok_or(Refused::Algorithm)?;
    Ok((key, verify))
}

#[cfg(test)]
mod tests {
    use ring::rand::SystemRandom;
    use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair};

    use super::*;

    const CHALLENGE: &str = "dGhlIGNoYWxsZW5nZQ";

    fn site() -> Site {
        Site { id: "clinic.example".into(), origins: vec!["https://clinic.example".into()] }
    }

    fn client_data(kind: &str, challenge: &str, origin: &str) -> Vec<u8> {
        format!(r#"{{"type":"{kind}","challenge":"{challenge}","origin":"{origin}","crossOrigin":false}}"#).into_bytes()
    }

    fn authenticator(site: &str, flags: u8, counter: u32) -> Vec<u8> {
        let mut data = digest::digest(&digest::SHA256, site.as_bytes()).as_ref().to_vec();
        data.push(flags);
        data.extend(counter.to_be_bytes());
        data
    }

    fn registered(flags: u8) -> Vec<u8> {
        let mut data = authenticator("clinic.example", flags, 3);
        data.extend([0; 16]);
        data.extend([0, 4, 1, 2, 3, 4]);
        data
    }

    struct Key {
        pair: EcdsaKeyPair,
        credential: Credential,
    }

    fn key() -> Key {
        let random = SystemRandom::new();
        let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, document.as_ref(), &random).unwrap();
        let spki = [&P256[..], pair.public_key().as_ref()].concat();
        let made = client_data("webauthn.create", CHALLENGE, "https://clinic.example");
        let (id, credential) = registration(&site(), CHALLENGE, &made, &registered(0x45), &spki, -7).unwrap();
        assert_eq!(id, B64.encode([1, 2, 3, 4]));
        Key { pair, credential }
    }

    fn sign_in(key: &Key, client_data: &[u8], data: &[u8]) -> Result<u32, Refused> {
        let signed = [data, digest::digest(&digest::SHA256, client_data).as_ref()].concat();
        let signature = key.pair.sign(&SystemRandom::new(), &signed).unwrap();
        assertion(&site(), CHALLENGE, &key.credential, client_data, data, signature.as_ref())
    }

    #[test]
    fn a_key_signs_in() {
        let get = client_data("webauthn.get", CHALLENGE, "https://clinic.example");
        assert_eq!(sign_in(&key(), &get, &authenticator("clinic.example", 5, 4)), Ok(4));
    }

    #[test]
    fn what_is_for_somebody_else_or_something_else_is_refused() {
        let (key, good) = (key(), authenticator("clinic.example", 5, 4));
        let origin = "https://clinic.example";
        for (client_data, data, why) in [
            (client_data("webauthn.create", CHALLENGE, origin), good.clone(), Refused::Kind),
            (client_data("webauthn.get", "b3RoZXI", origin), good.clone(), Refused::Challenge),
            (client_data("webauthn.get", CHALLENGE, "https://clinic.example.evil"), good.clone(), Refused::Site),
            (client_data("webauthn.get", CHALLENGE, origin), authenticator("evil.example", 5, 4), Refused::Site),
            (
                client_data("webauthn.get", CHALLENGE, origin),
                authenticator("clinic.example", 1, 4),
                Refused::NotVerified,
            ),
            (
                client_data("webauthn.get", CHALLENGE, origin),
                authenticator("clinic.example", 4, 4),
                Refused::NotVerified,
            ),
            (client_data("webauthn.get", CHALLENGE, origin), authenticator("clinic.example", 5, 3), Refused::Copied),
            (b"{}".to_vec(), good.clone(), Refused::Malformed),
            (client_data("webauthn.get", CHALLENGE, origin), vec![0; 36], Refused::Malformed),
        ] {
            assert_eq!(sign_in(&key, &client_data, &data), Err(why));
        }
        let framed = br#"{"type":"webauthn.get","challenge":"dGhlIGNoYWxsZW5nZQ","origin":"https://clinic.example","crossOrigin":true}"#;
        assert_eq!(sign_in(&key, framed, &good), Err(Refused::Site));
    }

    #[test]
    fn a_signature_of_another_key_or_over_other_bytes_is_none() {
        let (one, other) = (key(), key());
        let (get, data) =
            (client_data("webauthn.get", CHALLENGE, "https://clinic.example"), authenticator("clinic.example", 5, 4));
        let mixed = Key { pair: other.pair, credential: one.credential.clone() };
        assert_eq!(sign_in(&mixed, &get, &data), Err(Refused::Signature));
        let signature = one.pair.sign(&SystemRandom::new(), b"other bytes").unwrap();
        assert_eq!(
            assertion(&site(), CHALLENGE, &one.credential, &get, &data, signature.as_ref()),
            Err(Refused::Signature)
        );
        assert_eq!(assertion(&site(), CHALLENGE, &one.credential, &get, &data, &[]), Err(Refused::Signature));
    }

    #[test]
    fn ed25519_signs_in_too() {
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        let pair = Ed25519KeyPair::from_pkcs8(document.as_ref()).unwrap();
        let spki = [&ED25519[..], pair.public_key().as_ref()].concat();
        let made = client_data("webauthn.create", CHALLENGE, "https://clinic.example");
        let (_, credential) = registration(&site(), CHALLENGE, &made, &registered(0x45), &spki, -8).unwrap();
        let credential = Credential { counter: 0, ..credential };
        let (get, data) =
            (client_data("webauthn.get", CHALLENGE, "https://clinic.example"), authenticator("clinic.example", 5, 0));
        let signed = [&data[..], digest::digest(&digest::SHA256, &get).as_ref()].concat();
        let signature = pair.sign(&signed);
        assert_eq!(assertion(&site(), CHALLENGE, &credential, &get, &data, signature.as_ref()), Ok(0));
    }

    #[test]
    fn a_registration_is_verified_too() {
        let made = client_data("webauthn.create", CHALLENGE, "https://clinic.example");
        let spki = [&ED25519[..], &[7; 32]].concat();
        let register =
            |data: &[u8], key: &[u8], algorithm| registration(&site(), CHALLENGE, &made, data, key, algorithm);
        assert!(register(&registered(0x45), &spki, -8).is_ok());
        assert_eq!(register(&registered(0x41), &spki, -8), Err(Refused::NotVerified));
        assert_eq!(register(&registered(0x05), &spki, -8), Err(Refused::Malformed));
        assert_eq!(register(&registered(0x45)[..58], &spki, -8), Err(Refused::Malformed));
        assert_eq!(register(&registered(0x45), &spki[..40], -8), Err(Refused::Algorithm));
        assert_eq!(register(&registered(0x45), &spki, -36), Err(Refused::Algorithm));
        let evil = client_data("webauthn.create", CHALLENGE, "http://clinic.example");
        assert_eq!(registration(&site(), CHALLENGE, &evil, &registered(0x45), &spki, -8), Err(Refused::Site));
    }
}
