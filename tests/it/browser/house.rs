//! A clinic for browsers: the daemon with the sandbox gateway, people who sign in by their links, patients who call and
//! text.

use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};
use threadline::cli::phone::Phone;
use threadline::model::Digit;
use threadline::store::export::What;

use super::chromium::{Browser, Turn};
use super::hand::{Hand, Seat};
use super::webdriver::Session;
use crate::clinic::Clinic;
use crate::desk::{Desk, Visitor};
use crate::http;

/// What everybody here signs in with.
pub const PASSWORD: &str = "lamp river cotton nine";
/// Where nobody listens: the sandbox gateway calls nobody.
const NOWHERE: &str = "127.0.0.1:9";

/// The clinic and its daemon.
pub struct House {
    pub clinic: Clinic,
    texts: AtomicU32,
}

impl House {
    /// Opens it; there is nobody in it yet.
    pub async fn open() -> House {
        threadline::sms::twilio::install_tls_provider();
        let mut clinic = Clinic::new(NOWHERE.parse().unwrap());
        clinic.rewrite(&[
            ("gateway = \"twilio\"", "gateway = \"sandbox\""),
            ("language = \"en\"\n", "language = \"en\"\nresponse_target = \"15 minutes\"\n"),
            ("[store]\n", "[desk]\nundo = \"1s\"\n[store]\n"),
        ]);
        let messages = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/messages.toml");
        std::fs::copy(messages, clinic.folder.path().join("messages.toml")).unwrap();
        clinic.start().await;
        House { clinic, texts: AtomicU32::new(0) }
    }

    /// An address of the site. By its name: passkeys are made for names, not for numbers.
    pub fn url(&self, path: &str) -> String {
        format!("http://localhost:{}{path}", self.clinic.web.port())
    }

    /// Adds somebody; the link to hand over, as `threadline user add` prints it.
    pub fn add(&self, name: &str, shown_as: &str, roles: &str, team: &str) -> String {
        let words = ["user", "add", name, "--role", roles, "--shown-as", shown_as, "--team", team];
        let done = self.clinic.command(&words).output().unwrap();
        let said = String::from_utf8_lossy(&done.stdout).into_owned() + &String::from_utf8_lossy(&done.stderr);
        let at = said.find("/welcome/").unwrap_or_else(|| panic!("no link: {said}"));
        self.url(said[at..].lines().next().unwrap().trim())
    }

    /// A browser of somebody new, who has just set their password.
    pub async fn arrive(&self, turn: &Turn, name: &str, shown_as: &str, roles: &str, team: &str) -> Browser {
        self.seat(turn, Hand::Mouse, [name, shown_as, roles, team]).await.browser
    }

    /// The same, by what they have in their hand: somebody by their name, how they are shown, their roles and their team.
    pub async fn seat(&self, turn: &Turn, hand: Hand, [name, shown_as, roles, team]: [&str; 4]) -> Seat {
        let (link, seat) = (self.add(name, shown_as, roles, team), Seat::new(Browser::open(turn).await, hand).await);
        seat.go(&link).await;
        seat.writes("#new_password", PASSWORD).await;
        seat.writes("#again", PASSWORD).await;
        seat.presses("Save and go on").await;
        seat.reads(".shell", shown_as).await;
        seat
    }

    /// A patient calls, presses 1 and hears goodbye.
    pub async fn calls_and_presses_one(&self, number: &str) {
        let before = self.clinic.rows(What::Calls).len();
        let phone = Phone::start(self.clinic.sip).await.unwrap();
        let to = format!("sip:+12125550100@{}", self.clinic.sip);
        let mut call = phone.dial(&to, number).await.unwrap();
        self.clinic.until("the call is on record", async || self.clinic.rows(What::Calls).len() > before).await;
        call.press(Digit::from_char('1').unwrap());
        call.ended().await;
        call.hang_up().await;
        phone.stop().await;
    }

    /// A patient texts; gives the thread.
    pub async fn texts(&self, number: &str, body: &str) -> String {
        let once = self.texts.fetch_add(1, Ordering::Relaxed).to_string();
        let form = [("number", number), ("body", body), ("once", once.as_str())];
        let request = http::client().build().unwrap().post(format!("http://{}/phone", self.clinic.web)).form(&form);
        let answer = request.header("sec-fetch-site", "same-origin").send().await.unwrap();
        assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
        self.thread_of(number)
    }

    /// The newest thread with a number.
    pub fn thread_of(&self, number: &str) -> String {
        let threads = self.clinic.rows(What::Threads);
        let thread = threads.iter().rev().find(|thread| thread["number"] == number);
        let thread = thread.unwrap_or_else(|| panic!("no thread with {number}: {threads:?}"));
        thread["id"].as_str().unwrap().to_owned()
    }

    /// What people of the clinic have written to a number.
    pub fn answers_to(&self, number: &str) -> Vec<Value> {
        let by_people = |row: &Value| row["to"] == number && row["author"] != "system" && row["author"] != "automation";
        self.clinic.rows(What::Messages).into_iter().filter(by_people).collect()
    }
}

/// Gives a browser the session of somebody who is signed in at a desk's site, and opens a page of it.
pub async fn enter(browser: &Session, desk: &Desk, visitor: &Visitor, path: &str) {
    let url = format!("http://localhost:{}{path}", desk.address.port());
    let (name, value) = visitor.cookie.as_deref().and_then(|cookie| cookie.split_once('=')).unwrap();
    let cookie = json!({ "name": name, "value": value, "url": url, "path": "/", "secure": true, "httpOnly": true });
    let done = browser.cdp("Network.setCookie", cookie).await;
    assert_eq!(done["success"], true, "{done}");
    browser.go(&url).await;
}
