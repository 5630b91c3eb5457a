//! Digest authentication (RFC 7616, RFC 8760; RFC 2617 and 2069 where a server is that old): reading challenges,
//! answering them, and checking an answer. Pure: the client nonce is handed in.
//!
//! The SIP library's own digest stumbles over `qop="auth,auth-int"`, SHA-256 and more than one challenge.

use md5::{Digest as _, Md5};
use ring::digest::{SHA256, digest};

use crate::model::Private;

/// Challenges read from one response; further ones are not looked at.
const MOST_CHALLENGES: usize = 8;
/// The longest header value that is read, in bytes.
const LONGEST: usize = 4096;
/// How often in a row a server may call our nonce stale before we believe that it never will be content.
const MOST_STALE: u8 = 3;

/// A hash, from weak to strong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Algorithm {
    /// `MD5`, also where none is named.
    Md5,
    /// `MD5-sess`
    Md5Sess,
    /// `SHA-256`
    Sha256,
    /// `SHA-256-sess`
    Sha256Sess,
}

impl Algorithm {
    const ALL: [Algorithm; 4] = [Algorithm::Md5, Algorithm::Md5Sess, Algorithm::Sha256, Algorithm::Sha256Sess];

    fn name(self) -> &'static str {
        match self {
            Algorithm::Md5 => "MD5",
            Algorithm::Md5Sess => "MD5-sess",
            Algorithm::Sha256 => "SHA-256",
            Algorithm::Sha256Sess => "SHA-256-sess",
        }
    }

    fn parse(text: &str) -> Option<Algorithm> {
        Self::ALL.into_iter().find(|algorithm| algorithm.name().eq_ignore_ascii_case(text))
    }

    fn is_session(self) -> bool {
        matches!(self, Algorithm::Md5Sess | Algorithm::Sha256Sess)
    }

    fn hash(self, data: &[u8]) -> String {
        match self {
            Algorithm::Md5 | Algorithm::Md5Sess => hex(&Md5::digest(data)),
            Algorithm::Sha256 | Algorithm::Sha256Sess => hex(digest(&SHA256, data).as_ref()),
        }
    }
}

/// Quality of protection: what the answer covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Qop {
    /// Method and URI.
    Auth,
    /// The body too.
    AuthInt,
}

impl Qop {
    fn name(self) -> &'static str {
        match self {
            Qop::Auth => "auth",
            Qop::AuthInt => "auth-int",
        }
    }
}

/// One challenge that we can answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    realm: String,
    nonce: String,
    opaque: Option<String>,
    algorithm: Algorithm,
    /// `None`: the server is of RFC 2069's time.
    qop: Option<Qop>,
    stale: bool,
}

/// An account.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// The user's name in the realm.
    pub username: String,
    /// The password.
    pub password: Private<String>,
}

/// What of a request is signed.
#[derive(Clone, Copy, Debug)]
pub struct Signed<'a> {
    /// `REGISTER`
    pub method: &'a str,
    /// The Request-URI as it stands in the request.
    pub uri: &'a str,
    /// The body, which `auth-int` covers.
    pub body: &'a [u8],
}

/// Who asks: the far end (401) or a proxy between (407). Their nonces have nothing to do with each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asker {
    /// 401, `WWW-Authenticate`, answered in `Authorization`.
    Server,
    /// 407, `Proxy-Authenticate`, answered in `Proxy-Authorization`.
    Proxy,
}

impl Asker {
    /// By the response's status.
    pub fn of(status: u16) -> Option<Asker> {
        match status {
            401 => Some(Asker::Server),
            407 => Some(Asker::Proxy),
            _ => None,
        }
    }

    /// The header that holds the challenge.
    pub fn challenge_header(self) -> &'static str {
        match self {
            Asker::Server => "WWW-Authenticate",
            Asker::Proxy => "Proxy-Authenticate",
        }
    }

    /// The header that holds the answer.
    pub fn answer_header(self) -> &'static str {
        match self {
            Asker::Server => "Authorization",
            Asker::Proxy => "Proxy-Authorization",
        }
    }
}

