//! Calls a running service with the client that openapi-generator generates.

use std::collections::HashMap;
use std::fmt::Debug;

use duologue::apis::configuration::Configuration;
use duologue::apis::conversations_api::{list_conversations, read_conversation};
use duologue::apis::live_api::read_events;
use duologue::apis::messages_api::{
    add_reaction, delete_message, edit_message, read_message, send_message,
};
use duologue::apis::Error;
use duologue::models::{
    AttachmentInput, Conversation, Edit, Event, EventPage, Message, MessageInput, Problem,
    ProblemCode,
};

const ALICE: &str = "alice-rust";
const BOB: &str = "bob-rust";

struct Client(Configuration);

impl Client {
    fn new() -> Self {
        let variable = |name| std::env::var(name).expect(name);
        Self(Configuration {
            base_path: variable("DUOLOGUE_URL"),
            bearer_access_token: Some(variable("DUOLOGUE_KEY")),
            ..Configuration::default()
        })
    }

    async fn send(&self, body: &str, key: &str) -> Message {
        let attachment = AttachmentInput {
            mime_type: Some("image/jpeg".into()),
            ..AttachmentInput::new("https://files.example.com/menu.jpg".into())
        };
        let input = MessageInput {
            from: Some(ALICE.into()),
            metadata: Some(HashMap::from([("mood".into(), "hungry".into())])),
            attachments: Some(vec![attachment]),
            ..MessageInput::new(body.into(), BOB.into())
        };
        send_message(&self.0, input, Some(key)).await.expect("sent")
    }

    async fn page(&self, limit: i32, before: Option<i64>, peek: Option<bool>) -> Conversation {
        let limit = Some(limit);
        read_conversation(
            &self.0, BOB, ALICE, limit, None, before, None, None, None, peek,
        )
        .await
        .expect("a page")
    }

    async fn poll(&self, cursor: Option<&str>) -> EventPage {
        read_events(&self.0, Some(BOB), cursor, None, None, None)
            .await
            .expect("events")
    }

    /// The version of Alice's first message. Generated functions return no headers.
    async fn etag(&self) -> String {
        let url = format!(
            "{}/conversations/{ALICE}/{BOB}/messages/1",
            self.0.base_path
        );
        let token = self.0.bearer_access_token.as_ref().expect("a key");
        let request = self.0.client.head(url).bearer_auth(token);
        let headers = request.send().await.expect("the message").headers().clone();
        headers["etag"].to_str().expect("ASCII").to_owned()
    }
}

/// The code of the problem that a call failed with.
fn problem_code<T: Debug, E: Debug>(answer: Result<T, Error<E>>) -> ProblemCode {
    let Err(Error::ResponseError(response)) = answer else {
        panic!("not a problem: {answer:?}");
    };
    let problem: Problem = serde_json::from_str(&response.content).expect("a problem");
    problem.code
}

fn summary(event: &Event) -> String {
    match event {
        Event::MessageCreated(event) => {
            format!(
                "message.created {} {}",
                event.message.seq, event.message.body
            )
        }
        Event::MessageUpdated(event) => {
            format!(
                "message.updated {} {}",
                event.message.seq, event.message.body
            )
        }
        Event::MessageDeleted(event) => format!("message.deleted {}", event.message.seq),
        Event::ConversationRead(event) => format!("conversation.read {}", event.read_seq),
        other => format!("{other:?}"),
    }
}

async fn send_and_page(client: &Client) {
    // Sending again with the same key stores nothing.
    let first = client.send("Lunch at one?", "k1").await;
    assert_eq!(client.send("Lunch at one?", "k1").await.id, first.id);
    client.send("Or at two?", "k2").await;
    client.send("Wrong window", "k3").await;
    assert_eq!(first.metadata.expect("metadata")["mood"], "hungry");
    let attachments = first.attachments.expect("attachments");
    assert_eq!(attachments[0].mime_type.as_deref(), Some("image/jpeg"));

    let seqs = |page: &Conversation| page.history.iter().map(|m| m.seq).collect::<Vec<_>>();
    let newest = client.page(2, None, Some(true)).await;
    assert_eq!(seqs(&newest), [3, 2]);
    assert_eq!(newest.unread_count, 3);
    let oldest = client.page(2, newest.next_before, None).await;
    assert_eq!(seqs(&oldest), [1]);
    assert_eq!(oldest.next_before, None);

    let inbox = list_conversations(&client.0, BOB, None, None, None, None)
        .await
        .expect("inbox");
    assert_eq!(inbox.total_unread_count, 3);
    assert_eq!(inbox.unread_conversations, 1);
    assert_eq!(inbox.conversations[0].peer, ALICE);
}

async fn change(client: &Client) {
    let etag = client.etag().await;
    let edit = Edit {
        body: Some(Some("Lunch at two?".into())),
        ..Edit::new()
    };
    let edit = || edit_message(&client.0, ALICE, BOB, 1, edit.clone(), Some(&etag));
    let edited = edit().await.expect("edited");
    assert_eq!(edited.body, "Lunch at two?");
    assert!(edited.edited_at.is_some() && edited.metadata.is_some());

    // A problem is identified by its code.
    assert_eq!(problem_code(edit().await), ProblemCode::PreconditionFailed);
    let missing = read_message(&client.0, ALICE, BOB, 99).await;
    assert_eq!(problem_code(missing), ProblemCode::MessageNotFound);

    let reacted = add_reaction(&client.0, BOB, ALICE, 1, "👍", None)
        .await
        .expect("reacted");
    assert_eq!(reacted.reactions.expect("reactions")["👍"], [BOB]);
    let deleted = delete_message(&client.0, ALICE, BOB, 3, None)
        .await
        .expect("deleted");
    assert!(deleted.deleted_at.is_some());
    client.page(1, None, None).await;
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let client = Client::new();
    let start = client.poll(None).await;
    send_and_page(&client).await;
    change(&client).await;
    let events = client.poll(Some(&start.next_cursor)).await.events;
    assert_eq!(
        events.iter().map(summary).collect::<Vec<_>>(),
        [
            "message.created 1 Lunch at one?",
            "message.created 2 Or at two?",
            "message.created 3 Wrong window",
            "message.updated 1 Lunch at two?",
            "message.updated 1 Lunch at two?",
            "message.deleted 3",
            "conversation.read 3",
        ]
    );
}
