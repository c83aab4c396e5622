//! Whether users are there.

use actix_web::web::Data;
use actix_web::{HttpResponse, get};
use futures_util::future::try_join_all;
use serde_json::json;

use super::access::Policies;
use super::extract::QueryParams;
use super::path::PathUser;
use super::{json, problem};
use crate::auth::Caller;
use crate::error::Error;
use crate::model::{Presence, PresenceQuery, Presences, UserId};
use crate::store::Store;

problem::refusals!(ReadPresenceErrors: CALL READ);

/// Whether a user is there
///
/// A user is told of itself and of those it has a conversation with and who have not blocked it; of
/// others as if they never had been there. A backend is told of anybody.
#[utoipa::path(
    tag = "live",
    security(("user_token" = []), ("service_key" = [])),
    params(PathUser),
    responses(
        (status = 200, description = "Whether the user is there.", body = Presence,
            example = json!({"user": "bob", "online": false, "last_seen": "2026-01-31T12:00:00.000Z"})),
        ReadPresenceErrors,
    )
)]
#[get("/users/{user}/presence")]
pub async fn read_presence(
    caller: Caller,
    path: PathUser,
    policies: Data<Policies>,
    store: Data<Store>,
) -> Result<HttpResponse, Error> {
    let quota = charge(&caller, &policies, &store).await?;
    let presence = store.read_presence(&path.user, viewer(&caller)).await?;
    Ok(json::answer(json!(presence).to_string(), quota))
}

/// Whether users are there
///
/// The same of up to 100 users. A user and a backend are told what they are told of one.
#[utoipa::path(
    tag = "live",
    security(("user_token" = []), ("service_key" = [])),
    params(PresenceQuery),
    responses(
        (status = 200, description = "Whether each user is there.", body = Presences,
            example = json!({"users": [{"user": "bob", "online": true, "last_seen": null}]})),
        ReadPresenceErrors,
    )
)]
#[get("/presence")]
pub async fn list_presences(
    caller: Caller,
    query: QueryParams<PresenceQuery>,
    policies: Data<Policies>,
    store: Data<Store>,
) -> Result<HttpResponse, Error> {
    let users = query.0.users()?;
    let quota = charge(&caller, &policies, &store).await?;
    let users = try_join_all(
        users
            .iter()
            .map(|user| store.read_presence(user, viewer(&caller))),
    );
    let presences = Presences {
        users: users.await?,
    };
    Ok(json::answer(json!(presences).to_string(), quota))
}

/// Who wants to know; a backend, or anybody where the service is open, is nobody in particular.
fn viewer(caller: &Caller) -> Option<&UserId> {
    match caller {
        Caller::User(user) => Some(user),
        Caller::Anybody | Caller::Backend(_) => None,
    }
}

async fn charge(
    caller: &Caller,
    policies: &Policies,
    store: &Store,
) -> Result<Option<crate::rate::Quota>, Error> {
    match caller.charge(policies.read) {
        Some(charge) => store
            .charge_rate(&charge)
            .await
            .map(Some)
            .map_err(Error::of_reading),
        None => Ok(None),
    }
}
