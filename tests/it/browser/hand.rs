//! By what hand somebody works the pages: the same morning is to be possible with each.

use std::ops::Deref;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::chromium::Browser;
use super::webdriver::{CONTROL, ENTER, ESCAPE, SHIFT, TAB};

/// How long something may take to be there, on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks at a page.
const PAUSE: Duration = Duration::from_millis(40);

/// What somebody has in their hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hand {
    Mouse,
    /// A keyboard, and they know the page's own keys; by Tab what has none.
    Keys,
    /// A keyboard; they go by Tab and press Enter.
    Tab,
}

/// Somebody at a browser. What is only looked at is the [`Browser`]'s.
pub struct Seat {
    pub browser: Browser,
    hand: Hand,
}

impl Deref for Seat {
    type Target = Browser;

    fn deref(&self) -> &Browser {
        &self.browser
    }
}

impl Seat {
    /// Sits down at a browser, whose window is in front. From now on is noted whether its pointer was used.
    pub async fn new(browser: Browser, hand: Hand) -> Seat {
        browser.cdp("Emulation.setFocusEmulationEnabled", json!({ "enabled": true })).await;
        browser.cdp("Page.addScriptToEvaluateOnNewDocument", json!({ "source": POINTED })).await;
        Seat { browser, hand }
    }

    /// Presses a button by its words.
    pub async fn presses(&self, words: &str) {
        match self.hand {
            Hand::Mouse => self.press_button(words).await,
            _ => self.does(&json!([null, words])).await,
        }
    }

    /// Opens what unfolds, by its words.
    pub async fn unfolds(&self, words: &str) {
        match self.hand {
            Hand::Mouse => self.unfold(words).await,
            _ => self.does(&json!([null, words])).await,
        }
    }

    /// Follows a link, or whatever a selector finds.
    pub async fn follows(&self, css: &str) {
        match self.hand {
            Hand::Mouse => self.click(css).await,
            _ => self.does(&json!([css, null])).await,
        }
    }

    /// Types into a field, after what is in it.
    pub async fn writes(&self, css: &str, text: &str) {
        if self.hand == Hand::Mouse {
            return self.write(css, text).await;
        }
        let field = json!([css, null]);
        if !self.by_its_key(&field).await {
            self.reach(&field).await;
        }
        self.until("the field has the focus", &format!("document.activeElement.matches({})", json!(css))).await;
        self.shows_where().await;
        type_in(self, text).await;
    }

    /// Sends the form that is being written in.
    pub async fn sends(&self) {
        match self.hand {
            Hand::Keys => self.chord(CONTROL, &[ENTER]).await,
            _ => self.presses("Send").await,
        }
    }

    /// Opens a thread from a list of the inbox.
    pub async fn opens(&self, view: &str, thread: &str) {
        self.views(view).await;
        let row = format!("#open-{thread}");
        self.until("its row is there", &format!("document.querySelector({})", json!(row))).await;
        if self.hand == Hand::Keys {
            self.goes_down_to(thread).await;
            self.keys(&[ENTER]).await;
        } else {
            self.follows(&row).await;
        }
        self.arrives(&format!("/threads/{thread}")).await;
    }

    /// Opens a list of the inbox, from wherever they are.
    pub async fn views(&self, view: &str) {
        if self.run("return location.pathname").await != "/" {
            self.follows(".shell nav a[href='/']").await;
            self.until("the inbox is open", "location.pathname === '/' && document.readyState === 'complete'").await;
        }
        self.follows(&format!("#tab-{view}")).await;
        let open = format!("location.search === '?view={view}' && document.readyState === 'complete'");
        self.until("the list is the one asked for", &open).await;
    }

    /// Whether anything was clicked since they sat down.
    pub async fn used_the_pointer(&self) -> bool {
        self.run("return localStorage.getItem('pointed') !== null").await == true
    }

    /// By its own key, else by going there and pressing Enter.
    async fn does(&self, target: &Value) {
        if !self.by_its_key(target).await {
            self.reach(target).await;
            self.keys(&[ENTER]).await;
        }
    }

