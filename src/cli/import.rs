//! `duologue import FILE`: uploads a file of messages to a service in batches.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use reqwest::{Method, StatusCode};

use super::client::ApiClient;
use crate::model::Import;

/// Maximum number of lines in a batch.
const BATCH_LINES: usize = 5_000;
/// A batch ends with the line that reaches this size. The service accepts twice as much.
const BATCH_BYTES: usize = 8 * 1024 * 1024;
/// Limit for uploading one batch and receiving the response.
pub const TIMEOUT: Duration = Duration::from_secs(60);
/// How often a batch is sent before the import gives up. Repeating a batch is safe: the service
/// skips messages that it already has.
const ATTEMPTS: u32 = 10;
const RETRY_DELAY: Duration = Duration::from_secs(1);

/// Why an import stops. Batches sent before stay imported; running the same command again resumes.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    #[error("{0}: {1}")]
    File(String, io::Error),
    #[error("cannot reach the service: {0}")]
    Unreachable(#[from] reqwest::Error),
    #[error("batch starting at line {first_line}: the service answered {status}: {body}")]
    Rejected {
        first_line: u64,
        status: StatusCode,
        body: String,
    },
}

/// Uploads a file and displays a progress bar. Returns how many messages were imported and skipped.
pub async fn import(path: &Path, client: &ApiClient) -> Result<Import, ImportError> {
    let file_error = |e| ImportError::File(path.display().to_string(), e);
    let file = File::open(path).map_err(file_error)?;
    let progress = progress_bar(file.metadata().map_err(file_error)?.len());
    let mut reader = BufReader::new(file);
    let (mut total, mut first_line) = (Import::default(), 1);
    loop {
        let (batch, line_count) = read_batch(&mut reader).map_err(file_error)?;
        if line_count == 0 {
            progress.finish();
            return Ok(total);
        }
        progress.inc(batch.len() as u64);
        let result = send_batch(client, batch, first_line).await?;
        total.imported += result.imported;
        total.skipped += result.skipped;
        first_line += line_count;
        progress.set_message(format!(
            "{} imported, {} skipped",
            total.imported, total.skipped
        ));
    }
}

fn progress_bar(file_size: u64) -> ProgressBar {
    let bar = ProgressBar::new(file_size);
    // The template is a constant and valid; the default style would do as well.
    if let Ok(style) =
        ProgressStyle::with_template("{bar:40} {bytes}/{total_bytes} {msg} {eta} left")
    {
        bar.set_style(style);
    }
    bar
}

/// Reads the next lines; returns them with their number, which is 0 at the end of the file.
fn read_batch(reader: &mut impl BufRead) -> io::Result<(Vec<u8>, u64)> {
    let (mut batch, mut line_count) = (Vec::new(), 0);
    while line_count < BATCH_LINES && batch.len() < BATCH_BYTES {
        // Limits memory: the service rejects a line of this length anyway.
        let read = reader
            .by_ref()
            .take(BATCH_BYTES as u64)
            .read_until(b'\n', &mut batch)?;
        if read == 0 {
            break;
        }
        line_count += 1;
    }
    Ok((batch, line_count as u64))
}

/// Sends a batch, and again while the outcome is unknown or the service is unavailable.
async fn send_batch(
    client: &ApiClient,
    batch: Vec<u8>,
    first_line: u64,
) -> Result<Import, ImportError> {
    let mut attempt = 1;
    loop {
        let outcome = send_once(client, batch.clone()).await;
        if is_retryable(&outcome) && attempt < ATTEMPTS {
            attempt += 1;
            tokio::time::sleep(RETRY_DELAY).await;
            continue;
        }
        let (status, body) = outcome?;
        return match serde_json::from_str(&body) {
            Ok(import) if status.is_success() => Ok(import),
            _ => Err(ImportError::Rejected {
                first_line,
                status,
                body,
            }),
        };
    }
}

/// Waiting does not help against 507: the service's Redis is out of memory.
fn is_retryable(outcome: &reqwest::Result<(StatusCode, String)>) -> bool {
    outcome.as_ref().map_or(true, |(status, _)| {
        status.is_server_error() && *status != StatusCode::INSUFFICIENT_STORAGE
    })
}

async fn send_once(client: &ApiClient, batch: Vec<u8>) -> reqwest::Result<(StatusCode, String)> {
    let response = client
        .request(Method::POST, "/messages/batch")
        .header("content-type", "application/x-ndjson")
        .body(batch)
        .send()
        .await?;
    Ok((response.status(), response.text().await?))
}
