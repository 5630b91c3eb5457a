//! The one thread that sends and receives for all calls.
//!
//! It sleeps until the next point of the [grid](super::schedule). There it first sends for every call, then reads what
//! has come for every call: one wake-up for all, no allocation, lock or log line per packet. Commands are obeyed between
//! two points, all that wait at once, so that they never hold up a packet. Without calls it sleeps until there is one.
//!
//! While calls are bridged it does not sleep until the next point but waits for their [sockets](super::readiness): what
//! comes for one leg leaves for the other at once, or together with what comes within [`GATHER`] after it.

use std::collections::BTreeMap;
use std::io;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::Duration;

use tokio::sync::oneshot;
use tracing::error;

use super::counters::Counters;
use super::player::PlayId;
use super::priority;
use super::prompt::Prompt;
use super::readiness::{self, Readiness};
use super::recording::Recorder;
use super::schedule::Grid;
use super::stream::{Desk, PACKET_ROOM, Stream};
use super::wire::Inbox;
use crate::clock::{Clock, Now};
use crate::model::{Digit, MediaPlan, MediaQuality, Pressed};

/// A tick that comes later than this counts as late.
const LATE: Duration = Duration::from_millis(5);
/// So long before a point the commands are obeyed: the later, the sooner a key is answered.
const COMMANDS_AHEAD: Duration = Duration::from_millis(5);
/// After relaying it sleeps for so long: of many calls, what comes meanwhile leaves with one wake-up. A small share of what
/// a packet takes through any network, and half of the cost of a hundred calls.
const GATHER: Duration = Duration::from_micros(500);
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
    Bridge(Key, Key),
    Unbridge(Key),
    Close(Key, Option<oneshot::Sender<MediaQuality>>),
    Stop,
}

pub(super) enum Request {
    Start(Box<MediaPlan>),
    Play(PlayId, Vec<Arc<Prompt>>),
    PlayLooped(Vec<Arc<Prompt>>),
    StopPlaying,
    Press(Digit, Duration),
    Carry(Pressed, Duration, Arc<Prompt>),
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
    pub fn new(counters: Arc<Counters>) -> io::Result<Pacer> {
        let clock = Clock::system();
        let grid = Grid::new(clock.now().mono);
        let desk = Desk {
            inbox: Inbox::new(),
            packet: Vec::with_capacity(PACKET_ROOM),
            samples: vec![0; SAMPLE_ROOM],
            counters,
            readiness: Readiness::new()?,
        };
        Ok(Pacer { clock, grid, streams: BTreeMap::new(), desk })
    }

    /// Serves until it is told to stop or nobody is left who could tell.
    pub fn run(mut self, commands: &Receiver<Command>) {
        priority::raise();
        while self.obey_all(commands).is_continue() {
            self.wait_until(self.grid.deadline());
            self.tick();
            self.wait_until(self.grid.deadline().saturating_sub(COMMANDS_AHEAD));
        }
        let now = self.clock.now();
        self.each(|stream, desk| stream.end(now, desk));
    }

    /// Sleeps until `deadline`, or relays what comes until then.
    fn wait_until(&mut self, deadline: Duration) {
        if self.desk.readiness.is_empty() {
            return self.clock.sleep_until(deadline);
        }
        loop {
            let left = deadline.saturating_sub(self.clock.now().mono);
            if left.is_zero() {
                return;
            }
            let ready = self.desk.readiness.wait(left);
            let now = self.clock.now();
            for at in 0..ready {
                let from = self.desk.readiness.key(at);
                let heard = self.one(from, |stream, desk| stream.hear(now, desk)).flatten();
                if let Some((to, heard)) = heard {
                    self.one(to, |stream, desk| stream.pass_on(&heard, desk));
                }
            }
            if (1..readiness::AT_ONCE).contains(&ready) {
                self.clock.sleep_until(deadline.min(now.mono + GATHER));
            }
        }
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
        match command {
            Command::Open(key, stream) => {
                self.streams.insert(key, stream);
            }
            Command::To(key, request) => {
                let grid = self.grid.clone();
                self.one(key, |stream, desk| serve(stream, request, &grid, now, desk));
            }
            Command::Bridge(key, other) => self.bridge(key, other),
            Command::Unbridge(key) => self.unbridge(key),
            Command::Close(key, answer) => {
                self.unbridge(key);
                self.one(key, |stream, desk| {
                    stream.end(now, desk);
                    if let Some(answer) = answer {
                        // Nobody may be waiting any more.
                        let _ = answer.send(stream.quality());
                    }
                });
                self.streams.remove(&key);
            }
            Command::Stop => return ControlFlow::Break(()),
        }
        self.desk.counters.sessions.set(self.streams.len() as u64);
        ControlFlow::Continue(())
    }

