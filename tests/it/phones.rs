//! Telephones for tests: a patient's, and the clinic's own, which registers as an extension. Real signalling and real
//! audio on loopback, by our own endpoint at the other end of the wire.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use threadline::clock::Clock;
use threadline::media::{Media, MediaConfig, MediaEvent, Prompt, Recording, Session};
use threadline::model::{Codec, LocalMedia, Private, SrtpKey, SrtpPolicy};
use threadline::settings::{SecretPlaces, Settings};
use threadline::sip::digest::Credentials;
use threadline::sip::outbound::{Call, Outbound, Step, Target};
use threadline::sip::sdp::{self, SessionId};
use threadline::sip::trunk::{TrunkState, Trunks};
use threadline::sip::{Dialog, DialogEvent, Endpoint, Incoming, ReferReply};
use tokio::sync::mpsc;
use tokio::time::timeout;

/// A loaded machine, and phones of whom nothing is heard: each ringing of one takes half a minute longer.
pub const PATIENCE: Duration = Duration::from_secs(120);
/// No test takes longer. Not a step's patience: what is heard after a recording's end is not seen.
const LONGEST: Duration = Duration::from_secs(3_600);
const KEY: SrtpKey = SrtpKey([7; 30]);

/// A telephone.
pub struct Telephone {
    pub endpoint: Endpoint,
    pub media: Media,
    incoming: mpsc::Receiver<Incoming>,
    trunks: Option<Trunks>,
    codecs: Vec<Codec>,
    /// Whether its audio is encrypted.
    pub srtp: SrtpPolicy,
}

/// A telephone in a conversation.
pub struct Talking {
    pub dialog: Dialog,
    pub session: Session,
    pub recording: Recording,
    /// What was heard last.
    heard: Mutex<Vec<i16>>,
    local: LocalMedia,
    version: u64,
}

impl Telephone {
    /// One that nobody has to know: a patient's.
    pub async fn of_patient(clinic: SocketAddr, codecs: &[Codec]) -> Telephone {
        Telephone::start(clinic, "", codecs).await
    }

    /// One that registers as an extension; returns once it has.
    pub async fn of_extension(clinic: SocketAddr, name: &str, password: &str, codecs: &[Codec]) -> Telephone {
        let account = format!("register = {{ username = \"{name}\", password = {{ env = \"{password}\" }} }}\n");
        let phone = Telephone::start(clinic, &account, codecs).await;
        let registered = async {
            while phone.trunks.as_ref().unwrap().states().iter().any(|(_, state)| *state != TrunkState::Up) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(PATIENCE, registered).await.expect("it registers");
        phone
    }

    async fn start(clinic: SocketAddr, account: &str, codecs: &[Codec]) -> Telephone {
        let text = format!(
            "[clinic]\nname = \"Phone\"\ntimezone = \"UTC\"\ncountry = \"US\"\nlanguage = \"en\"\n\
             phone_tree = \"none\"\nmessages = \"none\"\nprompts = \"none\"\n\
             [sip]\nlisten = [\"udp:127.0.0.1:0\"]\n\
             [[trunk]]\nname = \"clinic\"\naddress = \"{clinic}\"\naccept_from = [\"127.0.0.0/8\"]\n{account}\
             [rtp]\nports = \"20000-23999\"\n[sms]\ngateway = \"sandbox\"\nfrom = \"+12125550199\"\n"
        );
        // The name of the variable is the password: nothing of the process's own is read.
        let environment = |name: &str| Some(name.to_owned());
        let secrets = SecretPlaces { folder: "/nowhere".into(), credentials: None, environment };
        let settings = Settings::parse(Path::new("phone"), &text, &secrets).unwrap_or_else(|p| panic!("{p}"));
        let config = MediaConfig { ports: settings.rtp.ports, silence_timeout: Duration::from_secs(600) };
        let media = Media::start(config).unwrap();
        let clock = Clock::system();
        let (endpoint, incoming) = Endpoint::bind(&settings, clock.clone()).await.unwrap();
        let trunks = (!account.is_empty()).then(|| Trunks::start(&endpoint, &settings, clock));
        Telephone { endpoint, media, incoming, trunks, codecs: codecs.to_vec(), srtp: SrtpPolicy::Off }
    }

    /// Unregisters, as a phone does that is switched off.
    pub async fn leave(&self) {
        self.trunks.as_ref().expect("an extension").stop().await;
    }

    /// Falls silent: nothing that is sent to it is answered any more, and it says no goodbye.
    pub async fn vanish(&self) {
        self.endpoint.close().await;
        self.media.stop();
    }

    /// Waits until it rings.
    pub async fn rings(&mut self) -> Incoming {
        timeout(PATIENCE, self.incoming.recv()).await.expect("it rings").expect("the endpoint runs")
    }

    /// Waits until it rings, and picks up.
    pub async fn answers(&mut self) -> Talking {
        let incoming = self.rings().await;
        self.pick_up(incoming).await
    }

    /// Picks up.
    pub async fn pick_up(&self, incoming: Incoming) -> Talking {
        let (session, local) = self.audio();
        let offer = incoming.offer.clone().expect("an offer");
        let (answer, plan) = sdp::answer(&offer, &local, || KEY, SessionId { id: 1, version: 1 }).unwrap();
        let dialog = incoming.answer(answer).await.unwrap();
        session.start(plan);
        let recording = session.record(LONGEST);
        Talking { dialog, session, recording, heard: Mutex::default(), local, version: 1 }
    }

    /// Dials; what comes of it is the answer, or the final status.
    pub async fn dial(&self, uri: &str, from: &str) -> Result<Talking, u16> {
        self.call(Target::direct(uri).unwrap(), from).await
    }

    /// Dials as an extension.
    pub async fn dial_as(&self, name: &str, password: &str, uri: &str) -> Result<Talking, u16> {
        let credentials = Credentials { username: name.to_owned(), password: Private::new(password.to_owned()) };
        self.call(Target::direct(uri).unwrap().with_credentials(credentials), name).await
    }

    async fn call(&self, target: Target, from: &str) -> Result<Talking, u16> {
        let (session, local) = self.audio();
        let offer = sdp::offer(&local, SessionId { id: 1, version: 1 }, || KEY);
        let call = Call {
            targets: vec![target],
            from: from.to_owned(),
            display: None,
            offer: offer.clone(),
            ring_for: PATIENCE,
            ..Call::default()
        };
        let mut placing = Outbound::dial(&self.endpoint, call);
        loop {
            match timeout(PATIENCE, placing.next()).await.expect("an answer").expect("a last step") {
                Step::Progress { .. } => {}
                Step::Failed { status } => return Err(status),
                Step::Answered { dialog, sdp, .. } => {
                    let plan = sdp::accept_answer(&offer, &sdp.expect("an answer in SDP")).unwrap();
                    session.start(plan);
                    let recording = session.record(LONGEST);
                    return Ok(Talking { dialog, session, recording, heard: Mutex::default(), local, version: 1 });
                }
            }
        }
    }

    fn audio(&self) -> (Session, LocalMedia) {
        let address = IpAddr::from(Ipv4Addr::LOCALHOST);
        let session = self.media.open(address).unwrap();
        let local = LocalMedia { address, port: session.port(), codecs: self.codecs.clone(), srtp: self.srtp };
        (session, local)
    }
}

impl Talking {
    /// Says a tone for as long as it goes on.
    pub fn say(&self, hz: f64) {
        let samples: Vec<i16> = (0..8_000)
            .map(|i| (8_000.0 * (2.0 * std::f64::consts::PI * hz * f64::from(i) / 8_000.0).sin()) as i16)
            .collect();
        self.session.play_looped(vec![Arc::new(Prompt::from_samples(8_000, &samples).unwrap())]);
    }