/// Why there is no use in asking again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// We answered and were asked again.
    #[error("the user name or password is wrong; check the trunk's register entry")]
    Credentials,
    /// Nothing that we can answer.
    #[error("the server asks for a digest that we do not speak; MD5 and SHA-256 we do")]
    Unsupported,
}

/// Reads the values of WWW-Authenticate or Proxy-Authenticate; the strongest challenge comes first (RFC 8760 section
/// 2.4 leaves the choice to the server's order, yet a weak one listed first is how a downgrade looks).
pub fn challenges(values: &[&str]) -> Vec<Challenge> {
    let mut found: Vec<Challenge> =
        values.iter().flat_map(|value| schemes(value)).filter_map(Challenge::parse).take(MOST_CHALLENGES).collect();
    found.sort_by_key(|challenge| std::cmp::Reverse(challenge.algorithm));
    found
}

impl Challenge {
    fn parse(scheme: Scheme) -> Option<Challenge> {
        let qop = match scheme.parameter("qop") {
            None => None,
            Some(offered) => {
                let offers = |qop: Qop| offered.split(',').any(|word| word.trim().eq_ignore_ascii_case(qop.name()));
                Some([Qop::Auth, Qop::AuthInt].into_iter().find(|qop| offers(*qop))?)
            }
        };
        Some(Challenge {
            realm: scheme.parameter("realm")?.to_owned(),
            nonce: scheme.parameter("nonce")?.to_owned(),
            opaque: scheme.parameter("opaque").map(str::to_owned),
            algorithm: Algorithm::parse(scheme.parameter("algorithm").unwrap_or("MD5"))?,
            qop,
            stale: scheme.parameter("stale").is_some_and(|stale| stale.eq_ignore_ascii_case("true")),
        })
    }

    /// The value of Authorization. `count` is how often this nonce has been used, this time included.
    pub fn answer(&self, credentials: &Credentials, request: Signed<'_>, cnonce: &str, count: u32) -> String {
        let Credentials { username, password } = credentials;
        let proof = Proof {
            algorithm: self.algorithm,
            username,
            realm: &self.realm,
            nonce: &self.nonce,
            protection: self.qop.map(|qop| (qop, count, cnonce)),
            // MD5-sess without qop takes the client nonce too (RFC 2617 section 3.2.2.2).
            cnonce,
        };
        let response = proof.response(password.expose(), request);
        let quoted = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"");
        let mut value = format!(
            "Digest username=\"{}\", realm=\"{}\", nonce=\"{}\", uri=\"{}\", response=\"{response}\", algorithm={}",
            quoted(username),
            self.realm,
            self.nonce,
            request.uri,
            self.algorithm.name()
        );
        if let Some(qop) = self.qop {
            value += &format!(", qop={}, nc={count:08x}", qop.name());
        }
        if self.qop.is_some() || self.algorithm.is_session() {
            value += &format!(", cnonce=\"{cnonce}\"");
        }
        if let Some(opaque) = &self.opaque {
            value += &format!(", opaque=\"{opaque}\"");
        }
        value
    }
}

/// A client's side of a conversation with one server: which challenges it has met and how often it has used them.
#[derive(Clone, Debug)]
pub struct Authenticator {
    credentials: Credentials,
    server: Option<Met>,
    proxy: Option<Met>,
}

#[derive(Clone, Debug)]
struct Met {
    challenge: Challenge,
    uses: u32,
    /// Challenges in a row that our answer did not satisfy.
    refusals: u8,
}

impl Authenticator {
    /// A client that has met no challenge.
    pub fn new(credentials: Credentials) -> Self {
        Authenticator { credentials, server: None, proxy: None }
    }

