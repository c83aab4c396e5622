//! Valid and invalid tokens. They are put together by hand because no library creates the invalid
//! ones.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::Utc;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ED25519, SigningKey};
use serde_json::{Value, json};

/// Generating an RSA key takes too long to do in every test. This one is used nowhere else.
const RSA: &str = include_str!("keys/rsa.pem");

/// The public part of an RSA key of 1024 bits.
pub const WEAK_RSA: &str = include_str!("keys/rsa_1024_public.pem");

/// A signing key of the host application.
pub struct Signer {
    algorithm: Algorithm,
    key: EncodingKey,
    /// Signs with RSA faster than `key`; public keys are derived from it.
    pair: Option<KeyPair>,
}

impl Signer {
    pub fn hs256(secret: &[u8]) -> Self {
        Self {
            algorithm: Algorithm::HS256,
            key: EncodingKey::from_secret(secret),
            pair: None,
        }
    }

    /// Always the same key.
    pub fn rs256() -> Self {
        let key = EncodingKey::from_rsa_pem(RSA.as_bytes()).unwrap();
        Self::of(Algorithm::RS256, key, KeyPair::from_pem(RSA).unwrap())
    }

    /// A new key each time.
    pub fn es256() -> Self {
        let pair = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        let key = EncodingKey::from_ec_der(pair.serialized_der());
        Self::of(Algorithm::ES256, key, pair)
    }

    /// A new key each time.
    pub fn ed25519() -> Self {
        let pair = KeyPair::generate_for(&PKCS_ED25519).unwrap();
        let key = EncodingKey::from_ed_der(pair.serialized_der());
        Self::of(Algorithm::EdDSA, key, pair)
    }

    fn of(algorithm: Algorithm, key: EncodingKey, pair: KeyPair) -> Self {
        Self {
            algorithm,
            key,
            pair: Some(pair),
        }
    }

    /// The `alg` of a token header, like `RS256`.
    pub fn alg(&self) -> String {
        format!("{:?}", self.algorithm)
    }

    /// The public key as PEM.
    pub fn public_pem(&self) -> String {
        self.pair.as_ref().unwrap().public_key_pem()
    }

    /// The private key as PEM.
    pub fn private_pem(&self) -> String {
        self.pair.as_ref().unwrap().serialize_pem()
    }

    /// The public key as a member of a JWKS.
    pub fn jwk(&self, kid: &str) -> Value {
        let pem = self.public_pem();
        let pem = pem.as_bytes();
        let key = match self.algorithm {
            Algorithm::RS256 => DecodingKey::from_rsa_pem(pem),
            Algorithm::ES256 => DecodingKey::from_ec_pem(pem),
            _ => DecodingKey::from_ed_pem(pem),
        };
        let jwk = Jwk::from_decoding_key(&key.unwrap(), Some(self.algorithm)).unwrap();
        let mut jwk = serde_json::to_value(jwk).unwrap();
        jwk["kid"] = json!(kid);
        jwk
    }

    /// A token with these claims.
    pub fn sign(&self, claims: &Value) -> String {
        self.sign_with(&json!({"alg": self.alg(), "typ": "JWT"}), claims)
    }

    /// A token whose header names its key.
    pub fn sign_by(&self, kid: &str, claims: &Value) -> String {
        self.sign_with(&json!({"alg": self.alg(), "kid": kid}), claims)
    }

    /// A token with these claims and any header.
    pub fn sign_with(&self, header: &Value, claims: &Value) -> String {
        let message = unsigned(header, claims);
        let signature = match &self.pair {
            Some(pair) if self.algorithm == Algorithm::RS256 => {
                URL_SAFE_NO_PAD.encode(pair.sign(message.as_bytes()).unwrap())
            }
            _ => jsonwebtoken::crypto::sign(message.as_bytes(), &self.key, self.algorithm).unwrap(),
        };
        format!("{message}.{signature}")
    }
}

/// Encoded header and claims, without a signature.
pub fn unsigned(header: &Value, claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}", part(header), part(claims))
}

/// The Unix time this many seconds from now.
pub fn in_seconds(seconds: i64) -> i64 {
    Utc::now().timestamp() + seconds
}

/// The claims of a valid token, with changes; null removes a claim.
pub fn claims(user: &str, changes: &Value) -> Value {
    let mut claims = json!({"sub": user, "iat": in_seconds(0), "exp": in_seconds(3600)});
    let claims_of = claims.as_object_mut().unwrap();
    for (name, value) in changes.as_object().unwrap() {
        claims_of.insert(name.clone(), value.clone());
    }
    claims_of.retain(|_, value| !value.is_null());
    claims
}