    /// Presses the key of something that has one, once it is there; whether it has.
    async fn by_its_key(&self, target: &Value) -> bool {
        let ahead = self.ahead(target).await;
        let Some(keys) = ahead["key"].as_str().filter(|_| self.hand == Hand::Keys) else { return false };
        if ahead["typing"] == true {
            self.keys(&[ESCAPE]).await;
        }
        self.keys(&keys.split(' ').collect::<Vec<_>>()).await;
        true
    }

    /// Goes to something by Tab, and sees there that it has the focus.
    async fn reach(&self, target: &Value) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let steps = self.ahead(target).await["steps"].as_i64();
            let tabs = vec![TAB; steps.unwrap_or_default().unsigned_abs().try_into().unwrap()];
            match steps {
                Some(0) => break,
                Some(1..) => self.keys(&tabs).await,
                Some(_) => self.chord(SHIFT, &tabs).await,
                None => sleep(PAUSE).await,
            }
            assert!(
                Instant::now() < deadline,
                "{target} is not reached by Tab from {}: {}",
                self.run(WHERE).await,
                self.run("return location.pathname + document.body.innerText").await
            );
        }
        self.shows_where().await;
    }

    /// Goes down a list by its key to a thread's row.
    async fn goes_down_to(&self, thread: &str) {
        let row = format!("return document.activeElement.id === 'open-{thread}'");
        let deadline = Instant::now() + PATIENCE;
        while self.run(&row).await != true {
            assert!(Instant::now() < deadline, "{thread} is not reached: {}", self.run(WHERE).await);
            self.keys(&["j"]).await;
        }
        self.shows_where().await;
    }

    /// What lies before them on the way to something, once it is there.
    async fn ahead(&self, target: &Value) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let ahead = self.run_with(AHEAD, target.clone()).await;
            if !ahead.is_null() {
                return ahead;
            }
            if Instant::now() > deadline {
                panic!("there is no {target}: {}", self.run("return document.body.innerText").await);
            }
            sleep(PAUSE).await;
        }
    }

    /// What has the focus is seen to have it.
    pub async fn shows_where(&self) {
        let place = self.run(WHERE).await;
        assert!(place.as_str().is_some_and(|place| place.starts_with("seen")), "{place}");
    }
}

/// Types letter by letter, wherever the focus is.
pub async fn type_in(browser: &Browser, text: &str) {
    let letters: Vec<String> = text.chars().map(String::from).collect();
    browser.keys(&letters.iter().map(String::as_str).collect::<Vec<_>>()).await;
}

/// Notes that a pointer was used. A key that presses a button makes no such event.
const POINTED: &str = "addEventListener('pointerdown', () => localStorage.setItem('pointed', ''), true);";

/// How many stops of the Tab key lie before something, named by a selector or by its words; the key that it has; and
/// whether letters would now go into a field. A date has stops of its own within, so the way may have to be looked at again.
const AHEAD: &str = "const [css, words] = arguments;
    const named = (one) => one.checkVisibility() && one.innerText.trim() === words;
    const target = css ? document.querySelector(css) : [...document.querySelectorAll('button, summary')].find(named);
    if (!target) return null;
    const all = [...document.querySelectorAll('a[href], button, input, select, textarea, summary, audio, [tabindex]')];
    const stops = all.filter((one) => one.tabIndex >= 0 && !one.disabled && one.type !== 'hidden' && one.checkVisibility());
    const typing = document.activeElement.matches('input:not([type=checkbox], [type=radio]), textarea, select');
    const steps = stops.includes(target) ? stops.indexOf(target) - stops.indexOf(document.activeElement) : null;
    return { steps, key: target.dataset.key ?? null, typing };";

/// What has the focus, and whether it shows: it is drawn, on the screen, and marked, itself or around its row.
pub const WHERE: &str = "const at = document.activeElement;
    if (!at || at === document.body) return null;
    const box = at.getBoundingClientRect();
    const marks = ['', '::after'].map((part) => getComputedStyle(at, part));
    const marked = marks.some((style) => style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2);
    const drawn = box.width > 1 && box.height > 1 && box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth;
    const name = `${at.tagName} ${at.id} ${at.className} ${at.name ?? ''} ${at.textContent.trim().slice(0, 30)}`;
    return `${marked && drawn ? 'seen' : 'unseen'} ${marked} ${drawn} ${name} ${[...document.querySelectorAll('*')].indexOf(at)}`;";
