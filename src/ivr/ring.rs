//! `ring`: phones ring for this caller, until one is picked up.

use super::engine::{Engine, Event, Step};
use super::person::RING_GRACE;
use super::{Action, Evidence, RingRequest};
use crate::clock::Now;
use crate::model::Unserved;
use crate::tree::{NodeId, Ring};

impl Engine {
    pub(super) fn enter_ring(&mut self, id: NodeId, ring: &Ring, now: Now, out: &mut Vec<Action>) {
        // Whatever key led here was pressed for a person, not for a text.
        self.evidence = Evidence::default();
        self.ahead.clear();
        self.at(id, Step::Ring { rings: false });
        let prompts = self.prompts(ring.say.iter().chain(&ring.record));
        if !self.say(&prompts, now, out) {
            self.start_ringing(id, ring, now, out);
        }
    }

    pub(super) fn ring(&mut self, id: NodeId, ring: &Ring, rings: bool, event: Event, now: Now, out: &mut Vec<Action>) {
        match event {
            Event::Digit(_) => {}
            Event::Said | Event::TimeOut if !rings => self.start_ringing(id, ring, now, out),
            Event::Said => {}
            Event::TimeOut => self.give_up(now, out),
        }
    }

    pub(super) fn start_ringing(&mut self, id: NodeId, ring: &Ring, now: Now, out: &mut Vec<Action>) {
        self.at(id, Step::Ring { rings: true });
        self.wait.begin(now, Unserved::Unanswered);
        out.push(Action::Ring(RingRequest {
            node: self.tree.node(id).name.clone(),
            members: ring.group.members.clone(),
            strategy: ring.group.strategy,
            give_up_after: ring.give_up_after,
            reason: ring.reason.clone(),
            record: !ring.record.is_empty(),
        }));
        self.music(&ring.music, ring.give_up_after.saturating_add(RING_GRACE), now, out);
    }
}
