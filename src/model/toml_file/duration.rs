//! Time spans as people write them: `4s`, `10m`, `1m30s`.

use std::time::Duration;

/// Reads `4s`, `10m`, `24h`, `7d`, `500ms`, `1m30s`.
pub fn duration(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    let mut all: Option<Duration> = None;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: u64 = rest[..digits].parse().ok()?;
        let unit_end = rest[digits..].find(|c: char| !c.is_ascii_alphabetic()).map_or(rest.len(), |at| digits + at);
        let part = match &rest[digits..unit_end] {
            "ms" => Duration::from_millis(number),
            "s" => Duration::from_secs(number),
            "m" => Duration::from_secs(number.checked_mul(60)?),
            "h" => Duration::from_secs(number.checked_mul(3_600)?),
            "d" => Duration::from_secs(number.checked_mul(86_400)?),
            _ => return None,
        };
        all = Some(all.unwrap_or_default().checked_add(part)?);
        rest = rest[unit_end..].trim_start();
    }
    all
}

/// The largest unit that writes it in whole numbers.
pub(super) fn shown(duration: Duration) -> String {
    let (seconds, millis) = (duration.as_secs(), duration.as_millis());
    match seconds {
        0 if millis > 0 => format!("\"{millis}ms\""),
        // A day is written "24h", as people do; what is longer in days.
        s if s > 86_400 && s % 86_400 == 0 => format!("\"{}d\"", s / 86_400),
        s if s > 0 && s % 3_600 == 0 => format!("\"{}h\"", s / 3_600),
        s if s > 0 && s % 60 == 0 => format!("\"{}m\"", s / 60),
        s => format!("\"{s}s\""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_people_write_them() {
        for (text, seconds) in
            [("4s", 4), ("10m", 600), ("24h", 86_400), ("1m30s", 90), ("1h 5m", 3_900), ("2d", 172_800)]
        {
            assert_eq!(duration(text), Some(Duration::from_secs(seconds)), "{text}");
        }
        assert_eq!(duration("500ms"), Some(Duration::from_millis(500)));
        for bad in ["", "4", "s", "4 s", "-4s", "1.5s", "4 weeks", "99999999999999999999s", "99999999999999999d"] {
            assert_eq!(duration(bad), None, "{bad}");
        }
    }
}
