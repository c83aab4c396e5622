//! Lines to import, and the request that imports them.

use serde_json::{Value, json};

use crate::harness::TestApp;
use crate::harness::http::response::ApiResponse;

pub fn line(from: &str, to: &str, body: &str, minute: usize) -> Value {
    let sent_at = format!("2019-01-31T{:02}:{:02}:00Z", minute / 60, minute % 60);
    json!({"from": from, "to": to, "body": body, "sent_at": sent_at})
}

pub fn lines(count: usize) -> Vec<Value> {
    let people = [("alice", "bob"), ("bob", "alice"), ("carol", "alice")];
    let line = |n: usize| line(people[n % 3].0, people[n % 3].1, &format!("message {n}"), n);
    (0..count).map(line).collect()
}

pub fn ndjson<'a>(lines: impl Iterator<Item = &'a Value>) -> String {
    let lines: Vec<_> = lines.map(Value::to_string).collect();
    lines.join("\n") + "\n"
}

pub async fn import(app: &TestApp, lines: &[Value]) -> ApiResponse {
    let text = ndjson(lines.iter());
    let headers = [("content-type", "application/x-ndjson")];
    app.call_text("POST", "/messages/batch", &headers, text)
        .await
}
