//! Where a request comes from, and whether what it carries can be read on its way.

use std::net::{IpAddr, SocketAddr};
use std::sync::Once;

use axum::extract::{ConnectInfo, FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use ipnet::IpNet;

use super::Web;
use super::problem::Problem;
use super::words::Ui;

/// Marks a connection that came by our own TLS.
#[derive(Clone, Copy, Debug)]
pub struct ByTls;

/// Who asks, as far as the network knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Client {
    /// Its address, as a declared proxy names it or as it is.
    pub address: IpAddr,
    /// How it is connected.
    pub wire: Wire,
}

/// How a request came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wire {
    /// Encrypted from the browser on.
    Tls,
    /// It has not left this machine.
    Local,
    /// Anybody on the way could read it.
    Open,
}

/// Reads who asks. Only what `trusted` names is believed when it says for whom it asks.
pub fn read(peer: SocketAddr, by_tls: bool, headers: &HeaderMap, trusted: &[IpNet]) -> Client {
    let peer = peer.ip().to_canonical();
    let proxy = |address: &IpAddr| trusted.iter().any(|net| net.contains(address));
    let text = |name: &str| headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    let forwarded: Vec<&str> = text("x-forwarded-for").flat_map(|value| value.split(',')).map(str::trim).collect();
    if !proxy(&peer) || forwarded.is_empty() {
        let wire = match (by_tls, peer.is_loopback()) {
            (true, _) => Wire::Tls,
            (false, true) => Wire::Local,
            (false, false) => Wire::Open,
        };
        return Client { address: peer, wire };
    }
    // Each proxy adds whom it heard: from the right, the first that is no proxy of ours is the client. What stands
    // left of it anybody can have written.
    let mut address = peer;
    for hop in forwarded.iter().rev() {
        let Some(hop) = hop_address(hop) else { break };
        address = hop;
        if !proxy(&hop) {
            break;
        }
    }
    let encrypted = text("x-forwarded-proto")
        .next_back()
        .is_some_and(|proto| proto.rsplit(',').next().is_some_and(|proto| proto.trim().eq_ignore_ascii_case("https")));
    Client { address, wire: if encrypted { Wire::Tls } else { Wire::Open } }
}

fn hop_address(hop: &str) -> Option<IpAddr> {
    let address = hop.parse().ok().or_else(|| hop.parse::<SocketAddr>().ok().map(|socket| socket.ip()));
    address.map(|address: IpAddr| address.to_canonical())
}

/// What is no page: nobody signs in by it, and it is asked for by machines.
const MACHINES: [&str; 4] = ["/hooks/", "/healthz", "/metrics", "/assets/"];

/// A year, as browsers remember it (RFC 6797).
const STRICT_TRANSPORT: HeaderValue = HeaderValue::from_static("max-age=31536000");

/// Notes who asks for the handlers, and serves no page on a wire that can be listened to.
pub async fn learn(State(web): State<Web>, mut request: Request, next: Next) -> Response {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0);
    let Some(peer) = peer else { return Problem::Forbidden.into_response() };
    let by_tls = request.extensions().get::<ByTls>().is_some();
    let settings = (web.files)().settings;
    let trusted = &settings.web.trusted_proxies;
    let client = read(peer, by_tls, request.headers(), trusted);
    if trusted.is_empty() && peer.ip().is_loopback() && request.headers().contains_key("x-forwarded-for") {
        static ONCE: Once = Once::new();
        ONCE.call_once(|| {
            tracing::warn!("a proxy sends requests and is not declared, so that all clients look the same; write trusted_proxies = [\"127.0.0.1/32\"] under [web]");
        });
    }
    let machine = MACHINES.iter().any(|path| request.uri().path().starts_with(path));
    if client.wire == Wire::Open && !machine {
        static ONCE: Once = Once::new();
        ONCE.call_once(|| {
            tracing::error!("the inbox was asked for over plain HTTP from another machine and is not served so; set [web] certificate and key, or put a proxy with TLS before it and declare it in trusted_proxies");
        });
        let why = "The inbox is not served over plain HTTP: passwords and patients' texts could be read on the way.\n\
                   Open it by https://. IT staff: set [web] certificate and key, or trusted_proxies.\n";
        return (StatusCode::FORBIDDEN, [(header::CONTENT_TYPE, "text/plain; charset=utf-8")], why).into_response();
    }
    request.extensions_mut().insert(client);
    let ui = Ui::asked_by(request.headers());
    let mut response = ui.scope(next.run(request)).await;
    if client.wire == Wire::Tls {
        response.headers_mut().insert(header::STRICT_TRANSPORT_SECURITY, STRICT_TRANSPORT);
    }
    response
}

