//! `threadline user` while the daemon works: both write one database and one audit chain.

use threadline::cli::phone::Phone;
use threadline::model::Digit;
use threadline::store::export::What;
use threadline::store::{self, audit};

use super::clinic::Clinic;
use super::gateway::FakeTwilio;
use super::http;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_are_added_while_the_daemon_takes_a_call_and_the_audit_chain_holds() {
    threadline::sms::twilio::install_tls_provider();
    let gateway = FakeTwilio::start().await;
    let mut clinic = Clinic::new(gateway.address);
    clinic.start().await;
    let phone = Phone::start(clinic.sip).await.unwrap();
    let call = clinic.dial(&phone).await;
    call.press(Digit::from_char('1').unwrap());

    let run = |arguments: &[&str]| {
        let done = clinic.command(arguments).output().unwrap();
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        assert!(done.status.success(), "{arguments:?}: {said}");
        String::from_utf8(done.stdout).unwrap()
    };
    for name in ["ana", "ben", "cleo"] {
        let printed = run(&["user", "add", name, "--role", "front_desk,admin"]);
        let link = printed.lines().map(str::trim).find(|line| line.starts_with("http")).expect("a link").to_owned();
        let page = http::get(link).await.unwrap();
        assert_eq!(page.status(), 200, "the daemon knows {name}'s link at once");
    }
    run(&["user", "disable", "ben"]);
    let listed = run(&["user", "list"]);
    assert!(["ana", "ben", "cleo"].iter().all(|name| listed.contains(name)), "{listed}");
    clinic.until("the text is sent", async || gateway.taken().len() == 1).await;

    let holds = |clinic: &Clinic| {
        let conn = store::open_read_only(&clinic.store).unwrap();
        usize::try_from(audit::verify(&conn).unwrap()).unwrap()
    };
    let chain = clinic.rows(What::Audit);
    let by_command = chain.iter().filter(|row| row["actor"].as_str().unwrap().starts_with("cli:")).count();
    assert!(by_command >= 7 && chain.len() > by_command, "both have written: {chain:?}");
    assert!(holds(&clinic) >= chain.len());
    // The next start finds nothing to complain of.
    clinic.kill();
    clinic.start().await;
    assert!(holds(&clinic) >= chain.len());
    assert!(!clinic.log().contains("records are missing"), "{}", clinic.log());
}
