//! The far end of a load test, and the least that anyone could do for the same packets.
//!
//! - `load_tools sink ADDRESS [echo]`: takes RTP until its standard input ends, then prints one JSON object: streams (told
//!   apart by source and SSRC), packets, those missing by sequence number, and how far the gaps between the packets of a
//!   stream were from 20 ms, by the kernel's receive timestamps. With `echo` it sends each packet back: callers who speak.
//! - `load_tools bare CALLS SECONDS ADDRESS [hear]`: sends what that many calls would, a socket a call, from one loop, and
//!   prints its CPU time for each second of each call. With `hear` it also reads each socket once a packet time.
//! - `load_tools bridge PAIRS SECONDS [convert]`: that many pairs of phones talk to each other, at first without anything
//!   in between, then through a bare UDP forwarder, then through bridged sessions; prints for each how long packets took
//!   and the CPU time for each second of each pair, and what the bridge added to both. With `convert` every second phone
//!   speaks another codec.
//! - `load_tools calls PAIRS SECONDS OURS HOUSE PID`: the same with a running daemon in between (its SIP address, its
//!   process), which rings `sip:desk-0@OURS` and so on for the patients; meanwhile five more a second join its line and
//!   leave it.

mod bridge;
mod calls;

use std::collections::HashMap;
use std::io::{IoSliceMut, Read};
use std::net::{SocketAddr, SocketAddrV4, UdpSocket};
use std::os::fd::AsRawFd;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, MultiHeaders, SockaddrIn, recvmmsg, setsockopt, sockopt};
use nix::sys::time::{TimeSpec, TimeVal, TimeValLike};
use threadline::clock;

/// What all of this is measured against.
const PACKET_TIME: Duration = Duration::from_millis(20);
/// An RTP header and 20 ms of G.711.
const PACKET: usize = 172;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match arguments[..] {
        ["sink", address] => sink(address, false),
        ["sink", address, "echo"] => sink(address, true),
        ["bare", calls, seconds, address] => bare(calls, seconds, address, false),
        ["bare", calls, seconds, address, "hear"] => bare(calls, seconds, address, true),
        ["bridge", pairs, seconds] => bridge::run(pairs, seconds, false),
        ["bridge", pairs, seconds, "convert"] => bridge::run(pairs, seconds, true),
        ["calls", pairs, seconds, ours, house, pid] => calls::run(pairs, seconds, ours, house, pid),
        _ => Err("usage: load_tools sink ADDRESS [echo] | load_tools bare CALLS SECONDS ADDRESS [hear] | \
                  load_tools bridge PAIRS SECONDS [convert] | \
                  load_tools calls PAIRS SECONDS OURS HOUSE PID"
            .into()),
    };
    match result {
        Ok(line) => {
            println!("{line}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("load_tools: {error}");
            ExitCode::FAILURE
        }
    }
}

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// The last packet of a stream.
struct Last {
    seq: u16,
    at_us: i64,
}

