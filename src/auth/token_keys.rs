//! The keys that verify tokens: a shared secret or a public key.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk};
use jsonwebtoken::{Algorithm, DecodingKey};

/// A secret shared with the host application (HS256): at least 32 bytes (RFC 7518 section 3.2).
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub(super) String);

impl FromStr for Secret {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.trim_end_matches(['\n', '\r']) {
            secret if secret.len() >= 32 => Ok(Self(secret.to_owned())),
            _ => Err("must have at least 32 bytes (RFC 7518 section 3.2)"),
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a secret")
    }
}

/// The size of the smallest RSA key (RFC 7518 section 3.3).
const MIN_RSA_BITS: usize = 2048;

/// A public key of the host application, and the algorithm that its kind determines.
#[derive(Clone)]
pub struct PublicKey(pub(super) Algorithm, pub(super) DecodingKey);

impl PublicKey {
    /// Reads a public key in PEM: RSA (verifies RS256), P-256 (ES256) or Ed25519 (EdDSA).
    pub fn from_pem(pem: &[u8]) -> Option<Self> {
        let rsa = DecodingKey::from_rsa_pem(pem).map(|key| Self(Algorithm::RS256, key));
        let ec = |_| DecodingKey::from_ec_pem(pem).map(|key| Self(Algorithm::ES256, key));
        let ed = |_| DecodingKey::from_ed_pem(pem).map(|key| Self(Algorithm::EdDSA, key));
        let key = rsa.or_else(ec).or_else(ed).ok()?;
        // The functions above also accept private keys and other curves, which verify no token.
        let shape = Jwk::from_decoding_key(&key.1, Some(key.0)).ok()?;
        (Self::algorithm(&shape.algorithm) == Some(key.0)).then_some(key)
    }

    /// The algorithm of a kind of key; `None` if unsupported. Symmetric keys are unsupported, because a key
    /// set is public.
    pub(super) fn algorithm(kind: &AlgorithmParameters) -> Option<Algorithm> {
        match kind {
            AlgorithmParameters::RSA(rsa) if bits(&rsa.n) >= MIN_RSA_BITS => Some(Algorithm::RS256),
            AlgorithmParameters::EllipticCurve(ec) if ec.curve == EllipticCurve::P256 => {
                Some(Algorithm::ES256)
            }
            AlgorithmParameters::OctetKeyPair(okp) if okp.curve == EllipticCurve::Ed25519 => {
                Some(Algorithm::EdDSA)
            }
            _ => None,
        }
    }
}

/// Number of bits of a number as key sets encode it: big-endian, in Base64url.
fn bits(number: &str) -> usize {
    let bytes = URL_SAFE_NO_PAD.decode(number).unwrap_or_default();
    let mut significant = bytes.iter().skip_while(|&&byte| byte == 0);
    let first = significant
        .next()
        .map_or(0, |byte| byte.ilog2() as usize + 1);
    first + 8 * significant.count()
}
