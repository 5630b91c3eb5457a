//! The outbox against a model ten times simpler: a map from message to where it stands.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use proptest::prelude::*;

use super::*;
use crate::model::{OpenedBy, ThreadId};
use crate::store::messages::{MessageKind, Report, Reported, report};
use crate::store::tests::{in_memory, tx};
use crate::store::threads::{self, NewThread};

const EXPIRES_AFTER: i64 = 100;

#[derive(Clone, Debug)]
enum Step {
    Enqueue { to: usize, wait: i64 },
    TakeBack { which: usize },
    SendNow { which: usize },
    Lease { limit: usize },
    Sent { which: usize },
    Failed { which: usize },
    Unknown { which: usize },
    Retry { which: usize, after: i64 },
    Expire,
    Cancel { to: usize },
    Report { which: usize, status: MessageStatus },
    Wait { seconds: i64 },
}

fn step() -> impl Strategy<Value = Step> {
    let which = 0..8usize;
    prop_oneof![
        3 => (0..2usize, prop_oneof![Just(0), 1..200i64]).prop_map(|(to, wait)| Step::Enqueue { to, wait }),
        1 => which.clone().prop_map(|which| Step::TakeBack { which }),
        1 => which.clone().prop_map(|which| Step::SendNow { which }),
        3 => (1..4usize).prop_map(|limit| Step::Lease { limit }),
        2 => which.clone().prop_map(|which| Step::Sent { which }),
        1 => which.clone().prop_map(|which| Step::Failed { which }),
        1 => which.clone().prop_map(|which| Step::Unknown { which }),
        2 => (which.clone(), 0..150i64).prop_map(|(which, after)| Step::Retry { which, after }),
        1 => Just(Step::Expire),
        1 => (0..2usize).prop_map(|to| Step::Cancel { to }),
        2 => (which, prop_oneof![
            Just(MessageStatus::Sent), Just(MessageStatus::Delivered), Just(MessageStatus::Undelivered),
        ]).prop_map(|(which, status)| Step::Report { which, status }),
        2 => (1..60i64).prop_map(|seconds| Step::Wait { seconds }),
    ]
}

/// Where the model believes a message stands.
#[derive(Clone, Debug)]
struct Believed {
    status: MessageStatus,
    to: usize,
    due: i64,
    expires: i64,
    cancelled: bool,
    /// The best report that came before the answer to the send.
    early: Option<MessageStatus>,
    at_gateway: bool,
}

fn number(which: usize) -> PhoneNumber {
    PhoneNumber::e164(["+16462530141", "+16462530142"][which]).unwrap()
}

fn time(seconds: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_secs(1_800_000_000 + seconds)
}

