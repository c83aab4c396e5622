//! Issuing tokens, for trying out the API. In production the host application issues them.

use std::time::Duration;

use chrono::Utc;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::json;

use super::claims::{Claims, Rules};
use super::token_keys::Secret;
use crate::model::UserId;

/// A token to issue.
#[derive(Clone, Debug)]
pub struct TokenRequest {
    /// The user id.
    pub sub: UserId,
    /// The lifetime of the token.
    pub ttl: Duration,
}

impl TokenRequest {
    /// Issues the token, signed with the secret (HS256).
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
