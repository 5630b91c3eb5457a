use std::path::Path;

use jiff::civil::date;

use super::*;
use crate::conversation::templates::Templates;
use crate::ivr::Evidence;
use crate::media::PromptLibrary;
use crate::model::{Digit, Direction, PhoneNumber, PromptCatalog};
use crate::settings::SecretPlaces;
use crate::tree::{Context, Tree};

const NOW: &str = "2026-11-02T15:00:00Z";

fn book(messages: &str) -> Book {
    let file = Path::new("test.toml");
    let settings = "[clinic]\nname = \"Riverside\"\ntimezone = \"UTC\"\ncountry = \"US\"\n\
                    [sms]\ngateway = \"sandbox\"\nfrom = \"+12125550100\"\n";
    let settings = Settings::parse(file, settings, &SecretPlaces::of_process(Path::new("/"))).unwrap();
    let (templates, _) = Templates::parse(file, messages, &Language::default()).unwrap();
    let prompts = PromptCatalog::default();
    let context = Context {
        zone: settings.clinic.timezone.clone(),
        country: settings.clinic.country,
        language: Language::default(),
        prompts: &prompts,
        messages: &templates.names(),
        today: date(2026, 11, 1),
    };
    let hours = |name: &str, days: &str| {
        format!(
            "[hours.{name}]\nopen = [ {{ days = \"{days}\", from = \"08:00\", to = \"17:00\" }} ]\n\
             when_open = \"text:t\"\nwhen_closed = \"hours:b\"\n"
        )
    };
    let tree = format!(
        "start = \"hours:a\"\n{}{}[text.t]\nmessage = \"greeting\"\n[missed_call]\nmessage = \"greeting\"\n",
        hours("a", "mon"),
        hours("b", "sat").replace("hours:b", "text:t"),
    );
    let (tree, _) = Tree::parse(file, &tree, &context).unwrap_or_else(|problems| panic!("{problems}"));
    Book {
        settings: Arc::new(settings),
        tree,
        templates: Arc::new(templates),
        prompts: Arc::new(PromptLibrary::load(Path::new("/nowhere")).0),
        catalog: Arc::new(prompts),
    }
}

fn start() -> CallStart {
    CallStart {
        id: CallId::new(NOW.parse().unwrap()),
        direction: Direction::Inbound,
        trunk: "test".to_owned(),
        from: Caller::Number(PhoneNumber::e164("+12125550142").unwrap()),
        to: None,
        diversion: vec![],
        sip_call_id: "1".to_owned(),
        at: NOW.parse().unwrap(),
    }
}

fn request(path: &[&str]) -> TextRequest {
    TextRequest {
        node: "text:t".to_owned(),
        to: PhoneNumber::e164("+12125550142").unwrap(),
        template: "greeting".to_owned(),
        reason: None,
        language: Language::default(),
        evidence: Evidence { digit: Digit::from_char('1'), prompts: vec![] },
        path: path.iter().map(|node| (*node).to_owned()).collect(),
    }
}

#[test]
fn a_text_says_the_hours_that_its_call_went_through() {
    let book = book("[greeting]\nen = \"{clinic}: {hours}\"\n");
    let said = |path: &[&str]| offer(&book, &start(), request(path), NOW.parse().unwrap()).unwrap().body;
    assert_eq!(said(&["hours:a", "text:t"]).expose(), "Riverside: Mon 8 am-5 pm");
    assert_eq!(said(&["hours:a", "hours:b", "text:t"]).expose(), "Riverside: Sat 8 am-5 pm");
    let missed = |path: &[&str]| {
        let path = request(path).path;
        let (call, from) = (start().id, start().from);
        missed_call(
            &book,
            call,
            &from,
            &Language::default(),
            &path,
            Outcome::Missed,
            Unserved::InMenu,
            NOW.parse().unwrap(),
        )
        .unwrap()
    };
    assert_eq!(missed(&["hours:a", "hours:b"]).body.expose(), "Riverside: Sat 8 am-5 pm");
    assert_eq!(missed(&[]).body.expose(), "Riverside: Mon 8 am-5 pm", "every call begins with them");
}

#[test]
fn a_message_with_a_gap_is_our_fault_and_a_missing_key_is_not() {
    let book = book("[greeting]\nen = \"{first_name}\"\n");
    let refused = |request| offer(&book, &start(), request, NOW.parse().unwrap()).unwrap_err();
    assert!(matches!(refused(request(&[])), NoText::Failed(why) if why.contains("{first_name}")));
    let unasked = TextRequest { evidence: Evidence::default(), ..request(&[]) };
    assert!(matches!(refused(unasked), NoText::Refused(_)));
}
