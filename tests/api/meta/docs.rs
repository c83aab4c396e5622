//! The README and the pages in `docs` agree with the source.

use std::collections::BTreeSet;
use std::path::Path;

use duologue::error::Code;
use duologue::metrics::Metrics;
use duologue::store::Store;

use crate::harness::source_tree::{files, root};

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap()
}

/// The README and every page: name and text.
fn pages() -> Vec<(String, String)> {
    let mut pages: Vec<_> = files("docs", "md").into_iter().collect();
    pages.push(("README.md".to_owned(), read("README.md")));
    pages
}

/// The first cells of the table rows that begin with this, with the rest of the row.
fn rows<'a>(page: &'a str, beginning: &str) -> Vec<(&'a str, &'a str)> {
    let rows = page.lines().filter(|line| line.starts_with(beginning));
    rows.map(|row| row.strip_prefix("| `").unwrap().split_once('`').unwrap())
        .collect()
}

/// The folders and files at the top that a page can name.
const TOP: &[&str] = &[
    "src/",
    "tests/",
    "docs/",
    "web/",
    "benches/",
    "clients/",
    ".ci/",
    "Makefile",
    "deploy/",
    "examples/",
    "deny.toml",
];

#[test]
fn every_path_named_in_the_docs_exists() {
    let mut named = 0;
    for (page, text) in pages() {
        let quoted = text.split('`').skip(1).step_by(2).map(str::to_owned);
        let quoted = quoted.filter(|path| TOP.iter().any(|top| path.starts_with(top)));
        for path in quoted.filter(|path| !path.contains(['<', '*', '{', ' ', '\n'])) {
            assert!(root().join(&path).exists(), "{page} names {path}");
            named += 1;
        }
        let folder = Path::new(&page).parent().unwrap().to_owned();
        for link in text.split("](").skip(1) {
            let target = link.split([')', '#']).next().unwrap();
            let elsewhere = target.is_empty() || target.contains("://");
            let path = root().join(&folder).join(target);
            assert!(elsewhere || path.exists(), "{page} links to {target}");
        }
    }
    assert!(named > 30, "the pages name files");
}

#[test]
fn the_readme_has_at_most_150_lines() {
    assert!(read("README.md").lines().count() <= 150);
}

/// `clients/run` runs these blocks.
#[test]
fn clients_md_generates_each_client_in_ten_lines() {
    let page = read("docs/clients.md");
    let folders = std::fs::read_dir(root().join("clients")).unwrap();
    let folders = folders.map(|entry| entry.unwrap());
    let clients: Vec<_> = folders.filter(|entry| entry.path().is_dir()).collect();
    assert!(clients.len() >= 6);
    for client in clients {
        let name = client.file_name().into_string().unwrap();
        let fence = format!("```sh {name}\n");
        let (_, rest) = page.split_once(&fence).expect(&name);
        let (block, _) = rest.split_once("```\n").unwrap();
        assert!((2..=10).contains(&block.lines().count()), "{name}");
        assert!(client.path().join("check").is_file(), "{name}");
    }
}

/// The environment variables that the source declares.
fn variables() -> BTreeSet<String> {
    let source: String = files("src/config", "rs").into_values().collect();
    let variables = source.split("env = \"").skip(1);
    variables
        .map(|rest| rest.split('"').next().unwrap().to_owned())
        .collect()
}

#[test]
fn every_setting_is_in_configuration_md_and_no_other() {
    assert!(variables().contains("DUOLOGUE_BIND"));
    let page = read("docs/configuration.md");
    let rows = rows(&page, "| `--").into_iter();
    let mut settings: Vec<_> = rows
        .map(|(_, row)| row.split('`').nth(1).unwrap().to_owned())
        .collect();
    settings.sort();
    let variables: Vec<_> = variables().into_iter().collect();
    assert_eq!(settings, variables, "each once");
}

#[test]
fn compose_files_set_variables_that_exist() {
    let mut compose = files("deploy", "yml");
    compose.insert("docker-compose.yml".to_owned(), read("docker-compose.yml"));
    for (file, text) in compose {
        let lines = text
            .lines()
            .filter(|line| !line.trim_start().starts_with('#'));
        let settings = lines.filter_map(|line| line.trim().split_once(": "));
        let settings: Vec<_> = settings
            .filter(|(name, _)| name.starts_with("DUOLOGUE_"))
            .collect();
        assert!(settings.len() > 1, "{file}");
        for (name, value) in settings {
            assert!(variables().contains(name), "{file}: {name}");
            if name == "DUOLOGUE_REDIS_URL" {
                assert_eq!(Store::check_url(value), Ok(()), "{file}");
            }
        }
    }
}

#[test]
fn every_error_is_in_errors_md_with_its_status() {
    let page = read("docs/errors.md");
    let documented: Vec<_> = rows(&page, "| `")
        .into_iter()
        .map(|(code, row)| (code, row.split('|').nth(1).unwrap().trim().to_owned()))
        .collect();
    let codes = Code::ALL.iter();
    let codes: Vec<_> = codes
        .map(|code| (code.word(), code.status().to_string()))
        .collect();
    assert_eq!(
        documented, codes,
        "in the order of the table in src/error.rs"
    );
}

#[test]
fn every_metric_is_in_operations_md_with_its_type() {
    let page = read("docs/operations.md");
    let documented: BTreeSet<_> = rows(&page, "| `duologue_")
        .into_iter()
        .map(|(name, row)| {
            (
                name.to_owned(),
                row.split('|').nth(1).unwrap().trim().to_owned(),
            )
        })
        .collect();
    let metrics = Metrics::new();
    // Families with labels appear once they have a value.
    metrics.request("GET", "/", "200", 0.0);
    metrics.error("INTERNAL");
    metrics.script_seconds("send_message").observe(0.0);
    metrics.worker_failures("presence").inc();
    metrics.inbox_updates("exact").inc();
    metrics.repairs("repeated").inc();
    metrics.redirect("moved");
    metrics.set_subscriptions(&[("archive".to_owned(), [0; 3])].into());
    metrics.set_webhooks(&[("hook".to_owned(), [0; 2])].into());
    metrics.webhook("hook", "taken", 0.0);
    let rendered = metrics.render();
    let types = rendered
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE "));
    let own = types.filter(|line| line.starts_with("duologue_"));
    let rendered: BTreeSet<_> = own
        .map(|line| line.split_once(' ').unwrap())
        .map(|(name, kind)| (name.to_owned(), kind.to_owned()))
        .collect();
    assert_eq!(documented, rendered);
}