fn run(steps: Vec<Step>) {
    let conn = in_memory();
    let mut threads_of = Vec::new();
    for which in 0..2 {
        let id = ThreadId::new(time(0));
        let opened_by = OpenedBy::Staff;
        let thread =
            NewThread { id, number: number(which), reason: None, language: None, opened_by, call: None, at: time(0) };
        threads::open(&tx(&conn), &thread).unwrap();
        threads_of.push(id);
    }
    let mut clock = 0;
    let mut model: BTreeMap<MessageId, Believed> = BTreeMap::new();
    let pick = |model: &BTreeMap<MessageId, Believed>, which: usize| model.keys().nth(which).copied();
    for step in steps {
        let tx = tx(&conn);
        match step {
            Step::Enqueue { to, wait } => {
                let message = NewMessage {
                    id: MessageId::new(time(clock)),
                    thread: threads_of[to],
                    kind: MessageKind::Chat,
                    author: "anna".into(),
                    from: PhoneNumber::e164("+16462530100").unwrap(),
                    to: number(to),
                    body: "See you at nine.".to_owned().into(),
                    media: Vec::new(),
                    call: None,
                    once: None,
                    at: time(clock),
                };
                let (due, expires) = (clock + wait, clock + wait + EXPIRES_AFTER);
                enqueue_later(&tx, &message, time(due), time(expires)).unwrap();
                let status = MessageStatus::Queued;
                let believed = Believed { status, to, due, expires, cancelled: false, early: None, at_gateway: false };
                model.insert(message.id, believed);
            }
            Step::Lease { limit } => {
                let mut due: Vec<(i64, MessageId)> = model
                    .iter()
                    .filter(|(_, m)| m.status == MessageStatus::Queued && m.due <= clock && m.expires > clock)
                    .map(|(id, m)| (m.due, *id))
                    .collect();
                due.sort();
                let expected: Vec<MessageId> = due.into_iter().map(|(_, id)| id).take(limit).collect();
                let leased = lease(&tx, time(clock), limit).unwrap();
                assert_eq!(leased.iter().map(|l| l.message).collect::<Vec<_>>(), expected);
                for id in expected {
                    model.get_mut(&id).unwrap().status = MessageStatus::Sending;
                }
            }
            Step::Sent { which } => {
                let Some(id) = pick(&model, which) else { continue };
                let m = model.get_mut(&id).unwrap();
                let leased = m.status == MessageStatus::Sending;
                let done = sent(&tx, id, "g", &id.to_string(), MessageStatus::Sent, time(clock)).unwrap();
                assert_eq!(done, leased);
                if leased {
                    m.status = m.early.unwrap_or(MessageStatus::Sent);
                    m.at_gateway = true;
                }
            }
            Step::Failed { which } | Step::Unknown { which } => {
                let Some(id) = pick(&model, which) else { continue };
                let m = model.get_mut(&id).unwrap();
                let leased = m.status == MessageStatus::Sending;
                let (done, status) = if matches!(step, Step::Failed { .. }) {
                    (failed(&tx, id, "no such number", time(clock)), MessageStatus::Failed)
                } else {
                    (unknown(&tx, id, "no answer", time(clock)), MessageStatus::Unknown)
                };
                assert_eq!(done.unwrap(), leased);
                if leased {
                    m.status = status;
                }
            }
            Step::Retry { which, after } => {
                let Some(id) = pick(&model, which) else { continue };
                let m = model.get_mut(&id).unwrap();
                let leased = m.status == MessageStatus::Sending;
                let due = clock + after;
                assert_eq!(retry_at(&tx, id, time(due), "busy", time(clock)).unwrap(), leased);
                if leased {
                    m.status = match () {
                        () if m.cancelled => MessageStatus::Failed,
                        () if m.expires <= due => MessageStatus::Expired,
                        () => MessageStatus::Queued,
                    };
                    m.due = due;
                }
            }
            Step::TakeBack { which } => {
                let Some(id) = pick(&model, which) else { continue };
                let m = model.get_mut(&id).unwrap();
                let waits = m.status == MessageStatus::Queued;
                let taken = take_back(&tx, id, "anna", time(clock)).unwrap();
                assert_eq!(taken.map(|(thread, _)| thread), waits.then_some(threads_of[m.to]));
                if waits {
                    m.status = MessageStatus::Cancelled;
                }
            }
            Step::SendNow { which } => {
                let Some(id) = pick(&model, which) else { continue };
                let m = model.get_mut(&id).unwrap();
                let waits = m.status == MessageStatus::Queued && m.due > clock;
                let expires = clock + EXPIRES_AFTER;
                assert_eq!(send_now(&tx, id, time(expires), "anna", time(clock)).unwrap(), waits);
                if waits {
                    (m.due, m.expires) = (clock, expires);
                }
            }
            Step::Expire => {
                let mut old = 0;
                for m in model.values_mut().filter(|m| m.status == MessageStatus::Queued && m.expires <= clock) {
                    m.status = MessageStatus::Expired;
                    old += 1;
                }
                assert_eq!(expire(&tx, time(clock)).unwrap(), old);
            }
            Step::Cancel { to } => {
                let mut waiting = 0;
                for m in model.values_mut().filter(|m| m.to == to) {
                    match m.status {
                        MessageStatus::Queued => {
                            m.status = MessageStatus::Failed;
                            waiting += 1;
                        }
                        MessageStatus::Sending => m.cancelled = true,
                        _ => {}
                    }
                }
                assert_eq!(cancel_for(&tx, &number(to), time(clock)).unwrap(), waiting);
            }
            Step::Report { which, status } => {
                let Some(id) = pick(&model, which) else { continue };
                let m = model.get_mut(&id).unwrap();
                let gateway_id = id.to_string();
                let news = Report { gateway: "g", gateway_id: &gateway_id, status, error: None, at: time(clock) };
                let reported = report(&tx, &news).unwrap();
                let further = |than: MessageStatus| order(status) > order(than);
                if !m.at_gateway {
                    assert_eq!(reported, Reported::Kept);
                    if m.early.is_none_or(further) {
                        m.early = Some(status);
                    }
                } else if further(m.status) {
                    assert_eq!(reported, Reported::Moved { message: id, to: number(m.to) });
                    m.status = status;
                } else {
                    assert_eq!(reported, Reported::Stale);
                }
            }
            Step::Wait { seconds } => clock += seconds,
        }
        let open = |m: &&Believed| matches!(m.status, MessageStatus::Queued | MessageStatus::Sending);
        assert_eq!(size(&conn).unwrap(), model.values().filter(open).count() as u64);
        let leased: Vec<MessageId> =
            model.iter().filter(|(_, m)| m.status == MessageStatus::Sending).map(|(id, _)| *id).collect();
        let mut recovered: Vec<MessageId> = recover(&conn).unwrap().into_iter().map(|l| l.message).collect();
        recovered.sort();
        assert_eq!(recovered, leased, "a crash now would find what is in the worker's hands");
        let next = model.values().filter(|m| m.status == MessageStatus::Queued).map(|m| m.due.min(m.expires)).min();
        assert_eq!(next_due(&conn).unwrap(), next.map(time));
        for (id, m) in &model {
            assert_eq!(messages::status(&conn, *id).unwrap(), Some(m.status));
        }
    }
    audit::verify(&conn).unwrap();
}

/// The order in which reports count, as the gateway's documentation has it.
fn order(status: MessageStatus) -> usize {
    let order = [MessageStatus::Sent, MessageStatus::Undelivered, MessageStatus::Delivered];
    order.iter().position(|s| *s == status).unwrap()
}

#[test]
fn whoever_looks_at_the_outbox_does_not_walk_through_all_messages() {
    let conn = in_memory();
    for sql in [OLDEST, LEASED] {
        let mut statement = conn.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let plan: Vec<String> = statement.query_map([], |row| row.get(3)).unwrap().map(Result::unwrap).collect();
        assert!(plan.last().unwrap().starts_with("SEARCH m USING PRIMARY KEY"), "{sql}: {plan:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn the_outbox_does_what_its_model_does(steps in prop::collection::vec(step(), 0..60)) {
        run(steps);
    }
}
