//! Polling: the events of a user page by page, for backends and scripts.

use std::collections::BTreeSet;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::harness::auth::secured_app::{spawn_secured_app_with, token};
use crate::harness::live::device::Device;
use crate::harness::metrics::{wait_for_listeners, wait_for_script_runs};
use crate::harness::{TestApp, spawn_app, spawn_app_with};

async fn poll(app: &TestApp, query: &str) -> Value {
    app.get(&format!("/events?{query}")).await.json(200)
}

fn next_cursor(page: &Value) -> String {
    page["next_cursor"].as_str().unwrap().to_owned()
}

fn bodies(page: &Value) -> Vec<&str> {
    let events = page["events"].as_array().unwrap().iter();
    let bodies = events.map(|event| event["message"]["body"].as_str());
    bodies.map(Option::unwrap_or_default).collect()
}

#[tokio::test]
async fn a_poll_without_a_cursor_starts_at_the_present() {
    let app = spawn_app();
    app.send("alice", "bob", "before").await;
    let first = poll(&app, "user=bob").await;
    assert_eq!(first["events"], json!([]));
    for body in ["one", "two", "three"] {
        app.send("alice", "bob", body).await;
    }
    let query = format!("user=bob&limit=2&after={}", next_cursor(&first));
    let second = poll(&app, &query).await;
    assert_eq!(bodies(&second), ["one", "two"]);
    assert_eq!(second["events"][0]["prev"], first["next_cursor"]);
    assert_eq!(second["events"][1]["cursor"], second["next_cursor"]);
    let query = format!("user=bob&limit=2&after={}", next_cursor(&second));
    let third = poll(&app, &query).await;
    assert_eq!(bodies(&third), ["three"]);
    let query = format!("user=bob&after={}", next_cursor(&third));
    let last = poll(&app, &query).await;
    assert_eq!(
        last,
        json!({"events": [], "next_cursor": third["next_cursor"]})
    );
    // The default limit is 50.
    for n in 0..51 {
        app.send("alice", "bob", &n.to_string()).await;
    }
    assert_eq!(bodies(&poll(&app, &query).await).len(), 50);
}

#[tokio::test]
async fn a_waiting_poll_returns_as_soon_as_an_event_arrives() {
    let app = spawn_app();
    let place = next_cursor(&poll(&app, "user=bob").await);
    for (query, body) in [
        ("user=bob&wait=30".to_owned(), "one"),
        (format!("user=bob&wait=30&after={place}"), "two"),
    ] {
        let begun = Instant::now();
        let sent = async {
            // Existing events are returned without waiting, so the poll must wait before the send;
            // without a cursor the stream starts when it opens, which is after it is counted as a
            // connection.
            if body == "one" {
                wait_for_listeners(&app, 1, Duration::from_secs(10)).await;
                wait_for_script_runs(&app, "open_stream", 2, Duration::from_secs(10)).await;
            }
            app.send("alice", "bob", body).await
        };
        let (page, sent) = tokio::join!(poll(&app, &query), sent);
        assert!(begun.elapsed() < Duration::from_secs(15), "{query}");
        let last = page["events"].as_array().unwrap().last().unwrap();
        if body == "one" {
            assert_eq!(last["message"], sent);
        }
    }
}

#[tokio::test]
async fn a_poll_waits_no_longer_than_requested() {
    let app = spawn_app();
    app.send("alice", "bob", "before").await;
    let place = next_cursor(&poll(&app, "user=bob").await);
    let query = format!("user=bob&wait=2&after={place}");
    let begun = Instant::now();
    let (page, ()) = tokio::join!(poll(&app, &query), async {
        // Neither event is kept in the journal, so neither ends the wait.
        wait_for_listeners(&app, 1, Duration::from_secs(10)).await;
        let typing = app.request(Method::POST, "/conversations/alice/bob/typing");
        assert_eq!(typing.await.status, 204);
        Device::connect(&app, "alice").await;
    });
    assert!(begun.elapsed() >= Duration::from_secs(2));
    assert_eq!(page, json!({"events": [], "next_cursor": place}));
    app.send("alice", "bob", "after").await;
    let page = poll(&app, &query).await;
    assert_eq!(bodies(&page), ["after"], "typing is in no poll");
    let begun = Instant::now();
    poll(&app, &format!("user=bob&after={}", next_cursor(&page))).await;
    assert!(begun.elapsed() < Duration::from_secs(2), "not told to wait");
}

