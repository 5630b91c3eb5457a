//! What a text costs: the SMS that it is sent as, and the character that makes it more expensive.

/// How a text is written on the air.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// The GSM 7-bit alphabet (3GPP TS 23.038 section 6.2.1).
    Gsm7,
    /// UCS-2, for everything else.
    Ucs2,
}

/// What a text costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segments {
    /// How it is written.
    pub encoding: Encoding,
    /// Septets, or UTF-16 units.
    pub units: usize,
    /// SMS that it is sent as; at least one.
    pub segments: usize,
}

/// Counts what a text costs: 160 septets or 70 UTF-16 units fit one SMS, 153 or 67 each of several; a character is
/// never divided (3GPP TS 23.040 section 9.2.3.24.1).
pub fn segments(text: &str) -> Segments {
    let gsm: Option<Vec<usize>> = text.chars().map(septets).collect();
    let (encoding, costs, alone, each) = match gsm {
        Some(costs) => (Encoding::Gsm7, costs, 160, 153),
        None => (Encoding::Ucs2, text.chars().map(char::len_utf16).collect(), 70, 67),
    };
    let units = costs.iter().sum();
    let mut segments = 1;
    if units > alone {
        let mut used = 0;
        for cost in costs {
            if used + cost > each {
                segments += 1;
                used = 0;
            }
            used += cost;
        }
    }
    Segments { encoding, units, segments }
}

/// The GSM 7-bit alphabet: a septet each.
pub const BASIC: &str = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?\
                         ¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà";

/// Its extension table: two septets each.
pub const EXTENDED: &str = "\u{c}^{}\\[~]|€";

/// The first character that has no place in the GSM 7-bit alphabet and so makes the whole text more expensive.
pub fn unusual(text: &str) -> Option<char> {
    text.chars().find(|c| septets(*c).is_none())
}

/// How many septets a character takes in the GSM 7-bit alphabet; none if it has no place there.
pub(super) fn septets(c: char) -> Option<usize> {
    if BASIC.contains(c) {
        Some(1)
    } else if EXTENDED.contains(c) {
        Some(2)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_are_counted_as_carriers_do() {
        let count = |text: &str| (segments(text).encoding, segments(text).units, segments(text).segments);
        assert_eq!(count(""), (Encoding::Gsm7, 0, 1));
        assert_eq!(count(&"a".repeat(160)), (Encoding::Gsm7, 160, 1));
        assert_eq!(count(&"a".repeat(161)), (Encoding::Gsm7, 161, 2));
        assert_eq!(count(&"a".repeat(306)), (Encoding::Gsm7, 306, 2));
        assert_eq!(count(&"a".repeat(307)), (Encoding::Gsm7, 307, 3));
        assert_eq!(count("€"), (Encoding::Gsm7, 2, 1));
        // The euro sign's two septets do not straddle two messages.
        assert_eq!(count(&format!("{}€{}", "a".repeat(152), "a".repeat(152))).2, 3);
        assert_eq!(count(&"ж".repeat(70)), (Encoding::Ucs2, 70, 1));
        assert_eq!(count(&"ж".repeat(71)), (Encoding::Ucs2, 71, 2));
        assert_eq!(count(&"🙂".repeat(35)), (Encoding::Ucs2, 70, 1));
        assert_eq!(count(&"🙂".repeat(67)).2, 3);
    }
}
