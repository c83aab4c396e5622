//! HTTP client that the command-line tools share.

use std::time::Duration;

use reqwest::{Client, Method, RequestBuilder, StatusCode};
use url::Url;

/// Sends requests to one service with one credential.
#[derive(Clone, Debug)]
pub struct ApiClient {
    http: Client,
    base_url: Url,
    credential: Option<String>,
}

impl ApiClient {
    /// `timeout` limits a whole exchange, from connecting to the last byte of the response.
    pub fn new(
        base_url: Url,
        credential: Option<String>,
        timeout: Duration,
    ) -> reqwest::Result<Self> {
        // Fails only if a provider is already installed.
        let _ = rustls::crypto::ring::default_provider().install_default();
        Ok(Self {
            http: Client::builder().timeout(timeout).build()?,
            base_url,
            credential,
        })
    }

    /// An authorized request; `path` is relative to the base URL and starts with `/`.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let url = format!("{}{path}", self.base_url.as_str().trim_end_matches('/'));
        let request = self.http.request(method, url);
        match &self.credential {
            Some(credential) => request.bearer_auth(credential),
            None => request,
        }
    }
}

/// Sends a request and receives the whole response.
pub(super) async fn exchange(request: RequestBuilder) -> reqwest::Result<(StatusCode, String)> {
    let response = request.send().await?;
    Ok((response.status(), response.text().await?))
}
