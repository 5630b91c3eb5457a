//! What stands at the top of every page: that an emergency number was called from a phone of the clinic, for the rest of
//! that day and until it is seen; and how many voice messages wait for somebody to say whose they are.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use jiff::Timestamp;
use maud::{Markup, html};
use serde::Deserialize;

use super::page::is_fragment;
use super::person::Person;
use super::problem::Problem;
use super::route::{Access, Route};
use super::words::Ui;
use super::words::calls;
use super::words::queue::moment;
use super::{Files, Web};
use crate::conversation::permission::{Act, may};
use crate::model::Roles;
use crate::store::emergencies::{self, Emergency};
use crate::store::{Connection, StoreError, voicemails};
use crate::web::form::Form;

/// More are not counted.
const MOST_COUNTED: usize = 99;

/// Its routes.
pub fn routes() -> Vec<Route> {
    vec![
        Route::get("/notices", Access::May(Act::SeeDay), show),
        Route::post("/notices/seen", Access::May(Act::SeeDay), seen),
    ]
}

/// What one person is told on every page.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notices {
    /// The newest first: its row in the audit chain, and the sentence.
    pub emergencies: Vec<(i64, String)>,
    /// Voice messages that stand in no thread.
    pub loose: u32,
}

/// What is to be told.
#[derive(Debug)]
pub struct Found {
    emergencies: Vec<Emergency>,
    loose: u32,
}

/// The beginning of the day.
fn midnight(files: &Files, now: Timestamp) -> Timestamp {
    let zone = files.settings.clinic.timezone.clone();
    now.to_zoned(zone).start_of_day().map_or(now, |start| start.timestamp())
}

/// Reads what concerns somebody with these roles.
pub fn read(
    conn: &Connection,
    files: &Files,
    roles: &Roles,
    session: &str,
    now: Timestamp,
) -> Result<Found, StoreError> {
    let emergencies = match may(roles, Act::SeeDay) {
        true => emergencies::unseen(conn, midnight(files, now), session)?,
        false => Vec::new(),
    };
    let loose = if may(roles, Act::HearMessages) { voicemails::count_loose(conn, MOST_COUNTED)? } else { 0 };
    Ok(Found { emergencies, loose })
}

impl Found {
    /// In a person's language.
    pub fn told(self, ui: Ui, files: &Files, now: Timestamp) -> Notices {
        let zone = &files.settings.clinic.timezone;
        let sentence = |call: Emergency| {
            let phone = super::calls::phone_name(files, &call.phone);
            (call.seq, (calls::words(ui).called)(&phone, &call.dialled, &moment(ui, call.at, now, zone)))
        };
        Notices { emergencies: self.emergencies.into_iter().map(sentence).collect(), loose: self.loose }
    }
}

/// The notices of a page.
pub fn notices(person: &Person) -> Markup {
    let words = calls::words(person.ui);
    let Some((newest, _)) = person.notices.emergencies.first() else { return html! {} };
    html! {
        section.notice.bad role="alert" aria-label=(words.emergencies) {
            @for (_, sentence) in &person.notices.emergencies { p { strong { (sentence) } } }
            form method="post" action="/notices/seen" data-notices {
                input type="hidden" name="until" value=(newest);
                button.second type="submit" { (words.seen) }
            }
        }
    }
}

/// `GET /notices`
async fn show(person: Person) -> Markup {
    notices(&person)
}

#[derive(Deserialize)]
struct Seen {
    #[serde(default)]
    until: i64,
}

/// `POST /notices/seen`
async fn seen(
    State(web): State<Web>,
    person: Person,
    headers: HeaderMap,
    Form(seen): Form<Seen>,
) -> Result<Response, Problem> {
    let now = web.clock.now().wall;
    let since = midnight(&(web.files)(), now);
    let (name, session) = (person.name, person.session);
    web.store.write(move |tx| emergencies::see(tx, since, seen.until, &session, &name, now)).await?;
    if is_fragment(&headers) {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    Ok(Redirect::to("/").into_response())
}
