//! Tokens of users: JSON Web Tokens (RFC 7519), signed by the host application.
//!
//! The kind of the configured key determines the algorithm. A token's own `alg` is only compared
//! with it (RFC 8725 section 3.1).

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
use serde_json::{Map, Value, json};

use super::{Caller, Identity, Jwks};
use crate::error::{Code, Error};
use crate::model::UserId;

/// How far clocks may be apart, in seconds.
const LEEWAY_S: u64 = 30;
/// Verified tokens to cache, about 4 MB. Verifying costs microseconds with HS256 and 0.1 ms with the
/// other algorithms.
const REMEMBERED: usize = 10_000;

/// The longest token to cache, in bytes; bounds the size of the cache.
const REMEMBERED_LENGTH: usize = 4096;

/// The claims of a presented token, each of any JSON type, so that a missing or malformed claim is
/// named in the error.
type Claims = Map<String, Value>;

/// Refuses a token that was issued in the future. Times may have fractions (RFC 7519 section 2).
fn check_issue_time(claims: &Claims, now: i64) -> Result<(), &'static str> {
    let latest = Duration::from_secs(now.unsigned_abs() + LEEWAY_S).as_secs_f64();
    match claims.get("iat") {
        None | Some(Value::Null) => Ok(()),
        Some(iat) => match iat.as_f64() {
            Some(iat) if iat > latest => Err("The token was issued in the future (`iat`)."),
            Some(_) => Ok(()),
            None => Err("The token's `iat` is not a time."),
        },
    }
}

/// The name of the claim that is the user id: `sub`, unless an identity provider puts something else
/// there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserClaim(String);

impl UserClaim {
    /// The user of a token.
    fn user(&self, claims: &Claims) -> Result<UserId, String> {
        let Self(name) = self;
        match claims.get(name) {
            None | Some(Value::Null) => Err(format!("The token has no user (`{name}`).")),
            Some(user) => UserId::try_from(user.as_str().unwrap_or_default().to_owned())
                .map_err(|_| format!("The token's `{name}` is not a user id.")),
        }
    }
}

impl Default for UserClaim {
    fn default() -> Self {
        Self("sub".to_owned())
    }
}

impl FromStr for UserClaim {
    type Err = &'static str;

    /// The name stands in `WWW-Authenticate`, between quotes.
    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let allowed = |b: u8| b.is_ascii_graphic() && !b"\"\\".contains(&b);
        if (1..=255).contains(&name.len()) && name.bytes().all(allowed) {
            Ok(Self(name.to_owned()))
        } else {
            Err("a claim name is 1 to 255 printable characters without quotes and backslashes")
        }
    }
}

/// What a token must say besides its signature and expiry.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// `aud` must be or contain this.
    pub audience: Option<String>,
    /// `iss` must be this.
    pub issuer: Option<String>,
    /// The claim that is the user id.
    pub user_claim: UserClaim,
}

/// A secret shared with the host application (HS256): at least 32 bytes (RFC 7518 section 3.2).
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl FromStr for Secret {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.trim_end_matches(['\n', '\r']) {
            secret if secret.len() >= 32 => Ok(Self(secret.to_owned())),
            _ => Err("a secret must have at least 32 bytes (RFC 7518 section 3.2)"),
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a secret")
    }
}

/// A public key of the host application, and the algorithm that its kind determines.
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
        // These accept private keys and other curves, which would then refuse every token.
        let shape = Jwk::from_decoding_key(&key.1, Some(key.0)).ok()?;
        (Self::algorithm(&shape.algorithm) == Some(key.0)).then_some(key)
    }

    /// The algorithm of a kind of key; `None` if unsupported. Symmetric keys are unsupported: a public
    /// set would give them away.
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

/// The source of the key that verifies tokens.
enum VerificationKeys {
    One(PublicKey),
    Set(Arc<Jwks>),
}

/// A cached token.
#[derive(Clone)]
struct Verified {
    user: UserId,
    /// Expiry in seconds since 1970. The cache does not apply the leeway.
    exp: i64,
    /// The generation of the key set that verified it; a newer set may lack the key.
    generation: u64,
}

