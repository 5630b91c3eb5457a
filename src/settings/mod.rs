//! The box's own file, `config/threadline.toml`, parsed into checked types.
//!
//! `file` reads it table by table; `phones` the clinic's own phones; `secret` reads what must not stand in it.

mod file;
mod phones;
mod secret;
mod trunks;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ipnet::IpNet;

use crate::model::{Country, Language, PhoneNumber, Private, Problem, Problems, SrtpPolicy};

pub use phones::begins;
pub use secret::Places as SecretPlaces;

/// Everything the daemon is told about the box it runs on. Paths are absolute: they were read relative to the file.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where it was read from.
    pub file: PathBuf,
    /// `[clinic]`
    pub clinic: Clinic,
    /// `[sip]`
    pub sip: Sip,
    /// `[[trunk]]`, in failover order.
    pub trunks: Vec<Trunk>,
    /// `[[extension]]`
    pub extensions: Vec<Extension>,
    /// `[phones]`
    pub phones: Phones,
    /// `[rtp]`
    pub rtp: Rtp,
    /// `[sms]`
    pub sms: Sms,
    /// `[web]`
    pub web: Web,
    /// `[desk]`
    pub desk: Desk,
    /// `[[team]]`
    pub teams: Vec<Team>,
    /// `[store]`
    pub store: Store,
    /// `[retention]`
    pub retention: Retention,
    /// `[log]`
    pub log: Log,
    /// `[prompts]`: the command that renders a prompt's words, with `{text}` and `{out}` to be filled.
    pub render: Option<Vec<String>>,
}

impl Settings {
    /// Reads and checks the file, and the secrets that it names. Gives everything that is wrong with it.
    pub fn load(path: &Path) -> Result<Settings, Problems> {
        let unreadable = |error: std::io::Error| {
            let cure = "name the file with --config FILE, and let the daemon's user read it";
            Problems(vec![Problem::of_file(path, format!("cannot be read: {error}"), cure)])
        };
        let text = std::fs::read_to_string(path).map_err(unreadable)?;
        let folder = std::path::absolute(path).map_err(unreadable)?;
        let folder = folder.parent().map(Path::to_owned).unwrap_or_default();
        Settings::parse(path, &text, &SecretPlaces::of_process(&folder))
    }

    /// As [`Settings::load`], with the text in hand; paths are relative to the folder of `secrets`.
    pub fn parse(path: &Path, text: &str, secrets: &SecretPlaces) -> Result<Settings, Problems> {
        file::parse(path, text, secrets)
    }

    /// The clinic's number that a call out through `trunk` shows: the first of the trunk's own.
    pub fn shown_by<'a>(&'a self, trunk: &'a Trunk) -> &'a PhoneNumber {
        trunk.numbers.first().unwrap_or(&self.sms.from)
    }
}

/// The clinic.
#[derive(Clone, Debug)]
pub struct Clinic {
    /// What `{clinic}` says.
    pub name: String,
    /// The zone of its opening hours.
    pub timezone: jiff::tz::TimeZone,
    /// How a number without `+` is read.
    pub country: Country,
    /// What it speaks unless the caller chooses.
    pub language: Language,
    /// `phone-tree.toml`
    pub phone_tree: PathBuf,
    /// `messages.toml`
    pub messages: PathBuf,
    /// The folder of prompts, one folder a language in it.
    pub prompts: PathBuf,
    /// What `{response_target}` says, such as "15 minutes".
    pub response_target: Option<String>,
}

/// A transport for SIP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// UDP.
    Udp,
    /// TCP.
    Tcp,
    /// TLS over TCP.
    Tls,
}

/// One address that SIP is heard on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listen {
    /// How.
    pub transport: Transport,
    /// Where.
    pub address: SocketAddr,
}

/// What a stranger's request gets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strangers {
    /// Nothing at all.
    #[default]
    Drop,
    /// 403 Forbidden.
    Reject,
}

/// Signalling.
#[derive(Clone, Debug)]
pub struct Sip {
    /// Where to listen.
    pub listen: Vec<Listen>,
    /// The address the world sees us at, behind NAT.
    pub external_address: Option<std::net::IpAddr>,
    /// What strangers get.
    pub strangers: Strangers,
    /// PEM certificate chain for `tls:` listeners.
    pub certificate: Option<PathBuf>,
    /// PEM private key for `tls:` listeners.
    pub key: Option<PathBuf>,
    /// PEM roots to trust as a TLS client, besides the system's.
    pub ca: Option<PathBuf>,
    /// Calls at once; a further one gets 503.
    pub max_calls: usize,
    /// The session timer that we ask for (RFC 4028).
    pub session_expires: Duration,
    /// The round trip that is reckoned with (RFC 3261 section 17.1.1.1): a peer that does not answer is given up after 64.
    pub t1: Duration,
}

/// A carrier or PBX that calls come from and go to.
#[derive(Clone, Debug)]
pub struct Trunk {
    /// Its name in logs and records.
    pub name: String,
    /// Host, port and transport of its SIP server.
    pub address: TrunkAddress,
    /// Addresses that may call in.
    pub accept_from: Vec<IpNet>,
    /// The clinic's numbers on it; empty: any.
    pub numbers: Vec<PhoneNumber>,
    /// Account to register with.
    pub register: Option<Register>,
    /// Encryption of media.
    pub srtp: SrtpPolicy,
}

/// `sip.carrier.example:5060;transport=tcp`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrunkAddress {
    /// A name or an address.
    pub host: String,
    /// Absent: by SRV, then the transport's default.
    pub port: Option<u16>,
    /// How.
    pub transport: Transport,
}

