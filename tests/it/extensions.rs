//! Phones that are not ours register with the box and are called: baresip by UDP and TCP, SIPp.

use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use threadline::clock::Clock;
use threadline::model::Private;
use threadline::settings::Extension;
use threadline::sip::outbound::{Call, Outbound, Step};
use threadline::sip::{Dialog, DialogEvent, Ended, Timers};

use super::ports;
use super::signalling::TestBox;

const PASSWORD: &str = "swordfish-17";
const OFFER: &str = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
                     m=audio 40000 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n";
/// A loaded machine's.
const PATIENCE: Duration = Duration::from_secs(120);
const MODULES: [&str; 3] = ["/usr/lib/baresip/modules", "/usr/lib64/baresip/modules", "/usr/local/lib/baresip/modules"];

/// A process that ends with its test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn is_there(program: &str) -> bool {
    let there = Command::new("which").arg(program).stdout(Stdio::null()).status().is_ok_and(|status| status.success());
    if !there {
        println!("skipped: needs {program}");
    }
    there
}

async fn a_box() -> TestBox {
    let extension = |name: &str| Extension {
        name: name.to_owned(),
        shown_as: name.to_owned(),
        password: Private::new(PASSWORD.to_owned()),
        may_call: vec![],
        contacts: 1,
        srtp: threadline::model::SrtpPolicy::Off,
    };
    let settings = |settings: &mut threadline::settings::Settings| {
        settings.extensions = ["201", "202"].map(extension).to_vec();
        settings.trunks[0].accept_from = vec!["198.51.100.0/24".parse().unwrap()];
    };
    TestBox::start_with(settings, Timers::default(), Clock::system()).await
}

