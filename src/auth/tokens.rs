//! Tokens of users: JSON Web Tokens (RFC 7519), signed by the host application.
//!
//! The algorithm is fixed by the kind of key that is configured. What a token says of its own
//! algorithm is compared with that and never followed (RFC 8725 section 3.1).

use std::collections::HashSet;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use quick_cache::sync::Cache;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Caller, Identity, Jwks};
use crate::error::{Code, Error};
use crate::model::UserId;

/// How far clocks may be apart, in seconds.
const LEEWAY_S: u64 = 30;
/// Verified tokens that are remembered: some 4 MB. Verifying again costs microseconds with HS256
/// and a tenth of a millisecond with the others.
const REMEMBERED: usize = 10_000;

/// The longest token that is remembered, so that those remembered have a bound in bytes too.
const REMEMBERED_LENGTH: usize = 4096;

/// The claims of a token issued here.
#[derive(Serialize)]
struct IssuedClaims {
    sub: String,
    exp: i64,
    iat: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    aud: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    iss: Option<String>,
}

/// The claims of a presented token, each of any JSON type, so that a missing or malformed claim is
/// named in the error. Times may have fractions (RFC 7519 section 2).
#[derive(Deserialize)]
struct Claims {
    #[serde(default)]
    sub: Value,
    #[serde(default)]
    exp: Value,
    #[serde(default)]
    iat: Value,
}

impl Claims {
    /// The user, of a token that was not issued in the future.
    fn user(self, now: i64) -> Result<UserId, &'static str> {
        let latest = Duration::from_secs(now.unsigned_abs() + LEEWAY_S).as_secs_f64();
        match (self.iat.as_f64(), self.iat.is_null()) {
            (Some(iat), _) if iat > latest => return Err("the token was issued in the future"),
            (None, false) => return Err("the token's `iat` is no time"),
            _ => (),
        }
        let sub = self.sub.as_str().unwrap_or_default().to_owned();
        UserId::try_from(sub).map_err(|_| "the token's `sub` is not a user id")
    }
}

/// What is asked of a token beside its signature and its end.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// `aud` must be or hold this.
    pub audience: Option<String>,
    /// `iss` must be this.
    pub issuer: Option<String>,
}

/// A secret shared with the host application (HS256): at least 32 bytes, as RFC 7518 section 3.2
/// asks.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl FromStr for Secret {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.trim_end_matches(['\n', '\r']) {
            secret if secret.len() >= 32 => Ok(Self(secret.to_owned())),
            _ => Err("a secret has at least 32 bytes (RFC 7518 section 3.2)"),
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a secret")
    }
}

/// The public key of the host application and the algorithm its kind implies.
#[derive(Clone)]
pub struct PublicKey(pub(super) Algorithm, pub(super) DecodingKey);

impl PublicKey {
    /// Reads a PEM file's text: an RSA key verifies RS256, one on P-256 ES256, an Ed25519 one
    /// EdDSA.
    pub fn from_pem(pem: &[u8]) -> Option<Self> {
        let rsa = DecodingKey::from_rsa_pem(pem).map(|key| Self(Algorithm::RS256, key));
        let ec = |_| DecodingKey::from_ec_pem(pem).map(|key| Self(Algorithm::ES256, key));
        let ed = |_| DecodingKey::from_ed_pem(pem).map(|key| Self(Algorithm::EdDSA, key));
        let key = rsa.or_else(ec).or_else(ed).ok()?;
        // Whether it is public and on that curve is not looked at by these, and would show only
        // in every token being refused.
        let shape = Jwk::from_decoding_key(&key.1, Some(key.0)).ok()?;
        (Self::algorithm(&shape.algorithm) == Some(key.0)).then_some(key)
    }

