//! Who may try to sign in, and what a password must be.
//!
//! A lock only ever delays. What a stranger does to a name does not touch a browser that its owner has signed in with
//! before: such a browser is counted by itself (OWASP, "Slow down online guessing attacks with device cookies").

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

/// What tries are counted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Whose {
    /// A sign-in name from a browser that its owner has never used: its SHA-256, so that a name that nobody has is no
    /// different, and what was typed by mistake is not kept.
    Name([u8; 32]),
    /// A browser that has signed in with that name before.
    Device([u8; 32]),
    /// Where it comes from: an IPv4 address, or an IPv6 network of 64 bits.
    Address(IpAddr),
}

impl Whose {
    /// The address as it is counted: whoever has one IPv6 address has a network of them.
    pub fn address(address: IpAddr) -> Whose {
        Whose::Address(match address.to_canonical() {
            IpAddr::V6(v6) => {
                let s = v6.segments();
                IpAddr::from([s[0], s[1], s[2], s[3], 0, 0, 0, 0])
            }
            v4 => v4,
        })
    }

    /// Failures that cost nothing. A whole clinic may share an address.
    fn free(self) -> u32 {
        match self {
            Whose::Name(_) => 5,
            Whose::Device(_) => 10,
            Whose::Address(_) => 30,
        }
    }
}

/// The first wait; each further failure doubles it.
const FIRST_WAIT: Duration = Duration::from_secs(5);
/// The longest wait.
const LONGEST_WAIT: Duration = Duration::from_secs(15 * 60);
/// Failures are forgotten when nothing was tried for so long.
const FORGET: Duration = Duration::from_secs(3600);
/// Counted at once; beyond it what was tried longest ago is forgotten.
const MOST: usize = 20_000;

#[derive(Clone, Copy, Debug)]
struct Tries {
    failed: u32,
    last: Duration,
}

impl Tries {
    /// From when the next try may be made.
    fn open_at(self, whose: Whose) -> Duration {
        match self.failed.checked_sub(whose.free()) {
            None | Some(0) => Duration::ZERO,
            Some(over) => {
                let wait = FIRST_WAIT.saturating_mul(1 << (over - 1).min(16));
                self.last + wait.min(LONGEST_WAIT)
            }
        }
    }
}

/// The tries of late, in bounded memory.
#[derive(Debug, Default)]
pub struct Throttle {
    tries: HashMap<Whose, Tries>,
}

/// May a try be made?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leave {
    /// Yes.
    Go,
    /// Yes, and if it fails, the next one must wait: the lock begins.
    Last,
    /// Not before so long.
    Wait(Duration),
}

impl Throttle {
    /// Asks for a try at `now` (a monotonic reading). A try that is given leave counts as failed until
    /// [`Throttle::succeeded`], so that many at once gain nothing.
    pub fn ask(&mut self, whose: &[Whose], now: Duration) -> Leave {
        let of = |tries: &HashMap<Whose, Tries>, whose: &Whose| {
            tries.get(whose).copied().filter(|tries| now.saturating_sub(tries.last) < FORGET)
        };
        let wait = whose
            .iter()
            .filter_map(|whose| Some(of(&self.tries, whose)?.open_at(*whose).saturating_sub(now)))
            .max()
            .unwrap_or_default();
        if !wait.is_zero() {
            return Leave::Wait(wait);
        }
        let mut leave = Leave::Go;
        for whose in whose {
            let failed = of(&self.tries, whose).map_or(0, |tries| tries.failed).saturating_add(1);
            if failed > whose.free() {
                leave = Leave::Last;
            }
            self.make_room(whose);
            self.tries.insert(*whose, Tries { failed, last: now });
        }
        leave
    }

    /// A try was right: its name or browser starts afresh. Its address is given back this one try alone, for else
    /// whoever has an account could guess at others without end.
    pub fn succeeded(&mut self, whose: &[Whose]) {
        for whose in whose {
            match (whose, self.tries.get_mut(whose)) {
                (Whose::Address(_), Some(tries)) => tries.failed = tries.failed.saturating_sub(1),
                _ => drop(self.tries.remove(whose)),
            }
        }
    }

