//! The rows of rooms: what a message to a room costs Redis, before it is filed and for each member.

use std::sync::Arc;
use std::time::Duration;

use duologue::metrics::Metrics;
use duologue::model::{IdempotencyKey, Retention, RoomName};
use duologue::store::{RoomFiling, RoomRequest, Store};
use serde_json::json;
use tokio::sync::mpsc;
use tokio::time::sleep;

use crate::messages::{id, pending_message, repeat, send_to_user, user};
use crate::process::{Server, cpu};
use crate::redis_server::RedisServer;
use crate::report::{Report, Target};
use crate::sockets::{request, send_each};
use crate::{Interrupt, Outcome, watchers};

/// The room with many members.
const LARGE: &str = "large";
/// Members of that room.
const MEMBERS: u32 = 256;
/// The room whose only member is the sender.
const SMALL: &str = "small";
/// Members that one request adds.
const ADDED_AT_ONCE: u32 = 100;
/// Rounds of the script rows, of which the fastest counts, and messages of a round.
const ROUNDS: u32 = 7;
const SENDS: u32 = 1_000;
const FILINGS: u32 = 30;
/// Maximum time of Redis for a send to a room, before it is filed, relative to a send to a user.
const SEND_TARGET: f64 = 1.2;
/// Seconds of a measurement at a steady rate.
const SECONDS: u32 = 5;
/// Messages per second to the large room.
const RATES: [u32; 2] = [40, 1_700];
/// How long the members may take to have the last message.
const FILED: Duration = Duration::from_secs(30);

/// Measures the rows and adds them to the report.
pub fn measure(interrupt: &Interrupt, workers: usize, report: &mut Report) -> Outcome<()> {
    eprintln!("measuring rooms ...");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let mut redis = RedisServer::start(&[])?;
    let url = format!("redis://{}", redis.address());
    let service = Server::duologue_on(&url, workers, &[])?;
    runtime.block_on(create_rooms(service.address()))?;
    drop(service);
    runtime.block_on(scripts(interrupt, &url, &mut redis, report))?;
    let service = Server::duologue_on(&url, workers, &[])?;
    for rate in RATES {
        interrupt.check()?;
        runtime.block_on(steady(&service, &redis, rate, report))?;
    }
    drop(service);
    let watchers = watchers::measure(interrupt, workers, &url, &mut redis, report);
    runtime.block_on(watchers)
}

async fn create_rooms(address: &str) -> Outcome<()> {
    create_room(address, SMALL, 1).await?;
    create_room(address, LARGE, MEMBERS).await
}

/// Creates a room whose members are the first of all users.
pub async fn create_room(address: &str, room: &str, members: u32) -> Outcome<()> {
    for first in (0..members).step_by(ADDED_AT_ONCE as usize) {
        let added: Vec<_> = (first..members.min(first + ADDED_AT_ONCE))
            .map(user)
            .collect();
        let settings = json!({"members": added}).to_string();
        request(address, "PUT", &format!("/rooms/{room}"), &settings).await?;
    }
    Ok(())
}

/// A handle on the store without a service, so that nothing else runs in Redis.
pub struct Sender<'a> {
    store: Store,
    waiting: mpsc::Receiver<RoomFiling>,
    redis: &'a mut RedisServer,
}

impl<'a> Sender<'a> {
    pub fn new(url: &str, redis: &'a mut RedisServer) -> Outcome<Self> {
        let store = Store::new(url, None, Retention::default(), Arc::new(Metrics::new()))?;
        let waiting = store.filings().ok_or("the filings were taken")?;
        Ok(Self {
            store,
            waiting,
            redis,
        })
    }

    /// Does some work, and returns the time of Redis for its scripts in microseconds.
    pub async fn time(&mut self, work: impl AsyncFnOnce(&mut Self) -> Outcome<()>) -> Outcome<f64> {
        let before = self.redis.calls_of(&["fcall"])?.1;
        work(self).await?;
        Ok(self.redis.calls_of(&["fcall"])?.1 - before)
    }

