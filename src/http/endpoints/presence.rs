//! Presence: whether users are online.

use actix_web::web::Data;
use actix_web::{HttpResponse, get};
use serde_json::json;

use crate::auth::Caller;
use crate::error::Error;
use crate::http::extract::{NoInput, QueryParams};
use crate::http::path::PathUser;
use crate::http::{json, problem};
use crate::model::{Presence, Presences, UsersQuery};
use crate::operations::Operations;

problem::refusals!(ReadPresenceErrors: CALL READ);

/// Read a user's presence
///
/// Whether the user is online, and if not, when they last were. Users see themselves and the peers
/// who have written to them and not blocked them; everyone else appears as never online. Backends see
/// everyone.
#[utoipa::path(
    tag = "live",
    security(("bearer" = ["user"]), ("bearer" = ["backend"])),
    params(PathUser),
    responses(
        (status = 200, description = "The presence of the user.", body = Presence,
            example = json!({"user": "bob", "online": false, "last_seen": "2026-01-31T12:00:00.000Z"})),
        ReadPresenceErrors,
    )
)]
#[get("/users/{user}/presence")]
pub async fn read_presence(
    caller: Caller,
    PathUser { user }: PathUser,
    _: NoInput,
    operations: Data<Operations>,
) -> Result<HttpResponse, Error> {
    let presence = operations.read_presence(&caller, &user).await?;
    Ok(json::answer(
        json!(presence.value).to_string(),
        presence.quota,
    ))
}

/// Read the presence of several users
///
/// Returns for up to 100 users what `GET /users/{user}/presence` returns for one. For users and backends.
#[utoipa::path(
    tag = "live",
    security(("bearer" = ["user"]), ("bearer" = ["backend"])),
    params(UsersQuery),
    responses(
        (status = 200, description = "The presence of each user.", body = Presences,
            example = json!({"users": [{"user": "bob", "online": true, "last_seen": null}]})),
        ReadPresenceErrors,
    )
)]
#[get("/presence")]
pub async fn list_presences(
    caller: Caller,
    query: QueryParams<UsersQuery>,
    operations: Data<Operations>,
) -> Result<HttpResponse, Error> {
    let users = query.0.users()?;
    let presences = operations.list_presences(&caller, &users).await?;
    Ok(json::answer(
        json!(presences.value).to_string(),
        presences.quota,
    ))
}
