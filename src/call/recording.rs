//! A conversation being recorded: the caller on the left, whoever speaks with them on the right.
//!
//! Both legs go by the clock, so that the two sides lie beside each other as they were spoken. A task of its own takes
//! what has come every second and writes it: a long conversation never lies in memory.

use std::io::{self, Seek, SeekFrom, Write};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::{Instrument, error, info, warn};

use super::leg::Leg;
use super::line::Line;
use crate::media::{Prompt, Recording as Audio};
use crate::model::{CallId, RecordingId};
use crate::store::audio::{self, Stored, Unfinished};
use crate::store::{Store, recordings};

/// A call is recorded in no more pieces: as many are shown.
pub(super) const MOST_PIECES: usize = 20;
/// The longest piece.
const LONGEST: Duration = Duration::from_secs(4 * 3_600);
/// How often what has come is written.
const WRITE_EVERY: Duration = Duration::from_secs(1);
/// What the network may still bring is left until the next time.
const LAG: Duration = Duration::from_millis(1_500);

/// The tone by which telephone recorders have long made themselves known, in Hz.
const TONE: f64 = 1_400.0;

/// What the person hears when a recording begins; the caller has been told in words.
pub(super) fn sign() -> Vec<Arc<Prompt>> {
    static BEEP: LazyLock<Arc<Prompt>> = LazyLock::new(|| Arc::new(Prompt::beep(TONE)));
    vec![BEEP.clone()]
}

/// A conversation being recorded. Dropping it ends the recording, which is kept.
#[derive(Debug)]
pub(super) struct Recording {
    task: JoinHandle<()>,
    over: DropGuard,
}

impl Recording {
    /// Begins: the caller has been told. `node` is the one that said so; the recording is deleted `keep` after its end.
    pub fn begin(line: &Line, call: CallId, node: String, keep: Duration, caller: &Leg, person: &Leg) -> Recording {
        let rate = [caller, person].into_iter().filter_map(Leg::codec).map(|codec| codec.sample_rate()).max();
        let rate = rate.unwrap_or(8_000);
        let over = CancellationToken::new();
        let at = line.clock.now().wall;
        let piece = Piece {
            id: RecordingId::new(at),
            call,
            node,
            at,
            keep,
            rate,
            sides: [caller, person].map(|leg| leg.session.record_by_the_clock(rate, LONGEST)),
            clock: line.clock.clone(),
            store: line.store.clone(),
            over: over.clone(),
        };
        info!("the conversation is recorded");
        Recording { task: tokio::spawn(piece.make().in_current_span()), over: over.drop_guard() }
    }

    /// Ends it; the task is over when it has been kept.
    pub fn end(self) -> JoinHandle<()> {
        drop(self.over);
        self.task
    }
}

/// One piece, from its beginning to its row.
struct Piece {
    id: RecordingId,
    call: CallId,
    node: String,
    at: Timestamp,
    keep: Duration,
    rate: u32,
    sides: [Audio; 2],
    clock: crate::clock::Clock,
    store: Store,
    over: CancellationToken,
}

impl Piece {
    async fn make(self) {
        match self.write().await {
            Ok(Some((stored, length))) => self.enter(stored, length).await,
            Ok(None) => {}
            Err(error) => error!(%error, "a conversation could not be recorded; the call goes on"),
        }
    }

    /// Writes what is said until it is over. None: nothing was said.
    async fn write(&self) -> io::Result<Option<(Stored, Duration)>> {
        let (files, id, at, rate) = (self.store.audio().clone(), self.id.to_string(), self.at, self.rate);
        let mut file = blocking(move || Stereo::new(files.begin(audio::Audio::Recording, &id, at)?, rate)).await??;
        let [left, right] = &self.sides;
        loop {
            let over = tokio::select! {
                () = self.over.cancelled() => true,
                () = tokio::time::sleep(WRITE_EVERY) => left.age() >= LONGEST,
            };
            let until = left.age().saturating_sub(if over { Duration::ZERO } else { LAG }).min(LONGEST);
            let (left, right) = (left.drain_until(until), right.drain_until(until));
            let (back, written) = blocking(move || {
                let written = file.append(&left, &right);
                (file, written)
            })
            .await?;
            file = back;
            if let Err(error) = &written {
                warn!(%error, "a recording ends early: the disk takes no more; the call goes on");
            }
            if over || written.is_err() {
                break;
            }
        }
        let length = file.length();
        if length.is_zero() {
            return Ok(None);
        }
        blocking(move || file.finish()).await?.map(|stored| Some((stored, length)))
    }

