//! The settings of the archive.

use duologue::config::Config;

use crate::harness::refusal_to_start;

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
