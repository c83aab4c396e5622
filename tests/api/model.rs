//! Random sends, reads, peeks and pages by random users, against a model of twenty lines that says
//! what a conversation is. A difference is shrunk to the shortest story that shows it.

use std::collections::HashMap;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use redis::Commands;
use serde_json::{Value, json};

use crate::harness::{TestApp, keys, spawn_app};

/// One thing that a user does. Users are numbers; a story has names of its own for them.
#[derive(Clone, Debug)]
enum Step {
    Send {
        from: usize,
        to: usize,
        reply_to: Option<u64>,
        metadata: bool,
    },
    Read {
        user: usize,
        peer: usize,
        peek: bool,
        page: Page,
        limit: u64,
    },
}

#[derive(Clone, Copy, Debug)]
enum Page {
    Newest,
    Before(u64),
    After(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let pair = || (0..3_usize, 1..3_usize).prop_map(|(one, by)| (one, (one + by) % 3));
    let page = prop_oneof![
        Just(Page::Newest),
        (0..14_u64).prop_map(Page::Before),
        (0..14_u64).prop_map(Page::After),
    ];
    let send = (pair(), prop::option::weighted(0.3, 0..9_u64), any::<bool>()).prop_map(
        |((from, to), reply_to, metadata)| Step::Send {
            from,
            to,
            reply_to,
            metadata,
        },
    );
    let read =
        (pair(), any::<bool>(), page, 1..6_u64).prop_map(|((user, peer), peek, page, limit)| {
            Step::Read {
                user,
                peer,
                peek,
                page,
                limit,
            }
        });
    prop_oneof![3 => send, 2 => read]
}

/// What is true of all conversations of a story.
#[derive(Default)]
struct Model {
    /// The messages of each pair, oldest first.
    messages: HashMap<(usize, usize), Vec<Value>>,
    /// How far a user has read of the conversation with a peer.
    read: HashMap<(usize, usize), u64>,
}

impl Model {
    fn messages(&mut self, one: usize, other: usize) -> &mut Vec<Value> {
        self.messages
            .entry((one.min(other), one.max(other)))
            .or_default()
    }

    fn unread(&mut self, user: usize, peer: &str, peer_number: usize) -> Vec<Value> {
        let read = self.read.get(&(user, peer_number)).copied().unwrap_or(0);
        let messages = self.messages(user, peer_number).iter().rev();
        let unread = messages.filter(|m| m["seq"].as_u64() > Some(read) && m["from"] == peer);
        unread.cloned().collect()
    }

    /// A page, oldest first, cut by the definition.
    fn page(&mut self, user: usize, peer: usize, page: Page, limit: usize) -> Vec<Value> {
        let all = self.messages(user, peer).clone();
        let within =
            |m: &Value, seq: std::ops::Range<u64>| seq.contains(&m["seq"].as_u64().unwrap());
        let newest = |seqs: std::ops::Range<u64>| {
            let some: Vec<_> = all
                .iter()
                .filter(|m| within(m, seqs.clone()))
                .cloned()
                .collect();
            some[some.len().saturating_sub(limit)..].to_vec()
        };
        match page {
            Page::Newest => newest(0..u64::MAX),
            Page::Before(seq) => newest(0..seq),
            Page::After(seq) => {
                let newer = all.iter().filter(|m| within(m, seq + 1..u64::MAX));
                newer.take(limit).cloned().collect()
            }
        }
    }
}

/// A story being told to the service and to the model at once.
struct Story<'a> {
    app: &'a TestApp,
    names: [String; 3],
    model: Model,
}

impl Story<'_> {
    async fn tell(&mut self, step: &Step) {
        match *step {
            Step::Send {
                from,
                to,
                reply_to,
                metadata,
            } => {
                self.send(from, to, reply_to, metadata).await;
            }
            Step::Read {
                user,
                peer,
                peek,
                page,
                limit,
            } => {
                self.read(user, peer, peek, page, limit).await;
            }
        }
    }

    async fn send(&mut self, from: usize, to: usize, reply_to: Option<u64>, metadata: bool) {
        let (sender, recipient) = (&self.names[from], &self.names[to]);
        let mut message = json!({"from": sender, "to": recipient, "body": "hi"});
        if let Some(seq) = reply_to {
            message["reply_to"] = json!(seq);
        }
        if metadata {
            message["metadata"] = json!({"from": recipient});
        }
        let messages = self.model.messages(from, to);
        let next = messages.len() as u64 + 1;
        let answer = self.app.post(&message).await;
        if reply_to.is_some_and(|seq| !(1..next).contains(&seq)) {
            answer.problem(422, "REPLY_TO_NOT_FOUND");
            return;
        }
        let sent = answer.json(201);
        assert_eq!(sent["seq"], next);
        for (name, value) in message.as_object().unwrap() {
            assert_eq!(&sent[name], value);
        }
        messages.push(sent);
    }

    async fn read(&mut self, user: usize, peer: usize, peek: bool, page: Page, limit: u64) {
        let range = match page {
            Page::Newest => String::new(),
            Page::Before(seq) => format!("&before={seq}"),
            Page::After(seq) => format!("&after={seq}"),
        };
        let query = format!("limit={limit}&peek={peek}{range}");
        let names = self.names.clone();
        let found = self.app.page(&names[user], &names[peer], &query).await;
        let model = &mut self.model;
        let last = model.messages(user, peer).len() as u64;
        let unread = model.unread(user, &names[peer], peer);
        let mut history = model.page(user, peer, page, usize::try_from(limit).unwrap());
        let oldest = history
            .first()
            .and_then(|m| m["seq"].as_u64())
            .filter(|seq| *seq > 1);
        let newest = history
            .last()
            .and_then(|m| m["seq"].as_u64())
            .filter(|seq| *seq < last);
        history.reverse();
        let expected = json!({
            "user": names[user], "peer": names[peer], "history": history,
            "unread_count": unread.len(), "unread": unread, "last_seq": last,
            "peer_read_seq": model.read.get(&(peer, user)).copied().unwrap_or(0),
            "next_before": oldest, "next_after": newest,
        });
        assert_eq!(found, expected, "{query}");
        if !peek && last > 0 {
            model.read.insert((user, peer), last);
        }
    }

    /// The invariant: the counter is the number of the peer's messages after the last read.
    fn counters_agree(&mut self) {
        let mut redis = self.app.redis();
        for (user, peer) in [(0, 1), (1, 0), (0, 2), (2, 0), (1, 2), (2, 1)] {
            let names = self.names.clone();
            let [_, unread, _] = keys(&names[user], &names[peer]);
            let counter: Option<usize> = redis.hget(unread, &names[user]).unwrap();
            let expected = self.model.unread(user, &names[peer], peer).len();
            assert_eq!(counter.unwrap_or(0), expected, "{user} of {peer}");
        }
    }
}

#[test]
fn the_service_and_the_model_tell_the_same_story() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let app = spawn_app();
    let stories = std::cell::Cell::new(0);
    let steps = prop::collection::vec(step(), 1..80);
    let config = Config {
        cases: 60,
        failure_persistence: None,
        ..Config::default()
    };
    let told = TestRunner::new(config).run(&steps, |steps| {
        let number = stories.replace(stories.get() + 1);
        // Names that sort differently from story to story, and contain each other.
        let names = ["u", "u.", "U"].map(|name| format!("{name}{number}"));
        let mut story = Story {
            app: &app,
            names,
            model: Model::default(),
        };
        runtime.block_on(async {
            for step in &steps {
                story.tell(step).await;
            }
        });
        story.counters_agree();
        Ok(())
    });
    told.unwrap();
}
