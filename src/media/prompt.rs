//! Prompts: WAV files, brought to our codecs once when they are loaded. `tones` makes those that are no files, `library` is
//! the clinic's folder of them.

mod library;
mod tones;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hound::{SampleFormat, WavReader, WavSpec};
use ring::digest;
use rubato::audioadapter_buffers::direct::InterleavedSlice;
use rubato::{Fft, FixedSync, Resampler, WindowFunction};

use super::codec;
use crate::model::Codec;

pub use self::library::PromptLibrary;

/// A longer prompt is refused: it would fill 24 KB of memory for each of its seconds.
pub const LONGEST: Duration = Duration::from_secs(600);

/// A larger file is refused unread: ten minutes of 48 kHz stereo in 32 bits fit.
const LARGEST: u64 = 240 << 20;

/// The sampling rates that a WAV file may have.
const RATES: [u32; 4] = [8_000, 16_000, 24_000, 48_000];

/// What is wrong with a prompt.
#[derive(Debug, thiserror::Error)]
pub enum PromptError {
    /// The file or folder cannot be read.
    #[error("{}: {error}", file.display())]
    Unreadable {
        /// Which.
        file: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// It is no WAV file, or of a kind that we do not play.
    #[error("{}: it is {found}; convert it with: sox {} -r 16000 -c 1 -b 16 out.wav", file.display(), name(file))]
    Format {
        /// Which.
        file: PathBuf,
        /// What it is.
        found: String,
    },
    /// It lasts too long, or no time at all.
    #[error("{}: it lasts {} s; a prompt lasts at most {} s and is not empty", file.display(), length.as_secs(), LONGEST.as_secs())]
    Length {
        /// Which.
        file: PathBuf,
        /// How long it lasts.
        length: Duration,
    },
    /// There are no words for a recording.
    #[error("{}: it has no words; write what it says into {}", file.display(), name(&file.with_extension("txt")))]
    NoWords {
        /// The WAV file.
        file: PathBuf,
    },
    /// There is no recording of the words.
    #[error("{}: it has no recording; record it as {}", file.display(), name(&file.with_extension("wav")))]
    NoRecording {
        /// The text file.
        file: PathBuf,
    },
    /// A folder's name is no language.
    #[error("{}: a folder of prompts is named as its language, such as \"en\"", folder.display())]
    Folder {
        /// Which.
        folder: PathBuf,
    },
}

fn name(file: &Path) -> String {
    file.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// A recording in all our codecs, at 64 kbit/s each; its samples are not kept.
pub struct Prompt {
    sha256: String,
    length: Duration,
    pcmu: Box<[u8]>,
    pcma: Box<[u8]>,
    g722: Box<[u8]>,
}

impl std::fmt::Debug for Prompt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Prompt").field("sha256", &self.sha256).field("length", &self.length).finish_non_exhaustive()
    }
}

impl Prompt {
    /// Reads a WAV file: 8, 16, 24 or 48 kHz, mono or stereo, integer samples of 8 to 32 bits or 32-bit float.
    pub fn load(file: &Path) -> Result<Prompt, PromptError> {
        let unreadable = |error| PromptError::Unreadable { file: file.to_owned(), error };
        let size = fs::metadata(file).map_err(unreadable)?.len();
        if size > LARGEST {
            let found = format!("{} MB large, more than {} MB", size >> 20, LARGEST >> 20);
            return Err(PromptError::Format { file: file.to_owned(), found });
        }
        Prompt::read(&fs::read(file).map_err(unreadable)?, file)
    }

    /// As [`Prompt::load`], with the bytes in hand; `file` is only named in errors.
    pub fn read(bytes: &[u8], file: &Path) -> Result<Prompt, PromptError> {
        let format = |found: String| PromptError::Format { file: file.to_owned(), found };
        let mut wav = WavReader::new(bytes).map_err(|error| format(not_wav(&error)))?;
        let spec = wav.spec();
        if !RATES.contains(&spec.sample_rate) || !(1..=2).contains(&spec.channels) {
            return Err(format(describe(spec)));
        }
        let length = Duration::from_secs(1).mul_f64(f64::from(wav.duration()) / f64::from(spec.sample_rate));
        if length > LONGEST || length.is_zero() {
            return Err(PromptError::Length { file: file.to_owned(), length });
        }
        let samples = samples(&mut wav).map_err(|error| format(not_wav(&error)))?;
        let mono: Vec<f32> = samples
            .chunks_exact(usize::from(spec.channels))
            .map(|frame| frame.iter().sum::<f32>() / frame.len() as f32)
            .collect();
        Ok(Prompt::encode(hex(bytes), length, spec.sample_rate, &mono))
    }

