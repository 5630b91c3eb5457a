//! Time-based one-time passwords (RFC 6238): HMAC-SHA-1, six digits, steps of 30 seconds, as every app does them.

use jiff::Timestamp;
use ring::hmac;

/// Seconds in a step.
const STEP: i64 = 30;
/// RFC 4648 base32.
const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// The step at a time.
pub fn step(at: Timestamp) -> i64 {
    at.as_second().div_euclid(STEP)
}

/// The six digits of a step.
pub fn code(secret: &[u8], step: i64) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret);
    let tag = hmac::sign(&key, &step.to_be_bytes());
    let tag = tag.as_ref();
    // RFC 4226 section 5.3: the last four bits say where the 31 bits begin. SHA-1 gives 20 bytes, 15 + 4 < 20.
    let at = tag.last().map_or(0, |last| usize::from(last & 0x0f));
    let bits = tag.iter().skip(at).take(4).fold(0u32, |bits, byte| bits << 8 | u32::from(*byte)) & 0x7fff_ffff;
    format!("{:06}", bits % 1_000_000)
}

/// The step whose code was typed: this one, the one before or the one after (clocks differ), and newer than `used`, for
/// each counts once (RFC 6238 section 5.2).
pub fn matching(secret: &[u8], typed: &str, at: Timestamp, used: Option<i64>) -> Option<i64> {
    let typed: String = typed.chars().filter(char::is_ascii_digit).collect();
    let now = step(at);
    [now, now - 1, now + 1].into_iter().filter(|step| used.is_none_or(|used| *step > used)).find(|step| {
        // Compared without a way out: what is wrong takes as long as what is nearly right.
        let code = code(secret, *step);
        code.len() == typed.len() && code.bytes().zip(typed.bytes()).fold(0, |all, (a, b)| all | (a ^ b)) == 0
    })
}

/// Base32 without padding, as apps want a secret typed.
pub fn base32(bytes: &[u8]) -> String {
    let mut text = String::new();
    for five in bytes.chunks(5) {
        let mut bits = [0u8; 8];
        bits[3..3 + five.len()].copy_from_slice(five);
        let bits = u64::from_be_bytes(bits);
        for n in 0..(five.len() * 8).div_ceil(5) {
            let letter = (bits >> (35 - 5 * n)) as usize & 31;
            text.push(char::from(ALPHABET[letter]));
        }
    }
    text
}

/// Reads base32; none if a letter is none of it.
pub fn from_base32(text: &str) -> Option<Vec<u8>> {
    let (mut bytes, mut bits, mut held) = (Vec::new(), 0u32, 0u32);
    for letter in text.bytes() {
        let value = ALPHABET.iter().position(|known| *known == letter.to_ascii_uppercase())?;
        bits = bits << 5 | u32::try_from(value).ok()?;
        held += 5;
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held) as u8);
            bits &= (1 << held) - 1;
        }
    }
    Some(bytes)
}

/// What an app scans.
pub fn uri(secret: &str, clinic: &str, name: &str) -> String {
    let escape = |text: &str| -> String {
        text.bytes()
            .map(|b| match b {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => char::from(b).to_string(),
                _ => format!("%{b:02X}"),
            })
            .collect()
    };
    let clinic = escape(clinic);
    format!("otpauth://totp/{clinic}:{}?secret={secret}&issuer={clinic}", escape(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6238 appendix B, of which the last six digits.
    #[test]
    fn the_codes_of_the_standard() {
        let secret = b"12345678901234567890";
        for (at, expected) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            assert_eq!(code(secret, step(Timestamp::from_second(at).unwrap())), expected);
        }
    }

    #[test]
    fn a_code_counts_once_and_a_step_to_either_side() {
        let (secret, at) = (b"12345678901234567890", Timestamp::from_second(1_111_111_111).unwrap());
        let now = step(at);
        for near in [now - 1, now, now + 1] {
            let typed = code(secret, near);
            assert_eq!(matching(secret, &typed, at, None), Some(near));
            assert_eq!(matching(secret, &typed, at, Some(near)), None);
        }
        assert_eq!(matching(secret, &code(secret, now - 2), at, None), None);
        assert_eq!(matching(secret, "050 471", at, None), Some(now));
        assert_eq!(matching(secret, "", at, None), None);
    }

    /// RFC 4648 section 10.
    #[test]
    fn base32_as_the_standard_has_it() {
        for (plain, text) in [
            ("", ""),
            ("f", "MY"),
            ("fo", "MZXQ"),
            ("foo", "MZXW6"),
            ("foob", "MZXW6YQ"),
            ("fooba", "MZXW6YTB"),
            ("foobar", "MZXW6YTBOI"),
        ] {
            assert_eq!(base32(plain.as_bytes()), text);
            assert_eq!(from_base32(text).unwrap(), plain.as_bytes());
        }
        assert_eq!(from_base32("M1"), None);
    }
}
