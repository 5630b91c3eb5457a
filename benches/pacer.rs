//! What a call costs: CPU time for each playing second of a call, beside a bare loop that only sends the same packets,
//! and how far packets stray from 20 ms as they arrive.
//!
//! `cargo bench --bench pacer [-- CALLS SECONDS]`, 400 calls for 8 s unless told otherwise. Everything runs on loopback;
//! the packets go to sockets that nobody reads, but for one call that is listened to. What lies in those sockets is
//! cleared before each measurement, because a packet for a full socket costs less.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use threadline::clock::monotonic;
use threadline::media::{Media, MediaConfig, Prompt};
use threadline::model::{Codec, Flow, MediaPlan, TelephoneEvent};

const LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const FRAME: Duration = Duration::from_millis(20);

fn main() {
    let numbers: Vec<u64> = std::env::args().filter_map(|argument| argument.parse().ok()).collect();
    let calls = numbers.first().copied().unwrap_or(400) as usize;
    let seconds = numbers.get(1).copied().unwrap_or(8);
    let sinks: Vec<UdpSocket> = (0..calls).map(|_| UdpSocket::bind((LOCAL, 0)).expect("a socket")).collect();
    let targets: Vec<SocketAddr> = sinks.iter().map(|sink| sink.local_addr().expect("bound")).collect();

    let bare = bare_loop(&targets, seconds);
    let per_call = |cpu: Duration| cpu.as_secs_f64() * 1e3 / (calls as f64 * seconds as f64);
    println!("bare loop:   {:.4} CPU ms per playing second of a call", per_call(bare));

    let memory = resident();
    let media = Media::start(MediaConfig { ports: (20_000, 59_999), silence_timeout: Duration::from_secs(3_600) });
    let media = media.expect("a pacer");
    let samples: Vec<i16> = (0..seconds as i32 * 8_000 + 16_000).map(|i| (i * 37 % 8_000) as i16).collect();
    let prompt = Arc::new(Prompt::from_samples(8_000, &samples).expect("a prompt"));
    let sessions: Vec<_> = targets
        .iter()
        .map(|target| {
            let session = media.open(LOCAL).expect("ports");
            session.start(plan(*target));
            session.play(vec![Arc::clone(&prompt)]);
            session
        })
        .collect();
    std::thread::sleep(Duration::from_millis(500));
    sinks.iter().for_each(clear);
    let before = cpu();
    let mut deviations = listen(&sinks[calls / 2], seconds);
    let paced = cpu() - before;
    println!("pacer:       {:.4} CPU ms per playing second of a call", per_call(paced));
    println!("ratio:       {:.2}", paced.as_secs_f64() / bare.as_secs_f64());
    println!("memory:      {:.1} KB a call", resident().saturating_sub(memory) as f64 / calls as f64);
    deviations.sort_unstable();
    let at = |share: f64| deviations[((deviations.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
    println!("off 20 ms:   p50 {:.3} ms, p99 {:.3} ms, p99.9 {:.3} ms", at(0.5), at(0.99), at(0.999));
    println!("{:?}", media.counters());
    drop(sessions);
    media.stop();
}

fn plan(target: SocketAddr) -> MediaPlan {
    MediaPlan {
        codec: Codec::Pcmu,
        payload_type: 0,
        ptime_ms: 20,
        telephone_event: Some(TelephoneEvent { payload_type: 101, clock_rate: 8_000 }),
        remote_rtp: target,
        remote_rtcp: SocketAddr::new(target.ip(), 9),
        flow: Flow::SendRecv,
        srtp: None,
    }
}

/// Sends a packet of 172 bytes to each target every 20 ms, each from a socket of its own, and nothing else.
fn bare_loop(targets: &[SocketAddr], seconds: u64) -> Duration {
    let sockets: Vec<UdpSocket> = targets.iter().map(|_| UdpSocket::bind((LOCAL, 0)).expect("a socket")).collect();
    let packet = [0x55; 172];
    let before = cpu();
    let start = monotonic();
    for tick in 1..=seconds * 50 {
        for (socket, target) in sockets.iter().zip(targets) {
            socket.send_to(&packet, target).expect("loopback takes it");
        }
        let next = FRAME * tick as u32;
        std::thread::sleep(next.saturating_sub(start.elapsed()));
    }
    cpu() - before
}

/// Throws away what has come.
fn clear(sink: &UdpSocket) {
    sink.set_nonblocking(true).expect("a socket");
    while sink.recv(&mut [0; 2_000]).is_ok() {}
    sink.set_nonblocking(false).expect("a socket");
}

/// How far the packets of one call are from 20 ms after the one before.
fn listen(sink: &UdpSocket, seconds: u64) -> Vec<Duration> {
    let mut buffer = [0; 2_000];
    let start = monotonic();
    let mut last = None;
    let mut deviations = Vec::new();
    while start.elapsed() < Duration::from_secs(seconds) {
        sink.recv(&mut buffer).expect("a packet");
        let now = monotonic();
        deviations.extend(last.replace(now).map(|last| (now - last).abs_diff(FRAME)));
    }
    deviations
}

/// CPU time of this process so far.
fn cpu() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_SELF).expect("Linux tells");
    let micros = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    Duration::from_micros(micros as u64)
}

/// Resident memory in KB.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}
