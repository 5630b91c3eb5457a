//! Patients and desk phones on both sides of a running daemon: calls are placed and answered by real signalling, and held
//! while callers come and go in its line. What it adds to a packet's way and what it costs, beside the bare forwarder.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::path::Path;
use std::time::Duration;

use threadline::clock::Clock;
use threadline::settings::{SecretPlaces, Settings};
use threadline::sip::outbound::{Call, Outbound, Step, Target};
use threadline::sip::{Dialog, DialogEvent, Endpoint, Incoming};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::Result;
use super::bridge::{Phones, forwarded, nobody};

/// A second's callers who join the line and leave it, and how long each stays.
const COME_AND_GO: u32 = 5;
const STAY: Duration = Duration::from_secs(2);
/// For any answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// Holds `pairs` of calls for `seconds`.
pub fn run(pairs: &str, seconds: &str, ours: &str, house: &str, pid: &str) -> Result<String> {
    let (pairs, seconds): (usize, u32) = (pairs.parse()?, seconds.parse()?);
    let (ours, house): (SocketAddr, SocketAddr) = (ours.parse()?, house.parse()?);
    let phones = Phones::new(2 * pairs)?;
    let direct = phones.talk(&phones.crossed(), seconds, nobody)?;
    let bare = forwarded(&phones, seconds)?;

    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let _entered = runtime.enter();
    let (endpoint, mut incoming) = runtime.block_on(Endpoint::bind(&settings(ours, house)?, Clock::system()))?;
    let (mut to, mut legs) = (Vec::new(), Vec::new());
    let over = CancellationToken::new();
    for pair in 0..pairs {
        let [patient, desk] = [phones.addresses[2 * pair], phones.addresses[2 * pair + 1]];
        let (one, other) = runtime.block_on(connect(&endpoint, &mut incoming, house, pair, patient, desk))?;
        for (dialog, address) in [one, other] {
            to.push(address);
            legs.push(runtime.spawn(hold(dialog, over.clone())));
        }
    }
    let closing = CancellationToken::new();
    let line = runtime.spawn(come_and_go(endpoint.clone(), house, closing.clone()));
    let through = phones.talk(&to, seconds, || cpu_of(pid))?;
    // The line first: once the phones are free they ring for whoever waits.
    closing.cancel();
    let (came, refused) = runtime.block_on(line)?;
    over.cancel();
    for why in &refused {
        eprintln!("a caller of the line: {why}");
    }
    let refused = refused.len();
    let held = runtime.block_on(async {
        let mut held = 0;
        for leg in legs {
            held += usize::from(leg.await.unwrap_or(false));
        }
        held
    });
    // The last hang-ups are answered.
    runtime.block_on(tokio::time::sleep(STAY));
    Ok(format!(
        "{{\"pairs\": {pairs}, \"legs_held\": {held}, \"legs_lost\": {}, \"line_came\": {came}, \"line_refused\": {refused},\n \
         \"direct\": {},\n \"bare\": {},\n \"house\": {},\n \
         \"added_p50_us\": {:.0}, \"added_p99_us\": {:.0}, \"ratio\": {:.2}}}",
        2 * pairs - held,
        direct.shown(pairs, seconds),
        bare.shown(pairs, seconds),
        through.shown(pairs, seconds),
        through.at(0.5) - direct.at(0.5),
        through.at(0.99) - direct.at(0.99),
        through.cpu.as_secs_f64() / bare.cpu.as_secs_f64(),
    ))
}

type Leg = (Dialog, SocketAddr);

/// A patient calls, and the phone that rings for them picks up.
async fn connect(
    endpoint: &Endpoint,
    incoming: &mut mpsc::Receiver<Incoming>,
    house: SocketAddr,
    pair: usize,
    patient: SocketAddr,
    desk: SocketAddr,
) -> Result<(Leg, Leg)> {
    let near = dial(endpoint, house, &format!("+1212556{pair:04}"), patient).await?;
    let rings = tokio::time::timeout(PATIENCE, incoming.recv()).await?.ok_or("no phone rings")?;
    let address = audio(rings.offer.as_deref().ok_or("no offer")?)?;
    let dialog = rings.answer(sdp(desk)).await.map_err(|error| error.to_string())?;
    Ok((near, (dialog, address)))
}

