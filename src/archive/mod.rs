//! The archive: older messages of conversations, in an object store. The only module that knows one.
//!
//! Messages are in [`Segment`]s, one to an object. Objects never change: a changed segment is another object, and Redis
//! says which one counts. So a reader needs no lock, and any object store will do.

mod location;
mod segment;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::{Stream, StreamExt, future};
use object_store::{ObjectStore, ObjectStoreExt};
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use tokio::time::timeout;

pub use location::{ObjectName, check_url};
pub use segment::Segment;

use crate::error::{Code, Error};
use crate::metrics::Metrics;
use crate::model::StoredMessage;

/// How long an object may take to be read or written.
const TIMEOUT: Duration = Duration::from_secs(2);
/// Maximum number of bytes of segments that are kept for further reads.
const CACHE_BYTES: u64 = 64 << 20;
/// Number of segments for which the cache is laid out: those of 64 KiB. It can have more and less.
const CACHE_SEGMENTS: usize = 1024;

/// Objects in an object store, and those that were read last. Cheap to clone; clones share them.
#[derive(Clone)]
pub struct Archive {
    objects: Arc<dyn ObjectStore>,
    /// Where objects are files.
    folder: Option<PathBuf>,
    cache: Arc<Cache<ObjectName, Arc<Segment>, SegmentWeighter>>,
    metrics: Arc<Metrics>,
    /// Why the last call failed; `None` if it did not.
    failure: Arc<Mutex<Option<String>>>,
}

/// Why there is no segment.
enum FetchError {
    /// There is no such object.
    Missing,
    Failed(Error),
}

#[derive(Clone)]
struct SegmentWeighter;

impl Weighter<ObjectName, Arc<Segment>> for SegmentWeighter {
    fn weight(&self, _: &ObjectName, segment: &Arc<Segment>) -> u64 {
        segment.bytes() as u64
    }
}

impl Archive {
    /// The archive at a URL. Connects on first use.
    pub fn open(url: &str, metrics: Arc<Metrics>) -> Result<Self, String> {
        let cache = Cache::with_weighter(CACHE_SEGMENTS, CACHE_BYTES, SegmentWeighter);
        Ok(Self {
            objects: location::open(url)?,
            folder: location::folder_of(url),
            cache: Arc::new(cache),
            metrics,
            failure: Arc::default(),
        })
    }

    /// One sentence for each thing that is wrong with the archive, as the last calls of this process found it.
    pub fn warnings(&self) -> Vec<String> {
        let failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        let failure = failure.as_ref().map(|why| {
            format!(
                "the archive does not answer, so messages stay in Redis that are to move: {why}"
            )
        });
        let damaged = self.metrics.archive.failures("damaged").get();
        let damaged = (damaged > 0)
            .then(|| "an object of the archive is damaged or missing; the log names it".to_owned());
        failure.into_iter().chain(damaged).collect()
    }

    fn note_outcome(&self, failure: Option<String>) {
        *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = failure;
    }

    /// Writes and deletes an object, as the service will.
    pub async fn check_writable(&self) -> Result<(), String> {
        let name = ObjectName::of("writable", 0);
        let path = name.path();
        let checked = async {
            self.objects.put(&path, "writable".into()).await?;
            self.objects.delete(&path).await
        };
        match timeout(2 * TIMEOUT, checked).await {
            Ok(checked) => checked.map_err(|error| error.to_string()),
            Err(_) => Err("it does not answer in time".to_owned()),
        }
    }

    /// The segment in an object, with the messages from one seq to another; `None` if there is no such object. However
    /// many callers wait for an object, it is read once.
    pub async fn read(
        &self,
        name: &ObjectName,
        (low, high): (u64, u64),
    ) -> Result<Option<Arc<Segment>>, Error> {
        let mut is_cached = true;
        let fetched = self.cache.get_or_insert_async(name, async {
            is_cached = false;
            self.fetch(name, low, high).await
        });
        // Includes waiting for others who read it, so that they do not fail one after the other.
        let segment = match timeout(TIMEOUT, fetched).await {
            Ok(Ok(segment)) => segment,
            Ok(Err(FetchError::Missing)) => return Ok(None),
            Ok(Err(FetchError::Failed(error))) => return Err(error),
            Err(_) => return Err(self.unavailable(name, "no answer in time")),
        };
        if is_cached {
            self.metrics.archive.cache_hits.inc();
        }
        Ok(Some(segment))
    }

