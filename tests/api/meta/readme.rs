//! The commands in the README work as written.

use std::path::Path;
use std::process::Command;

use crate::harness::auth::secured_app::{SERVICE_KEY, spawn_secured_app, token};
use crate::harness::spawn_app;

/// The address of the service in the README.
const ADDRESS: &str = "http://127.0.0.1:8080";

/// The `curl` commands of the `sh` blocks, with continued lines joined.
fn curls(readme: &str) -> Vec<String> {
    let blocks = readme
        .split("```sh\n")
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap());
    let lines = blocks.flat_map(|block| {
        let block = block.replace("\\\n", " ");
        block
            .lines()
            .map(|line| line.trim().trim_start_matches("$ ").to_owned())
            .collect::<Vec<_>>()
    });
    lines.filter(|line| line.starts_with("curl ")).collect()
}

#[test]
fn every_curl_of_the_readme_succeeds() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = std::fs::read_to_string(file).unwrap();
    let curls = curls(&readme);
    assert!(!curls.is_empty(), "the README shows no request");
    let (open, closed) = (spawn_app(), spawn_secured_app());
    let token = token("alice");
    for line in curls {
        // Commands with a credential follow after the README has configured secrets.
        let app = if line.contains("Authorization") {
            &closed
        } else {
            &open
        };
        let here =
            line.replace(ADDRESS, &app.address)
                .replacen("curl ", "curl -fsS --max-time 10 ", 1);
        let output = Command::new("sh")
            .args(["-c", &here])
            .env("TOKEN", &token)
            .env("DUOLOGUE_SERVICE_KEYS", SERVICE_KEY)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            line.contains(ADDRESS),
            "not to the service of the README: {line}"
        );
        assert!(output.status.success(), "{line}\n{said}");
    }
}

#[test]
fn curl_commands_are_found_in_the_readme() {
    let readme =
        "```sh\ncurl a \\\n  -d b\n```\n```json\ncurl no\n```\n```sh\n$ curl c\n# curl no\n```\n";
    assert_eq!(curls(readme), ["curl a    -d b", "curl c"]);
}
