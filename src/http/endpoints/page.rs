//! The messenger page at `/`. The binary contains its files.

use std::sync::LazyLock;

use actix_web::HttpResponse;
use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETag, EntityTag, IfNoneMatch,
    REFERRER_POLICY,
};
use actix_web::web::{self, ServiceConfig};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

/// The page's content security policy: scripts, styles and connections of this origin only.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// A file of the page.
struct File {
    path: &'static str,
    content_type: &'static str,
    text: &'static str,
    etag: EntityTag,
}

macro_rules! files {
    ($($path:literal)*) => {
        [$(($path, include_str!(concat!("../../../web", $path)))),*]
    };
}

/// Every file of the folder `web`.
static FILES: LazyLock<Vec<File>> = LazyLock::new(|| {
    let html = include_str!("../../../web/index.html");
    let css = files! { "/messenger.css" };
    let modules = files! {
        "/duologue.js"
        "/duologue/connection.js"
        "/duologue/error.js"
        "/duologue/http.js"
        "/duologue/outbox.js"
        "/duologue/rooms.js"
        "/duologue/types.js"
        "/duologue/watches.js"
        "/messenger.js"
        "/messenger/composer.js"
        "/messenger/dom.js"
        "/messenger/events.js"
        "/messenger/format.js"
        "/messenger/inbox.js"
        "/messenger/reading.js"
        "/messenger/room_dialog.js"
        "/messenger/rooms.js"
        "/messenger/screen.js"
        "/messenger/state.js"
        "/messenger/writing.js"
    };
    let mut files = vec![File::new("/", "text/html; charset=utf-8", html)];
    files.extend(css.map(|(path, text)| File::new(path, "text/css; charset=utf-8", text)));
    files.extend(
        modules.map(|(path, text)| File::new(path, "text/javascript; charset=utf-8", text)),
    );
    files
});

impl File {
    fn new(path: &'static str, content_type: &'static str, text: &'static str) -> Self {
        let digest = Sha256::digest(text);
        let etag = EntityTag::new_strong(URL_SAFE_NO_PAD.encode(&digest[..12]));
        Self {
            path,
            content_type,
            text,
            etag,
        }
    }

    /// Answers with the file, or with 304 if the client has its current version.
    fn respond(&self, if_none_match: &IfNoneMatch) -> HttpResponse {
        let unchanged = match if_none_match {
            IfNoneMatch::Any => true,
            IfNoneMatch::Items(tags) => tags.iter().any(|tag| tag.weak_eq(&self.etag)),
        };
        let mut response = if unchanged {
            HttpResponse::NotModified()
        } else {
            HttpResponse::Ok()
        };
        response
            .insert_header(ETag(self.etag.clone()))
            .insert_header((CACHE_CONTROL, "no-cache"))
            .insert_header((CONTENT_SECURITY_POLICY, POLICY))
            .insert_header((REFERRER_POLICY, "no-referrer"));
        if unchanged {
            return response.finish();
        }
        response
            .insert_header((CONTENT_TYPE, self.content_type))
            .body(self.text)
    }
}

/// The paths of the files.
pub fn paths() -> impl Iterator<Item = &'static str> {
    FILES.iter().map(|file| file.path)
}

/// Adds a route for each file. A query is ignored, because links to a page often have tracking parameters.
pub fn configure(config: &mut ServiceConfig) {
    for file in FILES.iter() {
        let respond =
            move |header: web::Header<IfNoneMatch>| async move { file.respond(&header.0) };
        config.route(file.path, web::get().to(respond));
    }
}
