//! One call's media as the call holds it.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::pacer::{Command, Key, Request};
use super::player::PlayId;
use super::prompt::Prompt;
use super::recording::{Recorder, Recording};
use super::{Media, MediaEvent};
use crate::model::{Digit, MediaPlan, MediaQuality, Pressed};

/// How long a carried key is held down.
const CARRIED: Duration = Duration::from_millis(100);

/// One call's media. Dropping it ends the media and frees the ports.
///
/// Requests take effect at one of the pacer's next ticks, some 20 ms later, in the order in which they were made. After
/// [`Media::stop`] they do nothing.
#[derive(Debug)]
pub struct Session {
    pub(super) media: Media,
    pub(super) key: Key,
    pub(super) address: IpAddr,
    pub(super) port: u16,
    pub(super) events: mpsc::Receiver<MediaEvent>,
    pub(super) plays: AtomicU64,
    pub(super) over: bool,
    pub(super) closed: bool,
}

impl Session {
    /// The address that the sockets are bound to.
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// The even port for RTP; RTCP is the next one.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Begins to send and listen as negotiated; again after a re-INVITE. Before this nothing is sent, and what comes
    /// waits in the kernel. While nothing plays, silence is sent, so that NATs and carriers see a living stream;
    /// while `plan.flow` does not send, nothing is, and a playback stands still.
    pub fn start(&self, plan: MediaPlan) {
        self.request(Request::Start(Box::new(plan)));
    }

    /// Plays prompts one after the other instead of what plays now. [`MediaEvent::PlayEnded`] tells of its end,
    /// unless it is replaced or stopped before.
    pub fn play(&self, list: Vec<Arc<Prompt>>) -> PlayId {
        let id = PlayId(self.plays.fetch_add(1, Ordering::Relaxed));
        self.request(Request::Play(id, list));
        id
    }

    /// Plays prompts again and again instead of what plays now, without a gap, until something else is played or
    /// [`Session::stop_playing`]: music for whoever waits. Its end is never reported.
    pub fn play_looped(&self, list: Vec<Arc<Prompt>>) {
        self.request(Request::PlayLooped(list));
    }

    /// Falls silent.
    pub fn stop_playing(&self) {
        self.request(Request::StopPlaying);
    }

    /// A digit that came by SIP INFO; it comes back as [`MediaEvent::Digit`] unless it has come by another way.
    pub fn info_digit(&self, digit: Digit) {
        self.request(Request::Info(digit));
    }

    /// Presses a key on the peer's phone menu by RFC 4733 events, after those pressed before. At most 64 wait, a
    /// further one is dropped; so is each if the peer negotiated no telephone-event.
    pub fn send_digit(&self, digit: Digit, length: Duration) {
        self.request(Request::Press(digit, length));
    }

    /// Makes this call and `other` the two legs of one: from now on what the peer of each says is sent on to the peer of
    /// the other, at once. In one codec the payload passes untouched, otherwise it is converted. Each leg keeps what is
    /// its own: stream numbering, encryption, hold ([`Flow`](crate::model::Flow)), digits, recording. Whatever it plays,
    /// and digits that it presses, go before what is relayed; while nothing is relayed for 100 ms, silence is sent.
    ///
    /// Digits by events are never relayed but reported, for [`Session::carry_digit`]. The bridge outlives a new
    /// [`Session::start`] of either; it ends with [`Session::unbridge`] of either, when either is closed, or when either
    /// is bridged with a third. Nothing happens if both are the same, or of two [`Media`].
    pub fn bridge(&self, other: &Session) {
        if self.media.is(&other.media) {
            self.media.command(Command::Bridge(self.key, other.key));
        }
    }

    /// Makes both legs of a bridge calls of their own again.
    pub fn unbridge(&self) {
        self.media.command(Command::Unbridge(self.key));
    }

    /// Presses a key that the other leg's peer has pressed, for this leg's peer: by RFC 4733 events where this peer
    /// agreed on them, otherwise as a tone in the audio, which stands in the way of what is relayed for as long. A tone
    /// that the other peer sent is not made again: it has come through as audio. At most 64 wait, a further one is
    /// dropped.
    pub fn carry_digit(&self, pressed: Pressed) {
        self.request(Request::Carry(pressed, CARRIED, Prompt::of_digit(pressed.digit)));
    }

    /// Records what the peer says from now on, at most `limit` of it, until its last handle is dropped. A second recording
    /// replaces the first.
    pub fn record(&self, limit: Duration) -> Recording {
        self.record_into(Recording::new(), limit)
    }

    /// As [`Session::record`], `rate` (8,000 or 16,000) samples a second, with silence where nothing comes: what is said
    /// at a moment lies there in each of several recordings. Take it by [`Recording::drain_until`].
    pub fn record_by_the_clock(&self, rate: u32, limit: Duration) -> Recording {
        self.record_into(Recording::by_the_clock(rate), limit)
    }

    fn record_into(&self, recording: Recording, limit: Duration) -> Recording {
        self.request(Request::Record(Box::new(Recorder::new(&recording, limit))));
        recording
    }

    /// What happens next. Cancel-safe. When the pacer has stopped, or has given up this session, it says `Silent`
    /// once and then nothing more.
    pub async fn next(&mut self) -> MediaEvent {
        if !self.over {
            if let Some(event) = self.events.recv().await {
                return event;
            }
            self.over = true;
            return MediaEvent::Silent;
        }
        std::future::pending().await
    }

    /// Says goodbye by RTCP, frees the ports and tells how it sounded. The pacer answers within 20 ms.
    pub async fn close(mut self) -> MediaQuality {
        let (answer, quality) = oneshot::channel();
        self.closed = true;
        self.media.command(Command::Close(self.key, Some(answer)));
        quality.await.unwrap_or_default()
    }

    fn request(&self, request: Request) {
        self.media.command(Command::To(self.key, request));
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if !self.closed {
            self.media.command(Command::Close(self.key, None));
        }
    }
}
