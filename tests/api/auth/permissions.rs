//! Permissions: every operation of openapi.yaml, called by every kind of caller.
//!
//! Expectations come from what the document declares. A new operation is tested too; it only needs
//! an entry that says where it names the acting user.

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::auth::invalid_credentials::{AUDIENCE, ISSUER, refused, strict};
use crate::harness::auth::secured_app::SERVICE_KEY;
use crate::harness::auth::signing::Signer;
use crate::harness::http::response::ApiResponse;
use crate::harness::{TestApp, spawn_app, spawn_app_with};

/// Where a request names the acting user.
enum Actor {
    /// In the path as `{user}`.
    Path,
    Body(&'static str),
    /// In the query as `user`.
    Query,
    /// The request names no acting user.
    Nobody,
}

/// Where each operation names the acting user.
const ACTORS: &[(&str, Actor)] = &[
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
    ("open_socket", Actor::Query),
    ("read_events", Actor::Query),
    ("issue_ticket", Actor::Body("user")),
    ("read_presence", Actor::Nobody),
    ("list_presences", Actor::Nobody),
    ("export_user", Actor::Path),
    ("erase_user", Actor::Path),
    ("check_health", Actor::Nobody),
    ("check_ready", Actor::Nobody),
    ("read_metrics", Actor::Nobody),
    ("read_openapi_yaml", Actor::Nobody),
    ("read_openapi_json", Actor::Nobody),
];

/// An operation as a request in which alice is the acting user.
struct Operation {
    id: String,
    method: String,
    path: String,
    body: Option<Value>,
    media_type: &'static str,
    actor: &'static Actor,
    success: u16,
    /// Whether the operation declares that it accepts no credential, a user token, a service key.
    open: bool,
    users: bool,
    backends: bool,
}

fn operations() -> Vec<Operation> {
    let contract = serde_json::to_value(duologue::http::openapi()).unwrap();
    let mut all = Vec::new();
    for (path, methods) in contract["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            all.push(Operation::of(path, method, operation));
        }
    }
    assert!(all.len() >= ACTORS.len(), "ACTORS names what is gone");
    all
}

impl Operation {
    fn of(path: &str, method: &str, operation: &Value) -> Self {
        let id = operation["operationId"].as_str().unwrap().to_owned();
        let Some((_, actor)) = ACTORS.iter().find(|(known, _)| *known == id) else {
            panic!("who acts in {id}? give it a line in ACTORS");
        };
        let security = operation["security"].as_array();
        let security = security.unwrap_or_else(|| panic!("{id} does not say who may call it"));
        let declares = |name: &str| security.iter().any(|s| s.get(name).is_some());
        // Created resources are answered with 201, existing ones with 200.
        let mut statuses = operation["responses"].as_object().unwrap().keys();
        // A `GET /ws` that is no WebSocket handshake passes authorization and then fails.
        let success = statuses
            .rfind(|s| s.starts_with('2'))
            .map_or("426", String::as_str);
        let path = path.replace("{user}", "alice").replace("{peer}", "bob");
        let path = path
            .replace("{seq}", "1")
            .replace("{emoji}", "%F0%9F%91%8D");
        assert!(!path.contains('{'), "what is to stand in {path}?");
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
            users: declares("user_token"),
            backends: declares("service_key"),
            id,
        }
    }

    /// Sends the request from its own address, so that failures are not rate limited.
    async fn ask(&self, app: &TestApp, authorization: Option<&str>, from: &str) -> ApiResponse {
        let mut headers = vec![("x-forwarded-for", from), ("content-type", self.media_type)];
        headers.extend(authorization.map(|value| ("authorization", value)));
        app.call(&self.method, &self.path, &headers, self.body.as_ref())
            .await
    }

    /// Prepares Redis so that the operation succeeds: with a message from alice to bob, except for
    /// an import, which needs an empty conversation.
    async fn prepare(&self, app: &TestApp) {
        app.forget_everything();
        if self.id != "import_messages" {
            let message = json!({"from": "alice", "to": "bob", "body": "first"});
            assert_eq!(app.post_as(SERVICE_KEY, &message).await.status, 201);
        }
    }

    /// The status that a user other than alice must get.
    fn status_for_others(&self) -> u16 {
        match self.actor {
            Actor::Nobody => self.status_if(self.users, 403),
            Actor::Path | Actor::Body(_) | Actor::Query => 403,
        }
    }

    fn status_if(&self, may: bool, refusal: u16) -> u16 {
        if self.open || may {
            self.success
        } else {
            refusal
        }
    }
}

fn media_type(operation: &Value) -> &'static str {
    let content = &operation["requestBody"]["content"];
    let lines = content.get("application/x-ndjson").is_some();
    if lines {
        "application/x-ndjson"
    } else {
        "application/json"
    }
}

/// The first example of a request body, in which alice is the acting user.
fn example(operation: &Value, actor: &Actor) -> Option<Value> {
    let content = &operation.get("requestBody")?["content"][media_type(operation)];
    let first = content["examples"]
        .as_object()
        .and_then(|e| e.values().next());
    let mut body = first.map_or(&content["example"], |e| &e["value"]).clone();
    if let Actor::Body(member) = actor {
        body[*member] = json!("alice");
    }
    Some(body)
}

