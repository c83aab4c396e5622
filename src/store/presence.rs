//! Who is there, in Redis.

use super::events::EVENTS_S;
use super::script::{FIND_LAPSED, LEAVE_PRESENCE, READ_PRESENCE, RENEW_PRESENCE};
use super::{RateLimited, Store, connection};
use crate::error::{Code, Error};
use crate::model::{Presence, UserId};
use crate::protocol::Event;
use crate::rate::RateLimitRequest;

/// Milliseconds for which a process' word holds that a user is there.
const LEASE_MS: &str = "40000";
/// Seconds for which it is remembered when a user was last there: 90 days.
const KEEP_S: &str = "7776000";
/// Users whose end one call looks for.
const SWEEP: &str = "100";

/// What was found when a presence was renewed.
pub struct Renewed {
    /// That the user was not there before.
    pub came: bool,
    /// That there is a journal. Without one nobody is told of anything.
    pub kept: bool,
}

impl Store {
    /// Says that a user has a connection to this process, which holds for 40 s; answers what was
    /// found.
    pub async fn renew_presence(&self, user: &UserId, process: &str) -> Result<Renewed, Error> {
        let name = user.as_str();
        let keys = [
            self.keys.presence(name),
            self.keys.leases(name),
            self.keys.events(name),
        ];
        let args = [name, process, LEASE_MS, KEEP_S, EVENTS_S].map(str::as_bytes);
        let (came, kept) = self.run::<(u8, u8)>(&RENEW_PRESENCE, &keys, &args).await?;
        Ok(Renewed {
            came: came == 1,
            kept: kept == 1,
        })
    }

    /// Says that a user has none any more; answers the end of the user's presence, if it is that.
    /// Without a process only those are forgotten that have not said so for longer than that.
    pub async fn leave_presence(
        &self,
        user: &UserId,
        process: Option<&str>,
    ) -> Result<Option<Presence>, Error> {
        let name = user.as_str();
        let keys = [self.keys.presence(name), self.keys.leases(name)];
        let args = [name, process.unwrap_or_default(), LEASE_MS, KEEP_S].map(str::as_bytes);
        let (went, last) = self.run::<(u8, i64)>(&LEAVE_PRESENCE, &keys, &args).await?;
        Ok((went == 1).then(|| Presence::of(user.clone(), false, last)))
    }

    /// Users of a partition of whom no process says any more that they are there, some of them.
    pub async fn find_lapsed(&self, partition: usize) -> Result<Vec<UserId>, Error> {
        let keys = [self.keys.leases_of(partition)];
        let args = [LEASE_MS.as_bytes(), SWEEP.as_bytes()];
        let found = self.run::<Vec<String>>(&FIND_LAPSED, &keys, &args).await?;
        let users = found.into_iter().map(UserId::try_from);
        users
            .collect::<Result<_, _>>()
            .map_err(|why| Error::new(Code::Internal, why))
    }

    /// Whether a user is there, as `viewer` may know; a backend, which is none, may know of all.
    pub async fn read_presence(
        &self,
        user: &UserId,
        viewer: Option<&UserId>,
        charge: Option<&RateLimitRequest>,
    ) -> Result<RateLimited<Presence>, Error> {
        let name = user.as_str();
        let keys = [self.keys.presence(name), self.keys.conversations(name)];
        let viewer = viewer.filter(|viewer| *viewer != user);
        let args = [viewer.map_or("", UserId::as_str), LEASE_MS].map(str::as_bytes);
        let read = self.run_charged::<(u8, i64)>(&READ_PRESENCE, charge, &keys, &args);
        read.await?
            .try_map(|(online, last)| Ok(Presence::of(user.clone(), online == 1, last)))
    }

    /// Tells those who have a conversation with the user and are connected, except whom the user
    /// has blocked. Goes through all conversations, step by step: some 2 us of Redis each.
    pub async fn announce_presence(&self, presence: &Presence) -> Result<(), Error> {
        let (user, event) = (&presence.user, Event::presence_changed(presence).to_json());
        let mut cursor = Some("0".to_owned());
        while let Some(from) = cursor {
            let (conversations, next) = self.scan_conversations(user, &from).await?;
            let may_know = conversations.iter().filter(|(_, blocked)| !blocked);
            let channels = may_know.map(|(peer, _)| self.keys.events(peer.as_str()));
            self.publish(channels, &event).await?;
            cursor = next;
        }
        Ok(())
    }

    /// Publishes to channels, over the pool.
    pub(super) async fn publish(
        &self,
        channels: impl Iterator<Item = String>,
        text: &str,
    ) -> Result<(), Error> {
        let mut pipeline = redis::pipe();
        for channel in channels {
            pipeline.publish(channel, text).ignore();
        }
        if pipeline.is_empty() {
            return Ok(());
        }
        let unavailable = |_| Error::from(Code::Unavailable);
        let published = async {
            let connection = self.pool.get().await;
            let mut connection = connection.map_err(|_| Error::from(Code::Unavailable))?;
            let published = pipeline.query_async::<()>(&mut connection).await;
            published.map_err(|_| Error::from(Code::Unavailable))
        };
        tokio::time::timeout(connection::TIMEOUT, published)
            .await
            .map_err(unavailable)?
    }
}
