//! Every operation of openapi.yaml, as a request of the callers that it declares.

use serde_json::{Value, json};

use crate::harness::TestApp;
use crate::harness::auth::secured_app::SERVICE_KEY;
use crate::harness::http::calls::By;
use crate::harness::http::response::ApiResponse;

/// Where a request names the acting user.
pub enum Actor {
    /// In the path as `{user}`.
    Path,
    Body(&'static str),
    /// In the query as `user`.
    Query,
    /// The request names no acting user.
    Nobody,
    /// The request names no acting user; alice is the admin of the room.
    Admin,
}

/// Where each operation names the acting user.
pub const ACTORS: &[(&str, Actor)] = &[
    ("send_message", Actor::Body("from")),
    ("import_messages", Actor::Nobody),
    ("read_message", Actor::Path),
    ("edit_message", Actor::Path),
    ("delete_message", Actor::Path),
    ("add_reaction", Actor::Path),
    ("remove_reaction", Actor::Path),
    ("list_conversations", Actor::Path),
    ("count_unread", Actor::Path),
    ("list_unread", Actor::Nobody),
    ("read_conversation", Actor::Path),
    ("clear_conversation", Actor::Path),
    ("update_conversation", Actor::Path),
    ("block_peer", Actor::Path),
    ("unblock_peer", Actor::Path),
    ("list_blocks", Actor::Path),
    ("mute_conversation", Actor::Path),
    ("unmute_conversation", Actor::Path),
    ("mark_read", Actor::Path),
    ("mark_delivered", Actor::Path),
    ("mark_unread", Actor::Path),
    ("mark_all_read", Actor::Path),
    ("announce_typing", Actor::Path),
    ("set_room", Actor::Nobody),
    ("read_room", Actor::Nobody),
    ("delete_room", Actor::Admin),
    ("list_members", Actor::Nobody),
    ("set_member", Actor::Path),
    ("remove_member", Actor::Path),
    ("open_socket", Actor::Query),
    ("read_events", Actor::Query),
    ("stream_events", Actor::Query),
    ("issue_ticket", Actor::Body("user")),
    ("read_presence", Actor::Nobody),
    ("list_presences", Actor::Nobody),
    ("export_user", Actor::Path),
    ("erase_user", Actor::Path),
    ("set_subscription", Actor::Nobody),
    ("list_subscriptions", Actor::Nobody),
    ("read_subscription", Actor::Nobody),
    ("delete_subscription", Actor::Nobody),
    ("take_events", Actor::Nobody),
    ("ack_events", Actor::Nobody),
    ("seek_subscription", Actor::Nobody),
    ("list_dead_letters", Actor::Nobody),
    ("retry_dead_letters", Actor::Nobody),
    ("check_health", Actor::Nobody),
    ("check_ready", Actor::Nobody),
    ("read_metrics", Actor::Nobody),
    ("read_openapi_yaml", Actor::Nobody),
    ("read_openapi_json", Actor::Nobody),
    ("read_asyncapi_yaml", Actor::Nobody),
];

/// An operation as a request in which alice is the acting user.
pub struct Operation {
    pub id: String,
    pub method: String,
    pub path: String,
    pub body: Option<Value>,
    pub media_type: &'static str,
    pub actor: &'static Actor,
    pub success: u16,
    /// Whether the operation declares that it accepts no credential, a user token, a service key.
    pub open: bool,
    pub users: bool,
    pub backends: bool,
}

pub fn operations() -> Vec<Operation> {
    let contract = serde_json::to_value(duologue::http::openapi()).unwrap();
    let mut all = Vec::new();
    for (path, methods) in contract["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            all.push(Operation::of(path, method, operation));
        }
    }
    assert!(
        all.len() >= ACTORS.len(),
        "ACTORS lists an operation that does not exist"
    );
    all
}

