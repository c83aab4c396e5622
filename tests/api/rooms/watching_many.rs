//! Many watchers, slow ones, and Redis failures.

use std::time::Duration;

use futures_util::{StreamExt, stream};
use redis::cmd;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::harness::auth::secured_app::{SERVICE_KEY, spawn_secured_app, token, token_until};
use crate::harness::http::calls::By;
use crate::harness::http::raw_connection::{pipeline, post};
use crate::harness::live::connect_options::ConnectOptions;
use crate::harness::live::device::Device;
use crate::harness::live::raw_socket::{connect_raw, masked, read_frame, read_text};
use crate::harness::live::resume::bodies;
use crate::harness::live::watcher::watcher;
use crate::harness::load_generator::LoadGenerator;
use crate::harness::metrics::metric;
use crate::harness::store::redis_server::RedisServer;
use crate::harness::store::rooms::keys_of_room;
use crate::harness::{eventually, spawn_app, spawn_app_on};

const WATCHERS: usize = 1000;
const MESSAGES: usize = 10;

/// How often Redis has executed a command.
fn calls(redis: &RedisServer, command: &str) -> u64 {
    let mut info = cmd("INFO");
    let info: String = info
        .arg("commandstats")
        .query(&mut redis.connect())
        .unwrap();
    let prefix = format!("cmdstat_{command}:calls=");
    let line = info.lines().find_map(|line| line.strip_prefix(&prefix));
    let number = line.and_then(|rest| rest.split(',').next());
    number.map_or(0, |number| number.parse().unwrap())
}

/// How often events were published. The processes also publish to themselves, to check their subscriptions, each time
/// after asking who listens.
fn published(redis: &RedisServer) -> u64 {
    let asked = calls(redis, "pubsub|shardnumsub");
    calls(redis, "spublish").saturating_sub(asked)
}

/// How many processes subscribe to the events of the room.
fn subscribers(redis: &RedisServer) -> u64 {
    let [_, _, _, events, ..] = keys_of_room("general");
    let mut command = cmd("PUBSUB");
    let command = command.arg("SHARDNUMSUB").arg(events);
    let (_, number): (String, u64) = command.query(&mut redis.connect()).unwrap();
    number
}

#[tokio::test]
async fn a_thousand_watchers_of_two_services_cost_one_publish() {
    let redis = RedisServer::volatile();
    let apps = [spawn_app_on(&redis.url()), spawn_app_on(&redis.url())];
    apps[0].open_room("general", &["alice"]).await;
    let opening = (0..WATCHERS).map(|number| {
        let app = &apps[number % 2];
        async move { watcher(app, &format!("watcher-{number}"), "general").await }
    });
    let mut watchers: Vec<_> = stream::iter(opening).buffered(20).collect().await;
    let before = published(&redis);
    for number in 0..MESSAGES {
        let app = &apps[number % 2];
        app.send("alice", "room:general", &number.to_string()).await;
    }
    let once = async || published(&redis) - before == MESSAGES as u64;
    eventually("one publish a message", Duration::from_secs(10), once).await;
    let expected: Vec<_> = (0..MESSAGES).map(|number| number.to_string()).collect();
    for (device, start) in &mut watchers {
        let last = expected.last().unwrap();
        let events = device.room_events_until(start, last).await;
        assert_eq!(bodies(&events), expected);
    }
    assert_eq!(subscribers(&redis), 2, "one subscription a process");
    // The first of them is a client of the first process.
    watchers.truncate(1);
    let one_is_left = async || subscribers(&redis) == 1;
    let what = "a process without watchers has no subscription";
    eventually(what, Duration::from_secs(20), one_is_left).await;
}

