//! Presence: whether users are online.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::UserId;
use super::message::rfc3339;
use crate::error::{Code, Error};

/// Whether a user is online: has a WebSocket or an event stream open to any process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Presence {
    /// The user.
    pub user: UserId,
    /// Whether the user is online.
    pub online: bool,
    /// When the user was last online (RFC 3339). Null if the user is online, was last online more than
    /// 90 days ago, or is not visible to the caller.
    #[schema(required = true, format = DateTime)]
    pub last_seen: Option<String>,
}

impl Presence {
    /// A presence of the store. `last_ms` is in milliseconds since 1970; 0 means unknown.
    pub fn of(user: UserId, online: bool, last_ms: i64) -> Self {
        let last_seen = DateTime::<Utc>::from_timestamp_millis(last_ms).filter(|_| last_ms > 0);
        Self {
            user,
            online,
            last_seen: last_seen.map(rfc3339),
        }
    }

    pub fn last_seen_json(&self) -> String {
        match &self.last_seen {
            Some(time) => format!("\"{time}\""),
            None => "null".to_owned(),
        }
    }
}

/// The presence of several users.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Presences {
    /// Each requested user, in the order of the request.
    pub users: Vec<Presence>,
}

/// The query of `GET /presence` and `GET /unread`.
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct UsersQuery {
    /// Up to 100 users, comma-separated. Encode a `+` in an id as `%2B`, as in every query.
    #[param(
        example = "alice,bob",
        pattern = "^ *(?!room:)(?!\\.{1,2} *(,|$))[A-Za-z0-9._~!$&'()*+;=:@|-]{1,255} *(, *(?!room:)(?!\\.{1,2} *(,|$))[A-Za-z0-9._~!$&'()*+;=:@|-]{1,255} *){0,99}$"
    )]
    pub users: String,
}

impl UsersQuery {
    pub fn users(&self) -> Result<Vec<UserId>, Error> {
        let refused = |why| Error::field(Code::InvalidRequest, "/query/users", why);
        let ids = self
            .users
            .split(',')
            .map(|id| UserId::try_from(id.trim_matches(' ').to_owned()));
        match ids.collect::<Result<Vec<_>, _>>() {
            Ok(users) if users.len() > 100 => Err(refused("must have at most 100 users")),
            users => users.map_err(refused),
        }
    }
}
