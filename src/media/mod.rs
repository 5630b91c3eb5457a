//! Audio: RTP in and out for all calls, prompts, digits.
//!
//! One pacer thread sends and receives for everybody at start + n × 20 ms. A call holds a [`Session`], which
//! talks to the pacer by commands and hears of it by [`MediaEvent`]s. A [`Prompt`] is encoded once for each codec when
//! it is loaded; playing it is a copy into a packet.
//!
//! What lives where: `schedule` when to send; `wire` the sockets; `ports` which of them; `rtp`, `rtcp`, `srtp` the
//! packets; `source` whom to believe; `jitter` and `quality` how it sounds; `codec`, `prompt`, `player` what is heard;
//! `digits` and [`dtmf`] the keys pressed, `dialer` those that we press; `recording` what is kept of it, `replay` that made into
//! packets again; `stream` all of
//! these for one call, `stream::relay` for two that are legs of one, with `readiness` (when), `timeline` (where in the
//! other's stream) and `convert` (in the other's codec). What is negotiated comes as
//! [`MediaPlan`](crate::model::MediaPlan); signalling is not known here.

mod codec;
mod convert;
mod counters;
mod dialer;
mod digits;
pub mod dtmf;
mod jitter;
mod pacer;
mod player;
mod ports;
mod priority;
mod prompt;
mod quality;
mod readiness;
mod recording;
mod replay;
mod rtcp;
mod rtp;
mod schedule;
mod session;
mod source;
mod srtp;
mod stream;
mod timeline;
mod wire;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use ring::rand::{SecureRandom, SystemRandom};
use tokio::sync::mpsc;

pub use counters::MediaCounters;
pub use player::PlayId;
pub use prompt::{Prompt, PromptError, PromptLibrary};
pub use recording::Recording;
pub use replay::Replay;
pub use session::Session;

use crate::model::Pressed;
use counters::Counters;
use pacer::{Command, Pacer};
use ports::Ports;
use rtp::Numbering;
use stream::{Sockets, Stream};

/// Commands that wait for the pacer; a further one makes its sender wait until they are obeyed, 20 ms at most.
const COMMANDS: usize = 1_024;
/// Events that wait for a session to fetch them; further ones are dropped and counted.
const EVENTS: usize = 64;

/// How media is to be done on this box.
#[derive(Clone, Debug)]
pub struct MediaConfig {
    /// First and last port, inclusive; a call takes an even one and the odd one above it.
    pub ports: (u16, u16),
    /// No RTP for so long gives [`MediaEvent::Silent`].
    pub silence_timeout: Duration,
}

/// What a call hears of its media.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MediaEvent {
    /// The caller pressed a key.
    Digit(Pressed),
    /// The last frame of a playback has been sent.
    PlayEnded(PlayId),
    /// The peer should send and has not for the configured time. Said again only after RTP has come in between.
    Silent,
}

/// Why there is no media.
#[derive(Debug, thiserror::Error)]
pub enum MediaError {
    /// The configuration leaves no pair of ports.
    #[error(
        "[rtp] ports = \"{first}-{last}\" holds no even port with an odd one above it; write a range such as \"16384-17383\""
    )]
    Range {
        /// First port.
        first: u16,
        /// Last port.
        last: u16,
    },
    /// All ports are taken.
    #[error("all {calls} pairs of RTP ports are in use; widen [rtp] ports")]
    Exhausted {
        /// How many calls the range is good for.
        calls: usize,
    },
    /// The address cannot be used.
    #[error("no RTP socket can be opened on {address}: {error}")]
    Bind {
        /// Which.
        address: IpAddr,
        /// Why.
        error: io::Error,
    },
    /// The pacer's thread could not be started.
    #[error("the thread that paces RTP could not be started: {0}")]
    Thread(io::Error),
    /// [`Media::stop`] was called.
    #[error("media has been stopped")]
    Stopped,
}

