//! Pairs of phones that talk to each other through the house's media, through the least that anyone could do for it (a
//! bare two-way UDP forwarder), and without anything in between: what each adds to a packet's way, and what it costs.
//!
//! All in one process over loopback. The phones are two threads, one that sends and one that receives; a packet carries
//! the time at which it was sent, and the kernel tells when it came. Only the CPU time of the thread in between counts.

use std::io::IoSliceMut;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrIn, recvmsg, setsockopt, sockopt};
use nix::sys::time::{TimeSpec, TimeValLike};
use threadline::clock;
use threadline::media::{Media, MediaConfig};
use threadline::model::{Codec, Flow, MediaPlan, TelephoneEvent};

use super::{PACKET, PACKET_TIME, Result};

const LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// What every packet holds before its time: one that is measured, and one before and after.
const MARK: [u8; 4] = *b"load";
const UNMARKED: [u8; 4] = *b"idle";
/// Before anything is measured.
const WARM_UP: Duration = Duration::from_secs(1);
/// After the last packet was sent: whatever is still on its way arrives.
const DRAIN: Duration = Duration::from_millis(300);

/// What one way of joining the phones gave.
pub(super) struct Run {
    sent: u64,
    heard: u64,
    delays_ns: Vec<u64>,
    pub cpu: Duration,
}

impl Run {
    /// Microseconds that so great a share of the packets took at most.
    pub fn at(&self, share: f64) -> f64 {
        let index = (self.delays_ns.len() as f64 * share) as usize;
        self.delays_ns.get(index.min(self.delays_ns.len().saturating_sub(1))).copied().unwrap_or(0) as f64 / 1e3
    }

    pub fn shown(&self, pairs: usize, seconds: u32) -> String {
        format!(
            r#"{{"sent": {}, "heard": {}, "p50_us": {:.0}, "p99_us": {:.0}, "p999_us": {:.0}, "cpu_ms_per_bridged_second": {:.4}}}"#,
            self.sent,
            self.heard,
            self.at(0.5),
            self.at(0.99),
            self.at(0.999),
            self.cpu.as_secs_f64() * 1e3 / (pairs as f64 * f64::from(seconds)),
        )
    }
}

/// Measures all three with `pairs` of phones for `seconds` each. `convert`: every second phone speaks G.722; then what is
/// heard is counted, but without times, which no codec would carry.
pub fn run(pairs: &str, seconds: &str, convert: bool) -> Result<String> {
    let (pairs, seconds): (usize, u32) = (pairs.parse()?, seconds.parse()?);
    let phones = Phones::new(2 * pairs)?;

    let direct = phones.talk(&phones.crossed(), seconds, nobody)?;
    let bare = forwarded(&phones, seconds)?;
    let (bridge, counters) = bridged(&phones, pairs, seconds, convert)?;
    let added = |share| match bridge.delays_ns.is_empty() {
        true => "null".to_owned(),
        false => format!("{:.0}", bridge.at(share) - direct.at(share)),
    };
    Ok(format!(
        "{{\"pairs\": {pairs}, \"convert\": {convert},\n \"direct\": {},\n \"bare\": {},\n \"bridge\": {},\n \
         \"added_p50_us\": {}, \"added_p99_us\": {}, \"ratio\": {:.2},\n \"counters\": \"{counters}\"}}",
        direct.shown(pairs, seconds),
        bare.shown(pairs, seconds),
        bridge.shown(pairs, seconds),
        added(0.5),
        added(0.99),
        bridge.cpu.as_secs_f64() / bare.cpu.as_secs_f64(),
    ))
}

/// Nobody is in between.
pub(super) fn nobody() -> Result<Duration> {
    Ok(Duration::ZERO)
}

/// The bare forwarder in between.
pub(super) fn forwarded(phones: &Phones, seconds: u32) -> Result<Run> {
    let forwarder = Forwarder::start(&phones.addresses)?;
    let run = phones.talk(&forwarder.addresses, seconds, || cpu_of("bare"))?;
    forwarder.stop();
    Ok(run)
}