    /// Waits until a tone is heard that is a good part of all that is heard.
    pub async fn hears(&self, hz: f64) {
        let heard = async {
            while self.strength(hz) < 0.3 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(PATIENCE, heard).await.unwrap_or_else(|_| panic!("{hz} Hz is not heard"));
    }

    /// Which part of what was heard in the last 200 ms is this tone, by power.
    pub fn strength(&self, hz: f64) -> f64 {
        let rate = self.recording.rate();
        let window = (rate / 5) as usize;
        let mut last = self.heard.lock().unwrap();
        last.extend(self.recording.drain());
        let before = last.len().saturating_sub(window);
        last.drain(..before);
        if last.len() < window {
            return 0.0;
        }
        let (mut re, mut im, mut all) = (0.0, 0.0, 0.0);
        for (i, sample) in last.iter().enumerate() {
            let (sample, angle) = (f64::from(*sample), 2.0 * std::f64::consts::PI * hz * i as f64 / f64::from(rate));
            re += sample * angle.cos();
            im += sample * angle.sin();
            all += sample * sample;
        }
        if all < 1e6 { 0.0 } else { 2.0 * (re * re + im * im) / (all * last.len() as f64) }
    }

    /// Waits until the other side hangs up; why.
    pub async fn ended(&mut self) -> String {
        let ended = async {
            loop {
                match self.dialog.next().await {
                    DialogEvent::Ended { cause, .. } => return cause,
                    DialogEvent::Offer { sdp: Some(offer), reply } => {
                        self.version += 1;
                        let id = SessionId { id: 1, version: self.version };
                        let (answer, plan) = sdp::answer(&offer, &self.local, || KEY, id).unwrap();
                        self.session.start(plan);
                        reply.accept(Some(answer)).await;
                    }
                    _ => {}
                }
            }
        };
        timeout(PATIENCE, ended).await.expect("the other side hangs up")
    }

    /// Waits until the other side asks to be connected with somebody else; with whom.
    pub async fn referred(&mut self) -> (String, ReferReply) {
        let referred = async {
            loop {
                if let DialogEvent::Refer { to, reply, .. } = self.dialog.next().await {
                    return (to, reply);
                }
            }
        };
        timeout(PATIENCE, referred).await.expect("a transfer")
    }

    /// Waits until the other side presses a key.
    pub async fn key(&mut self) -> char {
        let pressed = async {
            loop {
                if let MediaEvent::Digit(pressed) = self.session.next().await {
                    return pressed.digit.as_char();
                }
            }
        };
        timeout(PATIENCE, pressed).await.expect("a key")
    }

    /// Puts the other side on hold (RFC 3264 section 8.4), or takes it off.
    pub async fn hold(&mut self, held: bool) {
        self.version += 1;
        let offer = sdp::offer(&self.local, SessionId { id: 1, version: self.version }, || KEY);
        let offer = if held { offer.replace("a=sendrecv", "a=sendonly") } else { offer };
        let answer = timeout(PATIENCE, self.dialog.offer(offer.clone())).await.unwrap().unwrap();
        assert_eq!(answer.contains("a=recvonly"), held, "{answer}");
        if !held {
            self.session.start(sdp::accept_answer(&offer, &answer).unwrap());
        }
    }
}
