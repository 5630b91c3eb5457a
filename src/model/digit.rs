//! [`Digit`]: one of the sixteen DTMF digits (ITU-T Q.23).

use std::fmt;

/// One of `0`–`9`, `*`, `#`, `A`–`D`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digit(u8);

impl Digit {
    /// All sixteen, in the order of their RFC 4733 event codes 0 to 15.
    pub const ALL: [Digit; 16] = {
        let mut all = [Digit(0); 16];
        let mut code = 0;
        while code < 16 {
            all[code as usize] = Digit(code);
            code += 1;
        }
        all
    };

    /// The digit of an RFC 4733 event code (section 3.2), if it is one of the sixteen.
    pub fn from_event(code: u8) -> Option<Digit> {
        (code < 16).then_some(Digit(code))
    }

    /// Its RFC 4733 event code, 0 to 15.
    pub fn event(self) -> u8 {
        self.0
    }

    /// The digit that `c` writes; `a`–`d` count as `A`–`D`.
    pub fn from_char(c: char) -> Option<Digit> {
        let at = CHARS.find(c.to_ascii_uppercase())?;
        u8::try_from(at).ok().map(Digit)
    }

    /// How it is written.
    pub fn as_char(self) -> char {
        char::from(CHARS.as_bytes()[usize::from(self.0 & 15)])
    }

    /// Its value, if it is a decimal digit.
    pub fn decimal(self) -> Option<u8> {
        (self.0 < 10).then_some(self.0)
    }
}

const CHARS: &str = "0123456789*#ABCD";

impl fmt::Display for Digit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.as_char())
    }
}

impl fmt::Debug for Digit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_and_events_agree() {
        for digit in Digit::ALL {
            assert_eq!(Digit::from_char(digit.as_char()), Some(digit));
            assert_eq!(Digit::from_event(digit.event()), Some(digit));
        }
        assert_eq!(Digit::from_char('d'), Digit::from_event(15));
        assert_eq!(Digit::from_char('x'), None);
        assert_eq!(Digit::from_event(16), None);
    }
}
