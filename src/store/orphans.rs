//! Objects of the archive that Redis does not know, because it lost the note of them: it was killed, or a backup was
//! restored.

use std::collections::HashSet;
use std::future::ready;

use chrono::{DateTime, Utc};
use futures_util::{StreamExt, TryStreamExt};

use super::retention::FoundConversation;
use super::script::{LIST_GARBAGE, LIST_SEGMENTS};
use super::{PARTITIONS, Store};
use crate::archive::ObjectName;
use crate::error::Error;

/// Number of objects that one script lists.
const STEP: &str = "500";

/// Objects that Redis knows, by their ids.
#[derive(Default)]
pub struct KnownObjects(HashSet<String>);

impl KnownObjects {
    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Store {
    /// Some objects that were written before a time and that Redis does not know.
    pub async fn find_unknown_objects(
        &self,
        known: &KnownObjects,
        before: DateTime<Utc>,
        limit: usize,
    ) -> Result<Vec<ObjectName>, Error> {
        let Some(store) = self.archive.as_deref() else {
            return Ok(Vec::new());
        };
        let objects = store.archive.list(before);
        let unknown = objects.try_filter(|object| ready(!known.0.contains(object.id())));
        unknown.take(limit).try_collect().await
    }

    /// Adds the objects of the segments of a conversation.
    pub async fn add_segments(
        &self,
        conversation: &FoundConversation,
        known: &mut KnownObjects,
    ) -> Result<(), Error> {
        let [_, meta] = self.keys.named(&conversation.name());
        let mut next = 0;
        loop {
            let (objects, after) = self.list_segments(&meta, next).await?;
            known.0.extend(objects);
            next = after;
            if next == 0 {
                return Ok(());
            }
        }
    }

    /// Adds the objects that are to be deleted.
    pub async fn add_garbage(&self, known: &mut KnownObjects) -> Result<(), Error> {
        for partition in 0..PARTITIONS {
            let garbage = self.keys.garbage_of(partition.into());
            let mut cursor = "0".to_owned();
            loop {
                let objects;
                (cursor, objects) = self.list_garbage(&garbage, &cursor).await?;
                let ids = objects.into_iter().map(ObjectName::stored);
                known.0.extend(ids.map(|object| object.id().to_owned()));
                if cursor == "0" {
                    break;
                }
            }
        }
        Ok(())
    }

    /// The objects of some segments of a conversation, and the number of the next segment, 0 at the end.
    pub async fn list_segments(&self, meta: &str, start: u64) -> Result<(Vec<String>, u64), Error> {
        let start = start.to_string();
        let args = [&start, STEP].map(str::as_bytes);
        self.run(&LIST_SEGMENTS, &[meta.to_owned()], &args).await
    }

    /// The cursor of the next part, `0` at the end, and some objects that are to be deleted.
    pub async fn list_garbage(
        &self,
        garbage: &str,
        cursor: &str,
    ) -> Result<(String, Vec<String>), Error> {
        let args = [cursor, STEP].map(str::as_bytes);
        self.run(&LIST_GARBAGE, &[garbage.to_owned()], &args).await
    }

    /// Notes an object to be deleted, unless its conversation has it. Returns whether it did.
    pub async fn note_orphan(&self, object: &ObjectName) -> Result<bool, Error> {
        let Some(store) = self.archive.as_deref() else {
            return Ok(false);
        };
        let Some(message) = store.archive.read_first(object).await? else {
            return Ok(false);
        };
        let message = message.parse()?;
        let conversation = message.to.conversation_of(&message.from);
        let before = message.seq.get().saturating_sub(1);
        let found = self.find_segment(&conversation, before).await?;
        if found
            .segment
            .is_some_and(|segment| segment.object == object.id())
        {
            return Ok(false);
        }
        let grace = i64::try_from(store.policy.grace.as_millis()).unwrap_or(i64::MAX);
        let due = Utc::now().timestamp_millis().saturating_add(grace);
        self.note_object(&conversation, object, due).await?;
        Ok(true)
    }
}
