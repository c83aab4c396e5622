//! Signatures of webhooks (Standard Webhooks 1.0).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use sha2::Sha256;

use crate::model::WebhookSecret;

/// The value of `webhook-signature`: one signature per secret.
pub fn signatures(secrets: &[WebhookSecret], id: &str, timestamp: i64, body: &str) -> String {
    let sign = |secret: &WebhookSecret| {
        // HMAC takes keys of any length.
        let mac = Hmac::<Sha256>::new_from_slice(&secret.key()).ok()?;
        let mac = mac.chain_update(format!("{id}.{timestamp}.{body}"));
        Some(format!(
            "v1,{}",
            STANDARD.encode(mac.finalize().into_bytes())
        ))
    };
    secrets
        .iter()
        .filter_map(sign)
        .collect::<Vec<_>>()
        .join(" ")
}
