//! The ladder: a column for each party, an arrow for each message.

use std::collections::HashSet;
use std::fmt::Write;
use std::net::SocketAddr;

use jiff::tz::TimeZone;

use super::cseq_method;
use crate::call::trace::{CALLER, TraceLine, Way};

/// The column of the times, with the space behind it.
const TIMES: usize = 10;
/// Between two parties, at least and at most.
const PITCH: std::ops::RangeInclusive<usize> = 16..=34;

/// Another end of the call: a phone that rang at two of its devices is two of them.
#[derive(PartialEq, Eq)]
struct Party<'a> {
    leg: &'a str,
    /// Of the caller there is but one, wherever they speak from.
    peer: Option<SocketAddr>,
}

impl<'a> Party<'a> {
    fn of(line: &'a TraceLine) -> Party<'a> {
        Party { leg: &line.leg, peer: (line.leg != CALLER).then_some(line.peer) }
    }
}

/// Draws the ladder of a call in `width` characters, or in as many as its parties need.
pub fn ladder(call: &str, lines: &[TraceLine], zone: &TimeZone, width: usize) -> String {
    let Some(first) = lines.first() else { return "Nothing was said.\n".to_owned() };
    let begun = lines.iter().find(|line| line.message.starts_with("INVITE ")).unwrap_or(first).at;
    let mut parties: Vec<Party> = vec![];
    for line in lines {
        let party = Party::of(line);
        if !parties.contains(&party) {
            parties.push(party);
        }
    }
    // Whoever called stands on the left of us, whoever was called on the right: a call that we place has nobody there.
    let called = usize::from(first.leg == CALLER || first.direction == Way::Received);
    let columns = parties.len() + 1;
    let column = |party: &Party| {
        let at = parties.iter().position(|other| other == party).unwrap_or(0);
        if at < called { at } else { at + 1 }
    };

    let when = begun.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S%.3f %Z");
    let mut text = format!("Call {call}, {when}\n\n");
    let mut names: Vec<String> = parties.iter().map(|party| name(party, &parties)).collect();
    names.insert(called.min(names.len()), "Threadline".to_owned());
    let last = names.last().map_or(0, |name| name.chars().count());
    let pitch = (width.saturating_sub(TIMES + last) / (columns - 1)).clamp(*PITCH.start(), *PITCH.end());
    let mut heads = format!("{:>width$}  ", "ms", width = TIMES - 2);
    for (at, name) in names.iter().enumerate() {
        let room = if at + 1 == names.len() { width - (TIMES + at * pitch).min(width - pitch) } else { pitch - 1 };
        let _ = write!(heads, "{:<pitch$}", shortened(name, room));
    }
    text += heads.trim_end();
    text.push('\n');
    let mut said = HashSet::new();
    let mut reasons = String::new();
    for line in lines {
        let ms = line.at.duration_since(begun).as_millis();
        // The network lost it, or its answer.
        let again = !said.insert((&line.call_id, line.direction == Way::Sent, line.peer, &line.message));
        let more = if again { " again" } else { "" };
        // Space, dash and the arrow's head stand on its sides.
        let words = format!(" {}{more} ", label(line, pitch - 5 - more.len()));
        let row = arrow(column(&Party::of(line)), called, line.direction, &words, columns, pitch);
        let _ = writeln!(text, "{ms:>width$}  {row}", width = TIMES - 2);
        if let Some(reason) = reason(&line.message).filter(|_| !again) {
            let reason = format!("{} {}: {reason}", line.leg, label(line, width));
            reasons += &wrapped(&format!("{ms:>width$}  ", width = TIMES - 2), &reason, width);
        }
    }
    if !reasons.is_empty() {
        text += &format!("\nReasons that were given:\n{reasons}");
    }
    if lines.iter().any(|line| line.masked) {
        text += "\nDigits are masked.\n";
    }
    text
}

/// Why it ended so, in the words of whoever said it: of BYE and of refusals, their Warning (RFC 3261 section 20.43) or
/// else their Reason (RFC 3326).
fn reason(message: &str) -> Option<String> {
    let (first, head) = message.split_once('\n')?;
    let refused = first.strip_prefix("SIP/2.0 ").is_some_and(|status| status.starts_with(['3', '4', '5', '6']));
    if !refused && !first.starts_with("BYE ") {
        return None;
    }
    let value = |wanted: &str| {
        let lines = head.lines().take_while(|line| !line.is_empty());
        let mut fields = lines.filter_map(|line| line.split_once(':'));
        fields.find(|(name, _)| name.trim().eq_ignore_ascii_case(wanted)).map(|(_, value)| value.trim())
    };
    let quoted = |value: &str| value.split('"').nth(1).filter(|text| !text.is_empty()).map(str::to_owned);
    let warning = value("Warning").map(|warning| quoted(warning).unwrap_or_else(|| warning.to_owned()));
    warning.or_else(|| value("Reason").map(str::to_owned))
}

/// A text behind `before`, in lines of `width` characters that begin under its first.
fn wrapped(before: &str, text: &str, width: usize) -> String {
    let indent = before.chars().count();
    let (mut all, mut at) = (before.to_owned(), indent);
    for word in text.split_whitespace() {
        let length = word.chars().count();
        if at > indent && at + 1 + length > width {
            all += &format!("\n{:indent$}", "");
            at = indent;
        }
        if at > indent {
            all.push(' ');
            at += 1;
        }
        all += word;
        at += length;
    }
    all + "\n"
}

/// A party's name, with its place among those of the same name.
fn name(party: &Party, parties: &[Party]) -> String {
    let same: Vec<_> = parties.iter().filter(|other| other.leg == party.leg).collect();
    let at = same.iter().position(|other| *other == party).unwrap_or(0);
    if at == 0 { party.leg.to_owned() } else { format!("{} ({})", party.leg, at + 1) }
}

fn shortened(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most.saturating_sub(1)).chain(['…']).collect()
}

