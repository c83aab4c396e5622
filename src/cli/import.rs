//! `duologue import FILE`: sends a file of messages to a service, batch by batch.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use reqwest::{Method, StatusCode};

use super::client::Service;
use crate::model::Import;

/// Lines of a batch, at most.
const BATCH_LINES: usize = 5_000;
/// Bytes of a batch, about. The service takes twice as much.
const BATCH_BYTES: usize = 8 * 1024 * 1024;
/// How long the service may take for a batch.
pub const TIMEOUT: Duration = Duration::from_secs(60);
/// How often a batch is sent again whose outcome is not known. The service recognizes it.
const ATTEMPTS: u32 = 10;

/// Why an import broke off. What was sent before stays; the same command goes on from there.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum ImportError {
    #[error("{0}: {1}")]
    File(String, io::Error),
    #[error("the service cannot be reached: {0}")]
    Unreachable(#[from] reqwest::Error),
    #[error("line {line} and following: the service answered {status}: {answer}")]
    Refused {
        line: u64,
        status: StatusCode,
        answer: String,
    },
}

/// Sends a file and shows how far it is.
pub async fn import(file: &Path, service: &Service) -> Result<Import, ImportError> {
    let unreadable = |e| ImportError::File(file.display().to_string(), e);
    let opened = File::open(file).map_err(unreadable)?;
    let size = opened.metadata().map_err(unreadable)?.len();
    let mut lines = BufReader::new(opened);
    let bar = ProgressBar::new(size);
    // The template is a constant, so it cannot be wrong.
    if let Ok(style) =
        ProgressStyle::with_template("{bar:40} {bytes}/{total_bytes} {msg} {eta} left")
    {
        bar.set_style(style);
    }
    let (mut done, mut line) = (Import::default(), 1);
    loop {
        let (batch, count) = batch(&mut lines).map_err(unreadable)?;
        if count == 0 {
            bar.finish();
            return Ok(done);
        }
        bar.inc(batch.len() as u64);
        let some = send(service, batch, line).await?;
        done.imported += some.imported;
        done.skipped += some.skipped;
        line += count;
        bar.set_message(format!(
            "{} imported, {} skipped",
            done.imported, done.skipped
        ));
    }
}

/// The next lines, and how many they are.
fn batch(lines: &mut impl BufRead) -> io::Result<(Vec<u8>, u64)> {
    let (mut batch, mut count) = (Vec::new(), 0);
    while count < BATCH_LINES && batch.len() < BATCH_BYTES {
        // A line longer than a batch would not be taken, so it is not read to its end either.
        let read = lines
            .by_ref()
            .take(BATCH_BYTES as u64)
            .read_until(b'\n', &mut batch)?;
        if read == 0 {
            break;
        }
        count += 1;
    }
    Ok((batch, count as u64))
}

/// Sends a batch until its outcome is known.
async fn send(service: &Service, batch: Vec<u8>, line: u64) -> Result<Import, ImportError> {
    let mut attempt = 0;
    loop {
        attempt += 1;
        let outcome = send_once(service, batch.clone()).await;
        let pause = match &outcome {
            Ok((status, _))
                if status.is_server_error() && *status != StatusCode::INSUFFICIENT_STORAGE =>
            {
                true
            }
            Ok(_) => false,
            Err(_) => true,
        };
        if pause && attempt < ATTEMPTS {
            tokio::time::sleep(Duration::from_secs(1)).await;
            continue;
        }
        let (status, answer) = outcome?;
        return match serde_json::from_str(&answer) {
            Ok(import) if status.is_success() => Ok(import),
            _ => Err(ImportError::Refused {
                line,
                status,
                answer,
            }),
        };
    }
}

async fn send_once(service: &Service, batch: Vec<u8>) -> reqwest::Result<(StatusCode, String)> {
    let response = service
        .request(Method::POST, "/messages/batch")
        .header("content-type", "application/x-ndjson")
        .body(batch)
        .send()
        .await?;
    Ok((response.status(), response.text().await?))
}
