//! How a client connects to the live API: where, as whom, and with which query and headers.

use duologue::cli::chat::socket::upgrade;
use reqwest::{Client, Method, RequestBuilder};
use url::Url;

use crate::harness::http::response::ApiResponse;
use crate::harness::live::device::Device;

/// Address, query and headers of connections and requests.
#[derive(Clone, Debug)]
pub struct ConnectOptions {
    address: String,
    client: Client,
    query: Vec<(String, String)>,
    headers: Vec<(String, String)>,
}

impl ConnectOptions {
    /// Options for a service at `http://host:port`.
    pub fn new(address: &str) -> Self {
        Self {
            address: address.to_owned(),
            client: crate::harness::client(),
            query: Vec::new(),
            headers: Vec::new(),
        }
    }

    /// Uses another HTTP client, with other trusted certificates for example.
    pub fn client(mut self, client: Client) -> Self {
        self.client = client;
        self
    }

    /// Uses another address.
    pub fn at(mut self, address: &str) -> Self {
        address.clone_into(&mut self.address);
        self
    }

    /// `?user=`
    pub fn user(self, user: &str) -> Self {
        self.query("user", user)
    }

    pub fn query(mut self, name: &str, value: &str) -> Self {
        self.query.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn bearer(self, credential: &str) -> Self {
        self.header("authorization", &format!("Bearer {credential}"))
    }

    /// The subprotocols to offer, comma-separated; the default is `duologue.v1`.
    pub fn protocols(self, offered: &str) -> Self {
        self.header("sec-websocket-protocol", offered)
    }

    /// A `GET` with the headers and a query.
    pub fn get(&self, path: &str, query: &[(&str, &str)]) -> RequestBuilder {
        self.call(Method::GET, path, query)
    }

    /// A request with the headers and a query.
    pub fn call(&self, method: Method, path: &str, query: &[(&str, &str)]) -> RequestBuilder {
        let url = format!("{}{path}", self.address);
        let mut url = Url::parse(&url).unwrap();
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let request = self.client.request(method, url);
        self.headers.iter().fold(request, |request, (name, value)| {
            request.header(name, value)
        })
    }

    /// A `GET` with the headers, the configured query and `more`.
    pub fn request(&self, path: &str, more: &[(&str, &str)]) -> RequestBuilder {
        let own = self.query.iter().map(|(name, value)| (&**name, &**value));
        let query: Vec<_> = own.chain(more.iter().copied()).collect();
        self.get(path, &query)
    }

    /// Opens a WebSocket; events start now, or after the cursor.
    pub async fn connect(&self, cursor: Option<&str>) -> Device {
        match self.try_connect(cursor).await.unwrap() {
            Ok(device) => device,
            Err(answer) => panic!("not let in: {answer:?}"),
        }
    }

    /// Opens a WebSocket that must be refused.
    pub async fn expect_refusal(&self) -> ApiResponse {
        match self.try_connect(None).await.unwrap() {
            Ok(device) => panic!("let in: {}", device.hello),
            Err(answer) => answer,
        }
    }

    /// Opens a WebSocket: connected, refused by the service, or failed.
    pub async fn try_connect(
        &self,
        cursor: Option<&str>,
    ) -> Result<Result<Device, ApiResponse>, String> {
        let query: Vec<_> = cursor
            .map(|cursor| ("cursor", cursor))
            .into_iter()
            .collect();
        let mut request = self.request("/ws", &query);
        let offers = |(name, _): &(String, String)| name == "sec-websocket-protocol";
        if !self.headers.iter().any(offers) {
            request = request.header("sec-websocket-protocol", "duologue.v1");
        }
        match upgrade(request).await.map_err(|error| error.to_string())? {
            Ok(upgraded) => match Device::greet(upgraded).await {
                Some(device) => Ok(Ok(device)),
                None => Err("closed before the hello".to_owned()),
            },
            Err(response) => match ApiResponse::try_read(response).await {
                Ok(answer) => Ok(Err(answer)),
                Err(error) => Err(error.to_string()),
            },
        }
    }
}
