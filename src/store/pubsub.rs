//! Redis pub/sub: one connection per process, with a subscription for each user who is connected to
//! the process.
//!
//! A published event only wakes sessions; they read the journal. So the connection may lose events
//! but must not fail unnoticed: every two seconds it is pinged, and a message that this process
//! publishes to its own channel must arrive. After a failure the connection is opened again, all
//! subscriptions are restored, and the handler receives [`PubSubMessage::Gap`].
//!
//! Channels are sharded (`SPUBLISH`, `SSUBSCRIBE`), also on one Redis: the channel of a user has the hash tag
//! of the user's keys, so that on a cluster the script that updates an inbox may publish to it.

use std::collections::HashSet;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Pipeline, PushInfo, PushKind, RedisResult, Value};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use uuid::Uuid;

use super::{Keys, Node, Store, connection};
use crate::error::{Code, Error};
use crate::model::UserId;

/// Interval between two checks of the connection.
const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(2);
/// How long the connection may take to reply, or to deliver a published message.
const PUBSUB_TIMEOUT: Duration = Duration::from_millis(1500);
/// Pause between two attempts to connect.
const RETRY_DELAY: Duration = Duration::from_millis(100);
/// Maximum number of subscriptions in one round trip.
const BATCH: usize = 1000;

/// A message of the pub/sub connection.
pub enum PubSubMessage {
    Event {
        /// The user whose stream the event belongs to.
        user: String,
        /// The event as JSON.
        text: String,
    },
    /// The connection was interrupted, so events of any user may be missing.
    Gap,
}

/// Handles messages. Runs on the task that reads the connection, so it must not block.
type MessageHandler = Arc<dyn Fn(PubSubMessage) + Send + Sync>;

/// A change of the subscriptions, with the channel.
enum SubscriptionRequest {
    /// Reports to the sender when Redis has confirmed the subscription.
    Subscribe(String, oneshot::Sender<()>),
    Unsubscribe(String),
}

/// A handle on the connection. Requests are processed in order.
#[derive(Clone)]
pub struct PubSub {
    store: Store,
    requests: mpsc::UnboundedSender<SubscriptionRequest>,
}

impl PubSub {
    /// Subscribes to the events of a user. Events published after this returns are received.
    pub async fn subscribe(&self, user: &UserId) -> Result<(), Error> {
        let (confirmation, confirmed) = oneshot::channel();
        let channel = self.store.keys.events(user.as_str());
        // The receiver lives as long as the process.
        let request = SubscriptionRequest::Subscribe(channel, confirmation);
        let _ = self.requests.send(request);
        match timeout(connection::TIMEOUT, confirmed).await {
            Ok(Ok(())) => Ok(()),
            _ => Err(Code::Unavailable.into()),
        }
    }

    /// Unsubscribes from the events of a user.
    pub fn unsubscribe(&self, user: &UserId) {
        let channel = self.store.keys.events(user.as_str());
        let request = SubscriptionRequest::Unsubscribe(channel);
        let _ = self.requests.send(request);
    }
}

impl Store {
    /// A handle for subscriptions, and the listener that processes them while it runs.
    pub fn pubsub(&self) -> (PubSub, PubSubListener) {
        let (sender, receiver) = mpsc::unbounded_channel();
        let listener = PubSubListener {
            store: self.clone(),
            requests: receiver,
            channels: HashSet::new(),
            confirmations: Vec::new(),
            was_connected: false,
            check_channel: self.keys.events(&format!("process~{}", Uuid::now_v7())),
            check_received: Arc::new(Notify::new()),
        };
        let pubsub = PubSub {
            store: self.clone(),
            requests: sender,
        };
        (pubsub, listener)
    }
}

/// The pub/sub connection of this process.
pub struct PubSubListener {
    store: Store,
    requests: mpsc::UnboundedReceiver<SubscriptionRequest>,
    /// The channels to be subscribed to.
    channels: HashSet<String>,
    /// Requests whose subscription Redis has not confirmed.
    confirmations: Vec<oneshot::Sender<()>>,
    /// Whether there was a connection before, so that the next one begins with a gap.
    was_connected: bool,
    /// The channel that [`Self::check`] publishes to. A user who chose the same name as an id would
    /// receive only empty messages.
    check_channel: String,
    check_received: Arc<Notify>,
}

impl PubSubListener {
    /// Connects, subscribes and passes messages to the handler, forever. Dropping the future loses no
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

