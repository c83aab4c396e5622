//! Batches of an import, and its result.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::import_line::{ImportLine, SeenLines};
use super::imported_message::ImportedMessage;
use crate::error::{Code, Error};

/// Maximum number of errors in one response.
const MAX_ERRORS: usize = 5_000;

/// Reads the messages of a batch, one per line. Refuses a batch with invalid lines; the error names each of
/// them, counted from 0.
pub fn parse_batch(batch: &[u8]) -> Result<Vec<ImportedMessage>, Error> {
    let (mut seen, mut ids) = (SeenLines::default(), HashSet::new());
    let (mut messages, mut refused) = (Vec::new(), None::<Error>);
    for (number, line) in batch.split(|byte| *byte == b'\n').enumerate() {
        let message = ImportLine::parse(line).and_then(|line| {
            let Some(mut line) = line else {
                return Ok(None);
            };
            let id = line.identify(&mut seen)?;
            if !ids.insert(id) {
                let why = "an earlier line of the batch has the same id";
                return Err(Error::field(Code::InvalidRequest, "/id", why));
            }
            line.into_message(number, id).map(Some)
        });
        match message {
            Ok(message) => messages.extend(message),
            Err(error) => {
                let error = of_line(error, number);
                match &mut refused {
                    None => refused = Some(error),
                    Some(first) if first.fields.len() < MAX_ERRORS => {
                        first.fields.extend(error.fields);
                    }
                    Some(_) => {}
                }
            }
        }
    }
    refused.map_or(Ok(messages), Err)
}

/// Converts the error of a line to an error of the batch.
fn of_line(error: Error, number: usize) -> Error {
    if error.code != Code::MalformedJson {
        return error.within(&format!("/{number}"));
    }
    // serde counts lines within the line of the batch.
    let why = error.detail.replace(" at line 1 column", " at column");
    let why = why.trim_start_matches("The body is ").to_owned();
    Error {
        detail: format!("Line {} is {why}", number + 1).into(),
        ..Error::field(error.code, format!("/{number}"), why)
    }
}

/// The result of an import.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ImportResult {
    /// Number of messages that were stored.
    pub imported: u64,
    /// Number of messages that were already stored, by an earlier attempt or before an export.
    pub skipped: u64,
}
