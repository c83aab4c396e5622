//! Authentication and authorization: the caller of a request, and the users it may act as.
//!
//! There are two kinds of callers. A *user* of the host application presents a token that the
//! application signed (JWT, RFC 7519) and acts only as itself. A *backend* of the application presents a
//! service key and acts as any user. Without a configured secret the service is *open*: every caller may
//! do everything. It then serves on loopback addresses only.
//!
//! Independent of HTTP and Redis.

mod claims;
mod jwks;
mod service_keys;
mod token_keys;
mod token_request;
mod tokens;

use crate::error::{Code, Error};
use crate::model::UserId;

pub use claims::{Rules, UserClaim};
pub use jwks::{Jwks, JwksError, JwksSource};
pub use service_keys::{KeyId, ServiceKeys, generate_key};
pub use token_keys::{PublicKey, Secret};
pub use token_request::TokenRequest;
pub use tokens::Tokens;

/// Tolerated difference of clocks when the times of a token are checked, in seconds.
const LEEWAY_S: u64 = 30;

/// The error detail for a token that has expired. Its signature was valid, because that is verified first.
pub const TOKEN_EXPIRED: &str = "The token has expired.";

/// The caller of an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Caller {
    /// A caller without a credential. Only an open service accepts it.
    Anonymous,
    /// A user of the host application.
    User(UserId),
    /// A backend of the host application, identified by its key.
    Backend(KeyId),
}

impl Caller {
    /// Refuses a caller who may not act as `user`. The error does not reveal whether `user` exists.
    pub fn authorize(&self, user: &UserId) -> Result<(), Error> {
        match self {
            Caller::User(own) if own != user => Err(Code::Forbidden.into()),
            _ => Ok(()),
        }
    }

    /// The user the caller acts as: the one it names, or the user of the token. Backends must name one.
    pub fn acting_as(&self, named: Option<UserId>, pointer: &str) -> Result<UserId, Error> {
        match (self, named) {
            (_, Some(user)) => self.authorize(&user).map(|()| user),
            (Caller::User(own), None) => Ok(own.clone()),
            (Caller::Anonymous | Caller::Backend(_), None) => Err(Error::field(
                Code::InvalidRequest,
                pointer,
                "is required, because the credential names no user",
            )),
        }
    }

    /// Refuses users, in operations for backends.
    pub fn require_backend(&self) -> Result<(), Error> {
        match self {
            Caller::User(_) => Err(Code::Forbidden.into()),
            Caller::Anonymous | Caller::Backend(_) => Ok(()),
        }
    }
}

/// A caller and the lifetime of its credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    pub caller: Caller,
    /// When the token expires, in seconds since 1970; `None` if never.
    pub until: Option<i64>,
}

impl From<Caller> for Identity {
    fn from(caller: Caller) -> Self {
        Self {
            caller,
            until: None,
        }
    }
}

#[derive(Default)]
pub struct Authenticator {
    /// Verifies the tokens of users; `None` accepts none.
    pub tokens: Option<Tokens>,
    /// Verifies service keys; `None` accepts none.
    pub keys: Option<ServiceKeys>,
}

impl Authenticator {
    /// Whether the service is open.
    pub fn is_open(&self) -> bool {
        self.tokens.is_none() && self.keys.is_none()
    }

    /// Verifies an `Authorization` header (RFC 6750). The error contains no part of it.
    pub fn authenticate(&self, authorization: Option<&[u8]>) -> Result<Identity, Error> {
        if self.is_open() {
            return Ok(Caller::Anonymous.into());
        }
        let refused = |why: &'static str| Err(Error::new(Code::Unauthenticated, why));
        let Some(authorization) = authorization else {
            return Err(Code::Unauthenticated.into());
        };
        let Some(credential) = bearer(authorization) else {
            return refused("The `Authorization` header must have the form `Bearer <credential>`.");
        };
        self.identify(credential)
    }

    /// Verifies a credential from any part of a request.
    pub fn identify(&self, credential: &str) -> Result<Identity, Error> {
        let refused = |why: &'static str| Err(Error::new(Code::Unauthenticated, why));
        // A token has two dots (RFC 7515 section 3.1), a service key has none.
        match (&self.tokens, &self.keys) {
            (Some(tokens), _) if credential.contains('.') => tokens.verify(credential),
            (_, Some(keys)) if !credential.contains('.') => match keys.find(credential) {
                Some(key) => Ok(Caller::Backend(key).into()),
                None => refused("The service key is unknown."),
            },
            _ => refused("This kind of credential is not accepted."),
        }
    }
}

/// The credential of a `Bearer` header. Schemes are case-insensitive (RFC 9110 section 11.1).
fn bearer(authorization: &[u8]) -> Option<&str> {
    let (scheme, credential) = str::from_utf8(authorization).ok()?.split_once(' ')?;
    let credential = credential.trim();
    let whole = !credential.is_empty() && credential.bytes().all(|b| b.is_ascii_graphic());
    (scheme.eq_ignore_ascii_case("bearer") && whole).then_some(credential)
}
