//! A backend that receives webhooks and fails in every way.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::harness::auth::certificate_authority::CertificateAuthority;
use crate::harness::eventually;

/// How a receiver reacts to a request.
#[derive(Clone, Debug)]
pub enum Reaction {
    /// It answers with this status.
    Status(u16),
    /// The same with a further header.
    With(u16, &'static str, String),
    /// It answers so late.
    Late(Duration, u16),
    /// It closes the connection.
    Cut,
}

/// A request that was received.
#[derive(Clone, Debug)]
pub struct Received {
    pub at: Instant,
    pub path: String,
    pub headers: HashMap<String, String>,
    pub body: String,
}

type Reactions = Box<dyn FnMut(&Received) -> Reaction + Send>;

struct Shared {
    reactions: Mutex<Reactions>,
    received: Mutex<Vec<Received>>,
    connections: AtomicUsize,
    /// Requests that are being answered now, and the most there were at once.
    open: AtomicUsize,
    most_open: AtomicUsize,
}

/// A web server on a port of its own.
#[derive(Clone)]
pub struct Receiver {
    pub port: u16,
    shared: Arc<Shared>,
}

impl Received {
    /// The event in the body.
    pub fn event(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// The text of the message in the body.
    pub fn text(&self) -> String {
        let event = self.event();
        event["data"]["message"]["body"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }

    /// Whether one of the signatures is made with a secret.
    pub fn verifies(&self, secret: &str) -> bool {
        let header = |name: &str| self.headers[name].as_str();
        let signed = format!(
            "{}.{}.{}",
            header("webhook-id"),
            header("webhook-timestamp"),
            self.body
        );
        let key = STANDARD
            .decode(secret.strip_prefix("whsec_").unwrap())
            .unwrap();
        let expected = format!(
            "v1,{}",
            STANDARD.encode(hmac_sha256(&key, signed.as_bytes()))
        );
        header("webhook-signature")
            .split(' ')
            .any(|signature| signature == expected)
    }
}

/// HMAC (RFC 2104) written out, so that it shares nothing with the service.
pub fn hmac_sha256(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mut block = [0; 64];
    block[..key.len()].copy_from_slice(key);
    let padded = |byte: u8| block.map(|b| b ^ byte);
    let inner = Sha256::new()
        .chain_update(padded(0x36))
        .chain_update(message);
    let outer = Sha256::new().chain_update(padded(0x5c));
    outer.chain_update(inner.finalize()).finalize().into()
}

impl Receiver {
    /// A receiver that takes everything.
    pub fn start() -> Self {
        Self::serve(|stream, shared| answer_all(stream, &shared))
    }

    /// The same with TLS and a certificate for a host.
    pub fn start_tls(authority: &CertificateAuthority, host: &str) -> Self {
        authority.sign("receiver", host);
        let chain = CertificateDer::from_pem_file(authority.file("receiver.pem")).unwrap();
        let key = PrivateKeyDer::from_pem_file(authority.file("receiver.key")).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider);
        let config = config.with_safe_default_protocol_versions().unwrap();
        let config = config
            .with_no_client_auth()
            .with_single_cert(vec![chain], key);
        let config = Arc::new(config.unwrap());
        Self::serve(move |stream, shared| {
            let session = rustls::ServerConnection::new(config.clone()).unwrap();
            answer_all(rustls::StreamOwned::new(session, stream), &shared);
        })
    }

    fn serve(handle: impl Fn(TcpStream, Arc<Shared>) + Clone + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared {
            reactions: Mutex::new(Box::new(|_| Reaction::Status(200))),
            received: Mutex::default(),
            connections: AtomicUsize::default(),
            open: AtomicUsize::default(),
            most_open: AtomicUsize::default(),
        });
        let receiver = Self {
            port,
            shared: shared.clone(),
        };
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                shared.connections.fetch_add(1, Ordering::SeqCst);
                let (handle, shared) = (handle.clone(), shared.clone());
                std::thread::spawn(move || handle(stream, shared));
            }
        });
        receiver
    }

    /// The URL of a webhook here.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/events?from=duologue", self.port)
    }

    /// Reacts so from now on.
    pub fn react(&self, reactions: impl FnMut(&Received) -> Reaction + Send + 'static) {
        *self.shared.reactions.lock().unwrap() = Box::new(reactions);
    }

    /// Answers everything with this status from now on.
    pub fn answer(&self, status: u16) {
        self.react(move |_| Reaction::Status(status));
    }

    /// All requests until now.
    pub fn received(&self) -> Vec<Received> {
        self.shared.received.lock().unwrap().clone()
    }

    /// The texts of the messages of all requests until now.
    pub fn texts(&self) -> Vec<String> {
        self.received().iter().map(Received::text).collect()
    }

    /// The number of connections until now.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// The most requests that were answered at the same time.
    pub fn most_open(&self) -> usize {
        self.shared.most_open.load(Ordering::SeqCst)
    }

    /// Waits for a number of requests, and returns all.
    pub async fn wait_for(&self, count: usize) -> Vec<Received> {
        let enough = async || self.received().len() >= count;
        let what = format!("{count} requests are received");
        eventually(&what, Duration::from_secs(30), enough).await;
        self.received()
    }
}

/// Answers the requests of a connection until it ends.
fn answer_all(stream: impl Read + Write, shared: &Shared) {
    let mut stream = BufReader::new(stream);
    while let Some(request) = read_request(&mut stream) {
        let open = shared.open.fetch_add(1, Ordering::SeqCst) + 1;
        shared.most_open.fetch_max(open, Ordering::SeqCst);
        shared.received.lock().unwrap().push(request.clone());
        let reaction = (shared.reactions.lock().unwrap())(&request);
        let answered = answer(stream.get_mut(), &reaction);
        shared.open.fetch_sub(1, Ordering::SeqCst);
        if !answered {
            return;
        }
    }
}

/// Answers a request. Returns whether the connection stays open.
fn answer(stream: &mut impl Write, reaction: &Reaction) -> bool {
    let (status, header) = match reaction {
        Reaction::Cut => return false,
        Reaction::Status(status) => (status, String::new()),
        Reaction::With(status, name, value) => (status, format!("{name}: {value}\r\n")),
        Reaction::Late(delay, status) => {
            std::thread::sleep(*delay);
            (status, String::new())
        }
    };
    let answer = format!("HTTP/1.1 {status} x\r\n{header}content-length: 2\r\n\r\nok");
    stream
        .write_all(answer.as_bytes())
        .and_then(|()| stream.flush())
        .is_ok()
}

fn read_request(stream: &mut impl BufRead) -> Option<Received> {
    let mut line = || {
        let mut line = String::new();
        stream.read_line(&mut line).ok().filter(|read| *read > 0)?;
        Some(line.trim_end().to_owned())
    };
    let path = line()?.split(' ').nth(1)?.to_owned();
    let mut headers = HashMap::new();
    while let Some((name, value)) = line()?.split_once(": ") {
        headers.insert(name.to_ascii_lowercase(), value.to_owned());
    }
    let length = headers
        .get("content-length")
        .map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    Some(Received {
        at: Instant::now(),
        path,
        headers,
        body: String::from_utf8(body).unwrap(),
    })
}
