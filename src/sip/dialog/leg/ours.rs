//! Requests of ours within a dialog: BYE, offers and session refreshes, and what comes of them.

use std::time::Duration;

use rsipstack::sip::{Header, Method, Request};
use tokio::sync::oneshot;

use super::Task;
use super::asking::{Outcome, Purpose};
use crate::sip::dialog::{Ended, OfferError};
use crate::sip::message::{self, first};
use crate::sip::session_timer::{SessionExpires, SessionTimer};

/// A refresh that the peer could not take now is repeated within these bounds.
const SOONEST_RETRY: Duration = Duration::from_secs(3);
const LATEST_RETRY: Duration = Duration::from_secs(30);

/// The seconds that a header begins with, as Min-SE and Retry-After do.
fn least(value: &str) -> Option<Duration> {
    let seconds = value.split([';', '(', ' ']).next()?.trim().parse::<u32>().ok()?;
    Some(Duration::from_secs(seconds.into()))
}

impl Task {
    pub(super) async fn send_bye(&mut self, reason: &str) {
        self.ending = true;
        self.refuse_pending(487).await;
        let mut bye = self.ends.request(Method::Bye);
        if !reason.is_empty() {
            let text = reason.replace(['"', '\\', '\r', '\n'], "");
            bye.headers.push(Header::Reason(format!("SIP;cause=200;text=\"{text}\"").into()));
        }
        self.send(bye, Purpose::Bye).await;
    }

    /// Refreshes the session: by UPDATE where the peer knows it (no offer needed), else by a re-INVITE as before.
    pub(super) async fn refresh(&mut self) {
        if self.ending || self.end.get().is_some() {
            return;
        }
        if self.asking || self.invite.is_some() || self.offered.is_some() {
            self.refresh_at = Some(self.endpoint.now() + Duration::from_secs(3));
            return;
        }
        if self.ends.peer_updates {
            let update = self.ends.request(Method::Update);
            self.ask(update, None).await;
        } else {
            self.reinvite(None).await;
        }
    }

    pub(super) async fn reinvite(&mut self, done: Option<oneshot::Sender<Result<String, OfferError>>>) {
        let mut invite = self.ends.request(Method::Invite);
        let sdp = self.local_sdp.clone().into_bytes();
        message::set_body(&mut invite.headers, &mut invite.body, "application/sdp", sdp);
        self.ask(invite, done).await;
    }

    async fn ask(&mut self, mut request: Request, done: Option<oneshot::Sender<Result<String, OfferError>>>) {
        if let Some(timer) = &self.timer {
            request.headers.push(Header::SessionExpires(timer.request().render().into()));
            request.headers.push(Header::MinSE(self.min_se.as_secs().to_string().into()));
        }
        self.asking = true;
        self.send(request, Purpose::Offer(done)).await;
    }

    pub(super) async fn on_outcome(&mut self, outcome: Outcome) {
        let Some(Outcome { purpose, request, response }) = self.unless_challenged(outcome).await else { return };
        let done = match purpose {
            Purpose::Offer(done) => done,
            Purpose::Refer => return self.on_refer_answered(response).await,
            Purpose::Report => return self.on_reported(response).await,
            Purpose::Bye => {
                self.over = true;
                return;
            }
        };
        self.asking = false;
        let status = response.as_deref().map_or(408, message::status);
        if let Some(response) = response.as_ref().filter(|_| status / 100 == 2) {
            self.refresh_target(first!(response, Contact));
            if request.method == Method::Invite {
                let ack = self.ends.ack(&request);
                let way = self.ends.way(&self.endpoint).await;
                self.endpoint.acknowledge(&self.ends.local_tag, &way, ack).await;
            }
            self.timer = first!(response, SessionExpires)
                .and_then(SessionExpires::parse)
                .map(|expires| SessionTimer::agreed(expires, true, self.endpoint.now()))
                .filter(|_| !self.ending);
            if let Some(done) = done {
                let _ = done.send(Ok(String::from_utf8_lossy(&response.body).into_owned()));
            }
            return;
        }
        let now = self.endpoint.now();
        if status == 422
            && let Some(least) = response.as_deref().and_then(|response| first!(response, MinSE)).and_then(least)
            && self.timer.as_mut().is_some_and(|timer| timer.lengthen(least))
        {
            // RFC 4028 section 7.4: once more, with what the peer or a proxy can bear.
            self.min_se = least;
            match done {
                Some(done) => self.reinvite(Some(done)).await,
                None => self.refresh_at = Some(now),
            }
            return;
        }
        if let Some(done) = done {
            let _ = done.send(Err(OfferError::Refused(status)));
        } else if status == 491 {
            // Glare (RFC 3261 section 14.1); a time between 2.1 and 4 s, ours to choose.
            self.refresh_at = Some(now + Duration::from_millis(2_100 + u64::from(self.ends.local_cseq % 20) * 95));
        } else if matches!(status, 500 | 503) {
            // It is busy with an offer, or overloaded. The timer's own end is the last word.
            let asked = response.as_deref().and_then(|response| first!(response, RetryAfter)).and_then(least);
            self.refresh_at = Some(now + asked.unwrap_or_default().clamp(SOONEST_RETRY, LATEST_RETRY));
        } else if !self.ends.peer_updates || matches!(status, 408 | 481) {
            tracing::debug!(call_id = %self.ends.call_id, status, "session refresh refused");
        } else {
            // It said that it knows UPDATE and does not like it: try the other way.
            self.ends.peer_updates = false;
            self.refresh_at = Some(now);
        }
        // RFC 3261 section 12.2.1.2: the peer does not know the call any more.
        if matches!(status, 408 | 481) && !self.ending && self.end.get().is_none() {
            self.send_bye("").await;
            self.finish(
                Ended::Lost,
                if status == 408 { "peer does not answer" } else { "peer does not know the call" },
            );
        }
    }
}
