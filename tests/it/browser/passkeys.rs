//! What one signs in with besides the password: a passkey of an authenticator that the browser plays, and codes.

use jiff::Timestamp;
use serde_json::json;
use threadline::conversation::totp;

use super::chromium::{Browser, turn};
use super::house::{House, PASSWORD};

#[tokio::test(flavor = "multi_thread")]
async fn a_passkey_signs_in_without_a_password() {
    let Some(turn) = turn().await else { return };
    let house = House::open().await;
    let ana = house.arrive(&turn, "ana", "Ana López", "front_desk", "front_desk").await;
    let authenticator = json!({
        "protocol": "ctap2", "transport": "internal", "hasResidentKey": true, "hasUserVerification": true,
        "isUserConsenting": true, "isUserVerified": true,
    });
    ana.post("/webauthn/authenticator", authenticator).await;
    ana.go(&house.url("/account")).await;
    ana.write("#label", "front desk computer").await;
    ana.press_button("Add a passkey").await;
    ana.reads("main", "front desk computer").await;

    ana.press_button("Sign out").await;
    ana.arrives("/sign-in").await;
    ana.press_button("Sign in with a passkey").await;
    ana.reads(".shell", "Ana López").await;

    // The password alone no longer does.
    ana.press_button("Sign out").await;
    by_password(&ana, &house, "ana").await;
    ana.reads("main", "Now show that it is you with your passkey").await;
    ana.press_button("Sign in with a passkey").await;
    ana.reads(".shell", "Ana López").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn codes_from_an_app_are_turned_on_and_asked_for_and_a_recovery_code_helps_once() {
    let Some(turn) = turn().await else { return };
    let house = House::open().await;
    let ana = house.arrive(&turn, "ana", "Ana López", "front_desk", "front_desk").await;
    ana.go(&house.url("/account")).await;
    ana.press_button("Set up codes").await;
    ana.reads("main", "Or type this secret into the app").await;
    let shown = ana.run("return document.querySelector('main code').innerText.replaceAll(' ', '')").await;
    let secret = totp::from_base32(shown.as_str().unwrap()).unwrap();
    let step = totp::step(Timestamp::now());
    ana.write("#code", &totp::code(&secret, step)).await;
    ana.press_button("Turn on").await;
    ana.reads("h1", "Recovery codes").await;
    let recovery = ana.run("return document.querySelector('.codes code').innerText").await;
    ana.click("main a.button").await;
    ana.reads("main", "after the password, a code from your authenticator app is asked for").await;

    ana.press_button("Sign out").await;
    by_password(&ana, &house, "ana").await;
    // A code counts once.
    ana.write("#code", &totp::code(&secret, step)).await;
    ana.press_button("Sign in").await;
    ana.reads("[role=alert]", "That code is not right").await;
    ana.write("#code", &totp::code(&secret, step + 1)).await;
    ana.press_button("Sign in").await;
    ana.reads(".shell", "Ana López").await;

    ana.press_button("Sign out").await;
    by_password(&ana, &house, "ana").await;
    ana.write("#code", recovery.as_str().unwrap()).await;
    ana.press_button("Sign in").await;
    ana.reads(".shell", "Ana López").await;
}

async fn by_password(browser: &Browser, house: &House, name: &str) {
    browser.arrives("/sign-in").await;
    browser.go(&house.url("/sign-in")).await;
    browser.write("#name", name).await;
    browser.write("#password", PASSWORD).await;
    browser.press_button("Sign in").await;
}
