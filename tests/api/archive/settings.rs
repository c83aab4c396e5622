//! The settings of the archive.

use std::path::Path;
use std::time::Duration;

use duologue::config::Config;

use crate::harness::archive::objects_in;
use crate::harness::{eventually, refusal_to_start, spawn_app_with};

#[test]
fn a_url_of_an_unknown_kind_is_refused() {
    for url in [
        "ftp://host/folder",
        "folder",
        "s3:/bucket",
        "file://",
        "file:///",
        "http://host/",
        "s3://",
    ] {
        let refused = Config::read(["duologue", "--archive", url])
            .unwrap_err()
            .to_string();
        assert!(refused.contains("file:///PATH"), "{url}: {refused}");
        assert!(refused.contains("DUOLOGUE_ARCHIVE"), "{url}: {refused}");
    }
    for url in [
        "file:///var/archive",
        "s3://bucket/prefix",
        "gs://bucket",
        "az://container/a/b",
    ] {
        Config::read(["duologue", "--archive", url]).unwrap();
    }
}

#[test]
fn an_archive_that_cannot_be_written_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let data = folder.path().join("data");
    let url = format!("file://{}/archive", file.display());
    let settings = ["--data-dir", data.to_str().unwrap(), "--archive", &url];
    let refused = refusal_to_start(&settings).to_string();
    assert!(
        refused.starts_with("the archive at DUOLOGUE_ARCHIVE cannot be written: "),
        "{refused}"
    );
    assert!(!refused.contains('\n'), "{refused}");
}

#[tokio::test]
async fn the_archive_is_beside_the_private_redis_by_default() {
    let app = spawn_app_with(&["--hot-messages", "5", "--archive-segment", "5"]);
    for n in 0..10 {
        app.send("alice", "bob", &format!("message {n}")).await;
    }
    let Some(socket) = app.redis_url.strip_prefix("unix://") else {
        // On a cluster there is none.
        return;
    };
    let archive = Path::new(socket).with_file_name("archive");
    let moved = async || !objects_in(&archive).is_empty();
    eventually("messages move", Duration::from_secs(10), moved).await;
    assert_eq!(
        app.message("alice", "bob", 1).await.json(200)["body"],
        "message 0"
    );
    let config = |settings: &[&str]| Config::read([&["duologue"], settings].concat()).unwrap();
    let url = config(&["--data-dir", "/var/lib/duologue"]).archive_url();
    assert_eq!(url.unwrap(), "file:///var/lib/duologue/archive");
    assert_eq!(config(&["--redis-url", "redis://host"]).archive_url(), None);
}
