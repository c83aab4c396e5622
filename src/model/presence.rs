//! Whether users are there.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::UserId;
use super::message::rfc3339;
use crate::error::{Code, Error};

/// Whether a user is there: has a WebSocket or an event stream open, to any process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Presence {
    /// The user.
    pub user: UserId,
    /// Whether the user is there.
    pub online: bool,
    /// When the user was last there (RFC 3339); null if that is now, longer ago than 90 days, or
    /// not for everybody to know.
    #[schema(required = true, format = DateTime)]
    pub last_seen: Option<String>,
}

impl Presence {
    /// A presence as the store tells it: the time in milliseconds, 0 if there is none.
    pub fn of(user: UserId, online: bool, last_ms: i64) -> Self {
        let last_seen = DateTime::<Utc>::from_timestamp_millis(last_ms).filter(|_| last_ms > 0);
        Self {
            user,
            online,
            last_seen: last_seen.map(rfc3339),
        }
    }

    /// `last_seen` as JSON.
    pub fn last_seen_json(&self) -> String {
        match &self.last_seen {
            Some(time) => format!("\"{time}\""),
            None => "null".to_owned(),
        }
    }
}

/// Whether several users are there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Presences {
    /// Each of those asked for, in the order asked for.
    pub users: Vec<Presence>,
}

/// Several users: the query of `GET /presence` and `GET /unread`.
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct UsersQuery {
    /// Up to 100 users, comma-separated. A `+` in an id is sent as `%2B`, as in every query.
    #[param(
        example = "alice,bob",
        pattern = "^[A-Za-z0-9._~!$&'()*+;=:@|-]{1,255}(,[A-Za-z0-9._~!$&'()*+;=:@|-]{1,255}){0,99}$"
    )]
    pub users: String,
}

impl UsersQuery {
    /// The users.
    pub fn users(&self) -> Result<Vec<UserId>, Error> {
        let refused = |why| Error::field(Code::InvalidRequest, "/query/users", why);
        let ids = self
            .users
            .split(',')
            .map(|id| UserId::try_from(id.to_owned()));
        match ids.collect::<Result<Vec<_>, _>>() {
            Ok(users) if users.len() > 100 => Err(refused("at most 100 users at once")),
            users => users.map_err(refused),
        }
    }
}
