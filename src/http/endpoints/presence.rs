//! Whether users are there.

use actix_web::web::Data;
use actix_web::{HttpResponse, get};
use futures_util::future::try_join_all;
use serde_json::json;

use crate::auth::Caller;
use crate::error::Error;
use crate::http::extract::QueryParams;
use crate::http::middleware::authenticate::Policies;
use crate::http::path::PathUser;
use crate::http::{json, problem};
use crate::model::{Presence, PresenceQuery, Presences, UserId};
use crate::store::{RateLimited, Store};

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
    let charge = caller.charge(policies.request);
    let presence = store.read_presence(&path.user, viewer(&caller), charge.as_ref());
    let RateLimited { value, quota } = presence.await?;
    Ok(json::answer(json!(value).to_string(), quota))
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
    let mut charge = caller.charge(policies.request);
    // The first one pays for all: it is one request.
    let charges = users.iter().map(|_| charge.take()).collect::<Vec<_>>();
    let read = users.iter().zip(&charges);
    let read =
        read.map(|(user, charge)| store.read_presence(user, viewer(&caller), charge.as_ref()));
    let read = try_join_all(read).await?;
    let quota = read.first().and_then(|first| first.quota);
    let users = read.into_iter().map(|read| read.value).collect();
    Ok(json::answer(json!(Presences { users }).to_string(), quota))
}

/// Who wants to know; a backend, or anybody where the service is open, is nobody in particular.
fn viewer(caller: &Caller) -> Option<&UserId> {
    match caller {
        Caller::User(user) => Some(user),
        Caller::Anonymous | Caller::Backend(_) => None,
    }
}