fn sink(address: &str, echo: bool) -> Result<String> {
    /// Datagrams for each system call.
    const BATCH: usize = 64;

    let socket = UdpSocket::bind(address)?;
    setsockopt(&socket, sockopt::ReceiveTimestampns, &true)?;
    // So much that nothing is lost while the sink itself waits for a processor; without privilege, as much as is allowed.
    if setsockopt(&socket, sockopt::RcvBufForce, &(64 << 20)).is_err() {
        setsockopt(&socket, sockopt::RcvBuf, &(64 << 20))?;
    }
    socket.set_read_timeout(Some(Duration::from_millis(100)))?;

    let over = Arc::new(AtomicBool::new(false));
    std::thread::spawn({
        let over = over.clone();
        move || {
            std::io::stdin().read_to_end(&mut Vec::new()).ok();
            over.store(true, Ordering::Relaxed);
        }
    });

    let mut streams: HashMap<(SockaddrIn, u32), Last> = HashMap::new();
    let mut deviations: Vec<u32> = Vec::new();
    let (mut packets, mut missing) = (0_u64, 0_u64);
    let mut buffers = vec![[0_u8; 512]; BATCH];
    let mut headers = MultiHeaders::<SockaddrIn>::preallocate(BATCH, Some(nix::cmsg_space!(TimeSpec)));
    while !over.load(Ordering::Relaxed) {
        let mut slices: Vec<_> = buffers.iter_mut().map(|buffer| [IoSliceMut::new(buffer)]).collect();
        let received =
            match recvmmsg(socket.as_raw_fd(), &mut headers, slices.iter_mut(), MsgFlags::MSG_WAITFORONE, None) {
                Ok(received) => received,
                Err(nix::errno::Errno::EAGAIN | nix::errno::Errno::EINTR) => continue,
                Err(error) => return Err(error.into()),
            };
        for message in received {
            let at = message.cmsgs()?.find_map(|control| match control {
                ControlMessageOwned::ScmTimestampns(at) => Some(at.num_microseconds()),
                _ => None,
            });
            let (Some(at_us), Some(from)) = (at, message.address) else { continue };
            let mut datagram: Vec<u8> = message.iovs().flatten().copied().collect();
            let &[0x80..=0xBF, kind, s1, s2, _, _, _, _, a, b, c, d, ..] = datagram.as_slice() else { continue };
            // RTCP on the same port (RFC 5761 section 4) and telephone-events are no audio.
            if (192..=223).contains(&kind) || kind & 0x7F >= 96 {
                continue;
            }
            packets += 1;
            if echo {
                // Another SSRC, or each side would take the other's stream for its own.
                datagram[8] ^= 0xFF;
                socket.send_to(&datagram, SocketAddrV4::from(from))?;
            }
            let (seq, ssrc) = (u16::from_be_bytes([s1, s2]), u32::from_be_bytes([a, b, c, d]));
            let stream = streams.entry((from, ssrc));
            stream
                .and_modify(|last| {
                    let step = seq.wrapping_sub(last.seq);
                    missing += u64::from(if step < 0x8000 { step.saturating_sub(1) } else { 0 });
                    let gap = at_us - last.at_us;
                    deviations.push(u32::try_from((gap - 20_000).abs()).unwrap_or(u32::MAX));
                    *last = Last { seq, at_us };
                })
                .or_insert(Last { seq, at_us });
        }
    }

    deviations.sort_unstable();
    let at = |share: f64| {
        let index = (deviations.len() as f64 * share) as usize;
        deviations.get(index.min(deviations.len().saturating_sub(1))).copied().unwrap_or(0)
    };
    Ok(format!(
        r#"{{"streams": {}, "packets": {packets}, "missing": {missing}, "p50_us": {}, "p99_us": {}, "p999_us": {}, "max_us": {}}}"#,
        streams.len(),
        at(0.5),
        at(0.99),
        at(0.999),
        at(1.0),
    ))
}

fn bare(calls: &str, seconds: &str, address: &str, hear: bool) -> Result<String> {
    let (calls, seconds): (u32, u32) = (calls.parse()?, seconds.parse()?);
    let to: SocketAddr = address.parse()?;
    let sockets = (0..calls)
        .map(|_| {
            let socket = UdpSocket::bind("127.0.0.1:0")?;
            socket.connect(to)?;
            socket.set_nonblocking(true)?;
            Ok(socket)
        })
        .collect::<std::io::Result<Vec<_>>>()?;

    let before = cpu_time()?;
    let start = clock::monotonic();
    let mut packet = [0x55_u8; PACKET];
    packet[..2].copy_from_slice(&[0x80, 0]);
    let ticks = seconds * 50;
    let (mut sent, mut heard) = (0_u64, 0_u64);
    for tick in 0..ticks {
        let due = start + PACKET_TIME * tick;
        std::thread::sleep(due.saturating_duration_since(clock::monotonic()));
        packet[2..4].copy_from_slice(&(tick as u16).to_be_bytes());
        packet[4..8].copy_from_slice(&(tick * 160).to_be_bytes());
        for (ssrc, socket) in (0_u32..).zip(&sockets) {
            packet[8..12].copy_from_slice(&ssrc.to_be_bytes());
            sent += u64::from(socket.send(&packet).is_ok());
        }
        if hear {
            let mut buffer = [0; 2 * PACKET];
            heard += sockets.iter().filter(|socket| socket.recv(&mut buffer).is_ok()).count() as u64;
        }
    }
    let cpu = cpu_time()? - before;
    let call_seconds = f64::from(calls) * f64::from(seconds);
    Ok(format!(
        r#"{{"sent": {sent}, "heard": {heard}, "cpu_ms_per_call_second": {:.4}}}"#,
        cpu.num_microseconds() as f64 / 1e3 / call_seconds
    ))
}

/// User and system time of this process so far.
fn cpu_time() -> nix::Result<TimeVal> {
    let usage = getrusage(UsageWho::RUSAGE_SELF)?;
    Ok(usage.user_time() + usage.system_time())
}
