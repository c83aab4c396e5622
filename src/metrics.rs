//! What `/metrics` tells (Prometheus text format 0.0.4).

use prometheus::{
    Encoder, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts,
    Registry, TextEncoder,
};

/// Buckets of latencies, in seconds: from half a millisecond to the 2.5 s no request exceeds.
const LATENCIES: &[f64] = &[
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
];

/// All metrics of one service. Not global, so that several services live in one test process.
pub struct Metrics {
    registry: Registry,
    requests: IntCounterVec,
    request_seconds: HistogramVec,
    script_seconds: HistogramVec,
    errors: IntCounterVec,
    worker_failures: IntCounterVec,
    /// Messages accepted.
    pub messages_sent: IntCounter,
    /// HTTP connections that are open now.
    pub connections: IntGauge,
    /// Connections that listen to a user's stream now.
    pub live_connections: IntGauge,
    /// Events given to connections that listen.
    pub events_delivered: IntCounter,
    /// Connections that were cut because too much waited for them.
    pub slow_consumers: IntCounter,
}

impl Metrics {
    /// Fresh metrics, all zero.
    ///
    /// # Panics
    /// If two metrics bore one name, which a test would see.
    #[allow(clippy::new_without_default, clippy::unwrap_used)]
    pub fn new() -> Self {
        let registry = Registry::new();
        let counters = |name, help, labels: &[&str]| {
            let counters = IntCounterVec::new(Opts::new(name, help), labels).unwrap();
            registry.register(Box::new(counters.clone())).unwrap();
            counters
        };
        let histograms = |name, help, label| {
            let opts = HistogramOpts::new(name, help).buckets(LATENCIES.to_vec());
            let histograms = HistogramVec::new(opts, &[label]).unwrap();
            registry.register(Box::new(histograms.clone())).unwrap();
            histograms
        };
        let counter = |name, help| {
            let counter = IntCounter::new(name, help).unwrap();
            registry.register(Box::new(counter.clone())).unwrap();
            counter
        };
        let gauge = |opts| {
            let gauge = IntGauge::with_opts(opts).unwrap();
            registry.register(Box::new(gauge.clone())).unwrap();
            gauge
        };
        let requests = counters(
            "duologue_http_requests_total",
            "HTTP requests answered.",
            &["method", "route", "status"],
        );
        let request_seconds = histograms(
            "duologue_http_request_duration_seconds",
            "From a request's headers to its answer's.",
            "route",
        );
        let script_seconds = histograms(
            "duologue_script_duration_seconds",
            "From the call of a script to its reply, waiting included.",
            "script",
        );
        let errors = counters("duologue_errors_total", "Requests that failed.", &["code"]);
        let worker_failures = counters(
            "duologue_worker_failures_total",
            "Background workers that panicked or ended unexpectedly and were started again.",
            &["worker"],
        );
        let messages_sent = counter("duologue_messages_sent_total", "Messages accepted.");
        let connections = gauge(Opts::new(
            "duologue_http_connections",
            "HTTP connections open now.",
        ));
        let live_connections = gauge(Opts::new(
            "duologue_live_connections",
            "WebSockets, event streams and waiting polls open now.",
        ));
        let events_delivered = counter(
            "duologue_events_delivered_total",
            "Events given to connections.",
        );
        let slow_consumers = counter(
            "duologue_slow_consumers_total",
            "Connections cut because too much waited for them.",
        );
        let version = Opts::new(
            "duologue_build_info",
            "Always 1; the label tells the version.",
        );
        gauge(version.const_label("version", env!("CARGO_PKG_VERSION"))).set(1);
        #[cfg(target_os = "linux")]
        {
            let process = prometheus::process_collector::ProcessCollector::for_self();
            registry.register(Box::new(process)).unwrap();
        }
        Self {
            registry,
            requests,
            request_seconds,
            script_seconds,
            errors,
            worker_failures,
            messages_sent,
            connections,
            live_connections,
            events_delivered,
            slow_consumers,
        }
    }

    /// Counts an answered request. `route` is the pattern that matched, not the path, so that the
    /// number of series is bounded.
    pub fn request(&self, method: &str, route: &str, status: &str, seconds: f64) {
        self.requests
            .with_label_values(&[method, route, status])
            .inc();
        self.request_seconds
            .with_label_values(&[route])
            .observe(seconds);
    }

    /// Counts a failed request by its code.
    pub fn error(&self, code: &str) {
        self.errors.with_label_values(&[code]).inc();
    }

    /// The failures of one background worker.
    pub fn worker_failures(&self, worker: &str) -> IntCounter {
        self.worker_failures.with_label_values(&[worker])
    }

    /// The latencies of one script.
    pub fn script_seconds(&self, script: &str) -> Histogram {
        self.script_seconds.with_label_values(&[script])
    }

    /// Everything, as Prometheus scrapes it.
    pub fn render(&self) -> String {
        let mut text = Vec::new();
        // Writing into memory, of metrics whose names were checked at registration.
        let _ = TextEncoder::new().encode(&self.registry.gather(), &mut text);
        String::from_utf8(text).unwrap_or_default()
    }
}
