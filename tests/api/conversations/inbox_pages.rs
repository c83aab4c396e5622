//! The pages of an inbox.

use crate::conversations::inbox::{create_conversations, peers};
use crate::harness::{spawn_app, store::lua};

#[tokio::test]
async fn cursors_page_through_every_conversation_exactly_once() {
    let app = spawn_app();
    create_conversations(&app, "bob", 230);
    let newest_first: Vec<_> = (1..=230).rev().map(|n| format!("peer-{n}")).collect();
    for limit in [1, 7, 99, 100, 101, 200] {
        let mut found = Vec::new();
        let mut page = app.inbox("bob", &format!("limit={limit}")).await;
        loop {
            let here = peers(&page);
            assert!(here.len() <= limit);
            found.extend(here.into_iter().map(str::to_owned));
            let Some(cursor) = page["next_cursor"].as_str() else {
                break;
            };
            assert_eq!(found.len() % limit, 0, "every page but the last is full");
            let next = format!("limit={limit}&cursor={cursor}");
            page = app.inbox("bob", &next).await;
            if limit == 1 && found.len() == 20 {
                break;
            }
        }
        assert_eq!(found, newest_first[..found.len()], "{limit}");
        assert!(limit == 1 || found.len() == 230, "{limit}");
    }
    let fifty = app.inbox("bob", "").await;
    assert_eq!(peers(&fifty).len(), 50, "by default");
}

#[tokio::test]
async fn conversations_with_equal_versions_are_paged_completely() {
    let app = spawn_app();
    create_conversations(&app, "bob", 25);
    let [inbox, ..] = lua::keys_of_user("bob");
    let mut redis = app.redis();
    let members: Vec<String> = redis::cmd("ZRANGE")
        .arg(&inbox)
        .arg(&[0, -1])
        .query(&mut redis)
        .unwrap();
    for (n, member) in members.iter().enumerate() {
        let score = 1_000_000 + n / 10;
        let mut add = redis::cmd("ZADD");
        add.arg(&inbox)
            .arg(score)
            .arg(member)
            .exec(&mut redis)
            .unwrap();
    }
    let mut found = Vec::new();
    let mut query = "limit=3".to_owned();
    loop {
        let page = app.inbox("bob", &query).await;
        found.extend(peers(&page).into_iter().map(str::to_owned));
        match page["next_cursor"].as_str() {
            Some(cursor) => query = format!("limit=3&cursor={cursor}"),
            None => break,
        }
    }
    assert_eq!(found.len(), 25);
    found.sort_unstable();
    found.dedup();
    assert_eq!(found.len(), 25, "each once");
}

#[tokio::test]
async fn a_conversation_that_moves_up_is_on_a_fresh_first_page() {
    let app = spawn_app();
    create_conversations(&app, "bob", 6);
    let first = app.inbox("bob", "limit=3").await;
    app.send("peer-1", "bob", "again").await;
    let cursor = first["next_cursor"].as_str().unwrap();
    let rest = app.inbox("bob", &format!("limit=3&cursor={cursor}")).await;
    assert_eq!(peers(&rest), ["peer-3", "peer-2"], "no duplicate");
    assert_eq!(peers(&app.inbox("bob", "limit=1").await), ["peer-1"]);
}
