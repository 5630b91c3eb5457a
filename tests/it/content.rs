//! What comes with the box, `config/` and `prompts/`: it works as it is, and stays warm, short and even.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use threadline::call::perform::GOODBYE;
use threadline::conversation::closing;
use threadline::conversation::segments::{Encoding, segments};
use threadline::conversation::snippets::{self, Known, for_people};
use threadline::conversation::templates::{Templates, Values, Variable};
use threadline::media::PromptLibrary;
use threadline::model::{Language, PromptCatalog};
use threadline::settings::Settings;
use threadline::tree::{Announced, CALL_RECORDED, Context, Kind, SYSTEM_TROUBLE, Tree};

/// Prompts that are said outside of the tree, when the daemon stops and when something of ours is broken; and one that a
/// clinic may need.
const OUTSIDE: [&str; 3] = [GOODBYE, SYSTEM_TROUBLE, CALL_RECORDED];
/// Music for whoever waits.
const MUSIC: &str = "hold";
/// The level of every prompt, in dB RMS of full scale, and how far one may be from it.
const LEVEL: (f64, f64) = (-22.0, 1.5);

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Loaded once: an unoptimised build takes seconds to resample all prompts.
static SHIPPED: LazyLock<(Settings, PromptCatalog, Templates)> = LazyLock::new(shipped);

fn shipped() -> (Settings, PromptCatalog, Templates) {
    let settings = Settings::load(&root().join("config/threadline.toml")).unwrap_or_else(|p| panic!("{p}"));
    let (library, faulty) = PromptLibrary::load(&settings.clinic.prompts);
    assert!(faulty.is_empty(), "{faulty:?}");
    let templates = Templates::load(&settings.clinic.messages, &settings.clinic.language);
    let (templates, warnings) = templates.unwrap_or_else(|p| panic!("{p}"));
    assert!(warnings.is_empty(), "{warnings:?}");
    (settings, library.catalog(), templates)
}

fn tree() -> Arc<Tree> {
    let (settings, prompts, templates) = &*SHIPPED;
    let context = Context {
        zone: settings.clinic.timezone.clone(),
        country: settings.clinic.country,
        language: settings.clinic.language.clone(),
        prompts,
        messages: &templates.names(),
        // Before every holiday of the file, so that none of them is past.
        today: jiff::civil::date(2026, 11, 1),
    };
    let (tree, warnings) = Tree::load(&settings.clinic.phone_tree, &context).unwrap_or_else(|p| panic!("{p}"));
    assert!(warnings.is_empty(), "{warnings:?}");
    tree
}

#[test]
fn the_clinics_files_are_sound_and_every_prompt_has_its_place() {
    let (settings, prompts, _) = &*SHIPPED;
    let tree = tree();
    let Kind::Play(first) = &tree.node(tree.start()).kind else { panic!("the first node says nothing") };
    let words = &prompts.find(&settings.clinic.language, &first.say[0]).unwrap().words;
    assert!(words.contains("emergency") && words.contains("9 1 1"), "{words}");

    // The clinic may choose between places and minutes.
    let standing = Announced::Wait.prompts();
    let said: BTreeSet<&str> = tree.prompts_used().into_keys().chain(OUTSIDE).chain(standing).collect();
    let recorded: BTreeSet<&str> = prompts.0.keys().map(|key| key.name.as_str()).collect();
    assert_eq!(recorded, said, "recorded on the left, said on the right");
}

#[test]
fn a_prompt_that_offers_a_text_says_so_before_the_key() {
    let (settings, prompts, _) = &*SHIPPED;
    for name in ["welcome", "after_hours", "anything_else", "still_holding", "voicemail", "voicemail_after_hours"] {
        let words = prompts.find(&settings.clinic.language, name).unwrap().words.to_lowercase();
        let (text, key) = (words.find("text"), words.find("press 1"));
        assert!(text.is_some() && text < key, "{words}");
    }
}

