//! `duologue import`.

use serde_json::{Value, json};

use crate::harness::cli::service_process;
use crate::harness::import::{lines, ndjson};
use crate::harness::{TestApp, spawn_app};

#[test]
fn the_import_command_can_be_repeated_safely() {
    let app = spawn_app();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("messages.ndjson");
    let mut all = lines(6000);
    for (n, line) in all.iter_mut().enumerate() {
        line["sent_at"] = json!(format!("2019-01-31T00:00:00.{n:06}Z"));
    }
    let text = ndjson(all.iter());
    std::fs::write(&file, text).unwrap();
    for said in ["6000 imported, 0 skipped", "0 imported, 6000 skipped"] {
        let mut command = service_process::command();
        command
            .arg("import")
            .arg(&file)
            .args(["--url", &app.address]);
        let output = service_process::output(&mut command);
        let stdout = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        assert_eq!(stdout.trim(), said);
    }
}

/// Runs `duologue import` on a file of lines: whether it succeeded, its output and its errors.
fn run_import(app: &TestApp, text: &str) -> (bool, String, String) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("messages.ndjson");
    std::fs::write(&file, text).unwrap();
    let mut command = service_process::command();
    command
        .arg("import")
        .arg(&file)
        .args(["--url", &app.address]);
    let output = service_process::output(&mut command);
    let [out, err] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    (output.status.success(), out.trim().to_owned(), err)
}

#[test]
fn the_import_command_tells_equal_lines_of_two_batches_apart() {
    let app = spawn_app();
    let mut all = lines(5003);
    for (n, line) in all.iter_mut().enumerate() {
        line["sent_at"] = json!(format!("2019-01-31T00:00:00.{n:06}Z"));
    }
    all[5000] = all[4999].clone();
    all.swap(5001, 0);
    let text = format!("\u{feff}{}", ndjson(all.iter()));
    for said in ["5003 imported, 0 skipped", "0 imported, 5003 skipped"] {
        let (success, out, err) = run_import(&app, &text);
        assert_eq!((success, out.as_str()), (true, said), "{err}");
    }
}

#[test]
fn the_import_command_continues_and_lists_refused_lines() {
    let app = spawn_app();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(app.send("alice", "carol", "in use"));
    let mut all: Vec<_> = lines(7).iter().map(Value::to_string).collect();
    all.insert(2, "{\"from\":".to_owned());
    all.insert(
        5,
        json!({"from": "alice", "to": "bob", "body": "x", "sent_at": "9999-12-31T00:00:00Z"})
            .to_string(),
    );
    let (success, out, err) = run_import(&app, &all.join("\n"));
    assert!(!success);
    assert_eq!(out, "5 imported, 0 skipped", "{err}");
    for said in [
        "line 3: not valid JSON",
        "line 6: sent_at: ",
        "line 4: alice,carol: ",
        "line 8: alice,carol: ",
        "4 lines were not imported",
    ] {
        assert!(err.contains(said), "{said}: {err}");
    }
}
