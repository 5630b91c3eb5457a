//! kill -9 of the real daemon at each step between "digit heard" and "gateway answered". After the restart nothing is
//! lost and nothing is sent twice: the patient has exactly one text, the one they asked for or, where the key had not
//! reached the disk, the missed-call text.

use std::time::Duration;

use threadline::cli::phone::Phone;
use threadline::model::Digit;
use threadline::store::export::What;
use tokio::time::sleep;

use super::clinic::{Clinic, PATIENT};
use super::gateway::{FakeTwilio, Mood};

/// When the daemon is killed.
#[derive(Clone, Copy, Debug)]
enum Kill {
    /// So long after the key went down: before, in and after the transaction that writes the text.
    AfterKey(Duration),
    /// When the gateway has taken the text and has not answered.
    WhileSending,
    /// When the gateway has answered, or is about to.
    AfterAnswer,
}

async fn crash(kill: Kill) {
    threadline::sms::twilio::install_tls_provider();
    let gateway = FakeTwilio::start().await;
    if matches!(kill, Kill::WhileSending) {
        gateway.moods(&[Mood::TakesAndStalls]);
    }
    let mut clinic = Clinic::new(gateway.address);
    // The caller still listens when the daemon is killed.
    clinic.say_whole("texting_you_now");
    clinic.start().await;

    let phone = Phone::start(clinic.sip).await.unwrap();
    let call = clinic.dial(&phone).await;
    // The call is on disk before the key: a call that nobody has heard of cannot be owed anything.
    clinic.until("the call is on record", async || !clinic.rows(What::Calls).is_empty()).await;
    call.press(Digit::from_char('1').unwrap());
    match kill {
        Kill::AfterKey(wait) => sleep(wait).await,
        Kill::WhileSending | Kill::AfterAnswer => {
            clinic.until("the gateway has the text", async || !gateway.taken().is_empty()).await;
        }
    }
    clinic.kill();

    clinic.start().await;
    let settled = async || {
        let messages = clinic.rows(What::Messages);
        !messages.is_empty() && messages.iter().all(|message| message["status"] == "sent")
    };
    clinic.until("every text is sent", settled).await;

    let (taken, messages, consents) = (gateway.taken(), clinic.rows(What::Messages), clinic.rows(What::Consents));
    assert_eq!(taken.len(), 1, "{kill:?}: {taken:?}");
    assert_eq!(messages.len(), 1, "{kill:?}: {messages:?}");
    assert_eq!(messages[0]["gateway_id"], taken[0].sid.as_str(), "{kill:?}");
    assert_eq!(taken[0].fields["To"], PATIENT, "{kill:?}");
    let asked = taken[0].fields["Body"].contains("how can we help");
    assert_eq!(consents.len(), usize::from(asked), "{kill:?}: a greeting has its consent, a missed-call text has none");
    let calls = clinic.rows(What::Calls);
    assert_eq!(calls.len(), 1);
    assert_eq!(calls[0]["outcome"], "interrupted", "{kill:?}");
    assert_eq!(calls[0]["thread"], messages[0]["thread"], "{kill:?}");
    gateway.assert_contract_kept();
}

/// From the key's first packet on: the key travels for 20 to 40 ms, the transaction takes a few.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_around_the_transaction_the_patient_has_one_text() {
    let after = |wait| crash(Kill::AfterKey(Duration::from_millis(wait)));
    tokio::join!(after(0), after(20), after(30), after(40), after(80));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_while_the_gateway_holds_the_text_it_is_not_sent_again() {
    crash(Kill::WhileSending).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_around_the_gateways_answer_it_is_not_sent_again() {
    crash(Kill::AfterAnswer).await;
}
