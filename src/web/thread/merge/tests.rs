use jiff::SignedDuration;
use proptest::prelude::*;

use super::*;
use crate::model::{OpenedBy, Resolution, ThreadState};
use crate::store::tests::{in_memory, tx};
use crate::store::threads::NewThread;

fn at(minute: i64) -> Timestamp {
    "2026-03-02T09:00:00Z".parse::<Timestamp>().unwrap() + SignedDuration::from_mins(minute)
}

/// What happens to the threads of a clinic, each named by where it stands in the list of all.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// A number opens a thread, if it has none that is open.
    Open(usize),
    Wait(usize),
    Flag(usize),
    Snooze(usize),
    Close(usize),
    Merge(usize, usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let which = 0..6_usize;
    let step = prop_oneof![
        3 => (0..3_usize).prop_map(Step::Open),
        2 => which.clone().prop_map(Step::Wait),
        1 => which.clone().prop_map(Step::Flag),
        2 => which.clone().prop_map(Step::Snooze),
        2 => which.clone().prop_map(Step::Close),
        4 => (which.clone(), which).prop_map(|(from, into)| Step::Merge(from, into)),
    ];
    prop::collection::vec(step, 1..30)
}

/// How many wait and how many are flagged among the threads, each with the newest that it is a part of.
fn in_need(tx: &Tx<'_>, all: &[ThreadId]) -> Vec<ThreadId> {
    let found = all.iter().map(|id| threads::find(tx, *id).unwrap().unwrap());
    found.filter(|thread| thread.waiting_since.is_some() || thread.red_flag.is_some()).map(|thread| thread.id).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn merging_never_puts_who_waits_or_is_flagged_out_of_sight(steps in steps()) {
        let conn = in_memory();
        let tx = tx(&conn);
        let mut all: Vec<ThreadId> = Vec::new();
        for (minute, step) in steps.into_iter().enumerate() {
            let now = at(minute as i64);
            let of = |which: usize| all.get(which % all.len().max(1)).copied();
            match step {
                Step::Open(number) => {
                    let number = PhoneNumber::e164(&format!("+1646253014{number}")).unwrap();
                    if threads::open_of(&tx, &number).unwrap().is_none() {
                        let id = ThreadId::new(now);
                        let opened_by = OpenedBy::Text;
                        let new = NewThread { id, number, reason: None, language: None, opened_by, call: None, at: now };
                        threads::open(&tx, &new).unwrap();
                        all.push(id);
                    }
                }
                Step::Wait(which) => if let Some(id) = of(which) { threads::escalate(&tx, id, "clinical", "ana", now).unwrap(); },
                // A closed thread has none: the text that asks for it opens it.
                Step::Flag(which) => if let Some(id) = of(which)
                    && threads::find(&tx, id).unwrap().unwrap().state == ThreadState::Open
                { threads::flag(&tx, id, "chest pain", now).unwrap(); },
                Step::Snooze(which) => if let Some(id) = of(which)
                    && in_need(&tx, &[id]).is_empty()
                { threads::snooze(&tx, id, at(9_999), "ana", now).unwrap(); },
                Step::Close(which) => if let Some(id) = of(which) { threads::close(&tx, id, Resolution::Answered, "ana", now).unwrap(); },
                Step::Merge(from, into) => if let (Some(from), Some(into)) = (of(from), of(into)) {
                    let before = in_need(&tx, &all);
                    let need = |id: ThreadId| threads::find(&tx, id).unwrap().map(|thread| (thread.waiting_since, thread.red_flag)).unwrap();
                    let (of_gone, of_kept) = (need(from), need(into));
                    let merged = join(&tx, from, into, "ana", now).unwrap().unwrap();
                    if merged.is_ok() {
                        // Both needs are those of the one that stays, the longest wait of both, and of nobody else.
                        let kept = need(into);
                        let longest = [of_gone.0, of_kept.0].into_iter().flatten().min();
                        prop_assert_eq!(kept.0, longest);
                        prop_assert_eq!(kept.1.is_some(), of_gone.1.is_some() || of_kept.1.is_some());
                        let others = before.iter().filter(|id| **id != from && **id != into).count();
                        prop_assert_eq!(in_need(&tx, &all).len(), others + usize::from(kept != (None, None)));
                    } else {
                        prop_assert_eq!(in_need(&tx, &all), before, "what cannot be changes nothing");
                    }
                },
            }
            for id in in_need(&tx, &all) {
                let thread = threads::find(&tx, id).unwrap().unwrap();
                prop_assert_eq!(thread.state, ThreadState::Open, "{} after {:?}", id, step);
                prop_assert!(thread.merged_into.is_none());
            }
        }
    }
}
