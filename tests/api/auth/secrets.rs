//! Secrets: required for public addresses, read from settings or files, and never printed.

use std::time::{Duration, Instant};

use duologue::auth::{ServiceKeys, generate_key};
use duologue::config::Config;

use crate::harness::auth::secured_app::{ROTATED_OUT, SECRET, SERVICE_KEY};
use crate::harness::cli::service_process::{ServiceProcess, command, output};
use crate::harness::http::response::ApiResponse;
use crate::harness::{client, refusal_to_start, spawn_app_with};

const PATH: &str = "/conversations/alice/bob";

/// Standard output of the binary.
fn stdout(settings: &[(&str, &str)], args: &[&str]) -> String {
    let mut command = command();
    let output = output(command.envs(settings.iter().copied()).args(args));
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{error}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// Standard error of the binary when it refuses to start.
fn startup_error(settings: &[(&str, &str)]) -> String {
    let mut command = command();
    let output = output(command.envs(settings.iter().copied()));
    assert!(!output.status.success(), "{settings:?}");
    String::from_utf8(output.stderr).unwrap()
}

async fn status(address: &str, credential: &str) -> u16 {
    let request = client()
        .get(format!("{address}{PATH}"))
        .bearer_auth(credential);
    ApiResponse::read(request.send().await.unwrap())
        .await
        .status
}

#[test]
fn a_public_address_without_a_secret_is_refused_at_start() {
    for bind in ["0.0.0.0:0", "[::]:0", "192.0.2.1:8080"] {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().to_str().unwrap();
        let said = startup_error(&[("DUOLOGUE_BIND", bind), ("DUOLOGUE_DATA_DIR", folder)]);
        assert_eq!(said.trim().lines().count(), 1, "{said}");
        for word in [
            "DUOLOGUE_SERVICE_KEYS",
            "DUOLOGUE_JWT_SECRET",
            "duologue key",
            "127.0.0.1",
        ] {
            assert!(said.contains(word), "{word}: {said}");
        }
        assert!(
            dir.path().read_dir().unwrap().next().is_none(),
            "nothing was started"
        );
    }
}

#[tokio::test]
async fn a_public_address_with_a_secret_is_accepted() {
    for (name, value) in [
        ("DUOLOGUE_SERVICE_KEYS", SERVICE_KEY),
        ("DUOLOGUE_JWT_SECRET", SECRET),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let settings = [("DUOLOGUE_BIND", "0.0.0.0:0"), (name, value)];
        let service = ServiceProcess::start_with(dir.path(), &settings);
        let address = service.address.replace("0.0.0.0", "127.0.0.1");
        assert_eq!(status(&address, "nonsense").await, 401, "{name}");
    }
}

#[tokio::test]
async fn the_readme_commands_for_tokens_and_keys_work() {
    let [secret, key] = [0, 1].map(|_| stdout(&[], &["key"]));
    assert!(key.starts_with("dk_") && key.len() == 46 && key != secret);
    let dir = tempfile::tempdir().unwrap();
    let settings = [
        ("DUOLOGUE_JWT_SECRET", secret.as_str()),
        ("DUOLOGUE_SERVICE_KEYS", &key),
        ("DUOLOGUE_JWT_AUDIENCE", "duologue"),
        ("DUOLOGUE_JWT_ISSUER", "https://app.example"),
    ];
    let token = stdout(&settings, &["token", "--sub", "alice", "--ttl", "1h"]);
    let bob = stdout(&settings, &["token", "--sub", "bob"]);
    let service = ServiceProcess::start_with(dir.path(), &settings);
    assert_eq!(status(&service.address, &token).await, 200);
    assert_eq!(status(&service.address, &key).await, 200);
    assert_eq!(status(&service.address, &bob).await, 403);
    let mut none = command();
    let refused = output(none.args(["token", "--sub", "alice"]));
    let why = String::from_utf8(refused.stderr).unwrap();
    assert!(
        !refused.status.success() && why.contains("DUOLOGUE_JWT_SECRET"),
        "{why}"
    );
}

#[tokio::test]
async fn secrets_can_be_read_from_files() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    // With a final line break, as editors and `echo` write it, and one key per line.
    let secret = file("secret", &format!("{SECRET}\n"));
    let keys = file("keys", &format!("{SERVICE_KEY}\n{ROTATED_OUT}\n"));
    let app = spawn_app_with(&["--jwt-secret-file", &secret, "--service-keys-file", &keys]);
    let alice = crate::harness::auth::secured_app::token("alice");
    for credential in [SERVICE_KEY, ROTATED_OUT, &alice] {
        assert_eq!(status(&app.address, credential).await, 200);
    }
    assert_eq!(status(&app.address, "nonsense").await, 401);
    let short = file("short", "too short");
    for (flag, variable) in [
        ("--jwt-secret-file", "DUOLOGUE_JWT_SECRET_FILE"),
        ("--service-keys-file", "DUOLOGUE_SERVICE_KEYS_FILE"),
    ] {
        for value in [&short, "/nowhere/secret"] {
            let said = refusal_to_start(&[flag, value]).to_string();
            assert!(
                said.starts_with(variable) && !said.contains("too short"),
                "{said}"
            );
        }
    }
}

