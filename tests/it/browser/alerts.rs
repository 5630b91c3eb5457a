//! A sound and a notification when a patient writes: to whoever looks elsewhere, if they want them, and without a word of
//! whom or what.

use serde_json::json;

use super::chromium::{Browser, turn};
use super::house::House;

const KNOWN: &str = "+12125550142";
const PATIENT: &str = "+12125550143";

/// Notes what notifications are made, how loud it is, and what the page was not allowed by its own policy. It runs
/// before the page's scripts, past that policy.
const LISTEN: &str = "window.made = []; window.forbidden = []; window.loudest = 0; window.last = 0;
    addEventListener('securitypolicyviolation', (event) => forbidden.push(event.violatedDirective));
    const Real = window.Notification;
    window.Notification = class extends Real { constructor(...all) { super(...all); made.push(all); } };
    const connect = AudioNode.prototype.connect;
    AudioNode.prototype.connect = function (to, ...more) {
      if (to instanceof AudioDestinationNode && !window.ear) {
        window.ear = this.context.createScriptProcessor(4096, 1, 1);
        ear.onaudioprocess = ({ inputBuffer, playbackTime }) => {
          const loud = Math.max(...inputBuffer.getChannelData(0));
          if (loud > 0) last = playbackTime;
          loudest = Math.max(loudest, loud);
        };
        connect.call(ear, to);
      }
      if (to instanceof AudioDestinationNode) connect.call(this, ear);
      return connect.call(this, to, ...more);
    };";

#[tokio::test(flavor = "multi_thread")]
async fn a_new_text_is_told_to_whoever_looks_elsewhere_and_wants_it() {
    let Some(turn) = turn().await else { return };
    let house = House::open().await;
    let ana = house.arrive(&turn, "ana", "Ana López", "front_desk", "front_desk").await;
    let open = house.texts(KNOWN, "When are you open?").await;
    ana.cdp("Page.addScriptToEvaluateOnNewDocument", json!({ "source": LISTEN })).await;
    ana.go(&house.url("/")).await;
    ana.until("the page listens", "window.made && document.documentElement.dataset.live === 'leads'").await;

    // A browser that says no is not passed over in silence.
    permit(&ana, "denied").await;
    ana.press_button("Notifications: off").await;
    ana.reads("#toasts", "This browser blocks notifications from here").await;
    ana.reads("#wish-notify", "Notifications: off").await;
    ana.go(&house.url("/account")).await;
    ana.click("#notifications").await;
    ana.reads("#toasts", "This browser blocks notifications from here").await;
    ana.until("the box is empty", "!document.getElementById('notifications').checked").await;

    // With its leave both are switched on; one hears what it will sound like.
    ana.go(&house.url("/?view=all")).await;
    permit(&ana, "granted").await;
    ana.press_button("Notifications: off").await;
    ana.reads("#wish-notify", "Notifications: on").await;
    ana.press_button("Sound: off").await;
    ana.until("it sounds", "loudest > .05").await;
    ana.reads("#wish-sound", "Sound: on").await;

    // In another thread, with the window put away: what is told has no word of whom or what.
    ana.click(&format!("#open-{open}")).await;
    ana.arrives("/threads/").await;
    ana.until("the tab counts them", "document.title.startsWith('(1)')").await;
    look_away(&ana).await;
    let told = house.texts(PATIENT, "This is Rosa, my knee is swollen").await;
    ana.until("it is told", "made.length === 1").await;
    ana.until("it sounds", "loudest > .05").await;
    let notice = json!([["New text in the inbox", { "tag": "inbox", "renotify": true }]]);
    assert_eq!(ana.run("return made").await, notice);
    ana.until("it is over", "ear.context.currentTime > last + 1").await;
    ana.run("loudest = 0").await;

    // Whoever looks at the page sees it there.
    look_back(&ana).await;
    house.texts(PATIENT, "Can I come today?").await;
    ana.until("the tab counts them", "document.title.startsWith('(2)')").await;
    unmoved(&ana, 1).await;

    // Off is off.
    ana.go(&house.url("/?view=all")).await;
    ana.press_button("Notifications: on").await;
    ana.reads("#wish-notify", "Notifications: off").await;
    ana.press_button("Sound: on").await;
    ana.reads("#wish-sound", "Sound: off").await;
    look_away(&ana).await;
    house.texts("+12125550144", "Are you there?").await;
    ana.until("the tab counts them", "document.title.startsWith('(3)')").await;
    unmoved(&ana, 0).await;
    ana.reads(&format!("#t-{told}"), "Can I come today?").await;

    // An open thread fetches nothing while nobody can see it, or what comes would count as seen; in sight again it does.
    look_back(&ana).await;
    ana.click(&format!("#open-{open}")).await;
    ana.arrives("/threads/").await;
    ana.reads("#presence", "").await;
    ana.run_with(FETCHED, json!([open])).await;
    look_away(&ana).await;
    // Not counting what it fetched when it was opened.
    ana.run("fetched = []").await;
    house.texts(KNOWN, "And on Friday?").await;
    ana.until("the page has heard of it", "heard").await;
    assert_eq!(ana.run("return fetched").await, json!([]));
    look_back(&ana).await;
    ana.reads("#timeline", "And on Friday?").await;
    ana.until("it was fetched", "fetched.some((url) => url.endsWith('/timeline'))").await;
}

/// Notes when the page hears of a thread, after its own scripts have, and what of threads it fetches from then on: all but
/// who else looks at one.
const FETCHED: &str = "window.heard = false; window.fetched = [];
    document.addEventListener('live:thread', (event) => { heard ||= event.detail.id === arguments[0]; });
    const real = window.fetch;
    window.fetch = (url, ...more) => {
      if (url.startsWith('/threads/') && !url.endsWith('/presence')) fetched.push(url);
      return real(url, ...more);
    };";

/// So many notifications were made on this page, and nothing sounds; its policy was not touched.
async fn unmoved(browser: &Browser, made: usize) {
    assert_eq!(browser.run("return [made.length, loudest, forbidden]").await, json!([made, 0, []]));
}

/// What the browser's owner says to notifications from here.
async fn permit(browser: &Browser, state: &str) {
    browser.post("/permissions", json!({ "descriptor": { "name": "notifications" }, "state": state })).await;
}

/// Puts the window away; its page goes on.
async fn look_away(browser: &Browser) {
    browser.cdp("Emulation.setFocusEmulationEnabled", json!({ "enabled": false })).await;
    browser.post("/window/minimize", json!({})).await;
    browser.until("nobody looks at it", "document.hidden && !document.hasFocus()").await;
}

/// Has the window in front again.
async fn look_back(browser: &Browser) {
    browser.post("/window/rect", json!({ "width": 1280, "height": 900 })).await;
    browser.until("it is looked at", "!document.hidden && document.hasFocus()").await;
}
