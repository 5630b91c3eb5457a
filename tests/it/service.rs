//! The daemon as systemd runs it: SIGHUP reloads, SIGTERM drains.

use std::time::Duration;

use nix::sys::signal::Signal;
use threadline::cli::phone::Phone;
use threadline::model::Digit;
use threadline::store::export::What;

use super::clinic::{Clinic, PATIENT};
use super::gateway::FakeTwilio;
use super::http;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reload_changes_the_next_call_and_a_bad_edit_changes_nothing() {
    threadline::sms::twilio::install_tls_provider();
    let gateway = FakeTwilio::start().await;
    let mut clinic = Clinic::new(gateway.address);
    clinic.start().await;
    let phone = Phone::start(clinic.sip).await.unwrap();
    let running = clinic.dial(&phone).await;
    clinic.until("the call is on record", async || clinic.rows(What::Calls).len() == 1).await;

    clinic.write_tree("start = \"menu:nowhere\"\n");
    clinic.signal(Signal::SIGHUP);
    clinic.until("the bad edit is refused", async || clinic.log().contains("not reloaded")).await;
    assert!(clinic.log().contains("tree.toml:1:"), "{}", clinic.log());

    clinic.write_tree("start = \"play:goodbye\"\n[play.goodbye]\nsay = \"goodbye\"\nthen = \"hangup\"\n");
    clinic.signal(Signal::SIGHUP);
    clinic.until("the good edit is taken", async || clinic.log().contains("reloaded; calls in progress")).await;

    // The call that was running still has the menu with its key.
    running.press(Digit::from_char('1').unwrap());
    clinic.until("the text of the running call is sent", async || gateway.taken().len() == 1).await;
    running.hang_up().await;
    // The next one hears the new tree: no menu.
    let mut next = clinic.dial(&phone).await;
    tokio::time::timeout(Duration::from_secs(30), next.ended()).await.expect("the new tree ends the call by itself");
    let over = async || clinic.rows(What::Calls).iter().all(|call| !call["outcome"].is_null());
    clinic.until("both calls are over", over).await;
    let calls = clinic.rows(What::Calls);
    assert_eq!(calls[0]["path"][0], "menu:welcome");
    assert_eq!(calls[1]["path"][0], "play:goodbye");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn told_to_stop_the_daemon_finishes_the_call_takes_no_other_and_ends_well() {
    threadline::sms::twilio::install_tls_provider();
    let gateway = FakeTwilio::start().await;
    let mut clinic = Clinic::new(gateway.address);
    clinic.start().await;
    let phone = Phone::start(clinic.sip).await.unwrap();
    let running = clinic.dial(&phone).await;
    clinic.until("the call is on record", async || clinic.rows(What::Calls).len() == 1).await;

    clinic.signal(Signal::SIGTERM);
    let url = format!("http://{}/healthz", clinic.web);
    let refusing = async || http::get(&url).await.is_ok_and(|answer| answer.status() == 503);
    clinic.until("health says that it stops", refusing).await;
    let second = phone.dial(&format!("sip:+12125550100@{}", clinic.sip), PATIENT).await;
    assert!(second.err().unwrap().to_string().contains("503"));

    // The call in progress still gets its text.
    running.press(Digit::from_char('1').unwrap());
    clinic.until("the text is sent", async || gateway.taken().len() == 1).await;
    running.hang_up().await;
    clinic.until_ended().await;
    let calls = clinic.rows(What::Calls);
    assert_eq!(calls.len(), 1);
    assert_eq!(calls[0]["outcome"], "texted");
}
