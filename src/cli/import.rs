//! `duologue import FILE`: uploads a file of messages to a service in batches.

mod lines;

use std::collections::HashSet;
use std::fmt;
use std::fs::File;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use reqwest::{Method, StatusCode};

use super::client::{ApiClient, exchange};
use crate::model::ImportResult;
use crate::protocol::Problem;
use lines::{FileLine, FileLines};

/// Maximum number of lines in a batch.
const BATCH_LINES: usize = 5_000;
/// Size at which a batch ends: half of what the service accepts.
const MAX_BATCH_BYTES: usize = 8 * 1024 * 1024;
const MIN_BATCH_BYTES: usize = 64 * 1024;
/// Limit for uploading one batch and receiving the response.
pub const TIMEOUT: Duration = Duration::from_secs(120);
/// Batches become smaller if one takes longer than this, and larger if one takes less than a quarter of it.
const SLOW: Duration = Duration::from_secs(20);
/// How often a batch is sent before the import gives up. Repeating a batch is safe: the service
/// skips messages that it already has.
const ATTEMPTS: u32 = 10;
const RETRY_DELAY: Duration = Duration::from_secs(1);

/// Why an import stops. Batches sent before stay imported; running the same command again resumes.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    #[error("{0}: {1}")]
    File(String, io::Error),
    #[error("lines {first_line} to {last_line}: cannot reach the service: {cause}")]
    Unreachable {
        first_line: u64,
        last_line: u64,
        cause: reqwest::Error,
    },
    #[error("lines {first_line} to {last_line}: the service answered {status}: {body}")]
    Rejected {
        first_line: u64,
        last_line: u64,
        status: StatusCode,
        body: String,
    },
}

/// The result of an import.
#[derive(Debug, Default)]
pub struct ImportReport {
    pub done: ImportResult,
    /// The lines that were not imported, in the order of the file.
    pub refused: Vec<RefusedLine>,
}

/// A line that was not imported, and the reason.
#[derive(Debug)]
pub struct RefusedLine {
    number: u64,
    why: String,
}

impl fmt::Display for RefusedLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.number, self.why)
    }
}

/// The outcome of sending a batch.
enum BatchOutcome {
    Stored(ImportResult),
    /// Some lines were refused. The others were stored, or no line was and the others must be sent again.
    Refused(Problem),
    /// The connection is too slow, or the service is unavailable.
    Failed(ImportError),
}

struct Importer<'a> {
    client: &'a ApiClient,
    lines: FileLines,
    batch_bytes: usize,
    attempt: u32,
    report: ImportReport,
    /// Conversations in which a message was not stored. Later messages of these are not sent, because they
    /// would take its position.
    held: HashSet<String>,
}

/// Uploads a file and displays a progress bar.
pub async fn import(path: &Path, client: &ApiClient) -> Result<ImportReport, ImportError> {
    let file_error = |e| ImportError::File(path.display().to_string(), e);
    let file = File::open(path).map_err(file_error)?;
    let progress = progress_bar(file.metadata().map_err(file_error)?.len());
    let mut importer = Importer {
        client,
        lines: FileLines::new(file),
        batch_bytes: MAX_BATCH_BYTES / 8,
        attempt: 1,
        report: ImportReport::default(),
        held: HashSet::new(),
    };
    loop {
        let batch = importer.lines.take(BATCH_LINES, importer.batch_bytes);
        let batch = batch.map_err(file_error)?;
        if batch.is_empty() {
            progress.finish();
            importer.report.refused.sort_by_key(|line| line.number);
            return Ok(importer.report);
        }
        importer.upload(batch).await?;
        progress.set_position(importer.lines.bytes_taken());
        let ImportResult { imported, skipped } = importer.report.done;
        progress.set_message(format!("{imported} imported, {skipped} skipped"));
    }
}

fn progress_bar(file_size: u64) -> ProgressBar {
    let bar = ProgressBar::new(file_size);
    // The template is a valid constant. If it were not, the default style would be used.
    if let Ok(style) =
        ProgressStyle::with_template("{bar:40} {bytes}/{total_bytes} {msg} {eta} left")
    {
        bar.set_style(style);
    }
    bar
}

