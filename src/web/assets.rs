//! Style sheets, scripts and the icon, inside the binary. No build step: what is in `assets/` is what the browser gets.
//!
//! They are asked about at each page and sent only when they have changed (`ETag`), so that scripts can import each
//! other by plain names.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use include_dir::{Dir, include_dir};
use ring::digest;

static FILES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/src/web/assets");

/// One entity tag for all of them: they change together, with the binary.
static ETAG: LazyLock<String> = LazyLock::new(|| {
    let mut all = digest::Context::new(&digest::SHA256);
    for file in FILES.files() {
        all.update(file.contents());
    }
    format!("\"{}\"", all.finish().as_ref().iter().take(8).map(|byte| format!("{byte:02x}")).collect::<String>())
});

/// The style sheets of every page, in their order: `style.css` first, which the others build on.
pub fn sheets() -> impl Iterator<Item = &'static str> {
    ["style.css"].into_iter().chain(named(".css").filter(|name| *name != "style.css"))
}

/// The scripts of every page; `fragment.js` is only imported by others.
pub fn scripts() -> impl Iterator<Item = &'static str> {
    named(".js").filter(|name| *name != "fragment.js")
}

fn named(end: &'static str) -> impl Iterator<Item = &'static str> {
    FILES.files().filter_map(move |file| file.path().to_str().filter(|name| name.ends_with(end)))
}

/// `GET /assets/{name}`
pub async fn asset(Path(name): Path<String>, headers: HeaderMap) -> Response {
    let Some(file) = FILES.get_file(&name) else { return StatusCode::NOT_FOUND.into_response() };
    let kind = match name.rsplit_once('.').map(|(_, end)| end) {
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => "application/octet-stream",
    };
    let known = headers.get(header::IF_NONE_MATCH).is_some_and(|value| value.as_bytes() == ETAG.as_bytes());
    let caching = [(header::ETAG, ETAG.as_str()), (header::CACHE_CONTROL, "no-cache")];
    if known {
        return (StatusCode::NOT_MODIFIED, caching).into_response();
    }
    (caching, [(header::CONTENT_TYPE, kind)], file.contents()).into_response()
}
