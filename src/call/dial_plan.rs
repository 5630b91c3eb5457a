//! What one of the clinic's own phones has dialled, and whether it may.
//!
//! In this order: an emergency number, always; a feature code, beginning with `*`; the name of an extension; a telephone
//! number that begins as one of the phone's `may_call` does.

use crate::model::{Country, PhoneNumber, Private};
use crate::settings;

/// How many places there are to park a call in: `*21` to `*29`.
pub const PARKING_PLACES: u8 = 9;
/// The services of RFC 5031 that mean "help": some phones have a button for it.
const SOS: &str = "urn:service:sos";

/// What the box's file says about dialling.
#[derive(Clone, Copy, Debug)]
pub struct DialPlan<'a> {
    /// The names of all `[[extension]]`s.
    pub extensions: &'a [String],
    /// Emergency numbers as they are dialled here, the main one first: `911`.
    pub emergency: &'a [String],
    /// How a number without `+` is read.
    pub country: Country,
}

/// A phone of the clinic that dials.
#[derive(Clone, Copy, Debug)]
pub struct Dialler<'a> {
    /// Its name.
    pub extension: &'a str,
    /// How the numbers that it may call begin, in E.164: `+1`, `+1212`. None of it: no number at all.
    pub may_call: &'a [String],
}

/// What was dialled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Dialled {
    /// Another phone of the clinic.
    Extension(String),
    /// A number out through a trunk, which this phone may call.
    Trunk(PhoneNumber),
    /// Straight to a trunk, whatever the phone may call, exactly as it is dialled.
    Emergency(Private<String>),
    /// `*8`: whoever makes the phones of this phone's group ring.
    PickUp,
    /// `*21` to `*29`: the call parked at 1 to 9; transferred there, a call is parked.
    Parking(u8),
    /// `*2`, as the target of a transfer: parks the call in the first place that is free.
    Park,
    /// Nothing that this phone may have.
    Refused(NotDialled),
}

/// Why nothing is dialled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotDialled {
    /// A code that means nothing.
    #[error("no such code; *8 picks up, *21 to *29 fetch a parked call")]
    NoSuchCode,
    /// Neither an extension nor a number.
    #[error("neither an extension nor a telephone number")]
    NotANumber,
    /// A number outside of `may_call`.
    #[error("this extension may not call that number; its may_call lists how numbers may begin")]
    NotAllowed,
    /// The phone's own name.
    #[error("the extension called itself")]
    Itself,
}

impl DialPlan<'_> {
    /// Reads what a phone has dialled: the user of the SIP address.
    pub fn read(&self, by: Dialler<'_>, dialled: &str) -> Dialled {
        // `911;phone-context=…`, `(212) 555-0100`: what surrounds the digits is not meant to be dialled.
        let target = dialled.split(';').next().unwrap_or_default();
        let digits: String = target.chars().filter(|c| !" -.()/".contains(*c)).collect();
        if let Some(number) = self.emergency(target, &digits) {
            return Dialled::Emergency(Private::new(number));
        }
        if let Some(code) = digits.strip_prefix('*') {
            return feature(code);
        }
        if target == by.extension {
            return Dialled::Refused(NotDialled::Itself);
        }
        if self.extensions.iter().any(|extension| extension == target) {
            return Dialled::Extension(target.to_owned());
        }
        match PhoneNumber::parse(&digits, self.country) {
            Ok(number) if settings::begins(by.may_call, &number) => Dialled::Trunk(number),
            Ok(_) => Dialled::Refused(NotDialled::NotAllowed),
            Err(_) => Dialled::Refused(NotDialled::NotANumber),
        }
    }

    fn emergency(&self, target: &str, digits: &str) -> Option<String> {
        let is_sos = target.get(..SOS.len()).is_some_and(|start| start.eq_ignore_ascii_case(SOS));
        let dialled = self.emergency.iter().find(|number| *number == digits);
        dialled.or(self.emergency.first().filter(|_| is_sos)).cloned()
    }
}

