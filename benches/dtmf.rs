//! The in-band detector's limits in fine steps, its false digits over hours of speech, and what it costs.
//!
//! `cargo bench --bench dtmf`; takes a few minutes.

use std::hint::black_box;
use std::time::{Duration, Instant};

use threadline::model::Digit;

use self::measure::{HEAD, Steps, heard, limits};

#[path = "../tests/it/dtmf/measure.rs"]
mod measure;
#[path = "../tests/it/dtmf/speech.rs"]
mod speech;

fn main() {
    let steps = Steps { deviation: 0.1, decibel: 0.5, duration: 1.0, trials: 40 };
    println!("{HEAD}");
    for digit in Digit::ALL {
        println!("{}", limits(digit, &steps));
    }

    let prompts = speech::prompts();
    let (mut seconds, mut digits) = (0.0, Vec::new());
    for pitch in (0..21).map(|n| 0.75 + 0.025 * f64::from(n)) {
        for (rate, pcm) in &prompts {
            let pcm = speech::repitched(pcm, pitch);
            digits.extend(heard(*rate, &pcm));
            seconds += pcm.len() as f64 / f64::from(*rate);
        }
    }
    report("the prompts at 21 pitches", &digits, seconds);
    let digits: Vec<Digit> = (100..220).flat_map(|seed| heard(8_000, &speech::babble(seed, 60))).collect();
    report("babble", &digits, 7_200.0);

    println!("CPU for a second of audio, against a loop that only squares and sums the same samples:");
    let speech = speech::babble(1, 60);
    let mut random = speech::Random::new(1);
    let noise: Vec<i16> = (0..480_000).map(|_| (1_000.0 * random.gauss()) as i16).collect();
    for (name, pcm) in [("speech", &speech), ("noise", &noise), ("silence", &vec![0; 480_000])] {
        let bare = fastest(|| {
            black_box(black_box(pcm.as_slice()).iter().map(|&s| i64::from(s) * i64::from(s)).sum::<i64>());
        });
        let ours = fastest(|| {
            black_box(heard(8_000, black_box(pcm)));
        });
        println!(
            "  {name:8} {:>6.1} µs, bare {:>4.2} µs, ratio {:>5.1}; one core listens to {:.0} calls",
            ours.as_secs_f64() * 1e6 / 60.0,
            bare.as_secs_f64() * 1e6 / 60.0,
            ours.as_secs_f64() / bare.as_secs_f64(),
            60.0 / ours.as_secs_f64(),
        );
    }
}

fn report(name: &str, digits: &[Digit], seconds: f64) {
    let hours = seconds / 3_600.0;
    println!(
        "{name}: {} false digits in {hours:.2} h, {:.2} an hour {digits:?}",
        digits.len(),
        digits.len() as f64 / hours
    );
}

/// The fastest of many runs: the one that nothing disturbed.
fn fastest(mut run: impl FnMut()) -> Duration {
    (0..20)
        .map(|_| {
            let start = Instant::now();
            run();
            start.elapsed()
        })
        .min()
        .unwrap_or_default()
}
