//! Server-sent events, as a browser's `EventSource` receives them.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::auth::secured_app::{SERVICE_KEY, spawn_secured_app_with, token, token_until};
use crate::harness::http::response::ApiResponse;
use crate::harness::live::connect_options::ConnectOptions;
use crate::harness::live::device::Received;
use crate::harness::live::event_stream::EventStream;
use crate::harness::metrics::wait_for_listeners;
use crate::harness::store::redis_server::RedisServer;
use crate::harness::{TestApp, spawn_app, spawn_app_on, spawn_app_with};

fn text<'a>(event: &'a Value, name: &str) -> &'a str {
    event[name].as_str().unwrap_or_default()
}

fn options(app: &TestApp, user: &str) -> ConnectOptions {
    ConnectOptions::new(&app.address).user(user)
}

/// The remaining events of a stream that ends.
async fn rest(stream: &mut EventStream) -> Vec<Value> {
    let mut events = Vec::new();
    loop {
        match stream.receive(Duration::from_secs(20)).await {
            Received::Frame(event) => events.push(event),
            Received::Closed(1000, _) => return events,
            other => panic!("no end, after {events:?}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_stream_begins_with_hello_and_uses_cursors_as_event_ids() {
    let app = spawn_app();
    app.send("alice", "bob", "before").await;
    let mut stream = EventStream::open(&app, "bob", None).await;
    assert_eq!(stream.hello["user"], "bob");
    assert_eq!(stream.hello["total_unread_count"], 1);
    assert_eq!(stream.hello["heartbeat_s"], 25);
    assert_eq!(stream.last_id, text(&stream.hello, "cursor"));
    let mut prev = stream.hello["cursor"].clone();
    for body in ["one", "two", "line\nbreak \"and\" quotes 語"] {
        app.send("alice", "bob", body).await;
        let event = stream.next().await;
        assert_eq!(event["message"]["body"], body);
        assert_eq!(event["prev"], prev);
        assert_eq!(stream.last_id, text(&event, "cursor"));
        prev = event["cursor"].clone();
    }
    // An event outside the journal has the cursor of the event before it.
    app.request(Method::POST, "/conversations/alice/bob/typing")
        .await;
    let typing = stream.next().await;
    assert_eq!(
        typing,
        json!({"type": "typing", "cursor": prev, "peer": "alice"})
    );
    assert_eq!(stream.last_id, prev.as_str().unwrap());
}

#[tokio::test]
async fn a_comment_comes_every_heartbeat() {
    let app = spawn_app_with(&["--heartbeat=1"]);
    let mut stream = EventStream::open(&app, "bob", None).await;
    assert_eq!(stream.hello["heartbeat_s"], 1);
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    while stream.comments.len() < 3 {
        let received = stream.receive(Duration::from_millis(500)).await;
        assert!(matches!(received, Received::Nothing), "{received:?}");
        assert!(tokio::time::Instant::now() < deadline, "no heartbeat");
    }
    assert!(stream.retry.is_some_and(|ms| (1000..4000).contains(&ms)));
    // A stream cannot answer pings and must not be closed for that.
    app.send("alice", "bob", "still there").await;
    assert_eq!(stream.next().await["message"]["body"], "still there");
}

#[tokio::test]
async fn last_event_id_takes_precedence_over_the_query() {
    let app = spawn_app();
    let begin = EventStream::open(&app, "bob", None).await.last_id;
    let mut stream = EventStream::open(&app, "bob", None).await;
    let mut cursors = Vec::new();
    for body in ["one", "two", "three"] {
        app.send("alice", "bob", body).await;
        cursors.push(text(&stream.next().await, "cursor").to_owned());
    }
    let next = async |id: Option<&str>, after: Option<&str>| {
        let mut options = options(&app, "bob");
        if let Some(id) = id {
            options = options.header("last-event-id", id);
        }
        if let Some(after) = after {
            options = options.query("cursor", after);
        }
        let mut stream = EventStream::try_open(&options).await?;
        let event = stream.next().await;
        Ok::<_, ApiResponse>(text(&event["message"], "body").to_owned())
    };
    assert_eq!(next(Some(&cursors[0]), None).await.unwrap(), "two");
    assert_eq!(next(None, Some(&cursors[1])).await.unwrap(), "three");
    assert_eq!(
        next(Some(&cursors[1]), Some(&begin)).await.unwrap(),
        "three"
    );
    // A browser without a last event id sends no header (HTML Living Standard, section 9.2.3), but
    // other clients send an empty one.
    assert_eq!(next(Some(""), Some(&cursors[1])).await.unwrap(), "three");
    let refused = next(Some("yesterday"), Some(&begin)).await.unwrap_err();
    assert_eq!(refused.status, 400);
    refused.invalid_field("/header/last-event-id");
    let refused = next(None, Some("7")).await.unwrap_err();
    refused.invalid_field("/query/cursor");
}

#[tokio::test]
async fn the_accept_header_selects_stream_or_poll() {
    let app = spawn_app();
    let asked = async |accept: &str| {
        let request = options(&app, "bob").request("/events", &[]);
        let answer = request.header("accept", accept).send().await.unwrap();
        answer.headers()["content-type"]
            .to_str()
            .unwrap()
            .to_owned()
    };
    let stream = "text/event-stream";
    for accept in [stream, "Text/Event-Stream", "text/event-stream;q=0.9, */*"] {
        assert_eq!(
            asked(accept).await,
            "text/event-stream; charset=utf-8",
            "{accept}"
        );
    }
    for accept in ["*/*", "application/json", "text/*"] {
        assert_eq!(asked(accept).await, "application/json", "{accept}");
    }
    let request = options(&app, "bob").request("/events", &[]);
    let answer = request.header("accept", stream).send().await.unwrap();
    assert_eq!(answer.headers()["cache-control"], "no-store");
    assert_eq!(answer.headers()["x-accel-buffering"], "no");
}

#[tokio::test]
async fn a_stream_states_why_it_closes() {
    let app = spawn_secured_app_with(&[]);
    let ended = async |credential: &str| {
        let options = ConnectOptions::new(&app.address).bearer(credential);
        let mut stream = EventStream::try_open(&options).await.unwrap();
        rest(&mut stream).await
    };
    let token_end = json!({"type": "close", "reason": "token_expired"});
    // The leeway is 30 s.
    assert_eq!(ended(&token_until("alice", -25)).await, [token_end]);

    let redis = RedisServer::volatile();
    let (one, other) = (spawn_app_on(&redis.url()), spawn_app_on(&redis.url()));
    let mut stream = EventStream::open(&one, "bob", None).await;
    other.send("alice", "bob", "before").await;
    let before = stream.next().await;
    let stopping = tokio::task::spawn_blocking(move || drop(one));
    let restart = json!({"type": "close", "reason": "restart"});
    assert_eq!(rest(&mut stream).await, [restart]);
    assert_eq!(
        stream.last_id,
        text(&before, "cursor"),
        "an end is no place"
    );
    stopping.await.unwrap();
    other.send("alice", "bob", "after").await;
    let mut stream = EventStream::open(&other, "bob", Some(&stream.last_id)).await;
    assert_eq!(stream.next().await["message"]["body"], "after");
}

#[tokio::test]
async fn a_stream_requires_its_users_credential_and_takes_a_slot() {
    let app = spawn_secured_app_with(&["--connections-per-user=1"]);
    let open = async |options: ConnectOptions| EventStream::try_open(&options).await;
    let options = || ConnectOptions::new(&app.address);
    let refused = open(options()).await.err().unwrap();
    refused.problem(401, "UNAUTHENTICATED");
    let refused = open(options().bearer(&token("alice")).user("bob")).await;
    refused.err().unwrap().problem(403, "FORBIDDEN");
    let refused = open(options().bearer(SERVICE_KEY)).await.err().unwrap();
    refused.invalid_field("/query/user");
    let stream = open(options().bearer(SERVICE_KEY).user("bob"))
        .await
        .unwrap();
    assert_eq!(stream.hello["user"], "bob");
    let mut stream = stream;
    let newer = open(options().bearer(&token("bob"))).await.unwrap();
    let replaced = json!({"type": "close", "reason": "replaced"});
    assert_eq!(rest(&mut stream).await, [replaced]);
    assert_eq!(newer.hello["user"], "bob");
}

#[tokio::test]
async fn a_disconnected_stream_is_noticed() {
    let app = spawn_app_with(&["--heartbeat=1", "--connections-per-user=1"]);
    for _ in 0..2 {
        let stream = EventStream::open(&app, "bob", None).await;
        wait_for_listeners(&app, 1, Duration::from_secs(5)).await;
        drop(stream);
        wait_for_listeners(&app, 0, Duration::from_secs(10)).await;
    }
}
