//! Prompts: WAV files, brought to our codecs once when they are loaded.

use std::collections::BTreeMap;
use std::f64::consts::TAU;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use hound::{SampleFormat, WavReader, WavSpec};
use ring::digest;
use rubato::audioadapter_buffers::direct::InterleavedSlice;
use rubato::{Fft, FixedSync, Resampler, WindowFunction};

use super::codec;
use super::dtmf::tone::frequencies;
use crate::model::{Codec, Digit, Language, PromptCatalog, PromptInfo, PromptKey};

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

    /// A tone of `hz`, 0 to 8,000, for `length` of at most ten minutes, at −13 dBm0 and with soft ends: the signal to
    /// speak after.
    pub fn tone(hz: f64, length: Duration) -> Prompt {
        Prompt::tones(&[hz], length, Duration::ZERO)
    }

    /// What a caller hears while a phone rings (North America: 440 and 480 Hz, 2 s in 6), to be looped.
    pub fn ringback() -> Prompt {
        Prompt::tones(&[440.0, 480.0], Duration::from_secs(2), Duration::from_secs(4))
    }

    /// A short tone.
    pub fn beep(hz: f64) -> Prompt {
        Prompt::tones(&[hz], Duration::from_millis(180), Duration::from_millis(20))
    }

    /// A digit as a phone would sound it, with the pause after it. Encoded at its first use.
    pub(super) fn of_digit(digit: Digit) -> Arc<Prompt> {
        static DIGITS: [OnceLock<Arc<Prompt>>; 16] = [const { OnceLock::new() }; 16];
        let made = || {
            let [on, off] = [100, 80].map(Duration::from_millis);
            Arc::new(Prompt::tones(&frequencies(digit), on, off))
        };
        DIGITS.get(usize::from(digit.event())).map_or_else(made, |once| Arc::clone(once.get_or_init(made)))
    }

    /// All of `hz` at once, then silence.
    fn tones(hz: &[f64], on: Duration, off: Duration) -> Prompt {
        /// Amplitude of each tone: −13 dBm0, where ±1 is +3.
        const LEVEL: f64 = 0.16;
        /// So long it rises and falls, lest it clicks.
        const EDGE: f64 = 0.005;
        let (on, off) = (on.min(LONGEST).max(Duration::from_millis(1)), off.min(LONGEST));
        let seconds = on.as_secs_f64();
        let sample = |i: u32| {
            let at = f64::from(i) / 16_000.0;
            let edge = (at.min(seconds - at) / EDGE).clamp(0.0, 1.0);
            (hz.iter().map(|hz| (TAU * hz * at).sin()).sum::<f64>() * LEVEL * edge) as f32
        };
        let mut mono: Vec<f32> = (0..(seconds * 16_000.0) as u32).map(sample).collect();
        mono.resize(((on + off).as_secs_f64() * 16_000.0) as usize, 0.0);
        let bytes: Vec<u8> = mono.iter().flat_map(|sample| sample.to_le_bytes()).collect();
        Prompt::encode(hex(&bytes), on + off, 16_000, &mono)
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

/// All prompts of the clinic: `LANGUAGE/NAME.wav`, each with its words in `NAME.txt`.
#[derive(Debug, Default)]
pub struct PromptLibrary {
    prompts: BTreeMap<Language, BTreeMap<String, Entry>>,
}

#[derive(Debug)]
struct Entry {
    words: String,
    prompt: Arc<Prompt>,
}

impl PromptLibrary {
    /// Loads what can be loaded and says what could not. Files that are neither `.wav` nor `.txt` and names that
    /// begin with a dot are passed over.
    pub fn load(folder: &Path) -> (PromptLibrary, Vec<PromptError>) {
        let mut library = PromptLibrary::default();
        let mut errors = Vec::new();
        for folder in entries(folder, &mut errors).into_iter().filter(|path| path.is_dir()) {
            match Language::parse(&name(&folder)) {
                Ok(language) => library.load_language(language, &folder, &mut errors),
                Err(_) => errors.push(PromptError::Folder { folder }),
            }
        }
        (library, errors)
    }

    fn load_language(&mut self, language: Language, folder: &Path, errors: &mut Vec<PromptError>) {
        let prompts = self.prompts.entry(language).or_default();
        for file in entries(folder, errors) {
            let Some(stem) = file.file_stem().map(|stem| stem.to_string_lossy().into_owned()) else { continue };
            match file.extension().and_then(|extension| extension.to_str()) {
                Some("wav") => match entry(&file) {
                    Ok(entry) => {
                        prompts.insert(stem, entry);
                    }
                    Err(error) => errors.push(error),
                },
                Some("txt") if !file.with_extension("wav").exists() => errors.push(PromptError::NoRecording { file }),
                _ => {}
            }
        }
    }

    /// The prompt `name` in `language`.
    pub fn find(&self, language: &Language, name: &str) -> Option<Arc<Prompt>> {
        self.prompts.get(language)?.get(name).map(|entry| Arc::clone(&entry.prompt))
    }

    /// What the phone tree needs to know of them.
    pub fn catalog(&self) -> PromptCatalog {
        let entries = self.prompts.iter().flat_map(|(language, prompts)| {
            prompts.iter().map(|(name, entry)| {
                let info = PromptInfo {
                    words: entry.words.clone(),
                    sha256: entry.prompt.sha256.clone(),
                    length: entry.prompt.length,
                };
                (PromptKey { language: language.clone(), name: name.clone() }, info)
            })
        });
        PromptCatalog(entries.collect())
    }
}

fn entry(file: &Path) -> Result<Entry, PromptError> {
    let words = match fs::read_to_string(file.with_extension("txt")) {
        Ok(words) => words.trim().to_owned(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(PromptError::Unreadable { file: file.with_extension("txt"), error }),
    };
    if words.is_empty() {
        return Err(PromptError::NoWords { file: file.to_owned() });
    }
    Ok(Entry { words, prompt: Arc::new(Prompt::load(file)?) })
}

/// What is in a folder, sorted, without hidden names.
fn entries(folder: &Path, errors: &mut Vec<PromptError>) -> Vec<PathBuf> {
    let read = fs::read_dir(folder).and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect());
    let mut paths: Vec<PathBuf> = read.unwrap_or_else(|error| {
        errors.push(PromptError::Unreadable { file: folder.to_owned(), error });
        Vec::new()
    });
    paths.retain(|path| !name(path).starts_with('.'));
    paths.sort();
    paths
}

#[cfg(test)]
mod tests {
    use super::*;
    use hound::WavWriter;
    use proptest::prelude::*;

    fn wav(spec: WavSpec, seconds: f64, level: f64) -> Vec<u8> {
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

    fn spec(sample_rate: u32, channels: u16, bits: u16) -> WavSpec {
        WavSpec { channels, sample_rate, bits_per_sample: bits, sample_format: SampleFormat::Int }
    }

    fn read(bytes: &[u8]) -> Result<Prompt, PromptError> {
        Prompt::read(bytes, Path::new("prompts/en/in.wav"))
    }

    #[test]
    fn made_tones_are_what_they_are_called() {
        let beep = Prompt::tone(1_000.0, Duration::from_millis(250));
        assert_eq!(beep.length(), Duration::from_millis(250));
        let mut samples = [0; 4_000];
        assert_eq!(codec::Decoder::new(Codec::G722).decode(beep.encoded(Codec::G722), &mut samples), 4_000);
        let crossings = samples[400..3_600].windows(2).filter(|pair| pair[0] < 0 && pair[1] >= 0).count();
        assert!((199..=201).contains(&crossings), "{crossings}");
        assert!(Prompt::tone(1_000.0, Duration::ZERO).length() > Duration::ZERO);
        assert_eq!(Prompt::tone(440.0, Duration::from_secs(9_999)).length(), LONGEST);

        let ringback = Prompt::ringback();
        assert_eq!(ringback.length(), Duration::from_secs(6));
        assert_eq!(ringback.encoded(Codec::Pcmu).len(), 48_000);
        assert!(ringback.encoded(Codec::Pcmu)[16_010..].iter().all(|byte| *byte == 0xff));
    }

    #[test]
    fn a_made_digit_is_heard_as_that_digit() {
        for codec in Codec::ALL {
            let mut detector = crate::media::dtmf::ToneDetector::new(8_000);
            let mut decoder = codec::Decoder::narrow(codec);
            let mut heard = Vec::new();
            for digit in Digit::ALL {
                let mut samples = [0; 1_440];
                let decoded = decoder.decode(Prompt::of_digit(digit).encoded(codec), &mut samples);
                detector.samples(&samples[..decoded], |digit| heard.push(digit));
            }
            assert_eq!(heard, Digit::ALL, "{codec:?}");
        }
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

    #[test]
    fn the_library_holds_what_is_whole_and_names_the_rest() {
        let folder = tempfile::tempdir().unwrap();
        let en = folder.path().join("en");
        fs::create_dir_all(&en).unwrap();
        fs::create_dir_all(folder.path().join("not a language")).unwrap();
        let tone = wav(spec(16_000, 1, 16), 0.2, 0.5);
        for stem in ["welcome", "mute"] {
            fs::write(en.join(stem).with_extension("wav"), &tone).unwrap();
        }
        fs::write(en.join("welcome.txt"), " Hello.\n").unwrap();
        fs::write(en.join("silent.txt"), "Hello?").unwrap();
        fs::write(en.join(".hidden.wav"), "x").unwrap();
        let (library, errors) = PromptLibrary::load(folder.path());
        let english = Language::parse("en").unwrap();
        assert!(library.find(&english, "welcome").is_some());
        assert!(library.find(&english, "mute").is_none());
        let catalog = library.catalog();
        let info = catalog.find(&english, "welcome").unwrap();
        assert_eq!((info.words.as_str(), info.length), ("Hello.", Duration::from_millis(200)));
        let sha256 = digest::digest(&digest::SHA256, &tone);
        assert_eq!(info.sha256, sha256.as_ref().iter().map(|b| format!("{b:02x}")).collect::<String>());
        assert_eq!(errors.len(), 3, "{errors:?}");
        assert!(!PromptLibrary::load(Path::new("/nowhere")).1.is_empty());
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