/// Verifies tokens.
pub struct Tokens {
    keys: VerificationKeys,
    validation: Validation,
    user_claim: UserClaim,
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
        Self::new(VerificationKeys::One(key), rules)
    }

    /// Tokens signed with one of a set of keys, chosen by the token's `kid`.
    pub fn with_jwks(jwks: Arc<Jwks>, rules: &Rules) -> Self {
        Self::new(VerificationKeys::Set(jwks), rules)
    }

    fn new(keys: VerificationKeys, rules: &Rules) -> Self {
        let mut validation = Validation::default();
        let mut required = HashSet::from(["exp".to_owned()]);
        validation.leeway = LEEWAY_S;
        validation.validate_nbf = true;
        // If true without an audience, jsonwebtoken refuses every token that names one.
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
            user_claim: rules.user_claim.clone(),
            verified: Cache::new(REMEMBERED),
        }
    }

    /// Verifies a token. The identity ends with it, leeway included.
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
        // Unknown critical extensions must be refused (RFC 7515 section 4.1.11).
        if decoded.header.crit.is_some() {
            return Err(refused(
                "The token requires extensions (`crit`), which are not supported.",
            ));
        }
        #[allow(clippy::cast_possible_truncation)]
        let exp = decoded
            .claims
            .get("exp")
            .and_then(Value::as_f64)
            .unwrap_or(0.0) as i64;
        check_issue_time(&decoded.claims, now).map_err(refused)?;
        let user = self.user_claim.user(&decoded.claims);
        let user = user.map_err(|why| Error::new(Code::Unauthenticated, why))?;
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
            VerificationKeys::One(_) => 0,
            VerificationKeys::Set(jwks) => jwks.generation(),
        }
    }

    /// The key for a token. Only the `kid` of a token takes part in the choice.
    fn key(&self, token: &str) -> Result<PublicKey, &'static str> {
        match &self.keys {
            VerificationKeys::One(key) => Ok(key.clone()),
            VerificationKeys::Set(jwks) => {
                let header = jsonwebtoken::decode_header(token).map_err(|e| reason(e.kind()))?;
                let kid = header
                    .kid
                    .ok_or("The token's header has no key id (`kid`).")?;
                jwks.find(&kid)
                    .ok_or("The token is signed with an unknown key.")
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

/// What is wrong with a token. Repeats nothing of it.
fn reason(error: &ErrorKind) -> &'static str {
    match error {
        ErrorKind::ExpiredSignature => "The token has expired.",
        ErrorKind::ImmatureSignature => "The token is not valid yet (`nbf`).",
        ErrorKind::InvalidSignature => "The token's signature is invalid.",
        ErrorKind::InvalidAlgorithm => {
            "The token is signed with an algorithm that is not accepted."
        }
        ErrorKind::InvalidAudience => "The token is for another audience (`aud`).",
        ErrorKind::InvalidIssuer => "The token is from another issuer (`iss`).",
        ErrorKind::MissingRequiredClaim(claim) if claim == "exp" => {
            "The token has no expiry (`exp`)."
        }
        ErrorKind::MissingRequiredClaim(_) => "The token has no `aud` or `iss`.",
        _ => "The token cannot be parsed (RFC 7519).",
    }
}

/// What to put into a token issued here.
#[derive(Clone, Debug)]
pub struct TokenRequest {
    /// The user.
    pub sub: UserId,
    /// Its lifetime.
    pub ttl: Duration,
}

impl TokenRequest {
    /// Issues a token, for trying things out. In production the host application issues tokens.
    pub fn mint(
        &self,
        secret: &Secret,
        rules: &Rules,
    ) -> Result<String, jsonwebtoken::errors::Error> {
        let now = Utc::now().timestamp();
        let mut claims = Claims::from_iter([
            (
                "exp".to_owned(),
                json!(now.saturating_add_unsigned(self.ttl.as_secs())),
            ),
            ("iat".to_owned(), json!(now)),
        ]);
        let names = [("aud", &rules.audience), ("iss", &rules.issuer)];
        for (claim, name) in names.iter().filter_map(|(c, n)| Some((c, n.as_ref()?))) {
            claims.insert((*claim).to_owned(), json!(name));
        }
        claims.insert(rules.user_claim.0.clone(), json!(self.sub));
        let key = EncodingKey::from_secret(secret.0.as_bytes());
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &key)
    }
}
