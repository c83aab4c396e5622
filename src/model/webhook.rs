//! Webhooks: the URL to which the events of a subscription are sent, and the secrets that sign them.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use url::Url;
use utoipa::ToSchema;

use super::attachment_url::normalize;
use crate::error::{Code, Error};

/// The URL of a webhook: absolute, `https`, without user name, password and fragment, at most 2,048 characters. It must
/// not lead into a private network, unless `DUOLOGUE_WEBHOOK_NETWORKS` contains it; then it may be `http` too.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "String")]
#[schema(
    max_length = 2048,
    format = "uri",
    pattern = r"^[Hh][Tt][Tt][Pp][Ss]?://[^\x00-\x20/\\#]([^\x00-\x1f\\#]*[^\x00-\x20\\#])?$",
    example = "https://backend.example.com/events"
)]
pub struct WebhookUrl(String);

impl WebhookUrl {
    /// The URL in parts.
    pub fn parsed(&self) -> Result<Url, url::ParseError> {
        Url::parse(&self.0)
    }
}

impl TryFrom<String> for WebhookUrl {
    type Error = &'static str;

    fn try_from(given: String) -> Result<Self, Self::Error> {
        let url = normalize(&given).filter(|url| !url.contains('#'));
        url.map(Self).ok_or(
            "must be an absolute https URL without user name, password and fragment, at most 2048 characters",
        )
    }
}

/// What the text of a secret begins with, by which secret scanners recognize it.
const PREFIX: &str = "whsec_";

/// A secret that signs webhooks: `whsec_` and 24 to 64 bytes in base64.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "String")]
#[schema(
    pattern = "^whsec_[A-Za-z0-9+/]{32,88}={0,2}$",
    example = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
)]
pub struct WebhookSecret(String);

impl WebhookSecret {
    /// A secret of 32 random bytes.
    pub fn random() -> Result<Self, Error> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes)
            .map_err(|_| Error::new(Code::Internal, "The system has no random numbers."))?;
        Ok(Self([PREFIX, &STANDARD.encode(bytes)].concat()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The bytes that sign.
    pub fn key(&self) -> Vec<u8> {
        decode(&self.0).unwrap_or_default()
    }
}

impl TryFrom<String> for WebhookSecret {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        match decode(&text) {
            Some(key) if (24..=64).contains(&key.len()) => Ok(Self(text)),
            _ => Err("must be whsec_ and 24 to 64 bytes in base64"),
        }
    }
}

fn decode(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text.strip_prefix(PREFIX)?).ok()
}

/// Shows nothing of the secret.
impl fmt::Debug for WebhookSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a webhook secret")
    }
}
