//! A caller whom the trunk itself is asked to connect with somebody else (REFER, RFC 3515).

use tokio_util::task::AbortOnDropHandle;
use tracing::{Instrument, info};

use super::Line;
use super::dial::Shown;
use super::leg::Leg;
use crate::ivr::TransferRequest;
use crate::model::Phone;
use crate::sip::outbound::Target;

/// What the trunk was asked, while it has not said what came of it. Dropping it stops listening for that.
#[derive(Debug)]
pub(super) struct HandOff {
    /// What the tree wants.
    pub request: TransferRequest,
    /// What the phone shows, should it be rung from here after all.
    pub shown: Shown,
    done: AbortOnDropHandle<bool>,
}

impl HandOff {
    /// Asks. None: the tree does not want that, the trunk does not take it, or knows no way there.
    pub fn begin(line: &Line, caller: &Leg, trunk: &str, request: &TransferRequest, shown: Shown) -> Option<HandOff> {
        if !(request.refer && caller.dialog.takes_refer()) {
            return None;
        }
        let to = match &request.to {
            Phone::Number(number) => {
                let book = line.book();
                let trunk = book.settings.trunks.iter().find(|known| known.name == trunk)?;
                Target::through(trunk, number).uri().expose().clone()
            }
            Phone::Uri(uri) => uri.clone(),
            // Nobody out in the world reaches the clinic's own phones but through the box.
            Phone::Extension(_) | Phone::Emergency(_) => return None,
        };
        info!("the trunk is asked to connect the caller");
        let (asking, patience) = (caller.dialog.refer(&to), request.ring_for);
        let done = async move {
            match tokio::time::timeout(patience, asking).await {
                Ok(Ok(())) => true,
                Ok(Err(error)) => {
                    info!(%error, "the trunk has not connected the caller");
                    false
                }
                Err(_) => {
                    info!("the trunk has not said in time whether the caller is connected");
                    false
                }
            }
        };
        let done = AbortOnDropHandle::new(tokio::spawn(done.in_current_span()));
        Some(HandOff { request: request.clone(), shown, done })
    }

    /// Waits until it is known; whether the caller is in other hands. Cancel-safe; once it has answered it is over.
    pub async fn done(&mut self) -> bool {
        (&mut self.done).await.unwrap_or(false)
    }
}
