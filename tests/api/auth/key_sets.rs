//! Key sets (JWKS): which keys verify tokens, and how rotated keys are picked up.

use std::time::Duration;

use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, DecodingKey};
use serde_json::{Value, json};

use crate::harness::auth::jwks_server::JwksServer;
use crate::harness::auth::secured_app::SERVICE_KEY;
use crate::harness::auth::signing::{Signer, WEAK_RSA, claims};
use crate::harness::{TestApp, eventually, refusal_to_start, spawn_app_with};

const PATH: &str = "/conversations/alice/bob";
/// Longer than the service needs to fetch the set again after an unknown key id.
const TIMEOUT: Duration = Duration::from_secs(10);

fn alice() -> Value {
    claims("alice", &json!({}))
}

async fn accepts(app: &TestApp, signer: &Signer, kid: &str) -> bool {
    let answer = app.get_as(&signer.sign_by(kid, &alice()), PATH).await;
    assert!([200, 401, 429].contains(&answer.status), "{answer:?}");
    answer.status == 200
}

/// A service that verifies tokens by the JWKS at this URL.
fn spawn_with_jwks(source: &str) -> TestApp {
    spawn_app_with(&["--jwks", source, "--service-keys", SERVICE_KEY])
}

#[test]
fn a_set_of_weak_rsa_keys_is_refused_at_start() {
    let key = DecodingKey::from_rsa_pem(WEAK_RSA.as_bytes()).unwrap();
    let jwk = Jwk::from_decoding_key(&key, Some(Algorithm::RS256)).unwrap();
    let mut jwk = serde_json::to_value(jwk).unwrap();
    jwk["kid"] = json!("weak");
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("keys.json");
    std::fs::write(&file, json!({"keys": [jwk]}).to_string()).unwrap();
    let said = refusal_to_start(&["--jwks", file.to_str().unwrap()]).to_string();
    assert!(said.contains("2048 bits"), "{said}");
}

#[tokio::test]
async fn each_key_of_a_file_verifies_tokens_with_its_kid() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("keys.json");
    let signers = [Signer::rs256(), Signer::es256(), Signer::ed25519()];
    let [rsa, p256, ed] = &signers;
    let keys = [rsa.jwk("rsa"), p256.jwk("p256"), ed.jwk("ed")];
    std::fs::write(&file, json!({"keys": keys}).to_string()).unwrap();
    let app = spawn_with_jwks(file.to_str().unwrap());
    for (signer, kid) in signers.iter().zip(["rsa", "p256", "ed"]) {
        assert!(accepts(&app, signer, kid).await, "{kid}");
    }
    let cases = [
        (
            "named as another key",
            rsa.sign_by("p256", &alice()),
            "algorithm",
        ),
        (
            "a key that is not there",
            rsa.sign_by("gone", &alice()),
            "unknown key",
        ),
        ("no name", rsa.sign(&alice()), "`kid`"),
        (
            "the public key as a secret",
            Signer::hs256(rsa.public_pem().as_bytes()).sign_by("rsa", &alice()),
            "algorithm",
        ),
    ];
    for (why, token, said) in cases {
        let problem = app
            .get_as(&token, PATH)
            .await
            .problem(401, "UNAUTHENTICATED");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(said), "{why}: {detail}");
    }
}

#[tokio::test]
async fn keys_unfit_for_verification_are_ignored() {
    let (good, other) = (Signer::es256(), Signer::ed25519());
    let with = |kid: &str, name: &str, value: Value| {
        let mut jwk = other.jwk(kid);
        jwk[name] = value;
        jwk
    };
    let oct =
        json!({"kty": "oct", "kid": "oct", "k": "YSBzZWNyZXQgb2YgdGhlIHRlc3RzLCBvZiBubyB1c2U"});
    let source = JwksServer::start(&[
        json!({"kty": "made up", "kid": "made-up"}),
        json!({"kty": "RSA", "kid": "half"}),
        json!("no key"),
        oct,
        with("encrypts", "use", json!("enc")),
        with("another-algorithm", "alg", json!("RS256")),
        good.jwk("good"),
    ]);
    let app = spawn_with_jwks(&source.url);
    assert!(accepts(&app, &good, "good").await);
    for kid in ["made-up", "half", "encrypts", "another-algorithm"] {
        assert!(!accepts(&app, &other, kid).await, "{kid}");
    }
    let secret = Signer::hs256(b"a secret of the tests, of no use");
    assert!(
        !accepts(&app, &secret, "oct").await,
        "a secret in a public set"
    );
}

#[tokio::test]
async fn keys_rotate_without_a_restart() {
    let (old, new) = (Signer::es256(), Signer::ed25519());
    let source = JwksServer::start(&[old.jwk("old")]);
    let app = spawn_with_jwks(&source.url);
    assert!(accepts(&app, &old, "old").await);
    source.serve(&[old.jwk("old"), new.jwk("new")]);
    eventually("the new key counts", TIMEOUT, async || {
        accepts(&app, &new, "new").await
    })
    .await;
    assert!(
        accepts(&app, &old, "old").await,
        "the old key is still accepted"
    );
    // The same token throughout, which is cached by now.
    let token = old.sign_by("old", &alice());
    assert_eq!(app.get_as(&token, PATH).await.status, 200);
    source.serve(&[new.jwk("new")]);
    eventually(
        "a cached token is refused without its key",
        TIMEOUT,
        async || {
            accepts(&app, &new, "missing").await;
            app.get_as(&token, PATH).await.status != 200
        },
    )
    .await;
    assert!(accepts(&app, &new, "new").await);
}

#[tokio::test]
async fn a_broken_jwks_url_keeps_the_last_good_key_set() {
    let (old, new) = (Signer::es256(), Signer::ed25519());
    let source = JwksServer::start(&[old.jwk("old")]);
    let app = spawn_with_jwks(&source.url);
    let broken = [
        (500, "{}"),
        (302, ""),
        (200, "no JSON"),
        (200, r#"{"keys":[]}"#),
        (200, r#"{"keys":[{"kty":"RSA","kid":"half"}]}"#),
    ];
    for (status, body) in broken {
        source.answer(status, body);
        // An unknown key makes the service fetch the set again within about a second.
        assert!(!accepts(&app, &new, "new").await);
        tokio::time::sleep(Duration::from_millis(1100)).await;
        assert!(accepts(&app, &old, "old").await, "{status} {body}");
    }
    source.serve(&[new.jwk("new")]);
    eventually("the set is fetched again", TIMEOUT, async || {
        accepts(&app, &new, "new").await
    })
    .await;
}

#[test]
fn a_broken_jwks_url_at_startup_is_refused_without_its_password() {
    let source = JwksServer::start(&[]);
    let secret = source.url.replace("http://", "http://user:hunter2@") + "?token=hunter2";
    for (status, body) in [(404, "{}"), (200, "nonsense"), (200, r#"{"keys":[]}"#)] {
        source.answer(status, body);
        let said = refusal_to_start(&["--jwks", &secret]).to_string();
        assert!(said.starts_with("DUOLOGUE_JWKS: "), "{said}");
        assert!(!said.contains("hunter2"), "{said}");
    }
    let said = refusal_to_start(&["--jwks", "/nowhere/keys.json"]).to_string();
    assert!(said.contains("DUOLOGUE_JWKS"), "{said}");
}
