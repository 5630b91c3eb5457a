//! `threadline.toml`, table by table.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ipnet::IpNet;

use super::secret::Places;
use super::{
    Clinic, Desk, Gateway, Listen, Log, LogFormat, Retention, Rtp, Settings, Sip, Sms, Store, Strangers, Team,
    Transport, Twilio, Web,
};
use super::{phones, trunks};
use crate::model::toml_file::{Reader, Table, Value};
use crate::model::{Country, Language, PhoneNumber, Problem, Problems, SrtpPolicy};

/// How strict one may be about encrypted audio.
pub(super) const SRTP: [(&str, SrtpPolicy); 3] =
    [("off", SrtpPolicy::Off), ("optional", SrtpPolicy::Optional), ("required", SrtpPolicy::Required)];
const SECOND: Duration = Duration::from_secs(1);
pub(super) const MINUTE: Duration = Duration::from_secs(60);
pub(super) const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);

/// Tables that come with features of a later version.
const LATER: [&str; 4] = ["user", "staff", "quiet_hours", "report"];

/// Gateways that come with a later version.
const LATER_GATEWAYS: [&str; 4] = ["telnyx", "bandwidth", "kannel", "http"];

/// Everything that a table needs besides itself.
pub(super) struct Around<'a> {
    folder: &'a Path,
    pub(super) secrets: &'a Places,
    pub(super) country: Option<Country>,
}

pub(super) fn parse(file: &Path, text: &str, secrets: &Places) -> Result<Settings, Problems> {
    let reader = Reader::new(file, text);
    let document = reader.document()?;
    let root = reader.root(&document);
    let mut around = Around { folder: &secrets.folder, secrets, country: None };

    let clinic = section(&root, "clinic", "write [clinic] with name, timezone and country");
    // Read first: the clinic's country reads the numbers of every other table.
    around.country = clinic.as_ref().and_then(country);
    let clinic = clinic.and_then(|table| self::clinic(&table, &around));
    let sip = optional(&root, "sip").map_or_else(|| Some(sip_defaults()), |table| sip(&table, &around));
    let trunks = trunks::read(&root, &around);
    let (extensions, phones) = phones::read(&root, &around);
    let rtp = optional(&root, "rtp").map_or_else(rtp_defaults, |table| rtp(&table));
    let sms = section(&root, "sms", "write [sms] with gateway = \"sandbox\" and from = \"+1…\"");
    let sms = sms.and_then(|table| self::sms(&table, &around));
    let web = optional(&root, "web").map_or_else(web_defaults, |table| web(&table, &around));
    let desk = optional(&root, "desk").map_or_else(Desk::default, |table| desk(&table));
    let teams = teams(&root);
    let store = optional(&root, "store").map_or_else(store_defaults, |table| store(&table, &around));
    let retention = optional(&root, "retention").map_or_else(Retention::default, |table| retention(&table));
    let log = optional(&root, "log").map_or_else(Log::default, |table| log(&table));
    let render = optional(&root, "prompts").and_then(|table| render(&table));
    root.finish_or(|key| {
        let later = LATER.contains(&key);
        later.then(|| (format!("[{key}] arrives with a later version"), "leave the table out until then".to_owned()))
    });

    reader.finish()?;
    match (clinic, sip, sms) {
        (Some(clinic), Some(sip), Some(sms)) => {
            let file = file.to_owned();
            Ok(Settings {
                file,
                clinic,
                sip,
                trunks,
                extensions,
                phones,
                rtp,
                sms,
                web,
                desk,
                teams,
                store,
                retention,
                log,
                render,
            })
        }
        // What gives none has reported why, so `finish` has left already.
        _ => Err(Problems(vec![Problem::of_file(file, "could not be read", "compare it with the example")])),
    }
}

fn desk(table: &Table<'_>) -> Desk {
    let defaults = Desk::default();
    let span = |key, range, default| table.get(key).and_then(|value| value.duration(range)).unwrap_or(default);
    let desk = Desk {
        answer_within: span("answer_within", MINUTE..=24 * HOUR, defaults.answer_within),
        sign_out_after: span("sign_out_after", MINUTE..=12 * HOUR, defaults.sign_out_after),
        undo: span("undo", Duration::ZERO..=MINUTE, defaults.undo),
        reopen_within: span("reopen_within", Duration::ZERO..=720 * HOUR, defaults.reopen_within),
        close_silent_after: span("close_silent_after", HOUR..=2_160 * HOUR, defaults.close_silent_after),
    };
    table.finish();
    desk
}

