//! The rows of imports and of memory.

use crate::Outcome;
use crate::bench::Bench;
use crate::load::{History, send_one};
use crate::messages::user;
use crate::report::{Report, Row};
use crate::requests::ROUNDS;

/// Messages of an import, and the pairs of users who exchanged them.
const IMPORTED: u32 = 40_000;
const IMPORTED_PAIRS: u32 = 2_000;

/// Measures imports of a file ordered by conversation and of one ordered by time.
pub fn imports(bench: &Bench<'_>) -> Outcome<[Row; 2]> {
    let dir = bench.dir.path();
    let each = IMPORTED / IMPORTED_PAIRS;
    let mut rows = [
        Row::new("(j) import by conversation"),
        Row::new("(j) import by time"),
    ];
    for round in 0..ROUNDS {
        let message = |pair| {
            let user = |side| format!("{side}{round}{pair:05}");
            (user("left"), user("right"))
        };
        let by_conversation = (0..IMPORTED).map(|number| message(number / each));
        let by_time = (0..IMPORTED).map(|number| message(IMPORTED_PAIRS + number % IMPORTED_PAIRS));
        let files = [
            History::write(dir, "by-conversation.ndjson", by_conversation)?,
            History::write(dir, "by-time.ndjson", by_time)?,
        ];
        for (row, history) in files.iter().enumerate() {
            let (load, service, redis) = bench.measure_load(|url| history.import(url))?;
            rows[row].add(&load, Some(service), Some(redis));
        }
    }
    Ok(rows)
}

/// Measures the memory of messages and conversations and adds it to the report.
pub fn memory(mut bench: Bench<'_>, report: &mut Report) -> Outcome<()> {
    const MESSAGES: usize = 1_000;
    /// Users who all have a conversation with each other.
    const USERS: u32 = 46;
    const CONVERSATIONS: u32 = USERS * (USERS - 1) / 2;
    for one in 0..USERS {
        bench.interrupt.check()?;
        for other in 0..one {
            send_one(&bench.service.url, &user(one), &user(other))?;
        }
    }
    let mut kinds = bench.redis.memory_by_kind()?;
    kinds.retain(|kind, _| kind != "store");
    for bytes in kinds.values_mut() {
        *bytes /= f64::from(CONVERSATIONS);
    }
    let users = ("user90001".to_owned(), "user90002".to_owned());
    let history = std::iter::repeat_n(users.clone(), MESSAGES);
    History::write(bench.dir.path(), "long.ndjson", history)?.import(&bench.service.url)?;
    let (messages, json, bytes) = bench.redis.message_memory(&users.0, &users.1)?;
    report.add_memory(json / messages, bytes / messages, &kinds);
    Ok(())
}
