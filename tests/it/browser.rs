//! The inbox in a real browser: headless Chromium, driven over WebDriver, against the real daemon on loopback.
//!
//! - [`webdriver`]: the little of the WebDriver protocol that is needed. [`chromium`]: the browser, from its start to its
//!   end. [`house`]: a clinic with people who sign in by their links, a patient's phone, a site full of threads. [`hand`]:
//!   somebody at a browser, with a mouse or with keys.
//! - [`morning`]: what a front desk does from the first call to the empty queue, by mouse and by keys. [`keyboard`]: every
//!   key, and where it leaves one. [`new_text`]: a text to somebody who has not written.
//! - [`calls`]: callers answered, messages heard. [`race`]: two answer at once. [`hostile`]: what is typed and sent to do harm. [`passkeys`]: the second factor.
//! - [`alerts`]: sound and notification.
//! - [`accessible`]: axe-core on every page. [`looks`]: no page is wider than its screen, at any width.

mod accessible;
mod alerts;
mod calls;
mod chromium;
mod hand;
mod hostile;
mod house;
mod keyboard;
mod looks;
mod morning;
mod new_text;
mod passkeys;
mod race;
mod webdriver;
