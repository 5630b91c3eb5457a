//! In-band digits against the limits of ITU-T Q.24. `cargo bench --bench dtmf` prints the same table in finer steps.

use std::f64::consts::TAU;

use audio_codec::{CodecType, create_decoder, create_encoder};
use threadline::model::Digit;

use self::measure::{HEAD, Limits, Steps, heard, limits};

mod measure;
mod speech;

#[test]
fn tones_are_heard_within_q24_and_not_outside() {
    let steps = Steps { deviation: 0.5, decibel: 2.0, duration: 5.0, trials: 4 };
    // Two halves, for two processors.
    let (first, second) = Digit::ALL.split_at(8);
    let table: Vec<Limits> = std::thread::scope(|scope| {
        let second = scope.spawn(|| second.iter().map(|&digit| limits(digit, &steps)).collect::<Vec<_>>());
        let mut table: Vec<_> = first.iter().map(|&digit| limits(digit, &steps)).collect();
        table.extend(second.join().unwrap());
        table
    });
    println!("{HEAD}");
    for limits in &table {
        println!("{limits}");
    }
    for limits in &table {
        assert!(limits.accepted_deviation.0 <= -1.5 && limits.accepted_deviation.1 >= 1.5, "{limits:?}");
        assert!(limits.rejected_deviation.0 >= -3.5 && limits.rejected_deviation.1 <= 3.5, "{limits:?}");
        assert!(limits.normal_twist >= 8.0 && limits.reverse_twist >= 4.0, "{limits:?}");
        assert!(limits.shortest_accepted <= 40.0 && limits.longest_rejected >= 20.0, "{limits:?}");
        assert!(limits.dynamic_range >= 35.0, "{limits:?}");
        assert!(limits.signal_to_noise <= 15.0, "{limits:?}");
    }
}

#[test]
fn tones_are_heard_through_every_codec() {
    const LOW: [f64; 4] = [697.0, 770.0, 852.0, 941.0];
    const HIGH: [f64; 4] = [1_209.0, 1_336.0, 1_477.0, 1_633.0];
    for (codec, rate) in [(CodecType::PCMU, 8_000), (CodecType::PCMA, 8_000), (CodecType::G722, 16_000)] {
        let mut pcm = Vec::new();
        for (low, high) in LOW.into_iter().flat_map(|low| HIGH.map(|high| (low, high))) {
            let wave = |hz: f64, t: usize| (TAU * hz * t as f64 / f64::from(rate)).sin();
            pcm.extend((0..rate as usize / 25).map(|t| (3_000.0 * (wave(low, t) + wave(high, t))) as i16));
            pcm.extend(vec![0; rate as usize / 25]);
        }
        let decoded = create_decoder(codec).decode(&create_encoder(codec).encode(&pcm));
        let digits: String = heard(rate, &decoded).iter().map(ToString::to_string).collect();
        assert_eq!(digits, "123A456B789C*0#D", "{codec:?}");
    }
}

#[test]
fn speech_is_not_digits() {
    let mut seconds = 0.0;
    let mut digits = Vec::new();
    for (rate, pcm) in speech::prompts() {
        digits.extend(heard(rate, &pcm));
        digits.extend(heard(rate, &speech::repitched(&pcm, 1.25)));
        seconds += pcm.len() as f64 * 1.8 / f64::from(rate);
    }
    for seed in 0..10 {
        digits.extend(heard(8_000, &speech::babble(seed, 60)));
        seconds += 60.0;
    }
    let hours = seconds / 3_600.0;
    println!("{:.1} false digits an hour, heard in {hours:.2} h of speech: {digits:?}", digits.len() as f64 / hours);
    // One in ten minutes would be six an hour; the benchmark listens for hours.
    assert!(digits.is_empty(), "{digits:?}");
}