#[tokio::test]
async fn killed_subscriptions_cost_no_watcher_an_event() {
    let redis = RedisServer::volatile();
    let app = spawn_app_on(&redis.url());
    for room in ["general", "other"] {
        app.open_room(room, &["alice"]).await;
    }
    let (mut eve, start) = watcher(&app, "eve", "general").await;
    let other = eve.watch("other", None).await;
    let sender = LoadGenerator::start(&[&app.address], "alice", "room:general");
    for _ in 0..5 {
        sender.wait_for_sent(10).await;
        let killed = async || {
            let mut kill = cmd("CLIENT");
            kill.arg("KILL").arg("TYPE").arg("pubsub");
            kill.query::<u64>(&mut redis.connect()).unwrap() > 0
        };
        eventually("it listens", Duration::from_secs(10), killed).await;
        app.send("alice", "room:other", "meanwhile").await;
    }
    let sent = sender.finish().await;
    app.send("alice", "room:other", "the end").await;
    app.send("alice", "room:general", "the end").await;
    let mut ends = 0;
    let is_last = |event: &Value| {
        ends += usize::from(event["message"]["body"] == "the end");
        ends == 2
    };
    let events = eve.events_until(is_last).await;
    for (room, mut place, count) in [("general", start, sent + 1), ("other", other, 6)] {
        let of_room: Vec<_> = events
            .iter()
            .filter(|event| event["room"] == room)
            .collect();
        assert_eq!(of_room.len(), count, "{room}");
        for event in of_room {
            assert_eq!(event["prev"], json!(place), "{room}");
            place = event["cursor"].as_str().unwrap().to_owned();
        }
    }
}

/// Reads on: the events in flight, which follow one another, then the reason for the close. Returns the last cursor and
/// the close code.
async fn read_until_closed(slow: &mut TcpStream, start: &Value) -> (Value, u16) {
    let mut place = start.clone();
    loop {
        match read_frame(slow).await.unwrap() {
            (0x81, text) => {
                let event: Value = serde_json::from_slice(&text).unwrap();
                assert_eq!(event["prev"], place, "no gap before the end");
                place = event["cursor"].clone();
            }
            (0x88, payload) => return (place, u16::from_be_bytes([payload[0], payload[1]])),
            _ => {}
        }
    }
}

#[tokio::test]
async fn a_slow_watcher_is_closed_and_resumes() {
    let app = spawn_app();
    app.open_room("general", &["alice"]).await;
    let (mut quick, _) = watcher(&app, "quick", "general").await;
    let mut slow = connect_raw(&app, "slow").await;
    let hello = read_text(&mut slow).await;
    assert!(!hello.is_empty());
    let watch = json!({"type": "watch", "ref": "w", "room": "general"});
    let watch = masked(0x81, watch.to_string().as_bytes());
    slow.write_all(&watch).await.unwrap();
    let answer: Value = serde_json::from_slice(&read_text(&mut slow).await).unwrap();
    // More than the buffers of the system and the queue hold: 9 MiB.
    let body = "語".repeat(8_000);
    let message = post(json!({"from": "alice", "to": "room:general", "body": body}).to_string());
    for _ in 0..20 {
        for answer in pipeline(&app.address, &vec![message.clone(); 20]) {
            assert_eq!(answer.status, 201);
        }
        for _ in 0..20 {
            quick.next().await;
        }
    }
    app.send("alice", "room:general", "sent").await;
    assert_eq!(quick.next().await["message"]["body"], "sent");
    let (place, code) = read_until_closed(&mut slow, &answer["cursor"]).await;
    assert_eq!(code, 4408);
    let closed = metric(&app, "duologue_slow_consumers_total").await;
    assert!(
        (closed - 1.0).abs() < 0.1,
        "the other one was not closed: {closed}"
    );
    let after = place.as_str().unwrap();
    let mut back = Device::connect(&app, "slow").await;
    back.watch("general", Some(after)).await;
    app.send("alice", "room:general", "the end").await;
    let is_last = |event: &Value| event["message"]["body"] == "the end";
    let told = back.events_until(is_last).await;
    assert_eq!(
        told[0]["prev"], place,
        "nothing is missed, or all of it is one change"
    );
}

#[tokio::test]
async fn a_watch_outlives_the_token_with_which_it_began() {
    let app = spawn_secured_app();
    let room = json!({"join": "open", "members": ["alice"]});
    app.by(By::Backend, "PUT", "/rooms/general", Some(&room))
        .await
        .json(201);
    let options = ConnectOptions::new(&app.address).bearer(&token_until("eve", 3));
    let mut eve = options.connect(None).await;
    let start = eve.watch("general", None).await;
    let renewed = eve
        .ask(&json!({"type": "token", "token": token("eve")}))
        .await;
    assert_eq!(renewed["type"], "ack");
    tokio::time::sleep(Duration::from_secs(4)).await;
    let message = json!({"from": "alice", "to": "room:general", "body": "the end"});
    app.post_as(SERVICE_KEY, &message).await.json(201);
    let events = eve.room_events_until(&start, "the end").await;
    assert_eq!(bodies(&events), ["the end"]);
}