    /// Writes the row.
    async fn enter(self, stored: Stored, length: Duration) {
        let now = self.clock.now().wall;
        let keep = SignedDuration::try_from(self.keep).unwrap_or(SignedDuration::MAX);
        let recording = recordings::Recording {
            id: self.id,
            call: self.call,
            node: self.node,
            started_at: self.at,
            length,
            file: stored.file,
            sha256: stored.sha256,
            delete_after: now.saturating_add(keep).unwrap_or(Timestamp::MAX),
        };
        drop(self.sides);
        if let Err(error) = self.store.write(move |tx| recordings::add(tx, &recording, now)).await {
            error!(%error, "a recorded conversation is on the disk, and its record could not be written");
        }
    }
}

/// Runs what waits for the disk.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)
}

/// A WAV file of two channels, 16 bits a sample, that grows.
struct Stereo {
    file: Unfinished,
    rate: u32,
    /// Samples of each side that are in it.
    frames: u32,
}

impl Stereo {
    const FRAME: u32 = 4;

    fn new(mut file: Unfinished, rate: u32) -> io::Result<Stereo> {
        file.write_all(&header(rate, 0))?;
        Ok(Stereo { file, rate, frames: 0 })
    }

    /// As many samples of the one side as of the other.
    fn append(&mut self, left: &[i16], right: &[i16]) -> io::Result<()> {
        let bytes: Vec<u8> = left
            .iter()
            .zip(right)
            .flat_map(|(left, right)| [left.to_le_bytes(), right.to_le_bytes()])
            .flatten()
            .collect();
        self.file.write_all(&bytes)?;
        self.frames += bytes.len() as u32 / Stereo::FRAME;
        Ok(())
    }

    fn length(&self) -> Duration {
        Duration::from_secs_f64(f64::from(self.frames) / f64::from(self.rate))
    }

    fn finish(mut self) -> io::Result<Stored> {
        self.file.seek(SeekFrom::Start(0))?;
        self.file.write_all(&header(self.rate, self.frames))?;
        self.file.finish()
    }
}

/// The header of a WAV file of PCM (RIFF, "fmt " of 16 bytes, "data").
fn header(rate: u32, frames: u32) -> [u8; 44] {
    let data = frames.saturating_mul(Stereo::FRAME);
    let mut header = *b"RIFF....WAVEfmt \x10\0\0\0\x01\0\x02\0........\x04\0\x10\0data....";
    header[4..8].copy_from_slice(&data.saturating_add(36).to_le_bytes());
    header[24..28].copy_from_slice(&rate.to_le_bytes());
    header[28..32].copy_from_slice(&(rate * Stereo::FRAME).to_le_bytes());
    header[40..44].copy_from_slice(&data.to_le_bytes());
    header
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::Events;

    #[test]
    fn both_sides_stand_in_a_file_that_others_can_read() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), Events::default()).unwrap();
        let at: Timestamp = "2026-03-02T09:00:00Z".parse().unwrap();
        let unfinished = store.audio().begin(audio::Audio::Recording, "a", at).unwrap();
        let mut file = Stereo::new(unfinished, 16_000).unwrap();
        file.append(&[1, -2], &[3, 4]).unwrap();
        file.append(&[], &[]).unwrap();
        file.append(&[5], &[-6]).unwrap();
        assert_eq!(file.length(), Duration::from_nanos(187_500));
        let stored = file.finish().unwrap();
        let mut reader = hound::WavReader::open(store.audio().path(&stored.file).unwrap()).unwrap();
        let spec = reader.spec();
        assert_eq!((spec.channels, spec.sample_rate, spec.bits_per_sample), (2, 16_000, 16));
        assert_eq!(reader.samples::<i16>().map(Result::unwrap).collect::<Vec<_>>(), [1, 3, -2, 4, 5, -6]);
    }
}