    /// A recording that is made rather than read: a tone, a test signal. `rate` is one of 8, 16, 24 and 48 kHz;
    /// another gives `None`, as does an empty or too long one.
    pub fn from_samples(rate: u32, samples: &[i16]) -> Option<Prompt> {
        let length = Duration::from_secs(1).mul_f64(samples.len() as f64 / f64::from(rate.max(1)));
        if !RATES.contains(&rate) || samples.is_empty() || length > LONGEST {
            return None;
        }
        let mono: Vec<f32> = samples.iter().map(|sample| f32::from(*sample) / 32_768.0).collect();
        let bytes: Vec<u8> = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
        Some(Prompt::encode(hex(&bytes), length, rate, &mono))
    }

    fn encode(sha256: String, length: Duration, rate: u32, mono: &[f32]) -> Prompt {
        let narrow = resample(mono, rate, 8_000);
        let wide = resample(mono, rate, 16_000);
        let encode = |codec, samples: &[i16]| codec::encode(codec, samples).into_boxed_slice();
        Prompt {
            sha256,
            length,
            pcmu: encode(Codec::Pcmu, &narrow),
            pcma: encode(Codec::Pcma, &narrow),
            g722: encode(Codec::G722, &wide),
        }
    }

    /// SHA-256 of the file, lowercase hexadecimal.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// How long it plays.
    pub fn length(&self) -> Duration {
        self.length
    }

    /// As `codec` writes it: 8 bytes a millisecond.
    pub fn encoded(&self, codec: Codec) -> &[u8] {
        match codec {
            Codec::Pcmu => &self.pcmu,
            Codec::Pcma => &self.pcma,
            Codec::G722 => &self.g722,
        }
    }
}