#[tokio::test]
async fn successive_polls_return_every_event_exactly_once() {
    const SENDERS: usize = 4;
    const EACH: usize = 60;
    let app = spawn_app();
    let mut after = next_cursor(&poll(&app, "user=bob").await);
    let senders = (0..SENDERS).map(|sender| {
        let app = &app;
        async move {
            for n in 0..EACH {
                let from = format!("sender-{sender}");
                app.send(&from, "bob", &format!("{sender}-{n}")).await;
            }
        }
    });
    let polls = async {
        let mut seen = Vec::new();
        for limit in (1..=5).cycle() {
            let query = format!("user=bob&wait=30&limit={limit}&after={after}");
            let page = poll(&app, &query).await;
            for event in page["events"].as_array().unwrap() {
                assert_eq!(event["prev"], after, "dense");
                after = event["cursor"].as_str().unwrap().to_owned();
                seen.push(event["message"]["body"].as_str().unwrap().to_owned());
            }
            assert_eq!(next_cursor(&page), after);
            if seen.len() >= SENDERS * EACH {
                return seen;
            }
        }
        unreachable!("the limits never end")
    };
    let (seen, _) = tokio::join!(polls, futures_util::future::join_all(senders));
    assert_eq!(seen.len(), SENDERS * EACH);
    let different: BTreeSet<_> = seen.iter().collect();
    assert_eq!(different.len(), seen.len(), "each once");
    let own = |sender: usize| {
        let begin = format!("{sender}-");
        let of_sender = seen.iter().filter(move |body| body.starts_with(&begin));
        of_sender.cloned().collect::<Vec<_>>()
    };
    for sender in 0..SENDERS {
        let order: Vec<_> = (0..EACH).map(|n| format!("{sender}-{n}")).collect();
        assert_eq!(own(sender), order);
    }
}

#[tokio::test]
async fn an_invalid_poll_names_the_field() {
    let app = spawn_app();
    for (query, pointer) in [
        ("", "/query/user"),
        ("user=bo%20b", "/query/user"),
        ("user=bob&after=7", "/query/after"),
        ("user=bob&cursor=7", "/query/cursor"),
        ("user=bob&cursor=", "/query/cursor"),
        ("user=bob&cursor=1-2-3", "/query/cursor"),
        ("user=bob&cursor=-1-2", "/query/cursor"),
        ("user=bob&cursor=1-%2B2", "/query/cursor"),
        ("user=bob&cursor=1-2~", "/query/cursor"),
        ("user=bob&cursor=1-2~3-4-5", "/query/cursor"),
        ("user=bob&cursor=1-2~3-4-5-ABCDEF01", "/query/cursor"),
        ("user=bob&cursor=1-2~3-4-5-abcdef012", "/query/cursor"),
        ("user=bob&cursor=1-2~-1-4-5-abcdef01", "/query/cursor"),
        ("user=bob&cursor=10000000000000000-1", "/query/cursor"),
        ("user=bob&limit=0", "/query/limit"),
        ("user=bob&limit=201", "/query/limit"),
        ("user=bob&limit=many", "/query/limit"),
        ("user=bob&wait=31", "/query/wait"),
        ("user=bob&wait=-1", "/query/wait"),
        ("user=bob&wait=1.5", "/query/wait"),
        ("user=bob&cursor=1-2&cursor=1-2", "/query/cursor"),
        ("user=bob&cursor=1-2&after=1-2", "/query/cursor"),
    ] {
        let refused = app.get(&format!("/events?{query}")).await;
        assert_eq!(refused.status, 400, "{query}");
        refused.invalid_field(pointer);
    }
}

#[tokio::test]
async fn a_waiting_poll_uses_a_connection_slot_but_no_presence() {
    let app = spawn_app_with(&["--connections-per-user=1"]);
    let (page, ()) = tokio::join!(poll(&app, "user=bob&wait=30"), async {
        wait_for_listeners(&app, 1, Duration::from_secs(10)).await;
        poll(&app, "user=bob").await;
        let presence = app.get("/users/bob/presence").await.json(200);
        assert_eq!(presence["online"], false);
        app.send("alice", "bob", "hi").await;
    });
    assert_eq!(bodies(&page), ["hi"]);
    wait_for_listeners(&app, 0, Duration::from_secs(10)).await;
}

#[tokio::test]
async fn a_user_polls_only_its_own_stream() {
    let app = spawn_secured_app_with(&[]);
    app.get("/events").await.problem(401, "UNAUTHENTICATED");
    let alice = token("alice");
    let own = app.get_as(&alice, "/events").await.json(200);
    assert_eq!(own["events"], json!([]));
    let other = app.get_as(&alice, "/events?user=bob").await;
    other.problem(403, "FORBIDDEN");
    // The cursor of another user gives no access either.
    let path = format!("/events?after={}", next_cursor(&own));
    let told = app.get_as(&token("bob"), &path).await.json(200);
    assert_eq!(told["events"][0]["type"], "reset");
}