    /// Takes the challenges of a 401 or 407. `Ok`: send the request again, with [`headers`](Self::headers).
    ///
    /// A challenge is answered once; after that only a nonce called stale is worth another try, and three of those at
    /// most. A server that hands out a new nonce with every refusal is thereby not asked for ever.
    pub fn challenged(&mut self, asker: Asker, values: &[&str]) -> Result<(), Refused> {
        let challenge = challenges(values).into_iter().next().ok_or(Refused::Unsupported)?;
        let met = self.met(asker);
        let refusals = met.as_ref().map_or(0, |met| met.refusals);
        let again = refusals == 0 || challenge.stale && refusals < MOST_STALE;
        if !again {
            // The next attempt, after a pause, begins anew.
            *met = None;
            return Err(Refused::Credentials);
        }
        *met = Some(Met { challenge, uses: 0, refusals: refusals + 1 });
        Ok(())
    }

    /// The request was let through: a later challenge is a new one, not a refusal.
    pub fn accepted(&mut self) {
        for met in [&mut self.server, &mut self.proxy].into_iter().flatten() {
            met.refusals = 0;
        }
    }

    /// The header names and values that answer what has been asked so far.
    pub fn headers(&mut self, request: Signed<'_>, cnonce: &str) -> Vec<(&'static str, String)> {
        let credentials = &self.credentials;
        [(Asker::Server, &mut self.server), (Asker::Proxy, &mut self.proxy)]
            .into_iter()
            .filter_map(|(asker, met)| {
                let met = met.as_mut()?;
                met.uses = met.uses.wrapping_add(1);
                Some((asker.answer_header(), met.challenge.answer(credentials, request, cnonce, met.uses)))
            })
            .collect()
    }

    fn met(&mut self, asker: Asker) -> &mut Option<Met> {
        match asker {
            Asker::Server => &mut self.server,
            Asker::Proxy => &mut self.proxy,
        }
    }
}

/// A client's answer, as a server reads it from Authorization.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Who it claims to be.
    pub username: String,
    /// Must be ours.
    pub realm: String,
    /// Must be one that we gave out, and not long ago.
    pub nonce: String,
    /// Must be the Request-URI's resource.
    pub uri: String,
    /// How often the client has used the nonce; must have grown. `None`: the client is of RFC 2069's time.
    pub count: Option<u32>,
    algorithm: Algorithm,
    qop: Option<Qop>,
    cnonce: String,
    response: String,
}

impl Answer {
    /// Reads the value of Authorization or Proxy-Authorization; `None`: no digest that we speak.
    pub fn parse(value: &str) -> Option<Answer> {
        let scheme = schemes(value).into_iter().next()?;
        let owned = |name| scheme.parameter(name).map(str::to_owned);
        let qop = match scheme.parameter("qop") {
            None => None,
            Some(word) => {
                Some([Qop::Auth, Qop::AuthInt].into_iter().find(|qop| qop.name().eq_ignore_ascii_case(word))?)
            }
        };
        let count = match qop {
            None => None,
            Some(_) => {
                let digits = scheme.parameter("nc").filter(|nc| nc.len() == 8)?;
                Some(u32::from_str_radix(digits, 16).ok()?)
            }
        };
        Some(Answer {
            username: unescaped(scheme.parameter("username")?),
            realm: owned("realm")?,
            nonce: owned("nonce")?,
            uri: owned("uri")?,
            count,
            algorithm: Algorithm::parse(scheme.parameter("algorithm").unwrap_or("MD5"))?,
            qop,
            cnonce: owned("cnonce").unwrap_or_default(),
            response: owned("response")?,
        })
    }

