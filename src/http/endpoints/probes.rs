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
use crate::operations::{MasterHealth, Operations};
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
    /// The masters of Redis: one, unless it is a cluster; for backends only.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    redis: Option<Vec<RedisHealth>>,
    /// The state of the archive, if there is one; for backends only.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    archive: Option<ArchiveHealth>,
}

/// The state of the archive, as the last calls of this process found it.
#[derive(Serialize, ToSchema)]
pub struct ArchiveHealth {
    /// One sentence for each thing that is wrong. Newer messages work nevertheless.
    warnings: Vec<String>,
}

/// The state of a master and its durability settings. Of a master that cannot be reached only the address and
/// the reason are known.
#[derive(Serialize, ToSchema)]
pub struct RedisHealth {
    /// `host:port`, or the path of a socket.
    #[schema(example = "10.0.0.3:6379")]
    address: String,
    /// The replication role: `master` accepts writes. `unreachable` if it does not answer.
    #[schema(example = "master")]
    role: String,
    /// The version of Redis, or the one that Valkey is compatible with.
    #[schema(example = "7.0.15", required = true)]
    version: Option<String>,
    /// How many replicas are connected.
    #[schema(example = 1, required = true)]
    replicas: Option<u64>,
    /// Whether an append-only file is written.
    #[schema(example = true, required = true)]
    appendonly: Option<bool>,
    /// When that file is flushed to disk: `always`, `everysec` or `no`; null if unknown.
    #[schema(example = "always", required = true)]
    appendfsync: Option<String>,
    /// The eviction policy for full memory. `noeviction` refuses new messages and keeps existing ones.
    #[schema(example = "noeviction", required = true)]
    maxmemory_policy: Option<String>,
    /// One sentence for each setting that can lose messages or delay a failover.
    warnings: Vec<String>,
}

impl From<MasterHealth> for RedisHealth {
    fn from(master: MasterHealth) -> Self {
        let warnings = master.warnings();
        let report = master.report.ok();
        let durability = report.as_ref().map(|report| report.durability.clone());
        let role = report.as_ref().map(|report| report.role.clone());
        Self {
            address: master.address,
            role: role.unwrap_or_else(|| "unreachable".to_owned()),
            replicas: report.as_ref().map(|report| report.replicas),
            version: report.map(|report| report.version),
            appendonly: durability.as_ref().map(|d| d.appendonly),
            appendfsync: durability.as_ref().and_then(|d| d.appendfsync.clone()),
            maxmemory_policy: durability.map(|d| d.maxmemory_policy),
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
/// backends also get the role, replicas and durability settings of each master of Redis. In a cluster the service
/// is ready although another master than that of the marker has failed.
#[utoipa::path(tag = "operations", security((), ("bearer" = ["backend"])), responses(
    (status = 200, description = "Ready to serve.", body = Readiness,
        example = json!({"status": "ready", "redis": [{"address": "redis.example.com:6379", "role": "master",
            "version": "7.0.15", "replicas": 0, "appendonly": true, "appendfsync": "always",
            "maxmemory_policy": "noeviction", "warnings": []}]})),
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
    let mut readiness = Readiness {
        status: "ready",
        redis: None,
        archive: None,
    };
    if let Some(health) = health {
        readiness.redis = Some(health.masters.into_iter().map(RedisHealth::from).collect());
        readiness.archive = health
            .archive_warnings
            .map(|warnings| ArchiveHealth { warnings });
    }
    Ok(Json(readiness))
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
