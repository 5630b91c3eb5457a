//! What each fuzz target does with its input; the ordinary tests do the same with the corpus.

use std::collections::BTreeMap;
use std::path::Path;

use threadline::conversation::templates::Templates;
use threadline::media::dtmf::{EventDetector, info};
use threadline::model::{Language, PromptCatalog};
use threadline::settings::{SecretPlaces, Settings};
use threadline::tree::{Context, Tree};

/// What the fuzzer calls with each input.
type Target = fn(&[u8]);

/// One for each folder of `corpus/`, under its name.
const TARGETS: [(&str, Target); 5] = [
    ("sip", threadline::sip::exercise),
    ("sdp", threadline::sip::sdp::exercise),
    ("rtp", threadline::media::exercise),
    ("dtmf_events", dtmf_events),
    ("toml", toml),
];

/// Calls the target of that name; `false`: there is none.
pub fn run(name: &str, data: &[u8]) -> bool {
    let target = TARGETS.iter().find(|(known, _)| *known == name);
    target.map(|(_, run)| run(data)).is_some()
}

/// Telephone-event packets one after the other, ten bytes each: sequence number, timestamp, payload.
fn dtmf_events(data: &[u8]) {
    let mut detector = EventDetector::new();
    let (mut packets, mut digits) = (0, 0);
    for packet in data.chunks(10) {
        let Some((&[s0, s1, t0, t1, t2, t3], payload)) = packet.split_first_chunk() else { continue };
        let (sequence, timestamp) = (u16::from_be_bytes([s0, s1]), u32::from_be_bytes([t0, t1, t2, t3]));
        packets += 1;
        digits += usize::from(detector.packet(sequence, timestamp, payload).is_some());
        // The same packet again is the same press.
        assert!(detector.packet(sequence, timestamp, payload).is_none());
    }
    assert!(digits <= packets);
    for content_type in ["application/dtmf-relay", "application/dtmf"] {
        let _ = info::parse(content_type, data);
    }
}

/// The admin's three files, each from the same text.
fn toml(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let file = Path::new("/nowhere/file.toml");
    let secrets = SecretPlaces { folder: "/nowhere".into(), credentials: None, environment: |_| None };
    let language = Language::parse("en").expect("a language");
    let mut problems = Vec::new();
    match Settings::parse(file, text, &secrets) {
        Ok(settings) => assert!(!settings.sip.listen.is_empty()),
        Err(found) => problems.extend(found.0),
    }
    problems.extend(Templates::parse(file, text, &language).err().into_iter().flat_map(|found| found.0));
    let context = Context {
        zone: jiff::tz::TimeZone::get("America/New_York").expect("a zone"),
        country: "US".parse().expect("a country"),
        language,
        prompts: &PromptCatalog::default(),
        messages: &BTreeMap::new(),
        today: jiff::civil::date(2026, 11, 24),
    };
    problems.extend(Tree::parse(file, text, &context).err().into_iter().flat_map(|found| found.0));
    for problem in problems {
        assert!(!problem.message.is_empty() && problem.line <= text.lines().count() + 1, "{problem:?}");
    }
}
