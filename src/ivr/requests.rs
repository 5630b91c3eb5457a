//! What the engine has asked for and is answered later, in the order of the questions: texts, messages, call backs.

use crate::tree::NodeId;

/// Each request with the node that made it.
#[derive(Debug, Default)]
pub(super) struct Requests(Vec<(NodeId, Fate)>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Open,
    Granted,
    Refused,
}

impl Requests {
    pub(super) fn ask(&mut self, by: NodeId) {
        self.0.push((by, Fate::Open));
    }

    /// The answer to the oldest open one; says whose it is. None: nothing was asked.
    pub(super) fn settle(&mut self, granted: bool) -> Option<NodeId> {
        let (by, fate) = self.0.iter_mut().find(|(_, fate)| *fate == Fate::Open)?;
        *fate = if granted { Fate::Granted } else { Fate::Refused };
        Some(*by)
    }

    /// Whether one of `by` has no answer yet.
    pub(super) fn is_open(&self, by: NodeId) -> bool {
        self.0.contains(&(by, Fate::Open))
    }

    /// Whether one of `by` was made and not refused.
    pub(super) fn stands(&self, by: NodeId) -> bool {
        self.0.iter().any(|(id, fate)| *id == by && *fate != Fate::Refused)
    }

    /// Whether any was made and not refused.
    pub(super) fn any_stands(&self) -> bool {
        self.0.iter().any(|(_, fate)| *fate != Fate::Refused)
    }
}
