//! `/admin`: the clinic's files in the browser.
//!
//! - [`tree`]: the phone tree as a picture; `layout`: where its boxes and lines go.
//! - [`files`]: the three files, edited or uploaded, and published, by what the daemon hands in as [`workshop`]; `diff`:
//!   what changes.
//! - [`why`]: why a call went where it went; `retrace`: the same as plain data.
//! - [`system`]: gateway, trunks, calls and the box.
//! - [`prompts`]: what is said. [`templates`]: what is texted.

pub mod diff;
pub mod files;
pub mod layout;
pub mod prompts;
pub mod retrace;
pub mod system;
pub mod templates;
pub mod tree;
pub mod why;
pub mod workshop;

use std::path::Path;

use maud::{Markup, html};

use workshop::Workshop;

use super::Web;
use super::page::{self, Section};
use super::person::Person;
use super::problem::Problem;
use super::route::{Access, Route};
use super::words::admin;
use crate::conversation::permission::Act;

/// The routes of the clinic's files.
pub fn routes() -> Vec<Route> {
    let index = vec![Route::get("/admin", Access::May(Act::SeeTree), index)];
    [index, tree::routes(), files::routes(), prompts::routes(), templates::routes(), why::routes(), system::routes()]
        .into_iter()
        .flatten()
        .collect()
}

/// Lets the workshop do something, off the runtime's threads.
async fn work<T: Send + 'static>(web: &Web, f: impl FnOnce(&dyn Workshop) -> T + Send + 'static) -> Result<T, Problem> {
    let workshop = web.workshop.clone();
    let done = tokio::task::spawn_blocking(move || f(&*workshop)).await;
    done.map_err(|_| Problem::Broken("work on the clinic's files panicked"))
}

/// What to do as root so that the daemon may write a folder: its user is made at start (`DynamicUser=`), so that a group
/// is what it can be given.
fn let_write(folder: &Path, flags: &str, what: &str) -> Markup {
    html! {
        pre {
            "groupadd --force --system threadline-files\n"
            "chgrp " (flags) "threadline-files " (what) "\n"
            "chmod " (flags) "g+rwX " (what) "\n"
            "systemctl edit threadline     # and write there:\n"
            "  [Service]\n"
            "  ReadWritePaths=" (folder.display()) "\n"
            "  SupplementaryGroups=threadline-files\n"
            "systemctl restart threadline\n"
        }
    }
}

/// `GET /admin`
async fn index(person: Person) -> Markup {
    let words = admin::words(person.ui);
    let all = [
        (Act::SeeTree, "/admin/tree", words.tree, words.tree_why),
        (Act::SeeTree, "/admin/prompts", words.prompts, words.prompts_why),
        (Act::SeeTree, "/admin/templates", words.templates, words.templates_why),
        (Act::EditFiles, "/admin/files/tree", words.files, words.files_why),
        (Act::SeeSystem, "/admin/system", words.system, words.system_why),
        (Act::ManagePeople, "/admin/people", words.people, words.people_why),
        (Act::ReadAudit, "/admin/audit", words.audit, words.audit_why),
    ];
    let body = html! {
        h1 { (words.title) }
        ul.doors {
            @for (_, href, name, why) in all.into_iter().filter(|(act, ..)| person.may(*act)) {
                li.card { a href=(href) { (name) } p.faint { (why) } }
            }
        }
    };
    page::page(&person, Section::Admin, words.title, body)
}
