//! A chat session that is fed events, with its effects written as text.

use duologue::cli::chat::event::{ClientEvent, Effect};
use duologue::cli::chat::render::render;
use duologue::cli::chat::session::ChatSession;
use duologue::model::{Peer, UserId};
use duologue::protocol::ServerMessage;
use serde_json::{Value, json};

pub const NOTHING: [&str; 0] = [];

/// The session of alice in a conversation with bob.
pub struct TestSession {
    pub session: ChatSession,
    /// Every message that was sent, to be answered.
    pub sent: Vec<Value>,
}

impl TestSession {
    /// A session that has only received `hello`.
    pub fn after_hello() -> Self {
        let mut alice = Self {
            session: new_session(),
            sent: Vec::new(),
        };
        assert!(matches!(
            &alice.session.start()[..],
            [Effect::Connect {
                cursor: None,
                failures: 0
            }]
        ));
        assert_eq!(alice.receive(hello("1-0")), ["load newest"]);
        alice
    }

    /// A session that has loaded an empty conversation.
    pub fn with_empty_conversation() -> Self {
        let mut alice = Self::after_hello();
        assert_eq!(alice.load_page(&[], 0, None), ["delivered 0", "read 0"]);
        assert_eq!(
            alice.receive(json!({"type": "ack", "ref": "read"})),
            NOTHING
        );
        alice
    }

    /// A session of alice in an empty room.
    pub fn in_empty_room() -> Self {
        let room = Peer::try_from("room:general".to_owned()).unwrap();
        let mut alice = Self {
            session: ChatSession::new(user("alice"), room),
            sent: Vec::new(),
        };
        assert_eq!(alice.receive(hello("1-0")), ["load newest"]);
        assert_eq!(alice.load_page(&[], 0, None), ["read 0"]);
        assert_eq!(
            alice.receive(json!({"type": "ack", "ref": "read"})),
            NOTHING
        );
        alice
    }

    pub fn handle(&mut self, event: ClientEvent) -> Vec<String> {
        let effects = self.session.handle(event);
        let effects = effects.into_iter();
        effects.flat_map(|effect| self.describe(effect)).collect()
    }

    pub fn receive(&mut self, message: Value) -> Vec<String> {
        let message: ServerMessage = serde_json::from_value(message).unwrap();
        self.handle(ClientEvent::MessageReceived(Box::new(message)))
    }

    pub fn enter(&mut self, line: &str) -> Vec<String> {
        self.handle(ClientEvent::LineEntered(line.to_owned()))
    }

    pub fn load_page(
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
        self.handle(ClientEvent::HistoryLoaded(
            serde_json::from_value(page).unwrap(),
        ))
    }

    pub fn disconnect(&mut self, code: Option<u16>) -> Vec<String> {
        self.handle(ClientEvent::Disconnected {
            code,
            reason: "closed".to_owned(),
        })
    }

    /// Answers the message that was sent last.
    pub fn answer(&mut self, kind: &str, members: &Value) -> Vec<String> {
        let mut answer = members.clone();
        answer["type"] = json!(kind);
        answer["ref"] = self.sent.last().unwrap()["ref"].clone();
        self.receive(answer)
    }

    fn describe(&mut self, effect: Effect) -> Vec<String> {
        match effect {
            Effect::Connect { cursor, failures } => {
                vec![format!(
                    "connect at {} after {failures} failures",
                    cursor.unwrap()
                )]
            }
            Effect::LoadHistory { after: None } => vec!["load newest".to_owned()],
            Effect::LoadHistory { after: Some(seq) } => vec![format!("load after {}", seq.get())],
            Effect::Send(message) => {
                let message = serde_json::to_value(message).unwrap();
                let kind = message["type"].as_str().unwrap();
                let what = message.get("body").unwrap_or(&message["seq"]);
                let description = format!("{kind} {what}");
                self.sent.push(message);
                vec![description]
            }
            Effect::Print(lines) => {
                let lines = lines.iter().map(|line| render(line, &user("alice")));
                let lines = lines.map(|line| format!("{} {}", line.head, line.text));
                lines.map(|line| without_time(&line).to_owned()).collect()
            }
            Effect::PrintNotice(notice) => vec![notice],
            Effect::ShowStatus(_) => vec![],
            Effect::Exit(Ok(())) => vec!["exit".to_owned()],
            Effect::Exit(Err(error)) => vec![format!("exit: {error}")],
        }
    }
}

pub fn new_session() -> ChatSession {
    ChatSession::new(user("alice"), user("bob").into())
}

fn user(id: &str) -> UserId {
    UserId::try_from(id.to_owned()).unwrap()
}

/// A line without its time, which depends on the time zone.
fn without_time(line: &str) -> &str {
    if line.starts_with("2019-") {
        &line["2019-01-31 12:00 ".len()..]
    } else {
        line.trim()
    }
}

pub fn hello(cursor: &str) -> Value {
    json!({
        "type": "hello", "user": "alice", "cursor": cursor, "total_unread_count": 0,
        "unread_conversations": 0, "muted_unread_count": 0, "heartbeat_s": 25,
    })
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
        "type": kind, "cursor": cursor, "prev": "1-0", "peer": "bob", "unread_count": 0,
        "last_seq": 0, "read_seq": 0, "peer_read_seq": 0, "peer_delivered_seq": 0,
        "total_unread_count": 0, "unread_conversations": 0, "muted_unread_count": 0,
    });
    for (name, value) in members.as_object().unwrap() {
        event[name] = value.clone();
    }
    event
}

pub fn created(cursor: &str, message: &Value) -> Value {
    event("message.created", cursor, &json!({"message": message}))
}
