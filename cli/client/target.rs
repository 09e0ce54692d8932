//! A path of the API with its parameters, encoded.

use std::fmt;

/// What is asked for: a path and a query, each part percent-encoded (RFC 3986).
#[derive(Debug, Clone)]
pub struct Target {
    text: String,
    has_query: bool,
}

impl Target {
    /// The path of these segments below `/v1`.
    pub fn v1(segments: &[&str]) -> Self {
        let text = segments.iter().fold("/v1".to_owned(), |path, segment| path + "/" + &encoded(segment));
        Self { text, has_query: false }
    }

    /// With a parameter.
    #[must_use]
    pub fn query(mut self, name: &str, value: impl AsRef<str>) -> Self {
        let joint = if self.has_query { '&' } else { '?' };
        self.text += &format!("{joint}{name}={}", encoded(value.as_ref()));
        self.has_query = true;
        self
    }

    /// With a parameter, where there is one.
    #[must_use]
    pub fn query_if(self, name: &str, value: Option<impl AsRef<str>>) -> Self {
        match value {
            Some(value) => self.query(name, value),
            None => self,
        }
    }

    /// With a parameter for each value.
    #[must_use]
    pub fn query_all(self, name: &str, values: &[String]) -> Self {
        values.iter().fold(self, |target, value| target.query(name, value))
    }

    /// As it stands in the request line.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Only what is unreserved stays as it is.
fn encoded(text: &str) -> String {
    // A segment of dots alone would be taken for a step in the path.
    let dots = matches!(text, "." | "..");
    text.bytes()
        .map(|b| match b {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'~' => char::from(b).to_string(),
            b'.' if !dots => ".".to_owned(),
            _ => format!("%{b:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_named_stays_one_segment_and_one_parameter() {
        let target = Target::v1(&["networks", "a/b?c"]).query("label", "tier=a&b").query_if("x", None::<&str>).query("y", "ä");
        assert_eq!(target.as_str(), "/v1/networks/a%2Fb%3Fc?label=tier%3Da%26b&y=%C3%A4");
        assert_eq!(Target::v1(&["networks", ".."]).as_str(), "/v1/networks/%2E%2E");
    }
}
