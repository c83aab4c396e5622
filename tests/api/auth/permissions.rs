//! Permissions: every operation of openapi.yaml, called by every kind of caller.
//!
//! Expectations come from what the document declares. A new operation is tested too; it only needs
//! an entry that says where it names the acting user.

use serde_json::json;
use tempfile::TempDir;

use crate::harness::auth::invalid_credentials::{AUDIENCE, ISSUER, refused, strict};
use crate::harness::auth::operations::operations;
use crate::harness::auth::secured_app::SERVICE_KEY;
use crate::harness::auth::signing::Signer;
use crate::harness::http::response::ApiResponse;
use crate::harness::{TestApp, spawn_app, spawn_app_with};

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
    let before = app.settled_contents().await;
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
            let before = app.settled_contents().await;
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
    // Generated clients send a header for each scheme, so there is one.
    let schemes = contract["components"]["securitySchemes"]
        .as_object()
        .unwrap();
    assert_eq!(schemes.len(), 1, "{schemes:?}");
    assert_eq!(schemes["bearer"]["scheme"], "bearer", "{schemes:?}");
    for (path, methods) in contract["paths"].as_object().unwrap() {
        for operation in methods.as_object().unwrap().values() {
            for alternative in operation["security"].as_array().unwrap() {
                let known = [
                    json!({}),
                    json!({"bearer": ["user"]}),
                    json!({"bearer": ["backend"]}),
                ];
                assert!(known.contains(alternative), "{path}: {alternative}");
            }
            let words = operation["description"].as_str().unwrap().to_lowercase();
            let who = ["a user", "backend", "no credential"];
            assert!(who.iter().any(|who| words.contains(who)), "{path}: {words}");
        }
    }
}
