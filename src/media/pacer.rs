//! The one thread that sends and receives for all calls.
//!
//! It sleeps until the next point of the [grid](super::schedule). There it first sends for every call, then reads what
//! has come for every call: one wake-up for all, no allocation, lock or log line per packet. Commands are obeyed between
//! two points, all that wait at once, so that they never hold up a packet. Without calls it sleeps until there is one.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::Duration;

use tokio::sync::oneshot;

use super::counters::Counters;
use super::player::PlayId;
use super::priority;
use super::prompt::Prompt;
use super::recording::Recorder;
use super::schedule::Grid;
use super::stream::{Desk, PACKET_ROOM, Stream};
use super::wire::Inbox;
use crate::clock::{Clock, Now};
use crate::model::{Digit, MediaPlan, MediaQuality};

/// A tick that comes later than this counts as late.
const LATE: Duration = Duration::from_millis(5);
/// So long before a point the commands are obeyed: the later, the sooner a key is answered.
const COMMANDS_AHEAD: Duration = Duration::from_millis(5);
/// Each call is attended to at every so manieth pair of points: each half second.
const ATTEND_EVERY: u64 = 25;
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
        priority::raise();
        while self.obey_all(commands).is_continue() {
            self.clock.sleep_until(self.grid.deadline());
            self.tick();
            self.clock.sleep_until(self.grid.deadline().saturating_sub(COMMANDS_AHEAD));
        }
        let now = self.clock.now();
        self.each(|stream, desk| stream.end(now, desk));
    }

    /// Sends, receives, and attends to a share of the calls.
    fn tick(&mut self) {
        let Some(tick) = self.grid.due(self.clock.now().mono) else { return };
        self.desk.counters.late_ticks.add(u64::from(tick.late > LATE));
        let mut fine = false;
        self.each(|stream, desk| {
            stream.send(tick.point, desk);
            fine |= stream.fine();
        });
        self.grid.set_fine(fine);
        let now = self.clock.now();
        self.each(|stream, desk| stream.receive(tick.point, now, desk));
        self.each_at(tick.point, |stream, desk| stream.attend(now, desk));
    }

    /// Obeys all commands that wait; without calls it waits for one.
    fn obey_all(&mut self, commands: &Receiver<Command>) -> ControlFlow<()> {
        if self.streams.is_empty() {
            let Ok(command) = commands.recv() else { return ControlFlow::Break(()) };
            self.grid = Grid::new(self.clock.now().mono);
            self.obey(command)?;
        }
        loop {
            match commands.try_recv() {
                Ok(command) => self.obey(command)?,
                Err(TryRecvError::Empty) => return ControlFlow::Continue(()),
                Err(TryRecvError::Disconnected) => return ControlFlow::Break(()),
            }
        }
    }

    fn obey(&mut self, command: Command) -> ControlFlow<()> {
        let now = self.clock.now();
        let Pacer { streams, grid, desk, .. } = self;
        match command {
            Command::Open(key, stream) => {
                streams.insert(key, stream);
            }
            Command::To(key, request) => {
                one(streams, desk, key, |stream, desk| serve(stream, request, grid, now, desk))
            }
            Command::Close(key, answer) => {
                one(streams, desk, key, |stream, desk| {
                    stream.end(now, desk);
                    if let Some(answer) = answer {
                        // Nobody may be waiting any more.
                        let _ = answer.send(stream.quality());
                    }
                });
                streams.remove(&key);
            }
            Command::Stop => return ControlFlow::Break(()),
        }
        desk.counters.sessions.set(streams.len() as u64);
        ControlFlow::Continue(())
    }

    /// Does something for every call; one that panics is ended, the others go on.
    fn each(&mut self, mut serve: impl FnMut(&mut Stream, &mut Desk)) {
        let desk = &mut self.desk;
        self.streams.retain(|_, stream| guarded(desk, |desk| serve(stream, desk)));
    }

    /// Does something for the calls whose turn it is at `point`: for every call each [`ATTEND_EVERY`] pairs of points.
    fn each_at(&mut self, point: u64, mut serve: impl FnMut(&mut Stream, &mut Desk)) {
        let desk = &mut self.desk;
        self.streams.retain(|key, stream| {
            !(key + point / 2).is_multiple_of(ATTEND_EVERY) || guarded(desk, |desk| serve(stream, desk))
        });
    }
}

/// Does something for one call, if it is still there.
fn one(
    streams: &mut BTreeMap<Key, Box<Stream>>,
    desk: &mut Desk,
    key: Key,
    serve: impl FnOnce(&mut Stream, &mut Desk),
) {
    let Some(stream) = streams.get_mut(&key) else { return };
    if !guarded(desk, |desk| serve(stream, desk)) {
        streams.remove(&key);
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