impl Operation {
    pub fn of(path: &str, method: &str, operation: &Value) -> Self {
        let id = operation["operationId"].as_str().unwrap().to_owned();
        let Some((_, actor)) = ACTORS.iter().find(|(known, _)| *known == id) else {
            panic!("{id} is missing in ACTORS");
        };
        let security = operation["security"].as_array();
        let security = security.unwrap_or_else(|| panic!("{id} does not say who may call it"));
        let declares = |role: &str| security.contains(&json!({"bearer": [role]}));
        // Created resources are answered with 201, existing ones with 200.
        let mut statuses = operation["responses"].as_object().unwrap().keys();
        // A `GET /ws` that is no WebSocket handshake passes authorization and then fails.
        let success = statuses
            .rfind(|s| s.starts_with('2'))
            .map_or("426", String::as_str);
        let path = filled(path);
        let query = match (actor, path.as_str()) {
            (Actor::Query, _) => "?user=alice",
            (_, "/presence" | "/unread") => "?users=alice,bob",
            _ => "",
        };
        let path = path + query;
        Self {
            method: method.to_uppercase(),
            path,
            body: example(operation, actor),
            media_type: media_type(operation),
            actor,
            success: success.parse().unwrap(),
            open: security.contains(&json!({})),
            users: declares("user"),
            backends: declares("backend"),
            id,
        }
    }

    /// Sends the request from its own address, so that failures are not rate limited.
    pub async fn ask(&self, app: &TestApp, authorization: Option<&str>, from: &str) -> ApiResponse {
        let mut headers = vec![("x-forwarded-for", from), ("content-type", self.media_type)];
        headers.extend(authorization.map(|value| ("authorization", value)));
        app.call(&self.method, &self.path, &headers, self.body.as_ref())
            .await
    }

    /// Prepares Redis so that the operation succeeds: with a message from alice to bob, except for
    /// an import, which needs an empty conversation, and with a room of alice and mallory, except for creating it and
    /// for joining it.
    pub async fn prepare(&self, app: &TestApp) {
        app.forget_everything();
        let room = match self.id.as_str() {
            "set_room" => None,
            "set_member" => Some(json!({"join": "open", "members": ["mallory"]})),
            _ => Some(json!({"join": "open", "admins": ["alice"], "members": ["mallory"]})),
        };
        if let Some(room) = room.filter(|_| self.path.starts_with("/rooms/")) {
            let created = app.by(By::Backend, "PUT", "/rooms/general", Some(&room));
            assert_eq!(created.await.status, 201);
        }
        if self.id != "import_messages" {
            let message = json!({"from": "alice", "to": "bob", "body": "first"});
            assert_eq!(app.post_as(SERVICE_KEY, &message).await.status, 201);
        }
        if self.path.starts_with("/subscriptions/archive") && self.id != "set_subscription" {
            let settings = json!({});
            let made = app.by(
                By::Backend,
                "PUT",
                "/subscriptions/archive",
                Some(&settings),
            );
            assert_eq!(made.await.status, 201);
        }
    }

    /// The status that a user other than alice must get.
    pub fn status_for_others(&self) -> u16 {
        match self.actor {
            Actor::Nobody => self.status_if(self.users, 403),
            Actor::Path | Actor::Body(_) | Actor::Query | Actor::Admin => 403,
        }
    }

    pub fn status_if(&self, may: bool, refusal: u16) -> u16 {
        if self.open || may {
            self.success
        } else {
            refusal
        }
    }
}

/// The path of an operation with its parameters filled in.
pub fn filled(path: &str) -> String {
    let parameters = [
        ("{user}", "alice"),
        ("{peer}", "bob"),
        ("{room}", "general"),
        ("{seq}", "1"),
        ("{emoji}", "%F0%9F%91%8D"),
        ("{name}", "archive"),
    ];
    let fill = |path: String, (name, value): &(&str, &str)| path.replace(name, value);
    let filled = parameters.iter().fold(path.to_owned(), fill);
    assert!(
        !filled.contains('{'),
        "no value for a parameter of {filled}"
    );
    filled
}

pub fn media_type(operation: &Value) -> &'static str {
    let content = &operation["requestBody"]["content"];
    let lines = content.get("application/x-ndjson").is_some();
    if lines {
        "application/x-ndjson"
    } else {
        "application/json"
    }
}

/// The first example of a request body, in which alice is the acting user.
pub fn example(operation: &Value, actor: &Actor) -> Option<Value> {
    let content = &operation.get("requestBody")?["content"][media_type(operation)];
    let first = content["examples"]
        .as_object()
        .and_then(|e| e.values().next());
    let mut body = first.map_or(&content["example"], |e| &e["value"]).clone();
    if let Value::String(lines) = &body {
        body = serde_json::from_str(lines).unwrap();
    }
    if let Actor::Body(member) = actor {
        body[*member] = json!("alice");
    }
    Some(body)
}
