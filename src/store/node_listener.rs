//! The pub/sub connection to one node.
//!
//! A published event only wakes sessions; they read the stream. So the connection may lose events
//! but must not fail unnoticed: every two seconds it is pinged, and a message that this process
//! publishes to its own channel must arrive. After a failure, and when the node ends a subscription because its
//! slot has moved, the connection is opened again, all subscriptions are restored, and the handler receives
//! [`PubSubMessage::Gap`].

use std::collections::HashSet;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Pipeline, PushInfo, PushKind, RedisResult, Value};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use uuid::Uuid;

use super::pubsub::{MessageHandler, PubSubMessage, SubscriptionRequest};
use super::{Keys, Node, Store, connection};

/// Interval between two checks of the connection.
const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(2);
/// How long the connection may take to reply, or to deliver a published message.
const PUBSUB_TIMEOUT: Duration = Duration::from_millis(1500);
/// Pause between two attempts to connect.
const RETRY_DELAY: Duration = Duration::from_millis(100);
/// Maximum number of subscriptions in one round trip.
pub(super) const BATCH: usize = 1000;

/// Listens to the channels of one node until the sender of its requests is dropped.
pub(super) struct NodeListener {
    store: Store,
    node: Node,
    handler: MessageHandler,
    requests: mpsc::UnboundedReceiver<SubscriptionRequest>,
    /// The channels to be subscribed to.
    channels: HashSet<String>,
    /// Requests whose subscription Redis has not confirmed.
    confirmations: Vec<oneshot::Sender<()>>,
    /// Whether events may be missing until the next subscription is confirmed.
    has_gap: bool,
    /// The channel that [`Self::check`] publishes to. A user who chose the same name as an id would
    /// receive only empty messages.
    check_channel: String,
    check_received: Arc<Notify>,
    /// Subscriptions that were ended and whose end the node has not confirmed.
    ending: Arc<AtomicUsize>,
}

impl NodeListener {
    pub(super) fn new(
        store: Store,
        node: Node,
        handler: MessageHandler,
        requests: mpsc::UnboundedReceiver<SubscriptionRequest>,
    ) -> Self {
        Self {
            store,
            node,
            handler,
            requests,
            channels: HashSet::new(),
            confirmations: Vec::new(),
            has_gap: false,
            check_channel: String::new(),
            check_received: Arc::new(Notify::new()),
            ending: Arc::default(),
        }
    }

    /// Connects, subscribes and passes messages to the handler until there are no more requests.
    pub(super) async fn run(mut self) {
        loop {
            // Those that came while there was no connection.
            let mut requests = Vec::new();
            while let Ok(request) = self.requests.try_recv() {
                requests.push(request);
            }
            self.note(requests.drain(..));
            let broken = Arc::new(Notify::new());
            match self.connect(broken.clone()).await {
                Ok(mut connection) => {
                    self.confirm();
                    match self.serve(&mut connection, &broken).await {
                        Ok(true) => return,
                        result => {
                            let error = result.err();
                            tracing::warn!(?error, node = %self.node, "the pub/sub connection to Redis broke");
                        }
                    }
                    self.has_gap = true;
                }
                Err(_) if self.requests.is_closed() => return,
                Err(_) => {}
            }
            self.store.topology.refresh();
            sleep(RETRY_DELAY).await;
        }
    }

