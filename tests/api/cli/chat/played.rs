//! A chat session that is fed events, with its effects written as text.

use duologue::cli::chat::event::{ClientEvent, Effect};
use duologue::cli::chat::frame::Frame;
use duologue::cli::chat::render;
use duologue::cli::chat::session::Session;
use serde_json::{Value, json};

pub const NOTHING: [&str; 0] = [];

/// The session of alice in a conversation with bob.
pub struct Played {
    pub session: Session,
    /// The last frame sent of each type, to be answered.
    pub said: Vec<Value>,
}

impl Played {
    /// A session that has only received `hello`.
    pub fn greeted() -> Self {
        let mut played = Self {
            session: Session::new("alice", "bob"),
            said: Vec::new(),
        };
        assert!(matches!(
            &played.session.begin()[..],
            [Effect::Connect {
                cursor: None,
                failures: 0
            }]
        ));
        assert_eq!(played.hears(hello("1-0")), ["read the newest"]);
        played
    }

    /// A session that has loaded an empty conversation.
    pub fn begun() -> Self {
        let mut played = Self::greeted();
        assert_eq!(played.page(&[], 0, None), ["say delivered 0", "say read 0"]);
        assert_eq!(played.hears(json!({"type": "ack", "ref": "read"})), NOTHING);
        played
    }

    pub fn take(&mut self, happened: ClientEvent) -> Vec<String> {
        let acts = self.session.take(happened);
        acts.into_iter().flat_map(|act| self.words(act)).collect()
    }

    pub fn hears(&mut self, frame: Value) -> Vec<String> {
        let frame: Frame = serde_json::from_value(frame).unwrap();
        self.take(ClientEvent::Said(Box::new(frame)))
    }

    pub fn types(&mut self, line: &str) -> Vec<String> {
        self.take(ClientEvent::Typed(line.to_owned()))
    }

    pub fn page(
        &mut self,
        messages: &[Value],
        last_seq: u64,
        next_after: Option<u64>,
    ) -> Vec<String> {
        let mut history = messages.to_vec();
        history.reverse();
        let page = json!({
            "history": history, "unread": [], "unread_count": 0, "last_seq": last_seq,
            "peer_read_seq": 0, "next_after": next_after,
        });
        self.take(ClientEvent::Page(serde_json::from_value(page).unwrap()))
    }

    pub fn loses(&mut self, code: Option<u16>) -> Vec<String> {
        self.take(ClientEvent::Lost(code, "for a reason".to_owned()))
    }

    /// Answers the last sent frame.
    pub fn is_answered(&mut self, kind: &str, members: &Value) -> Vec<String> {
        let mut answer = members.clone();
        answer["type"] = json!(kind);
        answer["ref"] = self.said.last().unwrap()["ref"].clone();
        self.hears(answer)
    }

    fn words(&mut self, act: Effect) -> Vec<String> {
        match act {
            Effect::Connect { cursor, failures } => {
                vec![format!(
                    "connect at {} after {failures}",
                    cursor.unwrap_or_default()
                )]
            }
            Effect::Read(None) => vec!["read the newest".to_owned()],
            Effect::Read(Some(seq)) => vec![format!("read after {seq}")],
            Effect::Say(frame) => {
                let kind = frame["type"].as_str().unwrap();
                let what = frame.get("body").unwrap_or(&frame["seq"]);
                let said = format!("say {kind} {what}");
                self.said.push(frame);
                vec![said]
            }
            Effect::Show(lines) => {
                let lines = lines.iter().map(|line| render::line(line, "alice"));
                let whole = lines.map(|(_, head, rest)| format!("{head} {rest}"));
                whole.map(|line| undated(&line).to_owned()).collect()
            }
            Effect::Note(note) => vec![note],
            Effect::Status(_) => vec![],
            Effect::End(Ok(())) => vec!["end".to_owned()],
            Effect::End(Err(error)) => vec![format!("end: {error}")],
        }
    }
}

/// A line without its time, which depends on the time zone.
fn undated(line: &str) -> &str {
    if line.starts_with("2019-") {
        &line["2019-01-31 12:00 ".len()..]
    } else {
        line.trim()
    }
}

pub fn hello(cursor: &str) -> Value {
    json!({"type": "hello", "user": "alice", "cursor": cursor, "heartbeat_s": 25})
}

pub fn message(seq: u64, from: &str, body: &str) -> Value {
    json!({
        "seq": seq, "id": "01a1f949-c4a3-7102-9444-9bcd871e2754", "from": from, "to": "x",
        "sent_at": "2019-01-31T12:00:00.000Z", "body": body,
    })
}

/// An event about bob with these members.
pub fn event(kind: &str, cursor: &str, members: &Value) -> Value {
    let mut event = json!({
        "type": kind, "cursor": cursor, "prev": "", "peer": "bob", "unread_count": 0,
        "last_seq": 0, "read_seq": 0, "peer_read_seq": 0, "peer_delivered_seq": 0,
    });
    for (name, value) in members.as_object().unwrap() {
        event[name] = value.clone();
    }
    event
}

pub fn created(cursor: &str, message: &Value) -> Value {
    event("message.created", cursor, &json!({"message": message}))
}
