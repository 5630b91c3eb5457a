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
use crate::model::{Digit, MediaPlan, MediaQuality};

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

    /// Records what the peer says from now on, at most `limit` of it. A second recording replaces the first.
    pub fn record(&self, limit: Duration) -> Recording {
        let recording = Recording::default();
        self.request(Request::Record(Box::new(Recorder::new(recording.clone(), limit))));
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