    /// How many are counted.
    pub fn len(&self) -> usize {
        self.tries.len()
    }

    /// Whether nobody is counted.
    pub fn is_empty(&self) -> bool {
        self.tries.is_empty()
    }

    fn make_room(&mut self, for_whom: &Whose) {
        if self.tries.len() < MOST || self.tries.contains_key(for_whom) {
            return;
        }
        // A tenth at once, so that a flood pays for one search in two thousand.
        let mut ages: Vec<Duration> = self.tries.values().map(|tries| tries.last).collect();
        let (_, oldest, _) = ages.select_nth_unstable(MOST / 10);
        let oldest = *oldest;
        self.tries.retain(|_, tries| tries.last > oldest);
    }
}

/// Why a password cannot be one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weak {
    /// Fewer than [`SHORTEST`] characters.
    Short,
    /// More than [`LONGEST`] bytes.
    Long,
    /// Few different characters, a row of the keyboard or of the alphabet, or one that everybody tries first.
    Common,
    /// Little more than the person's name or the clinic's.
    Name,
}

/// Characters that a password has at least (NIST SP 800-63B asks for length, not for signs and digits).
pub const SHORTEST: usize = 12;
/// Bytes that a password has at most: more would only cost time.
pub const LONGEST: usize = 256;

/// What guessers try first, among long ones, without digits and signs.
const COMMON: [&str; 20] = [
    "password",
    "passwort",
    "contrasena",
    "contraseña",
    "letmein",
    "welcome",
    "bienvenido",
    "iloveyou",
    "teamo",
    "qwerty",
    "administrator",
    "superman",
    "football",
    "changeme",
    "trustno",
    "sunshine",
    "princess",
    "dragon",
    "monkey",
    "frontdesk",
];
/// Rows that fingers find by themselves.
const ROWS: [&str; 6] = [
    "abcdefghijklmnopqrstuvwxyz",
    "0123456789012345678901234567890",
    "qwertyuiopasdfghjklzxcvbnm",
    "qwertzuiopasdfghjklyxcvbnm",
    "1qaz2wsx3edc4rfv5tgb6yhn7ujm",
    "qazwsxedcrfvtgbyhnujm",
];

