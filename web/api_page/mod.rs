//! The page at `/api`: the API's description, to read and to try out. On the TCP door only; it needs nothing from outside.
//!
//! | path | what |
//! | --- | --- |
//! | `/api/` with `page.js` | the page: of the daemon's origin, under as strict a policy as the dashboard's |
//! | `/api/frame.html` with `frame.js` and the `swagger-ui` files | Swagger UI, in a frame with an origin of its own |
//! | `/api/openapi.json` | what it shows; there is no secret in it |
//!
//! Swagger UI is much code that is not ours, and draws with inline styles. Of the daemon's origin it could read the dashboard's key. So its
//! document is sandboxed (by its policy, and so also where it is opened by itself): it has no origin, no storage, no network, no windows, and may not
//! be framed by others. What it asks goes by messages to `page.js`, which sends it below `/v1` and `/problems` only, with the API's header
//! fields only, and without cookies.

use crate::app::App;
use crate::auth::TcpGuard;
use crate::dashboard::takes;
use crate::files::{File, see_other};
use crate::problem::{Kind, Problem};
use axum::body::Body;
use axum::http::{HeaderValue, Method, Request, Response, header};
use bulkhead_core::names::shown;
use flate2::read::GzDecoder;
use std::borrow::Cow;
use std::io::Read;
use std::sync::{Arc, LazyLock};
use utoipa_swagger_ui::Config;

/// Whose policy a file is served under.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Page,
    Frame,
}

const PAGE_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; frame-src 'self'; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";
const FRAME_POLICY: &str = "sandbox allow-scripts allow-forms; default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
    img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'self'";

const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";

static FILES: LazyLock<[(&str, Part, File); 8]> = LazyLock::new(|| {
    let own = |mime, text: &'static str| File::new(mime, text.as_bytes());
    [
        ("/api/", Part::Page, own(HTML, include_str!("index.html"))),
        ("/api/page.js", Part::Page, own(SCRIPT, include_str!("page.js"))),
        ("/api/page.css", Part::Page, own(STYLE, include_str!("page.css"))),
        ("/api/frame.html", Part::Frame, own(HTML, include_str!("frame.html"))),
        ("/api/frame.js", Part::Frame, own(SCRIPT, include_str!("frame.js"))),
        ("/api/frame.css", Part::Frame, own(STYLE, include_str!("frame.css"))),
        ("/api/swagger-ui-bundle.js", Part::Frame, vendored(SCRIPT, "swagger-ui-bundle.js")),
        ("/api/swagger-ui.css", Part::Frame, vendored(STYLE, "swagger-ui.css")),
    ]
});

/// A file of Swagger UI, which the crate holds compressed.
fn vendored(mime: &'static str, name: &str) -> File {
    // The files that we name are there: a test loads them all.
    let bytes = match utoipa_swagger_ui::serve(name, Arc::new(Config::from(""))) {
        Ok(Some(file)) => match file.bytes {
            Cow::Borrowed(bytes) => bytes,
            Cow::Owned(_) => &[],
        },
        _ => &[],
    };
    let mut plain = Vec::new();
    if let Err(error) = GzDecoder::new(bytes).read_to_end(&mut plain) {
        tracing::error!(%error, name, "a file of the API's page cannot be read");
    }
    File::new(mime, plain).with_gzip(bytes)
}

/// Whether a request is this page's.
pub fn is_its(path: &str) -> bool {
    path == "/api" || path.starts_with("/api/")
}

/// Answers a request of this page's.
pub fn enter(guard: &TcpGuard, app: &App, request: &Request<Body>) -> Result<Response<Body>, Problem> {
    let (uri, headers, path) = (request.uri(), request.headers(), request.uri().path());
    let found = FILES.iter().find(|(at, ..)| *at == path);
    match found {
        // A document without an origin loads them, which looks like another site; and any may have them.
        Some((_, Part::Frame, _)) if path != "/api/frame.html" => guard.check_host(uri, headers)?,
        _ => guard.check_page(uri, headers)?,
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return Err(takes(path, "GET, HEAD"));
    }
    match found {
        Some((_, Part::Page, file)) => {
            let fields = [("cross-origin-opener-policy", "same-origin"), ("cross-origin-resource-policy", "same-origin")];
            Ok(file.answer(headers, PAGE_POLICY, &fields))
        }
        Some((_, Part::Frame, file)) => {
            let fields = [("cross-origin-opener-policy", "same-origin"), ("cross-origin-resource-policy", "cross-origin")];
            Ok(file.answer(headers, FRAME_POLICY, &fields))
        }
        None if path == "/api" => Ok(see_other("api/")),
        None if path == "/api/openapi.json" => {
            let mut response = Response::new(Body::from(app.description().to_owned()));
            response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
            Ok(response)
        }
        None => Err(Problem::new(Kind::NotFound, format!("there is nothing at {}; did you mean /api/?", shown(path)))),
    }
}
