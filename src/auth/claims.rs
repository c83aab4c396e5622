//! The claims of a token: which ones are required, and which one is the user id.

use std::str::FromStr;
use std::time::Duration;

use serde_json::{Map, Value};

use super::LEEWAY_S;
use crate::model::UserId;

/// The claims of a presented token, each of any JSON type, so that a missing or malformed claim is
/// named in the error.
pub(super) type Claims = Map<String, Value>;

/// Required claims besides the expiry.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// `aud` must be or contain this.
    pub audience: Option<String>,
    /// `iss` must be this.
    pub issuer: Option<String>,
    /// The claim that is the user id.
    pub user_claim: UserClaim,
}

/// The name of the claim that is the user id. The default is `sub`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserClaim(pub(super) String);

impl UserClaim {
    /// The user of a token, or what is wrong with the claim.
    pub(super) fn user(&self, claims: &Claims) -> Result<UserId, String> {
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

    /// Errors quote the name in the header `WWW-Authenticate`.
    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let allowed = |b: u8| b.is_ascii_graphic() && !b"\"\\".contains(&b);
        if (1..=255).contains(&name.len()) && name.bytes().all(allowed) {
            Ok(Self(name.to_owned()))
        } else {
            Err("must have 1 to 255 printable characters without quotes and backslashes")
        }
    }
}

/// Refuses a token that was issued in the future. Times may have fractions (RFC 7519 section 2).
pub(super) fn check_issue_time(claims: &Claims, now: i64) -> Result<(), &'static str> {
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
