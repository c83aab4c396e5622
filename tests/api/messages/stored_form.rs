//! Stored messages begin as `lua/lib/message.lua` reads them.

use duologue::store::LIBRARY;
use redis::Commands;
use serde_json::json;

use crate::harness::store::direct_connection::DirectConnection;
use crate::harness::{keys, spawn_app};
use crate::messages::expiry::send_expiring;

/// What the patterns of the library capture: seq, sender, next member; id, time.
fn captures(redis: &mut DirectConnection, message: &str) -> Vec<String> {
    let library = LIBRARY.iter().find(|(name, _)| *name == "lib/message");
    let (_, library) = library.unwrap();
    let script = format!(
        "{library}\nlocal seq, from, member = string.match(ARGV[1], MESSAGE_HEAD)\n\
         local id, sent_at = string.match(ARGV[1], MESSAGE_ENVELOPE)\n\
         local author, second = string.match(ARGV[1], MESSAGE_AUTHOR)\n\
         return {{seq, from, member == second and member or '', id, sent_at, author}}"
    );
    let mut eval = redis::cmd("EVAL");
    eval.arg(script).arg(0).arg(message).query(redis).unwrap()
}

#[tokio::test]
async fn scripts_read_what_the_service_writes() {
    let app = spawn_app();
    let mut redis = app.redis();
    let body = r#"","from":"eve","deleted_at":"#;
    let sent = app.send("alice", "bob", body).await;
    let stored = |redis: &mut DirectConnection| -> String {
        let [messages, ..] = keys("alice", "bob");
        redis.lindex(messages, 0).unwrap()
    };
    let [id, sent_at] = ["id", "sent_at"].map(|member| sent[member].as_str().unwrap());
    for (step, member) in [("sent", "to"), ("edited", "to"), ("deleted", "deleted_at")] {
        match step {
            "edited" => drop(app.edit("alice", "bob", 1, &json!({"body": "x"})).await),
            "deleted" => drop(app.delete("alice", "bob", 1).await),
            _ => {}
        }
        let message = stored(&mut redis);
        let expected = ["1", "alice", member, id, sent_at, "alice"];
        assert_eq!(
            captures(&mut redis, &message),
            expected,
            "{step}: {message}"
        );
    }
    let sent = send_expiring(&app, body, 60).await;
    let [id, sent_at] = ["id", "sent_at"].map(|member| sent[member].as_str().unwrap());
    let message = stored(&mut redis);
    let expected = ["2", "alice", "expires_at", id, sent_at, "alice"];
    assert_eq!(captures(&mut redis, &message), expected, "{message}");
}