    pub async fn send_to_room(&self, room: &str) -> Outcome<()> {
        let name = RoomName::of_id(room).ok_or("no room")?;
        let message = pending_message(name.as_str())?;
        let request = RoomRequest {
            user: message.from(),
            room: &name,
            charge: None,
        };
        let key = None::<&IdempotencyKey>;
        self.store.send_room_message(&message, key, request).await?;
        Ok(())
    }

    /// Files what the last send left, as the service does.
    pub async fn file(&mut self) -> Outcome<()> {
        while let Ok(filing) = self.waiting.try_recv() {
            self.store.continue_filing(filing).await?;
        }
        Ok(())
    }
}

/// Measures the time of Redis for a send to a user and to a room, and for filing a message.
async fn scripts(
    interrupt: &Interrupt,
    url: &str,
    redis: &mut RedisServer,
    report: &mut Report,
) -> Outcome<()> {
    let mut sender = Sender::new(url, redis)?;
    let (mut pair, mut room) = (f64::INFINITY, f64::INFINITY);
    for _ in 0..ROUNDS {
        interrupt.check()?;
        let to_user =
            async |sender: &mut Sender<'_>| repeat(SENDS, || send_to_user(&sender.store)).await;
        pair = pair.min(sender.time(to_user).await? / f64::from(SENDS));
        let to_room =
            async |sender: &mut Sender<'_>| repeat(SENDS, || sender.send_to_room(SMALL)).await;
        room = room.min(sender.time(to_room).await? / f64::from(SENDS));
        sender.file().await?;
    }
    report.figure("(r) a send to a user, Redis time, us", pair, 1, None);
    report.figure("(r) a send to a room before filing, us", room, 1, None);
    let target = Some(Target::AtMost(SEND_TARGET));
    report.figure("(r) a send to a room / to a user", room / pair, 2, target);
    let plain = filing(&mut sender).await?;
    report.figure("(r) filing for a member, us", plain, 1, None);
    for member in 0..MEMBERS {
        sender.store.open_stream(&id(&user(member))?, None).await?;
    }
    let listening = filing(&mut sender).await?;
    let name = "(r) filing for a member with a journal, us";
    report.figure(name, listening, 1, None);
    Ok(())
}

/// The time of Redis for filing one message, for each member of the large room.
async fn filing(sender: &mut Sender<'_>) -> Outcome<f64> {
    let mut fastest = f64::INFINITY;
    for _ in 0..FILINGS {
        sender.send_to_room(LARGE).await?;
        let time = sender.time(async |sender: &mut Sender<'_>| sender.file().await);
        fastest = fastest.min(time.await?);
    }
    Ok(fastest / f64::from(MEMBERS))
}

/// Measures Redis while messages are sent to the large room at a steady rate, until every member has them.
async fn steady(
    service: &Server,
    redis: &RedisServer,
    rate: u32,
    report: &mut Report,
) -> Outcome<()> {
    let address = service.address();
    let unread = || unread(address, MEMBERS - 1);
    let (messages, read) = (rate * SECONDS, unread().await?);
    let before = cpu(redis.pid)?;
    let interval = Duration::from_secs(1) / rate;
    // The last member only reads.
    let to = format!("room:{LARGE}");
    send_each(address, messages, interval, |number| {
        (user(number % (MEMBERS - 1)), to.clone())
    })
    .await?;
    let deadline = tokio::time::Instant::now() + FILED;
    while unread().await? < read + u64::from(messages) {
        if tokio::time::Instant::now() > deadline {
            return Err(format!("not filed within {FILED:?}").into());
        }
        sleep(Duration::from_millis(50)).await;
    }
    let each = (cpu(redis.pid)? - before) / f64::from(messages);
    let name = format!("(r) {MEMBERS} members, {rate} messages/s: Redis CPU, us");
    report.figure(&name, each, 0, None);
    Ok(())
}

/// Number of messages that a member has not read.
async fn unread(address: &str, member: u32) -> Outcome<u64> {
    let path = format!("/users/{}/unread", user(member));
    let totals = request(address, "GET", &path, "").await?;
    let totals: serde_json::Value = serde_json::from_str(&totals)?;
    Ok(totals["total_unread_count"].as_u64().ok_or("no total")?)
}
