//! What a command shows of patients is in the audit chain before it is shown.

use std::process::Output;

use threadline::store::export::What;
use threadline::store::{self, audit};

use super::clinic::Clinic;
use super::gateway::FakeTwilio;

const READINGS: [(&[&str], &str); 7] = [
    (&["export", "calls"], "calls.exported calls {}"),
    (&["export", "threads"], "threads.exported threads {}"),
    (
        &["export", "messages", "--since", "2026-11-01"],
        "messages.exported messages {\"since\":\"2026-11-01T00:00:00Z\"}",
    ),
    (&["export", "consents"], "consents.exported consents {}"),
    (&["export", "audit"], "audit.exported audit {}"),
    (&["calls"], "calls.viewed calls {\"watched\":false}"),
    (&["calls", "--json"], "calls.viewed calls {\"watched\":false}"),
];

fn run(clinic: &Clinic, arguments: &[&str]) -> Output {
    clinic.command(arguments).output().unwrap()
}

/// What was done by command, in order.
fn deeds(clinic: &Clinic) -> Vec<String> {
    let rows = clinic.rows(What::Audit).into_iter().filter(|row| row["actor"].as_str().unwrap().starts_with("cli:"));
    let deed = |row: serde_json::Value| {
        format!("{} {} {}", row["action"].as_str().unwrap(), row["subject"].as_str().unwrap(), row["detail"])
    };
    rows.map(deed).filter(|deed| !deed.starts_with("staff.link_made")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_reading_is_a_row_and_what_cannot_be_recorded_is_not_shown() {
    threadline::sms::twilio::install_tls_provider();
    let gateway = FakeTwilio::start().await;
    let mut clinic = Clinic::new(gateway.address);
    clinic.start().await;
    for (arguments, _) in READINGS {
        let done = run(&clinic, arguments);
        assert!(done.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
        if arguments == ["export", "audit"] {
            let shown = String::from_utf8(done.stdout).unwrap();
            assert!(shown.lines().last().unwrap().contains("audit.exported"), "its own row, too: {shown}");
        }
    }
    assert_eq!(deeds(&clinic), READINGS.map(|(_, deed)| deed));
    audit::verify(&store::open_read_only(&clinic.store).unwrap()).unwrap();

    // Somebody else holds the database: it can be read, and nothing of it is shown.
    let other = rusqlite::Connection::open(clinic.store.join("threadline.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    for arguments in [&["export", "audit"][..], &["calls"]] {
        let refused = run(&clinic, arguments);
        let said = String::from_utf8(refused.stderr).unwrap();
        assert!(!refused.status.success() && refused.stdout.is_empty(), "{said}");
        assert!(said.contains("cannot be put on record") && said.lines().count() == 1, "{said}");
    }
    other.execute_batch("ROLLBACK").unwrap();
    assert_eq!(deeds(&clinic).len(), READINGS.len());

    // Without a daemon there is nobody to ask who is on the phone, and so no look at them.
    clinic.kill();
    assert!(!run(&clinic, &["calls"]).status.success());
    assert_eq!(deeds(&clinic).len(), READINGS.len());
}
