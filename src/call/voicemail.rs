//! A message that a caller leaves: the tone, the recording, when it ends by itself, and its file.

use std::future::Future;
use std::io::Cursor;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use tracing::info;

use super::Line;
use crate::ivr::{MessageRequest, RecordRequest, TONE};
use crate::media::{PlayId, Prompt, Recording, Session};
use crate::model::{CallStart, ThreadId, VoicemailId};
use crate::sms::compose::spoken::{self, LeftMessage};
use crate::store::audio::Audio;

/// The pitch of the tone after the greeting.
const TONE_HZ: f64 = 880.0;
/// How often one looks whether the recording has ended by itself.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// What is kept of the silence at the end.
const SILENCE_KEPT: Duration = Duration::from_millis(500);

/// A message being left.
#[derive(Debug)]
pub(super) struct Voice {
    request: RecordRequest,
    tone: PlayId,
    /// None before the tone has ended.
    recording: Option<Recording>,
}

/// A message that is kept.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kept {
    /// The thread that it stands in; none: the caller did not show their number.
    pub thread: Option<ThreadId>,
    /// How long it is.
    pub length: Duration,
}

impl Voice {
    /// Plays the tone; the recording begins after it.
    pub fn begin(session: &Session, request: RecordRequest) -> Voice {
        static BEEP: LazyLock<Arc<Prompt>> = LazyLock::new(|| Arc::new(Prompt::tone(TONE_HZ, TONE)));
        Voice { request, tone: session.play(vec![BEEP.clone()]), recording: None }
    }

    /// A playback has ended: the tone, perhaps.
    pub fn play_ended(&mut self, session: &Session, id: PlayId) {
        if id == self.tone && self.recording.is_none() {
            info!(story = "voicemail", "the caller's message is recorded");
            self.recording = Some(session.record(self.request.longest));
        }
    }

    /// How much the caller has said so far.
    pub fn spoken(&self) -> Duration {
        self.recording.as_ref().map_or(Duration::ZERO, Recording::spoken)
    }

    fn has_ended(&self) -> bool {
        let Some(recording) = &self.recording else { return false };
        recording.length() >= self.request.longest || recording.quiet_for() >= self.request.silence
    }

    /// What was said, without the silence at its end.
    fn samples(&self) -> (u32, Vec<i16>) {
        let Some(recording) = &self.recording else { return (8_000, vec![]) };
        let (rate, mut samples) = (recording.rate().max(8_000), recording.samples());
        let silence = recording.quiet_for().saturating_sub(SILENCE_KEPT);
        let silent = (silence.as_secs_f64() * f64::from(rate)) as usize;
        samples.truncate(samples.len().saturating_sub(silent));
        (rate, samples)
    }
}

/// Waits until the message ends by itself; for ever while none is left. Cancel-safe.
pub(super) async fn ended(voice: &Option<Voice>) {
    let Some(voice) = voice else { return std::future::pending().await };
    while !voice.has_ended() {
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Writes the message's file, and then its row.
///
/// # Errors
/// Why it could not be kept.
pub(super) fn keep(
    line: &Line,
    start: &CallStart,
    voice: Voice,
    request: MessageRequest,
) -> impl Future<Output = Result<Kept, String>> + Send + use<> {
    let (store, now) = (line.store.clone(), line.clock.now().wall);
    let (call, caller) = (start.id, start.from.clone());
    async move {
        let id = VoicemailId::new(now);
        let files = store.audio().clone();
        let written = tokio::task::spawn_blocking(move || {
            let (rate, samples) = voice.samples();
            let length = Duration::from_secs_f64(samples.len() as f64 / f64::from(rate));
            let wav = wav(rate, &samples).map_err(|error| error.to_string())?;
            let stored = files.write(Audio::Voicemail, &id.to_string(), now, &wav);
            stored.map(|stored| (stored, length)).map_err(|error| error.to_string())
        });
        let (audio, length) = written.await.map_err(|error| error.to_string())??;
        let left = LeftMessage {
            id,
            call,
            node: request.node,
            caller,
            audio,
            length,
            reason: request.reason,
            team: request.team,
            language: request.language,
            now,
        };
        let thread = store.write(move |tx| spoken::keep_message(tx, &left)).await.map_err(|error| error.to_string())?;
        Ok(Kept { thread, length })
    }
}

/// A WAV file of one channel.
fn wav(rate: u32, samples: &[i16]) -> Result<Vec<u8>, hound::Error> {
    let spec =
        hound::WavSpec { channels: 1, sample_rate: rate, bits_per_sample: 16, sample_format: hound::SampleFormat::Int };
    let mut bytes = Cursor::new(Vec::with_capacity(samples.len() * 2 + 44));
    let mut writer = hound::WavWriter::new(&mut bytes, spec)?;
    for sample in samples {
        writer.write_sample(*sample)?;
    }
    writer.finalize()?;
    Ok(bytes.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_becomes_a_wav_file() {
        let bytes = wav(16_000, &[1, -2, 3]).unwrap();
        let mut reader = hound::WavReader::new(bytes.as_slice()).unwrap();
        assert_eq!(reader.spec().sample_rate, 16_000);
        assert_eq!(reader.samples::<i16>().map(Result::unwrap).collect::<Vec<_>>(), [1, -2, 3]);
    }
}
