//! A set of public keys (RFC 7517), from a file or an https URL, that follows its source.

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use jsonwebtoken::DecodingKey;
use jsonwebtoken::jwk::{Jwk, KeyAlgorithm, PublicKeyUse};
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};
use url::Url;

use super::PublicKey;

/// How often the source is read again.
const PERIOD: Duration = Duration::from_secs(60);
/// How soon at the earliest, when a token names a key that is not in the set.
const MIN_PERIOD: Duration = Duration::from_secs(1);
/// How long a source may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The largest set that is read, in bytes.
const MAX_SIZE: usize = 1 << 20;

/// Where a set comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JwksSource {
    /// A file.
    File(PathBuf),
    /// An https URL. Plain http is accepted on the loopback address only, where nobody listens in.
    Url(Url),
}

impl FromStr for JwksSource {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let Ok(url) = Url::parse(text) else {
            return Ok(Self::File(text.into()));
        };
        let local = matches!(url.host_str(), Some("127.0.0.1" | "[::1]" | "localhost"));
        match url.scheme() {
            "https" => Ok(Self::Url(url)),
            "http" if local => Ok(Self::Url(url)),
            _ => Err("a key set comes from a file or an https URL"),
        }
    }
}

/// For logs: of a URL only where it leads, since what else it holds may be a password.
impl fmt::Display for JwksSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            JwksSource::File(path) => path.display().fmt(f),
            JwksSource::Url(url) => f.write_str(&url.origin().ascii_serialization()),
        }
    }
}

/// Why a set could not be read.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum JwksError {
    #[error("the key set cannot be read: {0}")]
    File(#[from] std::io::Error),
    #[error("the key set cannot be fetched: {0}")]
    Fetch(#[from] reqwest::Error),
    #[error("the source of the key set did not answer in time")]
    Late,
    #[error("the key set is larger than 1 MiB")]
    Large,
    #[error("this is not a key set (RFC 7517): {0}")]
    Form(#[from] serde_json::Error),
    #[error(
        "the key set has no key that can be used: it needs a `kid`, and to be RSA, P-256 or Ed25519"
    )]
    Empty,
}

/// A set of public keys by `kid`.
pub struct Jwks {
    source: JwksSource,
    keys: RwLock<HashMap<String, PublicKey>>,
    generation: AtomicU64,
    missed: Notify,
}

impl Jwks {
    /// Reads the set for the first time.
    pub async fn open(source: JwksSource) -> Result<Arc<Self>, JwksError> {
        let keys = RwLock::new(parse(&source.read().await?)?);
        Ok(Arc::new(Self {
            source,
            keys,
            generation: AtomicU64::new(0),
            missed: Notify::new(),
        }))
    }

    /// The key of this name. One that is missing makes the set be read again soon.
    pub fn find(&self, kid: &str) -> Option<PublicKey> {
        let key = self
            .keys
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(kid)
            .cloned();
        if key.is_none() {
            self.missed.notify_one();
        }
        key
    }

    /// Counts the sets there were. What was verified with an older one has to be verified again.
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Follows the source for ever. A source that fails leaves the last good set in place.
    pub async fn follow(self: Arc<Self>) {
        let mut last = String::new();
        loop {
            sleep(MIN_PERIOD).await;
            // Either way it is time: an elapsed period is no error.
            let _ = timeout(PERIOD, self.missed.notified()).await;
            let read = match self.source.read().await {
                Ok(text) if text == last => continue,
                Ok(text) => parse(&text).map(|keys| (keys, text)),
                Err(e) => Err(e),
            };
            match read {
                Ok((keys, text)) => {
                    *self.keys.write().unwrap_or_else(PoisonError::into_inner) = keys;
                    self.generation.fetch_add(1, Ordering::Release);
                    last = text;
                }
                Err(e) => tracing::warn!("{e}; the keys read before stay in use ({})", self.source),
            }
        }
    }
}

impl JwksSource {
    async fn read(&self) -> Result<String, JwksError> {
        let text = match self {
            JwksSource::File(path) => tokio::fs::read_to_string(path).await?,
            JwksSource::Url(url) => timeout(TIMEOUT, fetch(url))
                .await
                .map_err(|_| JwksError::Late)??,
        };
        if text.len() > MAX_SIZE {
            Err(JwksError::Large)
        } else {
            Ok(text)
        }
    }
}

async fn fetch(url: &Url) -> Result<String, JwksError> {
    let client = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .build()?;
    // The error would repeat the URL, see [`JwksSource`]'s Display.
    let sent = client.get(url.clone()).send().await;
    let mut response = sent
        .and_then(reqwest::Response::error_for_status)
        .map_err(reqwest::Error::without_url)?;
    let mut text = Vec::new();
    while let Some(chunk) = response
        .chunk()
        .await
        .map_err(reqwest::Error::without_url)?
    {
        text.extend_from_slice(&chunk);
        if text.len() > MAX_SIZE {
            return Err(JwksError::Large);
        }
    }
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// A set whose keys are looked at one by one: one of a kind that is not known here spoils no other
/// (RFC 7517 section 5).
#[derive(Deserialize)]
struct KeySet {
    keys: Vec<Value>,
}

fn parse(text: &str) -> Result<HashMap<String, PublicKey>, JwksError> {
    let set: KeySet = serde_json::from_str(text)?;
    let keys = set
        .keys
        .into_iter()
        .filter_map(|key| serde_json::from_value::<Jwk>(key).ok());
    let keys = keys.filter_map(|key| Some((key.common.key_id.clone()?, usable(&key)?)));
    match keys.collect::<HashMap<_, _>>() {
        keys if keys.is_empty() => Err(JwksError::Empty),
        keys => Ok(keys),
    }
}

/// A key whose kind implies one of our algorithms, and which is not meant for something else: for
/// another algorithm or for encrypting (RFC 7517 sections 4.2 and 4.4).
fn usable(key: &Jwk) -> Option<PublicKey> {
    let algorithm = PublicKey::algorithm(&key.algorithm)?;
    let (purpose, meant) = (&key.common.public_key_use, key.common.key_algorithm);
    let signs = purpose
        .as_ref()
        .is_none_or(|u| *u == PublicKeyUse::Signature);
    if !signs || meant.is_some_and(|alg| alg != KeyAlgorithm::from(algorithm)) {
        return None;
    }
    DecodingKey::from_jwk(key)
        .ok()
        .map(|decoding| PublicKey(algorithm, decoding))
}
