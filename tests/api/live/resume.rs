//! A client that was offline for a week is complete again after the events and the `GET`s that they
//! require.

use reqwest::Method;
use serde_json::json;

use crate::harness::http::raw_connection::{pipeline, post, request};
use crate::harness::live::connect_options::ConnectOptions;
use crate::harness::live::replica::Replica;
use crate::harness::rng::Rng;
use crate::harness::{TestApp, conversations::message_path, spawn_app};

const CONVERSATIONS: usize = 300;
const MESSAGES: usize = 10_000;
/// Number of connections that create the load of a week.
const WORKERS: usize = 4;

fn send_request(from: &str, to: &str, body: &str) -> Vec<u8> {
    post(json!({"from": from, "to": to, "body": body}).to_string())
}

/// The requests of one connection: each conversation in order, interleaved.
fn week_of_requests(worker: usize) -> Vec<Vec<u8>> {
    let (mut requests, mut rng) = (Vec::new(), Rng::new(worker as u64));
    let mut said = vec![0_u64; CONVERSATIONS];
    for _ in 0..MESSAGES / WORKERS {
        let conversation = rng.below(CONVERSATIONS / WORKERS) * WORKERS + worker;
        let peer = format!("peer-{conversation}");
        said[conversation] += 1;
        let seq = said[conversation];
        // Every fifth message is from bob, by another device.
        let (from, to) = if seq.is_multiple_of(5) {
            ("bob", &*peer)
        } else {
            (&*peer, "bob")
        };
        requests.push(send_request(from, to, &format!("{conversation}: {seq}")));
        let here = format!("/conversations/bob/{peer}");
        let own = |method, seq| {
            let body = json!({"body": "as it was meant"}).to_string();
            request(method, &message_path(from, to, seq), body)
        };
        let seq_of = json!({ "seq": seq }).to_string();
        match rng.below(40) {
            0 => requests.push(request("PUT", &format!("{here}/read"), &seq_of)),
            1 => requests.push(request("PUT", &format!("{here}/delivered"), &seq_of)),
            2 => requests.push(request("GET", &here, "")),
            3 => requests.push(request("POST", &format!("{here}/unread"), &seq_of)),
            4 => requests.push(own("PATCH", seq)),
            5 => requests.push(own("DELETE", seq)),
            6 => requests.push(request("PUT", &format!("{here}/mute"), "")),
            7 => {
                let there = format!("/conversations/{peer}/bob/read");
                requests.push(request("PUT", &there, &seq_of));
            }
            _ => (),
        }
    }
    requests
}

/// Clears, blocks and erases some peers at the end.
async fn clear_block_and_erase(app: &TestApp) {
    for n in 0..10 {
        let peer = |of: usize| format!("peer-{}", n * 20 + of);
        app.clear("bob", &peer(0)).await;
        app.clear(&peer(1), "bob").await;
        app.flag(Method::PUT, "bob", &peer(2), "block").await;
        app.flag(Method::PUT, &peer(3), "bob", "block").await;
    }
    for n in [4, 24] {
        let path = format!("/users/peer-{n}");
        let gone = app.request(Method::DELETE, &path).await.json(200);
        assert_eq!(gone["done"], true);
    }
}

/// Polls from the cursor of the replica to the end of the stream.
async fn poll_all(replica: &mut Replica, options: &ConnectOptions, limit: &str) -> usize {
    let mut polls = 0;
    loop {
        let query = [
            ("user", "bob"),
            ("after", &*replica.cursor),
            ("limit", limit),
        ];
        let answer = options.request("/events", &query).send().await.unwrap();
        let page: serde_json::Value = answer.json().await.unwrap();
        let events = page["events"].as_array().unwrap();
        let next = page["next_cursor"].as_str().unwrap();
        if events.is_empty() && next == replica.cursor {
            return polls;
        }
        polls += 1;
        for event in events {
            replica.process(event).await;
        }
        next.clone_into(&mut replica.cursor);
    }
}

#[tokio::test]
async fn a_week_of_ten_thousand_messages_is_rebuilt_from_events() {
    let app = spawn_app();
    for n in 0..20 {
        app.send(&format!("peer-{n}"), "bob", "before").await;
    }
    let options = ConnectOptions::new(&app.address);
    let mut returning = Replica::open(options.clone(), "bob").await;
    let mut polling = Replica::open(options.clone(), "bob").await;
    returning.disconnect();
    polling.disconnect();

    std::thread::scope(|scope| {
        for worker in 0..WORKERS {
            let address = &app.address;
            scope.spawn(move || {
                let requests = week_of_requests(worker);
                for (answer, asked) in pipeline(address, &requests).iter().zip(&requests) {
                    let asked = String::from_utf8_lossy(asked);
                    // An impossible command, like editing a deleted message, is refused.
                    let sent = !asked.starts_with("POST /messages") || answer.status == 201;
                    assert!(sent && answer.status < 500, "{asked}: {answer:?}");
                }
            });
        }
    });
    clear_block_and_erase(&app).await;

    returning.catch_up().await;
    returning.assert_matches_service().await;
    let changed = returning.event_counts["conversation.changed"];
    assert!(
        changed <= CONVERSATIONS + 200,
        "{:?}",
        returning.event_counts
    );
    let told: usize = returning.event_counts.values().sum();
    assert!(told <= CONVERSATIONS + 512, "{:?}", returning.event_counts);
    assert_eq!(returning.event_counts.get("reset"), None);
    assert!(returning.state.messages.len() >= CONVERSATIONS - 10);

    let polls = poll_all(&mut polling, &options, "7").await;
    polling.assert_matches_service().await;
    assert!(polls > CONVERSATIONS / 7, "{polls}");
    assert_eq!(returning.state, polling.state);

    // Later events arrive as usual.
    app.send("peer-7", "bob", "welcome back").await;
    app.send("peer-300", "bob", "hello, stranger").await;
    returning.catch_up().await;
    returning.assert_matches_service().await;
}
