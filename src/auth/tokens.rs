//! Verification of user tokens: JSON Web Tokens (RFC 7519), signed by the host application.
//!
//! The kind of the configured key determines the algorithm. The `alg` of a token must be equal to it
//! (RFC 8725 section 3.1).

use std::collections::HashSet;
use std::sync::Arc;

use chrono::Utc;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use quick_cache::sync::Cache;
use serde_json::Value;

use super::claims::{Claims, Rules, UserClaim, check_issue_time};
use super::token_keys::{PublicKey, Secret};
use super::{Caller, Identity, Jwks, LEEWAY_S, TOKEN_EXPIRED};
use crate::error::{Code, Error};
use crate::model::UserId;

/// Number of verified tokens in the cache, about 4 MB. Verification takes microseconds with HS256 and
/// 0.1 ms with the other algorithms.
const CACHED_TOKENS: usize = 10_000;
/// Maximum length of a cached token in bytes, which bounds the size of the cache.
const MAX_CACHED_LENGTH: usize = 4096;

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
            verified: Cache::new(CACHED_TOKENS),
        }
    }

    /// Verifies a token. The identity expires with the token, after the leeway.
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
        if token.len() <= MAX_CACHED_LENGTH {
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

    /// The key for a token, chosen only by its `kid`.
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

/// Describes what is wrong with a token, without quoting it.
fn reason(error: &ErrorKind) -> &'static str {
    match error {
        ErrorKind::ExpiredSignature => TOKEN_EXPIRED,
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