fn feature(code: &str) -> Dialled {
    match code.as_bytes() {
        b"8" => Dialled::PickUp,
        b"2" => Dialled::Park,
        [b'2', place @ b'1'..=b'9'] => Dialled::Parking(place - b'0'),
        _ => Dialled::Refused(NotDialled::NoSuchCode),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dial(country: &str, may_call: &[&str], dialled: &str) -> Dialled {
        let owned = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let (extensions, emergency) = (owned(&["201", "202", "front-desk"]), owned(&["911", "933"]));
        let plan = DialPlan { extensions: &extensions, emergency: &emergency, country: country.parse().unwrap() };
        plan.read(Dialler { extension: "201", may_call: &owned(may_call) }, dialled)
    }

    fn number(text: &str) -> PhoneNumber {
        PhoneNumber::e164(text).unwrap()
    }

    #[test]
    fn emergency_numbers_always_go_out() {
        for (dialled, called) in [
            ("911", "911"),
            ("933", "933"),
            ("9-1-1", "911"),
            ("911;phone-context=+1", "911"),
            ("urn:service:sos", "911"),
            ("URN:service:sos.ambulance", "911"),
        ] {
            assert_eq!(dial("US", &[], dialled), Dialled::Emergency(Private::new(called.to_owned())), "{dialled}");
        }
        assert_eq!(dial("US", &[], "9110"), Dialled::Refused(NotDialled::NotANumber));
    }

    #[test]
    fn another_extension_is_called_by_its_name() {
        assert_eq!(dial("US", &[], "202"), Dialled::Extension("202".to_owned()));
        assert_eq!(dial("US", &[], "front-desk"), Dialled::Extension("front-desk".to_owned()));
        assert_eq!(dial("US", &[], "201"), Dialled::Refused(NotDialled::Itself));
        assert_eq!(dial("US", &["+"], "203"), Dialled::Refused(NotDialled::NotANumber));
    }

    #[test]
    fn a_number_is_called_only_where_the_list_allows_it() {
        let allowed = Dialled::Trunk(number("+16462530142"));
        for dialled in ["6462530142", "(646) 253-0142", "16462530142", "+1 646 253 0142"] {
            assert_eq!(dial("US", &["+1646"], dialled), allowed, "{dialled}");
        }
        assert_eq!(dial("US", &["+44", "+1"], "6462530142"), allowed);
        for list in [&[][..], &[""], &["+1212", "646"]] {
            assert_eq!(dial("US", list, "6462530142"), Dialled::Refused(NotDialled::NotAllowed), "{list:?}");
        }
    }

    #[test]
    fn a_number_abroad_is_read_as_people_dial_it_at_home() {
        let london = Dialled::Trunk(number("+442079460958"));
        assert_eq!(dial("US", &["+44"], "011442079460958"), london);
        assert_eq!(dial("DE", &["+44"], "00442079460958"), london);
        assert_eq!(dial("US", &["+1"], "011442079460958"), Dialled::Refused(NotDialled::NotAllowed));
        // As long as one at home, and as dear as one abroad: the plan of the Caribbean shares +1.
        assert_eq!(dial("US", &["+1212"], "8765550123"), Dialled::Refused(NotDialled::NotAllowed));
    }

    #[test]
    fn codes_pick_up_and_park() {
        assert_eq!(dial("US", &[], "*8"), Dialled::PickUp);
        assert_eq!(dial("US", &[], "*2"), Dialled::Park);
        assert_eq!(dial("US", &[], "*21"), Dialled::Parking(1));
        assert_eq!(dial("US", &[], "*29"), Dialled::Parking(PARKING_PLACES));
        for code in ["*", "*20", "*210", "*88", "*9", "**", "*2a"] {
            assert_eq!(dial("US", &["+"], code), Dialled::Refused(NotDialled::NoSuchCode), "{code}");
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for dialled in ["", "  ", "nobody", "+", "++1", "#21#", "sip:201@x", &"9".repeat(5_000), "２０１"] {
            assert_eq!(dial("US", &["+"], dialled), Dialled::Refused(NotDialled::NotANumber), "{dialled}");
        }
    }
}
