//! Services whose older messages are in an archive of the test.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use duologue::archive::{Archive, ObjectName};
use duologue::metrics::Metrics;
use duologue::model::{Pair, Retention, UserId};
use duologue::store::{ArchivePolicy, Keys, Store};
use duologue::worker::archive::find_long;
use serde_json::Value;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::store::outbox::is_in_two_steps;
use super::{TestApp, spawn_app_with};

/// The messages of a conversation that stay in Redis, and those of a segment.
pub const HOT: u64 = 10;
pub const SEGMENT: u16 = 5;

/// A service with an archive in a folder.
pub struct ArchivedApp {
    pub app: TestApp,
    /// Moves messages when the test wants it, in place of the worker.
    pub store: Store,
    pub folder: TempDir,
}

impl std::ops::Deref for ArchivedApp {
    type Target = TestApp;

    fn deref(&self) -> &TestApp {
        &self.app
    }
}

/// The URL of a folder.
pub fn url_of(folder: &Path) -> String {
    format!("file://{}", folder.display())
}

/// The settings of a service with an archive at a URL, and few messages in Redis.
pub fn settings(url: &str) -> Vec<String> {
    let (hot, segment) = (HOT.to_string(), SEGMENT.to_string());
    let settings = [
        "--archive",
        url,
        "--hot-messages",
        &hot,
        "--archive-segment",
        &segment,
    ];
    settings.map(str::to_owned).to_vec()
}

/// A service with an archive, and more settings.
pub fn spawn_archived_with(more: &[&str]) -> ArchivedApp {
    let folder = tempfile::tempdir().unwrap();
    let url = url_of(folder.path());
    let settings = settings(&url);
    let settings: Vec<_> = settings
        .iter()
        .map(String::as_str)
        .chain(more.iter().copied())
        .collect();
    let app = spawn_app_with(&settings);
    let store = store_of(&app, &url, Retention::default());
    ArchivedApp { app, store, folder }
}

pub fn spawn_archived() -> ArchivedApp {
    spawn_archived_with(&[])
}

/// A store on the Redis of a service, with an archive.
pub fn store_of(app: &TestApp, url: &str, retention: Retention) -> Store {
    let metrics = Arc::new(Metrics::new());
    let store = Store::new(&app.redis_url, None, retention, metrics.clone()).unwrap();
    let store = if is_in_two_steps() {
        store.in_two_steps()
    } else {
        store
    };
    let policy = ArchivePolicy {
        hot: HOT,
        segment: SEGMENT,
        grace: Duration::from_secs(3600),
    };
    store.with_archive(Archive::open(url, metrics).unwrap(), policy)
}

/// The name of the conversation of two users.
pub fn pair(one: &str, other: &str) -> String {
    let user = |id: &str| UserId::try_from(id.to_owned()).unwrap();
    Pair::of(&user(one), &user(other)).as_str().to_owned()
}

impl ArchivedApp {
    /// Lets the archive fail until [`Self::repair_archive`]. Neither folders nor files can be read or written, even by root, if a
    /// file is in their place.
    pub fn break_archive(&self) {
        fs::rename(self.folder.path(), self.hidden()).unwrap();
        fs::write(self.folder.path(), "").unwrap();
    }

    /// Lets it work again.
    pub fn repair_archive(&self) {
        fs::remove_file(self.folder.path()).unwrap();
        fs::rename(self.hidden(), self.folder.path()).unwrap();
    }

    fn hidden(&self) -> PathBuf {
        self.folder.path().with_extension("hidden")
    }

    /// Moves all messages of a conversation that are to move. Returns their number.
    pub async fn archive(&self, name: &str) -> u64 {
        self.store.find_nodes().await.unwrap();
        let mut moved = 0;
        loop {
            match self.store.move_to_archive(name).await.unwrap() {
                0 => return moved,
                some => moved += some,
            }
        }
    }

    /// Notes every long conversation, also of those that have been long for a while.
    pub async fn find_long(&self) {
        find_long(&self.store, &CancellationToken::new())
            .await
            .unwrap();
    }

