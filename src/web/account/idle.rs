//! The end of a session that nobody uses: how long is left, and a person who says that they are there.

use axum::extract::State;
use axum::http::StatusCode;
use jiff::Timestamp;
use maud::{Markup, html};

use crate::store::sessions;
use crate::web::Web;
use crate::web::person::Person;
use crate::web::problem::Problem;
use crate::web::words::account;

/// Where a script says that its person presses keys; asking for anything else by script is no use of a session.
pub const STAY: &str = "/session";

/// `GET /session`: the warning, with the seconds that are left and whose session it is.
pub(super) async fn left(State(web): State<Web>, person: Person) -> Result<Markup, Problem> {
    let id = person.session.clone();
    let seen = web.store.read(move |conn| sessions::seen_at(conn, &id)).await?.unwrap_or(Timestamp::MIN);
    let idle = (web.files)().settings.desk.sign_out_after;
    let used = web.clock.now().wall.duration_since(seen);
    let left = idle.as_secs().saturating_sub(u64::try_from(used.as_secs()).unwrap_or(0));
    // A minute before, or earlier on in a session that is short itself.
    let warn = (idle.as_secs() / 3).min(60);
    let words = account::words(person.ui);
    Ok(html! {
        dialog #idle data-left=(left) data-warn=(warn) data-person=(person.name) aria-labelledby="idle-title" {
            div #idle-warning {
                h2 #idle-title { (words.idle_title) }
                p { (words.idle_why) " " strong.number #idle-seconds {} " s." }
                button #idle-stay type="button" { (words.stay) }
            }
            div #idle-ended hidden {
                h2 { (words.ended_title) }
                p { (words.ended_why) }
                p.bar {
                    a.button href="/sign-in?then=/account" target="_blank" rel="opener" { (words.ended_sign_in) }
                    button.second #idle-on type="button" { (words.ended_go_on) }
                }
            }
        }
    })
}

/// `POST /session`: the gate has written down that the session is used.
pub(super) async fn stay(_: Person) -> StatusCode {
    StatusCode::NO_CONTENT
}
