//! What a resuming client receives, by WebSocket, event stream and polling.

use serde_json::{Value, json};

use crate::harness::TestApp;
use crate::harness::http::raw_connection::{pipeline, post};
use crate::harness::live::device::Device;
use crate::harness::live::event_stream::EventStream;

/// Polls one page of events after a cursor.
pub async fn page(app: &TestApp, user: &str, after: &str, limit: usize) -> Value {
    let path = format!("/events?user={user}&cursor={after}&limit={limit}");
    app.get(&path).await.json(200)
}

/// The current cursor of a user. From now on the user has a journal.
pub async fn place(app: &TestApp, user: &str) -> String {
    let page = app.get(&format!("/events?user={user}")).await.json(200);
    assert_eq!(
        page["events"],
        json!([]),
        "without a cursor there are no earlier events"
    );
    page["next_cursor"].as_str().unwrap().to_owned()
}

/// The cursor of an event.
pub fn cursor(event: &Value) -> String {
    event["cursor"].as_str().unwrap().to_owned()
}

/// The type of each event.
pub fn kinds(events: &[Value]) -> Vec<&str> {
    let kinds = events.iter().map(|event| event["type"].as_str().unwrap());
    kinds.collect()
}

/// The body of the message of each event.
pub fn bodies(events: &[Value]) -> Vec<&str> {
    let bodies = events.iter().map(|event| event["message"]["body"].as_str());
    bodies.map(Option::unwrap_or_default).collect()
}

/// All events after a cursor, polled page by page with these limits in turn.
pub async fn polled(app: &TestApp, user: &str, after: &str, limits: &[usize]) -> Vec<Value> {
    let (mut events, mut after) = (Vec::new(), after.to_owned());
    for limit in limits.iter().cycle() {
        let page = page(app, user, &after, *limit).await;
        let some = page["events"].as_array().unwrap();
        assert!(some.len() <= *limit, "{} of {limit}", some.len());
        let next = page["next_cursor"].as_str().unwrap();
        if next == after {
            assert!(some.is_empty(), "each event has a cursor of its own");
            return events;
        }
        next.clone_into(&mut after);
        // A part of a large inbox in which nothing changed is a page without events.
        let last = some.last().map(cursor);
        assert!(last.is_none_or(|last| last == after));
        events.extend(some.iter().cloned());
    }
    unreachable!("limits is empty")
}

/// All events after a cursor, which must be the same on each of the three transports.
pub async fn resumed(app: &TestApp, user: &str, after: &str) -> Vec<Value> {
    let events = polled(app, user, after, &[200]).await;
    let mut device = Device::connect_at(app, user, after).await;
    let mut stream = EventStream::open(app, user, Some(after)).await;
    for hello in [&device.hello, &stream.hello] {
        assert_eq!(hello["cursor"], after, "the client's own cursor");
    }
    for event in &events {
        assert_eq!(&device.next().await, event);
        assert_eq!(&stream.next().await, event);
        assert_eq!(stream.last_id, cursor(event));
    }
    // The next event follows the last one without a gap.
    app.send("resumed", user, "next").await;
    for next in [device.next().await, stream.next().await] {
        assert_eq!(next["message"]["body"], "next");
        let last = events.last().map_or(after.to_owned(), cursor);
        assert_eq!(next["prev"], last);
    }
    events
}

/// Sends numbered messages, pipelined; the body is the number.
pub fn fill(app: &TestApp, from: &str, to: &str, numbers: std::ops::Range<usize>) {
    let message =
        |n: usize| post(json!({"from": from, "to": to, "body": n.to_string()}).to_string());
    let requests: Vec<_> = numbers.map(message).collect();
    for answer in pipeline(&app.address, &requests) {
        assert_eq!(answer.status, 201, "{answer:?}");
    }
}
