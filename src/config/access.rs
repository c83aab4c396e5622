//! Settings for credentials and rate limits.

use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use clap::Args;

use crate::auth::{
    Authenticator, Jwks, JwksError, JwksSource, PublicKey, Rules, Secret, ServiceKeys, Tokens,
    UserClaim,
};
use crate::rate::RateLimit;

/// Credentials that are accepted, and rate limits.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Access and rate limits")]
pub struct Access {
    /// Shared secret that verifies user tokens (HS256), at least 32 bytes
    #[arg(
        long,
        env = "DUOLOGUE_JWT_SECRET",
        value_name = "SECRET",
        hide_env_values = true
    )]
    pub jwt_secret: Option<Secret>,

    /// File with that secret, instead of --jwt-secret
    #[arg(long, env = "DUOLOGUE_JWT_SECRET_FILE", value_name = "FILE")]
    pub jwt_secret_file: Option<PathBuf>,

    /// PEM file with the public key that verifies user tokens (RS256, ES256 or EdDSA)
    #[arg(long, env = "DUOLOGUE_JWT_PUBLIC_KEY", value_name = "FILE")]
    pub jwt_public_key: Option<PathBuf>,

    /// Key set (RFC 7517) that verifies user tokens: a file or https URL, reloaded at runtime
    #[arg(
        long,
        env = "DUOLOGUE_JWKS",
        value_name = "FILE|URL",
        hide_env_values = true
    )]
    pub jwks: Option<JwksSource>,

    /// Required aud claim of user tokens; not checked if unset
    #[arg(long, env = "DUOLOGUE_JWT_AUDIENCE", value_name = "NAME")]
    pub jwt_audience: Option<String>,

    /// Required iss claim of user tokens; not checked if unset
    #[arg(long, env = "DUOLOGUE_JWT_ISSUER", value_name = "NAME")]
    pub jwt_issuer: Option<String>,

    /// Claim of user tokens that is the user id
    #[arg(
        long,
        env = "DUOLOGUE_JWT_USER_CLAIM",
        value_name = "NAME",
        default_value = "sub"
    )]
    pub jwt_user_claim: UserClaim,

    /// Service keys, which may act for any user: comma-separated, 32 characters or more each
    #[arg(
        long,
        env = "DUOLOGUE_SERVICE_KEYS",
        value_name = "KEYS",
        hide_env_values = true
    )]
    pub service_keys: Option<ServiceKeys>,

    /// File with service keys, one per line, instead of --service-keys
    #[arg(long, env = "DUOLOGUE_SERVICE_KEYS_FILE", value_name = "FILE")]
    pub service_keys_file: Option<PathBuf>,

    /// Send limit per user (messages per second : burst). 0 disables it
    #[arg(
        long,
        env = "DUOLOGUE_SEND_RATE",
        value_name = "RATE:BURST",
        default_value = "20:60"
    )]
    pub send_rate: RateLimit,

    /// Limit of all other requests per user (requests per second : burst). 0 disables it
    #[arg(
        long,
        env = "DUOLOGUE_REQUEST_RATE",
        value_name = "RATE:BURST",
        default_value = "100:300"
    )]
    pub request_rate: RateLimit,

    /// Both limits per service key: of messages, and of all other requests. 0 disables them
    #[arg(
        long,
        env = "DUOLOGUE_KEY_RATE",
        value_name = "RATE:BURST",
        default_value = "0"
    )]
    pub key_rate: RateLimit,

    // The former name of `request_rate`. It is refused, because ignoring it would lift a limit.
    #[arg(long, hide = true, env = FORMER_REQUEST_RATE, value_parser = refuse_former_request_rate)]
    read_rate: Option<RateLimit>,

    /// Limit of failed authentications per client address (failures per second : burst)
    #[arg(
        long,
        env = "DUOLOGUE_FAILURE_RATE",
        value_name = "RATE:BURST",
        default_value = "1:30"
    )]
    pub failure_rate: RateLimit,
}

/// The former name of `DUOLOGUE_REQUEST_RATE`, from when it covered reads only.
const FORMER_REQUEST_RATE: &str = "DUOLOGUE_READ_RATE";

fn refuse_former_request_rate(_: &str) -> Result<RateLimit, &'static str> {
    Err("DUOLOGUE_READ_RATE is now called DUOLOGUE_REQUEST_RATE (--request-rate)")
}

