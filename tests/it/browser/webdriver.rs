//! The little of WebDriver (W3C, level 2) that the tests need, over HTTP. A crate for it would change how the house's
//! own JSON is read: `serde_json` keeps another order once anybody asks for `preserve_order`.

use std::path::Path;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use reqwest::{Client, Method};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::http;

/// A loaded machine's browser takes its time.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks at a page.
const PAUSE: Duration = Duration::from_millis(40);
/// The key by which an element is named (section 12.2 of the specification).
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// Keys that have no letter (section 17.4.2).
pub const ENTER: &str = "\u{e007}";
pub const TAB: &str = "\u{e004}";
pub const ARROW_DOWN: &str = "\u{e015}";
pub const ESCAPE: &str = "\u{e00c}";
pub const CONTROL: &str = "\u{e009}";
pub const SHIFT: &str = "\u{e008}";

/// A session: one browser with one window.
pub struct Session {
    http: Client,
    base: String,
}

/// What a command was refused with: WebDriver's name of the error, and its words.
#[derive(Debug)]
pub struct Refused {
    pub error: String,
    pub message: String,
}

impl Session {
    /// Opens a session at the driver `driver` (`http://127.0.0.1:PORT`).
    pub async fn open(driver: &str, capabilities: Value) -> Session {
        let http = http::client().timeout(PATIENCE).build().unwrap();
        let mut session = Session { http, base: format!("{driver}/session") };
        let made = session.send(Method::POST, "", json!({ "capabilities": { "alwaysMatch": capabilities } })).await;
        let made = made.unwrap_or_else(|refused| panic!("no browser: {}", refused.message));
        session.base = format!("{driver}/session/{}", made["sessionId"].as_str().unwrap());
        session
    }

    async fn send(&self, method: Method, path: &str, body: Value) -> Result<Value, Refused> {
        let request = self.http.request(method.clone(), format!("{}{path}", self.base));
        let request = if method == Method::POST { request.json(&body) } else { request };
        let answer: Value = request.send().await.unwrap().json().await.unwrap();
        let value = &answer["value"];
        match value["error"].as_str() {
            Some(error) => Err(Refused {
                error: error.to_owned(),
                message: value["message"].as_str().unwrap_or_default().to_owned(),
            }),
            None => Ok(value.clone()),
        }
    }

    /// A command that the browser must obey.
    pub async fn post(&self, path: &str, body: Value) -> Value {
        let done = self.send(Method::POST, path, body).await;
        done.unwrap_or_else(|refused| panic!("{path}: {}: {}", refused.error, refused.message))
    }

    /// Opens an address.
    pub async fn go(&self, url: &str) {
        self.post("/url", json!({ "url": url })).await;
    }

    /// As the browser's own button.
    pub async fn back(&self) {
        self.post("/back", json!({})).await;
    }

    /// The address that is shown.
    pub async fn url(&self) -> String {
        self.send(Method::GET, "/url", Value::Null).await.unwrap().as_str().unwrap().to_owned()
    }

    /// Runs the body of a function in the page; what it returns, or resolves to.
    pub async fn run(&self, script: &str) -> Value {
        self.run_with(script, json!([])).await
    }

    /// The same with `arguments`.
    pub async fn run_with(&self, script: &str, args: Value) -> Value {
        self.post("/execute/sync", json!({ "script": script, "args": args })).await
    }

    /// Waits until an expression holds in the page, whichever page it is by then; what it came to.
    pub async fn until(&self, what: &str, expression: &str) -> Value {
        let script = UNTIL.replace("EXPRESSION", expression);
        let deadline = Instant::now() + PATIENCE;
        loop {
            // While one page goes and the next comes, a script may be refused.
            let found = self.send(Method::POST, "/execute/sync", json!({ "script": script, "args": [] })).await;
            match found {
                Ok(found) if !matches!(found, Value::Null | Value::Bool(false)) => return found,
                found if Instant::now() > deadline => panic!(
                    "waited in vain until {what}: {expression}: {found:?}\n{}\n{}",
                    self.url().await,
                    self.run("return document.body.innerText").await.as_str().unwrap_or_default()
                ),
                _ => sleep(PAUSE).await,
            }
        }
    }

    /// Waits until the page says `text` inside of `css`.
    pub async fn reads(&self, css: &str, text: &str) {
        let (what, css, text) = (format!("{css} reads “{text}”"), json!(css), json!(text));
        self.until(&what, &format!("[...document.querySelectorAll({css})].some((one) => one.checkVisibility() && one.innerText.includes({text}))"))
            .await;
    }

    /// Waits until nothing on the page is `css`.
    pub async fn lacks(&self, css: &str) {
        self.until(&format!("there is no {css}"), &format!("!document.querySelector({})", json!(css))).await;
    }

