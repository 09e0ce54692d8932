//! Files that browsers are served: public ones, there is no secret in them.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use sha2::{Digest, Sha256};
use std::borrow::Cow;

/// A file, as it is and compressed.
pub struct File {
    mime: &'static str,
    plain: Cow<'static, [u8]>,
    gzip: Option<&'static [u8]>,
    brotli: Option<&'static [u8]>,
    tag: String,
}

impl File {
    /// A file of this type.
    pub fn new(mime: &'static str, plain: impl Into<Cow<'static, [u8]>>) -> Self {
        let plain = plain.into();
        let tag: String = Sha256::digest(&plain).iter().take(16).map(|b| format!("{b:02x}")).collect();
        Self { mime, plain, gzip: None, brotli: None, tag: format!("\"{tag}\"") }
    }

    /// The same, compressed with gzip.
    #[must_use]
    pub fn with_gzip(self, gzip: &'static [u8]) -> Self {
        Self { gzip: Some(gzip), ..self }
    }

    /// The same, compressed with brotli.
    #[must_use]
    pub fn with_brotli(self, brotli: &'static [u8]) -> Self {
        Self { brotli: Some(brotli), ..self }
    }

    /// Its bytes.
    pub fn plain(&self) -> &[u8] {
        &self.plain
    }

    /// The answer to whoever asks for it, under a content security policy and with `fields`.
    pub fn answer(&self, headers: &HeaderMap, policy: &'static str, fields: &[(&'static str, &'static str)]) -> Response<Body> {
        let mut response = Response::new(Body::empty());
        let answered = response.headers_mut();
        let fixed = [
            ("content-security-policy", policy),
            ("referrer-policy", "no-referrer"),
            ("permissions-policy", "camera=(), geolocation=(), microphone=()"),
            // Kept by the browser, but asked for again: a new daemon has new files.
            ("cache-control", "no-cache"),
            ("vary", "Accept-Encoding"),
            ("content-type", self.mime),
        ];
        answered.extend(fixed.iter().chain(fields).map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))));
        if let Ok(tag) = HeaderValue::try_from(self.tag.as_str()) {
            answered.insert(header::ETAG, tag);
        }
        let known = headers.get(header::IF_NONE_MATCH).and_then(|v| v.to_str().ok()).unwrap_or_default();
        if known.split(',').any(|t| t.trim().trim_start_matches("W/") == self.tag) {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            return response;
        }
        let compressed = [("br", self.brotli), ("gzip", self.gzip)];
        let found = compressed.into_iter().find_map(|(name, bytes)| bytes.filter(|_| takes(headers, name)).map(|bytes| (name, bytes)));
        *response.body_mut() = match found {
            Some((name, bytes)) => {
                response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static(name));
                Body::from(bytes)
            }
            None => match &self.plain {
                Cow::Borrowed(bytes) => Body::from(*bytes),
                Cow::Owned(bytes) => Body::from(bytes.clone()),
            },
        };
        response
    }
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

/// From where people look to where it is; relative, so that a proxy may put all of it below a path.
pub fn see_other(path: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SEE_OTHER;
    response.headers_mut().insert(header::LOCATION, HeaderValue::from_static(path));
    response
}