/// An account at a trunk.
#[derive(Clone, Debug)]
pub struct Register {
    /// The user name.
    pub username: String,
    /// Its password, from a file or the environment.
    pub password: Private<String>,
    /// The realm's user where it differs from the address's.
    pub auth_username: Option<String>,
    /// What to ask for.
    pub expires: Duration,
}

/// A phone of the clinic's that registers with this box.
#[derive(Clone, Debug)]
pub struct Extension {
    /// What is dialled, and the user name that it registers with: `201`.
    pub name: String,
    /// As people read it: "Front desk".
    pub shown_as: String,
    /// Its password, from a file or the environment.
    pub password: Private<String>,
    /// Beginnings of the numbers, in E.164, that it may dial out to. None: it calls other extensions and emergency
    /// numbers alone.
    pub may_call: Vec<String>,
    /// Devices that may be registered at once.
    pub contacts: usize,
    /// Whether its audio is encrypted (RFC 4568) where we ring it; what it offers itself is taken as it is.
    pub srtp: SrtpPolicy,
}

/// What holds for all phones of the clinic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Phones {
    /// Numbers that every phone may dial, straight to the trunk and as they are: `911`. Those of the clinic's country
    /// unless the file says otherwise.
    pub emergency: Vec<String>,
    /// Beginnings of the numbers, in E.164, that a click in the inbox may call for somebody whose phone is one of another
    /// telephone system. None: no number at all.
    pub pbx_may_call: Vec<String>,
    /// How long a parked call waits for somebody to take it up before it comes back to whoever parked it, and how long it
    /// rings there.
    pub parked_for: Duration,
}

/// Media.
#[derive(Clone, Debug)]
pub struct Rtp {
    /// First and last port, inclusive.
    pub ports: (u16, u16),
    /// No RTP for so long ends the call.
    pub silence_timeout: Duration,
}

/// Texting.
#[derive(Clone, Debug)]
pub struct Sms {
    /// The gateway and what it needs.
    pub gateway: Gateway,
    /// The clinic's number that texts come from.
    pub from: PhoneNumber,
    /// Messages a second for each sending number.
    pub rate: f64,
    /// A text that could not be sent for so long is of no use and expires.
    pub expire_after: Duration,
}

/// The gateway in use.
#[derive(Clone, Debug)]
pub enum Gateway {
    /// The embedded one: nothing leaves the box.
    Sandbox,
    /// Twilio and whatever speaks its API.
    Twilio(Twilio),
}

/// `[sms.twilio]`
#[derive(Clone, Debug)]
pub struct Twilio {
    /// `AC…`
    pub account_sid: String,
    /// API user where it is not the account: `SK…`
    pub api_key: Option<String>,
    /// The secret of the API key, where one is used.
    pub api_secret: Option<Private<String>>,
    /// Signs webhooks, and requests unless there is an API key.
    pub auth_token: Private<String>,
    /// The secret of the shared key that a webhook rule signs with, where there is one.
    pub webhook_key: Option<Private<String>>,
    /// `https://api.twilio.com`, or a compatible server.
    pub base_url: String,
    /// `MG…`: send by a Messaging Service instead of `from`.
    pub messaging_service: Option<String>,
}

/// The web side.
#[derive(Clone, Debug)]
pub struct Web {
    /// Where to listen.
    pub listen: SocketAddr,
    /// What webhooks and links use.
    pub public_url: Option<String>,
    /// PEM certificate chain: the pages are served by TLS.
    pub certificate: Option<PathBuf>,
    /// PEM private key of the certificate.
    pub key: Option<PathBuf>,
    /// Proxies whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed.
    pub trusted_proxies: Vec<IpNet>,
}

/// How the front desk works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Desk {
    /// How soon a person answers, in opening hours: what waiting is measured against.
    pub answer_within: Duration,
    /// A session that nobody has used for so long ends.
    pub sign_out_after: Duration,
    /// A text can be taken back for so long after "send".
    pub undo: Duration,
    /// A thread that was closed less than so long ago is reopened by the patient's next text.
    pub reopen_within: Duration,
    /// A thread in which the patient has owed an answer for so long is closed.
    pub close_silent_after: Duration,
}

impl Default for Desk {
    fn default() -> Self {
        let (minute, hour) = (60, 3_600);
        Desk {
            answer_within: Duration::from_secs(15 * minute),
            sign_out_after: Duration::from_secs(15 * minute),
            undo: Duration::from_secs(5),
            reopen_within: Duration::from_secs(72 * hour),
            close_silent_after: Duration::from_secs(72 * hour),
        }
    }
}

/// A team that threads are given to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Team {
    /// As records name it: `front_desk`.
    pub name: String,
    /// As people read it: "Front desk".
    pub shown_as: String,
}

/// The store.
#[derive(Clone, Debug)]
pub struct Store {
    /// The folder with `threadline.db` and what belongs to it.
    pub path: PathBuf,
}

/// How long what was recorded is kept. A recorded conversation keeps the time that was in force when it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// The audio of messages that callers left.
    pub voicemails: Duration,
    /// Recorded conversations.
    pub recordings: Duration,
    /// What went over the wire.
    pub traces: Duration,
}

impl Default for Retention {
    fn default() -> Self {
        let days = |days: u64| Duration::from_secs(days * 86_400);
        Retention { voicemails: days(90), recordings: days(30), traces: days(7) }
    }
}

/// How logs look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// For machines.
    Json,
}

/// Logging.
#[derive(Clone, Debug, Default)]
pub struct Log {
    /// Text or JSON.
    pub format: LogFormat,
    /// A filter such as `info` or `threadline=debug`.
    pub filter: Option<String>,
}