/// Waits for something; what the phone said is shown if it does not come.
async fn until(what: &str, log: &Path, done: impl Fn() -> bool) {
    let waited = tokio::time::timeout(PATIENCE, async {
        while !done() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    let came = waited.await.is_ok();
    assert!(came, "waited in vain until {what}\n{}", std::fs::read_to_string(log).unwrap_or_default());
}

/// Calls an extension until it is answered.
async fn call(box_: &TestBox, extension: &str) -> (Dialog, String) {
    let call = Call {
        targets: box_.endpoint.phones().targets(extension),
        from: "+16462530142".into(),
        display: Some("(646) 253-0142 · Billing".into()),
        offer: OFFER.into(),
        ring_for: PATIENCE,
        ..Call::default()
    };
    let mut call = Outbound::dial(&box_.endpoint, call);
    loop {
        match tokio::time::timeout(PATIENCE, call.next()).await.expect("no answer") {
            Some(Step::Progress { .. }) => {}
            Some(Step::Answered { dialog, sdp, .. }) => return (dialog, sdp.expect("an answer to our offer")),
            other => panic!("{other:?}"),
        }
    }
}

async fn hang_up(mut dialog: Dialog) {
    dialog.bye("").await;
    loop {
        match tokio::time::timeout(PATIENCE, dialog.next()).await.expect("the BYE is answered") {
            DialogEvent::Ended { by, .. } => return assert_eq!(by, Ended::Local),
            DialogEvent::Offer { .. } | DialogEvent::Refer { .. } | DialogEvent::Info { .. } => {}
            DialogEvent::Confirmed { .. } => {}
        }
    }
}

/// A baresip that registers and answers whoever calls; it has no sound.
struct Softphone {
    _running: Running,
    account: String,
    /// Where it takes commands.
    console: SocketAddr,
    log: PathBuf,
}

impl Softphone {
    fn start(folder: &Path, name: &str, at: SocketAddr, transport: &str, media: u16) -> Softphone {
        let modules = MODULES.iter().find(|path| Path::new(path).is_dir()).expect("baresip's modules");
        let console = SocketAddr::from(([127, 0, 0, 1], ports::free()));
        let config = format!(
            "sip_listen 127.0.0.1:0\nrtp_ports {media}-{}\nmodule_path {modules}\nmodule g711.so\nmodule aubridge.so\n\
             audio_source aubridge,nowhere\naudio_player aubridge,nowhere\nmodule cons.so\ncons_listen {console}\n\
             module_tmp account.so\nmodule_app menu.so\n",
            media + 9
        );
        let account = format!(
            "<sip:{name}@{at};transport={transport}>;auth_user={name};auth_pass={PASSWORD};regint=60;answermode=auto;\
             audio_codecs=pcmu\n"
        );
        std::fs::write(folder.join("config"), config).unwrap();
        std::fs::write(folder.join("accounts"), &account).unwrap();
        std::fs::write(folder.join("contacts"), "").unwrap();
        let log = folder.join("log");
        let said = std::fs::File::create(&log).unwrap();
        // stdbuf: its words come line by line.
        let mut command = Command::new("stdbuf");
        command.args(["-oL", "baresip", "-4", "-n", "127.0.0.1", "-f"]).arg(folder).arg("-v").stdin(Stdio::null());
        let running = Running(command.stdout(said.try_clone().unwrap()).stderr(said).spawn().unwrap());
        Softphone { _running: running, account, console, log }
    }

    /// Waits until it has registered, as `registered` says. Where it knows no SHA-256 it gives up on the challenge that
    /// names it, and asks again: by itself half a minute to a minute later, here at once.
    async fn registers(&self, registered: impl Fn() -> bool) {
        let gave_up = || std::fs::read_to_string(&self.log).unwrap().contains("Register: Function not implemented");
        until("baresip is answered", &self.log, || registered() || gave_up()).await;
        if !registered() {
            let console = UdpSocket::bind("127.0.0.1:0").unwrap();
            console.send_to(format!("/uanew {}", self.account).as_bytes(), self.console).unwrap();
        }
        until("baresip registers", &self.log, registered).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn baresip_registers_and_picks_up() {
    if !is_there("baresip") {
        return;
    }
    let box_ = a_box().await;
    let picks_up = async |name: &str, transport, at, media| {
        let folder = tempfile::tempdir().unwrap();
        let softphone = Softphone::start(folder.path(), name, at, transport, media);
        softphone.registers(|| box_.endpoint.phones().registered(name)).await;
        let state = box_.endpoint.phones().list().into_iter().find(|state| state.extension == name).unwrap();
        assert!(state.user_agent.to_lowercase().contains("baresip"), "{state:?}");
        let (dialog, answer) = call(&box_, name).await;
        assert!(answer.contains("m=audio") && answer.contains("PCMU"), "{answer}");
        hang_up(dialog).await;
    };
    tokio::join!(picks_up("201", "udp", box_.udp, 25_400), picks_up("202", "tcp", box_.tcp, 25_420));
    let counted = box_.endpoint.counters();
    assert_eq!((counted.registrations_refused, counted.lockouts), (0, 0), "{counted:?}");
}

/// Registers, gives up on a challenge that names SHA-256, asks again, answers the one that does not, and is done.
const REGISTER: &str = r#"<?xml version="1.0"?>
<scenario name="register">
  <send retrans="500"><![CDATA[
      REGISTER sip:[remote_ip] SIP/2.0
      Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
      From: <sip:202@[remote_ip]>;tag=[pid]r[call_number]
      To: <sip:202@[remote_ip]>
      Call-ID: [call_id]
      CSeq: 1 REGISTER
      Contact: <sip:202@[local_ip]:[local_port]>
      Max-Forwards: 70
      Expires: 120
      Content-Length: 0

  ]]></send>
  <recv response="401"/>
  <send retrans="500"><![CDATA[
      REGISTER sip:[remote_ip] SIP/2.0
      Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
      From: <sip:202@[remote_ip]>;tag=[pid]r[call_number]
      To: <sip:202@[remote_ip]>
      Call-ID: [call_id]
      CSeq: 2 REGISTER
      Contact: <sip:202@[local_ip]:[local_port]>
      Max-Forwards: 70
      Expires: 120
      Content-Length: 0

  ]]></send>
  <recv response="401" auth="true"/>
  <send retrans="500"><![CDATA[
      REGISTER sip:[remote_ip] SIP/2.0
      Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
      From: <sip:202@[remote_ip]>;tag=[pid]r[call_number]
      To: <sip:202@[remote_ip]>
      Call-ID: [call_id]
      CSeq: 3 REGISTER
      Contact: <sip:202@[local_ip]:[local_port]>
      Max-Forwards: 70
      Expires: 120
      [authentication username=202 password=swordfish-17]
      Content-Length: 0

  ]]></send>
  <recv response="200"/>
</scenario>
"#;

/// SIPp as one phone at `port`: with a scenario of ours, or its own that answers one call.
fn sipp(folder: &Path, at: SocketAddr, port: u16, scenario: &[&str]) -> Running {
    let mut command = Command::new("sipp");
    command.current_dir(folder).arg(at.to_string()).args(scenario);
    command.args(["-m", "1", "-i", "127.0.0.1", "-p", &port.to_string(), "-nostdin", "-timeout", "50s"]);
    let log = std::fs::File::create(folder.join("sipp.log")).unwrap();
    Running(command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sipp_registers_and_picks_up() {
    if !is_there("sipp") {
        return;
    }
    let box_ = a_box().await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("register.xml"), REGISTER).unwrap();
    let port = ports::free();
    let mut registering = sipp(folder.path(), box_.udp, port, &["-sf", "register.xml"]);
    until("SIPp registers", &folder.path().join("sipp.log"), || box_.endpoint.phones().registered("202")).await;
    assert!(registering.0.wait().unwrap().success());
    let mut phone = sipp(folder.path(), box_.udp, port, &["-sn", "uas", "-mp", "25440"]);
    let (dialog, answer) = call(&box_, "202").await;
    assert!(answer.contains("m=audio"), "{answer}");
    hang_up(dialog).await;
    // What it saw was what it expected.
    assert!(phone.0.wait().unwrap().success());
}
