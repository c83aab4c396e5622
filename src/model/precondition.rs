//! Versions of a message (`ETag`) and preconditions on them (`If-Match`): RFC 9110 sections 8.8.3 and
//! 13.1.1.

use sha1::{Digest, Sha1};

use super::StoredMessage;

/// The `If-Match` of a request: the versions of a message that may be changed. The default accepts any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Precondition(String);

impl Precondition {
    /// Requires one of these versions. Without any, no message meets the precondition.
    pub fn one_of<'a>(versions: impl Iterator<Item = &'a str>) -> Self {
        let mut wanted = ",".to_owned();
        for version in versions {
            wanted.push_str(version);
            wanted.push(',');
        }
        Self(wanted)
    }

    /// Whether the message has one of these versions.
    pub fn is_met_by(&self, message: &StoredMessage) -> bool {
        self.0.is_empty() || self.0.contains(&format!(",{},", message.version()))
    }

    /// The argument that `lua/lib/precondition.lua` reads: the versions; empty if any is accepted.
    pub fn script_arg(&self) -> &str {
        &self.0
    }
}

impl StoredMessage {
    /// The SHA-1 of the JSON in hexadecimal. Scripts compute the same digest.
    fn version(&self) -> String {
        format!("{:x}", Sha1::digest(&self.0))
    }

    /// The version as a strong entity tag.
    pub fn etag(&self) -> String {
        // `concat` allocates once, unlike `format!`; every sent message has a version.
        ["\"", &self.version(), "\""].concat()
    }
}