#[test]
fn every_message_is_one_plain_sms_that_names_the_clinic_and_what_comes_unasked_the_way_out() {
    let (settings, _, templates) = &*SHIPPED;
    let (tree, known) = (tree(), Known { people: vec!["Maria Lopez".into()] });
    let for_people = for_people(templates, &tree);
    assert!(for_people.iter().any(|name| name == closing::OFFER), "asked before a conversation is closed");
    for (name, languages) in templates.names() {
        for language in languages {
            let target = if language == Language::default() { "15 minutes" } else { "15 minutos" };
            let values = Values::from([
                (Variable::Clinic, settings.clinic.name.clone()),
                (Variable::ResponseTarget, target.to_owned()),
                (Variable::Number, "+1 212 555 0100".to_owned()),
            ]);
            let values = values.with_hours(tree.hours(&[])).with_waiting(Some(17), Duration::from_secs(17 * 60));
            let values = snippets::values(values, &known);
            let text = templates.render(&name, &language, &values).unwrap();
            let cost = segments(&text);
            assert_eq!((cost.encoding, cost.segments), (Encoding::Gsm7, 1), "{name}: {text}");
            assert!(text.starts_with("Riverside Therapy: "), "{name}: {text}");
            let way = if name == "stop_confirmation" { "START" } else { "STOP" };
            assert!(text.contains(way) || for_people.contains(&name), "{name}: {text}");
        }
    }
    for name in ["help", "stop_confirmation", "start_confirmation", "desk_text"] {
        assert!(templates.names().contains_key(name), "{name} answers a keyword, or a key of the desk");
    }
}

#[test]
fn prompts_are_16_khz_even_unclipped_and_begin_at_once() {
    let (_, prompts, _) = &*SHIPPED;
    for (key, info) in prompts.0.iter().filter(|(key, _)| key.name != MUSIC) {
        let file = root().join("prompts").join(key.language.as_str()).join(&key.name).with_extension("wav");
        let samples = samples(&file);
        let (mean, most) = LEVEL;
        let level = rms(&samples);
        assert!((level - mean).abs() <= most, "{}: {level:.1} dB", file.display());
        assert!(samples.iter().all(|sample| sample.unsigned_abs() < 32_000), "{}: clipped", file.display());
        let loud = |sample: &i16| sample.unsigned_abs() > 330;
        let before = samples.iter().position(loud).unwrap();
        let after = samples.iter().rev().position(loud).unwrap();
        // 200 ms of near silence at either end: a soft consonant may be part of it.
        assert!(before < 3_200 && after < 3_200, "{}: {before} and {after} silent samples", file.display());

        // Nobody speaks faster than five words a second, and no prompt of a menu is a lecture.
        let words = info.words.split_whitespace().count() as f64;
        assert!(words / info.length.as_secs_f64() < 5.0, "{}: too fast to be whole", file.display());
        assert!(info.length < Duration::from_secs(15), "{}: {:?}", file.display(), info.length);
    }
}

#[test]
fn music_is_softer_than_words_and_goes_round_without_a_seam() {
    let (settings, prompts, _) = &*SHIPPED;
    let file = root().join("prompts").join(settings.clinic.language.as_str()).join(MUSIC).with_extension("wav");
    let samples = samples(&file);
    let level = rms(&samples);
    assert!((LEVEL.0 - 5.0..LEVEL.0 - 1.0).contains(&level), "{level:.1} dB");
    let length = prompts.find(&settings.clinic.language, MUSIC).unwrap().length;
    assert!((Duration::from_secs(30)..=Duration::from_secs(60)).contains(&length), "{length:?}");
    // From the last sample to the first it goes no further than it does everywhere else.
    let step = |(one, next): (&i16, &i16)| (i32::from(*next) - i32::from(*one)).unsigned_abs();
    let most = samples.iter().zip(&samples[1..]).map(step).max().unwrap();
    assert!(step((samples.last().unwrap(), &samples[0])) <= most / 2);
    // Nor is there a gap.
    let second = &samples[samples.len() - 16_000..];
    assert!(rms(second) > level - 12.0 && rms(&samples[..16_000]) > level - 12.0, "{:.1}", rms(second));
}

fn samples(file: &Path) -> Vec<i16> {
    let mut wav = hound::WavReader::open(file).unwrap();
    let spec = wav.spec();
    assert_eq!((spec.sample_rate, spec.channels, spec.bits_per_sample), (16_000, 1, 16), "{}", file.display());
    wav.samples().map(Result::unwrap).collect()
}

/// dB of full scale.
fn rms(samples: &[i16]) -> f64 {
    let squares: f64 = samples.iter().map(|sample| (f64::from(*sample) / 32_768.0).powi(2)).sum();
    10.0 * (squares / samples.len() as f64).log10()
}