/// A service that verifies tokens by public key and requires audience and issuer, and its signer.
fn spawn_strict_app() -> (TestApp, Signer, TempDir) {
    let (signer, dir) = (Signer::rs256(), tempfile::tempdir().unwrap());
    let pem = dir.path().join("key.pem");
    std::fs::write(&pem, signer.public_pem()).unwrap();
    let app = spawn_app_with(&[
        "--jwt-public-key",
        pem.to_str().unwrap(),
        "--jwt-audience",
        AUDIENCE,
        "--jwt-issuer",
        ISSUER,
        "--trusted-proxies=127.0.0.1",
        "--send-rate=0",
        "--request-rate=0",
        "--service-keys",
        SERVICE_KEY,
    ]);
    (app, signer, dir)
}

#[tokio::test]
async fn every_operation_refuses_every_bad_credential() {
    let (app, signer, _dir) = spawn_strict_app();
    let message = json!({"from": "bob", "to": "alice", "body": "unread"});
    assert_eq!(app.post_as(SERVICE_KEY, &message).await.status, 201);
    let before = app.contents();
    for (number, (why, header, said)) in refused(&signer).iter().enumerate() {
        let header = Some(header.as_str()).filter(|header| !header.is_empty());
        for (place, operation) in operations().iter().enumerate() {
            // An address has few failures.
            let address = format!("192.0.{place}.{number}");
            let answer = operation.ask(&app, header, &address).await;
            let case = format!("{} with {why}: {answer:?}", operation.id);
            assert_eq!(answer.status, operation.status_if(false, 401), "{case}");
            if answer.status == 401 {
                assert_states_reason(&answer, header, said);
            }
        }
    }
    assert_eq!(app.contents(), before);
}

/// A refusal gives the reason in the body and in the challenge and does not repeat the credential.
#[track_caller]
fn assert_states_reason(answer: &ApiResponse, header: Option<&str>, said: &str) {
    let detail = answer.problem(401, "UNAUTHENTICATED")["detail"].to_string();
    assert!(detail.contains(said), "{said}: {detail}");
    let challenge = answer.header("www-authenticate");
    assert!(
        challenge.starts_with("Bearer realm=\"duologue\""),
        "{challenge}"
    );
    let invalid = challenge.contains("error=\"invalid_token\"");
    assert_eq!(invalid, header.is_some(), "{challenge}");
    let whole = format!("{answer:?}");
    let words = header.unwrap_or_default().split([' ', '.']).skip(1);
    for word in words.filter(|word| word.len() > 7) {
        assert!(!whole.contains(word), "{word} in {whole}");
    }
}

#[tokio::test]
async fn every_operation_serves_exactly_the_callers_it_declares() {
    let (app, signer, _dir) = spawn_strict_app();
    let bearer = |user: &str| format!("Bearer {}", signer.sign(&strict(user, &json!({}))));
    let (alice, mallory) = (bearer("alice"), bearer("mallory"));
    let backend = format!("Bearer {SERVICE_KEY}");
    for operation in operations() {
        let expected = [
            ("another user", &mallory, operation.status_for_others()),
            (
                "the user",
                &alice,
                operation.status_if(operation.users, 403),
            ),
            (
                "a backend",
                &backend,
                operation.status_if(operation.backends, 403),
            ),
        ];
        for (who, header, status) in expected {
            operation.prepare(&app).await;
            let before = app.contents();
            let answer = operation.ask(&app, Some(header), "192.0.2.1").await;
            assert_eq!(
                answer.status, status,
                "{} by {who}: {answer:?}",
                operation.id
            );
            if status == 403 {
                answer.problem(403, "FORBIDDEN");
                assert_eq!(app.contents(), before, "{} by {who}", operation.id);
            }
        }
    }
}

#[tokio::test]
async fn a_service_without_secrets_requires_no_credentials() {
    let app = spawn_app();
    for operation in operations() {
        for header in [None, Some("Bearer garbage"), Some("nonsense")] {
            operation.prepare(&app).await;
            let answer = operation.ask(&app, header, "192.0.2.1").await;
            assert_eq!(
                answer.status, operation.success,
                "{}: {answer:?}",
                operation.id
            );
        }
    }
}

#[test]
fn every_operation_declares_who_may_call_it() {
    let contract = serde_json::to_value(duologue::http::openapi()).unwrap();
    let schemes = &contract["components"]["securitySchemes"];
    assert_eq!(schemes["user_token"]["scheme"], "bearer", "{schemes}");
    assert_eq!(schemes["user_token"]["bearerFormat"], "JWT");
    assert_eq!(schemes["service_key"]["scheme"], "bearer");
    for (path, methods) in contract["paths"].as_object().unwrap() {
        for operation in methods.as_object().unwrap().values() {
            let words = operation["description"].as_str().unwrap().to_lowercase();
            let who = ["a user", "backend", "no credential"];
            assert!(who.iter().any(|who| words.contains(who)), "{path}: {words}");
        }
    }
}
