//! From JSON to values, with the name of what is wrong.

use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::error::Category;
use serde_path_to_error::{Path, Segment};

use super::Object;
use crate::error::{Code, Error};

/// Parses a JSON object, and names what is wrong with it.
pub fn parse_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Error> {
    if let Ok(Object(value)) = serde_json::from_slice(bytes) {
        return Ok(value);
    }
    // Only what failed is parsed again, this time with an eye on where.
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let malformed = |e: &serde_json::Error| {
        Error::new(
            Code::MalformedJson,
            format!("The body is not valid JSON: {e}."),
        )
    };
    match serde_path_to_error::deserialize(&mut json) {
        Ok(Object(value)) => json.end().map_err(|e| malformed(&e)).map(|()| value),
        Err(e) if e.inner().classify() == Category::Data => Err(misplaced(&e)),
        Err(e) => Err(malformed(e.inner())),
    }
}

/// The same, of JSON that was parsed already.
pub fn parse_value<T: DeserializeOwned>(value: Value) -> Result<T, Error> {
    serde_path_to_error::deserialize(value)
        .map(|Object(value)| value)
        .map_err(|e| misplaced(&e))
}

fn misplaced(e: &serde_path_to_error::Error<serde_json::Error>) -> Error {
    let message = e.inner().to_string();
    // The position in the text is said better by the pointer.
    let why = message.split(" at line ").next().unwrap_or(&message);
    let pointer = pointer("", e.path(), why);
    Error::field(Code::InvalidRequest, pointer, why.to_owned())
}

/// The JSON Pointer (RFC 6901) of a field at fault. Of a field that is missing or given twice
/// serde tells the parent as the path and the field only in its words, so it is taken from there.
pub fn pointer(base: &str, path: &Path, why: &str) -> String {
    let mut pointer = base.to_owned();
    for segment in path {
        pointer.push('/');
        match segment {
            Segment::Seq { index } => pointer.push_str(&index.to_string()),
            Segment::Map { key } => pointer.push_str(&key.replace('~', "~0").replace('/', "~1")),
            Segment::Enum { variant } => pointer.push_str(variant),
            Segment::Unknown => pointer.pop().map_or((), drop),
        }
    }
    let named = why
        .strip_prefix("missing field `")
        .or_else(|| why.strip_prefix("duplicate field `"))
        .and_then(|rest| rest.split('`').next());
    if let Some(field) = named {
        pointer.push('/');
        pointer.push_str(field);
    }
    pointer
}
