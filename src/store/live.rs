//! The events of users as they happen: one connection of a process to Redis, with a subscription
//! for each user who is connected to the process.
//!
//! What is heard is only a wake-up; the journal is the truth. So all that is asked of this
//! connection is that it never stays silent unnoticed: every two seconds it is pinged, and a word of
//! this process' own must come back through it. When it breaks it is opened again, all subscriptions
//! are made anew, and whoever listens is told that anything may have been missed.

use std::collections::HashSet;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, PushInfo, PushKind, RedisResult, Value};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use uuid::Uuid;

use super::{Store, connection};
use crate::error::{Code, Error};
use crate::model::UserId;

/// Between two looks at whether the connection still hears.
const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(2);
/// How long the connection may take to answer, or to hear what was published.
const PUBSUB_TIMEOUT: Duration = Duration::from_millis(1500);
/// Between two attempts to connect.
const RETRY_DELAY: Duration = Duration::from_millis(100);
/// Channels of one SUBSCRIBE.
const BATCH: usize = 1000;

/// What comes of listening.
pub enum PubSubMessage {
    /// An event of a user, as it was published.
    Event {
        /// Whose.
        user: String,
        /// The JSON of it.
        text: String,
    },
    /// Anything may have been missed.
    Gap,
}

/// Who takes what is heard. Called on the connection's own task, so it must not wait.
type MessageHandler = Arc<dyn Fn(PubSubMessage) + Send + Sync>;

/// What somebody wants of the connection.
enum SubscriptionRequest {
    Listen(String, oneshot::Sender<()>),
    Leave(String),
}

/// A handle on the connection. Wishes are granted in the order in which they are made.
#[derive(Clone)]
pub struct PubSub {
    store: Store,
    wishes: mpsc::UnboundedSender<SubscriptionRequest>,
}

impl PubSub {
    /// Begins to listen to a user. What is published after this returned is heard.
    pub async fn listen(&self, user: &UserId) -> Result<(), Error> {
        let (done, granted) = oneshot::channel();
        let channel = self.store.keys.events(user.as_str());
        // The other end lives as long as the process.
        let _ = self.wishes.send(SubscriptionRequest::Listen(channel, done));
        match timeout(connection::TIMEOUT, granted).await {
            Ok(Ok(())) => Ok(()),
            _ => Err(Code::Unavailable.into()),
        }
    }

    /// Ceases to listen to a user.
    pub fn leave(&self, user: &UserId) {
        let channel = self.store.keys.events(user.as_str());
        let _ = self.wishes.send(SubscriptionRequest::Leave(channel));
    }
}

impl Store {
    /// A handle to subscribe with, and the listener that serves it while it runs.
    pub fn pubsub(&self) -> (PubSub, PubSubListener) {
        let (wishes, made) = mpsc::unbounded_channel();
        let listener = PubSubListener {
            store: self.clone(),
            made,
            wanted: HashSet::new(),
            waiting: Vec::new(),
            was_connected: false,
            own: self.keys.events(&format!("process~{}", Uuid::now_v7())),
            own_word: Arc::new(Notify::new()),
        };
        let live = PubSub {
            store: self.clone(),
            wishes,
        };
        (live, listener)
    }
}

/// The pub/sub connection of this process.
pub struct PubSubListener {
    store: Store,
    made: mpsc::UnboundedReceiver<SubscriptionRequest>,
    /// The channels to listen to.
    wanted: HashSet<String>,
    /// Who waits for a subscription to be confirmed.
    waiting: Vec<oneshot::Sender<()>>,
    /// Whether events may have been missed before the next connection.
    was_connected: bool,
    /// The channel on which this process hears itself. No user: an id holds no `process~`-UUID of
    /// another process but by malice, which would hear nothing but empty words.
    own: String,
    own_word: Arc<Notify>,
}

impl PubSubListener {
    /// Connects, subscribes and passes on messages, for ever. Dropping the future loses no
    /// subscription: the next run restores them.
    pub async fn run(&mut self, handler: impl Fn(PubSubMessage) + Send + Sync + 'static) {
        let handler: MessageHandler = Arc::new(handler);
        loop {
            let broken = Arc::new(Notify::new());
            let connecting = self.connect(handler.clone(), broken.clone());
            if let Ok(mut connection) = connecting.await {
                if self.was_connected {
                    tracing::warn!("the pub/sub connection to Redis is open again");
                    handler(PubSubMessage::Gap);
                }
                self.was_connected = true;
                let error = self.serve(&mut connection, &broken).await.err();
                tracing::warn!(?error, "the pub/sub connection to Redis broke");
            }
            sleep(RETRY_DELAY).await;
        }
    }

