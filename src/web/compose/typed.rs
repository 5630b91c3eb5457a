//! What the box sends.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Deserialize;

use crate::conversation::later::{Later, NotLater};
use crate::model::MessageId;
use crate::web::words::compose::Words;

/// Its fields.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Typed {
    body: String,
    /// The newest deed that the page showed; of a thread.
    pub version: i64,
    /// What the form is known by.
    pub form: String,
    /// `note`, or else a text; in a thread.
    pub kind: String,
    #[serde(rename = "do")]
    button: String,
    send_at: String,
    /// A message to be put in: `running_late` or, in a language of its own, `running_late/es`.
    pub template: String,
}

impl Typed {
    /// The words, with ends of lines as we keep them.
    pub fn words(&self) -> String {
        self.body.replace("\r\n", "\n")
    }

    /// What the form is known by, and when its text shall go (`None`: at once); or why it cannot.
    pub fn order(
        &self,
        now: Timestamp,
        zone: &TimeZone,
        words: &Words,
    ) -> Result<(String, Option<Timestamp>), &'static str> {
        // One without a name is no page's of ours.
        let form: MessageId = self.form.parse().map_err(|_| words.forged)?;
        let send_at = match (self.button.as_str(), self.send_at.trim()) {
            ("later", "") => return Err(words.choose_time),
            ("later", time) => {
                let time = Later::At(time.to_owned()).time(now, zone);
                Some(time.map_err(|why| not_later(why, words))?)
            }
            _ => None,
        };
        Ok((form.to_string(), send_at))
    }
}

/// Why a time cannot be.
pub fn not_later(why: NotLater, words: &Words) -> &'static str {
    match why {
        NotLater::Unreadable => words.unreadable_time,
        NotLater::Past => words.past,
        NotLater::TooFar => words.too_far,
    }
}
