//! The kinds of node for whoever stays on the line: ringing phones, a line to wait in, a message, a call back, a
//! transfer.

use std::collections::BTreeMap;
use std::time::Duration;

use super::NodeId;
use crate::model::{Digit, Member, Phone, Strategy};

/// Phones that ring together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Which.
    pub members: Vec<Member>,
    /// In which order.
    pub strategy: Strategy,
}

/// `[ring.NAME]`: phones ring for this caller alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ring {
    /// Whose phones.
    pub group: Group,
    /// How long all of it may take.
    pub give_up_after: Duration,
    /// Said before they ring.
    pub say: Vec<String>,
    /// Heard while they ring; nothing: the ringing of a telephone.
    pub music: Vec<String>,
    /// Says that the conversation is recorded, before they ring; nothing: it is not recorded.
    pub record: Vec<String>,
    /// What the phones show beside the caller's number.
    pub reason: Option<String>,
    /// Where to go when nobody answers.
    pub when_unanswered: NodeId,
    /// Where to go when everybody is busy; `when_unanswered` unless the file says otherwise.
    pub when_busy: NodeId,
    /// Where a caller goes with whom the person has hung up.
    pub then: NodeId,
}

/// `[queue.NAME]`: a line to wait in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Queue {
    /// Who serves it.
    pub group: Group,
    /// The line; the node's own name unless the file says otherwise.
    pub line: String,
    /// 0 to 9, the higher the sooner.
    pub priority: u8,
    /// Said at the beginning.
    pub say: Vec<String>,
    /// Heard while waiting; nothing: the ringing of a telephone.
    pub music: Vec<String>,
    /// Says that the conversation is recorded, before anybody is rung; nothing: it is not recorded.
    pub record: Vec<String>,
    /// A text instead of waiting.
    pub offer_text: Option<OfferText>,
    /// What callers are told of their waiting.
    pub announce: Option<Announce>,
    /// What further keys do while waiting.
    pub keys: BTreeMap<Digit, NodeId>,
    /// The longest that anybody waits.
    pub give_up_after: Duration,
    /// The most that wait at once.
    pub most_waiting: usize,
    /// What the phones show beside the caller's number.
    pub reason: Option<String>,
    /// Where to go when nobody answers.
    pub when_unanswered: NodeId,
    /// Where to go when too many wait; `when_unanswered` unless the file says otherwise.
    pub when_full: NodeId,
    /// Where to go when no phone of the group can be reached; `when_unanswered` unless the file says otherwise.
    pub when_nobody: NodeId,
    /// Where a caller goes with whom the person has hung up.
    pub then: NodeId,
}

/// `offer_text` of a queue: its key counts at any moment, but a text needs its offer heard first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OfferText {
    /// The first time, since the caller has begun to wait.
    pub after: Duration,
    /// And again so often.
    pub every: Duration,
    /// The prompts that offer it: what the caller agrees to.
    pub say: Vec<String>,
    /// The key that takes it.
    pub key: Digit,
    /// The text.
    pub to: NodeId,
}

/// What callers of a queue are told of their waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Announce {
    /// So often.
    pub every: Duration,
    /// What.
    pub what: Announced,
}

/// What is announced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Announced {
    /// "You are second in line."
    Position,
    /// "The wait is about five minutes"; the position as long as nobody can tell.
    Wait,
}

/// `[voicemail.NAME]`: a recorded message for the staff.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Voicemail {
    /// The greeting. The tone after it is not part of it.
    pub say: Vec<String>,
    /// A message ends after so long.
    pub longest: Duration,
    /// One in which less is said, short pauses included, is not kept.
    pub shortest: Duration,
    /// Silence of so long ends a message.
    pub silence: Duration,
    /// The key that ends a message; during the greeting it leads to the tone.
    pub finish: Digit,
    /// What further keys do: a text instead.
    pub keys: BTreeMap<Digit, NodeId>,
    /// Said when the message is kept.
    pub thanks: Vec<String>,
    /// Said before the caller may try once more.
    pub too_short: Vec<String>,
    /// What the thread is about.
    pub reason: Option<String>,
    /// Who is to hear it.
    pub team: Option<String>,
    /// Where it goes on.
    pub then: NodeId,
}

