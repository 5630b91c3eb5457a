use super::*;
use crate::model::Private;

const OK: Reply<'_> = Reply { status: 200, challenges: &[], expires: Some(300), min_expires: None, retry_after: None };

/// A registration in virtual time.
struct Rig {
    registration: Registration,
    now: Duration,
    jitter: f64,
}

impl Rig {
    fn new() -> Rig {
        let credentials = Credentials { username: "clinic".into(), password: Private::new("secret".into()) };
        let registration = Registration::new("sip:carrier.example".into(), credentials, Duration::from_secs(600));
        Rig { registration, now: Duration::ZERO, jitter: 0.0 }
    }

    fn started() -> Rig {
        let mut rig = Rig::new();
        assert_eq!(rig.handle(Input::Start), [register(600)]);
        rig
    }

    fn registered() -> Rig {
        let mut rig = Rig::started();
        assert_eq!(rig.reply(OK), [Action::Changed(Standing::Registered)]);
        rig
    }

    fn handle(&mut self, input: Input<'_>) -> Vec<Action> {
        self.registration.handle(self.now, Luck { jitter: self.jitter, cnonce: "c" }, input)
    }

    fn reply(&mut self, reply: Reply<'_>) -> Vec<Action> {
        self.handle(Input::Response(&reply))
    }

    /// To the next deadline; how long that took.
    fn wake(&mut self) -> (u64, Vec<Action>) {
        let before = self.now;
        self.now = self.registration.next_deadline().expect("a deadline");
        ((self.now - before).as_secs(), self.handle(Input::Wake))
    }
}

fn register(expires: u32) -> Action {
    Action::Register { expires, headers: vec![] }
}

fn status(status: u16) -> Reply<'static> {
    Reply { status, ..Reply::default() }
}

fn failed(status: u16) -> Vec<Action> {
    vec![Action::Changed(Standing::Failed(Failure::Status(status)))]
}

fn challenge(stale: bool) -> Reply<'static> {
    let values: &[&str] = if stale {
        &["Digest realm=\"r\", nonce=\"2\", qop=\"auth\", stale=true"]
    } else {
        &["Digest realm=\"r\", nonce=\"1\", qop=\"auth\""]
    };
    Reply { status: 401, challenges: values, ..Reply::default() }
}

fn authorization(actions: &[Action]) -> &str {
    match actions {
        [Action::Register { headers, .. }] => &headers.first().expect("an Authorization").1,
        _ => panic!("{actions:?}"),
    }
}

#[test]
fn it_registers_and_refreshes_before_the_end() {
    for (jitter, seconds) in [(0.0, 150), (0.5, 210), (1.0, 270)] {
        let mut rig = Rig::registered();
        rig.jitter = jitter;
        let (_, asked) = rig.wake();
        assert_eq!(asked, [register(600)]);
        assert_eq!(rig.reply(OK), []);
        assert_eq!(rig.wake(), (seconds, vec![register(600)]));
    }
}

#[test]
fn what_the_registrar_does_not_say_is_what_was_asked() {
    let mut rig = Rig::started();
    assert_eq!(rig.reply(status(100)), []);
    rig.reply(status(200));
    assert_eq!(rig.wake().0, 300);
}

#[test]
fn a_challenge_is_answered_and_its_nonce_kept() {
    let mut rig = Rig::started();
    assert!(authorization(&rig.reply(challenge(false))).contains("nc=00000001"));
    assert_eq!(rig.reply(OK), [Action::Changed(Standing::Registered)]);
    let (_, refresh) = rig.wake();
    assert!(authorization(&refresh).contains("nc=00000002"));
    assert!(authorization(&rig.reply(challenge(true))).contains("nonce=\"2\""));
    assert_eq!(rig.reply(OK), []);
}

#[test]
fn wrong_credentials_wait_long_and_begin_anew() {
    let mut rig = Rig::started();
    rig.reply(challenge(false));
    let refused = Standing::Failed(Failure::Refused(Refused::Credentials));
    assert_eq!(rig.reply(challenge(false)), [Action::Changed(refused)]);
    assert_eq!(rig.wake(), (15, vec![register(600)]));
    let unsupported = Reply { challenges: &["Basic realm=\"r\""], ..challenge(false) };
    assert_eq!(rig.reply(unsupported), [Action::Changed(Standing::Failed(Failure::Refused(Refused::Unsupported)))]);
}

#[test]
fn too_brief_is_asked_again_with_what_the_registrar_wants() {
    let mut rig = Rig::started();
    let brief = Reply { min_expires: Some(3_600), ..status(423) };
    assert_eq!(rig.reply(brief), [register(3_600)]);
    // The same answer again is no progress.
    assert_eq!(rig.reply(brief), failed(423));
    let mut rig = Rig::started();
    assert_eq!(rig.reply(status(423)), failed(423));
    assert_eq!(rig.wake(), (1, vec![register(600)]));
    assert_eq!(rig.reply(Reply { min_expires: Some(u32::MAX), ..brief }), []);
}