/// Why these settings are refused.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    #[error("{variable}: cannot read {file}: {why}")]
    File {
        variable: &'static str,
        file: PathBuf,
        why: std::io::Error,
    },
    #[error("{variable}: {why}")]
    Value { variable: &'static str, why: String },
    #[error("{0} and {1} are both set; set only one of them")]
    Both(&'static str, &'static str),
}

impl Access {
    /// The claims that a user token must have.
    pub fn rules(&self) -> Rules {
        Rules {
            audience: self.jwt_audience.clone(),
            issuer: self.jwt_issuer.clone(),
            user_claim: self.jwt_user_claim.clone(),
        }
    }

    /// The shared secret, from the setting itself or from its file.
    pub fn secret(&self) -> Result<Option<Secret>, AccessError> {
        let variables = ("DUOLOGUE_JWT_SECRET", "DUOLOGUE_JWT_SECRET_FILE");
        value_or_file(
            self.jwt_secret.as_ref(),
            self.jwt_secret_file.as_deref(),
            variables,
        )
    }

    /// The authenticator for these settings. A key set is returned beside it, for the worker that
    /// reloads it.
    pub async fn authenticator(&self) -> Result<(Authenticator, Option<Arc<Jwks>>), AccessError> {
        let variables = ("DUOLOGUE_SERVICE_KEYS", "DUOLOGUE_SERVICE_KEYS_FILE");
        let keys = value_or_file(
            self.service_keys.as_ref(),
            self.service_keys_file.as_deref(),
            variables,
        )?;
        let (rules, secret) = (self.rules(), self.secret()?);
        let tokens = match (secret, &self.jwt_public_key, &self.jwks) {
            (None, None, None) => None,
            (Some(secret), None, None) => Some(Tokens::with_secret(&secret, &rules)),
            (None, Some(file), None) => Some(Tokens::with_key(public_key(file)?, &rules)),
            (None, None, Some(source)) => {
                let jwks = open_jwks(source).await?;
                let tokens = Some(Tokens::with_jwks(jwks.clone(), &rules));
                return Ok((Authenticator { tokens, keys }, Some(jwks)));
            }
            // Only one kind of key is accepted. A service that verified several algorithms could be
            // tricked into checking an HMAC with a public key.
            (Some(_), Some(_), _) => {
                return Err(AccessError::Both(
                    "DUOLOGUE_JWT_SECRET",
                    "DUOLOGUE_JWT_PUBLIC_KEY",
                ));
            }
            (Some(_), _, Some(_)) => {
                return Err(AccessError::Both("DUOLOGUE_JWT_SECRET", "DUOLOGUE_JWKS"));
            }
            (_, Some(_), Some(_)) => {
                return Err(AccessError::Both(
                    "DUOLOGUE_JWT_PUBLIC_KEY",
                    "DUOLOGUE_JWKS",
                ));
            }
        };
        Ok((Authenticator { tokens, keys }, None))
    }
}

async fn open_jwks(source: &JwksSource) -> Result<Arc<Jwks>, AccessError> {
    let refused = |error: JwksError| AccessError::Value {
        variable: "DUOLOGUE_JWKS",
        why: error.to_string(),
    };
    Jwks::open(source.clone()).await.map_err(refused)
}

fn public_key(file: &Path) -> Result<PublicKey, AccessError> {
    let variable = "DUOLOGUE_JWT_PUBLIC_KEY";
    let pem = read(file, variable)?;
    PublicKey::from_pem(pem.as_bytes()).ok_or_else(|| {
        let why = format!(
            "{} is not a PEM file with an RSA (2048 bits or more), P-256 or Ed25519 public key",
            file.display()
        );
        AccessError::Value { variable, why }
    })
}

/// A secret that is given directly or in a file; giving both is refused.
fn value_or_file<T>(
    value: Option<&T>,
    file: Option<&Path>,
    variables: (&'static str, &'static str),
) -> Result<Option<T>, AccessError>
where
    T: FromStr<Err = &'static str> + Clone,
{
    match (value, file) {
        (Some(_), Some(_)) => Err(AccessError::Both(variables.0, variables.1)),
        (value, None) => Ok(value.cloned()),
        (None, Some(file)) => match read(file, variables.1)?.parse() {
            Ok(value) => Ok(Some(value)),
            Err(why) => Err(AccessError::Value {
                variable: variables.1,
                why: why.to_owned(),
            }),
        },
    }
}

fn read(file: &Path, variable: &'static str) -> Result<String, AccessError> {
    fs::read_to_string(file).map_err(|why| AccessError::File {
        variable,
        file: file.to_owned(),
        why,
    })
}
