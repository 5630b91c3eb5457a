//! A whole call over IPv6: signalling and audio over [::1], from the INVITE to the text.

use std::net::{Ipv6Addr, SocketAddr};

use threadline::cli::phone::Phone;
use threadline::model::Digit;
use threadline::store::export::What;

use super::clinic::{Clinic, PATIENT};
use super::gateway::FakeTwilio;
use super::ports;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_patient_who_calls_over_ipv6_hears_the_clinic_and_gets_the_text() {
    threadline::sms::twilio::install_tls_provider();
    let gateway = FakeTwilio::start().await;
    let mut clinic = Clinic::new(gateway.address);
    let sip = SocketAddr::from((Ipv6Addr::LOCALHOST, ports::free()));
    clinic.rewrite(&[
        (&format!("udp:{}", clinic.sip), &format!("udp:{sip}")),
        ("\"127.0.0.1:5060\"", "\"[::1]:5060\""),
        ("127.0.0.0/8", "::1/128"),
    ]);
    clinic.sip = sip;
    clinic.start().await;

    let phone = Phone::start(sip).await.unwrap();
    let mut call = phone.dial(&format!("sip:+12125550100@{sip}"), PATIENT).await.unwrap();
    let loud = || call.recording().samples().iter().filter(|sample| sample.unsigned_abs() > 1_000).count() > 1_000;
    clinic.until("the prompt is heard", async || loud()).await;
    call.press(Digit::from_char('1').unwrap());
    assert_eq!(call.ended().await, "hangup");
    clinic.until("the gateway has the text", async || !gateway.taken().is_empty()).await;
    let taken = gateway.taken();
    assert_eq!((taken.len(), taken[0].fields["To"].as_str()), (1, PATIENT));
    let over = async || clinic.rows(What::Calls).iter().all(|call| !call["outcome"].is_null());
    clinic.until("the call's end is on record", over).await;
    let calls = clinic.rows(What::Calls);
    assert_eq!((&calls[0]["outcome"], &calls[0]["ended_by"]), (&"texted".into(), &"system".into()), "{calls:?}");
}
