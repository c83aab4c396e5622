//! Changes of conversations whose slot is moving: each is refused as a whole or made as a whole.

use std::collections::BTreeMap;

use duologue::model::{Pair, UserId};
use duologue::store::Keys;
use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::store::redis_cluster::RedisCluster;
use crate::harness::{TestApp, spawn_app_on};

/// The requests, where `USER` acts and `PEER` is the other user. Each conversation has three messages of the peer.
fn requests() -> Vec<(Method, &'static str, Value)> {
    let conversation = "/conversations/USER/PEER";
    let message = "/conversations/USER/PEER/messages/2";
    let own = "/conversations/PEER/USER/messages/2";
    vec![
        (
            Method::POST,
            "/messages",
            json!({"from": "USER", "to": "PEER", "body": "new"}),
        ),
        (
            Method::POST,
            "/messages",
            json!({"from": "USER", "to": "PEER", "body": "new", "client_id": "c"}),
        ),
        (Method::GET, conversation, Value::Null),
        (
            Method::PATCH,
            conversation,
            json!({"archived": true, "pinned": true}),
        ),
        (Method::DELETE, conversation, Value::Null),
        (
            Method::PUT,
            "/conversations/USER/PEER/read",
            json!({"seq": 2}),
        ),
        (
            Method::PUT,
            "/conversations/USER/PEER/delivered",
            json!({"seq": 2}),
        ),
        (Method::PUT, "/conversations/USER/PEER/block", Value::Null),
        (Method::PUT, "/conversations/USER/PEER/mute", Value::Null),
        (Method::PATCH, own, json!({"body": "edited"})),
        (Method::DELETE, own, Value::Null),
        (
            Method::PUT,
            "/conversations/USER/PEER/messages/2/reactions/%F0%9F%91%8D",
            Value::Null,
        ),
        (Method::GET, message, Value::Null),
    ]
}

/// A conversation in the slot that moves, with what happens to it.
struct Moving {
    user: String,
    peer: String,
    keys: [String; 2],
    /// The key that is already at the new node.
    moved: usize,
    request: (Method, &'static str, Value),
}

/// A conversation for each request and each of the two keys, all in one slot.
fn conversations(cluster: &RedisCluster) -> (u16, Vec<Moving>) {
    let user = |id: &str| UserId::try_from(id.to_owned()).unwrap();
    let keys_of = |n: u32| {
        let pair = Pair::of(&user(&format!("user-{n}")), &user(&format!("peer-{n}")));
        Keys::new().conversation(&pair)
    };
    let slot = cluster.slot_of(&keys_of(0)[0]);
    let mut there = (0..).filter(|n| cluster.slot_of(&keys_of(*n)[0]) == slot);
    let variants = requests()
        .into_iter()
        .flat_map(|request| [(0, request.clone()), (1, request)]);
    let moving = variants.map(|(moved, request)| {
        let n = there.next().unwrap();
        let (user, peer) = (format!("user-{n}"), format!("peer-{n}"));
        Moving {
            user,
            peer,
            keys: keys_of(n),
            moved,
            request,
        }
    });
    (slot, moving.collect())
}

/// The values of both keys at both nodes.
fn values(
    cluster: &RedisCluster,
    nodes: [usize; 2],
    keys: &[String],
) -> BTreeMap<String, Vec<Option<Vec<u8>>>> {
    let value = |node: usize, key: &String| {
        let mut dump = redis::pipe();
        dump.cmd("ASKING").ignore().cmd("DUMP").arg(key);
        // The old node sends calls for keys that it does not have to the new one.
        let value = dump.query::<(Option<Vec<u8>>,)>(&mut cluster.masters[node].connect());
        value.ok().and_then(|(value,)| value)
    };
    let of = |key: &String| (key.clone(), nodes.map(|node| value(node, key)).to_vec());
    keys.iter().map(of).collect()
}

async fn run(app: &TestApp, moving: &Moving) -> u16 {
    let (method, path, body) = &moving.request;
    let named = |text: &str| {
        text.replace("USER", &moving.user)
            .replace("PEER", &moving.peer)
    };
    let path = named(path);
    if body.is_null() {
        return app.request(method.clone(), &path).await.status;
    }
    let body = serde_json::from_str(&named(&body.to_string())).unwrap();
    app.ask(method.clone(), &path, &body).await.status
}

#[tokio::test]
async fn a_change_in_a_moving_slot_is_made_as_a_whole_or_not() {
    let cluster = RedisCluster::start();
    let app = spawn_app_on(&cluster.url());
    let (slot, all) = conversations(&cluster);
    for moving in &all {
        for n in 0..3 {
            app.send(&moving.peer, &moving.user, &format!("message {n}"))
                .await;
        }
    }
    let from = RedisCluster::index_of(slot);
    let to = (from + 1) % 3;
    cluster.begin_move(slot, from, to);
    for moving in &all {
        cluster.move_keys(from, to, &[moving.keys[moving.moved].clone()]);
    }
    let before: Vec<_> = all
        .iter()
        .map(|m| values(&cluster, [from, to], &m.keys))
        .collect();
    let statuses = join_all(all.iter().map(|moving| run(&app, moving))).await;
    let mut refused = 0;
    for ((moving, before), status) in all.iter().zip(before).zip(&statuses) {
        let request = &moving.request;
        assert!(
            [200, 201, 204, 503].contains(status),
            "{request:?}: {status}"
        );
        if *status == 503 {
            assert_eq!(
                values(&cluster, [from, to], &moving.keys),
                before,
                "{request:?}"
            );
            refused += 1;
        }
    }
    assert!(refused >= 20, "{statuses:?}");
    cluster.end_move(slot, from, to);
    let statuses = join_all(all.iter().map(|moving| run(&app, moving))).await;
    assert!(statuses.iter().all(|status| *status < 300), "{statuses:?}");
}