/// The teams of the file, or else the two that every clinic has.
fn teams(root: &Table<'_>) -> Vec<Team> {
    let team = |name: &str, shown_as: &str| Team { name: name.to_owned(), shown_as: shown_as.to_owned() };
    let Some(list) = root.get("team").and_then(|value| value.list()) else {
        return vec![team("front_desk", "Front desk"), team("clinical", "Clinical")];
    };
    let mut teams: Vec<Team> = Vec::new();
    for table in list.iter().filter_map(Value::table) {
        let name = table.require("name", "write name = \"front_desk\"").and_then(|value| {
            let name = value.words()?;
            let plain = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
            if !plain || teams.iter().any(|team| team.name == name) {
                value.error(
                    format!("a team cannot be called \"{name}\""),
                    "write small letters, digits and _, each name once; shown_as may be anything",
                );
                return None;
            }
            Some(name)
        });
        let shown_as = table.get("shown_as").and_then(|value| value.words());
        table.finish();
        teams.extend(name.map(|name| team(name, shown_as.unwrap_or(name))));
    }
    teams
}

fn section<'r>(root: &Table<'r>, key: &'static str, cure: &str) -> Option<Table<'r>> {
    root.require(key, cure)?.table()
}

fn optional<'r>(root: &Table<'r>, key: &'static str) -> Option<Table<'r>> {
    root.get(key)?.table()
}

fn country(clinic: &Table<'_>) -> Option<Country> {
    const CURE: &str = "write country = \"US\", the country whose numbers are written without +";
    clinic.require("country", CURE)?.parse(CURE)
}

fn clinic(table: &Table<'_>, around: &Around<'_>) -> Option<Clinic> {
    let name = table.require("name", "write name = \"Riverside Therapy\"").and_then(|value| value.words());
    let zone = |name: &str| jiff::tz::TimeZone::get(name).map_err(|_| format!("there is no time zone \"{name}\""));
    let timezone = table.require("timezone", "write timezone = \"America/New_York\"");
    let timezone = timezone.and_then(|value| value.parse_with(zone, "write a name such as \"America/New_York\""));
    let tag = |tag: &str| Language::parse(tag).map_err(|error| error.to_string());
    let language = table.get("language").map(|value| value.parse_with(tag, "write \"en\" or \"es\""));
    let phone_tree = path_or(table, "phone_tree", "phone-tree.toml", around);
    let messages = path_or(table, "messages", "messages.toml", around);
    let prompts = path_or(table, "prompts", "../prompts", around);
    let response_target = table.get("response_target").and_then(|value| value.words().map(str::to_owned));
    // Was read already, and is known to `finish` by being asked for again.
    table.get("country");
    table.finish();
    Some(Clinic {
        name: name?.to_owned(),
        timezone: timezone?,
        country: around.country?,
        language: language.unwrap_or_else(|| Some(Language::default()))?,
        phone_tree,
        messages,
        prompts,
        response_target,
    })
}

pub(super) fn network(text: &str) -> Result<IpNet, String> {
    let net = text.parse().or_else(|_| text.parse::<std::net::IpAddr>().map(Into::into));
    net.map_err(|_| format!("\"{text}\" is no address range"))
}

fn path_or(table: &Table<'_>, key: &'static str, default: &str, around: &Around<'_>) -> PathBuf {
    let written = table.get(key).and_then(|value| value.words());
    around.folder.join(written.unwrap_or(default))
}

fn path(table: &Table<'_>, key: &'static str, around: &Around<'_>) -> Option<PathBuf> {
    table.get(key).and_then(|value| value.words()).map(|written| around.folder.join(written))
}