fn bridged(phones: &Phones, pairs: usize, seconds: u32, convert: bool) -> Result<(Run, String)> {
    let media = Media::start(MediaConfig { ports: (20_000, 29_999), silence_timeout: Duration::from_secs(60) })?;
    let sessions = phones
        .addresses
        .iter()
        .enumerate()
        .map(|(at, phone)| {
            let session = media.open(LOCAL)?;
            let codec = if convert && at % 2 == 1 { Codec::G722 } else { Codec::Pcmu };
            session.start(MediaPlan {
                codec,
                // What the phones send says PCMU; a number is all that it is.
                payload_type: 0,
                ptime_ms: 20,
                telephone_event: Some(TelephoneEvent { payload_type: 101, clock_rate: 8_000 }),
                remote_rtp: *phone,
                remote_rtcp: SocketAddr::new(LOCAL, 9),
                flow: Flow::SendRecv,
                srtp: None,
            });
            Ok(session)
        })
        .collect::<Result<Vec<_>>>()?;
    for pair in 0..pairs {
        sessions[2 * pair].bridge(&sessions[2 * pair + 1]);
    }
    let addresses: Vec<SocketAddr> = sessions.iter().map(|session| SocketAddr::new(LOCAL, session.port())).collect();
    let run = phones.talk(&addresses, seconds, || cpu_of("pacer"))?;
    let counters = media.counters();
    drop(sessions);
    media.stop();
    Ok((run, format!("{counters:?}")))
}

/// Sockets that send 50 packets a second each, evenly spread over time as phones are, and take what comes.
pub(super) struct Phones {
    sockets: Arc<Vec<UdpSocket>>,
    pub addresses: Vec<SocketAddr>,
}

impl Phones {
    pub fn new(count: usize) -> Result<Phones> {
        let sockets = (0..count)
            .map(|_| {
                let socket = UdpSocket::bind((LOCAL, 0))?;
                socket.set_nonblocking(true)?;
                setsockopt(&socket, sockopt::ReceiveTimestampns, &true)?;
                Ok(socket)
            })
            .collect::<Result<Vec<_>>>()?;
        let addresses = sockets.iter().map(UdpSocket::local_addr).collect::<std::io::Result<_>>()?;
        Ok(Phones { sockets: Arc::new(sockets), addresses })
    }

    /// Each phone's partner.
    pub fn crossed(&self) -> Vec<SocketAddr> {
        (0..self.addresses.len()).map(|at| self.addresses[at ^ 1]).collect()
    }

    /// Every phone sends to its address of `to`; what comes back, and the CPU time of what is in between.
    pub fn talk(&self, to: &[SocketAddr], seconds: u32, cpu: impl Fn() -> Result<Duration>) -> Result<Run> {
        let [said, over, measuring] = [(); 3].map(|()| Arc::new(AtomicBool::new(false)));
        let sent = Arc::new(AtomicU64::new(0));
        let listener = std::thread::spawn({
            let (sockets, over, measuring) = (self.sockets.clone(), over.clone(), measuring.clone());
            move || listen(&sockets, &over, &measuring)
        });
        let speaker = std::thread::spawn({
            let (sockets, said, to) = (self.sockets.clone(), said.clone(), to.to_vec());
            let (measuring, sent) = (measuring.clone(), sent.clone());
            move || speak(&sockets, &to, &said, &measuring, &sent)
        });
        std::thread::sleep(WARM_UP);
        let before = cpu()?;
        measuring.store(true, Ordering::Relaxed);
        std::thread::sleep(Duration::from_secs(seconds.into()));
        measuring.store(false, Ordering::Relaxed);
        let cpu = cpu()? - before;
        said.store(true, Ordering::Relaxed);
        speaker.join().map_err(|_| "the speaker panicked")?;
        std::thread::sleep(DRAIN);
        over.store(true, Ordering::Relaxed);
        let (heard, mut delays_ns) = listener.join().map_err(|_| "the listener panicked")??;
        delays_ns.sort_unstable();
        Ok(Run { sent: sent.load(Ordering::Relaxed), heard, delays_ns, cpu })
    }
}