    /// Connects, and subscribes to all that is wanted.
    async fn connect(
        &mut self,
        handler: MessageHandler,
        broken: Arc<Notify>,
    ) -> RedisResult<MultiplexedConnection> {
        let (own, own_word) = (self.own.clone(), self.own_word.clone());
        let on_push = move |push: PushInfo| {
            match push.kind {
                PushKind::Message => match words(push.data) {
                    Some((channel, _)) if channel == own => own_word.notify_one(),
                    Some((channel, text)) => {
                        if let Some((_, user)) = channel.split_once(":events:") {
                            let user = user.to_owned();
                            handler(PubSubMessage::Event { user, text });
                        }
                    }
                    None => (),
                },
                PushKind::Disconnection => broken.notify_one(),
                _ => (),
            }
            Ok::<(), Infallible>(())
        };
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(connection::TIMEOUT))
            .set_response_timeout(Some(connection::TIMEOUT))
            .set_push_sender(on_push);
        let client = Client::open((*self.store.target).clone())?;
        let connecting = client.get_multiplexed_async_connection_with_config(&config);
        let mut connection = connecting.await?;
        let channels: Vec<_> = self.wanted.iter().chain([&self.own]).collect();
        for channels in channels.chunks(BATCH) {
            connection.subscribe(channels).await?;
        }
        self.confirm();
        Ok(connection)
    }

    /// Grants wishes until the connection breaks.
    async fn serve(
        &mut self,
        connection: &mut MultiplexedConnection,
        broken: &Notify,
    ) -> RedisResult<()> {
        let mut beat = interval(HEARTBEAT_INTERVAL);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut made = Vec::new();
        loop {
            tokio::select! {
                () = broken.notified() => return Ok(()),
                _ = self.made.recv_many(&mut made, BATCH) => {
                    self.grant(connection, made.drain(..)).await?;
                }
                _ = beat.tick() => self.check(connection).await?,
            }
        }
    }

    /// Subscribes and unsubscribes. Of several wishes about one channel the last one counts.
    async fn grant(
        &mut self,
        connection: &mut MultiplexedConnection,
        wishes: impl Iterator<Item = SubscriptionRequest>,
    ) -> RedisResult<()> {
        let mut named = HashSet::new();
        for wish in wishes {
            match wish {
                SubscriptionRequest::Listen(channel, done) => {
                    self.wanted.insert(channel.clone());
                    self.waiting.push(done);
                    named.insert(channel);
                }
                SubscriptionRequest::Leave(channel) => {
                    self.wanted.remove(&channel);
                    named.insert(channel);
                }
            }
        }
        let (on, off): (Vec<_>, Vec<_>) = named.into_iter().partition(|c| self.wanted.contains(c));
        if !off.is_empty() {
            connection.unsubscribe(off).await?;
        }
        if !on.is_empty() {
            connection.subscribe(on).await?;
        }
        self.confirm();
        Ok(())
    }

    fn confirm(&mut self) {
        for done in self.waiting.drain(..) {
            // Whoever asked may have given up.
            let _ = done.send(());
        }
    }

    /// Makes sure that the connection lives, and hears what is published elsewhere.
    async fn check(&self, connection: &mut MultiplexedConnection) -> RedisResult<()> {
        let deaf = |_| std::io::Error::from(std::io::ErrorKind::TimedOut);
        let ping = redis::cmd("PING");
        timeout(PUBSUB_TIMEOUT, ping.exec_async(connection))
            .await
            .map_err(deaf)??;
        // A store that takes no word now says nothing about whether this connection would hear it.
        let own = std::iter::once(self.own.clone());
        if timeout(PUBSUB_TIMEOUT, self.store.publish(own, ""))
            .await
            .is_ok_and(|said| said.is_ok())
        {
            timeout(PUBSUB_TIMEOUT, self.own_word.notified())
                .await
                .map_err(deaf)?;
        }
        Ok(())
    }
}

/// The channel and the text of a message.
fn words(data: Vec<Value>) -> Option<(String, String)> {
    redis::from_redis_value(Value::Array(data)).ok()
}