    /// The algorithm that a kind of key implies, if it is one of ours. Symmetric keys do not
    /// belong into a set that others can read.
    pub(super) fn algorithm(kind: &AlgorithmParameters) -> Option<Algorithm> {
        match kind {
            AlgorithmParameters::RSA(_) => Some(Algorithm::RS256),
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

/// Where the key comes from that verifies tokens.
enum Keys {
    One(PublicKey),
    Set(Arc<Jwks>),
}

/// A token that was verified.
#[derive(Clone)]
struct Verified {
    user: UserId,
    /// Seconds since 1970. Not remembered past it, leeway or not.
    exp: i64,
    /// Of the key set it was verified with; another set may have dropped the key.
    generation: u64,
}

/// Verifies tokens.
pub struct Tokens {
    keys: Keys,
    validation: Validation,
    verified: Cache<Box<str>, Verified>,
}

impl Tokens {
    /// Tokens signed with a shared secret.
    pub fn with_secret(secret: &Secret, rules: &Rules) -> Self {
        let key = DecodingKey::from_secret(secret.0.as_bytes());
        Self::with_key(PublicKey(Algorithm::HS256, key), rules)
    }

    /// Tokens signed with the private part of this key.
    pub fn with_key(key: PublicKey, rules: &Rules) -> Self {
        Self::new(Keys::One(key), rules)
    }

    /// Tokens signed with one of a set of keys, which each token names by `kid`.
    pub fn with_jwks(jwks: Arc<Jwks>, rules: &Rules) -> Self {
        Self::new(Keys::Set(jwks), rules)
    }

    fn new(keys: Keys, rules: &Rules) -> Self {
        let mut validation = Validation::default();
        let mut required = HashSet::from(["exp".to_owned(), "sub".to_owned()]);
        validation.leeway = LEEWAY_S;
        validation.validate_nbf = true;
        // Unless set, jsonwebtoken refuses every token that names an audience.
        validation.validate_aud = rules.audience.is_some();
        if let Some(audience) = &rules.audience {
            validation.set_audience(&[audience]);
            required.insert("aud".into());
        }
        if let Some(issuer) = &rules.issuer {
            validation.set_issuer(&[issuer]);
            required.insert("iss".into());
        }
        validation.required_spec_claims = required;
        Self {
            keys,
            validation,
            verified: Cache::new(REMEMBERED),
        }
    }

    /// The user a token was issued to, and when it ends, leeway included.
    pub fn verify(&self, token: &str) -> Result<Identity, Error> {
        let now = Utc::now().timestamp();
        let generation = self.generation();
        if let Some(known) = self.verified.get(token)
            && known.exp > now
            && known.generation == generation
        {
            return Ok(identity(known.user, known.exp));
        }
        let refused = |why: &'static str| Error::new(Code::Unauthenticated, why);
        let PublicKey(algorithm, key) = self.key(token).map_err(refused)?;
        let mut validation = self.validation.clone();
        validation.algorithms = vec![algorithm];
        let decoded = jsonwebtoken::decode::<Claims>(token, &key, &validation)
            .map_err(|e| refused(reason(e.kind())))?;
        // Extensions that must be understood, and none is (RFC 7515 section 4.1.11).
        if decoded.header.crit.is_some() {
            return Err(refused("the token asks for extensions (`crit`)"));
        }
        #[allow(clippy::cast_possible_truncation)]
        let exp = decoded.claims.exp.as_f64().unwrap_or(0.0) as i64;
        let user = decoded.claims.user(now).map_err(refused)?;
        if token.len() <= REMEMBERED_LENGTH {
            let verified = Verified {
                user: user.clone(),
                exp,
                generation,
            };
            self.verified.insert(token.into(), verified);
        }
        Ok(identity(user, exp))
    }

    fn generation(&self) -> u64 {
        match &self.keys {
            Keys::One(_) => 0,
            Keys::Set(jwks) => jwks.generation(),
        }
    }

    /// The key for a token. Only of a set is it chosen by the token, by name and nothing else.
    fn key(&self, token: &str) -> Result<PublicKey, &'static str> {
        match &self.keys {
            Keys::One(key) => Ok(key.clone()),
            Keys::Set(jwks) => {
                let header = jsonwebtoken::decode_header(token).map_err(|e| reason(e.kind()))?;
                let kid = header
                    .kid
                    .ok_or("the token's header names no key (`kid`)")?;
                jwks.find(&kid)
                    .ok_or("the token is signed with a key that is not known")
            }
        }
    }
}

fn identity(user: UserId, exp: i64) -> Identity {
    Identity {
        caller: Caller::User(user),
        until: Some(exp.saturating_add_unsigned(LEEWAY_S)),
    }
}

/// What is wrong with a token, without any of it.
fn reason(error: &ErrorKind) -> &'static str {
    match error {
        ErrorKind::ExpiredSignature => "the token has expired",
        ErrorKind::ImmatureSignature => "the token is not valid yet (`nbf`)",
        ErrorKind::InvalidSignature => "the token's signature is wrong",
        ErrorKind::InvalidAlgorithm => {
            "the token is signed with another algorithm than this service accepts"
        }
        ErrorKind::InvalidAudience => "the token is for another audience (`aud`)",
        ErrorKind::InvalidIssuer => "the token is from another issuer (`iss`)",
        ErrorKind::MissingRequiredClaim(claim) if claim == "sub" => {
            "the token names no user (`sub`)"
        }
        ErrorKind::MissingRequiredClaim(claim) if claim == "exp" => "the token has no end (`exp`)",
        ErrorKind::MissingRequiredClaim(_) => "the token lacks `aud` or `iss`",
        _ => "this is not a token (RFC 7519) that this service can read",
    }
}

/// What to put into a token made here.
#[derive(Clone, Debug)]
pub struct TokenRequest {
    /// The user.
    pub sub: UserId,
    /// How long it is to last.
    pub ttl: Duration,
}

impl TokenRequest {
    /// Mints a token, for trying things out: in earnest the host application does.
    pub fn mint(
        &self,
        secret: &Secret,
        rules: &Rules,
    ) -> Result<String, jsonwebtoken::errors::Error> {
        let now = Utc::now().timestamp();
        let claims = IssuedClaims {
            sub: self.sub.to_string(),
            exp: now.saturating_add_unsigned(self.ttl.as_secs()),
            iat: now,
            aud: rules.audience.clone(),
            iss: rules.issuer.clone(),
        };
        let key = EncodingKey::from_secret(secret.0.as_bytes());
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &key)
    }
}
