//! Patterns in which `*` is any text, and each other character itself.

/// Whether the whole of `text` fits `pattern`.
pub fn fits(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let Some(last) = parts.next_back() else { return rest.is_empty() };
    // Each part where it comes first leaves the most room for those after it.
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::fits;

    #[test]
    fn a_star_is_any_text() {
        for (pattern, text, does) in [
            ("web", "web", true),
            ("web", "webs", false),
            ("web", "Web", false),
            ("", "", true),
            ("", "x", false),
            ("*", "", true),
            ("*", "any", true),
            ("*_net", "cards_net", true),
            ("*_net", "_net", true),
            ("*_net", "cards_net2", false),
            ("web-*", "web-", true),
            ("web-*", "web", false),
            ("a*a", "a", false),
            ("a*a", "aa", true),
            ("a*b*c", "abbc", true),
            ("a*b*c", "acb", false),
            ("*b*", "abc", true),
            ("**", "", true),
            ("*ab*ab", "ab", false),
            ("*ab*ab", "abcab", true),
            ("?[a]", "xa", false),
            ("é*", "éa", true),
        ] {
            assert_eq!(fits(pattern, text), does, "{pattern} {text}");
        }
    }
}