fn sip_defaults() -> Sip {
    let listen = SocketAddr::from(([0, 0, 0, 0], 5060));
    Sip {
        listen: [Transport::Udp, Transport::Tcp].map(|transport| Listen { transport, address: listen }).to_vec(),
        external_address: None,
        strangers: Strangers::Drop,
        certificate: None,
        key: None,
        ca: None,
        max_calls: 1_000,
        session_expires: 1_800 * SECOND,
        t1: Duration::from_millis(500),
    }
}

fn sip(table: &Table<'_>, around: &Around<'_>) -> Option<Sip> {
    let defaults = sip_defaults();
    let listen_value = table.get("listen");
    let listen = listen_value.as_ref().map(|value| {
        let all: Vec<Listen> = value.one_or_more().iter().filter_map(listen).collect();
        if all.is_empty() && value.one_or_more().is_empty() {
            value.error("`listen` is empty", "write listen = [\"udp:0.0.0.0:5060\"]");
        }
        all
    });
    let external = table.get("external_address");
    let external = external.and_then(|value| value.parse("write the IP address, such as \"203.0.113.10\""));
    let strangers = table.get("strangers");
    let strangers =
        strangers.and_then(|value| value.choice(&[("drop", Strangers::Drop), ("reject", Strangers::Reject)]));
    let certificate = path(table, "certificate", around);
    let key = path(table, "key", around);
    let ca = path(table, "ca", around);
    let max_calls = table.get("max_calls").and_then(|value| value.integer(1..=10_000));
    // RFC 4028 section 4: 90 s is the least.
    let session_expires = table.get("session_expires").and_then(|value| value.duration(90 * SECOND..=24 * HOUR));
    // RFC 3261 section 17.1.1.1: less than 500 ms within a network of one's own alone.
    let t1 = table.get("t1").and_then(|value| value.duration(Duration::from_millis(20)..=2 * SECOND));
    table.finish();
    let sip = Sip {
        listen: listen.unwrap_or(defaults.listen),
        external_address: external,
        strangers: strangers.unwrap_or_default(),
        certificate,
        key,
        ca,
        max_calls: max_calls.and_then(|calls| usize::try_from(calls).ok()).unwrap_or(defaults.max_calls),
        session_expires: session_expires.unwrap_or(defaults.session_expires),
        t1: t1.unwrap_or(defaults.t1),
    };
    let tls = sip.listen.iter().any(|listen| listen.transport == Transport::Tls);
    if tls && (sip.certificate.is_none() || sip.key.is_none()) {
        let place = listen_value.map_or(table.place(), |value| value.span());
        let cure = "write certificate = \"fullchain.pem\" and key = \"privkey.pem\"";
        table.reader().error(place, "a tls: listener needs a certificate and its key", cure);
        return None;
    }
    Some(sip)
}

/// `udp:0.0.0.0:5060`, `tls:[::]:5061`
fn listen(value: &Value<'_>) -> Option<Listen> {
    let read = |text: &str| {
        let (transport, address) = text.split_once(':').ok_or_else(|| format!("\"{text}\" names no transport"))?;
        let transport = transport_of(transport).ok_or_else(|| format!("\"{transport}\" is no transport"))?;
        let address = address.parse().map_err(|_| format!("\"{address}\" is no address with a port"))?;
        Ok(Listen { transport, address })
    };
    value.parse_with(read, "write \"udp:0.0.0.0:5060\", \"tcp:[::]:5060\" or \"tls:0.0.0.0:5061\"")
}

pub(super) fn transport_of(name: &str) -> Option<Transport> {
    match name {
        "udp" => Some(Transport::Udp),
        "tcp" => Some(Transport::Tcp),
        "tls" => Some(Transport::Tls),
        _ => None,
    }
}

pub(super) fn number(value: &Value<'_>, around: &Around<'_>) -> Option<PhoneNumber> {
    // Without a country, which was reported, only a number in full can be read.
    let read = |text: &str| {
        match around.country {
            Some(country) => PhoneNumber::parse(text, country),
            None => PhoneNumber::e164(text),
        }
        .map_err(|error| error.to_string())
    };
    value.parse_with(read, "write it in full, such as \"+12125550100\"")
}

fn rtp_defaults() -> Rtp {
    Rtp { ports: (16_384, 17_383), silence_timeout: 60 * SECOND }
}

