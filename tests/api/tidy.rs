//! The order of the house: what the comments and tables promise of the source is so.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use duologue::error::Code;
use duologue::store::SCRIPTS;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every file below a folder with this ending, as its path from the top and its text.
fn files(folder: &str, ending: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path: PathBuf = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == ending) {
                let name = path.strip_prefix(root()).unwrap().display().to_string();
                found.insert(name, std::fs::read_to_string(&path).unwrap());
            }
        }
    }
    assert!(!found.is_empty(), "nothing in {folder}");
    found
}

/// A source file without its comments.
fn code(source: &str) -> String {
    let lines = source
        .lines()
        .map(|line| line.split("//").next().unwrap_or_default());
    lines.collect::<Vec<_>>().join("\n")
}

/// The comment at the top of a script.
fn header(source: &str) -> Vec<&str> {
    let lines = source.lines().skip_while(|line| line.starts_with("#!"));
    lines.take_while(|line| line.starts_with("--")).collect()
}

/// `KEYS[n]` and `ARGV[n]` of a text.
fn indices(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for table in ["KEYS[", "ARGV["] {
        for rest in text.split(table).skip(1) {
            found.push(format!("{table}{}]", rest.split(']').next().unwrap()));
        }
    }
    found
}

#[test]
fn scripts_begin_with_what_they_do_and_return() {
    for (name, source) in files("lua", "lua") {
        let header = header(&source);
        let first = header
            .first()
            .unwrap_or_else(|| panic!("{name} has no header"));
        assert!(
            first.len() > 30 && first.starts_with("-- "),
            "{name}: {first}"
        );
        assert!(
            header.iter().any(|line| line.starts_with("-- Returns  ")),
            "{name} does not say what it returns"
        );
        let shebang = source.lines().next().unwrap();
        let only_reads = ![
            "HSET", "HDEL", "HINCRBY", "LPUSH", "LSET", "'SET'", "ZADD", "DEL'",
        ]
        .iter()
        .any(|write| source.contains(write));
        assert_eq!(
            only_reads,
            shebang == "#!lua flags=no-writes",
            "{name}: {shebang}"
        );
    }
}

#[test]
fn scripts_bind_every_key_and_argument_once_to_an_explained_name() {
    for (name, source) in files("lua", "lua") {
        let mut bound = Vec::new();
        for line in source.lines().filter(|line| !indices(line).is_empty()) {
            let index = indices(line).remove(0);
            let form = line
                .split_once('=')
                .map(|(left, right)| (left.trim(), right.trim()));
            let (local, rest) = form.unwrap_or_else(|| panic!("{name}: {line}"));
            assert!(local.starts_with("local "), "{name}: {line}");
            let comment = rest
                .strip_prefix(index.as_str())
                .and_then(|c| c.trim().strip_prefix("-- "));
            let words = comment.unwrap_or_else(|| panic!("{name}: no comment: {line}"));
            let kinds = ["list", "hash", "string", "integer", "flag", "zset"];
            let kind = words.split_whitespace().next().unwrap();
            assert!(
                kinds.contains(&kind) && words.split_whitespace().count() > 2,
                "{name}: {line}"
            );
            bound.push(index);
        }
        let dense = |table: &str| {
            let count = bound
                .iter()
                .filter(|index| index.starts_with(table))
                .count();
            (1..=count)
                .map(|n| format!("{table}[{n}]"))
                .collect::<Vec<_>>()
        };
        assert_eq!(bound, [dense("KEYS"), dense("ARGV")].concat(), "{name}");
    }
}

#[test]
fn scripts_refuse_with_words_of_their_header_and_of_the_table() {
    let table: BTreeSet<_> = Code::ALL.iter().map(|code| code.word()).collect();
    for (name, source) in files("lua", "lua") {
        let refusals = source.split("error_reply('").skip(1);
        let used: BTreeSet<_> = refusals
            .map(|r| r.split([' ', '\'']).next().unwrap())
            .collect();
        let errors = header(&source)
            .into_iter()
            .skip_while(|line| !line.starts_with("-- Errors  "));
        let said: BTreeSet<_> = errors
            .map(|line| {
                line.trim_start_matches("-- ")
                    .trim_start_matches("Errors")
                    .trim()
            })
            .map(|line| line.split(' ').next().unwrap())
            .filter(|word| {
                !word.is_empty() && word.chars().all(|c| c.is_ascii_uppercase() || c == '_')
            })
            .collect();
        assert_eq!(used, said, "{name}: refusals and header");
        assert!(
            used.is_subset(&table),
            "{name}: {used:?} are not all in src/error.rs"
        );
    }
    let words: BTreeSet<_> = Code::ALL.iter().map(|code| code.word()).collect();
    assert_eq!(words.len(), Code::ALL.len(), "a word stands for one thing");
    for code in Code::ALL {
        assert_eq!(Code::from_word(code.word()), Some(*code));
        assert!(code.meaning().ends_with('.'), "{}", code.word());
    }
}

