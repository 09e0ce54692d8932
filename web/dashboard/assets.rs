//! The dashboard's files, embedded as `web/ui/bundle` made them, compressed already. They are public: there is no secret in them.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use sha2::{Digest, Sha256};
use std::sync::LazyLock;

struct Asset {
    path: &'static str,
    mime: &'static str,
    plain: &'static [u8],
    gzip: &'static [u8],
    brotli: &'static [u8],
    tag: String,
}

macro_rules! asset {
    ($path:literal, $mime:literal) => {{
        let plain: &'static [u8] = include_bytes!(concat!("../ui/dist", $path));
        let tag: String = Sha256::digest(plain).iter().take(16).map(|b| format!("{b:02x}")).collect();
        Asset {
            path: $path,
            mime: $mime,
            plain,
            gzip: include_bytes!(concat!("../ui/dist", $path, ".gz")),
            brotli: include_bytes!(concat!("../ui/dist", $path, ".br")),
            tag: format!("\"{tag}\""),
        }
    }};
}

static ASSETS: LazyLock<[Asset; 5]> = LazyLock::new(|| {
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

/// From where people look to where it is, from either of `/` and `/ui`; relative, so that a proxy may put all of it below a path.
pub fn to_dashboard() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SEE_OTHER;
    response.headers_mut().insert(header::LOCATION, HeaderValue::from_static("ui/"));
    response
}

/// The file at `path`, below `/ui`. What is none is a page, which the script draws: it gets the page that loads the script, by links
/// that lead up as far as that page lies deep. So all of it may lie below any path.
pub fn answer(path: &str, headers: &HeaderMap) -> Response<Body> {
    let page = &ASSETS[0];
    let asset = ASSETS.iter().find(|a| a.path == path).unwrap_or(page);
    let up = if asset.path == page.path { path.bytes().skip(1).filter(|b| *b == b'/').count().min(UP_MAX) } else { 0 };
    let tag = if up == 0 { asset.tag.clone() } else { format!("\"{}-{up}\"", asset.tag.trim_matches('"')) };
    let mut response = Response::new(Body::empty());
    let fields = response.headers_mut();
    let fixed = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=()"),
        // Kept by the browser, but asked for again: a new daemon has new files.
        (header::CACHE_CONTROL, "no-cache"),
        (header::VARY, "Accept-Encoding"),
        (header::CONTENT_TYPE, asset.mime),
    ];
    fields.extend(fixed.map(|(name, value)| (name, HeaderValue::from_static(value))));
    if let Ok(tag) = HeaderValue::try_from(tag.as_str()) {
        fields.insert(header::ETAG, tag);
    }
    let known = headers.get(header::IF_NONE_MATCH).and_then(|v| v.to_str().ok()).unwrap_or_default();
    if known.split(',').any(|t| t.trim().trim_start_matches("W/") == tag) {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        return response;
    }
    if up > 0 {
        // Half a kilobyte: not worth a compression.
        *response.body_mut() = Body::from(deep(asset.plain, up));
        return response;
    }
    let (encoding, bytes) = match () {
        () if takes(headers, "br") => (Some("br"), asset.brotli),
        () if takes(headers, "gzip") => (Some("gzip"), asset.gzip),
        () => (None, asset.plain),
    };
    if let Some(encoding) = encoding {
        response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static(encoding));
    }
    *response.body_mut() = Body::from(bytes);
    response
}

/// Pages that lie deeper are none of ours.
const UP_MAX: usize = 16;

/// The page with its links, all of which begin with `./`, leading up.
fn deep(page: &[u8], up: usize) -> Vec<u8> {
    String::from_utf8_lossy(page).replace("\"./", &format!("\"{}", "../".repeat(up))).into_bytes()
}

/// Whether a client takes an encoding; `q=0` says that it does not.
fn takes(headers: &HeaderMap, encoding: &str) -> bool {
    let fields = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|v| v.to_str().ok());
    fields.flat_map(|f| f.split(',')).any(|item| {
        let mut parts = item.split(';').map(str::trim);
        let is_named = parts.next().is_some_and(|name| name.eq_ignore_ascii_case(encoding));
        is_named && !parts.any(|p| p.strip_prefix("q=").is_some_and(|q| q.trim_matches(['0', '.']).is_empty()))
    })
}