/// `[callback.NAME]`: the clinic calls back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Callback {
    /// Said while it is booked.
    pub say: Vec<String>,
    /// When it is due.
    pub due: Due,
    /// Who calls; none: who serves the queue of [`Due::Turn`].
    pub group: Option<Group>,
    /// Said when it is booked.
    pub booked: Vec<String>,
    /// Said when one was booked before.
    pub already: Vec<String>,
    /// What the thread is about.
    pub reason: Option<String>,
    /// Where it goes on.
    pub then: NodeId,
    /// Where to go when none can be booked; `then` unless the file says otherwise.
    pub when_refused: Option<NodeId>,
    /// The `number` node that asks a caller whose own number is unknown.
    pub ask: Option<NodeId>,
}

/// When a call back is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// At the caller's turn in the line of this queue.
    Turn(NodeId),
    /// At the start of the next opening of these hours.
    Opening(NodeId),
}

/// `[transfer.NAME]`: hands the caller to another phone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transfer {
    /// Whose.
    pub to: Phone,
    /// Said before.
    pub say: Vec<String>,
    /// How long it may ring there.
    pub ring_for: Duration,
    /// Let the trunk connect them (REFER, RFC 3515) where it can.
    pub refer: bool,
    /// What the phone shows beside the caller's number.
    pub reason: Option<String>,
    /// Where a caller goes whom nobody took.
    pub when_failed: NodeId,
    /// Where a caller goes with whom the person has hung up.
    pub then: NodeId,
}

/// The prompts that say a place in a line, from the first; the last is for all further back.
const POSITIONS: [&str; 10] = [
    "position_1",
    "position_2",
    "position_3",
    "position_4",
    "position_5",
    "position_6",
    "position_7",
    "position_8",
    "position_9",
    "position_more",
];

/// The prompts that say how long a wait will be, each with the most minutes that it stands for.
const WAITS: [(u64, &str); 9] = [
    (1, "wait_1"),
    (2, "wait_2"),
    (3, "wait_3"),
    (5, "wait_5"),
    (10, "wait_10"),
    (15, "wait_15"),
    (20, "wait_20"),
    (30, "wait_30"),
    (u64::MAX, WAIT_MORE),
];

const WAIT_MORE: &str = "wait_more";

/// The prompt that says a place in a line, from 1.
pub fn position_prompt(position: usize) -> &'static str {
    POSITIONS[position.clamp(1, POSITIONS.len()) - 1]
}

/// The prompt that says how long a wait will be, rounded up to a time that one would name: better sooner than promised.
pub fn wait_prompt(wait: Duration) -> &'static str {
    let minutes = wait.as_secs().div_ceil(60);
    WAITS.into_iter().find(|(most, _)| minutes <= *most).map_or(WAIT_MORE, |(_, prompt)| prompt)
}

impl Announced {
    /// Every prompt that it may need.
    pub fn prompts(self) -> Vec<&'static str> {
        let waits = WAITS.into_iter().map(|(_, prompt)| prompt);
        match self {
            Announced::Position => POSITIONS.to_vec(),
            Announced::Wait => POSITIONS.into_iter().chain(waits).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_rounded_up_to_what_one_would_say() {
        let said = |seconds| wait_prompt(Duration::from_secs(seconds));
        assert_eq!(
            [0, 60, 61, 200, 301, 1_800, 1_801].map(said),
            ["wait_1", "wait_1", "wait_2", "wait_5", "wait_10", "wait_30", "wait_more"]
        );
        assert_eq!(
            [0, 1, 9, 10, 400].map(position_prompt),
            ["position_1", "position_1", "position_9", "position_more", "position_more"]
        );
        let all = Announced::Wait.prompts();
        assert_eq!(all.len(), 10 + 9);
        assert!((0..4_000).all(|seconds| all.contains(&said(seconds))));
    }
}
