//! The dashboard and the alerts in `deploy` fit the metrics of a running service, and the page about them.

use std::collections::BTreeSet;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::source_tree::root;
use crate::harness::webhooks::Receiver;
use crate::harness::{TestApp, eventually, spawn_app, spawn_app_on};

const ALERTS: &str = "deploy/prometheus-alerts.yaml";
const DASHBOARD: &str = "deploy/grafana-dashboard.json";

/// Metrics of Prometheus itself and of the exporters that the alerts name.
const FOREIGN: [&str; 4] = [
    "up",
    "probe_success",
    "redis_memory_used_bytes",
    "redis_memory_max_bytes",
];

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap()
}

/// The rules of alerts.
fn rules() -> Vec<Value> {
    let file: Value = yaml_serde::from_str(&read(ALERTS)).unwrap();
    let groups = file["groups"].as_array().unwrap().iter();
    let rules = groups.flat_map(|group| group["rules"].as_array().unwrap().clone());
    rules.collect()
}

/// All texts with this name in a JSON value.
fn texts<'a>(value: &'a Value, name: &str, found: &mut Vec<&'a str>) {
    match value {
        Value::Object(members) => {
            for (member, value) in members {
                if member == name {
                    found.extend(value.as_str());
                }
                texts(value, name, found);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| texts(item, name, found)),
        _ => {}
    }
}

/// The metrics that an expression names.
fn metrics_in(expression: &str) -> BTreeSet<&str> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words = expression.split(|c| !is_name(c));
    let prefixes = ["duologue_", "process_", "redis_", "probe_"];
    let is_metric = |word: &&str| *word == "up" || prefixes.iter().any(|p| word.starts_with(p));
    words.filter(is_metric).collect()
}

/// The names of all series that a service serves.
async fn served(app: &TestApp) -> BTreeSet<String> {
    let text = app.get("/metrics").await.text;
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let names = lines.map(|line| line.split(['{', ' ']).next().unwrap().to_owned());
    names.collect()
}

#[tokio::test]
async fn the_dashboard_and_alerts_name_metrics_that_exist() {
    let (app, receiver) = (spawn_app(), Receiver::start());
    app.subscribe("archive", &json!({})).await;
    app.subscribe_webhook("hook", &receiver).await;
    app.send("alice", "bob", "hi").await;
    app.wait_until_taken("hook").await;
    // It measures subscriptions at once.
    let other = spawn_app_on(&app.redis_url);
    let measured = async || served(&other).await.contains("duologue_webhook_failing");
    eventually("webhooks are measured", Duration::from_secs(20), measured).await;
    let mut served = served(&other).await;
    served.extend(self::served(&app).await);

    let dashboard: Value = serde_json::from_str(&read(DASHBOARD)).unwrap();
    let mut expressions = Vec::new();
    for name in ["expr", "query"] {
        texts(&dashboard, name, &mut expressions);
    }
    let shown: BTreeSet<_> = expressions.iter().flat_map(|e| metrics_in(e)).collect();
    for metric in &shown {
        assert!(served.contains(*metric), "{DASHBOARD}: {metric}");
    }
    let of_histogram = ["_bucket", "_sum", "_count"];
    for metric in served.iter().filter(|name| name.starts_with("duologue_")) {
        let family = of_histogram.iter().find_map(|end| metric.strip_suffix(end));
        let is_shown = |name: &str| shown.iter().any(|shown| shown.starts_with(name));
        assert!(
            is_shown(family.unwrap_or(metric)),
            "{DASHBOARD} lacks {metric}"
        );
    }
    for rule in rules() {
        for metric in metrics_in(rule["expr"].as_str().unwrap()) {
            let exists = served.contains(metric) || FOREIGN.contains(&metric);
            assert!(exists, "{}: {metric}", rule["alert"]);
        }
    }
}

#[test]
fn each_alert_of_the_page_is_a_rule_and_the_reverse() {
    let page = read("docs/operations.md");
    let rows = page
        .lines()
        .filter_map(|line| line.strip_prefix("| `Duologue"));
    let documented: Vec<_> = rows.map(|row| row.split('`').next().unwrap()).collect();
    let rules = rules();
    let names = rules.iter().map(|rule| rule["alert"].as_str().unwrap());
    let mut names: Vec<_> = names.map(|name| &name["Duologue".len()..]).collect();
    let mut expected = documented.clone();
    names.sort_unstable();
    expected.sort_unstable();
    assert_eq!(names, expected);
    for rule in &rules {
        let text = ["summary", "description"].map(|name| &rule["annotations"][name]);
        assert!(text.iter().all(|text| text.is_string()), "{rule}");
        assert!(rule["labels"]["severity"].is_string(), "{rule}");
    }
}

/// Skipped where Prometheus is not installed.
#[test]
fn promtool_accepts_the_alerts() {
    let mut check = Command::new("promtool");
    let checked = check
        .args(["check", "rules"])
        .arg(root().join(ALERTS))
        .output();
    if let Ok(output) = checked {
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{text}");
    }
}