fn speak(sockets: &[UdpSocket], to: &[SocketAddr], over: &AtomicBool, measuring: &AtomicBool, sent: &AtomicU64) {
    let start = clock::monotonic();
    let phase = PACKET_TIME / sockets.len() as u32;
    let mut packet = [0x55_u8; PACKET];
    packet[..2].copy_from_slice(&[0x80, 0]);
    for tick in 0_u32.. {
        for (at, (socket, to)) in (0_u32..).zip(sockets.iter().zip(to)) {
            if over.load(Ordering::Relaxed) {
                return;
            }
            let due = start + PACKET_TIME * tick + phase * at;
            let early = due.saturating_duration_since(clock::monotonic());
            if early > Duration::from_micros(50) {
                std::thread::sleep(early);
            }
            packet[2..4].copy_from_slice(&(tick as u16).to_be_bytes());
            packet[4..8].copy_from_slice(&(tick * 160).to_be_bytes());
            packet[8..12].copy_from_slice(&(at + 1).to_be_bytes());
            let counts = measuring.load(Ordering::Relaxed);
            packet[12..16].copy_from_slice(if counts { &MARK } else { &UNMARKED });
            packet[16..24].copy_from_slice(&wall_ns().to_be_bytes());
            if socket.send_to(&packet, to).is_ok() && counts {
                sent.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

fn listen(
    sockets: &[UdpSocket],
    over: &AtomicBool,
    measuring: &AtomicBool,
) -> std::result::Result<(u64, Vec<u64>), nix::Error> {
    let epoll = watched(sockets)?;
    let mut events = [EpollEvent::empty(); 64];
    let mut buffer = [0; 2 * PACKET];
    let mut control = nix::cmsg_space!(TimeSpec);
    let (mut heard, mut delays) = (0, Vec::with_capacity(1 << 20));
    while !over.load(Ordering::Relaxed) {
        let ready = epoll.wait(&mut events, 100_u8)?;
        for event in &events[..ready] {
            let socket = sockets[event.data() as usize].as_raw_fd();
            let mut slices = [IoSliceMut::new(&mut buffer)];
            let Ok(message) = recvmsg::<SockaddrIn>(socket, &mut slices, Some(&mut control), MsgFlags::MSG_DONTWAIT)
            else {
                continue;
            };
            let at = message.cmsgs()?.find_map(|control| match control {
                ControlMessageOwned::ScmTimestampns(at) => Some(at.num_nanoseconds() as u64),
                _ => None,
            });
            if message.bytes != PACKET {
                continue;
            }
            let mark = &buffer[12..16];
            if mark == MARK {
                heard += 1;
                if let (Some(at), Some(sent)) = (at, buffer[16..].first_chunk::<8>()) {
                    delays.push(at.saturating_sub(u64::from_be_bytes(*sent)));
                }
            } else if mark != UNMARKED && measuring.load(Ordering::Relaxed) {
                // Converted: no mark comes through.
                heard += 1;
            }
        }
    }
    Ok((heard, delays))
}

/// A socket for each phone; what comes on one goes out of its partner's. Nothing is parsed, checked or counted.
struct Forwarder {
    addresses: Vec<SocketAddr>,
    over: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<()>,
}

impl Forwarder {
    fn start(phones: &[SocketAddr]) -> Result<Forwarder> {
        let sockets = phones
            .iter()
            .map(|_| {
                let socket = UdpSocket::bind((LOCAL, 0))?;
                socket.set_nonblocking(true)?;
                Ok(socket)
            })
            .collect::<std::io::Result<Vec<_>>>()?;
        let addresses = sockets.iter().map(UdpSocket::local_addr).collect::<std::io::Result<_>>()?;
        let over = Arc::new(AtomicBool::new(false));
        let epoll = watched(&sockets)?;
        let thread = std::thread::Builder::new().name("bare".to_owned()).spawn({
            let (over, phones) = (over.clone(), phones.to_vec());
            move || {
                let mut events = [EpollEvent::empty(); 64];
                let mut buffer = [0; 2_048];
                while !over.load(Ordering::Relaxed) {
                    let ready = epoll.wait(&mut events, 100_u8).unwrap_or(0);
                    for event in &events[..ready] {
                        let at = event.data() as usize;
                        if let Ok((length, _)) = sockets[at].recv_from(&mut buffer) {
                            // A full socket loses it, as the net does.
                            let _ = sockets[at ^ 1].send_to(&buffer[..length], phones[at ^ 1]);
                        }
                    }
                }
            }
        })?;
        Ok(Forwarder { addresses, over, thread })
    }

    fn stop(self) {
        self.over.store(true, Ordering::Relaxed);
        let _ = self.thread.join();
    }
}

/// Waits for all of the sockets, each told by its place.
fn watched(sockets: &[UdpSocket]) -> nix::Result<Epoll> {
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
    for (at, socket) in (0..).zip(sockets) {
        epoll.add(socket, EpollEvent::new(EpollFlags::EPOLLIN, at))?;
    }
    Ok(epoll)
}

/// Time on a processor of this process's thread of that name.
fn cpu_of(thread: &str) -> Result<Duration> {
    for task in std::fs::read_dir("/proc/self/task")? {
        let task = task?.path();
        if std::fs::read_to_string(task.join("comm"))?.trim() == thread {
            let stat = std::fs::read_to_string(task.join("schedstat"))?;
            let ns = stat.split_whitespace().next().ok_or("an empty schedstat")?;
            return Ok(Duration::from_nanos(ns.parse()?));
        }
    }
    Err(format!("no thread is called {thread}").into())
}

fn wall_ns() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64)
}