#[test]
fn failures_wait_longer_each_time() {
    let mut rig = Rig::started();
    rig.jitter = 1.0;
    let mut pauses = Vec::new();
    for n in 0..9 {
        let actions = rig.handle(Input::NoAnswer);
        assert_eq!(actions.is_empty(), n > 0, "said once");
        pauses.push(rig.wake().0);
    }
    assert_eq!(pauses, [2, 4, 8, 16, 32, 64, 120, 120, 120]);
    assert_eq!(rig.reply(OK), [Action::Changed(Standing::Registered)]);

    let mut rig = Rig::started();
    rig.jitter = 1.0;
    let pauses: Vec<u64> = (0..6)
        .map(|_| {
            rig.reply(status(403));
            rig.wake().0
        })
        .collect();
    assert_eq!(pauses, [30, 60, 120, 240, 480, 600]);
}

#[test]
fn retry_after_is_honoured_within_reason() {
    let mut rig = Rig::started();
    rig.reply(Reply { retry_after: Some(90), ..status(503) });
    assert_eq!(rig.wake().0, 90);
    rig.reply(Reply { retry_after: Some(u32::MAX), ..status(503) });
    assert_eq!(rig.wake().0, 600);
}

#[test]
fn a_failed_refresh_is_no_failure_until_the_registrar_forgets_us() {
    let mut rig = Rig::registered();
    let (mut at, _) = rig.wake();
    loop {
        let actions = rig.handle(Input::NoAnswer);
        assert_eq!(actions, []);
        let (waited, actions) = rig.wake();
        at += waited;
        if actions.contains(&Action::Changed(Standing::Failed(Failure::NoAnswer))) {
            break;
        }
        assert_eq!(actions, [register(600)]);
    }
    assert_eq!(at, 300);
    // A registrar that refuses has forgotten us already.
    let mut rig = Rig::registered();
    rig.wake();
    assert_eq!(rig.reply(status(403)), failed(403));
}

#[test]
fn a_lapse_while_the_answer_is_awaited_is_said() {
    let mut rig = Rig::registered();
    rig.wake();
    let (_, actions) = rig.wake();
    assert_eq!(actions, [Action::Changed(Standing::Failed(Failure::NoAnswer))]);
    assert_eq!(rig.registration.next_deadline(), None);
    assert_eq!(rig.reply(OK), [Action::Changed(Standing::Registered)]);
}

#[test]
fn after_a_network_loss_it_registers_at_once() {
    let mut rig = Rig::registered();
    assert_eq!(rig.handle(Input::Reachable), [register(600)]);
    // Heard while asking: once more, after this answer.
    assert_eq!(rig.handle(Input::Reachable), []);
    assert_eq!(rig.reply(OK), [register(600)]);
    assert_eq!(rig.reply(OK), []);
}

#[test]
fn shutdown_takes_the_address_back() {
    let mut rig = Rig::registered();
    assert_eq!(rig.handle(Input::Shutdown), [register(0)]);
    assert!(authorization(&rig.reply(challenge(false))).starts_with("Digest"));
    assert_eq!(rig.reply(status(200)), [Action::Done]);
    assert_eq!((rig.handle(Input::Reachable), rig.registration.next_deadline()), (vec![], None));

    let mut rig = Rig::registered();
    rig.handle(Input::Shutdown);
    assert_eq!(rig.handle(Input::NoAnswer), [Action::Done]);
    let mut rig = Rig::started();
    assert_eq!(rig.handle(Input::Shutdown), [register(0)]);
    assert_eq!(Rig::new().handle(Input::Shutdown), [Action::Done]);
}

proptest::proptest! {
    /// Whatever happens in whatever order: there is always a request under way or a next deadline, never two requests
    /// at once but for the last, and nothing after the end.
    #[test]
    fn it_never_gets_stuck(steps in proptest::collection::vec((0..12_u8, 0.0..1.0_f64, 0..400_u64), 1..80)) {
        let mut rig = Rig::started();
        let mut under_way = true;
        let mut over = false;
        for (what, jitter, seconds) in steps {
            rig.jitter = jitter;
            rig.now += Duration::from_secs(seconds);
            let actions = match what {
                0..=1 => rig.reply(OK),
                2 => rig.reply(challenge(false)),
                3 => rig.reply(challenge(true)),
                4 => rig.reply(status(403)),
                5 => rig.reply(Reply { min_expires: Some(900), ..status(423) }),
                6 => rig.reply(Reply { retry_after: Some(60), ..status(503) }),
                7 => rig.handle(Input::NoAnswer),
                8..=9 => rig.handle(Input::Wake),
                10 => rig.handle(Input::Reachable),
                _ if seconds < 20 => rig.handle(Input::Shutdown),
                _ => rig.handle(Input::Start),
            };
            proptest::prop_assert!(!over || actions.is_empty());
            let requests = actions.iter().filter(|action| matches!(action, Action::Register { .. })).count();
            let leaving = actions.iter().any(|action| matches!(action, Action::Register { expires: 0, .. }));
            // A response or its absence ends the request under way, where there is one.
            let ended = matches!(what, 0..=7);
            proptest::prop_assert!(requests <= 1 && (requests == 0 || ended || !under_way || leaving));
            under_way = requests == 1 || under_way && !ended;
            over |= actions.contains(&Action::Done);
            proptest::prop_assert!(over || under_way || rig.registration.next_deadline().is_some());
        }
    }
}

#[test]
fn strays_change_nothing() {
    let mut rig = Rig::registered();
    let deadline = rig.registration.next_deadline();
    assert_eq!(rig.reply(status(500)), []);
    assert_eq!(rig.handle(Input::NoAnswer), []);
    assert_eq!(rig.handle(Input::Wake), []);
    assert_eq!(rig.registration.next_deadline(), deadline);
}