#[test]
fn every_script_has_its_line_and_its_method() {
    let store: String = files("src/store", "rs").into_values().collect();
    let listed: Vec<_> = SCRIPTS
        .iter()
        .map(|script| format!("lua/{}.lua", script.name))
        .collect();
    let there: Vec<_> = files("lua", "lua").into_keys().collect();
    assert_eq!(listed, there, "SCRIPTS lists the scripts in their order");
    for script in SCRIPTS {
        let method = format!("pub async fn {}(", script.name);
        assert_eq!(store.matches(&method).count(), 1, "{method}");
        let constant = format!("&{}", script.name.to_uppercase());
        assert_eq!(
            store.matches(&constant).count(),
            1,
            "{constant} is run by its method alone"
        );
    }
}

#[test]
fn only_the_store_knows_redis_and_only_http_knows_actix() {
    for (name, source) in files("src", "rs") {
        let code = code(&source).replace("actix_web::main", "");
        // The target of its log lines.
        let code = code.replace("actix_server=warn", "");
        let may_redis = name.starts_with("src/store/") || name == "src/redis_process.rs";
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
        let may_actix = name.starts_with("src/http/");
        assert!(may_actix || !code.contains("actix"), "{name} names actix");
    }
}

/// The layers, each with those it may know.
const LAYERS: &[(&str, &[&str])] = &[
    (
        "src/app.rs",
        &[
            "auth",
            "config",
            "error",
            "http",
            "metrics",
            "model",
            "redis_process",
            "store",
        ],
    ),
    (
        "src/http/",
        &["auth", "error", "http", "metrics", "model", "rate", "store"],
    ),
    (
        "src/store/",
        &["error", "metrics", "model", "rate", "store"],
    ),
    ("src/auth/", &["error", "model", "rate"]),
    ("src/model/", &["error", "model"]),
    ("src/redis_process.rs", &["config"]),
    ("src/config/", &["auth", "model", "rate", "store"]),
    ("src/metrics.rs", &["error"]),
    ("src/error.rs", &["rate"]),
    ("src/rate.rs", &[]),
    ("src/main.rs", &[]),
    ("src/lib.rs", &[]),
];

#[test]
fn a_layer_knows_only_those_below_it() {
    for (name, source) in files("src", "rs") {
        let layer = LAYERS.iter().find(|(layer, _)| name.starts_with(layer));
        let Some((_, below)) = layer else {
            panic!("{name} is of no layer; give it a line in LAYERS");
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
fn every_module_says_what_it_is() {
    for (name, source) in files("src", "rs") {
        assert!(source.starts_with("//! "), "{name}");
    }
}

/// The rows of a Markdown table: the first cell of each, without its backquotes.
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
    for (call, of) in [(".of_pair(\"", "pair"), (".of_user(\"", "user")] {
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
    assert_eq!(used, documented);
    let writers = |line: &&str| line.starts_with("//! | `dm:");
    for line in source.lines().filter(writers) {
        let writers = line.rsplit('|').nth(1).unwrap();
        for script in writers.split(',').map(|w| w.trim().trim_matches('`')) {
            assert!(
                SCRIPTS.iter().any(|s| s.name == script),
                "{script} of {line}"
            );
        }
    }
}

/// The settings as the source declares them.
fn variables() -> BTreeSet<String> {
    let source: String = files("src/config", "rs").into_values().collect();
    let variables = source
        .split("env = \"")
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap().to_owned());
    variables.collect()
}

#[test]
fn every_setting_is_in_the_readme_and_no_other() {
    assert!(variables().contains("DUOLOGUE_BIND"));
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let rows = readme.lines().filter_map(|line| line.strip_prefix("| `--"));
    let settings = rows
        .filter_map(|row| row.split('`').nth(2))
        .map(str::to_owned);
    assert_eq!(settings.collect::<BTreeSet<_>>(), variables());
}

#[test]
fn every_test_that_the_page_on_security_names_exists() {
    let page = std::fs::read_to_string(root().join("docs/security.md")).unwrap();
    let tests = files("tests/api", "rs");
    let quoted = page.split('`').skip(1).step_by(2);
    let named: Vec<_> = quoted.filter_map(|name| name.split_once("::")).collect();
    for (module, name) in &named {
        let source = tests.get(&format!("tests/api/{module}.rs"));
        let source = source.unwrap_or_else(|| panic!("there is no {module}"));
        assert!(source.contains(&format!("fn {name}()")), "{module}::{name}");
    }
    // Each row of "cannot" names one.
    let rows = page.lines().filter(|line| line.starts_with("| "));
    for row in rows.filter(|row| !row.starts_with("| cannot")) {
        assert!(row.contains("::"), "nothing shows it: {row}");
    }
    assert!(named.len() > 30, "the page names its tests");
}
