//! Where the archive is, and the names of its objects.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{ClientConfigKey, ObjectStore, RetryConfig};
use url::Url;

use crate::model::digest;

/// How long a connection to an object store may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// The kinds of URL.
const SCHEMES: [&str; 4] = ["file", "s3", "gs", "az"];

/// The name of an object: `<folder>/<low>-<id>`.
///
/// The folder is a digest of the conversation, because ids can be longer than the names of files, and so that names
/// contain no user. The id is random, so that no object is ever written twice.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ObjectName(String);

impl ObjectName {
    /// A new name for a segment of a conversation that begins with a seq.
    pub fn of(conversation: &str, low: u64) -> Self {
        let mut random = [0; 8];
        // Without randomness of the system nothing works, and TLS fails first.
        let _ = getrandom::fill(&mut random);
        let id = format!("{:016x}", u64::from_be_bytes(random));
        Self::with_id(conversation, low, &id)
    }

    /// The name of an object that exists.
    pub fn with_id(conversation: &str, low: u64, id: &str) -> Self {
        Self(format!("{}/{low}-{id}", digest(conversation.as_bytes())))
    }

    /// A name as Redis has it.
    pub fn stored(name: String) -> Self {
        Self(name)
    }

    /// The name of the object at a path; `None` if it is none of the archive.
    pub(super) fn of_path(path: &Path) -> Option<Self> {
        let (_, name) = path.as_ref().split_once('/')?;
        let name = Self(name.strip_suffix(".jsonl.zst")?.to_owned());
        (name.path() == *path).then_some(name)
    }

    pub fn folder(&self) -> &str {
        self.0.split('/').next().unwrap_or_default()
    }

    pub fn id(&self) -> &str {
        self.0.rsplit('-').next().unwrap_or_default()
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Where the object is: `<2 hex>/<folder>/<low>-<id>.jsonl.zst`.
    pub(super) fn path(&self) -> Path {
        let shard = self.0.get(..2).unwrap_or_default();
        Path::from(format!("{shard}/{}.jsonl.zst", self.0))
    }
}

/// Checks that a URL is one that an archive can have.
pub fn check_url(url: &str) -> Result<(), &'static str> {
    let expected =
        "must be file:///PATH, s3://BUCKET/PREFIX, gs://BUCKET/PREFIX or az://CONTAINER/PREFIX";
    let parsed = Url::parse(url).map_err(|_| expected)?;
    let has_place = match parsed.scheme() {
        "file" => parsed.host_str().is_none() && parsed.path() != "/",
        _ => parsed.host_str().is_some_and(|host| !host.is_empty()),
    };
    if SCHEMES.contains(&parsed.scheme()) && has_place {
        Ok(())
    } else {
        Err(expected)
    }
}

/// The folder of a URL of files; `None` if it is of another kind.
pub(super) fn folder_of(url: &str) -> Option<PathBuf> {
    let url = Url::parse(url).ok().filter(|url| url.scheme() == "file");
    url?.to_file_path().ok()
}

/// Deletes what a process that was killed while it wrote an object has left in a folder, if there is something. Such a
/// file has the name that `LocalFileSystem` gives to an object until it is complete.
pub(super) async fn delete_unfinished(folder: &FilePath, name: &ObjectName) -> io::Result<()> {
    let file = folder.join(format!("{}#1", name.path()));
    match tokio::fs::remove_file(file).await {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The object store at a URL. Its credentials are in the variables that the tools of its provider read.
pub(super) fn open(url: &str) -> Result<Arc<dyn ObjectStore>, String> {
    check_url(url)?;
    let parsed = Url::parse(url).map_err(|e| e.to_string())?;
    if parsed.scheme() == "file" {
        let folder = folder_of(url).ok_or("it is not a path of this system")?;
        return open_folder(&folder);
    }
    let place = parsed.host_str().unwrap_or_default();
    let bucket = format!("{}://{place}", parsed.scheme());
    let retry = RetryConfig {
        max_retries: 2,
        retry_timeout: super::TIMEOUT,
        ..RetryConfig::default()
    };
    let timeouts = [
        (ClientConfigKey::Timeout, super::TIMEOUT),
        (ClientConfigKey::ConnectTimeout, CONNECT_TIMEOUT),
    ];
    let timeouts = timeouts.map(|(key, time)| (key, humantime::format_duration(time).to_string()));
    // One by one, because `with_client_options` would replace those of the variables, such as AWS_ALLOW_HTTP.
    let opened: Result<Arc<dyn ObjectStore>, _> = match parsed.scheme() {
        "s3" => timeouts
            .into_iter()
            .fold(AmazonS3Builder::from_env(), |builder, (key, time)| {
                builder.with_config(AmazonS3ConfigKey::Client(key), time)
            })
            .with_url(bucket)
            .with_retry(retry)
            .build()
            .map(|store| Arc::new(store) as _),
        "gs" => timeouts
            .into_iter()
            .fold(
                GoogleCloudStorageBuilder::from_env(),
                |builder, (key, time)| builder.with_config(GoogleConfigKey::Client(key), time),
            )
            .with_url(bucket)
            .with_retry(retry)
            .build()
            .map(|store| Arc::new(store) as _),
        _ => timeouts
            .into_iter()
            .fold(MicrosoftAzureBuilder::from_env(), |builder, (key, time)| {
                builder.with_config(AzureConfigKey::Client(key), time)
            })
            .with_url(bucket)
            .with_retry(retry)
            .build()
            .map(|store| Arc::new(store) as _),
    };
    let store = opened.map_err(|e| e.to_string())?;
    let prefix = Path::from_url_path(parsed.path()).map_err(|e| e.to_string())?;
    Ok(Arc::new(PrefixStore::new(store, prefix)))
}

/// A folder as an object store. An object is on the disk when it is written, because its messages leave Redis then.
fn open_folder(folder: &FilePath) -> Result<Arc<dyn ObjectStore>, String> {
    // Only this user reads what users have written.
    let mut create = DirBuilder::new();
    let created = create.recursive(true).mode(0o700).create(folder);
    created.map_err(|e| e.to_string())?;
    let store = LocalFileSystem::new_with_prefix(folder).map_err(|e| e.to_string())?;
    Ok(Arc::new(store.with_fsync(true)))
}