    /// Makes two calls the legs of one. Each parts from the leg that it had before.
    fn bridge(&mut self, key: Key, other: Key) {
        let both = [(key, other), (other, key)];
        if key == other || both.iter().any(|(key, _)| !self.streams.contains_key(key)) {
            return;
        }
        for (key, other) in both {
            self.unbridge(key);
            let joined = self.one(key, |stream, desk| stream.join(key, other, desk));
            if let Some(Err(error)) = joined {
                error!(%error, "two calls could not be bridged");
                return self.unbridge(other);
            }
        }
    }

    /// Makes a leg and its other one calls of their own.
    fn unbridge(&mut self, key: Key) {
        let other = self.one(key, |stream, desk| stream.part(desk)).flatten();
        if let Some(other) = other {
            self.one(other, |stream, desk| stream.part(desk));
        }
    }

    /// Does something for one call, if it is still there.
    fn one<T>(&mut self, key: Key, serve: impl FnOnce(&mut Stream, &mut Desk) -> T) -> Option<T> {
        let stream = self.streams.get_mut(&key)?;
        let served = guarded(stream, &mut self.desk, serve);
        if served.is_none() {
            self.streams.remove(&key);
            self.part_from_the_gone();
        }
        served
    }

    /// Does something for every call; one that panics is ended, the others go on.
    fn each(&mut self, serve: impl FnMut(&mut Stream, &mut Desk)) {
        self.each_of(|_| true, serve);
    }

    /// Does something for the calls whose turn it is at `point`: for every call each [`ATTEND_EVERY`] pairs of points.
    fn each_at(&mut self, point: u64, serve: impl FnMut(&mut Stream, &mut Desk)) {
        self.each_of(|key| (key + point / 2).is_multiple_of(ATTEND_EVERY), serve);
    }

    fn each_of(&mut self, turn: impl Fn(Key) -> bool, mut serve: impl FnMut(&mut Stream, &mut Desk)) {
        let (before, desk) = (self.streams.len(), &mut self.desk);
        self.streams.retain(|key, stream| !turn(*key) || guarded(stream, desk, &mut serve).is_some());
        if self.streams.len() < before {
            self.part_from_the_gone();
        }
    }

    /// After a panic: a leg whose other one is no more is a call of its own.
    fn part_from_the_gone(&mut self) {
        let Pacer { streams, desk, .. } = self;
        let gone = |stream: &Stream| stream.other().filter(|other| !streams.contains_key(other));
        let alone: Vec<Key> =
            streams.iter().filter(|(_, stream)| gone(stream).is_some()).map(|(key, _)| *key).collect();
        for key in alone {
            if let Some(stream) = streams.get_mut(&key) {
                stream.part(desk);
            }
        }
        desk.counters.sessions.set(streams.len() as u64);
    }
}

/// Does something for one call, unless it panics.
fn guarded<T>(stream: &mut Stream, desk: &mut Desk, serve: impl FnOnce(&mut Stream, &mut Desk) -> T) -> Option<T> {
    let served = catch_unwind(AssertUnwindSafe(|| serve(stream, desk))).ok();
    if served.is_none() {
        desk.counters.panics.add(1);
        stream.part(desk);
    }
    served
}