    /// The number of messages of a conversation in Redis.
    pub fn hot(&self, name: &str) -> u64 {
        let [messages, _] = Keys::new().named(name);
        redis::Commands::llen(&mut self.redis(), messages).unwrap()
    }

    /// A field of the meta of a conversation.
    pub fn meta(&self, name: &str, field: &str) -> Option<String> {
        let [_, meta] = Keys::new().named(name);
        let text: Option<Vec<u8>> = redis::Commands::hget(&mut self.redis(), meta, field).unwrap();
        text.map(|text| String::from_utf8_lossy(&text).into_owned())
    }

    /// Removes the messages of the archive from a list of messages of a conversation, the newest of which has a seq.
    pub fn remove_archived(&self, name: &str, messages: &mut Value, last: u64) {
        let border = last - self.hot(name);
        let messages = messages.as_array_mut().unwrap();
        messages.retain(|message| message["seq"].as_u64() > Some(border));
    }

    /// Replaces the messages of a conversation in the archive, which no service does without a change of each.
    pub fn rewrite(&self, name: &str, change: impl Fn(&str) -> String) {
        let ([_, meta], mut redis) = (Keys::new().named(name), self.redis());
        let fields: Vec<String> = redis::Commands::hkeys(&mut redis, &meta).unwrap();
        for field in fields.iter().filter(|field| field.starts_with("segment:")) {
            let stored: Vec<u8> = redis::Commands::hget(&mut redis, &meta, field).unwrap();
            let mut parts: Vec<_> = stored
                .splitn(5, |byte| *byte == b'|')
                .map(<[u8]>::to_vec)
                .collect();
            let [low, id] =
                [0, 3].map(|part: usize| String::from_utf8(parts[part].clone()).unwrap());
            let is_object =
                |path: &PathBuf| path.to_string_lossy().contains(&format!("/{low}-{id}."));
            let path = self.objects().into_iter().find(is_object).unwrap();
            let text = zstd::decode_all(&*std::fs::read(&path).unwrap()).unwrap();
            let lines = String::from_utf8(text).unwrap();
            let lines: String = lines.lines().map(|line| change(line) + "\n").collect();
            let new = ObjectName::of(name, low.parse().unwrap());
            let file = format!("{low}-{}.jsonl.zst", new.id());
            std::fs::write(
                path.with_file_name(file),
                zstd::encode_all(lines.as_bytes(), 3).unwrap(),
            )
            .unwrap();
            let (_, sent_at) = lines.split_once("\"sent_at\":\"").unwrap();
            parts[2] = sent_at.as_bytes()[..24].to_vec();
            parts[3] = new.id().as_bytes().to_vec();
            redis::Commands::hset::<_, _, _, ()>(&mut redis, &meta, field, parts.join(&b'|'))
                .unwrap();
        }
        // When the oldest message was sent is not known any more.
        if let Some(archive) = self.meta(name, "archive") {
            let (numbers, _) = archive.rsplit_once('|').unwrap();
            redis::Commands::hset::<_, _, _, ()>(
                &mut redis,
                &meta,
                "archive",
                format!("{numbers}|"),
            )
            .unwrap();
        }
    }

    /// The objects in the folder.
    pub fn objects(&self) -> Vec<PathBuf> {
        objects_in(self.folder.path())
    }
}

/// The files below a folder, sorted.
pub fn objects_in(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// A JSON value without what differs from service to service: ids, versions and times.
pub fn normalized(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(normalized).collect(),
        Value::Object(members) => {
            let differs = [
                "id",
                "sent_at",
                "edited_at",
                "deleted_at",
                "expires_at",
                "request_id",
                "updated_at",
            ];
            let members = members.iter().map(|(name, value)| {
                let value = if differs.contains(&name.as_str()) {
                    Value::Bool(!value.is_null())
                } else {
                    normalized(value)
                };
                (name.clone(), value)
            });
            members.collect::<serde_json::Map<_, _>>().into()
        }
        other => other.clone(),
    }
}
