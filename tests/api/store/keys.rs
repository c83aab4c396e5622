//! The slots of keys on a cluster, computed by a cluster node.

use std::collections::HashSet;
use std::net::TcpListener;

use duologue::model::{IdempotencyKey, Pair, UserId};
use duologue::store::{Keys, PARTITIONS};

use crate::harness::keys;
use crate::harness::store::lua::keys_of_user;
use crate::harness::store::redis_server::RedisServer;

const SLOTS: u16 = 16384;

/// A cluster node without slots and peers. It needs a port for the cluster bus nevertheless.
fn node() -> RedisServer {
    let free = || {
        TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port()
            .to_string()
    };
    let (port, bus) = (free(), free());
    let addresses = [
        "--bind",
        "127.0.0.1",
        "--port",
        &port,
        "--cluster-port",
        &bus,
    ];
    RedisServer::start(&[&addresses[..], &["--cluster-enabled", "yes", "--save", ""]].concat())
}

fn slots(names: &[String]) -> Vec<u16> {
    let node = node();
    let mut ask = redis::pipe();
    for name in names {
        ask.cmd("CLUSTER").arg("KEYSLOT").arg(name);
    }
    ask.query(&mut node.connect()).unwrap()
}

#[test]
fn each_partition_has_a_tag_in_its_own_slot_range() {
    let keys = Keys::new();
    assert_eq!(keys.tags().len(), usize::from(PARTITIONS));
    let distinct: HashSet<_> = keys.tags().iter().collect();
    assert_eq!(distinct.len(), keys.tags().len());
    let share = SLOTS / PARTITIONS;
    for (partition, slot) in (0..).zip(slots(keys.tags())) {
        assert_eq!(
            slot / share,
            partition,
            "tag {}",
            keys.tags()[usize::from(partition)]
        );
    }
}

#[test]
fn a_tag_is_the_smallest_number_of_its_range() {
    let largest: u16 = Keys::new()
        .tags()
        .iter()
        .map(|tag| tag.parse().unwrap())
        .max()
        .unwrap();
    let all: Vec<_> = (0..=largest).map(|number| number.to_string()).collect();
    let mut first = vec![None; usize::from(PARTITIONS)];
    for (number, slot) in all.iter().zip(slots(&all)) {
        first[usize::from(slot / (SLOTS / PARTITIONS))].get_or_insert(number);
    }
    let first: Vec<_> = first.into_iter().map(|tag| tag.unwrap().clone()).collect();
    assert_eq!(first, Keys::new().tags());
}

#[test]
fn a_conversation_has_one_slot_and_conversations_spread() {
    let names: Vec<_> = (0..200)
        .flat_map(|n| keys("alice", &format!("user-{n}")))
        .collect();
    let slots = slots(&names);
    let conversations: HashSet<_> = slots
        .chunks(2)
        .map(|conversation| {
            assert!(conversation.iter().all(|slot| slot == &conversation[0]));
            conversation[0]
        })
        .collect();
    assert!(conversations.len() > 100, "{}", conversations.len());
}

#[test]
fn key_names_never_change() {
    // Key names are part of the storage format: renaming one loses stored data.
    let names = ["messages", "meta"].map(|kind| format!("dm:{{457}}:{kind}:alice,bob"));
    assert_eq!(keys("alice", "bob"), names);
    assert_eq!(keys("bob", "alice"), names);
    assert_eq!(Keys::new().store(), "dm:store");
    let names = ["inbox", "conversations", "events"];
    assert_eq!(
        keys_of_user("alice"),
        names.map(|kind| format!("dm:{{19}}:{kind}:alice"))
    );
    let user = |id: &str| UserId::try_from(id.to_owned()).unwrap();
    let (alice, pair) = (user("alice"), Pair::of(&user("alice"), &user("bob")));
    let key = IdempotencyKey::try_from("a key: of {any} form").unwrap();
    assert_eq!(
        Keys::new().idempotency(&pair, Some((&alice, &key))),
        "dm:{457}:idempotency:alice,bob,alice,a key: of {any} form"
    );
}
