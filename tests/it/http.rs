//! HTTP to what runs on loopback.

use reqwest::{Client, ClientBuilder, IntoUrl, Response};
use threadline::sms::twilio::install_tls_provider;

/// A client that trusts nobody: there is no TLS to the clinic's own pages. One that trusts the system's certificates reads
/// them all when it is made, which takes a debug build longer than many a test.
pub fn client() -> ClientBuilder {
    install_tls_provider();
    Client::builder().no_proxy().tls_certs_only([])
}

/// What is at an address.
pub async fn get(url: impl IntoUrl) -> reqwest::Result<Response> {
    client().build()?.get(url).send().await
}
