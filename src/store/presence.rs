//! The presence of users, stored in Redis.

use std::collections::BTreeMap;

use futures_util::future::join_all;

use super::events::EVENTS_S;
use super::script::{FIND_EXPIRED_PRESENCES, LEAVE_PRESENCE, READ_PRESENCE, RENEW_PRESENCE};
use super::{Node, RateLimited, Store, administered, reply};
use crate::error::Error;
use crate::model::{Presence, UserId};
use crate::protocol::Event;
use crate::rate::RateLimitRequest;

/// Seconds for which `last_seen` is stored: 90 days.
const KEEP_S: &str = "7776000";
/// Maximum number of users that one call returns.
const EXPIRED_LIMIT: &str = "100";

/// The outcome of [`Store::renew_presence`].
pub struct PresenceRenewal {
    /// Whether the user was offline before.
    pub came_online: bool,
    /// Whether the user has a journal. Without one the user receives no events.
    pub has_journal: bool,
}

impl Store {
    /// Marks a user as connected to a process for the next 40 s, see `lua/lib/presence.lua`.
    pub async fn renew_presence(
        &self,
        user: &UserId,
        process: &str,
    ) -> Result<PresenceRenewal, Error> {
        let name = user.as_str();
        let keys = [
            self.keys.presence(name),
            self.keys.leases(name),
            self.keys.events(name),
        ];
        let args = [name, process, KEEP_S, EVENTS_S].map(str::as_bytes);
        let reply = self.run::<(u8, u8)>(&RENEW_PRESENCE, &keys, &args);
        let (came_online, has_journal) = reply.await?;
        Ok(PresenceRenewal {
            came_online: came_online == 1,
            has_journal: has_journal == 1,
        })
    }

    /// Marks a user as disconnected from a process, or, without one, only removes processes that have
    /// not renewed the presence in time. Returns the new presence if the user went offline.
    pub async fn leave_presence(
        &self,
        user: &UserId,
        process: Option<&str>,
    ) -> Result<Option<Presence>, Error> {
        let name = user.as_str();
        let keys = [self.keys.presence(name), self.keys.leases(name)];
        let args = [name, process.unwrap_or_default(), KEEP_S].map(str::as_bytes);
        let (went_offline, last_seen) =
            self.run::<(u8, i64)>(&LEAVE_PRESENCE, &keys, &args).await?;
        Ok((went_offline == 1).then(|| Presence::of(user.clone(), false, last_seen)))
    }

    /// At most 100 users of a partition whose presence expired without [`Store::leave_presence`].
    pub async fn find_expired_presences(&self, partition: usize) -> Result<Vec<UserId>, Error> {
        let keys = [self.keys.leases_of(partition)];
        let args = [EXPIRED_LIMIT.as_bytes()];
        let found = self
            .run::<Vec<String>>(&FIND_EXPIRED_PRESENCES, &keys, &args)
            .await?;
        found.into_iter().map(reply::user).collect()
    }

    /// The presence of a user as `viewer` may see it. Without a viewer, for backends, nothing is
    /// hidden.
    pub async fn read_presence(
        &self,
        user: &UserId,
        viewer: Option<&UserId>,
        charge: Option<&RateLimitRequest>,
    ) -> Result<RateLimited<Presence>, Error> {
        let name = user.as_str();
        let keys = [self.keys.presence(name), self.keys.conversations(name)];
        let viewer = viewer.filter(|viewer| *viewer != user);
        let args = [viewer.map_or("", UserId::as_str).as_bytes()];
        let read = self.run_charged::<(u8, i64)>(&READ_PRESENCE, charge, &keys, &args);
        read.await?
            .try_map(|(online, last)| Ok(Presence::of(user.clone(), online == 1, last)))
    }

    /// Publishes a presence event to the peers to whom the user has written and whom the user has not
    /// blocked. Scans the inbox in steps.
    pub async fn announce_presence(&self, presence: &Presence) -> Result<(), Error> {
        let (user, event) = (&presence.user, Event::presence_changed(presence).to_json());
        let mut cursor = Some("0".to_owned());
        while let Some(from) = cursor {
            let (conversations, next) = self.scan_conversations(user, &from).await?;
            let may_know = conversations
                .iter()
                .filter(|(_, row)| row.has_written && !row.entry.flags.blocked());
            let channels = may_know.map(|(peer, _)| self.keys.events(peer.as_str()));
            self.publish(channels, &event).await?;
            cursor = next;
        }
        Ok(())
    }

    /// Publishes a text to the channels that have listeners, node by node.
    pub(super) async fn publish(
        &self,
        channels: impl Iterator<Item = String>,
        text: &str,
    ) -> Result<(), Error> {
        let mut of_nodes = BTreeMap::<Node, Vec<String>>::new();
        for channel in channels {
            let node = self.topology.node_of(&channel);
            of_nodes.entry(node).or_default().push(channel);
        }
        let publishing = of_nodes
            .iter()
            .map(|(node, channels)| administered(self.publish_at(node, channels, text)));
        let published = join_all(publishing).await;
        published.into_iter().collect()
    }

    /// Publishes over a connection of the pool. Counting the listeners of a channel costs Redis a tenth of
    /// publishing.
    async fn publish_at(&self, node: &Node, channels: &[String], text: &str) -> Result<(), String> {
        let mut connection = self.topology.pooled_connection(node).await?;
        let mut count = redis::cmd("PUBSUB");
        count.arg("SHARDNUMSUB").arg(channels);
        let counts: Vec<(String, u64)> = count
            .query_async(&mut connection)
            .await
            .map_err(|e| e.to_string())?;
        let mut pipeline = redis::pipe();
        for (channel, _) in counts.into_iter().filter(|(_, listeners)| *listeners > 0) {
            pipeline.cmd("SPUBLISH").arg(channel).arg(text).ignore();
        }
        if pipeline.is_empty() {
            return Ok(());
        }
        let published = pipeline.query_async::<()>(&mut connection).await;
        published.map_err(|e| e.to_string())
    }
}