#[test]
fn conflicting_secret_settings_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("secret");
    std::fs::write(&file, SECRET).unwrap();
    let file = file.to_str().unwrap();
    let cases = [
        (["--jwt-secret", SECRET], ["--jwt-secret-file", file]),
        (["--jwt-secret", SECRET], ["--jwt-public-key", file]),
        (["--jwt-secret", SECRET], ["--jwks", file]),
        (["--jwt-public-key", file], ["--jwks", file]),
        (
            ["--service-keys", SERVICE_KEY],
            ["--service-keys-file", file],
        ),
    ];
    for (one, other) in cases {
        let said = refusal_to_start(&[one, other].concat()).to_string();
        for flag in [one[0], other[0]] {
            let variable = flag
                .trim_start_matches("--")
                .replace('-', "_")
                .to_uppercase();
            assert!(said.contains(&format!("DUOLOGUE_{variable}")), "{said}");
        }
        assert!(
            !said.contains(SECRET) && !said.contains(SERVICE_KEY),
            "{said}"
        );
    }
}

#[test]
fn a_rejected_secret_is_not_echoed() {
    let cases = [
        ("DUOLOGUE_JWT_SECRET", "hunter2-of-31-bytes-is-too-shor"),
        ("DUOLOGUE_SERVICE_KEYS", "hunter2-is-too-short"),
        (
            "DUOLOGUE_SERVICE_KEYS",
            "hunter2.with.dots.could.be.taken.for.a.token",
        ),
        (
            "DUOLOGUE_SERVICE_KEYS",
            "a-good-key-of-the-tests-of-no-use,hunter2",
        ),
        ("DUOLOGUE_SERVICE_KEYS", ""),
        ("DUOLOGUE_JWT_SECRET", ""),
        ("DUOLOGUE_SEND_RATE", "20"),
        ("DUOLOGUE_REQUEST_RATE", "0:10"),
        ("DUOLOGUE_READ_RATE", "100:300"),
        ("DUOLOGUE_CORS_ORIGINS", "*"),
        ("DUOLOGUE_CORS_ORIGINS", "https://app.example.com/"),
        ("DUOLOGUE_TRUSTED_PROXIES", "everybody"),
        ("DUOLOGUE_JWKS", "http://keys.example/hunter2"),
    ];
    for (variable, value) in cases {
        let said = startup_error(&[(variable, value)]);
        assert!(said.contains(variable), "{variable}={value}: {said}");
        assert!(
            variable == "DUOLOGUE_JWKS" || !said.contains("hunter2"),
            "{said}"
        );
    }
}

#[test]
fn help_and_debug_output_show_no_secret() {
    const JWKS: &str = "https://user:hunter2@login.example.com/keys?token=hunter2";
    let settings = [
        ("DUOLOGUE_JWT_SECRET", SECRET),
        ("DUOLOGUE_SERVICE_KEYS", SERVICE_KEY),
        ("DUOLOGUE_JWKS", JWKS),
        ("DUOLOGUE_REDIS_URL", "redis://:hunter2@redis.example.com"),
    ];
    let help = stdout(&settings, &["--help"]);
    let args = [
        "duologue",
        "--jwt-secret",
        SECRET,
        "--service-keys",
        SERVICE_KEY,
        "--jwks",
        JWKS,
    ];
    let printed = format!("{:?}", Config::read(args).unwrap());
    for text in [help, printed] {
        assert!(
            !text.contains(SECRET) && !text.contains(SERVICE_KEY) && !text.contains("hunter2"),
            "{text}"
        );
    }
}

/// The median duration of a call.
fn median(keys: &ServiceKeys, shown: &str) -> Duration {
    let mut times: Vec<_> = (0..5000)
        .map(|_| {
            let begun = Instant::now();
            std::hint::black_box(keys.find(std::hint::black_box(shown)));
            begun.elapsed()
        })
        .collect();
    times.sort_unstable();
    times[times.len() / 2]
}

#[test]
fn service_keys_are_compared_in_constant_time() {
    let right = generate_key().unwrap();
    let others: Vec<_> = (0..3).map(|_| generate_key().unwrap()).collect();
    let keys: ServiceKeys = format!("{right},{}", others.join(",")).parse().unwrap();
    assert!(keys.find(&right).is_some());
    // The last character carries only four bits of the key, but the whole string is compared.
    let almost = format!("{}!", &right[..right.len() - 1]);
    let nothing = "#".repeat(right.len());
    assert!(keys.find(&almost).is_none() && keys.find(&nothing).is_none());
    // The service compares digests, of which an attacker cannot choose a prefix. Comparing keys one
    // by one or character by character would fail this test, even on a busy machine.
    let mut ratios: Vec<_> = (0..9)
        .map(|_| median(&keys, &almost).as_secs_f64() / median(&keys, &nothing).as_secs_f64())
        .collect();
    ratios.sort_by(f64::total_cmp);
    assert!((0.8..1.25).contains(&ratios[4]), "{ratios:?}");
}
