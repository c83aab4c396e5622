//! The metrics of `/metrics` (Prometheus text format 0.0.4).

use std::collections::BTreeMap;

use prometheus::core::Collector;
use prometheus::{
    Encoder, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge,
    IntGaugeVec, Opts, Registry, TextEncoder,
};

use crate::error::Code;

/// Buckets of latencies, in seconds: from half a millisecond to 2.5 s, the time limit of a request.
const LATENCIES: &[f64] = &[
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
];
/// Buckets of the answers of webhooks, in seconds, up to their time limit.
const ANSWERS: &[f64] = &[0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0];
/// The outcomes of a request to a webhook.
const WEBHOOK_OUTCOMES: &[&str] = &[
    "taken",
    "refused",
    "limited",
    "gone",
    "timeout",
    "unreachable",
    "forbidden",
];

/// The metrics of one service. Not global, so that a test process can run several services.
pub struct Metrics {
    registry: Registry,
    requests: IntCounterVec,
    request_seconds: HistogramVec,
    script_seconds: HistogramVec,
    errors: IntCounterVec,
    worker_failures: IntCounterVec,
    redirects: IntCounterVec,
    inbox_updates: IntCounterVec,
    repairs: IntCounterVec,
    /// Lag, pending and lost events.
    subscriptions: [IntGaugeVec; 3],
    webhooks: WebhookMetrics,
    pub messages_sent: IntCounter,
    pub connections: IntGauge,
    pub live_connections: IntGauge,
    /// Maximum number of live connections.
    pub live_connections_limit: IntGauge,
    /// Events queued for live connections.
    pub events_delivered: IntCounter,
    /// Live connections closed because the client read too slowly.
    pub slow_consumers: IntCounter,
    /// Conversations whose inbox updates are not confirmed.
    pub outbox_entries: IntGauge,
    pub archive: ArchiveMetrics,
}

/// The metrics of the archive.
pub struct ArchiveMetrics {
    /// Messages that moved from Redis to the archive.
    pub messages: IntCounter,
    /// Objects written.
    pub segments: IntCounter,
    /// Conversations with messages that are to move.
    pub overdue: IntGauge,
    /// Objects read.
    pub fetches: IntCounter,
    pub cache_hits: IntCounter,
    failures: IntCounterVec,
}

impl ArchiveMetrics {
    fn new(registry: &Registry) -> Self {
        let counter = |name, help| register(registry, IntCounter::new(name, help));
        let failures = Opts::new(
            "duologue_archive_failures_total",
            "Calls of the archive that failed: unavailable, or damaged if an object is damaged or missing.",
        );
        Self {
            messages: counter(
                "duologue_archive_messages_total",
                "Messages that moved from Redis to the archive.",
            ),
            segments: counter(
                "duologue_archive_segments_total",
                "Objects written to the archive, for the first time or because a message in them changed.",
            ),
            overdue: register(
                registry,
                IntGauge::new(
                    "duologue_archive_overdue",
                    "Conversations with messages that are to move to the archive.",
                ),
            ),
            fetches: counter(
                "duologue_archive_fetches_total",
                "Objects read from the archive.",
            ),
            cache_hits: counter(
                "duologue_archive_cache_hits_total",
                "Reads of the archive that the memory of this process answered.",
            ),
            failures: register(registry, IntCounterVec::new(failures, &["kind"])),
        }
    }

    /// The counter of failures of one kind.
    pub fn failures(&self, kind: &str) -> IntCounter {
        self.failures.with_label_values(&[kind])
    }
}

