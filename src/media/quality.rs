//! How a call sounded, by the E-model (ITU-T G.107).

/// A mean opinion score, 1 (bad) to 4.5, for speech in G.711 or better.
///
/// `loss` is the share of packets lost, 0 to 1; `one_way_ms` the delay from mouth to ear.
/// Simplified as usual for VoIP: all else at G.107's defaults, loss taken as random, the receiver conceals lost
/// packets (`Bpl` 25.1, ITU-T G.113 table I.3). G.722 is scored as G.711: its wider band has no place on this scale.
pub fn mos(loss: f64, one_way_ms: f64) -> f64 {
    const R_BEST: f64 = 93.2;
    const ROBUSTNESS: f64 = 25.1;
    let loss = (loss * 100.0).clamp(0.0, 100.0);
    let delay = one_way_ms.max(0.0);
    let delay_impairment = 0.024 * delay + 0.11 * (delay - 177.3).max(0.0);
    let loss_impairment = 95.0 * loss / (loss + ROBUSTNESS);
    let r = (R_BEST - delay_impairment - loss_impairment).clamp(0.0, 100.0);
    // The cubic of G.107 annex B dips below 1 for the smallest R.
    (1.0 + 0.035 * r + r * (r - 60.0) * (100.0 - r) * 7e-6).max(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_scores() {
        for (loss, delay, expected) in [(0.0, 0.0, 4.41), (0.0, 100.0, 4.36), (0.01, 20.0, 4.32), (0.05, 20.0, 3.89)] {
            let score = mos(loss, delay);
            assert!((score - expected).abs() < 0.02, "{loss} {delay}: {score}");
        }
        assert!(mos(0.0, 400.0) < 3.6);
        assert!(mos(1.0, 2_000.0) == 1.0);
    }

    proptest! {
        #[test]
        fn more_loss_or_delay_never_sounds_better(loss in 0.0..1.0f64, delay in 0.0..3_000.0f64, more in 0.0..1.0f64) {
            let score = mos(loss, delay);
            prop_assert!((1.0..=4.5).contains(&score));
            prop_assert!(mos(loss + more, delay) <= score + 0.01);
            prop_assert!(mos(loss, delay + more * 100.0) <= score + 0.01);
        }
    }
}
