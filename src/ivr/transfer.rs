//! `transfer`: hands the caller to another phone; who is not taken there comes back.

use super::engine::{Engine, Event, Step};
use super::person::RING_GRACE;
use super::{Action, Evidence, TransferRequest};
use crate::clock::Now;
use crate::model::Unserved;
use crate::tree::{NodeId, Transfer};

impl Engine {
    pub(super) fn enter_transfer(&mut self, id: NodeId, transfer: &Transfer, now: Now, out: &mut Vec<Action>) {
        self.evidence = Evidence::default();
        self.ahead.clear();
        self.at(id, Step::Ring { rings: false });
        let prompts = self.prompts(&transfer.say);
        if !self.say(&prompts, now, out) {
            self.start_transfer(id, transfer, now, out);
        }
    }

    pub(super) fn transfer(
        &mut self,
        id: NodeId,
        transfer: &Transfer,
        rings: bool,
        event: Event,
        now: Now,
        out: &mut Vec<Action>,
    ) {
        match event {
            Event::Digit(_) => {}
            Event::Said | Event::TimeOut if !rings => self.start_transfer(id, transfer, now, out),
            Event::Said => {}
            Event::TimeOut => self.give_up(now, out),
        }
    }

    pub(super) fn start_transfer(&mut self, id: NodeId, transfer: &Transfer, now: Now, out: &mut Vec<Action>) {
        self.at(id, Step::Ring { rings: true });
        self.wait.begin(now, Unserved::Unanswered);
        out.push(Action::Transfer(TransferRequest {
            node: self.tree.node(id).name.clone(),
            to: transfer.to.clone(),
            ring_for: transfer.ring_for,
            refer: transfer.refer,
            reason: transfer.reason.clone(),
        }));
        // Where the trunk was asked first and could not, the phone rings from here for as long again.
        let attempts = if transfer.refer { 2 } else { 1 };
        self.music(&[], (transfer.ring_for * attempts).saturating_add(RING_GRACE), now, out);
    }
}
