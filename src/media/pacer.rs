//! The one thread that sends and receives for all calls.
//!
//! It sleeps until the next point of the [grid](super::schedule) or the next command, whichever comes first. At each
//! point it first sends for every call, then reads what has come for every call: one wake-up for all, no allocation,
//! lock or log line per packet. Without calls it sleeps until there is one.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use tokio::sync::oneshot;

use super::counters::Counters;
use super::player::PlayId;
use super::prompt::Prompt;
use super::recording::Recorder;
use super::schedule::Grid;
use super::stream::{Desk, PACKET_ROOM, Stream};
use super::wire::Inbox;
use crate::clock::{Clock, Now};
use crate::model::{Digit, MediaPlan, MediaQuality};

/// A tick that comes later than this counts as late.
const LATE: Duration = Duration::from_millis(5);
/// Samples of the longest datagram, in the codec that makes most of them.
const SAMPLE_ROOM: usize = 4_096;

/// Names a call between its session and the pacer.
pub(super) type Key = u64;

/// What a session asks for.
pub(super) enum Command {
    Open(Key, Box<Stream>),
    To(Key, Request),
    Close(Key, Option<oneshot::Sender<MediaQuality>>),
    Stop,
}

pub(super) enum Request {
    Start(Box<MediaPlan>),
    Play(PlayId, Vec<Arc<Prompt>>),
    StopPlaying,
    Press(Digit, Duration),
    Info(Digit),
    Record(Box<Recorder>),
}

pub(super) struct Pacer {
    clock: Clock,
    grid: Grid,
    streams: BTreeMap<Key, Box<Stream>>,
    desk: Desk,
}

impl Pacer {
    pub fn new(counters: Arc<Counters>) -> Pacer {
        let clock = Clock::system();
        let grid = Grid::new(clock.now().mono);
        let desk = Desk {
            inbox: Inbox::new(),
            packet: Vec::with_capacity(PACKET_ROOM),
            samples: vec![0; SAMPLE_ROOM],
            counters,
        };
        Pacer { clock, grid, streams: BTreeMap::new(), desk }
    }

    /// Serves until it is told to stop or nobody is left who could tell.
    pub fn run(mut self, commands: &Receiver<Command>) {
        while let Ok(command) = self.wait(commands) {
            match command {
                Some(Command::Stop) => break,
                Some(command) => self.obey(command),
                None => {}
            }
            let now = self.clock.now();
            if let Some(tick) = self.grid.due(now.mono) {
                self.desk.counters.late_ticks.add(u64::from(tick.late > LATE));
                self.each(|stream, desk| stream.send(tick.point, desk));
                self.each(|stream, desk| stream.receive(tick.point, now, desk));
            }
        }
        let now = self.clock.now();
        self.each(|stream, desk| stream.end(now, desk));
    }

    /// The next command, or `None` when it is time to tick.
    fn wait(&mut self, commands: &Receiver<Command>) -> Result<Option<Command>, RecvTimeoutError> {
        if self.streams.is_empty() {
            let command = commands.recv().map_err(|_| RecvTimeoutError::Disconnected)?;
            self.grid = Grid::new(self.clock.now().mono);
            return Ok(Some(command));
        }
        let left = self.grid.deadline().saturating_sub(self.clock.now().mono);
        match commands.recv_timeout(left) {
            Ok(command) => Ok(Some(command)),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(gone) => Err(gone),
        }
    }

    fn obey(&mut self, command: Command) {
        let now = self.clock.now();
        match command {
            Command::Open(key, stream) => {
                self.streams.insert(key, stream);
            }
            Command::To(key, request) => {
                let grid = self.grid.clone();
                self.one(key, |stream, desk| serve(stream, request, &grid, now, desk));
            }
            Command::Close(key, answer) => {
                self.one(key, |stream, desk| {
                    stream.end(now, desk);
                    if let Some(answer) = answer {
                        // Nobody may be waiting any more.
                        let _ = answer.send(stream.quality());
                    }
                });
                self.streams.remove(&key);
            }
            Command::Stop => {}
        }
        self.desk.counters.sessions.set(self.streams.len() as u64);
        self.grid.set_fine(self.streams.values().any(|stream| stream.fine()));
    }

    /// Does something for every call; one that panics is ended, the others go on.
    fn each(&mut self, mut serve: impl FnMut(&mut Stream, &mut Desk)) {
        let desk = &mut self.desk;
        self.streams.retain(|_, stream| guarded(desk, |desk| serve(stream, desk)));
    }

    /// Does something for one call, if it is still there.
    fn one(&mut self, key: Key, serve: impl FnOnce(&mut Stream, &mut Desk)) {
        let Some(stream) = self.streams.get_mut(&key) else { return };
        if !guarded(&mut self.desk, |desk| serve(stream, desk)) {
            self.streams.remove(&key);
        }
    }
}

/// Whether it was done without a panic.
fn guarded(desk: &mut Desk, serve: impl FnOnce(&mut Desk)) -> bool {
    let served = catch_unwind(AssertUnwindSafe(|| serve(desk))).is_ok();
    desk.counters.panics.add(u64::from(!served));
    served
}

fn serve(stream: &mut Stream, request: Request, grid: &Grid, now: Now, desk: &mut Desk) {
    match request {
        Request::Start(plan) => stream.start(*plan, grid, now, desk),
        Request::Play(id, list) => stream.player.play(id, list),
        Request::StopPlaying => stream.player.stop(),
        Request::Press(digit, length) => {
            stream.dialer.press(digit, length);
        }
        Request::Info(digit) => stream.info(digit, now, desk),
        Request::Record(recorder) => stream.recorder = Some(*recorder),
    }
}
