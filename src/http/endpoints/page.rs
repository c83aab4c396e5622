//! The messenger at `/`, whose three files are part of the binary.

use std::sync::LazyLock;

use actix_web::HttpResponse;
use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETag, EntityTag, IfNoneMatch,
    REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use actix_web::web::{self, ServiceConfig};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

/// What the page may do: run its own script, look as its own style says, and ask this service.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// A file of the page.
struct File {
    path: &'static str,
    content_type: &'static str,
    text: &'static str,
    tag: EntityTag,
}

/// All of them.
static FILES: LazyLock<[File; 3]> = LazyLock::new(|| {
    let (html, css, js) = (
        include_str!("../../../web/index.html"),
        include_str!("../../../web/messenger.css"),
        include_str!("../../../web/messenger.js"),
    );
    [
        File::new("/", "text/html; charset=utf-8", html),
        File::new("/messenger.css", "text/css; charset=utf-8", css),
        File::new("/messenger.js", "text/javascript; charset=utf-8", js),
    ]
});

impl File {
    fn new(path: &'static str, content_type: &'static str, text: &'static str) -> Self {
        let digest = Sha256::digest(text);
        let tag = EntityTag::new_strong(URL_SAFE_NO_PAD.encode(&digest[..12]));
        Self {
            path,
            content_type,
            text,
            tag,
        }
    }

    /// The file, or that it still is what the browser has.
    fn answer(&self, seen: &IfNoneMatch) -> HttpResponse {
        let unchanged = match seen {
            IfNoneMatch::Any => true,
            IfNoneMatch::Items(tags) => tags.iter().any(|tag| tag.weak_eq(&self.tag)),
        };
        let mut answer = if unchanged {
            HttpResponse::NotModified()
        } else {
            HttpResponse::Ok()
        };
        answer
            .insert_header(ETag(self.tag.clone()))
            .insert_header((CACHE_CONTROL, "no-cache"))
            .insert_header((CONTENT_SECURITY_POLICY, POLICY))
            .insert_header((REFERRER_POLICY, "no-referrer"))
            .insert_header((X_CONTENT_TYPE_OPTIONS, "nosniff"));
        if unchanged {
            return answer.finish();
        }
        answer
            .insert_header((CONTENT_TYPE, self.content_type))
            .body(self.text)
    }
}

/// Where the files are.
pub fn paths() -> impl Iterator<Item = &'static str> {
    FILES.iter().map(|file| file.path)
}

/// Serves them.
pub fn configure(config: &mut ServiceConfig) {
    for file in FILES.iter() {
        let answer = move |seen: web::Header<IfNoneMatch>| async move { file.answer(&seen.0) };
        config.route(file.path, web::get().to(answer));
    }
}
