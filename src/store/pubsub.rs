//! Redis pub/sub: a subscription for each user who is connected to this process and for each room that is watched
//! here, over one connection to each node that has some of them.
//!
//! Channels are sharded (`SPUBLISH`, `SSUBSCRIBE`), also on one Redis: the channel of a user or a room has the hash
//! tag of its keys, so that on a cluster the script that writes these may publish to it. When a slot moves, its
//! channels are subscribed to at its new node.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::try_join_all;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::node_listener::{BATCH, NodeListener};
use super::{Node, PARTITIONS, Store, connection};
use crate::error::{Code, Error};
use crate::model::{RoomName, UserId};

/// Interval between two looks at the map of a cluster, or at the master that sentinels name.
const REFRESH_INTERVAL: Duration = Duration::from_secs(4);
const SENTINEL_INTERVAL: Duration = Duration::from_secs(1);

/// What events are published to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Channel {
    /// The devices of a user.
    User(UserId),
    /// The connections that watch a room.
    Room(RoomName),
}

/// A message of the pub/sub connections.
pub enum PubSubMessage {
    Event {
        channel: Channel,
        /// The event as JSON.
        text: String,
    },
    /// Something was appended to the feed of a partition.
    FeedEvent,
    /// A connection was interrupted, so events of any channel may be missing.
    Gap,
}

/// Handles messages. Runs on the task that reads the connection, so it must not block.
pub(super) type MessageHandler = Arc<dyn Fn(PubSubMessage) + Send + Sync>;

/// A change of the subscriptions, with the channel.
pub(super) enum SubscriptionRequest {
    /// Reports to the sender when Redis has confirmed the subscription.
    Subscribe(String, oneshot::Sender<()>),
    /// Subscribes to a channel whose slot has moved here, so that events may be missing.
    Resume(String),
    Unsubscribe(String),
}

/// A handle on the subscriptions. Requests are processed in order.
#[derive(Clone)]
pub struct PubSub {
    store: Store,
    requests: mpsc::UnboundedSender<SubscriptionRequest>,
}

impl PubSub {
    /// Subscribes to a channel. Events published after this returns are received.
    pub async fn subscribe(&self, channel: &Channel) -> Result<(), Error> {
        let channel = self.store.keys.channel(channel);
        self.subscribe_to(std::iter::once(channel)).await
    }

    /// Subscribes to the feeds of all partitions. What is appended after this returns is reported.
    pub async fn subscribe_to_feeds(&self) -> Result<(), Error> {
        self.subscribe_to(self.feeds()).await
    }

    /// Unsubscribes from a channel.
    pub fn unsubscribe(&self, channel: &Channel) {
        let channel = self.store.keys.channel(channel);
        self.request(SubscriptionRequest::Unsubscribe(channel));
    }

    /// Unsubscribes from the feeds of all partitions.
    pub fn unsubscribe_from_feeds(&self) {
        for channel in self.feeds() {
            self.request(SubscriptionRequest::Unsubscribe(channel));
        }
    }

    async fn subscribe_to(&self, channels: impl Iterator<Item = String>) -> Result<(), Error> {
        let confirmations = channels.map(|channel| {
            let (confirmation, confirmed) = oneshot::channel();
            self.request(SubscriptionRequest::Subscribe(channel, confirmation));
            confirmed
        });
        let confirmed = try_join_all(confirmations);
        match timeout(connection::TIMEOUT, confirmed).await {
            Ok(Ok(_)) => Ok(()),
            _ => Err(Code::Unavailable.into()),
        }
    }

    fn request(&self, request: SubscriptionRequest) {
        // The receiver lives as long as the process.
        let _ = self.requests.send(request);
    }

    fn feeds(&self) -> impl Iterator<Item = String> {
        let partitions = 0..usize::from(PARTITIONS);
        partitions.map(|partition| self.store.keys.feed_of(partition))
    }
}

