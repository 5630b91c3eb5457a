//! Speech for the in-band detector not to hear digits in: the house's own prompts where they are present, and a seeded
//! babble, made the way a throat makes speech (a pulse train or breath through moving resonances).

use std::f64::consts::TAU;
use std::path::Path;

/// Numbers that are the same on every run (SplitMix64).
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Random {
        Random(seed)
    }

    /// 0 to 1.
    pub fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Mean 0, deviation 1.
    pub fn gauss(&mut self) -> f64 {
        (-2.0 * (1.0 - self.unit()).ln()).sqrt() * (TAU * self.unit()).cos()
    }

    fn between(&mut self, from: f64, to: f64) -> f64 {
        from + (to - from) * self.unit()
    }
}

/// One resonance of a vocal tract.
#[derive(Clone, Copy, Default)]
struct Formant {
    hz: f64,
    width: f64,
    past: [f64; 2],
}

impl Formant {
    fn filter(&mut self, x: f64) -> f64 {
        let r = (-std::f64::consts::PI * self.width / 8_000.0).exp();
        let y = (1.0 - r) * x + 2.0 * r * (TAU * self.hz / 8_000.0).cos() * self.past[0] - r * r * self.past[1];
        self.past = [y, self.past[0]];
        y
    }
}

/// `seconds` of babble at 8 kHz: sounds of 40 to 300 ms, voiced at 70 to 350 Hz, breathed, hummed or silent, each gliding
/// to its own resonances.
pub fn babble(seed: u64, seconds: usize) -> Vec<i16> {
    let mut random = Random::new(seed);
    let mut tract = [Formant::default(); 4];
    let mut pitch = 120.0;
    let mut phase = 0.0;
    let mut pcm = Vec::with_capacity(seconds * 8_000);
    while pcm.len() < seconds * 8_000 {
        let length = random.between(320.0, 2_400.0) as usize;
        let kind = random.unit();
        let (voiced, breath) = match kind {
            ..0.70 => (1.0, 0.02),
            ..0.80 => (0.6, 0.3),
            ..0.90 => (0.0, 0.5),
            _ => (0.0, 0.0),
        };
        let target = random.between(70.0, 350.0);
        let glide = (target - pitch) * random.unit() / length as f64;
        let hz = [
            random.between(250.0, 950.0),
            random.between(800.0, 2_300.0),
            random.between(1_800.0, 3_000.0),
            random.between(3_000.0, 3_800.0),
        ];
        // A hum or a whistle rings: narrow resonances are what comes nearest to tones.
        let narrow = if random.unit() < 0.15 { 0.25 } else { 1.0 };
        let step: [f64; 4] = std::array::from_fn(|n| (hz[n] - tract[n].hz) / (length as f64 * 0.4));
        for (n, formant) in tract.iter_mut().enumerate() {
            formant.width = narrow * (60.0 + 40.0 * n as f64);
        }
        let loud = 10_f64.powf(random.between(-1.2, 0.3));
        for t in 0..length {
            if t < (length as f64 * 0.4) as usize {
                for (formant, step) in tract.iter_mut().zip(step) {
                    formant.hz += step;
                }
            }
            pitch += glide;
            phase += pitch / 8_000.0;
            let pulse = if phase >= 1.0 { 30.0 } else { 0.0 };
            phase -= phase.floor();
            let fade = (t.min(length - t) as f64 / 80.0).min(1.0);
            let source = fade * (voiced * pulse + breath * random.gauss());
            let sound: f64 = tract.iter_mut().enumerate().map(|(n, f)| f.filter(source) / (1.0 + 0.5 * n as f64)).sum();
            pcm.push((sound * loud * 6_000.0) as i16);
        }
        if pitch < 60.0 {
            pitch = 70.0;
        }
    }
    pcm.truncate(seconds * 8_000);
    pcm
}

/// The house's prompts that are at 8 or 16 kHz, mono: rate and samples. Empty if there are none.
pub fn prompts() -> Vec<(u32, Vec<i16>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("prompts/en");
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    paths
        .iter()
        .filter(|path| path.extension().is_some_and(|extension| extension == "wav"))
        .filter_map(|path| {
            let mut wav = hound::WavReader::open(path).ok()?;
            let spec = wav.spec();
            let fits = spec.channels == 1 && spec.bits_per_sample == 16 && [8_000, 16_000].contains(&spec.sample_rate);
            fits.then(|| (spec.sample_rate, wav.samples::<i16>().flatten().collect()))
        })
        .collect()
}

/// The same speech by a voice `pitch` times as high, speaking as much faster.
pub fn repitched(pcm: &[i16], pitch: f64) -> Vec<i16> {
    (0..(pcm.len() as f64 / pitch) as usize)
        .map_while(|t| {
            let at = t as f64 * pitch;
            let (a, b) = (f64::from(*pcm.get(at as usize)?), f64::from(*pcm.get(at as usize + 1)?));
            Some((a + (b - a) * at.fract()) as i16)
        })
        .collect()
}