/// SHA-256 in lowercase hexadecimal.
fn hex(bytes: &[u8]) -> String {
    digest::digest(&digest::SHA256, bytes).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn not_wav(error: &hound::Error) -> String {
    match error {
        hound::Error::FormatError(what) => format!("not a WAV file ({what})"),
        hound::Error::Unsupported => "a WAV file in a compressed or unknown format".to_owned(),
        hound::Error::IoError(_) => "a WAV file that is cut off".to_owned(),
        other => format!("a WAV file that cannot be read ({other})"),
    }
}

fn describe(spec: WavSpec) -> String {
    let channels = match spec.channels {
        1 => "mono".to_owned(),
        2 => "stereo".to_owned(),
        n => format!("{n} channels"),
    };
    format!("{} Hz {channels}, not 8, 16, 24 or 48 kHz mono or stereo", spec.sample_rate)
}

/// All samples, interleaved, scaled to ±1.
fn samples(wav: &mut WavReader<&[u8]>) -> Result<Vec<f32>, hound::Error> {
    let spec = wav.spec();
    match spec.sample_format {
        SampleFormat::Float => wav.samples::<f32>().collect(),
        SampleFormat::Int => {
            let full_scale = 2f64.powi(i32::from(spec.bits_per_sample) - 1);
            wav.samples::<i32>().map(|sample| Ok((f64::from(sample?) / full_scale) as f32)).collect()
        }
    }
}

/// Brings samples of ±1 to another rate, and to 16 bits.
fn resample(mono: &[f32], from: u32, to: u32) -> Vec<i16> {
    let to_i16 = |sample: &f32| (sample * 32_768.0).round().clamp(-32_768.0, 32_767.0) as i16;
    if from == to {
        return mono.iter().map(to_i16).collect();
    }
    // The rates are our own and the slice is as long as it says: neither call can fail.
    // A block of 960 is whole and even at every one of them, so that the filter's delay is whole samples.
    let resampler = Fft::<f32>::new_custom(
        from as usize,
        to as usize,
        960,
        1,
        1,
        WindowFunction::BlackmanHarris2,
        FixedSync::Input,
    );
    let input = InterleavedSlice::new(mono, 1, mono.len());
    let (Ok(mut resampler), Ok(input)) = (resampler, input) else { return Vec::new() };
    match resampler.process_all(&input, mono.len(), None) {
        Ok(output) => output.take_data().iter().map(to_i16).collect(),
        Err(_) => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hound::WavWriter;
    use proptest::prelude::*;

    pub fn wav(spec: WavSpec, seconds: f64, level: f64) -> Vec<u8> {
        let mut bytes = io::Cursor::new(Vec::new());
        let mut writer = WavWriter::new(&mut bytes, spec).unwrap();
        for i in 0..(f64::from(spec.sample_rate) * seconds) as u32 {
            let value = level * (2.0 * std::f64::consts::PI * 440.0 * f64::from(i) / f64::from(spec.sample_rate)).sin();
            for _ in 0..spec.channels {
                match spec.sample_format {
                    SampleFormat::Float => writer.write_sample(value as f32).unwrap(),
                    SampleFormat::Int => {
                        let scale = 2f64.powi(i32::from(spec.bits_per_sample) - 1) - 1.0;
                        writer.write_sample((value * scale) as i32).unwrap();
                    }
                }
            }
        }
        writer.finalize().unwrap();
        bytes.into_inner()
    }

    pub fn spec(sample_rate: u32, channels: u16, bits: u16) -> WavSpec {
        WavSpec { channels, sample_rate, bits_per_sample: bits, sample_format: SampleFormat::Int }
    }

    fn read(bytes: &[u8]) -> Result<Prompt, PromptError> {
        Prompt::read(bytes, Path::new("prompts/en/in.wav"))
    }

    #[test]
    fn every_accepted_kind_becomes_the_same_tone() {
        let reference = read(&wav(spec(16_000, 1, 16), 0.5, 0.5)).unwrap();
        let float = WavSpec { sample_format: SampleFormat::Float, ..spec(48_000, 1, 32) };
        let mut kinds: Vec<WavSpec> = RATES.iter().flat_map(|rate| [spec(*rate, 1, 16), spec(*rate, 2, 16)]).collect();
        kinds.extend([spec(16_000, 1, 8), spec(16_000, 1, 24), spec(16_000, 2, 32), float]);
        for kind in kinds {
            let prompt = read(&wav(kind, 0.5, 0.5)).unwrap();
            assert_eq!(prompt.length(), Duration::from_millis(500), "{kind:?}");
            for codec in Codec::ALL {
                assert_eq!(prompt.encoded(codec).len(), 4_000, "{kind:?} {codec:?}");
            }
            let mut decoder = codec::Decoder::new(Codec::Pcma);
            let (mut is, mut should) = ([0; 4_000], [0; 4_000]);
            decoder.decode(prompt.encoded(Codec::Pcma), &mut is);
            decoder.decode(reference.encoded(Codec::Pcma), &mut should);
            // The ends of the recording ring in the filters; the middle is the tone, sample by sample.
            let worst = (400..3_600).map(|i| (i32::from(is[i]) - i32::from(should[i])).abs()).max();
            assert!(worst < Some(1_200), "{kind:?}: {worst:?}");
        }
    }

    #[test]
    fn what_cannot_be_played_is_named_with_the_cure() {
        let cases = [
            (wav(spec(44_100, 1, 16), 0.1, 0.5), "44100 Hz mono"),
            (wav(spec(16_000, 6, 16), 0.1, 0.5), "6 channels"),
            (b"ID3 this is an MP3".to_vec(), "not a WAV file"),
            (Vec::new(), "WAV file"),
            (wav(spec(16_000, 1, 16), 0.1, 0.5)[..1_000].to_vec(), "cut off"),
        ];
        for (bytes, expected) in cases {
            let error = read(&bytes).unwrap_err().to_string();
            assert!(error.starts_with("prompts/en/in.wav: ") && error.contains(expected), "{error}");
            assert!(error.ends_with("sox in.wav -r 16000 -c 1 -b 16 out.wav"), "{error}");
        }
        assert!(matches!(read(&wav(spec(8_000, 1, 8), 0.0, 0.5)), Err(PromptError::Length { .. })));
        assert!(matches!(read(&wav(spec(8_000, 1, 8), 601.0, 0.0)), Err(PromptError::Length { .. })));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn a_damaged_file_never_panics(at in 0usize..60, value in any::<u8>(), cut in 0usize..200) {
            let mut bytes = wav(spec(8_000, 1, 16), 0.01, 0.5);
            bytes[at % 44] = value;
            bytes.truncate(bytes.len() - cut.min(bytes.len()));
            let _ = read(&bytes);
        }
    }
}