impl Store {
    /// A handle for subscriptions, and the listener that processes them while it runs.
    pub fn pubsub(&self) -> (PubSub, PubSubListener) {
        let (sender, receiver) = mpsc::unbounded_channel();
        let listener = PubSubListener {
            store: self.clone(),
            requests: receiver,
            channels: HashMap::new(),
            was_run: false,
        };
        let pubsub = PubSub {
            store: self.clone(),
            requests: sender,
        };
        (pubsub, listener)
    }
}

/// The subscriptions of this process.
pub struct PubSubListener {
    store: Store,
    requests: mpsc::UnboundedReceiver<SubscriptionRequest>,
    /// The channels to be subscribed to, and the node of each.
    channels: HashMap<String, Node>,
    was_run: bool,
}

/// The listeners of the nodes that have channels. Dropping it stops them.
struct NodeListeners {
    store: Store,
    handler: MessageHandler,
    requests: HashMap<Node, mpsc::UnboundedSender<SubscriptionRequest>>,
    tasks: JoinSet<()>,
}

impl PubSubListener {
    /// Subscribes and passes messages to the handler, forever. Dropping the future loses no
    /// subscription: the next run restores them.
    pub async fn run(&mut self, handler: impl Fn(PubSubMessage) + Send + Sync + 'static) {
        let mut listeners = NodeListeners {
            store: self.store.clone(),
            handler: Arc::new(handler),
            requests: HashMap::new(),
            tasks: JoinSet::new(),
        };
        if self.was_run {
            for (channel, node) in &mut self.channels {
                *node = self.store.topology.node_of(channel);
                listeners.send(node, SubscriptionRequest::Resume(channel.clone()));
            }
        }
        self.was_run = true;
        let mut changes = self.store.topology.changes();
        let mut refresh = interval(if self.store.topology.has_sentinels() {
            SENTINEL_INTERVAL
        } else {
            REFRESH_INTERVAL
        });
        refresh.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut requests = Vec::new();
        loop {
            tokio::select! {
                _ = self.requests.recv_many(&mut requests, BATCH) => {
                    for request in requests.drain(..) {
                        self.forward(request, &mut listeners);
                    }
                }
                Ok(()) = changes.changed() => self.move_channels(&mut listeners),
                _ = refresh.tick() => self.store.topology.look_again(),
                Some(Err(error)) = listeners.tasks.join_next() => {
                    if let Ok(panic) = error.try_into_panic() {
                        std::panic::resume_unwind(panic);
                    }
                }
            }
        }
    }

    /// Passes a request to the listener of its node.
    fn forward(&mut self, request: SubscriptionRequest, listeners: &mut NodeListeners) {
        match &request {
            SubscriptionRequest::Subscribe(channel, _) | SubscriptionRequest::Resume(channel) => {
                let node = self.store.topology.node_of(channel);
                self.channels.insert(channel.clone(), node.clone());
                listeners.send(&node, request);
            }
            SubscriptionRequest::Unsubscribe(channel) => {
                if let Some(node) = self.channels.remove(channel) {
                    listeners.send(&node, request);
                }
            }
        }
    }

    /// Moves the channels whose node is another one now.
    fn move_channels(&mut self, listeners: &mut NodeListeners) {
        for (channel, node) in &mut self.channels {
            let current = self.store.topology.node_of(channel);
            if *node != current {
                let left = std::mem::replace(node, current);
                listeners.send(&left, SubscriptionRequest::Unsubscribe(channel.clone()));
                listeners.send(node, SubscriptionRequest::Resume(channel.clone()));
            }
        }
        let masters = self.store.topology.masters();
        listeners.requests.retain(|node, _| masters.contains(node));
    }
}

impl NodeListeners {
    /// Sends a request to the listener of a node, which starts if it does not run.
    fn send(&mut self, node: &Node, request: SubscriptionRequest) {
        if !self.requests.contains_key(node) {
            let (sender, requests) = mpsc::unbounded_channel();
            let (store, handler) = (self.store.clone(), self.handler.clone());
            let listener = NodeListener::new(store, node.clone(), handler, requests);
            self.tasks.spawn(listener.run());
            self.requests.insert(node.clone(), sender);
        }
        if let Some(requests) = self.requests.get(node) {
            // A listener ends only when its sender is dropped.
            let _ = requests.send(request);
        }
    }
}
