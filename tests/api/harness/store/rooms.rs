//! Rooms in Redis without the service.

use duologue::model::RoomName;
use duologue::store::Keys;
use redis::{Commands, ConnectionLike};

use crate::harness::store::lua::eval;

/// The keys of a room: messages, meta, members, events, outbox, lease, feed.
pub fn keys_of_room(room: &str) -> [String; 7] {
    Keys::new().room(&RoomName::of_id(room).unwrap())
}

/// Stores an invited room with members, the first of whom is an admin.
pub fn create_room(redis: &mut impl ConnectionLike, room: &str, members: &[impl AsRef<str>]) {
    let [_, meta, key, ..] = keys_of_room(room);
    let created = 1_769_860_800_000_000_u64;
    let fields = [
        ("state", format!("0|{created}|0|0|0")),
        ("access", "invited|all".to_owned()),
        ("created", created.to_string()),
        ("filed", created.to_string()),
        ("profile", "{}".to_owned()),
        ("member_count", members.len().to_string()),
    ];
    let _: () = redis.hset_multiple(meta, &fields).unwrap();
    for (number, member) in members.iter().enumerate() {
        let role = if number == 0 { "admin" } else { "member" };
        let record = format!("{role}|{created}|{}|0|0|0|00000|0|0", created / 1000);
        let _: () = redis.hset(&key, member.as_ref(), record).unwrap();
    }
}

/// Sends a message by the script, and leaves it to somebody else to file it. `json` is the message from its second
/// member on.
pub fn send_in_room(redis: &mut impl ConnectionLike, room: &str, from: &str, json: &str) {
    let name = RoomName::of_id(room).unwrap();
    let mut keys = keys_of_room(room).to_vec();
    keys.extend([
        Keys::new().room_idempotency(&name, None),
        Keys::new().schedule(name.as_str()),
    ]);
    let args = [name.as_str(), from, "", "test", json, "", "", ""];
    let send = eval("send_room_message", &keys, &args);
    send.exec(redis).unwrap();
}