    async fn fetch(
        &self,
        name: &ObjectName,
        low: u64,
        high: u64,
    ) -> Result<Arc<Segment>, FetchError> {
        self.metrics.archive.fetches.inc();
        let path = name.path();
        let read = async { self.objects.get(&path).await?.bytes().await };
        let bytes = match read.await {
            Ok(bytes) => bytes,
            Err(object_store::Error::NotFound { .. }) => return Err(FetchError::Missing),
            Err(error) => {
                let error = self.unavailable(name, &error.to_string());
                return Err(FetchError::Failed(error));
            }
        };
        self.note_outcome(None);
        let decoded = Segment::decode(&bytes, low, high).map(Arc::new);
        decoded.map_err(|why| FetchError::Failed(self.damaged(name, &why)))
    }

    /// The objects that were written before a time.
    pub fn list(&self, before: DateTime<Utc>) -> impl Stream<Item = Result<ObjectName, Error>> {
        let objects = self.objects.list(None);
        objects.filter_map(move |object| {
            let listed = match object {
                Ok(object) if object.last_modified >= before => None,
                Ok(object) => ObjectName::of_path(&object.location).map(Ok),
                Err(error) => Some(Err(Error::new(Code::ArchiveUnavailable, error.to_string()))),
            };
            future::ready(listed)
        })
    }

    /// The first message of an object; `None` if it does not exist, or is not a segment.
    pub async fn read_first(&self, name: &ObjectName) -> Result<Option<StoredMessage>, Error> {
        let path = name.path();
        let read = async { self.objects.get(&path).await?.bytes().await };
        match timeout(TIMEOUT, read).await {
            Ok(Ok(bytes)) => Ok(Segment::first_of(&bytes)),
            Ok(Err(object_store::Error::NotFound { .. })) => Ok(None),
            Ok(Err(error)) => Err(self.unavailable(name, &error.to_string())),
            Err(_) => Err(self.unavailable(name, "no answer in time")),
        }
    }

    /// Writes a segment to an object that does not exist yet.
    pub async fn write(&self, name: &ObjectName, segment: &Segment) -> Result<(), Error> {
        let path = name.path();
        let bytes = segment.encode();
        let bytes = bytes.map_err(|e| Error::new(Code::Internal, e.to_string()))?;
        match timeout(TIMEOUT, self.objects.put(&path, bytes.into())).await {
            Ok(Ok(_)) => {
                self.note_outcome(None);
                self.metrics.archive.segments.inc();
                Ok(())
            }
            Ok(Err(error)) => Err(self.unavailable(name, &error.to_string())),
            Err(_) => Err(self.unavailable(name, "no answer in time")),
        }
    }

    /// Deletes an object, if it exists, and what was written of one that was never complete.
    pub async fn delete(&self, name: &ObjectName) -> Result<(), Error> {
        self.cache.remove(name);
        let path = name.path();
        match timeout(TIMEOUT, self.objects.delete(&path)).await {
            Ok(Ok(()) | Err(object_store::Error::NotFound { .. })) => {}
            Ok(Err(error)) => return Err(self.unavailable(name, &error.to_string())),
            Err(_) => return Err(self.unavailable(name, "no answer in time")),
        }
        let Some(folder) = &self.folder else {
            return Ok(());
        };
        let deleted = location::delete_unfinished(folder, name).await;
        deleted.map_err(|error| self.unavailable(name, &error.to_string()))
    }

    fn unavailable(&self, name: &ObjectName, why: &str) -> Error {
        self.metrics.archive.failures("unavailable").inc();
        tracing::warn!(object = name.as_str(), "the archive does not answer: {why}");
        self.note_outcome(Some(why.to_owned()));
        Code::ArchiveUnavailable.into()
    }

    /// The error of an object that counts and is missing.
    pub fn missing(&self, name: &ObjectName) -> Error {
        self.damaged(name, "there is no such object")
    }

    fn damaged(&self, name: &ObjectName, why: &str) -> Error {
        self.metrics.archive.failures("damaged").inc();
        tracing::error!(
            object = name.as_str(),
            "an object of the archive is damaged or missing: {why}"
        );
        Code::ArchiveDamaged.into()
    }
}