impl Importer<'_> {
    /// Sends a batch once. Puts lines back that must be sent again.
    async fn upload(&mut self, batch: Vec<FileLine>) -> Result<(), ImportError> {
        let (held, batch): (Vec<_>, Vec<_>) = batch.into_iter().partition(|line| {
            line.pair
                .as_ref()
                .is_some_and(|pair| self.held.contains(pair))
        });
        for line in held {
            self.refuse(
                &line,
                "an earlier message of the conversation was not stored".into(),
            );
        }
        if batch.is_empty() {
            return Ok(());
        }
        let begun = Instant::now();
        match self.send(&batch).await? {
            BatchOutcome::Stored(import) => {
                self.count(import);
                self.adapt(begun.elapsed());
            }
            BatchOutcome::Refused(problem) => self.handle_refusals(batch, problem)?,
            BatchOutcome::Failed(error) if self.attempt == ATTEMPTS => return Err(error),
            BatchOutcome::Failed(_) => {
                self.attempt += 1;
                self.batch_bytes = (self.batch_bytes / 2).max(MIN_BATCH_BYTES);
                self.lines.put_back(batch);
                tokio::time::sleep(RETRY_DELAY).await;
                return Ok(());
            }
        }
        self.attempt = 1;
        Ok(())
    }

    async fn post(&self, batch: Vec<u8>) -> reqwest::Result<(StatusCode, String)> {
        let request = self.client.request(Method::POST, "/messages/batch");
        let request = request.header("content-type", "application/x-ndjson");
        exchange(request.body(batch)).await
    }

    async fn send(&self, batch: &[FileLine]) -> Result<BatchOutcome, ImportError> {
        let [first_line, last_line] =
            [batch.first(), batch.last()].map(|line| line.map_or(0, |line| line.number));
        let text = batch.iter().map(|line| line.text.as_slice());
        let (status, body) = match self.post(text.collect::<Vec<_>>().concat()).await {
            Ok(response) => response,
            Err(cause) => {
                return Ok(BatchOutcome::Failed(ImportError::Unreachable {
                    first_line,
                    last_line,
                    cause,
                }));
            }
        };
        if let (true, Ok(import)) = (status.is_success(), serde_json::from_str(&body)) {
            return Ok(BatchOutcome::Stored(import));
        }
        let refusals = [400, 409, 422];
        let problem = serde_json::from_str::<Problem>(&body).ok();
        let problem = problem.filter(|problem| !problem.errors.is_empty());
        if let (true, Some(problem)) = (refusals.contains(&status.as_u16()), problem) {
            return Ok(BatchOutcome::Refused(problem));
        }
        let rejected = ImportError::Rejected {
            first_line,
            last_line,
            status,
            body,
        };
        if is_retryable(status) || status == StatusCode::PAYLOAD_TOO_LARGE && batch.len() > 1 {
            Ok(BatchOutcome::Failed(rejected))
        } else {
            Err(rejected)
        }
    }

    /// Reports the refused lines. If no line of the batch was stored, the others are sent again.
    fn handle_refusals(
        &mut self,
        batch: Vec<FileLine>,
        problem: Problem,
    ) -> Result<(), ImportError> {
        let mut reasons = Vec::new();
        for error in &problem.errors {
            let mut pointer = error.pointer.trim_start_matches('/').splitn(2, '/');
            let index = pointer.next().and_then(|index| index.parse::<usize>().ok());
            let member = pointer.next().map(|member| format!("{member}: "));
            let why = format!("{}{}", member.unwrap_or_default(), error.detail);
            reasons.extend(index.map(|index| (index, why)));
        }
        let stored = problem.imported.zip(problem.skipped);
        if reasons.iter().all(|(index, _)| *index >= batch.len()) {
            return Err(ImportError::Rejected {
                first_line: batch.first().map_or(0, |line| line.number),
                last_line: batch.last().map_or(0, |line| line.number),
                status: StatusCode::from_u16(problem.status).unwrap_or_default(),
                body: problem.detail,
            });
        }
        for (index, why) in &reasons {
            if let Some(line) = batch.get(*index) {
                self.refuse(line, why.clone());
            }
        }
        let refused: HashSet<_> = reasons.into_iter().map(|(index, _)| index).collect();
        let lines = batch.into_iter().enumerate();
        if let Some((imported, skipped)) = stored {
            self.count(ImportResult { imported, skipped });
            let refused = lines.filter(|(index, _)| refused.contains(index));
            self.held.extend(refused.filter_map(|(_, line)| line.pair));
        } else {
            let others = lines.filter(|(index, _)| !refused.contains(index));
            self.lines.put_back(others.map(|(_, line)| line).collect());
        }
        Ok(())
    }

    fn refuse(&mut self, line: &FileLine, why: String) {
        self.report.refused.push(RefusedLine {
            number: line.number,
            why,
        });
    }

    fn count(&mut self, import: ImportResult) {
        self.report.done.imported += import.imported;
        self.report.done.skipped += import.skipped;
    }

    /// Adapts the size of batches to the speed of the connection and the service.
    fn adapt(&mut self, took: Duration) {
        if took > SLOW {
            self.batch_bytes = (self.batch_bytes / 2).max(MIN_BATCH_BYTES);
        } else if took < SLOW / 4 {
            self.batch_bytes = (self.batch_bytes * 2).min(MAX_BATCH_BYTES);
        }
    }
}

/// Waiting does not help against 507: the service's Redis is out of memory.
fn is_retryable(status: StatusCode) -> bool {
    let slow = [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_MANY_REQUESTS];
    slow.contains(&status) || status.is_server_error() && status != StatusCode::INSUFFICIENT_STORAGE
}
