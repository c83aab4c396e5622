//! An archive in a store with the API of S3.

use std::process::Command;
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::archive::{HOT, SEGMENT};
use crate::harness::cli::service_process::{ServiceProcess, command, output};
use crate::harness::http::response::ApiResponse;
use crate::harness::s3_server::{BUCKET, Fault, S3Server};
use crate::harness::{client, eventually, seqs};

/// How long a page may take that the archive does not answer.
const PROMISED: Duration = Duration::from_secs(5);
const PREFIX: &str = "some/prefix";
const MESSAGE: &str = "/conversations/alice/bob/messages/3";
const PAGE: &str = "/conversations/alice/bob?after=0&limit=200";

/// A process of the service whose archive is a bucket.
struct Service {
    process: ServiceProcess,
    s3: S3Server,
    _dir: TempDir,
}

/// The command of a service with an archive at a URL, in the server.
fn archiving(s3: &S3Server, url: &str) -> Command {
    let mut command = command();
    let (hot, segment) = (HOT.to_string(), SEGMENT.to_string());
    command.args(["--archive", url, "--hot-messages", &hot]);
    command.args(["--archive-segment", &segment]);
    command.envs(s3.variables());
    command
}

impl Service {
    fn start() -> Self {
        let (s3, dir) = (S3Server::start(), tempfile::tempdir().unwrap());
        let url = format!("s3://{BUCKET}/{PREFIX}");
        Self {
            process: ServiceProcess::start_by(archiving(&s3, &url), dir.path(), &[]),
            s3,
            _dir: dir,
        }
    }

    async fn call(&self, method: Method, path: &str, body: Option<Value>) -> ApiResponse {
        let request = client().request(method, format!("{}{path}", self.process.address));
        let request = match &body {
            Some(body) => request.json(body),
            None => request,
        };
        ApiResponse::read(request.send().await.unwrap()).await
    }

    async fn get(&self, path: &str) -> ApiResponse {
        self.call(Method::GET, path, None).await
    }

    async fn send(&self, count: u64) {
        for number in 0..count {
            let message =
                json!({"from": "alice", "to": "bob", "body": format!("message {number}")});
            self.call(Method::POST, "/messages", Some(message))
                .await
                .json(201);
        }
    }

    /// Waits until so many messages have left Redis, which is after their object is written.
    async fn messages_move(&self, count: u64) {
        let moved = format!("\nduologue_archive_messages_total {count}\n");
        let there = async || self.get("/metrics").await.text.contains(&moved);
        eventually("messages move", Duration::from_secs(40), there).await;
    }

    async fn objects_become(&self, count: usize) {
        let there = async || self.s3.objects(PREFIX).len() == count;
        eventually("objects are written", Duration::from_secs(40), there).await;
    }
}

#[tokio::test]
async fn messages_move_to_a_bucket_and_are_read_from_it() {
    let service = Service::start();
    service.send(30).await;
    service.messages_move(20).await;
    service.objects_become(4).await;
    let page = service.get(PAGE).await.json(200);
    assert!(
        seqs(&page["history"]).into_iter().rev().eq(1..=30),
        "{page}"
    );
    let edit = json!({"body": "edited"});
    let edited = service.call(Method::PATCH, MESSAGE, Some(edit)).await;
    assert_eq!(edited.json(200)["body"], "edited");
    assert_eq!(service.get(MESSAGE).await.json(200)["body"], "edited");
    service.objects_become(5).await;
}

#[tokio::test]
async fn messages_work_while_the_bucket_does_not_answer() {
    let service = Service::start();
    service.send(15).await;
    service.messages_move(5).await;
    for fault in [Fault::Stalls, Fault::Refuses] {
        service.s3.set_fault(fault);
        service.send(5).await;
        let hot = service.get("/conversations/bob/alice?limit=5").await;
        assert_eq!(seqs(&hot.json(200)["history"]).len(), 5);
        let begun = Instant::now();
        let page = service.get(PAGE).await;
        page.problem(503, "ARCHIVE_UNAVAILABLE");
        assert!(
            begun.elapsed() < PROMISED,
            "{fault:?}: {:?}",
            begun.elapsed()
        );
        let warns = async || {
            let ready = service.get("/readyz").await.json(200);
            ready["archive"]["warnings"]
                .to_string()
                .contains("does not answer")
        };
        eventually("it warns", Duration::from_secs(10), warns).await;
    }
    let metrics = service.get("/metrics").await.text;
    assert!(metrics.contains("duologue_archive_overdue 1"), "{metrics}");
    service.s3.set_fault(Fault::None);
    service.messages_move(15).await;
    let page = service.get(PAGE).await.json(200);
    assert_eq!(seqs(&page["history"]).len(), 25);
    let ready = service.get("/readyz").await.json(200);
    assert_eq!(ready["archive"]["warnings"], json!([]));
}

#[tokio::test]
async fn requests_do_not_wait_for_one_another_for_long() {
    let service = Service::start();
    service.send(15).await;
    service.messages_move(5).await;
    service.s3.set_fault(Fault::Stalls);
    for (method, path, body) in [
        (Method::GET, PAGE, None),
        (Method::PATCH, MESSAGE, Some(json!({"body": "edited"}))),
        (Method::DELETE, MESSAGE, None),
    ] {
        let begun = Instant::now();
        let answers = (0..8).map(|_| service.call(method.clone(), path, body.clone()));
        for answer in futures_util::future::join_all(answers).await {
            answer.problem(503, "ARCHIVE_UNAVAILABLE");
        }
        assert!(
            begun.elapsed() < PROMISED,
            "{method}: {:?}",
            begun.elapsed()
        );
    }
}

/// Starts a service that must not start, because it cannot write to its archive, and returns what it printed.
fn refusal(mut command: Command) -> String {
    let dir = tempfile::tempdir().unwrap();
    command.env("DUOLOGUE_DATA_DIR", dir.path());
    let output = output(&mut command);
    let printed = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success());
    assert!(
        printed.contains("the archive at DUOLOGUE_ARCHIVE cannot be written: "),
        "{printed}"
    );
    printed
}

#[test]
fn a_bucket_that_does_not_exist_is_refused_at_start() {
    let s3 = S3Server::start();
    let printed = refusal(archiving(&s3, "s3://another/prefix"));
    assert!(printed.contains("NoSuchBucket"), "{printed}");
}

#[test]
fn wrong_credentials_are_refused_at_start() {
    let s3 = S3Server::start();
    let mut command = archiving(&s3, &format!("s3://{BUCKET}/{PREFIX}"));
    command.env("AWS_SECRET_ACCESS_KEY", "another");
    let printed = refusal(command);
    assert!(printed.contains("SignatureDoesNotMatch"), "{printed}");
    assert_eq!(s3.objects(""), Vec::<std::path::PathBuf>::new());
}