async fn dial(endpoint: &Endpoint, house: SocketAddr, from: &str, phone: SocketAddr) -> Result<Leg> {
    let call = Call {
        targets: vec![Target::direct(&format!("sip:+12125550100@{house}")).map_err(|error| error.to_string())?],
        from: from.to_owned(),
        display: None,
        offer: sdp(phone),
        ring_for: PATIENCE,
        ..Call::default()
    };
    let mut placing = Outbound::dial(endpoint, call);
    loop {
        match placing.next().await.ok_or("no last step")? {
            Step::Progress { .. } => {}
            Step::Failed { status } => return Err(format!("the house answers {status}").into()),
            Step::Answered { dialog, sdp, .. } => return Ok((dialog, audio(&sdp.ok_or("no answer in SDP")?)?)),
        }
    }
}

/// Keeps a call until `over`, then hangs up: whether it lasted.
async fn hold(mut dialog: Dialog, over: CancellationToken) -> bool {
    loop {
        tokio::select! {
            event = dialog.next() => if let DialogEvent::Ended { .. } = event { return false },
            () = over.cancelled() => {
                dialog.bye("").await;
                return true;
            }
        }
    }
}

/// Callers who wait for a while and leave; how many came, and why some were not taken or not kept.
async fn come_and_go(endpoint: Endpoint, house: SocketAddr, closing: CancellationToken) -> (usize, Vec<String>) {
    let mut every = tokio::time::interval(Duration::from_secs(1) / COME_AND_GO);
    let mut calls = tokio::task::JoinSet::new();
    while !closing.is_cancelled() {
        every.tick().await;
        let (endpoint, number) = (endpoint.clone(), calls.len());
        calls.spawn(async move { visit(&endpoint, house, number).await.map_err(|error| format!("{number}: {error}")) });
    }
    let taken = calls.join_all().await;
    (taken.len(), taken.into_iter().filter_map(std::result::Result::err).collect())
}

async fn visit(endpoint: &Endpoint, house: SocketAddr, number: usize) -> Result<()> {
    // Nobody listens there: they only wait.
    let ear = UdpSocket::bind((house.ip(), 0))?;
    let (dialog, _) = dial(endpoint, house, &format!("+1212557{number:04}"), ear.local_addr()?).await?;
    let leave = CancellationToken::new();
    let leaving = leave.clone();
    tokio::spawn(async move {
        tokio::time::sleep(STAY).await;
        leaving.cancel();
    });
    if hold(dialog, leave).await { Ok(()) } else { Err("hung up on".into()) }
}

fn settings(ours: SocketAddr, house: SocketAddr) -> Result<Settings> {
    let text = format!(
        "[clinic]\nname = \"Phones\"\ntimezone = \"UTC\"\ncountry = \"US\"\nlanguage = \"en\"\n\
         phone_tree = \"none\"\nmessages = \"none\"\nprompts = \"none\"\n\
         [sip]\nlisten = [\"udp:{ours}\"]\nmax_calls = 4000\n\
         [[trunk]]\nname = \"house\"\naddress = \"{house}\"\naccept_from = [\"127.0.0.0/8\"]\n\
         [sms]\ngateway = \"sandbox\"\nfrom = \"+12125550199\"\n"
    );
    let secrets = SecretPlaces { folder: "/nowhere".into(), credentials: None, environment: |_: &str| None };
    Settings::parse(Path::new("phones"), &text, &secrets).map_err(|problems| problems.to_string().into())
}

fn sdp(phone: SocketAddr) -> String {
    let (ip, port) = (phone.ip(), phone.port());
    format!(
        "v=0\r\no=- 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio {port} RTP/AVP 0\r\n\
         a=rtpmap:0 PCMU/8000\r\na=ptime:20\r\na=sendrecv\r\n"
    )
}

/// Where the other side wants its audio.
fn audio(sdp: &str) -> Result<SocketAddr> {
    let ip = sdp.lines().find_map(|line| line.strip_prefix("c=IN IP4 ")).ok_or("no c= line")?;
    let port = sdp.lines().find_map(|line| line.strip_prefix("m=audio ")?.split(' ').next()).ok_or("no m= line")?;
    Ok(SocketAddr::new(ip.trim().parse::<IpAddr>()?, port.parse()?))
}

/// User and system time of a process so far.
fn cpu_of(pid: &str) -> Result<Duration> {
    let mut all = Duration::ZERO;
    for task in std::fs::read_dir(format!("/proc/{pid}/task"))? {
        let stat = std::fs::read_to_string(task?.path().join("schedstat"))?;
        let ns = stat.split_whitespace().next().ok_or("an empty schedstat")?;
        all += Duration::from_nanos(ns.parse()?);
    }
    Ok(all)
}
