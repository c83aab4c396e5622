//! Origins of pages that may call the service.

use std::str::FromStr;

use url::Url;

/// Origins (RFC 6454) that may call: a single one, all subdomains of a host, or all of a scheme.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OriginPattern {
    /// One origin: `https://app.example.com`, `capacitor://localhost`.
    Exact(String),
    /// Every subdomain of a host, at any depth, but not the host itself: `https://*.example.com`.
    Subdomains {
        /// `https://`
        prefix: String,
        /// `.example.com`, with the port if there is one.
        suffix: String,
    },
    /// Every host of a scheme other than http and https: `ionic://`.
    Scheme(String),
}

impl OriginPattern {
    /// Whether a page of this origin may call. Browsers write origins in lower case.
    pub fn matches(&self, origin: &str) -> bool {
        let origin = canonical(origin);
        match self {
            Self::Exact(allowed) => allowed == origin,
            Self::Scheme(prefix) => origin.starts_with(prefix),
            Self::Subdomains { prefix, suffix } => {
                let subdomain = origin
                    .strip_prefix(prefix.as_str())
                    .and_then(|host| host.strip_suffix(suffix.as_str()));
                subdomain.is_some_and(|labels| labels.split('.').all(is_label))
            }
        }
    }
}

/// Whether this is the origin of a service with this `Host`. The scheme is not compared, because a service
/// behind a proxy does not know it.
pub fn is_origin_of(origin: &str, host: &str) -> bool {
    let Some((scheme, authority)) = canonical(origin).split_once("://") else {
        return false;
    };
    authority.eq_ignore_ascii_case(without_default_port(scheme, host))
}

/// An origin without the trailing slash and the default port that some clients add.
fn canonical(origin: &str) -> &str {
    let origin = origin.strip_suffix('/').unwrap_or(origin);
    let scheme = origin.split(':').next().unwrap_or_default();
    without_default_port(scheme, origin)
}

fn without_default_port<'a>(scheme: &str, authority: &'a str) -> &'a str {
    let port = match scheme {
        "http" => ":80",
        "https" => ":443",
        _ => return authority,
    };
    authority.strip_suffix(port).unwrap_or(authority)
}

/// Whether this is a single label of a host name.
fn is_label(label: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_".contains(&b);
    !label.is_empty() && label.bytes().all(allowed)
}

impl FromStr for OriginPattern {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const FORM: &str = "expected scheme://host or scheme://host:port, such as \
            https://app.example.com, https://*.example.com or capacitor://localhost";
        let (scheme, host) = text.split_once("://").ok_or(FORM)?;
        let is_web = matches!(scheme, "http" | "https");
        if host.is_empty() && !is_web && is_origin(&format!("{text}host")) {
            return Ok(Self::Scheme(text.to_owned()));
        }
        match host.strip_prefix("*.") {
            Some(parent) if is_web && is_origin(&format!("{scheme}://{parent}")) => {
                Ok(Self::Subdomains {
                    prefix: format!("{scheme}://"),
                    suffix: format!(".{parent}"),
                })
            }
            None if is_origin(text) => Ok(Self::Exact(text.to_owned())),
            _ => Err(FORM),
        }
    }
}

/// Whether this is an origin as browsers write it (RFC 6454 section 6.2): only scheme, host and port.
/// The crate `url` serializes the origin of an unknown scheme as `null`.
fn is_origin(text: &str) -> bool {
    let Ok(url) = Url::parse(text) else {
        return false;
    };
    let has_host = url
        .host_str()
        .is_some_and(|host| !host.is_empty() && !host.contains('*'));
    let written = match url.origin() {
        origin if origin.is_tuple() => origin.ascii_serialization(),
        _ if url.path().is_empty() && url.scheme() != "file" => url.to_string(),
        _ => return false,
    };
    let bare = url.username().is_empty() && url.query().is_none() && url.fragment().is_none();
    has_host && bare && written == text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> OriginPattern {
        text.parse().unwrap_or_else(|why| panic!("{text}: {why}"))
    }

    #[test]
    fn origins_of_pages_and_of_apps_are_accepted() {
        let origins = [
            "https://app.example.com",
            "http://localhost:8100",
            "http://tauri.localhost",
            "https://[::1]:8443",
            "capacitor://localhost",
            "ionic://localhost",
            "tauri://localhost",
            "app://com.example.chat",
            "chrome-extension://fmkadmapgofadopljbjfkapdkoienihi",
            "moz-extension://6ff0a6b5-5d5f-4b1f-9f0a-0a1b2c3d4e5f",
        ];
        for origin in origins {
            assert!(pattern(origin).matches(origin), "{origin}");
            for other in [
                "https://evil.example",
                "null",
                "",
                "https://app.example.com.evil.example",
            ] {
                assert!(!pattern(origin).matches(other), "{origin} is not {other}");
            }
        }
    }

    #[test]
    fn a_star_matches_every_subdomain() {
        let star = pattern("https://*.example.com");
        for origin in [
            "https://a.example.com",
            "https://a.b-c.example.com",
            "https://xn--e1a.example.com",
        ] {
            assert!(star.matches(origin), "{origin}");
        }
        let others = [
            "https://example.com",
            "http://a.example.com",
            "https://a.example.com:8443",
            "https://evilexample.com",
            "https://.example.com",
            "https://a..example.com",
            "https://evil.example/.example.com",
            "https://evil.example:1.example.com",
            "https://a@.example.com",
            "https://a.example.com.evil.example",
        ];
        for origin in others {
            assert!(!star.matches(origin), "{origin}");
        }
        assert!(pattern("http://*.localhost:8100").matches("http://a.localhost:8100"));
    }

    #[test]
    fn a_bare_scheme_matches_every_host() {
        assert!(pattern("ionic://").matches("ionic://localhost"));
        assert!(!pattern("ionic://").matches("ionics://localhost"));
    }

    #[test]
    fn an_invalid_origin_is_refused() {
        let texts = [
            "*",
            "null",
            "",
            "https://",
            "http://",
            "https://*",
            "https://*.",
            "https://a.*.com",
            "https://app.*",
            "https://*.*.example.com",
            "https://app.example.com/",
            "https://app.example.com/x",
            "https://App.example.com",
            "https://app.example.com:443",
            "https://user@app.example.com",
            "https://app.example.com?x",
            "app.example.com",
            "capacitor://localhost/",
            "capacitor://*.localhost",
            "capacitor:",
            "file://",
            "file:///x",
            "://x",
            "https://app.example.com ",
        ];
        for text in texts {
            assert!(text.parse::<OriginPattern>().is_err(), "{text}");
        }
    }
}
