//! Versions of a message, and what a request requires of them (RFC 9110 sections 8.8.3 and 13.1.1).

use sha1::{Digest, Sha1};

use super::StoredMessage;

/// The versions that a message may have for a change to be made: the `If-Match` of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Precondition(String);

impl Precondition {
    /// Requires one of these versions. None of them is met by no message.
    pub fn one_of<'a>(versions: impl Iterator<Item = &'a str>) -> Self {
        let mut wanted = ",".to_owned();
        for version in versions {
            wanted.push_str(version);
            wanted.push(',');
        }
        Self(wanted)
    }

    /// Whether the message has one of the versions.
    pub fn is_met_by(&self, message: &StoredMessage) -> bool {
        self.0.is_empty() || self.0.contains(&format!(",{},", message.version()))
    }

    /// The versions as `lua/lib/precondition.lua` reads them; empty if any will do.
    pub fn script_arg(&self) -> &str {
        &self.0
    }
}

impl StoredMessage {
    /// The SHA-1 of its JSON in hexadecimal: a digest that scripts can compute too.
    fn version(&self) -> String {
        format!("{:x}", Sha1::digest(&self.0))
    }

    /// Its version as a strong entity tag.
    pub fn etag(&self) -> String {
        format!("\"{}\"", self.version())
    }
}
