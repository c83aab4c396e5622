//! User tokens: algorithms, key files, expiry at the limits, and the cache of verified tokens.

use std::path::Path;
use std::time::Duration;

use duologue::app::AppError;
use duologue::auth::TokenRequest;
use duologue::config::Config;
use duologue::model::UserId;
use rcgen::{KeyPair, PKCS_ECDSA_P384_SHA384};
use serde_json::json;
use tempfile::TempDir;

use crate::harness::auth::invalid_credentials::{AUDIENCE, ISSUER, strict};
use crate::harness::auth::secured_app::{SECRET, SERVICE_KEY, spawn_secured_app};
use crate::harness::auth::signing::{Signer, WEAK_RSA, claims, in_seconds};
use crate::harness::{TestApp, eventually, refusal_to_start, spawn_app_with};

const PATH: &str = "/conversations/alice/bob";

/// A file with this text.
fn file(dir: &TempDir, text: &str) -> String {
    let path = dir.path().join("key.pem");
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

async fn status(app: &TestApp, token: &str) -> u16 {
    app.get_as(token, PATH).await.status
}

#[tokio::test]
async fn a_public_key_verifies_only_its_own_algorithm() {
    let signers = || [Signer::rs256(), Signer::es256(), Signer::ed25519()];
    for mine in signers() {
        let dir = tempfile::tempdir().unwrap();
        let app = spawn_app_with(&["--jwt-public-key", &file(&dir, &mine.public_pem())]);
        let alice = claims("alice", &json!({}));
        assert_eq!(
            status(&app, &mine.sign(&alice)).await,
            200,
            "{}",
            mine.alg()
        );
        let secret = Signer::hs256(mine.public_pem().as_bytes());
        let others = signers().into_iter().chain([secret]);
        for other in others.filter(|other| other.alg() != mine.alg()) {
            let case = format!("{} at {}", other.alg(), mine.alg());
            assert_eq!(status(&app, &other.sign(&alice)).await, 401, "{case}");
            let disguised = json!({"alg": mine.alg()});
            let disguised = other.sign_with(&disguised, &alice);
            assert_eq!(status(&app, &disguised).await, 401, "{case}, disguised");
        }
    }
}

#[tokio::test]
async fn another_key_of_the_same_kind_does_not_verify() {
    let dir = tempfile::tempdir().unwrap();
    for (mine, other) in [
        (Signer::es256(), Signer::es256()),
        (Signer::ed25519(), Signer::ed25519()),
    ] {
        let app = spawn_app_with(&["--jwt-public-key", &file(&dir, &mine.public_pem())]);
        let alice = claims("alice", &json!({}));
        assert_eq!(status(&app, &mine.sign(&alice)).await, 200);
        assert_eq!(status(&app, &other.sign(&alice)).await, 401);
    }
}

#[test]
fn a_key_file_without_a_public_key_is_refused_at_start() {
    let dir = tempfile::tempdir().unwrap();
    let p384 = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap();
    let cases = [
        ("nothing", String::new()),
        (
            "no PEM",
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIG".to_owned(),
        ),
        ("another curve", p384.public_key_pem()),
        ("a weak RSA key", WEAK_RSA.to_owned()),
        ("a private RSA key", Signer::rs256().private_pem()),
        ("a private P-256 key", Signer::es256().private_pem()),
        ("a private Ed25519 key", Signer::ed25519().private_pem()),
    ];
    for (why, text) in cases {
        let error = refusal_to_start(&["--jwt-public-key", &file(&dir, &text)]);
        assert!(matches!(error, AppError::Access(_)), "{why}: {error}");
        let said = error.to_string();
        assert!(
            said.starts_with("DUOLOGUE_JWT_PUBLIC_KEY: "),
            "{why}: {said}"
        );
    }
    let missing = Path::new("/nowhere/key.pem").to_str().unwrap();
    let said = refusal_to_start(&["--jwt-public-key", missing]).to_string();
    assert!(said.contains("DUOLOGUE_JWT_PUBLIC_KEY"), "{said}");
}

#[tokio::test]
async fn clock_skew_of_thirty_seconds_is_tolerated() {
    let app = spawn_secured_app();
    let signer = Signer::hs256(SECRET.as_bytes());
    let cases = [
        ("expired just now", json!({"exp": in_seconds(-10)}), 200),
        ("expired a minute ago", json!({"exp": in_seconds(-60)}), 401),
        ("valid in a moment", json!({"nbf": in_seconds(10)}), 200),
        ("valid in a minute", json!({"nbf": in_seconds(60)}), 401),
        ("issued in a moment", json!({"iat": in_seconds(10)}), 200),
        ("issued in a minute", json!({"iat": in_seconds(60)}), 401),
        ("without `iat`", json!({"iat": null}), 200),
        (
            "times with fractions",
            json!({"exp": 9_999_999_999.5, "iat": 1.5}),
            200,
        ),
        ("an end at the end of time", json!({"exp": u64::MAX}), 200),
        ("an end before time", json!({"exp": -1}), 401),
        (
            "claims of the app's own",
            json!({"role": "admin", "aud": "any", "iss": "any"}),
            200,
        ),
    ];
    for (why, changes, expected) in cases {
        let token = signer.sign(&claims("alice", &changes));
        assert_eq!(status(&app, &token).await, expected, "{why}");
    }
}

#[tokio::test]
async fn audience_and_issuer_are_checked_when_they_are_set() {
    let rules = ["--jwt-audience", AUDIENCE, "--jwt-issuer", ISSUER];
    let app = spawn_app_with(&[&["--jwt-secret", SECRET], &rules[..]].concat());
    let signer = Signer::hs256(SECRET.as_bytes());
    let cases = [
        ("both right", json!({}), 200),
        (
            "one of several audiences",
            json!({"aud": ["x", AUDIENCE]}),
            200,
        ),
        ("none of several", json!({"aud": ["x", "y"]}), 401),
        ("no audience", json!({"aud": null}), 401),
        (
            "another issuer",
            json!({"iss": "https://app.example.org"}),
            401,
        ),
        ("no issuer", json!({"iss": null}), 401),
    ];
    for (why, changes, expected) in cases {
        let token = signer.sign(&strict("alice", &changes));
        assert_eq!(status(&app, &token).await, expected, "{why}");
    }
}

#[tokio::test]
async fn a_cached_token_still_expires() {
    let app = spawn_secured_app();
    let signer = Signer::hs256(SECRET.as_bytes());
    // Past its expiry, as long as it would be cached, and two seconds before the leeway ends.
    let token = signer.sign(&claims("alice", &json!({"exp": in_seconds(-28)})));
    assert_eq!(status(&app, &token).await, 200);
    eventually("it is over", Duration::from_secs(5), async || {
        status(&app, &token).await == 401
    })
    .await;
}

#[tokio::test]
async fn a_very_long_token_is_accepted() {
    let app = spawn_secured_app();
    let signer = Signer::hs256(SECRET.as_bytes());
    let long = signer.sign(&claims("alice", &json!({"roles": "x".repeat(6000)})));
    for _ in 0..2 {
        assert_eq!(status(&app, &long).await, 200);
    }
    let key = app.get_as(SERVICE_KEY, PATH).await;
    assert_eq!(key.status, 200);
}

#[tokio::test]
async fn another_claim_than_sub_can_be_the_user() {
    let claim = "https://example.com/user_id";
    let settings = ["--jwt-secret", SECRET, "--jwt-user-claim", claim];
    let app = spawn_app_with(&settings);
    let signer = Signer::hs256(SECRET.as_bytes());
    let path = "/conversations/alice/bob";
    let sign = |changes| signer.sign(&claims("auth0|1", &changes));
    let with_both = sign(json!({claim: "alice"}));
    assert_eq!(app.get_as(&with_both, path).await.status, 200);
    let without_sub = sign(json!({claim: "alice", "sub": null}));
    assert_eq!(app.get_as(&without_sub, path).await.status, 200);
    let own = app.get_as(&sign(json!({claim: "mallory"})), path).await;
    own.problem(403, "FORBIDDEN");
    for (user, why) in [
        (json!(null), "The token has no user"),
        (json!("al ice"), "is not a user id"),
        (json!(7), "is not a user id"),
        (json!(["alice"]), "is not a user id"),
    ] {
        let refused = app
            .get_as(&sign(json!({claim: user, "sub": "alice"})), path)
            .await;
        let problem = refused.problem(401, "UNAUTHENTICATED");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(why) && detail.contains(claim), "{detail}");
        assert!(refused.header("www-authenticate").contains(claim));
    }
    let config = ["duologue"].iter().chain(&settings);
    let rules = Config::read(config).unwrap().access.rules();
    let request = TokenRequest {
        sub: UserId::try_from("alice".to_owned()).unwrap(),
        ttl: Duration::from_secs(60),
    };
    let minted = request.mint(&SECRET.parse().unwrap(), &rules).unwrap();
    assert_eq!(
        app.get_as(&minted, path).await.status,
        200,
        "`duologue token`"
    );
    for name in ["", "a\"b", "a\\b", "a b"] {
        assert!(
            Config::read(["duologue", "--jwt-user-claim", name]).is_err(),
            "{name}"
        );
    }
}
