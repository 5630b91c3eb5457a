//! Whole simulated calls on the tree that the clinic gets with the program.

use threadline::cli::simulate::{self, World};
use threadline::conversation::templates::{Templates, Values, Variable};
use threadline::model::Language;
use threadline::tree::Tree;
use threadline::web::words::Ui;

use super::call::MOBILE;
use crate::config::{default_prompts, root};

/// A whole simulated call on the tree that the clinic gets with the program.
fn simulated(from: &str, at: &str, script: &str) -> String {
    told(Ui::En, from, at, script)
}

fn told(ui: Ui, from: &str, at: &str, script: &str) -> String {
    let file = root().join("config");
    let prompts = default_prompts();
    let templates = Templates::load(&file.join("messages.toml"), &Language::default()).unwrap().0;
    let context = threadline::tree::Context {
        zone: jiff::tz::TimeZone::get("America/New_York").unwrap(),
        country: "US".parse().unwrap(),
        language: Language::default(),
        prompts: &prompts,
        messages: &templates.names(),
        today: "2026-07-06".parse().unwrap(),
    };
    let tree = Tree::load(&file.join("phone-tree.toml"), &context).unwrap_or_else(|problems| panic!("{problems}")).0;
    let values = Values::from([
        (Variable::Clinic, "Riverside Therapy".to_owned()),
        (Variable::ResponseTarget, "15 minutes".to_owned()),
    ]);
    let caller = simulate::parse_from(from, "US".parse().unwrap()).unwrap();
    let at = simulate::parse_at(at, tree.zone()).unwrap();
    let world = World { tree, templates: &templates, values: &values, prompts: &prompts, ui };
    let mut out = Vec::new();
    simulate::simulate(&world, caller, at, &mut script.as_bytes(), &mut out, false).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn the_default_tree_texts_who_presses_one() {
    let shown = simulated(MOBILE, "2026-07-06T10:00", "wait 15\n1\n");
    for expected in [
        "call from +12125550142 at Mon 2026-07-06 10:00 EDT\n00:00.0  hears   “",
        "00:15.0  caller  presses 1\n00:15.0  gets    a text to +12125550142: “Riverside Therapy: how can we help?",
        "system  hangs up (hangup)\noutcome texted\n\
         path    play:emergency > hours:clinic > menu:welcome > text:general > hangup:goodbye\nkeys    1\n",
    ] {
        assert!(shown.contains(expected), "{expected}\nin:\n{shown}");
    }
}

#[test]
fn the_default_tree_texts_who_hangs_up_unserved() {
    let shown = simulated(MOBILE, "2026-07-05T22:00", "; in the middle of the night\nwait 3 hangup\n");
    assert!(shown.contains("sorry we missed your call"), "{shown}");
    assert!(shown.contains("outcome abandoned") || shown.contains("outcome missed"), "{shown}");
}

#[test]
fn the_default_tree_asks_an_anonymous_caller() {
    let shown = simulated("anonymous", "2026-07-06T10:00", "wait 20\n1\nwait 5\n6462530142#\n\nwait 1\n1\n");
    assert!(shown.contains("a text to +16462530142"), "{shown}");
    assert!(shown.contains("outcome texted") && shown.contains("keys    1••••••••••••"), "{shown}");
}

#[test]
fn simulate_names_what_it_cannot_do() {
    let shown = simulated(MOBILE, "2026-07-06T10:00", "banana\nwait soon\nhangup\n");
    assert!(shown.contains("\"banana\" is nothing a caller can do"), "{shown}");
    assert!(shown.contains("\"soon\" is no time"), "{shown}");
    assert!(simulate::parse_at("noon", &jiff::tz::TimeZone::UTC).is_err());
    assert!(simulate::parse_from("banana", "US".parse().unwrap()).is_err());
}

#[test]
fn who_stays_on_the_line_reaches_a_person() {
    let shown = simulated(MOBILE, "2026-07-06T10:00", "wait 60\nanswer\nwait 90\n1\nbye\n");
    for expected in [
        "phones  the caller waits in line `front_desk` for extension:201, extension:202 all at once",
        "hears   music (en/hold)",
        "staff   answers",
        "staff   hangs up",
        "outcome served\n",
        "keys    ",
    ] {
        assert_eq!(shown.contains(expected), expected != "keys    ", "{expected}\nin:\n{shown}");
    }
}

#[test]
fn whom_nobody_serves_is_not_held_and_may_leave_a_message() {
    let shown = simulated(MOBILE, "2026-07-06T10:00", "wait 30 nobody\n\nspeak 20\n");
    assert!(shown.contains("a message of 25.5 s (voicemail:front_desk)"), "{shown}");
    assert!(shown.contains("outcome voicemail\n"), "{shown}");
    let shown = simulated(MOBILE, "2026-07-06T10:00", "wait 30 nobody\nwait 4 1\n");
    assert!(shown.contains("gets    a text to +12125550142: “Riverside Therapy: how can we help?"), "{shown}");
    let shown = simulated(MOBILE, "2026-07-06T10:00", "wait 30 nobody\n\nwait 1 hangup\n");
    assert!(shown.contains("we could not hear a message from you"), "{shown}");
    let shown = simulated(MOBILE, "2026-07-05T22:00", "wait 5\n4\n\nspeak 10 #\n");
    assert!(shown.contains("(voicemail:after_hours)") && shown.contains("outcome voicemail\n"), "{shown}");
}

#[test]
fn who_leaves_the_line_is_told_where_they_stood() {
    let shown = simulated(MOBILE, "2026-07-06T10:00", "wait 35 place 3 wait 47 hangup\n");
    assert!(shown.contains("Riverside Therapy: you were third in line"), "{shown}");
    assert!(shown.contains("“You're third in line.”") && shown.contains("outcome abandoned\n"), "{shown}");
    let shown = simulated(MOBILE, "2026-07-06T10:00", "wait 35 busy hangup\n");
    assert!(shown.contains("sorry nobody could pick up") && shown.contains("outcome missed\n"), "{shown}");
}

#[test]
fn who_waits_may_take_a_text_or_a_call_back_at_any_moment() {
    // Before the offer was made, the key brings it.
    let shown = simulated(MOBILE, "2026-07-06T10:00", "wait 35 1 wait 2 1\n");
    assert!(shown.contains("(en/still_holding)") && shown.contains("outcome texted\n"), "{shown}");
    let shown = simulated(MOBILE, "2026-07-06T10:00", "wait 35 2\n");
    assert!(shown.contains("staff   will call +12125550142 back"), "{shown}");
    assert!(shown.contains("(en/callback_booked)") && shown.contains("outcome callback\n"), "{shown}");
    let shown = simulated("anonymous", "2026-07-06T10:00", "wait 35 2\nwait 1 6462530142#\n\nwait 1 1\n");
    assert!(shown.contains("will call +16462530142 back"), "{shown}");
}

#[test]
fn who_reads_spanish_is_told_in_spanish() {
    let shown = told(Ui::Es, MOBILE, "2026-07-06T10:00", "banana\nbye\nwait soon\nwait 60\nanswer\nwait 90\nbye\n");
    for expected in [
        "llamada de +12125550142, lun 2026-07-06 10:00 EDT\n00:00.0  oye       “",
        "\"banana\" no es nada que haga quien llama; pulse una tecla, wait 5, hangup\n",
        "ahora nadie habla\n",
        "\"soon\" no es un tiempo; escriba wait 5\n",
        "teléfonos quien llama espera en la fila `front_desk` a extension:201, extension:202 todos a la vez\n",
        "oye       música (en/hold)\n",
        "personal  contesta\n",
        "personal  cuelga\n",
        "sistema   cuelga (fin del menú)\nresultado habló con una persona\ncamino    play:emergency > ",
    ] {
        assert!(shown.contains(expected), "{expected}\nin:\n{shown}");
    }
    let shown = told(Ui::Es, MOBILE, "2026-07-06T10:00", "wait 15\n1\n");
    assert!(
        shown.contains("llamante  pulsa 1\n") && shown.contains("recibe    un mensaje a +12125550142: “"),
        "{shown}"
    );
    assert!(shown.ends_with("teclas    1\n"), "{shown}");
}
