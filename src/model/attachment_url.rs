//! The URL of an attachment, in a form that the URL parsers of all languages read alike.

use std::fmt::Write;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use url::{Position, Url};
use utoipa::ToSchema;

use super::limits;

/// The URL of an attachment: absolute, `http` or `https`, without user name and password, at most 2,048
/// characters. It is stored in its normal form (RFC 3986 section 6.2.2): scheme and host in lower case,
/// international host names as Punycode, other characters that a URL does not permit percent-encoded.
///
/// Other schemes are refused, because a client that opens a `javascript:` URL would run it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(
    max_length = 2048,
    format = "uri",
    pattern = r"^[Hh][Tt][Tt][Pp][Ss]?://[^\x00-\x20/\\]([^\x00-\x1f\\]*[^\x00-\x20\\])?$",
    example = "https://files.example.com/menu.jpg"
)]
pub struct AttachmentUrl(String);

impl AttachmentUrl {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Reads a URL from a request. Stored URLs are read without this check, which they have passed.
pub(super) fn normalized_url<'de, D: Deserializer<'de>>(
    from: D,
) -> Result<AttachmentUrl, D::Error> {
    let given = String::deserialize(from)?;
    normalize(&given).map(AttachmentUrl).ok_or_else(|| {
        D::Error::custom(
            "must be an absolute http or https URL without user name and password, at most 2048 characters",
        )
    })
}

/// The normal form of an absolute http or https URL without user name and password, of at most 2,048 characters.
pub(super) fn normalize(given: &str) -> Option<String> {
    if given.len() > limits::URL || !begins_with_scheme_and_host(given) || needs_repair(given) {
        return None;
    }
    let url = Url::parse(given).ok()?;
    let anonymous = url.username().is_empty() && url.password().is_none();
    if !anonymous || !url.domain().is_none_or(is_host_name) {
        return None;
    }
    let mut normal = url[..Position::BeforePath].to_owned();
    push_encoded(&mut normal, url.path());
    for (delimiter, component) in [('?', url.query()), ('#', url.fragment())] {
        if let Some(component) = component {
            normal.push(delimiter);
            push_encoded(&mut normal, component);
        }
    }
    (normal.len() <= limits::URL).then_some(normal)
}

fn begins_with_scheme_and_host(given: &str) -> bool {
    given.split_once("://").is_some_and(|(scheme, rest)| {
        let is_web = ["http", "https"]
            .iter()
            .any(|web| scheme.eq_ignore_ascii_case(web));
        is_web && !rest.starts_with('/')
    })
}

/// Whether browsers read another URL than the text says: they drop tabs, line breaks and surrounding blanks, and
/// take `\` for `/`. `Url::parse` does the same.
fn needs_repair(given: &str) -> bool {
    given.ends_with(' ') || given.contains(|c: char| c <= '\u{1f}' || c == '\\')
}

/// Whether a name has the form of a host name: labels of letters, digits, `-` and `_`, and perhaps a dot at
/// the end. `Url::parse` also accepts empty labels and other characters, such as `{`.
fn is_host_name(name: &str) -> bool {
    let mut labels = name.strip_suffix('.').unwrap_or(name).split('.');
    let of_label = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    labels.all(|label| !label.is_empty() && label.bytes().all(of_label))
}

/// Appends a path, query or fragment. Characters that RFC 3986 does not permit there, and each `%` that
/// does not begin an escape, are percent-encoded.
fn push_encoded(url: &mut String, component: &str) {
    let bytes = component.as_bytes();
    for (index, &byte) in bytes.iter().enumerate() {
        let digits = bytes.get(index + 1..index + 3);
        let is_escape =
            byte == b'%' && digits.is_some_and(|two| two.iter().all(u8::is_ascii_hexdigit));
        if is_escape || byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/?".contains(&byte) {
            url.push(byte.into());
        } else {
            let _ = write!(url, "%{byte:02X}");
        }
    }
}