fn rtp(table: &Table<'_>) -> Rtp {
    const CURE: &str = "write ports = \"16384-17383\": two for each call at once";
    let ports = |text: &str| {
        let (first, last) = text.split_once('-').ok_or_else(|| format!("\"{text}\" is no range"))?;
        let port = |text: &str| text.trim().parse::<u16>().map_err(|_| format!("\"{text}\" is no port"));
        let (first, last) = (port(first)?, port(last)?);
        if first < 1_024 || last <= first {
            Err(format!("\"{text}\" is no range above 1023"))
        } else {
            Ok((first, last))
        }
    };
    let ports = table.get("ports").and_then(|value| value.parse_with(ports, CURE));
    let silence = table.get("silence").and_then(|value| value.duration(5 * SECOND..=HOUR));
    table.finish();
    let defaults = rtp_defaults();
    Rtp { ports: ports.unwrap_or(defaults.ports), silence_timeout: silence.unwrap_or(defaults.silence_timeout) }
}

fn sms(table: &Table<'_>, around: &Around<'_>) -> Option<Sms> {
    let gateway = table.require("gateway", "write gateway = \"sandbox\"");
    let twilio = table.get("twilio").map(|value| twilio(&value.table()?, around));
    let gateway = gateway.and_then(|value| match (value.string()?, twilio) {
        ("sandbox", _) => Some(Gateway::Sandbox),
        ("twilio", Some(twilio)) => twilio.map(Gateway::Twilio),
        ("twilio", None) => {
            value.error("gateway \"twilio\" needs its account", "write [sms.twilio] with account_sid and auth_token");
            None
        }
        (later, _) if LATER_GATEWAYS.contains(&later) => {
            value.error(format!("gateway \"{later}\" arrives with a later version"), "use \"sandbox\" or \"twilio\"");
            None
        }
        (unknown, _) => {
            value.error(format!("there is no gateway \"{unknown}\""), "write \"sandbox\" or \"twilio\"");
            None
        }
    });
    let from = table.require("from", "write from = \"+1…\", the clinic's number that texts come from");
    let from = from.and_then(|value| number(&value, around));
    let rate = table.get("rate").and_then(|value| {
        let rate = value.float()?;
        if !(0.01..=1_000.0).contains(&rate) {
            value.error("`rate` is out of range", "write messages a second for each number, 0.01 to 1000");
        }
        Some(rate)
    });
    let expire_after = table.get("expire_after").and_then(|value| value.duration(MINUTE..=72 * HOUR));
    table.finish_or(|key| {
        let later = LATER_GATEWAYS.contains(&key);
        later
            .then(|| (format!("[sms.{key}] arrives with a later version"), "leave the table out until then".to_owned()))
    });
    // A missed-call text that is hours late is of no use to anybody.
    let expire_after = expire_after.unwrap_or(4 * HOUR);
    Some(Sms { gateway: gateway?, from: from?, rate: rate.unwrap_or(1.0), expire_after })
}

fn twilio(table: &Table<'_>, around: &Around<'_>) -> Option<Twilio> {
    let account_sid = table.require("account_sid", "write account_sid = \"AC…\"").and_then(|value| value.words());
    let auth_token = table.require("auth_token", "write auth_token = { env = \"TWILIO_AUTH_TOKEN\" }");
    let auth_token = auth_token.and_then(|value| around.secrets.read(&value));
    let api_key = table.get("api_key");
    let api_secret = table.get("api_secret").map(|value| around.secrets.read(&value));
    if let (Some(api_key), None) = (&api_key, &api_secret) {
        api_key.error("an API key needs its secret", "write api_secret = { file = \"twilio.secret\" }");
    }
    let webhook_key = table.get("webhook_key").map(|value| around.secrets.read(&value));
    let url = |text: &str| {
        let fine = ["http://", "https://"].iter().any(|scheme| text.len() > scheme.len() && text.starts_with(scheme));
        if fine { Ok(text.trim_end_matches('/').to_owned()) } else { Err(format!("\"{text}\" is no URL")) }
    };
    let base_url = table.get("base_url").map(|value| value.parse_with(url, "write \"https://api.twilio.com\""));
    let messaging_service = table.get("messaging_service").and_then(|value| value.words().map(str::to_owned));
    table.finish();
    Some(Twilio {
        account_sid: account_sid?.to_owned(),
        api_key: api_key.and_then(|value| value.words().map(str::to_owned)),
        api_secret: api_secret.flatten(),
        auth_token: auth_token?,
        webhook_key: webhook_key.flatten(),
        base_url: base_url.unwrap_or_else(|| Some("https://api.twilio.com".to_owned()))?,
        messaging_service,
    })
}

