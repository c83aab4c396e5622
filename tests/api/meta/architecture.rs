//! Architecture rules: module layers, and tables in comments and documents that must match the
//! source.

use std::collections::{BTreeMap, BTreeSet};

use duologue::store::SCRIPTS;

use crate::harness::source_tree::{files, root};

/// A source file without its comments.
fn code(source: &str) -> String {
    let lines = source
        .lines()
        .map(|line| line.split("//").next().unwrap_or_default());
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn each_outside_system_is_known_to_one_module() {
    for (name, source) in files("src", "rs") {
        // `main` uses the macro of actix, and the log filter names one of its crates.
        let code = code(&source).replace("actix_web::main", "");
        let code = code.replace("actix_server=warn", "");
        let may_redis = name.starts_with("src/store/") || name.starts_with("src/embedded_redis/");
        for crate_name in [
            " redis::",
            "(redis::",
            "<redis::",
            "&redis::",
            "\nuse redis",
            "deadpool",
        ] {
            assert!(
                may_redis || !code.contains(crate_name),
                "{name} names {crate_name}"
            );
        }
        let may_store = name.starts_with("src/archive/");
        for crate_name in ["object_store::", "zstd::"] {
            assert!(
                may_store || !code.contains(crate_name),
                "{name} names {crate_name}"
            );
        }
        let may_actix = name.starts_with("src/http/");
        assert!(may_actix || !code.contains("actix"), "{name} names actix");
    }
}

/// The layers, each with the modules it may use.
const LAYERS: &[(&str, &[&str])] = &[
    (
        "src/app",
        &[
            "archive",
            "auth",
            "config",
            "embedded_redis",
            "error",
            "http",
            "metrics",
            "model",
            "operations",
            "rate",
            "realtime",
            "store",
            "tls",
            "worker",
        ],
    ),
    (
        "src/http/",
        &[
            "auth",
            "error",
            "http",
            "metrics",
            "model",
            "operations",
            "protocol",
            "rate",
            "realtime",
            "tls",
        ],
    ),
    (
        "src/worker/",
        &[
            "auth", "error", "metrics", "model", "realtime", "store", "tls",
        ],
    ),
    (
        "src/operations/",
        &[
            "auth", "error", "metrics", "model", "protocol", "rate", "store",
        ],
    ),
    (
        "src/realtime/",
        &["error", "metrics", "model", "protocol", "store"],
    ),
    (
        "src/store/",
        &["archive", "error", "metrics", "model", "protocol", "rate"],
    ),
    ("src/archive/", &["error", "metrics", "model"]),
    ("src/protocol/", &["error", "model"]),
    ("src/auth/", &["error", "model"]),
    ("src/model/", &["error"]),
    ("src/embedded_redis/", &["config"]),
    (
        "src/config/",
        &["archive", "auth", "model", "rate", "store"],
    ),
    ("src/metrics.rs", &["error"]),
    ("src/error.rs", &["rate"]),
    ("src/rate.rs", &[]),
    ("src/tls.rs", &[]),
    ("src/cli/", &["cli", "model", "protocol"]),
    ("src/main.rs", &[]),
    ("src/lib.rs", &[]),
];

#[test]
fn modules_use_only_the_layers_below_them() {
    for (name, source) in files("src", "rs") {
        let layer = LAYERS.iter().find(|(layer, _)| name.starts_with(layer));
        let Some((_, below)) = layer else {
            panic!("{name} has no layer; add it to LAYERS");
        };
        for rest in code(&source).split("crate::").skip(1) {
            let module = rest
                .split(|c: char| !c.is_alphanumeric() && c != '_')
                .next()
                .unwrap();
            assert!(
                below.contains(&module),
                "{name} knows {module}, which is not below it"
            );
        }
    }
}

#[test]
fn only_operations_authorize_and_charge_callers() {
    const CALLS: [&str; 4] = [
        ".authorize(",
        ".acting_as(",
        ".require_backend(",
        "RateLimitRequest {",
    ];
    for (name, source) in files("src", "rs") {
        // `Caller` is defined in auth, `RateLimitRequest` in rate.
        let may = ["src/operations/", "src/auth/", "src/rate.rs"];
        if may.iter().any(|module| name.starts_with(module)) {
            continue;
        }
        for call in CALLS {
            assert!(!code(&source).contains(call), "{name} has {call}");
        }
    }
}

#[test]
fn every_module_has_a_doc_comment() {
    for (name, source) in files("src", "rs") {
        assert!(source.starts_with("//! "), "{name}");
    }
}

/// The first cell of each row of a Markdown table, without backquotes.
fn rows(text: &str) -> BTreeSet<String> {
    let rows = text
        .lines()
        .filter_map(|line| line.trim_start_matches("//! ").strip_prefix("| `"));
    rows.map(|row| row.split('`').next().unwrap().to_owned())
        .collect()
}

#[test]
fn every_key_is_in_the_table_of_keys() {
    let source = &files("src/store", "rs")["src/store/keys.rs"];
    let documented = rows(source);
    let named =
        |kind: &str, of: &str| format!("dm:{{{}}}:{kind}:<{of}>", &of[..1].replace('p', "c"));
    let mut used = BTreeSet::new();
    let calls = [
        (".of_pair(\"", "pair"),
        (".of_room(\"", "room"),
        (".of_user(\"", "user"),
        ("key(self.tag(user), \"", "user"),
        ("of_subscription(\"", "subscription"),
    ];
    for (call, of) in calls {
        let kinds = source
            .split(call)
            .skip(1)
            .map(|rest| rest.split('"').next().unwrap());
        used.extend(kinds.map(|kind| named(kind, of)));
    }
    let whole = source
        .split("\"dm:")
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap());
    used.extend(
        whole
            .filter(|key| !key.contains('{'))
            .map(|key| format!("dm:{key}")),
    );
    // The key of a partition, or of all subscriptions, ends without a name.
    let of_partition = [
        ("leases", 'u'),
        ("outbox", 'c'),
        ("schedule", 'c'),
        ("feed", 'c'),
        ("long", 'c'),
        ("garbage", 'c'),
        ("readers", 'c'),
        ("badges", 'u'),
        ("badge_readers", 'u'),
        ("erased", 's'),
        ("badge_subscriptions", 's'),
    ];
    for (key, tag) in of_partition {
        if source.contains(&format!("}}:{key}\"")) {
            used.insert(format!("dm:{{{tag}}}:{key}"));
        }
    }
    // An idempotency key continues after the conversation.
    let documented: BTreeSet<_> = documented
        .iter()
        .map(|key| match key.split_once(">,") {
            Some((kind, _)) => format!("{kind}>"),
            None => key.clone(),
        })
        .collect();
    assert_eq!(used, documented);
    let writers = |line: &&str| line.starts_with("//! | `dm:");
    for line in source.lines().filter(writers) {
        let writers = line.rsplit('|').nth(1).unwrap();
        for script in writers.split(',').map(|w| w.trim().trim_matches('`')) {
            let known = SCRIPTS.iter().any(|s| s.name == script)
                || ["every change", "every change of a room", "every charge"].contains(&script);
            assert!(known, "{script} of {line}");
        }
    }
}

