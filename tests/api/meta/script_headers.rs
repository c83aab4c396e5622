//! The headers of the Lua scripts are complete and true.

use std::collections::BTreeSet;

use duologue::error::Code;
use duologue::store::{LIBRARY, RetrySafety, SCRIPTS};

use crate::harness::source_tree::files;

/// The comment at the top of a script.
fn header(source: &str) -> Vec<&str> {
    let above = |line: &&str| line.starts_with("#!") || line.starts_with("--- @include");
    let lines = source.lines().skip_while(above);
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

/// The events that a script's header says it publishes.
fn changes(source: &str) -> impl Iterator<Item = &str> {
    let lines = header(source).into_iter();
    let words = lines.filter_map(|line| line.strip_prefix("-- Changes  "));
    words.map(|words| words.split([',', ' ']).next().unwrap())
}

#[test]
fn headers_name_the_events_and_inputs_of_scripts() {
    for script in SCRIPTS {
        let kinds = script.file.split("kind = '").skip(1);
        let made: BTreeSet<_> = kinds.map(|kind| kind.split('\'').next().unwrap()).collect();
        let said: BTreeSet<_> = changes(script.file).collect();
        assert_eq!(made, said, "{}: events and header", script.name);
        let commits = ["commit", "commit_room", "commit_member"]
            .iter()
            .any(|name| {
                let line = format!("@include \"lib/{name}\"");
                script.file.contains(&line)
            });
        assert_eq!(commits, !said.is_empty(), "{}", script.name);
    }
}

/// The scripts by their files.
fn scripts() -> impl Iterator<Item = (String, String)> {
    files("lua", "lua")
        .into_iter()
        .filter(|(name, _)| !name.starts_with("lua/lib/"))
}

#[test]
fn library_files_have_a_comment_and_named_parameters() {
    for (name, source) in files("lua/lib", "lua") {
        assert!(source.starts_with("-- "), "{name} has no header");
        assert!(
            !source.contains("KEYS") && !source.contains("ARGV"),
            "{name}"
        );
        let functions = source.matches("\nlocal function ").count();
        let constants = source.matches("\nlocal ").count() - functions;
        assert!(functions + constants > 0, "{name} has nothing to include");
    }
    let includes = files("lua", "lua").into_values().collect::<String>();
    for (name, _) in LIBRARY {
        assert!(
            includes.contains(&format!("--- @include \"{name}\"")),
            "{name} is unused"
        );
    }
    for script in SCRIPTS {
        let source = script.source.as_str();
        assert!(
            !source.contains("@include"),
            "{}: unknown include",
            script.name
        );
        assert!(source.starts_with("#!lua"), "{}", script.name);
    }
}

#[test]
fn library_files_keep_nothing_from_call_to_call() {
    let is_constant = |name: &str| {
        name.starts_with(|c: char| c.is_ascii_uppercase()) && name == name.to_uppercase()
    };
    for (name, source) in files("lua/lib", "lua") {
        for line in source.lines() {
            let Some((names, value)) = line.split_once(" = ") else {
                continue;
            };
            let local = line.starts_with("local ");
            let mut names = names.trim_start_matches("local ").trim().split(", ");
            // What all calls of a function of Redis share is constant: neither assigned again nor a table.
            if local {
                assert!(names.all(is_constant), "{name}: {line}");
                assert!(
                    !value.contains(['{', '(']) || value.starts_with('\''),
                    "{name}: {line}"
                );
            } else {
                assert!(!names.any(is_constant), "{name}: {line}");
            }
        }
    }
}

#[test]
fn scripts_begin_with_what_they_do_and_return() {
    for (name, source) in scripts() {
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
    }
}

#[test]
fn scripts_that_read_are_marked_as_such() {
    let writes = |source: &str| {
        [
            "HSET",
            "HDEL",
            "LPUSH",
            "LSET",
            "LTRIM",
            "'SET'",
            "ZADD",
            "ZREM",
            "DEL'",
            "PUBLISH",
            "EXPIRE",
            "XADD",
            "XACK",
            "XCLAIM",
            "XGROUP",
            "XREADGROUP",
            "XTRIM",
            "UNLINK",
        ]
        .iter()
        .any(|write| source.contains(write))
    };
    for script in SCRIPTS {
        let only_reads = !writes(&script.source);
        let shebang = script.source.lines().next().unwrap();
        let name = script.name;
        assert_eq!(only_reads, shebang == "#!lua flags=no-writes", "{name}");
        // A charge does not count.
        let commits = [
            "lib/batch",
            "lib/commit",
            "lib/dead_letter",
            "lib/inbox",
            "lib/erasure",
        ]
        .iter()
        .any(|library| script.file.contains(&format!("@include \"{library}")));
        let reads = !commits && !writes(script.file) && name != "charge_rate";
        let marked = script.retry == RetrySafety::ReadsOnly;
        assert_eq!(reads && !script.file.contains("GETDEL"), marked, "{name}");
    }
}

/// The number of indices that are keys.
fn keys_of(bound: &[String]) -> usize {
    let keys = bound.iter().take_while(|index| index.starts_with("KEYS["));
    keys.count()
}

#[test]
fn scripts_name_and_explain_every_key_and_argument() {
    for (name, source) in scripts() {
        let (mut bound, mut names) = (Vec::new(), Vec::new());
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
            let kinds = [
                "list", "hash", "string", "integer", "flag", "zset", "channel", "stream",
            ];
            let kind = words.split_whitespace().next().unwrap();
            assert!(
                kinds.contains(&kind) && words.split_whitespace().count() > 2,
                "{name}: {line}"
            );
            names.push(local.trim_start_matches("local ").trim());
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
        let keys = keys_of(&bound);
        assert_eq!(bound[keys..], dense("ARGV"), "{name}");
        assert_eq!(bound[..keys], dense("KEYS"), "{name}");
        let distinct: BTreeSet<_> = names.iter().collect();
        assert_eq!(distinct.len(), names.len(), "{name}: each name once");
    }
}

#[test]
fn script_errors_are_in_their_header_and_the_error_table() {
    let table: BTreeSet<_> = Code::ALL.iter().map(|code| code.word()).collect();
    for script in SCRIPTS {
        let (name, source) = (script.name, script.file);
        let refusals = script.source.split("error_reply('").skip(1);
        let used: BTreeSet<_> = refusals
            .map(|r| r.split([' ', '\'']).next().unwrap())
            .collect();
        let errors = header(source)
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
    assert_eq!(words.len(), Code::ALL.len(), "a name has one meaning");
    for code in Code::ALL {
        assert_eq!(Code::from_word(code.word()), Some(*code));
        assert!(code.meaning().ends_with('.'), "{}", code.word());
    }
}

#[test]
fn every_script_is_listed_and_has_a_method() {
    let store: String = files("src/store", "rs").into_values().collect();
    let called: Vec<_> = SCRIPTS
        .iter()
        .map(|script| format!("lua/{}.lua", script.path))
        .collect();
    let library: Vec<_> = LIBRARY
        .iter()
        .map(|(name, _)| format!("lua/{name}.lua"))
        .collect();
    assert!(
        called.is_sorted() && library.is_sorted(),
        "the scripts are sorted"
    );
    let listed: BTreeSet<_> = called.iter().chain(&library).cloned().collect();
    assert_eq!(listed.len(), called.len() + library.len(), "each once");
    let there: BTreeSet<_> = files("lua", "lua").into_keys().collect();
    assert_eq!(listed, there, "SCRIPTS and LIBRARY list the scripts");
    for script in SCRIPTS {
        let method = format!("pub async fn {}(", script.name);
        assert_eq!(store.matches(&method).count(), 1, "{method}");
        let constant = format!("&{}", script.name.to_uppercase());
        let uses = store.match_indices(&constant).filter(|(at, _)| {
            let after = store[at + constant.len()..].chars().next();
            !after.is_some_and(|c| c == '_' || c.is_alphanumeric())
        });
        assert_eq!(uses.count(), 1, "{constant} is run by its method alone");
    }
}
