//! Members who join, write, read and leave at the same time, through processes that are killed.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use reqwest::{Client, Method};
use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::cli::service_process::ServiceProcess;
use crate::harness::live::resume::{place, polled};
use crate::harness::rng::Rng;
use crate::harness::store::direct_connection::DirectConnection;
use crate::harness::store::outbox::outboxes_become_empty;
use crate::harness::store::redis_cluster::RedisCluster;
use crate::harness::store::redis_server::RedisServer;
use crate::harness::store::rooms::create_room;
use crate::harness::{client, spawn_app_on};
use crate::rooms::filing::{assert_exact, created, users};

const ROOM: &str = "room:general";
const ACTS: usize = 60;

/// Sends a request to the processes in turn until one answers.
async fn ask(
    client: &Client,
    addresses: &[String],
    method: Method,
    path: &str,
    body: &Value,
) -> u16 {
    for address in addresses.iter().cycle().take(20) {
        let mut request = client.request(method.clone(), format!("{address}{path}"));
        if !body.is_null() {
            request = request.json(body);
        }
        match request.send().await {
            // The outcome of a request that a killed process did not answer does not matter.
            Err(_) => tokio::time::sleep(std::time::Duration::from_millis(20)).await,
            Ok(answer) => return answer.status().as_u16(),
        }
    }
    panic!("no process answers {path}");
}

/// Does something at random, as one of the users.
async fn act(client: &Client, addresses: &[String], user: &str, rng: &mut Rng) {
    let member = format!("/rooms/general/members/{user}");
    let of_user = format!("/conversations/{user}/{ROOM}");
    let message = json!({"from": user, "to": ROOM, "body": "hi"});
    let seq = json!({"seq": 1 + rng.below(100)});
    let (method, path, body) = match rng.below(10) {
        0..4 => (Method::POST, "/messages".to_owned(), message),
        4..6 => (Method::PUT, format!("{of_user}/read"), seq),
        6 => (Method::POST, format!("{of_user}/unread"), seq),
        7..9 => (Method::PUT, member, json!({})),
        _ => (Method::DELETE, member, Value::Null),
    };
    let status = ask(client, addresses, method, &path, &body).await;
    assert!(
        [200, 201, 204, 403, 404].contains(&status),
        "{path}: {status}"
    );
}

/// Kills one of two processes again and again while users come and go. Afterwards each has the inbox of a member, or
/// none of the room.
async fn come_and_go(url: &str, redis: &mut DirectConnection) {
    let dir = TempDir::new().unwrap();
    let staying = spawn_app_on(url);
    let users = users(20);
    create_room(redis, "general", &["user-0"]);
    let mut cursors = Vec::new();
    for user in &users {
        cursors.push(place(&staying, user).await);
    }
    let settings = [("DUOLOGUE_REDIS_URL", url)];
    for round in 0..3 {
        let ending = ServiceProcess::start_with(dir.path(), &settings);
        let addresses = [ending.address.clone(), staying.address.clone()];
        let acting = (0..6).map(|worker| {
            let (addresses, users) = (&addresses, &users);
            async move {
                let mut rng = Rng::new(10 * round + worker);
                for _ in 0..ACTS {
                    let user = rng.one_of(users).clone();
                    act(&client(), addresses, &user, &mut rng).await;
                }
            }
        });
        let killing = async {
            tokio::time::sleep(std::time::Duration::from_millis(700)).await;
            ending.signal(Signal::KILL);
        };
        tokio::join!(join_all(acting), killing);
    }
    outboxes_become_empty(redis).await;
    let members = staying.members("general").await;
    let members = members.iter().filter_map(|member| member.split(':').next());
    let members: BTreeSet<_> = members.collect();
    for (user, after) in users.iter().zip(&cursors) {
        created(&polled(&staying, user, after, &[200]).await, after);
        if members.contains(&**user) {
            assert_exact(&staying, user).await;
        } else {
            let inbox = staying.inbox(user, "").await;
            assert_eq!(inbox["conversations"], json!([]), "{user}");
            assert_eq!(staying.badge(user).await, [0, 0], "{user}");
        }
    }
}

#[tokio::test]
async fn who_comes_and_goes_has_the_inbox_of_a_member_or_none() {
    let redis = RedisServer::volatile();
    let url = redis.url();
    come_and_go(&url, &mut DirectConnection::to([&*url])).await;
}

#[tokio::test]
async fn who_comes_and_goes_has_the_same_on_a_cluster() {
    let cluster = RedisCluster::start();
    come_and_go(&cluster.url(), &mut cluster.connect()).await;
}
