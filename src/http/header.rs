//! Extractors of request headers.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::http::header::{EntityTag, Header, HeaderName, IF_MATCH, IF_NONE_MATCH, IfMatch};
use actix_web::{FromRequest, HttpRequest};
use utoipa::IntoParams;

use crate::error::{Code, Error};
use crate::model::{IdempotencyKey, Precondition};

pub const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

#[derive(IntoParams)]
#[into_params(parameter_in = Header, names("Idempotency-Key"))]
pub struct IdempotencyKeyHeader(
    /// Makes the request safe to repeat: within 24 hours one message is stored per key, sender and
    /// conversation. 1 to 255 printable ASCII characters, bare or as a quoted string (RFC 8941): `k`
    /// and `"k"` are the same key.
    #[param(value_type = Option<String>, nullable = false, min_length = 1,
        pattern = r#"^([!#-~]([ -~]{0,253}[!-~])?|"([ !#-\[\]-~]|\\["\\]){1,255}")$"#)]
    pub Option<IdempotencyKey>,
);

impl FromRequest for IdempotencyKeyHeader {
    type Error = Error;
    type Future = Ready<Result<Self, Error>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        let mut headers = req.headers().get_all(IDEMPOTENCY_KEY);
        let key = match (headers.next(), headers.next()) {
            (None, _) => return ready(Ok(Self(None))),
            // A header that is not ASCII becomes an empty key, which is refused.
            (Some(one), None) => IdempotencyKey::from_header(one.to_str().unwrap_or_default()),
            (Some(_), Some(_)) => Err("must be given at most once"),
        };
        let refused = |why| Error::field(Code::InvalidRequest, "/header/idempotency-key", why);
        ready(key.map(|key| Self(Some(key))).map_err(refused))
    }
}

#[derive(IntoParams)]
#[into_params(parameter_in = Header, names("If-Match"))]
pub struct IfMatchHeader(
    /// The `ETag` that the message must have, several of them separated by commas, or `*`. Weak tags
    /// match nothing.
    #[param(value_type = Option<String>, nullable = false)]
    pub Precondition,
);

impl FromRequest for IfMatchHeader {
    type Error = Error;
    type Future = Ready<Result<Self, Error>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        if !req.headers().contains_key(IF_MATCH) {
            return ready(Ok(Self(Precondition::default())));
        }
        let precondition = match IfMatch::parse(req) {
            // `*` requires that a message exists, and preconditions are evaluated only if one does.
            Ok(IfMatch::Any) => Precondition::default(),
            Ok(IfMatch::Items(tags)) => {
                let strong = tags.iter().filter(|tag| !tag.weak);
                Precondition::one_of(strong.map(EntityTag::tag))
            }
            // A malformed header matches no version.
            Err(_) => Precondition::one_of(std::iter::empty()),
        };
        ready(Ok(Self(precondition)))
    }
}

/// Whether a request requires that its resource does not exist yet.
#[derive(IntoParams)]
#[into_params(parameter_in = Header, names("If-None-Match"))]
pub struct IfNoneMatchHeader(
    /// With `*`, the only accepted value, an existing one is refused and not changed.
    #[param(value_type = Option<String>, nullable = false, pattern = r"^\*$", example = "*")]
    pub bool,
);

impl FromRequest for IfNoneMatchHeader {
    type Error = Error;
    type Future = Ready<Result<Self, Error>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        let given = req.headers().get(IF_NONE_MATCH);
        let required = match given.map(|value| value.as_bytes().trim_ascii()) {
            None => Ok(Self(false)),
            Some(b"*") => Ok(Self(true)),
            Some(_) => {
                let pointer = "/header/if-none-match";
                let why = "must be `*`: there are no entity tags";
                Err(Error::field(Code::InvalidRequest, pointer, why))
            }
        };
        ready(required)
    }
}
