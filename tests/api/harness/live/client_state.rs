//! Everything a user can see, read by `GET` requests only.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::time::Duration;

use reqwest::RequestBuilder;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::harness::http::response::ApiResponse;
use crate::harness::live::connect_options::ConnectOptions;

/// How long a request is retried while the service is unavailable.
pub const TIMEOUT: Duration = Duration::from_secs(60);
/// The members of a conversation in events and rows, except its messages.
const MEMBERS: [&str; 5] = [
    "unread_count",
    "last_seq",
    "read_seq",
    "peer_read_seq",
    "peer_delivered_seq",
];
/// The members of the unread totals.
const TOTALS: [&str; 3] = [
    "total_unread_count",
    "unread_conversations",
    "muted_unread_count",
];

/// A user's inbox and conversations.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ClientState {
    /// The unread totals.
    pub totals: [u64; 3],
    /// The rows of the inbox by peer: members and the last message.
    pub rows: BTreeMap<String, Value>,
    /// The messages of each conversation by seq, without empty conversations.
    pub messages: BTreeMap<String, BTreeMap<u64, Value>>,
}

impl ClientState {
    /// Compares the state with the expected one.
    pub fn assert_equals(&self, truth: &Self, user: &str) {
        same(&format!("rows of {user}"), &self.rows, &truth.rows);
        let of = |state: &Self| state.messages.keys().cloned().collect::<Vec<_>>();
        assert_eq!(of(self), of(truth), "conversations of {user}");
        for (peer, messages) in &truth.messages {
            same(
                &format!("{user} and {peer}"),
                &self.messages[peer],
                messages,
            );
        }
        assert_eq!(self.totals, truth.totals, "the badge of {user}");
    }
}

/// Reads as one user from one service.
pub struct StateReader<'a> {
    pub options: &'a ConnectOptions,
    pub user: &'a str,
}

impl StateReader<'_> {
    /// The whole state, as the service returns it.
    pub async fn all(&self) -> ClientState {
        let path = format!("/users/{}/unread", self.user);
        let mut state = ClientState {
            totals: totals(&self.get(&path, &[]).await),
            ..ClientState::default()
        };
        let path = format!("/conversations/{}", self.user);
        let mut cursor = None::<String>;
        loop {
            let more = cursor.as_ref().map(|cursor| ("cursor", &**cursor));
            let query: Vec<_> = more.into_iter().chain([("limit", "200")]).collect();
            let page = self.get(&path, &query).await;
            for of in page["conversations"].as_array().unwrap() {
                let peer = text(of, "peer");
                let messages = self.history(&peer).await;
                state.messages.insert(peer.clone(), messages);
                let row = row(&peer, of, &of["last_message"]);
                state.rows.insert(peer, row);
            }
            match page["next_cursor"].as_str() {
                Some(next) => cursor = Some(next.to_owned()),
                None => return state,
            }
        }
    }

    /// All messages of a conversation, page by page.
    pub async fn history(&self, peer: &str) -> BTreeMap<u64, Value> {
        let path = format!("/conversations/{}/{peer}", self.user);
        let (mut messages, mut before) = (BTreeMap::new(), None::<String>);
        loop {
            let more = before.as_ref().map(|seq| ("before", &**seq));
            let query: Vec<_> = more
                .into_iter()
                .chain([("peek", "true"), ("limit", "200")])
                .collect();
            let page = self.get(&path, &query).await;
            for message in page["history"].as_array().unwrap() {
                messages.insert(message["seq"].as_u64().unwrap(), message.clone());
            }
            match page["next_before"].as_u64() {
                Some(next) => before = Some(next.to_string()),
                None => return messages,
            }
        }
    }

    async fn get(&self, path: &str, query: &[(&str, &str)]) -> Value {
        self.ask(|| self.options.get(path, query)).await
    }

    /// Sends a request and repeats it while the service is unavailable.
    pub async fn ask(&self, request: impl Fn() -> RequestBuilder) -> Value {
        let deadline = Instant::now() + TIMEOUT;
        loop {
            let answer = async { ApiResponse::try_read(request().send().await?).await };
            let why = match answer.await {
                Ok(answer) if answer.status == 200 => return answer.json(200),
                Ok(answer) if matches!(answer.status, 408 | 429 | 503) => answer.text,
                Ok(answer) => panic!("{answer:?}"),
                Err(error) => error.to_string(),
            };
            assert!(Instant::now() < deadline, "{}: {why}", self.user);
            sleep(Duration::from_millis(100)).await;
        }
    }
}

/// Compares entry by entry, to show only those that differ.
fn same<K: Ord + Debug>(what: &str, held: &BTreeMap<K, Value>, truth: &BTreeMap<K, Value>) {
    let keys: BTreeSet<_> = held.keys().chain(truth.keys()).collect();
    let different: Vec<_> = keys
        .into_iter()
        .filter(|key| held.get(key) != truth.get(key))
        .map(|key| {
            format!(
                "{key:?}: held {:?}\n  in truth {:?}",
                held.get(key),
                truth.get(key)
            )
        })
        .collect();
    let some = &different[..different.len().min(5)];
    assert!(
        different.is_empty(),
        "{what}: {} differ\n{}",
        different.len(),
        some.join("\n")
    );
}

/// A row of the inbox: the members that events have too, and the last message.
pub fn row(peer: &str, members: &Value, last: &Value) -> Value {
    let mut row = json!({"peer": peer, "updated_at": last["sent_at"], "last_message": last});
    for name in MEMBERS {
        row[name] = members[name].clone();
    }
    row
}

pub fn totals(of: &Value) -> [u64; 3] {
    TOTALS.map(|name| of[name].as_u64().unwrap())
}

#[track_caller]
pub fn text(of: &Value, name: &str) -> String {
    let text = of[name].as_str();
    text.unwrap_or_else(|| panic!("no {name}: {of}")).to_owned()
}