/// The media of all calls: a cheap handle on the one pacer. The pacer ends with the last handle.
#[derive(Clone, Debug)]
pub struct Media(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    commands: SyncSender<Command>,
    ports: Arc<Ports>,
    counters: Arc<Counters>,
    silence_timeout: Duration,
    keys: AtomicU64,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Media {
    /// Starts the pacer.
    pub fn start(config: MediaConfig) -> Result<Media, MediaError> {
        let (first, last) = config.ports;
        let ports = Ports::new(config.ports).ok_or(MediaError::Range { first, last })?;
        let counters = Arc::new(Counters::default());
        let (commands, inbox): (_, Receiver<Command>) = sync_channel(COMMANDS);
        let pacer = Pacer::new(Arc::clone(&counters)).map_err(MediaError::Thread)?;
        let thread = std::thread::Builder::new()
            .name("pacer".to_owned())
            .spawn(move || pacer.run(&inbox))
            .map_err(MediaError::Thread)?;
        Ok(Media(Arc::new(Inner {
            commands,
            ports: Arc::new(ports),
            counters,
            silence_timeout: config.silence_timeout,
            keys: AtomicU64::new(0),
            thread: Mutex::new(Some(thread)),
        })))
    }

    /// Binds an even port for RTP and the odd one above it for RTCP on `local`, for a new call. Ports that other
    /// programs hold are passed over.
    pub fn open(&self, local: IpAddr) -> Result<Session, MediaError> {
        let bind = |port: u16| {
            let pair = wire::bind(SocketAddr::new(local, port))
                .and_then(|rtp| Ok(Sockets { rtp, rtcp: wire::bind(SocketAddr::new(local, port + 1))? }));
            match pair {
                Ok(sockets) => Ok(Some(sockets)),
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => Ok(None),
                Err(error) => Err(MediaError::Bind { address: local, error }),
            }
        };
        let [start, ssrc, sequence, timestamp, name, surname] = random();
        let taken = self.0.ports.take(start, bind)?;
        let (lease, sockets) = taken.ok_or(MediaError::Exhausted { calls: self.0.ports.pairs() })?;
        let port = lease.rtp();
        let key = self.0.keys.fetch_add(1, Ordering::Relaxed);
        let (announce, events) = mpsc::channel(EVENTS);
        let numbering = Numbering::new(ssrc, sequence as u16, timestamp);
        let cname = format!("{name:08x}{surname:08x}");
        let stream = Stream::new(sockets, lease, announce, self.0.silence_timeout, numbering, cname);
        self.0.commands.send(Command::Open(key, Box::new(stream))).map_err(|_| MediaError::Stopped)?;
        Ok(Session {
            media: self.clone(),
            key,
            address: local,
            port,
            events,
            plays: AtomicU64::new(0),
            over: false,
            closed: false,
        })
    }

    /// How many sessions are open: each holds a pair of ports.
    pub fn sessions(&self) -> usize {
        self.0.ports.taken()
    }

    /// What has been counted since the start.
    pub fn counters(&self) -> MediaCounters {
        self.0.counters.read()
    }

    /// Whether the pacer is at work: `false` after [`Media::stop`], or should a bug have ended it.
    pub fn is_running(&self) -> bool {
        let thread = self.0.thread.lock().unwrap_or_else(PoisonError::into_inner);
        thread.as_ref().is_some_and(|thread| !thread.is_finished())
    }

    /// Says goodbye to all peers and ends the pacer; sessions then do nothing. Returns when it has ended.
    pub fn stop(&self) {
        self.command(Command::Stop);
        let thread = self.0.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // A pacer that has panicked has ended too.
            let _ = thread.join();
        }
    }

    /// Whether both are the same pacer's.
    fn is(&self, other: &Media) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// After the pacer's end a command has nobody to go to, and nothing to do.
    fn command(&self, command: Command) {
        let _ = self.0.commands.send(command);
    }
}

/// For the fuzzer and its corpus: reads `data` as an RTP and as an RTCP packet.
pub fn exercise(data: &[u8]) {
    if let Some(packet) = rtp::parse(data) {
        assert!(packet.payload_type < 128 && packet.payload.len() + rtp::HEADER <= data.len());
    }
    rtp::is_rtcp(data);
    for ssrc in [0, data.first_chunk().map_or(1, |bytes| u32::from_be_bytes(*bytes))] {
        let _ = rtcp::read(data, ssrc);
    }
}

/// Random numbers from the system, in one call of it. Should it have none, zeros: predictable, but a call.
fn random<const N: usize>() -> [u32; N] {
    let mut numbers = [[0; 4]; N];
    let _ = SystemRandom::new().fill(numbers.as_flattened_mut());
    numbers.map(u32::from_be_bytes)
}
