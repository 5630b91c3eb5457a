//! A call that the clinic places, as pages tell it: which phone calls whom, and how far it is.

use maud::{Markup, html};

use super::{Look, phone_name};
use crate::call::registry::{Placed, Stage};
use crate::model::{Caller, Phone};
use crate::web::person::Person;
use crate::web::words::{Ui, calls, day};
use crate::web::{Files, day as day_page};

/// How far it is.
pub fn stage(ui: Ui, call: &Placed) -> &'static str {
    match call.stage {
        Stage::OwnRings => ui.pick("rings at the clinic's phone first", "suena primero el teléfono de la clínica"),
        Stage::Rings => ui.pick("rings", "suena"),
        Stage::Speaks => ui.pick("they speak", "hablan"),
    }
}

/// One of the two; of a number, whoever may not read threads sees the last two digits.
pub fn party(person: &Person, files: &Files, phone: &Phone) -> String {
    match phone {
        Phone::Number(number) => {
            let number = Caller::Number(number.clone());
            day_page::caller(person, day::words(person.ui), files, &number)
        }
        Phone::Emergency(digits) => format!("{} ({})", digits.expose(), calls::words(person.ui).emergency_services),
        Phone::Extension(_) | Phone::Uri(_) => phone_name(files, &phone.to_string()),
    }
}

impl Look<'_> {
    /// Who calls whom, with the names that the store knows.
    pub(super) fn placed(&self, call: &Placed) -> Markup {
        html! {
            li {
                div.what {
                    p {
                        (self.party(&call.by)) " → " (self.party(&call.to))
                        " " span.faint.small { (self.since(call.stage_since)) }
                    }
                    p.small.faint { (stage(self.person.ui, call)) }
                }
            }
        }
    }

    fn party(&self, phone: &Phone) -> Markup {
        match phone {
            Phone::Number(number) => {
                let who = self.caller(Some(&Caller::Number(number.clone())));
                self.linked(&who)
            }
            Phone::Emergency(_) => html! { strong { (party(self.person, self.files, phone)) } },
            Phone::Extension(_) | Phone::Uri(_) => html! { (self.phone(phone)) },
        }
    }
}
