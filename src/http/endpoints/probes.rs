//! Probes and metrics: `/healthz`, `/readyz`, `/metrics`.

use actix_web::web::{Data, Json};
use actix_web::{HttpResponse, get};
use serde::Serialize;
use utoipa::ToSchema;

use crate::auth::Caller;
use crate::error::{Code, Error};
use crate::http::extract::NoInput;
use crate::http::problem;
use crate::metrics::Metrics;
use crate::operations::{Health, Operations};
use crate::realtime::Hub;

problem::refusals!(CheckHealthErrors: ; InvalidRequest);
problem::refusals!(CheckReadyErrors: READ; InvalidRequest);
problem::refusals!(ReadMetricsErrors: ; InvalidRequest, Unauthenticated, Forbidden, RateLimited);

/// The process is running.
#[derive(Serialize, ToSchema)]
pub struct Alive {
    /// Always `ok`.
    #[schema(example = "ok")]
    status: &'static str,
}

/// The service is ready to serve.
#[derive(Serialize, ToSchema)]
pub struct Readiness {
    /// Always `ready`; otherwise the status is 503.
    #[schema(example = "ready")]
    status: &'static str,
    /// The state of Redis; for backends only.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    redis: Option<RedisHealth>,
}

/// The state of Redis and its durability settings.
#[derive(Serialize, ToSchema)]
pub struct RedisHealth {
    /// The version of Redis, or the one that Valkey is compatible with.
    #[schema(example = "7.0.15")]
    version: String,
    /// The replication role: `master` accepts writes.
    #[schema(example = "master")]
    role: String,
    /// Whether an append-only file is written.
    appendonly: bool,
    /// When that file is flushed to disk: `always`, `everysec` or `no`; null if unknown.
    #[schema(example = "always", required = true)]
    appendfsync: Option<String>,
    /// The eviction policy for full memory. `noeviction` refuses new messages and keeps existing ones.
    #[schema(example = "noeviction")]
    maxmemory_policy: String,
    /// One sentence for each setting that is less durable than the default.
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

/// Liveness
///
/// The process is running. Does not check Redis, because restarting the process would not repair it.
/// Requires no credential.
#[utoipa::path(tag = "operations", security(()), responses(
    (status = 200, description = "The process is running.", body = Alive),
    CheckHealthErrors,
))]
#[get("/healthz")]
pub async fn check_health(_: NoInput) -> Json<Alive> {
    Json(Alive { status: "ok" })
}

/// Readiness
///
/// Redis is reachable, is the store that was opened at start, and accepts writes. Requires no credential;
/// backends also get the version, role and durability settings of Redis.
#[utoipa::path(tag = "operations", security((), ("bearer" = ["backend"])), responses(
    (status = 200, description = "Ready to serve.", body = Readiness,
        example = json!({"status": "ready", "redis": {"version": "7.0.15", "role": "master", "appendonly": true,
            "appendfsync": "always", "maxmemory_policy": "noeviction", "warnings": []}})),
    CheckReadyErrors,
))]
#[get("/readyz")]
pub async fn check_ready(
    caller: Option<Caller>,
    _: NoInput,
    hub: Data<Hub>,
    operations: Data<Operations>,
) -> Result<Json<Readiness>, Error> {
    if hub.is_stopping() {
        return Err(Error::new(Code::Unavailable, "The process is stopping."));
    }
    let health = operations.check_ready(caller.as_ref()).await?;
    Ok(Json(Readiness {
        status: "ready",
        redis: health.map(RedisHealth::from),
    }))
}

/// Metrics
///
/// Prometheus text format: requests with latencies by route and status, latencies of scripts, errors
/// by code, messages sent, open connections, the process. For backends. With
/// `DUOLOGUE_METRICS_BIND` metrics are served on that address only, without a credential.
#[utoipa::path(tag = "operations", security(("bearer" = ["backend"])), responses(
    (status = 200, description = "All metrics.", body = String, content_type = "text/plain",
        example = json!("duologue_messages_sent_total 42\n")),
    ReadMetricsErrors,
))]
#[get("/metrics")]
pub async fn read_metrics(
    caller: Caller,
    _: NoInput,
    operations: Data<Operations>,
) -> Result<HttpResponse, Error> {
    operations.read_metrics(&caller).map(metrics_text)
}

/// `/metrics` on an address of its own, without a credential.
pub async fn metrics_alone(metrics: Data<Metrics>) -> HttpResponse {
    metrics_text(metrics.render())
}

fn metrics_text(metrics: String) -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/plain; version=0.0.4; charset=utf-8")
        .body(metrics)
}