fn web_defaults() -> Web {
    Web {
        listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
        public_url: None,
        certificate: None,
        key: None,
        trusted_proxies: Vec::new(),
    }
}

fn web(table: &Table<'_>, around: &Around<'_>) -> Web {
    let listen = table.get("listen").and_then(|value| value.parse("write \"127.0.0.1:8080\""));
    let url = |text: &str| {
        let fine = text.starts_with("https://") || text.starts_with("http://");
        if fine { Ok(text.trim_end_matches('/').to_owned()) } else { Err(format!("\"{text}\" is no URL")) }
    };
    let public_url =
        table.get("public_url").and_then(|value| value.parse_with(url, "write \"https://clinic.example\""));
    let proxies = table.get("trusted_proxies");
    let trusted_proxies: Vec<IpNet> = proxies
        .as_ref()
        .map(|value| value.one_or_more())
        .unwrap_or_default()
        .iter()
        .filter_map(|value| value.parse_with(network, "write the proxy's address, such as \"127.0.0.1/32\""))
        .collect();
    if let Some(value) = proxies.filter(|_| trusted_proxies.iter().any(|net| net.prefix_len() == 0)) {
        value
            .error("everybody would be a proxy", "name the proxy's own address: whoever it is can claim to be anybody");
    }
    let (certificate, key) = (table.get("certificate"), table.get("key"));
    match (&certificate, &key) {
        (Some(alone), None) => alone.error("a certificate needs its key", "write key = \"/etc/threadline/web.key\""),
        (None, Some(alone)) => {
            alone.error("a key needs its certificate", "write certificate = \"/etc/threadline/web.pem\"")
        }
        _ => {}
    }
    let certificate = certificate.and_then(|_| path(table, "certificate", around));
    let key = key.and_then(|_| path(table, "key", around));
    table.finish();
    let listen = listen.unwrap_or_else(|| web_defaults().listen);
    Web { listen, public_url, certificate, key, trusted_proxies }
}

fn store_defaults() -> Store {
    Store { path: PathBuf::from("/var/lib/threadline") }
}

fn store(table: &Table<'_>, around: &Around<'_>) -> Store {
    let path = path(table, "path", around);
    table.finish();
    path.map_or_else(store_defaults, |path| Store { path })
}

fn retention(table: &Table<'_>) -> Retention {
    let defaults = Retention::default();
    let span = |key, default| table.get(key).and_then(|value| value.duration(DAY..=3_650 * DAY)).unwrap_or(default);
    let retention = Retention {
        voicemails: span("voicemails", defaults.voicemails),
        recordings: span("recordings", defaults.recordings),
        traces: span("traces", defaults.traces),
    };
    table.finish();
    retention
}

fn log(table: &Table<'_>) -> Log {
    let format =
        table.get("format").and_then(|value| value.choice(&[("text", LogFormat::Text), ("json", LogFormat::Json)]));
    let filter = table.get("filter").and_then(|value| value.words().map(str::to_owned));
    table.finish();
    Log { format: format.unwrap_or_default(), filter }
}

fn render(table: &Table<'_>) -> Option<Vec<String>> {
    let render = table.get("render");
    table.finish();
    let render = render?;
    let command: Vec<String> = render.list()?.iter().filter_map(|part| part.string().map(str::to_owned)).collect();
    let mentions = |variable: &str| command.iter().skip(1).any(|part| part.contains(variable));
    if !(mentions("{text}") && mentions("{out}")) {
        let cure = "write render = [\"say.py\", \"{text}\", \"{out}\"]";
        render.error("the command must take the words and say where the audio goes", cure);
    }
    Some(command)
}
