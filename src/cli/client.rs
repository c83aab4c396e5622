//! The service as its own tools reach it: `duologue import` and `duologue chat`.

use std::time::Duration;

use reqwest::{Client, Method, RequestBuilder};
use url::Url;

/// A service, and what it asks for.
#[derive(Clone, Debug)]
pub struct Service {
    client: Client,
    url: Url,
    credential: Option<String>,
}

impl Service {
    /// The service at this URL, which may take this long for a whole answer.
    pub fn new(url: Url, credential: Option<String>, patience: Duration) -> reqwest::Result<Self> {
        // One that was installed before is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        Ok(Self {
            client: Client::builder().timeout(patience).build()?,
            url,
            credential,
        })
    }

    /// A request with the credential, to a path below the URL.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let url = format!("{}{path}", self.url.as_str().trim_end_matches('/'));
        let request = self.client.request(method, url);
        match &self.credential {
            Some(credential) => request.bearer_auth(credential),
            None => request,
        }
    }
}