    /// Connects and subscribes to all channels.
    async fn connect(
        &mut self,
        handler: MessageHandler,
        broken: Arc<Notify>,
    ) -> RedisResult<MultiplexedConnection> {
        let check_channel = self.check_channel.clone();
        let check_received = self.check_received.clone();
        let on_push = move |push: PushInfo| {
            match push.kind {
                PushKind::SMessage => match channel_and_text(push.data) {
                    Some((channel, _)) if channel == check_channel => check_received.notify_one(),
                    Some((channel, text)) => {
                        if let Some(user) = Keys::user_of_channel(&channel) {
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
        let client = self.store.topology.client(&Node::only()).await?;
        let connecting = client.get_multiplexed_async_connection_with_config(&config);
        let mut connection = connecting.await?;
        let channels: Vec<_> = self.channels.iter().chain([&self.check_channel]).collect();
        for channels in channels.chunks(BATCH) {
            let channels = channels.iter().map(|channel| channel.as_str());
            pipelined("SSUBSCRIBE", channels)
                .exec_async(&mut connection)
                .await?;
        }
        self.confirm();
        Ok(connection)
    }

    /// Processes requests until the connection breaks.
    async fn serve(
        &mut self,
        connection: &mut MultiplexedConnection,
        broken: &Notify,
    ) -> RedisResult<()> {
        let mut heartbeat = interval(HEARTBEAT_INTERVAL);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut requests = Vec::new();
        loop {
            tokio::select! {
                () = broken.notified() => return Ok(()),
                _ = self.requests.recv_many(&mut requests, BATCH) => {
                    self.process(connection, requests.drain(..)).await?;
                }
                _ = heartbeat.tick() => self.check(connection).await?,
            }
        }
    }

    /// Subscribes and unsubscribes. The last of several requests for one channel wins.
    async fn process(
        &mut self,
        connection: &mut MultiplexedConnection,
        requests: impl Iterator<Item = SubscriptionRequest>,
    ) -> RedisResult<()> {
        let mut changed = HashSet::new();
        for request in requests {
            match request {
                SubscriptionRequest::Subscribe(channel, confirmation) => {
                    self.channels.insert(channel.clone());
                    self.confirmations.push(confirmation);
                    changed.insert(channel);
                }
                SubscriptionRequest::Unsubscribe(channel) => {
                    self.channels.remove(&channel);
                    changed.insert(channel);
                }
            }
        }
        let (added, removed): (Vec<_>, Vec<_>) = changed
            .into_iter()
            .partition(|channel| self.channels.contains(channel));
        for (command, channels) in [("SUNSUBSCRIBE", removed), ("SSUBSCRIBE", added)] {
            if !channels.is_empty() {
                let channels = channels.iter().map(String::as_str);
                pipelined(command, channels).exec_async(connection).await?;
            }
        }
        self.confirm();
        Ok(())
    }

    fn confirm(&mut self) {
        for confirmation in self.confirmations.drain(..) {
            // The request may have timed out.
            let _ = confirmation.send(());
        }
    }

    /// Checks that the connection replies, and that it receives what another connection publishes.
    async fn check(&self, connection: &mut MultiplexedConnection) -> RedisResult<()> {
        let timed_out = |_| std::io::Error::from(std::io::ErrorKind::TimedOut);
        let ping = redis::cmd("PING");
        timeout(PUBSUB_TIMEOUT, ping.exec_async(connection))
            .await
            .map_err(timed_out)??;
        // A failure to publish is a failure of another connection.
        let channel = std::iter::once(self.check_channel.clone());
        let published = timeout(PUBSUB_TIMEOUT, self.store.publish(channel, "")).await;
        if published.is_ok_and(|result| result.is_ok()) {
            timeout(PUBSUB_TIMEOUT, self.check_received.notified())
                .await
                .map_err(timed_out)?;
        }
        Ok(())
    }
}

/// One command for each channel. Channels in one command must be of the same slot of a cluster, and each would
/// have a reply of its own.
fn pipelined<'a>(command: &str, channels: impl Iterator<Item = &'a str>) -> Pipeline {
    let mut pipeline = redis::pipe();
    for channel in channels {
        pipeline.cmd(command).arg(channel).ignore();
    }
    pipeline
}

/// The channel and the text of a message.
fn channel_and_text(data: Vec<Value>) -> Option<(String, String)> {
    redis::from_redis_value(Value::Array(data)).ok()
}
