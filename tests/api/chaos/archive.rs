//! Processes of the service and a Redis that are killed while messages move to the archive.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::thread::sleep;
use std::time::Duration;

use duologue::store::Keys;
use redis::Commands;
use tokio::task::spawn_blocking;

use super::crowd::{Crowd, Shared, Size, seed};
use super::services::Services;
use crate::harness::archive::{objects_in, url_of};
use crate::harness::eventually;
use crate::harness::rng::Rng;
use crate::harness::store::direct_connection::DirectConnection;
use crate::harness::store::outbox::outbox_entries;
use crate::harness::store::redis_server::RedisServer;

/// Few users, so that their conversations are long.
const SIZE: Size = Size {
    clients: 24,
    users: 8,
};
const PROCESSES: usize = 2;
/// The messages of a conversation that stay in Redis, and those of a segment.
const SIZES: [&str; 4] = ["--hot-messages", "3", "--archive-segment", "2"];
/// Minimum number of messages between two deaths.
const BETWEEN: usize = 12;
/// How long these messages may take.
const SENT: Duration = Duration::from_secs(60);
/// How long any process may take to finish what is left.
const FINISHED: Duration = Duration::from_secs(30);

/// What dies.
struct Mortals {
    services: Services,
    redis: RedisServer,
    rng: Rng,
}

impl Mortals {
    /// Kills a process or the Redis at a random moment, and starts it again.
    fn kill_one(mut self) -> Self {
        sleep(Duration::from_millis(self.rng.below(300) as u64));
        if self.rng.below(2) == 0 {
            self.redis.kill();
            self.redis.restart();
        } else {
            let dying = self.rng.below(PROCESSES);
            self.services.kill(dying);
            self.services.restart(dying);
        }
        self
    }

    async fn kill_repeatedly(mut self, shared: &Shared, kills: usize) -> Self {
        for _ in 0..kills {
            let goal = shared.sent.load(Ordering::Relaxed) + BETWEEN;
            let sent = async || shared.sent.load(Ordering::Relaxed) >= goal;
            eventually("messages are sent", SENT, sent).await;
            self = spawn_blocking(|| self.kill_one()).await.unwrap();
        }
        self
    }
}

/// The number of objects in a folder, and the ids of those of them that Redis does not know: they do not count, and are
/// not to be deleted.
fn objects(folder: &Path, redis: &mut DirectConnection) -> (usize, Vec<String>) {
    let there = objects_in(folder).into_iter().map(|path| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        // Also of a file that was not complete when its process died.
        let (name, _) = name.split_once('.').unwrap();
        name.split_once('-').unwrap().1.to_owned()
    });
    let there: Vec<_> = there.collect();
    let mut known = BTreeSet::new();
    for key in redis.keys::<_, Vec<String>>("dm:*:meta:*").unwrap() {
        let fields: Vec<(String, Vec<u8>)> = redis.hgetall(key).unwrap();
        for (_, segment) in fields
            .iter()
            .filter(|(name, _)| name.starts_with("segment:"))
        {
            let id = segment.split(|byte| *byte == b'|').nth(3).unwrap();
            known.insert(String::from_utf8(id.to_vec()).unwrap());
        }
    }
    let keys = Keys::new();
    for partition in 0..keys.tags().len() {
        let names: Vec<String> = redis.zrange(keys.garbage_of(partition), 0, -1).unwrap();
        known.extend(
            names
                .iter()
                .map(|name| name.rsplit_once('-').unwrap().1.to_owned()),
        );
    }
    let number = there.len();
    let unknown = there.into_iter().filter(|id| !known.contains(id));
    (number, unknown.collect())
}

/// Lets a crowd act while processes and Redis die, and compares everything afterwards: no message is lost, and none is
/// there twice. Each object in the folder counts, or is noted to be deleted.
async fn assert_flawless_under(kills: usize) {
    let (folder, redis) = (tempfile::tempdir().unwrap(), RedisServer::durable());
    let url = url_of(folder.path());
    let args = ["--archive", &url].into_iter().chain(SIZES);
    let args = args.map(str::to_owned).collect();
    let services = Services::start_with(PROCESSES, &redis.url(), 0, args);
    let mut crowd = Crowd::open(services.addresses(), SIZE).await;
    let rng = Rng::new(seed());
    let mortals = Mortals {
        services,
        redis,
        rng,
    };
    let killing = async |shared: &Shared| mortals.kill_repeatedly(shared, kills).await;
    let survivors = crowd.act_during(killing).await;
    let mut redis = DirectConnection::to([&*survivors.redis.url()]);
    let finished = async || outbox_entries(&mut redis) == 0;
    eventually("every change is finished", FINISHED, finished).await;
    crowd.report(&mut redis).await.assert_flawless();
    // Messages may still move, and an object that is sealed at this moment seems to be unknown.
    let mut found = (0, Vec::new());
    let are_known = async || {
        found = objects(folder.path(), &mut redis);
        found.1.is_empty()
    };
    eventually("Redis knows each object", FINISHED, are_known).await;
    println!("{} objects", found.0);
    assert!(found.0 > 5 * kills, "{} objects", found.0);
}

#[tokio::test]
async fn messages_move_once_while_processes_and_redis_die() {
    assert_flawless_under(6).await;
}

#[tokio::test]
#[ignore = "takes five minutes: make chaos"]
async fn messages_move_once_through_two_hundred_deaths() {
    assert_flawless_under(200).await;
}