impl Metrics {
    pub fn new() -> Self {
        let registry = Registry::new();
        register_process(&registry);
        let counter = |name, help| register(&registry, IntCounter::new(name, help));
        let gauge = |name, help| register(&registry, IntGauge::new(name, help));
        let counters = |name, help, labels: &[&str]| {
            register(&registry, IntCounterVec::new(Opts::new(name, help), labels))
        };
        let latencies = |name, help, label| {
            let opts = HistogramOpts::new(name, help).buckets(LATENCIES.to_vec());
            register(&registry, HistogramVec::new(opts, &[label]))
        };
        let metrics = Self {
            requests: counters(
                "duologue_http_requests_total",
                "HTTP requests answered.",
                &["method", "route", "status"],
            ),
            request_seconds: latencies(
                "duologue_http_request_duration_seconds",
                "Time from receiving a request's headers to sending the response's headers.",
                "route",
            ),
            script_seconds: latencies(
                "duologue_script_duration_seconds",
                "Time from calling a Lua script to its reply, queueing included.",
                "script",
            ),
            errors: counters(
                "duologue_errors_total",
                "Requests and WebSocket commands that failed, by error code.",
                &["code"],
            ),
            worker_failures: counters(
                "duologue_worker_failures_total",
                "Background workers that panicked or ended unexpectedly and were restarted.",
                &["worker"],
            ),
            redirects: counters(
                "duologue_redirects_total",
                "Calls that a node of a Redis Cluster redirected to another one.",
                &["kind"],
            ),
            inbox_updates: counters(
                "duologue_inbox_updates_total",
                "Updates of inboxes on a cluster: exact, gap, silent, stale or failed.",
                &["outcome"],
            ),
            repairs: counters(
                "duologue_repairs_total",
                "Conversations whose inboxes were updated again, on a cluster: repeated or touched.",
                &["kind"],
            ),
            subscriptions: [
                (
                    "duologue_subscription_lag",
                    "Events that a subscription has not given to a consumer yet.",
                ),
                (
                    "duologue_subscription_pending",
                    "Events that a consumer of a subscription has not acknowledged.",
                ),
                (
                    "duologue_subscription_lost",
                    "Events that were dropped before a subscription acknowledged them.",
                ),
            ]
            .map(|(name, help)| {
                let opts = Opts::new(name, help);
                register(&registry, IntGaugeVec::new(opts, &["subscription"]))
            }),
            webhooks: WebhookMetrics::new(&registry),
            outbox_entries: gauge(
                "duologue_outbox_entries",
                "Rooms whose events are not in all inboxes yet, and on a cluster conversations whose inbox updates are not confirmed.",
            ),
            archive: ArchiveMetrics::new(&registry),
            messages_sent: counter("duologue_messages_sent_total", "Messages accepted."),
            connections: gauge("duologue_http_connections", "Open HTTP connections."),
            live_connections: gauge(
                "duologue_live_connections",
                "Open WebSockets, event streams and waiting long polls.",
            ),
            live_connections_limit: gauge(
                "duologue_live_connections_limit",
                "Maximum number of live connections.",
            ),
            events_delivered: counter(
                "duologue_events_delivered_total",
                "Events queued for live connections.",
            ),
            slow_consumers: counter(
                "duologue_slow_consumers_total",
                "Live connections closed because the client read too slowly.",
            ),
            registry,
        };
        metrics.start_at_zero();
        metrics
    }

    /// Creates the series whose labels are known. An alert on the increase of a counter needs its value before the
    /// first increase.
    fn start_at_zero(&self) {
        for code in Code::ALL {
            self.errors.with_label_values(&[code.word()]);
        }
        for kind in ["moved", "ask"] {
            self.redirects.with_label_values(&[kind]);
        }
        for outcome in ["exact", "gap", "silent", "stale", "failed"] {
            self.inbox_updates.with_label_values(&[outcome]);
        }
        for kind in ["repeated", "touched"] {
            self.repairs.with_label_values(&[kind]);
        }
        for kind in ["unavailable", "damaged"] {
            self.archive.failures.with_label_values(&[kind]);
        }
    }

    /// Counts an answered request. `route` is the matched pattern, not the path, which bounds the
    /// number of series.
    pub fn request(&self, method: &str, route: &str, status: &str, seconds: f64) {
        self.requests
            .with_label_values(&[method, route, status])
            .inc();
        self.request_seconds
            .with_label_values(&[route])
            .observe(seconds);
    }

    /// Counts a failed request.
    pub fn error(&self, code: &str) {
        self.errors.with_label_values(&[code]).inc();
    }

    /// The failure counter of one background worker.
    pub fn worker_failures(&self, worker: &str) -> IntCounter {
        self.worker_failures.with_label_values(&[worker])
    }

    /// Counts a redirection by a node of a cluster: `moved` or `ask`.
    pub fn redirect(&self, kind: &str) {
        self.redirects.with_label_values(&[kind]).inc();
    }

    /// The counter of updates of inboxes with one outcome.
    pub fn inbox_updates(&self, outcome: &str) -> IntCounter {
        self.inbox_updates.with_label_values(&[outcome])
    }

    /// The counter of repairs of one kind.
    pub fn repairs(&self, kind: &str) -> IntCounter {
        self.repairs.with_label_values(&[kind])
    }

    /// The latency histogram of one script.
    pub fn script_seconds(&self, script: &str) -> Histogram {
        self.script_seconds.with_label_values(&[script])
    }

