//! Service keys: the credentials of the host application's backends.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

/// The accepted keys, several during rotation. Only digests are kept: comparing them takes the same time
/// for every wrong key, and a memory dump contains no key.
#[derive(Clone, PartialEq, Eq)]
pub struct ServiceKeys(Vec<[u8; 32]>);

impl ServiceKeys {
    /// The id of a key, if it is accepted.
    pub fn find(&self, key: &str) -> Option<KeyId> {
        let presented = digest(key);
        // Compares every key, so that the time does not reveal which one matched.
        let known = self
            .0
            .iter()
            .fold(Choice::from(0), |known, key| known | key.ct_eq(&presented));
        let [a, b, c, d, ..] = presented;
        bool::from(known).then_some(KeyId([a, b, c, d]))
    }
}

/// The name of a key in rate limits: the beginning of its digest, which does not reveal the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyId([u8; 4]);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", u32::from_be_bytes(self.0))
    }
}

impl FromStr for ServiceKeys {
    type Err = &'static str;

    /// Parses keys separated by commas or white space.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let keys = text
            .split([',', ' ', '\n', '\r', '\t'])
            .filter(|key| !key.is_empty());
        let keys = keys.map(|key| {
            let allowed = |b: u8| b.is_ascii_graphic() && b != b'.';
            if key.len() >= 32 && key.bytes().all(allowed) {
                Ok(digest(key))
            } else {
                Err("each service key must have at least 32 printable characters and no dot")
            }
        });
        match keys.collect::<Result<Vec<_>, _>>()? {
            keys if keys.is_empty() => Err("expected at least one service key"),
            keys => Ok(Self(keys)),
        }
    }
}

/// Prints the number of keys, not their digests.
impl fmt::Debug for ServiceKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} service keys", self.0.len())
    }
}

fn digest(key: &str) -> [u8; 32] {
    Sha256::digest(key.as_bytes()).into()
}

/// Generates a key of 256 random bits: `dk_` and 43 characters. Secret scanners recognize the
/// prefix.
pub fn generate_key() -> Result<String, getrandom::Error> {
    let mut bits = [0; 32];
    getrandom::fill(&mut bits)?;
    Ok(format!("dk_{}", URL_SAFE_NO_PAD.encode(bits)))
}
