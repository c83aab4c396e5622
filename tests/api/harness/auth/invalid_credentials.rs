//! Credentials that the service must refuse, each with the reason it must give.

use serde_json::{Value, json};

use crate::harness::auth::secured_app::{ROTATED_OUT, SERVICE_KEY};
use crate::harness::auth::signing::{Signer, claims, in_seconds, unsigned};

/// The `aud` and `iss` that the strict service requires.
pub const AUDIENCE: &str = "duologue";
pub const ISSUER: &str = "https://app.example";

/// The claims of a valid token for the strict service, with changes; null removes a claim.
pub fn strict(user: &str, changes: &Value) -> Value {
    let mut all = json!({"aud": AUDIENCE, "iss": ISSUER});
    for (name, value) in changes.as_object().unwrap() {
        all[name] = value.clone();
    }
    claims(user, &all)
}

/// A description, the `Authorization` header (none if empty), and a part of the expected error
/// detail.
pub type InvalidCredential = (&'static str, String, &'static str);

fn bearer(credential: &str) -> String {
    format!("Bearer {credential}")
}

/// All invalid credentials for a service that verifies RS256.
pub fn refused(signer: &Signer) -> Vec<InvalidCredential> {
    [
        malformed(signer),
        untimely(signer),
        unfit(signer),
        forged(signer),
    ]
    .concat()
}

fn malformed(signer: &Signer) -> Vec<InvalidCredential> {
    let good = signer.sign(&strict("alice", &json!({})));
    vec![
        ("no credential", String::new(), "no credential"),
        ("another scheme", format!("Basic {good}"), "form"),
        ("no scheme", good.clone(), "form"),
        ("two words", format!("Bearer {good} {good}"), "form"),
        ("an empty one", "Bearer ".into(), "form"),
        ("garbage", bearer("garbage"), "service key"),
        ("garbage with dots", bearer("gar.ba.ge"), "cannot be parsed"),
        ("dots alone", bearer(".."), "cannot be parsed"),
        (
            "another service key",
            bearer("a-service-key-that-nobody-ever-made"),
            "service key",
        ),
        (
            "a key that was rotated out",
            bearer(ROTATED_OUT),
            "service key",
        ),
        (
            "half a service key",
            bearer(&SERVICE_KEY[..30]),
            "service key",
        ),
    ]
}

fn untimely(signer: &Signer) -> Vec<InvalidCredential> {
    let signed = |changes: Value| bearer(&signer.sign(&strict("alice", &changes)));
    vec![
        (
            "expired",
            signed(json!({"exp": in_seconds(-120)})),
            "expired",
        ),
        ("no `exp`", signed(json!({"exp": null})), "`exp`"),
        (
            "an `exp` in words",
            signed(json!({"exp": "tomorrow"})),
            "`exp`",
        ),
        (
            "not yet valid",
            signed(json!({"nbf": in_seconds(120)})),
            "`nbf`",
        ),
        (
            "issued in the future",
            signed(json!({"iat": in_seconds(120)})),
            "future",
        ),
        (
            "an `iat` in words",
            signed(json!({"iat": "today"})),
            "`iat`",
        ),
    ]
}

fn unfit(signer: &Signer) -> Vec<InvalidCredential> {
    let signed = |changes: Value| bearer(&signer.sign(&strict("alice", &changes)));
    vec![
        ("no `sub`", signed(json!({"sub": null})), "no user (`sub`)"),
        (
            "an invalid `sub`",
            signed(json!({"sub": "al ice"})),
            "`sub`",
        ),
        (
            "a `sub` that is not a string",
            signed(json!({"sub": 7})),
            "`sub`",
        ),
        (
            "another audience",
            signed(json!({"aud": "another"})),
            "`aud`",
        ),
        ("no audience", signed(json!({"aud": null})), "`aud`"),
        (
            "another issuer",
            signed(json!({"iss": "https://evil.example"})),
            "`iss`",
        ),
        ("no issuer", signed(json!({"iss": null})), "`iss`"),
    ]
}

fn forged(signer: &Signer) -> Vec<InvalidCredential> {
    let alice = strict("alice", &json!({}));
    let good = signer.sign(&alice);
    let (message, signature) = good.rsplit_once('.').unwrap();
    let first = if signature.starts_with('A') { 'B' } else { 'A' };
    let changed = format!("{message}.{first}{}", &signature[1..]);
    let other = signer.sign(&strict("mallory", &json!({})));
    let swapped = format!("{message}.{}", other.rsplit_once('.').unwrap().1);
    let none = unsigned(&json!({"alg": "none"}), &alice);
    let confused = Signer::hs256(signer.public_pem().as_bytes());
    let mislabelled = confused.sign_with(&json!({"alg": "RS256"}), &alice);
    let crit = signer.sign_with(&json!({"alg": "RS256", "crit": ["x"], "x": 1}), &alice);
    vec![
        ("a changed signature", bearer(&changed), "signature"),
        (
            "the signature of another token",
            bearer(&swapped),
            "signature",
        ),
        ("no signature", bearer(&format!("{message}.")), "signature"),
        (
            "the algorithm `none`",
            bearer(&format!("{none}.")),
            "cannot be parsed",
        ),
        (
            "the public key as a secret",
            bearer(&confused.sign(&alice)),
            "algorithm",
        ),
        (
            "the public key as a secret, with the accepted `alg`",
            bearer(&mislabelled),
            "signature",
        ),
        ("an extension to be understood", bearer(&crit), "`crit`"),
    ]
}