/// `INVITE sdp`, `180 Ringing`; of a response to anything but INVITE also to what: `200 OK (BYE)`. As much of it as there
/// is `room`.
fn label(line: &TraceLine, room: usize) -> String {
    let message = &line.message;
    let mut words = message.lines().next().unwrap_or_default().splitn(3, ' ');
    let (first, second, third) = (words.next().unwrap_or_default(), words.next(), words.next());
    let (long, short) = match (first, second) {
        ("SIP/2.0", Some(status)) => {
            let phrase = third.unwrap_or_default();
            match cseq_method(message).filter(|method| *method != "INVITE") {
                Some(of) => (format!("{status} {phrase} ({of})"), format!("{status} ({of})")),
                None => (format!("{status} {phrase}"), String::new()),
            }
        }
        (method, _) => (method.to_owned(), String::new()),
    };
    let with_sdp = if message.contains("\nm=audio") { format!("{long} sdp") } else { String::new() };
    let fits = |label: &&String| !label.is_empty() && label.chars().count() <= room;
    [&with_sdp, &long, &short].into_iter().find(fits).cloned().unwrap_or_else(|| shortened(&long, room))
}

/// The arrow between us and the party of `column`, over whoever stands between; the words stand beside the party.
fn arrow(column: usize, ours: usize, way: Way, words: &str, columns: usize, pitch: usize) -> String {
    let mut row: Vec<char> = vec![' '; (columns - 1) * pitch + 1];
    for at in 0..columns {
        row[at * pitch] = '|';
    }
    let (left, right) = (column.min(ours) * pitch, column.max(ours) * pitch);
    row[left + 1..right].fill('-');
    // Towards us where it was received.
    if (column < ours) == (way == Way::Received) {
        row[right - 1] = '>';
    } else {
        row[left + 1] = '<';
    }
    let words: Vec<char> = words.chars().collect();
    let segment = if column < ours { column * pitch } else { (column - 1) * pitch };
    let start = segment + (pitch + 1 - words.len()) / 2;
    row[start..start + words.len()].copy_from_slice(&words);
    row.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(ms: i64, leg: &str, direction: Way, port: u16, message: &str) -> TraceLine {
        let at: jiff::Timestamp = "2026-11-02T14:00:00.250Z".parse().unwrap();
        TraceLine {
            at: at + jiff::SignedDuration::from_millis(ms),
            leg: leg.to_owned(),
            direction,
            peer: SocketAddr::from(([127, 0, 0, 1], port)),
            local: SocketAddr::from(([127, 0, 0, 1], 5060)),
            transport: "udp".to_owned(),
            call_id: leg.to_owned(),
            masked: message.starts_with("INFO"),
            message: message.to_owned(),
        }
    }

    #[test]
    fn both_legs_are_drawn_with_their_times() {
        use Way::{Received, Sent};
        let lines = [
            line(0, CALLER, Received, 5070, "INVITE sip:a SIP/2.0\r\n\r\nv=0\r\nm=audio 1 RTP/AVP 0\r\n"),
            line(1, CALLER, Sent, 5070, "SIP/2.0 100 Trying\r\nCSeq: 1 INVITE\r\n\r\n"),
            line(12, CALLER, Sent, 5070, "SIP/2.0 200 OK\r\nCSeq: 1 INVITE\r\n\r\nv=0\r\nm=audio 1 RTP/AVP 0\r\n"),
            line(20, CALLER, Received, 5070, "ACK sip:a SIP/2.0\r\n\r\n"),
            line(900, CALLER, Received, 5070, "INFO sip:a SIP/2.0\r\n\r\nSignal=*\r\n"),
            line(1_000, "extension:201", Sent, 5071, "INVITE sip:b SIP/2.0\r\n\r\n"),
            line(1_001, "extension:201", Sent, 5072, "INVITE sip:b SIP/2.0\r\n\r\n"),
            line(1_080, "extension:201", Received, 5072, "SIP/2.0 180 Ringing\r\ncseq : 1 INVITE\r\n\r\n"),
            line(61_500, CALLER, Received, 5070, "BYE sip:a SIP/2.0\r\n\r\n"),
            line(61_501, CALLER, Sent, 5070, "SIP/2.0 200 OK\r\nCSeq: 2 BYE\r\n\r\n"),
        ];
        let expected = "\
Call 0199, 2026-11-02 09:00:00.250 EST

      ms  caller           Threadline       extension:201    extension:201 (2)
       0  |-- INVITE sdp ->|                |                |
       1  |<- 100 Trying --|                |                |
      12  |<- 200 OK sdp --|                |                |
      20  |----- ACK ----->|                |                |
     900  |----- INFO ---->|                |                |
    1000  |                |---- INVITE --->|                |
    1001  |                |--------------------- INVITE --->|
    1080  |                |<----------------- 180 Ringing --|
   61500  |----- BYE ----->|                |                |
   61501  |< 200 OK (BYE) -|                |                |

Digits are masked.
";
        let zone = TimeZone::get("America/New_York").unwrap();
        let drawn = ladder("0199", &lines, &zone, 80);
        assert_eq!(drawn, expected, "\n{drawn}");
    }

    #[test]
    fn a_refusal_says_why_and_what_was_said_again_is_seen() {
        use Way::{Received, Sent};
        let refused = "SIP/2.0 488 Not Acceptable Here\r\nCSeq: 1 INVITE\r\n\
                       warning : 399 threadline \"no codec in common; allow PCMU, PCMA or G722 at the trunk\"\r\n\r\n";
        let taken = "SIP/2.0 202 Accepted\r\nCSeq: 2 NOTIFY\r\n\r\n";
        let lines = [
            line(0, CALLER, Received, 5070, "INVITE sip:a SIP/2.0\r\n\r\nv=0\r\nm=audio 1 RTP/AVP 18\r\n"),
            line(500, CALLER, Received, 5070, "INVITE sip:a SIP/2.0\r\n\r\nv=0\r\nm=audio 1 RTP/AVP 18\r\n"),
            line(510, CALLER, Sent, 5070, refused),
            line(1_010, CALLER, Sent, 5070, refused),
            line(
                1_020,
                "extension:201",
                Sent,
                5071,
                "BYE sip:b SIP/2.0\r\nReason: Q.850;cause=16\r\n\r\nWarning: 1\r\n",
            ),
            line(1_030, "extension:203", Received, 5072, taken),
            line(1_040, "extension:203", Received, 5072, "SIP/2.0 486 Busy Here\r\nCSeq: 1 INVITE\r\n\r\n"),
        ];
        let expected = "
       0  |--- INVITE sdp -->|                  |                  |
     500  |-- INVITE again ->|                  |                  |
     510  |< 488 Not Accep… -|                  |                  |
    1010  |< 488 Not… again -|                  |                  |
    1020  |                  |------ BYE ------>|                  |
    1030  |                  |<-------------------- 202 (NOTIFY) --|
    1040  |                  |<------------------- 486 Busy Here --|

Reasons that were given:
     510  caller 488 Not Acceptable Here: no codec in common; allow PCMU, PCMA
          or G722 at the trunk
    1020  extension:201 BYE: Q.850;cause=16
";
        let drawn = ladder("0199", &lines, &TimeZone::UTC, 80);
        assert_eq!(drawn.split_once("extension:203").unwrap().1, expected, "\n{drawn}");
    }

    #[test]
    fn a_call_that_we_place_has_nobody_on_the_left_and_odd_messages_do_no_harm() {
        let lines = [
            line(0, "+12125550142", Way::Sent, 5070, "INVITE sip:a SIP/2.0\r\n\r\n"),
            line(3, "+12125550142", Way::Received, 5070, &format!("SIP/2.0 404 {}\r\n\r\n", "ü".repeat(300))),
            line(4, "+12125550142", Way::Received, 5070, ""),
        ];
        let drawn = ladder("0199", &lines, &TimeZone::UTC, 80);
        assert!(drawn.contains("  Threadline "), "{drawn}");
        assert!(drawn.lines().skip(2).all(|line| line.chars().count() <= 80), "{drawn}");
        assert!(drawn.contains("| --") || drawn.contains("|--"), "{drawn}");
        assert_eq!(ladder("0199", &[], &TimeZone::UTC, 80), "Nothing was said.\n");
    }
}