    /// What it was hashed with.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Whether it was made with `password` for this request. Whether realm, nonce and count are right is for whoever
    /// keeps the nonces.
    pub fn proves(&self, password: &str, method: &str, body: &[u8]) -> bool {
        let proof = Proof {
            algorithm: self.algorithm,
            username: &self.username,
            realm: &self.realm,
            nonce: &self.nonce,
            protection: self.qop.zip(self.count).map(|(qop, count)| (qop, count, self.cnonce.as_str())),
            cnonce: &self.cnonce,
        };
        let expected = proof.response(password, Signed { method, uri: &self.uri, body });
        let given = self.response.to_ascii_lowercase();
        // The time taken must not tell how many characters were right.
        expected.len() == given.len() && expected.bytes().zip(given.bytes()).fold(0, |diff, (a, b)| diff | (a ^ b)) == 0
    }
}

/// What both sides hash.
struct Proof<'a> {
    algorithm: Algorithm,
    username: &'a str,
    realm: &'a str,
    nonce: &'a str,
    protection: Option<(Qop, u32, &'a str)>,
    cnonce: &'a str,
}

impl Proof<'_> {
    /// RFC 7616 section 3.4.1
    fn response(&self, password: &str, request: Signed<'_>) -> String {
        let hash = |text: String| self.algorithm.hash(text.as_bytes());
        let Proof { username, realm, nonce, cnonce, .. } = self;
        let mut secret = hash(format!("{username}:{realm}:{password}"));
        if self.algorithm.is_session() {
            secret = hash(format!("{secret}:{nonce}:{cnonce}"));
        }
        let Signed { method, uri, body } = request;
        let signed = match self.protection {
            Some((Qop::AuthInt, ..)) => format!("{method}:{uri}:{}", self.algorithm.hash(body)),
            Some((Qop::Auth, ..)) | None => format!("{method}:{uri}"),
        };
        let signed = hash(signed);
        match self.protection {
            Some((qop, count, cnonce)) => {
                hash(format!("{secret}:{nonce}:{count:08x}:{cnonce}:{}:{signed}", qop.name()))
            }
            None => hash(format!("{secret}:{nonce}:{signed}")),
        }
    }
}

/// `Digest name=value, …` taken apart. Quoted values keep their escapes: they are hashed and repeated as they came.
struct Scheme<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Scheme<'a> {
    fn parameter(&self, name: &str) -> Option<&'a str> {
        self.0.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| *value)
    }
}

/// The Digest schemes of a header's value, which may hold several and others between (RFC 9110 section 11.6.1).
fn schemes(value: &str) -> Vec<Scheme<'_>> {
    let mut found: Vec<Scheme> = Vec::new();
    let mut is_digest = false;
    if value.len() > LONGEST || value.chars().any(|c| c.is_control() && c != '\t') {
        return found;
    }
    for part in split_outside_quotes(value) {
        let mut parameter = part.trim();
        if let Some((word, rest)) = parameter.split_once([' ', '\t'])
            && !word.contains('=')
            && !rest.trim_start().starts_with('=')
        {
            is_digest = word.eq_ignore_ascii_case("Digest");
            if is_digest {
                found.push(Scheme(Vec::new()));
            }
            parameter = rest.trim();
        }
        if let (true, Some(scheme), Some((name, value))) = (is_digest, found.last_mut(), parameter.split_once('=')) {
            let value = value.trim();
            let value = value.strip_prefix('"').map_or(value, |inner| inner.strip_suffix('"').unwrap_or(inner));
            scheme.0.push((name.trim(), value));
        }
    }
    found
}

fn split_outside_quotes(value: &str) -> Vec<&str> {
    let (mut quoted, mut escaped) = (false, false);
    value
        .split(move |c: char| {
            match c {
                _ if escaped => escaped = false,
                '\\' if quoted => escaped = true,
                '"' => quoted = !quoted,
                ',' if !quoted => return true,
                _ => {}
            }
            false
        })
        .collect()
}

/// A quoted string's content without its backslashes.
fn unescaped(text: &str) -> String {
    let mut escaped = false;
    text.chars()
        .filter(|c| {
            escaped = *c == '\\' && !escaped;
            !escaped
        })
        .collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