    /// Connects and subscribes to all channels.
    async fn connect(&mut self, broken: Arc<Notify>) -> RedisResult<MultiplexedConnection> {
        self.choose_check_channel();
        self.ending = Arc::default();
        let on_push = self.push_handler(broken);
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(connection::TIMEOUT))
            .set_response_timeout(Some(connection::TIMEOUT))
            .set_push_sender(on_push);
        let client = self.store.topology.client(&self.node).await?;
        let connecting = client.get_multiplexed_async_connection_with_config(&config);
        let mut connection = connecting.await?;
        let channels: Vec<_> = self.channels.iter().chain([&self.check_channel]).collect();
        for channels in channels.chunks(BATCH) {
            let channels = channels.iter().map(|channel| channel.as_str());
            pipelined("SSUBSCRIBE", channels)
                .exec_async(&mut connection)
                .await?;
        }
        Ok(connection)
    }

    fn push_handler(
        &self,
        broken: Arc<Notify>,
    ) -> impl Fn(PushInfo) -> Result<(), Infallible> + Send + Sync + 'static {
        let check_channel = self.check_channel.clone();
        let check_received = self.check_received.clone();
        let (handler, ending) = (self.handler.clone(), self.ending.clone());
        move |push: PushInfo| {
            match push.kind {
                PushKind::SMessage => match channel_and_text(push.data) {
                    Some((channel, _)) if channel == check_channel => check_received.notify_one(),
                    Some((channel, _)) if Keys::is_feed(&channel) => {
                        handler(PubSubMessage::FeedEvent);
                    }
                    Some((channel, text)) => {
                        if let Some(channel) = Keys::parse_channel(&channel) {
                            handler(PubSubMessage::Event { channel, text });
                        }
                    }
                    None => (),
                },
                // The slot of a channel has moved. redis-rs takes this for the reply of another command, so the
                // connection is of no use any more.
                PushKind::SUnsubscribe if !is_expected(&ending) => broken.notify_one(),
                PushKind::Disconnection => broken.notify_one(),
                _ => (),
            }
            Ok(())
        }
    }

    /// Names a channel whose slot this node has.
    fn choose_check_channel(&mut self) {
        let is_here = |channel: &str| self.store.topology.node_of(channel) == self.node;
        if self.check_channel.is_empty() || !is_here(&self.check_channel) {
            let process = Uuid::now_v7();
            let named = |n| self.store.keys.events(&format!("process~{process}~{n}"));
            // A node without slots has no channel; it is about to leave.
            let found = (0..10_000).map(named).find(|channel| is_here(channel));
            self.check_channel = found.unwrap_or_else(|| named(0));
        }
    }

    /// Processes requests until the connection breaks, or (`true`) until there are no more.
    async fn serve(
        &mut self,
        connection: &mut MultiplexedConnection,
        broken: &Notify,
    ) -> RedisResult<bool> {
        let mut heartbeat = interval(HEARTBEAT_INTERVAL);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut requests = Vec::new();
        loop {
            tokio::select! {
                () = broken.notified() => return Ok(false),
                received = self.requests.recv_many(&mut requests, BATCH) => {
                    if received == 0 {
                        return Ok(true);
                    }
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
        let changed = self.note(requests);
        let (added, removed): (Vec<_>, Vec<_>) = changed
            .into_iter()
            .partition(|channel| self.channels.contains(channel));
        self.ending.fetch_add(removed.len(), Ordering::AcqRel);
        for (command, channels) in [("SUNSUBSCRIBE", removed), ("SSUBSCRIBE", added)] {
            if !channels.is_empty() {
                let channels = channels.iter().map(String::as_str);
                pipelined(command, channels).exec_async(connection).await?;
            }
        }
        self.confirm();
        Ok(())
    }

    /// Changes the channels, and returns those that the requests name.
    fn note(&mut self, requests: impl Iterator<Item = SubscriptionRequest>) -> HashSet<String> {
        let mut changed = HashSet::new();
        for request in requests {
            match request {
                SubscriptionRequest::Subscribe(channel, confirmation) => {
                    self.channels.insert(channel.clone());
                    self.confirmations.push(confirmation);
                    changed.insert(channel);
                }
                SubscriptionRequest::Resume(channel) => {
                    self.channels.insert(channel.clone());
                    self.has_gap = true;
                    changed.insert(channel);
                }
                SubscriptionRequest::Unsubscribe(channel) => {
                    self.channels.remove(&channel);
                    changed.insert(channel);
                }
            }
        }
        changed
    }

    /// All channels are subscribed to.
    fn confirm(&mut self) {
        for confirmation in self.confirmations.drain(..) {
            // The request may have timed out.
            let _ = confirmation.send(());
        }
        if std::mem::take(&mut self.has_gap) {
            tracing::warn!(node = %self.node, "the subscriptions to Redis are restored");
            (self.handler)(PubSubMessage::Gap);
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

/// Whether the end of a subscription was asked for.
fn is_expected(ending: &AtomicUsize) -> bool {
    let one_less = |ending: usize| ending.checked_sub(1);
    ending
        .fetch_update(Ordering::AcqRel, Ordering::Acquire, one_less)
        .is_ok()
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