    /// Sets what each subscription has not read: lag, pending and lost events. The number of subscriptions is
    /// bounded, and so is that of the series.
    pub fn set_subscriptions(&self, backlogs: &BTreeMap<String, [u64; 3]>) {
        for (index, gauges) in self.subscriptions.iter().enumerate() {
            gauges.reset();
            for (name, counts) in backlogs {
                let count = i64::try_from(counts[index]).unwrap_or(i64::MAX);
                gauges.with_label_values(&[name]).set(count);
            }
        }
    }

    /// Sets the number of dead letters of each subscription with a webhook, and whether the webhook fails.
    pub fn set_webhooks(&self, webhooks: &BTreeMap<String, [u64; 2]>) {
        for (index, gauges) in self.webhooks.states.iter().enumerate() {
            gauges.reset();
            for (name, numbers) in webhooks {
                let number = i64::try_from(numbers[index]).unwrap_or(i64::MAX);
                gauges.with_label_values(&[name]).set(number);
            }
        }
    }

    /// Counts a request to the webhook of a subscription.
    pub fn webhook(&self, subscription: &str, outcome: &str, seconds: f64) {
        self.webhooks
            .requests
            .with_label_values(&[subscription, outcome])
            .inc();
        self.webhooks
            .seconds
            .with_label_values(&[subscription])
            .observe(seconds);
    }

    /// Removes the series of the webhook of a subscription that was deleted, so that their number is bounded.
    pub fn forget_webhook(&self, subscription: &str) {
        let WebhookMetrics {
            requests, seconds, ..
        } = &self.webhooks;
        for outcome in WEBHOOK_OUTCOMES {
            // It may not have this outcome.
            let _ = requests.remove_label_values(&[subscription, outcome]);
        }
        let _ = seconds.remove_label_values(&[subscription]);
    }

    /// All metrics in the text format.
    pub fn render(&self) -> String {
        let mut text = Vec::new();
        // Cannot fail: it writes to memory, and names were checked at registration.
        let _ = TextEncoder::new().encode(&self.registry.gather(), &mut text);
        String::from_utf8(text).unwrap_or_default()
    }
}

/// The metrics of webhooks, by subscription.
struct WebhookMetrics {
    /// Dead letters, and whether the endpoint fails.
    states: [IntGaugeVec; 2],
    requests: IntCounterVec,
    seconds: HistogramVec,
}

impl WebhookMetrics {
    fn new(registry: &Registry) -> Self {
        let state = |name: &str, help: &str| {
            let gauges = IntGaugeVec::new(Opts::new(name, help), &["subscription"]);
            register(registry, gauges)
        };
        let requests = Opts::new(
            "duologue_webhook_requests_total",
            "Requests to webhooks of this process: taken, refused, limited, gone, timeout, unreachable or forbidden.",
        );
        let seconds = HistogramOpts::new(
            "duologue_webhook_request_duration_seconds",
            "Time from sending a request to a webhook to its answer.",
        );
        let seconds = seconds.buckets(ANSWERS.to_vec());
        Self {
            states: [
                state(
                    "duologue_webhook_dead_letters",
                    "Events that the webhook of a subscription did not take.",
                ),
                state(
                    "duologue_webhook_failing",
                    "Whether the webhook of a subscription does not take events, 1 or 0.",
                ),
            ],
            requests: register(
                registry,
                IntCounterVec::new(requests, &["subscription", "outcome"]),
            ),
            seconds: register(registry, HistogramVec::new(seconds, &["subscription"])),
        }
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

/// Why registering a metric cannot fail. If it did, every test would fail.
const INVALID: &str = "metric names are valid and unique";

fn register<M: Collector + Clone + 'static>(
    registry: &Registry,
    metric: prometheus::Result<M>,
) -> M {
    let metric = metric.expect(INVALID);
    registry.register(Box::new(metric.clone())).expect(INVALID);
    metric
}

/// The version of this process and, on Linux, its memory, processor time and file descriptors.
fn register_process(registry: &Registry) {
    let version = Opts::new(
        "duologue_build_info",
        "Always 1. The label `version` is the version of the service.",
    );
    let version = version.const_label("version", env!("CARGO_PKG_VERSION"));
    register(registry, IntGauge::with_opts(version)).set(1);
    #[cfg(target_os = "linux")]
    {
        let process = prometheus::process_collector::ProcessCollector::for_self();
        registry.register(Box::new(process)).expect(INVALID);
    }
}
