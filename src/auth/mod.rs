//! Who calls, and what they may do.
//!
//! Two kinds of callers: a *user* of the host application, who shows a token that the application
//! signed (JWT, RFC 7519) and acts only as itself; and the application's own *backend*, which
//! shows a service key and acts for anybody. With neither kind of secret configured the service is
//! *open*: everybody may do everything, which is allowed on a loopback address only.
//!
//! Knows neither HTTP nor Redis.

mod jwks;
mod service_keys;
mod tokens;

use crate::error::{Code, Error};
use crate::model::UserId;

pub use jwks::{Jwks, JwksError, JwksSource};
pub use service_keys::{KeyId, ServiceKeys, generate_key};
pub use tokens::{PublicKey, Rules, Secret, TokenRequest, Tokens};

/// Who calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Caller {
    /// Anybody: the service is open.
    Anonymous,
    /// A user of the host application.
    User(UserId),
    /// The host application's backend, by the key it showed.
    Backend(KeyId),
}

impl Caller {
    /// Makes sure that the caller may act as `user`. The refusal says nothing of what exists.
    pub fn authorize(&self, user: &UserId) -> Result<(), Error> {
        match self {
            Caller::User(own) if own != user => Err(Code::Forbidden.into()),
            _ => Ok(()),
        }
    }

    /// As whom the caller acts, given whom it named, if anybody. A user need not name itself.
    pub fn acting_as(&self, named: Option<UserId>, pointer: &str) -> Result<UserId, Error> {
        match (self, named) {
            (_, Some(user)) => self.authorize(&user).map(|()| user),
            (Caller::User(own), None) => Ok(own.clone()),
            (Caller::Anonymous | Caller::Backend(_), None) => Err(Error::field(
                Code::InvalidRequest,
                pointer,
                "who acts must be named",
            )),
        }
    }

    /// Makes sure that the caller may see how the service is doing.
    pub fn require_backend(&self) -> Result<(), Error> {
        match self {
            Caller::User(_) => Err(Code::Forbidden.into()),
            Caller::Anonymous | Caller::Backend(_) => Ok(()),
        }
    }
}

/// Who calls, and until when the credential says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Who.
    pub caller: Caller,
    /// The end of a token, in seconds since 1970.
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

/// Tells who calls.
#[derive(Default)]
pub struct Authenticator {
    /// Verifies tokens of users, if users may call.
    pub tokens: Option<Tokens>,
    /// Knows the backends, if backends may call.
    pub keys: Option<ServiceKeys>,
}

impl Authenticator {
    /// Whether anybody may do everything.
    pub fn is_open(&self) -> bool {
        self.tokens.is_none() && self.keys.is_none()
    }

    /// Who shows this `Authorization` header (RFC 6750). The error says what is wrong with it and
    /// never repeats any of it.
    pub fn authenticate(&self, authorization: Option<&[u8]>) -> Result<Identity, Error> {
        if self.is_open() {
            return Ok(Caller::Anonymous.into());
        }
        let refused = |why: &'static str| Err(Error::new(Code::Unauthenticated, why));
        let Some(authorization) = authorization else {
            return Err(Code::Unauthenticated.into());
        };
        let Some(credential) = bearer(authorization) else {
            return refused("the `Authorization` header is not of the form `Bearer` and one word");
        };
        self.identify(credential)
    }

    /// Who shows this credential, however it was shown.
    pub fn identify(&self, credential: &str) -> Result<Identity, Error> {
        let refused = |why: &'static str| Err(Error::new(Code::Unauthenticated, why));
        // A token has two dots (RFC 7515 section 3.1), a service key has none.
        match (&self.tokens, &self.keys) {
            (Some(tokens), _) if credential.contains('.') => tokens.verify(credential),
            (_, Some(keys)) if !credential.contains('.') => match keys.find(credential) {
                Some(key) => Ok(Caller::Backend(key).into()),
                None => refused("the service key is not known"),
            },
            _ => refused("this kind of credential is not accepted here"),
        }
    }
}

/// The credential of a header of the scheme `Bearer`, which is not case-sensitive (RFC 9110
/// section 11.1).
fn bearer(authorization: &[u8]) -> Option<&str> {
    let (scheme, credential) = str::from_utf8(authorization).ok()?.split_once(' ')?;
    let credential = credential.trim();
    let whole = !credential.is_empty() && credential.bytes().all(|b| b.is_ascii_graphic());
    (scheme.eq_ignore_ascii_case("bearer") && whole).then_some(credential)
}
