//! Nonces: each says by itself when it was made and that it is ours, so that asking costs no memory. Only those that a
//! right answer has used are remembered, with how often, so that no answer is taken twice (RFC 7616 section 3.4).

use std::collections::BTreeMap;
use std::time::Duration;

use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};

/// How long a nonce may be used.
const LIFE: Duration = Duration::from_secs(300);
/// Used nonces that are remembered. At the bound the oldest goes, and all that are as old are stale.
const MOST: usize = 4_096;

/// When it was made, in milliseconds of our clock, and 64 random bits.
type Name = (u64, u64);

pub(super) struct Nonces {
    key: hmac::Key,
    used: BTreeMap<Name, u32>,
    /// Nonces up to this time are stale.
    floor: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Ours, not old, and not used so often yet.
    Fresh,
    /// Anything else: a new one is to be asked for.
    Stale,
}

impl Default for Nonces {
    fn default() -> Self {
        let mut secret = [0_u8; 32];
        // Without randomness from the kernel nothing here is safe to run: see `message::random`.
        let _ = SystemRandom::new().fill(&mut secret);
        Nonces { key: hmac::Key::new(hmac::HMAC_SHA256, &secret), used: BTreeMap::new(), floor: 0 }
    }
}

fn millis(now: Duration) -> u64 {
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}

impl Nonces {
    pub(super) fn mint(&self, now: Duration) -> String {
        let mut random = [0_u8; 8];
        let _ = SystemRandom::new().fill(&mut random);
        let name = format!("{:016x}{:016x}", millis(now), u64::from_be_bytes(random));
        let seal = self.seal(&name);
        name + &seal
    }

    fn seal(&self, name: &str) -> String {
        let tag = hmac::sign(&self.key, name.as_bytes());
        tag.as_ref().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
    }

    fn read(&self, nonce: &str) -> Option<Name> {
        let (name, seal) = (nonce.get(..32)?, nonce.get(32..)?);
        let made = u64::from_str_radix(name.get(..16)?, 16).ok()?;
        let random = u64::from_str_radix(name.get(16..)?, 16).ok()?;
        // Compared in a time that tells nothing is not needed: a seal is of no worth without the password.
        (self.seal(name) == seal).then_some((made, random))
    }

    /// Whether an answer that uses `nonce` for the `count`th time may be right.
    pub(super) fn state(&self, nonce: &str, count: u32, now: Duration) -> State {
        let fresh = self.read(nonce).is_some_and(|name| {
            let age = millis(now).saturating_sub(name.0);
            let last = self.used.get(&name).copied().unwrap_or(0);
            name.0 >= self.floor && u128::from(age) < LIFE.as_millis() && count > last
        });
        if fresh { State::Fresh } else { State::Stale }
    }

    /// A right answer has used `nonce` for the `count`th time.
    pub(super) fn used(&mut self, nonce: &str, count: u32, now: Duration) {
        let Some(name) = self.read(nonce) else { return };
        let oldest = millis(now.saturating_sub(LIFE));
        while let Some(entry) = self.used.first_entry()
            && entry.key().0 < oldest
        {
            entry.remove();
        }
        self.used.insert(name, count);
        while self.used.len() > MOST
            && let Some((forgotten, _)) = self.used.pop_first()
        {
            self.floor = forgotten.0.saturating_add(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nonce_that_was_forgotten_cannot_be_used_again() {
        let mut nonces = Nonces::default();
        let at = |n: u64| Duration::from_millis(1_000 + n);
        let first = nonces.mint(at(0));
        nonces.used(&first, 1, at(0));
        assert_eq!((nonces.state(&first, 1, at(0)), nonces.state(&first, 2, at(0))), (State::Stale, State::Fresh));
        for n in 1..=u64::try_from(MOST).unwrap() {
            let nonce = nonces.mint(at(n));
            nonces.used(&nonce, 1, at(n));
        }
        assert_eq!(nonces.used.len(), MOST);
        assert_eq!(nonces.state(&first, 1, at(5_000)), State::Stale);
        assert_eq!(nonces.state(&nonces.mint(at(5_000)), 1, at(5_000)), State::Fresh);
    }

    #[test]
    fn a_nonce_that_was_changed_is_not_ours() {
        let nonces = Nonces::default();
        let nonce = nonces.mint(LIFE);
        for changed in [
            nonce.replace(&nonce[..4], "ffff"),
            nonce[..60].to_owned(),
            format!("{nonce}0"),
            String::new(),
            "é".repeat(40),
        ] {
            assert_eq!(nonces.state(&changed, 1, LIFE), State::Stale, "{changed}");
        }
        assert_eq!(nonces.state(&nonce, 1, LIFE), State::Fresh);
        assert_eq!(nonces.state(&nonce, 0, LIFE), State::Stale, "counting begins at one");
    }
}