impl<S: Sync> FromRequestParts<S> for Client {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts.extensions.get::<Client>().copied().ok_or(Problem::Forbidden)
    }
}

/// A browser, in a few words: "Firefox on Windows".
pub fn device(headers: &HeaderMap) -> String {
    let agent = headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let first =
        |known: &[(&str, &'static str)]| known.iter().find(|(mark, _)| agent.contains(mark)).map(|(_, name)| *name);
    // In this order: each browser also names those that it wants to be taken for.
    let browser = first(&[
        ("Edg/", "Edge"),
        ("OPR/", "Opera"),
        ("Firefox/", "Firefox"),
        ("Chrome/", "Chrome"),
        ("Safari/", "Safari"),
    ]);
    let system = first(&[
        ("Android", "Android"),
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("Windows", "Windows"),
        ("Mac OS X", "Mac"),
        ("CrOS", "ChromeOS"),
        ("Linux", "Linux"),
    ]);
    match (browser, system) {
        (Some(browser), Some(system)) => format!("{browser} on {system}"),
        (Some(one), None) | (None, Some(one)) => one.to_owned(),
        (None, None) => "a browser".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(peer: &str, by_tls: bool, headers: &[(&'static str, &'static str)]) -> (String, Wire) {
        let headers = headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
        let trusted = ["127.0.0.1/32".parse().unwrap(), "10.0.0.0/24".parse().unwrap()];
        let client = read(SocketAddr::new(peer.parse().unwrap(), 40_000), by_tls, &headers, &trusted);
        (client.address.to_string(), client.wire)
    }

    #[test]
    fn a_stranger_claims_nothing() {
        let claim = [("x-forwarded-for", "127.0.0.1"), ("x-forwarded-proto", "https")];
        assert_eq!(ask("203.0.113.9", false, &claim), ("203.0.113.9".into(), Wire::Open));
        assert_eq!(ask("203.0.113.9", true, &claim), ("203.0.113.9".into(), Wire::Tls));
    }

    #[test]
    fn a_proxy_is_believed_and_what_was_written_before_it_is_not() {
        let chain = [("x-forwarded-for", "1.1.1.1, 203.0.113.9, 10.0.0.7"), ("x-forwarded-proto", "https")];
        assert_eq!(ask("127.0.0.1", false, &chain), ("203.0.113.9".into(), Wire::Tls));
        let plain = [("x-forwarded-for", "203.0.113.9"), ("x-forwarded-proto", "http")];
        assert_eq!(ask("127.0.0.1", false, &plain), ("203.0.113.9".into(), Wire::Open));
        assert_eq!(ask("127.0.0.1", false, &[("x-forwarded-for", "203.0.113.9")]), ("203.0.113.9".into(), Wire::Open));
        let nonsense = [("x-forwarded-for", "<script>"), ("x-forwarded-proto", "https")];
        assert_eq!(ask("10.0.0.7", false, &nonsense), ("10.0.0.7".into(), Wire::Tls));
        let port = [("x-forwarded-for", "203.0.113.9:55555"), ("x-forwarded-proto", "https")];
        assert_eq!(ask("127.0.0.1", false, &port), ("203.0.113.9".into(), Wire::Tls));
    }

    #[test]
    fn this_machine_needs_no_encryption() {
        assert_eq!(ask("127.0.0.1", false, &[]), ("127.0.0.1".into(), Wire::Local));
        assert_eq!(ask("::ffff:127.0.0.1", false, &[]), ("127.0.0.1".into(), Wire::Local));
        assert_eq!(ask("192.168.1.5", false, &[]), ("192.168.1.5".into(), Wire::Open));
    }

    #[test]
    fn a_browser_is_named_in_a_few_words() {
        let named = |agent: &'static str| device(&[(header::USER_AGENT, agent.parse().unwrap())].into_iter().collect());
        let edge = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/130.0 Safari/537.36 Edg/130.0";
        assert_eq!(named(edge), "Edge on Windows");
        assert_eq!(
            named("Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Safari/604.1"),
            "Safari on iPhone"
        );
        assert_eq!(named("curl/8"), "a browser");
    }
}
