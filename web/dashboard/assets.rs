//! The dashboard's files, embedded as `web/ui/bundle` made them, compressed already.

use crate::files::File;
use axum::body::Body;
use axum::http::{HeaderMap, Response};
use std::sync::LazyLock;

macro_rules! asset {
    ($path:literal, $mime:literal) => {{
        let plain: &'static [u8] = include_bytes!(concat!("../ui/dist", $path));
        let file = File::new($mime, plain)
            .with_gzip(include_bytes!(concat!("../ui/dist", $path, ".gz")))
            .with_brotli(include_bytes!(concat!("../ui/dist", $path, ".br")));
        ($path, file)
    }};
}

static ASSETS: LazyLock<[(&str, File); 5]> = LazyLock::new(|| {
    [
        asset!("/index.html", "text/html; charset=utf-8"),
        asset!("/app.js", "text/javascript; charset=utf-8"),
        asset!("/app.css", "text/css; charset=utf-8"),
        asset!("/icon.svg", "image/svg+xml"),
        asset!("/licenses.txt", "text/plain; charset=utf-8"),
    ]
});

/// Nothing inline, nothing evaluated, nothing from outside; nobody frames it, and no script writes HTML.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

/// Pages that lie deeper are none of ours.
const UP_MAX: usize = 16;

/// The file at `path`, below `/ui`. What is none is a page, which the script draws: it gets the page that loads the script, by links
/// that lead up as far as that page lies deep. So all of it may lie below any path.
pub fn answer(path: &str, headers: &HeaderMap) -> Response<Body> {
    let fields = [("cross-origin-opener-policy", "same-origin"), ("cross-origin-resource-policy", "same-origin")];
    let (_, page) = &ASSETS[0];
    if let Some((_, file)) = ASSETS.iter().skip(1).find(|(at, _)| *at == path) {
        return file.answer(headers, POLICY, &fields);
    }
    match path.bytes().skip(1).filter(|b| *b == b'/').count().min(UP_MAX) {
        0 => page.answer(headers, POLICY, &fields),
        // Half a kilobyte: not worth a compression.
        up => File::new("text/html; charset=utf-8", deep(page.plain(), up)).answer(headers, POLICY, &fields),
    }
}

/// The page with its links, all of which begin with `./`, leading up.
fn deep(page: &[u8], up: usize) -> Vec<u8> {
    String::from_utf8_lossy(page).replace("\"./", &format!("\"{}", "../".repeat(up))).into_bytes()
}
