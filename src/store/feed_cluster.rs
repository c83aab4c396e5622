//! Taking events on a cluster, where each partition is in a slot of its own and so takes a call.

use std::collections::BTreeSet;

use futures_util::future::try_join_all;
use futures_util::{StreamExt, TryStreamExt, stream};

use super::Store;
use super::feed::{Take, random_below};
use super::subscriptions::CONCURRENCY;
use crate::error::Error;
use crate::model::RawFeedEvent;

/// The space of a page for further events.
#[derive(Clone, Copy)]
pub(super) struct PageSpace {
    pub(super) events: usize,
    /// A page exceeds its size by a few events.
    pub(super) bytes: usize,
}

impl PageSpace {
    pub(super) fn is_full(self) -> bool {
        self.events == 0 || self.bytes == 0
    }

    pub(super) fn occupy(&mut self, events: &[RawFeedEvent]) {
        let bytes: usize = events.iter().map(|event| event.data.len()).sum();
        self.events = self.events.saturating_sub(events.len());
        self.bytes = self.bytes.saturating_sub(bytes);
    }

    pub(super) fn divided_by(self, count: usize) -> Self {
        Self {
            events: self.events / count,
            bytes: self.bytes / count,
        }
    }
}

impl Store {
    /// Takes events on a cluster, where each partition is in a slot of its own: first those that the consumer has
    /// not acknowledged, then new ones of the other partitions.
    pub(super) async fn take_by_partition(
        &self,
        take: &Take<'_>,
        partitions: &BTreeSet<u16>,
        mut space: PageSpace,
    ) -> Result<Vec<RawFeedEvent>, Error> {
        let mut events = self.take_again(take, partitions, space).await?;
        space.occupy(&events);
        let given = events.iter().map(|event| event.id.partition());
        let given: BTreeSet<_> = given.collect();
        let others = partitions.difference(&given).copied().collect();
        events.extend(self.take_new(take, others, space).await?);
        Ok(events)
    }

    /// The events that the consumer was given before and has not acknowledged.
    async fn take_again(
        &self,
        take: &Take<'_>,
        partitions: &BTreeSet<u16>,
        mut space: PageSpace,
    ) -> Result<Vec<RawFeedEvent>, Error> {
        let again = partitions
            .iter()
            .map(async |partition| self.take_some(take, &[*partition], space, "again").await);
        let again: Vec<_> = stream::iter(again)
            .buffered(CONCURRENCY)
            .try_collect()
            .await?;
        let mut events = Vec::new();
        for event in again.into_iter().flatten() {
            if space.is_full() {
                break;
            }
            space.occupy(std::slice::from_ref(&event));
            events.push(event);
        }
        Ok(events)
    }

    /// New events: several partitions get a share of the page at a time, and in the end what is left of the page goes
    /// to those that have more.
    async fn take_new(
        &self,
        take: &Take<'_>,
        mut partitions: Vec<u16>,
        mut space: PageSpace,
    ) -> Result<Vec<RawFeedEvent>, Error> {
        let first = random_below(partitions.len());
        partitions.rotate_left(first);
        let (mut events, mut deep) = (Vec::new(), Vec::new());
        while !space.is_full() && !partitions.is_empty() {
            let count = partitions.len().min(CONCURRENCY).min(space.events);
            let wave: Vec<_> = partitions.drain(..count).collect();
            let share = space.divided_by(wave.len());
            let calls = wave
                .iter()
                .map(async |partition| self.take_some(take, &[*partition], share, "new").await);
            for (partition, taken) in wave.iter().zip(try_join_all(calls).await?) {
                let mut left = share;
                left.occupy(&taken);
                if left.is_full() {
                    deep.push(*partition);
                }
                space.occupy(&taken);
                events.extend(taken);
            }
        }
        while let (false, Some(partition)) = (space.is_full(), deep.pop()) {
            let taken = self.take_some(take, &[partition], space, "new").await?;
            space.occupy(&taken);
            events.extend(taken);
        }
        Ok(events)
    }
}
