//! The path below which a proxy shows the daemon, such as `/bulkhead`.
//!
//! The proxy may take it away before it asks here, or leave it: a path that begins with it has it taken away, and any other is taken as it
//! is. Whatever clients are told of paths begins with it: `Location`, the path of the dashboard's cookie, `servers` of the description.

use axum::http::uri::PathAndQuery;
use axum::http::{HeaderMap, HeaderValue, Uri, header};
use bulkhead_core::names::shown;
use bulkhead_core::refusal::Fault;

/// Longest base path, in bytes.
const LENGTH_MAX: usize = 255;
/// What the daemon has at its root: a base path that begins so would be mistaken for it.
const OURS: [&str; 4] = ["v1", "ui", "api", "problems"];

/// A base path: empty, or `/` and segments, without a slash at its end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BasePath(String);

impl BasePath {
    /// Reads one; `/` is none. The fault's field is empty.
    pub fn new(text: &str) -> Result<Self, Fault> {
        let right = "/ and segments of A–Z a–z 0–9 _ . ~ -, such as /bulkhead";
        let fault = |wrong: &str| Err(Fault::new("", format!("{} {wrong}", shown(text)), right));
        let path = text.strip_suffix('/').unwrap_or(text);
        if path.is_empty() {
            return Ok(Self::default());
        }
        if path.len() > LENGTH_MAX {
            return fault(&format!("is over {LENGTH_MAX} bytes"));
        }
        let Some(below) = path.strip_prefix('/') else { return fault("does not begin with /") };
        let is_plain = |s: &str| s.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'~' | b'-'));
        if below.split('/').any(|s| s.is_empty() || s == "." || s == ".." || !is_plain(s)) {
            return fault("has a segment that is empty, dots alone, or of other characters");
        }
        let first = below.split('/').next().unwrap_or_default();
        if OURS.contains(&first) {
            return fault(&format!("begins with /{first}, which is the daemon's own"));
        }
        Ok(Self(path.to_owned()))
    }

    /// It as text; empty where there is none.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A path of the daemon's as clients see it.
    pub fn join(&self, path: &str) -> String {
        format!("{}{path}", self.0)
    }

    /// The same URI without it; `None` where the path does not begin with it.
    pub fn stripped(&self, uri: &Uri) -> Option<Uri> {
        let below = uri.path().strip_prefix(self.0.as_str()).filter(|_| !self.0.is_empty())?;
        if !below.is_empty() && !below.starts_with('/') {
            return None;
        }
        let path = if below.is_empty() { "/" } else { below };
        let text = uri.query().map_or_else(|| path.to_owned(), |query| format!("{path}?{query}"));
        let mut parts = uri.clone().into_parts();
        // A part of a URI that was one already.
        parts.path_and_query = Some(PathAndQuery::try_from(text).ok()?);
        Uri::from_parts(parts).ok()
    }

    /// Makes the `Location` of an answer what clients see.
    pub fn put_before_location(&self, headers: &mut HeaderMap) {
        if self.0.is_empty() {
            return;
        }
        // A relative one is of something at the root: `/bulkhead` itself has no slash at its end that it could begin from.
        if let Some(Ok(path)) = headers.get(header::LOCATION).map(HeaderValue::to_str)
            && let Ok(whole) = HeaderValue::try_from(self.join(&format!("/{}", path.trim_start_matches('/'))))
        {
            headers.insert(header::LOCATION, whole);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base(text: &str) -> BasePath {
        BasePath::new(text).unwrap()
    }

    #[test]
    fn what_is_one_and_what_is_none() {
        assert_eq!((base("").as_str(), base("/").as_str()), ("", ""));
        assert_eq!((base("/bulkhead").as_str(), base("/a/b-c_d.e~f/").as_str()), ("/bulkhead", "/a/b-c_d.e~f"));
        assert_eq!(base("/v1x").as_str(), "/v1x");
        for wrong in
            ["bulkhead", "//", "/a//b", "/a/../b", "/.", "/a b", "/ä", "/%61", "/a?b", "/v1", "/ui/x", "/api", "/problems", "http://x/y"]
        {
            assert!(BasePath::new(wrong).is_err(), "{wrong}");
        }
        assert!(BasePath::new(&format!("/{}", "a".repeat(255))).is_err());
    }

    #[test]
    fn it_is_taken_away_where_it_stands() {
        let stripped = |base: &BasePath, uri: &str| base.stripped(&uri.parse().unwrap()).map(|u| u.to_string());
        let some = base("/bulk/head");
        assert_eq!(stripped(&some, "/bulk/head/v1/networks?label=a%2Fb").as_deref(), Some("/v1/networks?label=a%2Fb"));
        assert_eq!(stripped(&some, "/bulk/head").as_deref(), Some("/"));
        assert_eq!(stripped(&some, "/bulk/head?x").as_deref(), Some("/?x"));
        assert_eq!(stripped(&some, "http://localhost/bulk/head/v1").as_deref(), Some("http://localhost/v1"));
        for other in ["/v1/networks", "/bulk", "/bulk/headless/v1", "/BULK/HEAD/v1", "/x/bulk/head", "*"] {
            assert_eq!(stripped(&some, other), None, "{other}");
        }
        assert_eq!(stripped(&BasePath::default(), "/v1/networks"), None);
    }
}