/// Whether `password` will do for a person who is called `names` (sign-in name, shown name, clinic).
pub fn judge(password: &str, names: &[&str]) -> Result<(), Weak> {
    if password.len() > LONGEST {
        return Err(Weak::Long);
    }
    if password.chars().count() < SHORTEST {
        return Err(Weak::Short);
    }
    let low = password.to_lowercase();
    let mut different: Vec<char> = low.chars().collect();
    different.sort_unstable();
    different.dedup();
    // What is left of it once what everybody knows is taken out must still be worth guessing.
    let left = |known: &str| low.replace(known, "").chars().count();
    let in_a_row = ROWS.iter().any(|row| {
        let back: String = row.chars().rev().collect();
        let runs = low
            .as_bytes()
            .windows(4)
            .filter(|run| std::str::from_utf8(run).is_ok_and(|run| row.contains(run) || back.contains(run)));
        runs.count() * 2 > low.len()
    });
    if different.len() < 5 || in_a_row || COMMON.iter().any(|common| low.contains(common) && left(common) < 7) {
        return Err(Weak::Common);
    }
    let mut words =
        names.iter().flat_map(|name| name.split([' ', '.', '_', '-'])).filter(|word| word.chars().count() > 2);
    if words.any(|word| {
        let word = word.to_lowercase();
        low.contains(&word) && left(&word) < 8
    }) {
        return Err(Weak::Name);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANA: Whose = Whose::Name([1; 32]);
    const KNOWN: Whose = Whose::Device([2; 32]);

    fn address(last: u8) -> Whose {
        Whose::address(IpAddr::from([192, 0, 2, last]))
    }

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn waits_grow_end_and_are_forgotten() {
        let mut throttle = Throttle::default();
        for _ in 0..5 {
            assert_eq!(throttle.ask(&[ANA], seconds(0)), Leave::Go);
        }
        assert_eq!(throttle.ask(&[ANA], seconds(0)), Leave::Last);
        assert_eq!(throttle.ask(&[ANA], seconds(1)), Leave::Wait(seconds(4)));
        assert_eq!(throttle.ask(&[ANA], seconds(5)), Leave::Last);
        assert_eq!(throttle.ask(&[ANA], seconds(5)), Leave::Wait(seconds(10)));
        let mut now = seconds(15);
        for _ in 0..40 {
            match throttle.ask(&[ANA], now) {
                Leave::Wait(wait) => {
                    assert!(wait <= LONGEST_WAIT);
                    now += wait;
                }
                leave => assert_eq!(leave, Leave::Last),
            }
        }
        assert_eq!(throttle.ask(&[ANA], now + FORGET + LONGEST_WAIT), Leave::Go);
    }

    #[test]
    fn a_stranger_does_not_keep_somebody_from_a_browser_of_their_own() {
        let mut throttle = Throttle::default();
        for _ in 0..50 {
            throttle.ask(&[ANA, address(1)], seconds(0));
        }
        assert!(matches!(throttle.ask(&[ANA, address(2)], seconds(0)), Leave::Wait(_)));
        assert_eq!(throttle.ask(&[KNOWN, address(2)], seconds(0)), Leave::Go);
    }

    #[test]
    fn who_has_an_account_does_not_guess_at_others_without_end() {
        let mut throttle = Throttle::default();
        let mut guesses = 0;
        for n in 0..200u8 {
            if throttle.ask(&[Whose::Name([n; 32]), address(1)], seconds(0)) != Leave::Go {
                break;
            }
            guesses += 1;
            if throttle.ask(&[KNOWN, address(1)], seconds(0)) == Leave::Go {
                throttle.succeeded(&[KNOWN, address(1)]);
            }
        }
        assert!(guesses <= 30, "{guesses}");
    }

    #[test]
    fn a_right_password_starts_afresh() {
        let mut throttle = Throttle::default();
        for _ in 0..20 {
            assert_eq!(throttle.ask(&[ANA, address(1)], seconds(0)), Leave::Go);
            throttle.succeeded(&[ANA, address(1)]);
        }
    }

    #[test]
    fn a_flood_of_names_takes_bounded_memory() {
        let mut throttle = Throttle::default();
        for n in 0..3 * MOST as u64 {
            let mut name = [0; 32];
            name[..8].copy_from_slice(&n.to_be_bytes());
            throttle.ask(&[Whose::Name(name)], Duration::from_millis(n));
            assert!(throttle.len() <= MOST);
        }
    }

    #[test]
    fn an_ipv6_network_is_one_address() {
        let one = Whose::address("2001:db8:1:2::1".parse().unwrap());
        assert_eq!(one, Whose::address("2001:db8:1:2:ffff::9".parse().unwrap()));
        assert_ne!(one, Whose::address("2001:db8:1:3::1".parse().unwrap()));
        assert_eq!(address(7), Whose::address("::ffff:192.0.2.7".parse().unwrap()));
    }

    #[test]
    fn passwords_are_long_and_not_what_everybody_tries() {
        let names = ["ana", "Ana López", "Riverside Therapy"];
        for good in ["blue kettle on a tram", "Vaso-lento-99-gris", "corrección de tarde"] {
            assert_eq!(judge(good, &names), Ok(()), "{good}");
        }
        for (bad, why) in [
            ("short one", Weak::Short),
            ("aaaaaaaaaaaaaa", Weak::Common),
            ("password1234", Weak::Common),
            ("123456789012", Weak::Common),
            ("qwertyuiopasdf", Weak::Common),
            ("Contraseña2026", Weak::Common),
            ("riverside2026", Weak::Name),
            (&"long ".repeat(60), Weak::Long),
        ] {
            assert_eq!(judge(bad, &names), Err(why), "{bad}");
        }
    }
}
