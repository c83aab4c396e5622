//! The headers of the Lua scripts are complete and true.

use std::collections::BTreeSet;

use duologue::error::Code;
use duologue::store::{PARTS, SCRIPTS};

use crate::harness::source_tree::files;

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
        let composed = script.free.source.as_str() != script.file;
        assert_eq!(composed, !said.is_empty(), "{}", script.name);
    }
    for (name, source) in files("lua", "lua") {
        let own = source.contains("local state =");
        let given = source.contains("state.") || source.contains("state[");
        let said = header(&source)
            .iter()
            .any(|line| line.starts_with("-- Given    state"));
        assert_eq!(given && !own, said, "{name}: what is given, and header");
    }
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
        let writes = [
            "HSET", "HDEL", "HINCRBY", "LPUSH", "LSET", "RPOP", "LTRIM", "'SET'", "ZADD", "ZREM",
            "DEL'", "PUBLISH",
        ];
        // A script that changes a conversation writes at least its version, in code added after it.
        let only_reads =
            changes(&source).next().is_none() && !writes.iter().any(|write| source.contains(write));
        assert_eq!(
            only_reads,
            shebang == "#!lua flags=no-writes",
            "{name}: {shebang}"
        );
    }
}

/// The keys of a conversation in their order.
const CONVERSATION: [&str; 4] = ["messages", "unread", "meta", "retry"];

/// The number of indices that are keys.
fn keys_of(bound: &[String]) -> usize {
    let keys = bound.iter().take_while(|index| index.starts_with("KEYS["));
    keys.count()
}

#[test]
fn scripts_name_and_explain_every_key_and_argument() {
    for (name, source) in files("lua", "lua") {
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
                "list", "hash", "string", "integer", "flag", "zset", "channel",
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
        // A script may leave out keys of the conversation that it does not need.
        if bound[..keys] != dense("KEYS") {
            for (index, local) in bound.iter().zip(&names).take(keys) {
                let place = CONVERSATION.iter().position(|key| key == local);
                let place = place.unwrap_or_else(|| panic!("{name}: {local}"));
                assert_eq!(*index, format!("KEYS[{}]", place + 1), "{name}: {local}");
            }
        }
        let distinct: BTreeSet<_> = names.iter().collect();
        assert_eq!(distinct.len(), names.len(), "{name}: each name once");
    }
}

#[test]
fn script_errors_are_in_their_header_and_the_error_table() {
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
fn every_script_is_listed_and_has_a_method() {
    let store: String = files("src/store", "rs").into_values().collect();
    let names = |names: Vec<&str>| {
        let files = names.iter().map(|name| format!("lua/{name}.lua"));
        files.collect::<Vec<_>>()
    };
    let called = names(SCRIPTS.iter().map(|script| script.name).collect());
    let parts = names(PARTS.iter().map(|(name, _)| *name).collect());
    assert!(
        called.is_sorted() && parts.is_sorted(),
        "scripts stand in their order"
    );
    let listed: BTreeSet<_> = called.iter().chain(&parts).cloned().collect();
    assert_eq!(listed.len(), called.len() + parts.len(), "each once");
    let there: BTreeSet<_> = files("lua", "lua").into_keys().collect();
    assert_eq!(listed, there, "SCRIPTS and PARTS list the scripts");
    for script in SCRIPTS {
        let method = format!("pub async fn {}(", script.name);
        assert_eq!(store.matches(&method).count(), 1, "{method}");
        let constant = format!("&{}", script.name.to_uppercase());
        let uses = store
            .match_indices(&constant)
            .filter(|(at, _)| !store[at + constant.len()..].starts_with('_'));
        assert_eq!(uses.count(), 1, "{constant} is run by its method alone");
    }
}
