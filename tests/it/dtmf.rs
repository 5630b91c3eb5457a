//! In-band digits against the limits of ITU-T Q.24. `cargo bench --bench dtmf` prints the same table in finer steps.

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
    println!("{} false digits in {:.1} minutes of speech: {digits:?}", digits.len(), seconds / 60.0);
    // One in ten minutes would be six an hour; the benchmark listens for hours.
    assert!(digits.is_empty(), "{digits:?}");
}
