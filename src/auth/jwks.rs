//! A set of public keys (RFC 7517), read from a file or an https URL and refreshed from it.

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use jsonwebtoken::DecodingKey;
use jsonwebtoken::jwk::{Jwk, KeyAlgorithm, PublicKeyUse};
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::Notify;
use tokio::time::timeout;
use url::Url;

use super::PublicKey;

/// Time limit for fetching a set from a URL.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Size limit of a set, in bytes.
const MAX_SIZE: usize = 1 << 20;

/// The source of a key set.
#[derive(Clone, PartialEq, Eq)]
pub enum JwksSource {
    /// A file.
    File(PathBuf),
    /// An https URL. Plain http is accepted for loopback addresses only.
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
            _ => Err("expected a file or an https URL"),
        }
    }
}

/// For logs: only the origin of a URL, since the rest may contain credentials.
impl fmt::Display for JwksSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            JwksSource::File(path) => path.display().fmt(f),
            JwksSource::Url(url) => f.write_str(&url.origin().ascii_serialization()),
        }
    }
}

impl fmt::Debug for JwksSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Why a set could not be read.
#[derive(Debug, thiserror::Error)]
pub enum JwksError {
    #[error("the key set cannot be read: {0}")]
    File(#[from] std::io::Error),
    #[error("the key set cannot be fetched: {0}")]
    Fetch(#[from] reqwest::Error),
    #[error("the key set could not be fetched within 10 s")]
    Timeout,
    #[error("the key set is larger than 1 MiB")]
    TooLarge,
    #[error("this is not a key set (RFC 7517): {0}")]
    Form(#[from] serde_json::Error),
    #[error(
        "the key set has no usable key: one with a `kid` that is RSA (2048 bits or more), P-256 or Ed25519"
    )]
    Empty,
}

/// A set of public keys by `kid`.
pub struct Jwks {
    source: JwksSource,
    current: RwLock<KeySet>,
    generation: AtomicU64,
    missed: Notify,
}

impl Jwks {
    /// Reads the set for the first time.
    pub async fn open(source: JwksSource) -> Result<Arc<Self>, JwksError> {
        let current = RwLock::new(KeySet::parse(source.read().await?)?);
        Ok(Arc::new(Self {
            source,
            current,
            generation: AtomicU64::new(0),
            missed: Notify::new(),
        }))
    }

    /// The key with this `kid`. An unknown one completes [`Jwks::unknown_key`].
    pub fn find(&self, kid: &str) -> Option<PublicKey> {
        let key = self.current().keys.get(kid).cloned();
        if key.is_none() {
            self.missed.notify_one();
        }
        key
    }

    /// Increases with every new set. A token that was verified with an older generation has to be
    /// verified again.
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Waits until a token names a key that the set does not contain.
    pub async fn unknown_key(&self) {
        self.missed.notified().await;
    }

    /// Reads the source again. An error leaves the previous set in use.
    pub async fn refresh(&self) -> Result<(), JwksError> {
        let text = self.source.read().await?;
        if text == self.current().text {
            return Ok(());
        }
        let set = KeySet::parse(text)?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = set;
        self.generation.fetch_add(1, Ordering::Release);
        Ok(())
    }

    /// Where the set comes from.
    pub fn source(&self) -> &JwksSource {
        &self.source
    }

    fn current(&self) -> RwLockReadGuard<'_, KeySet> {
        self.current.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl JwksSource {
    async fn read(&self) -> Result<String, JwksError> {
        let text = match self {
            JwksSource::File(path) => tokio::fs::read_to_string(path).await?,
            JwksSource::Url(url) => timeout(TIMEOUT, fetch(url))
                .await
                .map_err(|_| JwksError::Timeout)??,
        };
        if text.len() > MAX_SIZE {
            Err(JwksError::TooLarge)
        } else {
            Ok(text)
        }
    }
}

async fn fetch(url: &Url) -> Result<String, JwksError> {
    let client = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .build()?;
    // An error would contain the URL, and that may contain credentials.
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
            return Err(JwksError::TooLarge);
        }
    }
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// A parsed set, with the text it was parsed from.
struct KeySet {
    text: String,
    keys: HashMap<String, PublicKey>,
}

impl KeySet {
    /// Ignores keys of unknown kinds (RFC 7517 section 5), so each key is parsed on its own.
    fn parse(text: String) -> Result<Self, JwksError> {
        #[derive(Deserialize)]
        struct Document {
            keys: Vec<Value>,
        }
        let document: Document = serde_json::from_str(&text)?;
        let keys = document.keys.into_iter();
        let keys = keys.filter_map(|key| serde_json::from_value::<Jwk>(key).ok());
        let keys = keys.filter_map(|key| Some((key.common.key_id.clone()?, usable(&key)?)));
        let keys: HashMap<_, _> = keys.collect();
        if keys.is_empty() {
            return Err(JwksError::Empty);
        }
        Ok(Self { text, keys })
    }
}

/// The public key, if its kind is supported and it is not reserved for encryption or for another
/// algorithm (RFC 7517 sections 4.2 and 4.4).
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
