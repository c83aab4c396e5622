//! What machines ask of the service: `/healthz`, `/readyz`, `/metrics`.

use actix_web::web::{Data, Json};
use actix_web::{HttpResponse, get};
use serde::Serialize;
use utoipa::ToSchema;

use super::problem;
use crate::error::Error;
use crate::metrics::Metrics;
use crate::store::{Health, Store};

problem::refusals!(CheckReadyErrors {
    Internal,
    Unavailable
});

/// That the process is up.
#[derive(Serialize, ToSchema)]
pub struct Alive {
    /// Always `ok`.
    #[schema(example = "ok")]
    status: &'static str,
}

/// That the service can do its work, and how safe its store is.
#[derive(Serialize, ToSchema)]
pub struct Readiness {
    /// Always `ready`; a service that is not answers 503.
    #[schema(example = "ready")]
    status: &'static str,
    /// The version of Redis, or the one a Valkey is compatible with.
    #[schema(example = "7.0.15")]
    redis_version: String,
    /// `master` in Redis' words: the one that takes writes.
    #[schema(example = "master")]
    role: String,
    /// Whether writes go to an append-only file.
    appendonly: bool,
    /// When that file is flushed: `always`, `everysec`, `no`; null where Redis will not say.
    #[schema(example = "always", required = true)]
    appendfsync: Option<String>,
    /// What Redis does when memory is full; `noeviction` refuses new messages and keeps the old.
    #[schema(example = "noeviction")]
    maxmemory_policy: String,
    /// What is less safe than it could be, each in a sentence.
    warnings: Vec<String>,
}

impl From<Health> for Readiness {
    fn from(health: Health) -> Self {
        let warnings = health.durability.warnings();
        let Health {
            version,
            role,
            durability,
        } = health;
        Self {
            status: "ready",
            redis_version: version,
            role,
            appendonly: durability.appendonly,
            appendfsync: durability.appendfsync,
            maxmemory_policy: durability.maxmemory_policy,
            warnings,
        }
    }
}

/// Whether the process is up
///
/// Says nothing of Redis: a process that waits for its Redis must not be restarted for it.
#[utoipa::path(tag = "operations", responses(
    (status = 200, description = "It is.", body = Alive)
))]
#[get("/healthz")]
pub async fn check_health() -> Json<Alive> {
    Json(Alive { status: "ok" })
}

/// Whether the service can do its work
///
/// Redis runs a script, is the store that was opened, and takes writes. Also tells how safe an
/// acknowledged message is.
#[utoipa::path(tag = "operations", responses(
    (status = 200, description = "It can.", body = Readiness),
    CheckReadyErrors,
))]
#[get("/readyz")]
pub async fn check_ready(store: Data<Store>) -> Result<Json<Readiness>, Error> {
    store.check_ready().await.map(|health| Json(health.into()))
}

/// Metrics
///
/// Requests by route and status with latencies, latencies of scripts, errors by code, messages
/// accepted, open connections, the process. Prometheus text format.
#[utoipa::path(tag = "operations", responses(
    (status = 200, description = "All metrics.", body = String, content_type = "text/plain",
        example = json!("duologue_messages_sent_total 42\n"))
))]
#[get("/metrics")]
pub async fn read_metrics(metrics: Data<Metrics>) -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/plain; version=0.0.4; charset=utf-8")
        .body(metrics.render())
}