fn serve(stream: &mut Stream, request: Request, grid: &Grid, now: Now, desk: &mut Desk) {
    match request {
        Request::Start(plan) => stream.start(*plan, grid, now, desk),
        Request::Play(id, list) => stream.player.play(id, list),
        Request::PlayLooped(list) => stream.player.play_looped(list),
        Request::StopPlaying => stream.player.stop(),
        Request::Press(digit, length) => stream.press(digit, length),
        Request::Carry(pressed, length, tone) => stream.carry(pressed, length, tone),
        Request::Info(digit) => stream.info(digit, now, desk),
        Request::Record(recorder) => stream.recorder = Some(*recorder),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::ports::Ports;
    use crate::media::rtp::Numbering;
    use crate::media::stream::Sockets;
    use crate::media::wire;

    /// A pacer with so many calls, each bridged with the one after it.
    fn pacer(calls: u64) -> Pacer {
        let mut pacer = Pacer::new(Arc::default()).unwrap();
        let ports = Arc::new(Ports::new((100, 199)).unwrap());
        for key in 0..calls {
            let (lease, sockets) = ports
                .take(0, |_| {
                    let bind = || wire::bind("127.0.0.1:0".parse().unwrap());
                    bind().and_then(|rtp| Ok(Some(Sockets { rtp, rtcp: bind()? })))
                })
                .unwrap()
                .unwrap();
            let (announce, _) = tokio::sync::mpsc::channel(1);
            let numbering = Numbering::new(key as u32, 0, 0);
            let stream = Stream::new(sockets, lease, announce, Duration::MAX, numbering, String::new());
            assert!(pacer.obey(Command::Open(key, Box::new(stream))).is_continue());
        }
        for key in (0..calls).step_by(2) {
            assert!(pacer.obey(Command::Bridge(key, key + 1)).is_continue());
        }
        pacer
    }

    fn others(pacer: &Pacer) -> Vec<(Key, Option<Key>)> {
        pacer.streams.iter().map(|(key, stream)| (*key, stream.other())).collect()
    }

    #[test]
    fn a_leg_that_panics_leaves_the_other_alone_and_the_rest_as_they_are() {
        let mut pacer = pacer(4);
        assert_eq!(others(&pacer), [(0, Some(1)), (1, Some(0)), (2, Some(3)), (3, Some(2))]);
        pacer.one(0, |_, _| panic!("a bug"));
        assert_eq!(others(&pacer), [(1, None), (2, Some(3)), (3, Some(2))]);
        pacer.each(|stream, _| assert_ne!(stream.other(), Some(2), "another bug"));
        assert_eq!(others(&pacer), [(1, None), (2, None)]);
        assert!(pacer.desk.readiness.is_empty());
        let counted = pacer.desk.counters.read();
        assert_eq!((counted.panics, counted.sessions), (2, 2));
    }

    #[test]
    fn a_leg_has_one_other_and_both_know() {
        let mut pacer = pacer(4);
        for (command, expected) in [
            (Command::Bridge(1, 2), [None, Some(2), Some(1), None]),
            (Command::Bridge(3, 3), [None, Some(2), Some(1), None]),
            (Command::Bridge(3, 9), [None, Some(2), Some(1), None]),
            (Command::Bridge(2, 1), [None, Some(2), Some(1), None]),
            (Command::Unbridge(0), [None, Some(2), Some(1), None]),
            (Command::Bridge(0, 3), [Some(3), Some(2), Some(1), Some(0)]),
            (Command::Unbridge(1), [Some(3), None, None, Some(0)]),
        ] {
            assert!(pacer.obey(command).is_continue());
            assert_eq!(others(&pacer).into_iter().map(|(_, other)| other).collect::<Vec<_>>(), expected);
        }
        assert!(pacer.obey(Command::Close(3, None)).is_continue());
        assert_eq!(others(&pacer), [(0, None), (1, None), (2, None)]);
        assert!(pacer.desk.readiness.is_empty());
    }
}
