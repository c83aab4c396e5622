//! What machines ask of the service: `/healthz`, `/readyz`, `/metrics`.

use actix_web::web::{Data, Json};
use actix_web::{HttpResponse, get};
use serde::Serialize;
use utoipa::ToSchema;

use crate::auth::Caller;
use crate::error::{Code, Error};
use crate::http::problem;
use crate::metrics::Metrics;
use crate::operations::{Health, Operations};
use crate::realtime::Hub;

problem::refusals!(CheckReadyErrors: READ);
problem::refusals!(ReadMetricsErrors: ; Unauthenticated, Forbidden, RateLimited);

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
    /// How the store is doing; absent for those who may not see it.
    #[serde(skip_serializing_if = "Option::is_none")]
    redis: Option<RedisHealth>,
}

/// How the store is doing, and how safe what it says is.
#[derive(Serialize, ToSchema)]
pub struct RedisHealth {
    /// The version of Redis, or the one a Valkey is compatible with.
    #[schema(example = "7.0.15")]
    version: String,
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

impl From<Health> for RedisHealth {
    fn from(health: Health) -> Self {
        let warnings = health.durability.warnings();
        let Health {
            version,
            role,
            durability,
        } = health;
        Self {
            version,
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
/// Says nothing of Redis: a process that waits for its Redis must not be restarted for it. Anybody
/// may ask.
#[utoipa::path(tag = "operations", security(()), responses(
    (status = 200, description = "It is.", body = Alive)
))]
#[get("/healthz")]
pub async fn check_health() -> Json<Alive> {
    Json(Alive { status: "ok" })
}

/// Whether the service can do its work
///
/// Redis runs a script, is the store that was opened, and takes writes. Anybody may ask; a backend
/// is also told how safe an acknowledged message is.
#[utoipa::path(tag = "operations", security((), ("service_key" = [])), responses(
    (status = 200, description = "It can.", body = Readiness,
        example = json!({"status": "ready", "redis": {"version": "7.0.15", "role": "master", "appendonly": true,
            "appendfsync": "always", "maxmemory_policy": "noeviction", "warnings": []}})),
    CheckReadyErrors,
))]
#[get("/readyz")]
pub async fn check_ready(
    caller: Option<Caller>,
    hub: Data<Hub>,
    operations: Data<Operations>,
) -> Result<Json<Readiness>, Error> {
    if hub.is_stopping() {
        return Err(Error::new(
            Code::Unavailable,
            "this process is about to stop",
        ));
    }
    let health = operations.check_ready(caller.as_ref()).await?;
    Ok(Json(Readiness {
        status: "ready",
        redis: health.map(RedisHealth::from),
    }))
}

/// Metrics
///
/// Requests by route and status with latencies, latencies of scripts, errors by code, messages
/// accepted, open connections, the process. Prometheus text format. For backends; served without a
/// key on an address of its own if the service was told one, and then nowhere else.
#[utoipa::path(tag = "operations", security(("service_key" = [])), responses(
    (status = 200, description = "All metrics.", body = String, content_type = "text/plain",
        example = json!("duologue_messages_sent_total 42\n")),
    ReadMetricsErrors,
))]
#[get("/metrics")]
pub async fn read_metrics(
    caller: Caller,
    operations: Data<Operations>,
) -> Result<HttpResponse, Error> {
    operations.read_metrics(&caller).map(metrics_text)
}

/// `/metrics` on an address of its own, for everybody.
pub async fn metrics_alone(metrics: Data<Metrics>) -> HttpResponse {
    metrics_text(metrics.render())
}

fn metrics_text(metrics: String) -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/plain; version=0.0.4; charset=utf-8")
        .body(metrics)
}