    /// Waits until the page is loaded whose path begins so.
    pub async fn arrives(&self, path: &str) {
        let path = json!(path);
        let loaded = format!("location.pathname.startsWith({path}) && document.readyState === 'complete'");
        self.until(&format!("{path} is open"), &loaded).await;
    }

    async fn find(&self, using: &str, what: &str) -> Result<String, Refused> {
        let found = self.send(Method::POST, "/element", json!({ "using": using, "value": what })).await?;
        Ok(found[ELEMENT].as_str().unwrap().to_owned())
    }

    /// Does something with an element as soon as it is there and can be reached.
    async fn act(&self, using: &str, what: &str, command: &str, body: Value) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let done = match self.find(using, what).await {
                Ok(id) => self.send(Method::POST, &format!("/element/{id}/{command}"), body.clone()).await,
                Err(refused) => Err(refused),
            };
            match done {
                Ok(_) => return,
                // Parts of a page are replaced while one reaches for them.
                Err(refused) if Instant::now() > deadline => {
                    let page = self.run("return document.body.innerText").await;
                    let at = self.url().await;
                    panic!("{command} {what}: {}: {}\n{at}\n{page}", refused.error, refused.message)
                }
                Err(_) => sleep(PAUSE).await,
            }
        }
    }

    /// Clicks what a CSS selector finds first.
    pub async fn click(&self, css: &str) {
        self.act("css selector", css, "click", json!({})).await;
    }

    /// Clicks a button by its words.
    pub async fn press_button(&self, words: &str) {
        let xpath = format!("//button[normalize-space()={}]", json!(words));
        self.act("xpath", &xpath, "click", json!({})).await;
    }

    /// Clicks what unfolds, by its words.
    pub async fn unfold(&self, words: &str) {
        let xpath = format!("//summary[normalize-space()={}]", json!(words));
        self.act("xpath", &xpath, "click", json!({})).await;
    }

    /// Types into a field, after what is in it.
    pub async fn write(&self, css: &str, text: &str) {
        self.act("css selector", css, "value", json!({ "text": text })).await;
    }

    /// Presses keys one after the other, wherever the focus is.
    pub async fn keys(&self, keys: &[&str]) {
        let actions: Vec<Value> = keys
            .iter()
            .flat_map(|key| ["keyDown", "keyUp"].map(|kind| json!({ "type": kind, "value": key })))
            .collect();
        self.post("/actions", json!({ "actions": [{ "type": "key", "id": "keyboard", "actions": actions }] })).await;
    }

    /// Presses keys while another is held down.
    pub async fn chord(&self, held: &str, keys: &[&str]) {
        let step = |kind: &str, key: &str| json!({ "type": kind, "value": key });
        let mut actions = vec![step("keyDown", held)];
        actions.extend(keys.iter().flat_map(|key| [step("keyDown", key), step("keyUp", key)]));
        actions.push(step("keyUp", held));
        self.post("/actions", json!({ "actions": [{ "type": "key", "id": "keyboard", "actions": actions }] })).await;
    }

    /// A command of Chromium's own protocol.
    pub async fn cdp(&self, command: &str, parameters: Value) -> Value {
        self.post("/goog/cdp/execute", json!({ "cmd": command, "params": parameters })).await
    }

    /// As on a screen of this size, in CSS pixels.
    pub async fn resize(&self, width: u32, height: u32) {
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.cdp("Emulation.setDeviceMetricsOverride", size).await;
    }

    /// As for somebody who likes it `light` or `dark`.
    pub async fn prefer(&self, scheme: &str) {
        let media = json!({ "features": [
            { "name": "prefers-color-scheme", "value": scheme },
            { "name": "prefers-reduced-motion", "value": "reduce" },
        ] });
        self.cdp("Emulation.setEmulatedMedia", media).await;
    }

    /// The whole page as a picture.
    pub async fn photograph(&self, file: &Path) {
        let whole = json!({ "format": "png", "captureBeyondViewport": false, "optimizeForSpeed": true });
        let picture = self.cdp("Page.captureScreenshot", whole).await;
        let bytes = BASE64_STANDARD.decode(picture["data"].as_str().unwrap()).unwrap();
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, bytes).unwrap();
    }
}

/// Looks again and again at a page: there, since each question that goes through the driver costs more than the look. For
/// a second, or as long as the page is seen: one that is hidden has slow clocks.
const UNTIL: &str = "const look = () => EXPRESSION;
    const end = performance.now() + 1000;
    return new Promise((done, failed) => {
      const again = () => {
        try {
          const found = look();
          if ((found !== null && found !== undefined && found !== false) || document.hidden || performance.now() > end) done(found);
          else setTimeout(again, 20);
        } catch (error) { failed(error); }
      };
      again();
    });";
