//! Ids: UUID version 7 (RFC 9562), so that they sort by time and are known before anything is written.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// A new id, stamped with `at`.
            pub fn new(at: Timestamp) -> Self {
                let seconds = u64::try_from(at.as_second()).unwrap_or(0);
                let nanos = u32::try_from(at.subsec_nanosecond()).unwrap_or(0);
                $name(Uuid::new_v7(uuid::Timestamp::from_unix(uuid::NoContext, seconds, nanos)))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map($name)
            }
        }
    };
}

id!(
    /// A call.
    CallId
);
id!(
    /// A text thread.
    ThreadId
);
id!(
    /// A text message.
    MessageId
);
id!(
    /// A text that staff are writing to somebody who has no open thread.
    NewTextId
);
id!(
    /// A note that staff wrote beside a thread.
    NoteId
);
id!(
    /// Somebody behind a number.
    PersonId
);
id!(
    /// A message that a caller left by voice.
    VoicemailId
);
id!(
    /// A call back that was promised.
    CallbackId
);
id!(
    /// The recording of a call.
    RecordingId
);

/// While it waits to be made, a call back stands in its line as a call of the same id.
impl From<CallbackId> for CallId {
    fn from(id: CallbackId) -> CallId {
        CallId(id.0)
    }
}

impl From<CallId> for CallbackId {
    fn from(id: CallId) -> CallbackId {
        CallbackId(id.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_by_time_and_read_back() {
        let early = CallId::new("2026-01-01T00:00:00Z".parse().unwrap());
        let late = CallId::new("2026-01-01T00:00:01Z".parse().unwrap());
        assert!(early < late);
        assert_eq!(early.to_string().parse::<CallId>().unwrap(), early);
    }
}
