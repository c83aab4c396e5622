//! Reading `/metrics`.

use std::time::Duration;

use crate::harness::{TestApp, eventually};

/// The value of a series in `/metrics`; 0 if it is missing.
pub async fn metric(app: &TestApp, series: &str) -> f64 {
    let text = app.get("/metrics").await.text;
    let value = text
        .lines()
        .find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    value.map_or(0.0, |value| value.parse().unwrap())
}

/// Waits for a number of live connections.
pub async fn wait_for_listeners(app: &TestApp, number: u32, within: Duration) {
    let what = format!("{number} connections listen");
    let there =
        async || (metric(app, "duologue_live_connections").await - f64::from(number)).abs() < 0.5;
    eventually(&what, within, there).await;
}

/// Waits until a script has run this often.
pub async fn wait_for_script_runs(app: &TestApp, script: &str, times: u32, within: Duration) {
    let series = format!("duologue_script_duration_seconds_count{{script=\"{script}\"}}");
    let enough = async || metric(app, &series).await > f64::from(times) - 0.5;
    eventually(&format!("{script} ran {times} times"), within, enough).await;
}