#[test]
fn every_test_named_in_security_md_exists() {
    let page = std::fs::read_to_string(root().join("docs/security.md")).unwrap();
    let tests = files("tests/api", "rs");
    let quoted = page.split('`').skip(1).step_by(2);
    let named: Vec<_> = quoted.filter_map(|name| name.rsplit_once("::")).collect();
    for (module, name) in &named {
        let source = tests.get(&format!("tests/api/{}.rs", module.replace("::", "/")));
        let source = source.unwrap_or_else(|| panic!("there is no {module}"));
        assert!(source.contains(&format!("fn {name}()")), "{module}::{name}");
    }
    // Each row of a "cannot" table names a test.
    let rows = page.lines().filter(|line| line.starts_with("| "));
    for row in rows.filter(|row| !row.starts_with("| cannot")) {
        assert!(row.contains("::"), "the row names no test: {row}");
    }
    assert!(named.len() > 30, "the page names its tests");
}

/// Test output and commands like `cargo test NAME` stay readable at this length.
const LONGEST_TEST_NAME: usize = 60;

#[test]
fn test_names_have_at_most_60_characters() {
    for folder in ["src", "tests"] {
        for (file, source) in files(folder, "rs") {
            // `#[test]` and `#[tokio::test]`.
            for rest in source.split("test]\n").skip(1) {
                let name = rest.split("fn ").nth(1).unwrap_or_default();
                let name = name.split('(').next().unwrap_or_default();
                assert!(name.len() <= LONGEST_TEST_NAME, "{file}: {name}");
            }
        }
    }
}

/// The type that a line of source declares, if any.
fn declared_type(line: &str) -> Option<&str> {
    /// What traits of libraries require of their implementations.
    const ASSOCIATED: [&str; 4] = ["type Err ", "type Error ", "type Future ", "type Value "];
    let mut words = line.trim_start();
    if ASSOCIATED.iter().any(|begin| words.starts_with(begin)) {
        return None;
    }
    if let Some(rest) = words.strip_prefix("pub") {
        words = rest.split_once(' ')?.1;
    }
    let kinds = ["struct ", "enum ", "trait ", "type ", "union "];
    let rest = kinds.iter().find_map(|kind| words.strip_prefix(kind))?;
    let name = rest.split(|c: char| !c.is_alphanumeric()).next()?;
    name.starts_with(char::is_uppercase).then_some(name)
}

#[test]
fn each_type_name_is_declared_once() {
    let mut declared = BTreeMap::new();
    for (file, source) in files("src", "rs") {
        for name in source.lines().filter_map(declared_type) {
            let other = declared.insert(name.to_owned(), file.clone());
            assert_eq!(other, None, "{file} declares {name} again");
        }
    }
    assert!(declared.len() > 100, "declarations are found");
}
