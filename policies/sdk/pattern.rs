//! Patterns in which `*` is any text, and each other character itself.

use crate::{Faults, Node};

/// Most patterns that a message lists.
const LISTED_MAX: usize = 8;

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

/// Whether one of the patterns fits.
pub fn fits_one(patterns: &[String], text: &str) -> bool {
    patterns.iter().any(|p| fits(p, text))
}

/// Such as `"web"`, or `one of "web", "cards-*" (* is any text)`.
pub fn like(patterns: &[String]) -> String {
    let mut list: Vec<String> = patterns.iter().take(LISTED_MAX).map(|p| ["\"", p, "\""].concat()).collect();
    let has_star = list.iter().any(|p| p.contains('*'));
    if patterns.len() > LISTED_MAX {
        list.push([&*(patterns.len() - LISTED_MAX).to_string(), " more"].concat());
    }
    [if patterns.len() == 1 { "" } else { "one of " }, &list.join(", "), if has_star { " (* is any text)" } else { "" }].concat()
}

/// Reads a list of patterns; an empty one would fit nothing.
pub fn patterns(node: &Node<'_>, faults: &mut Faults) -> Option<Vec<String>> {
    let items = node.list(faults)?;
    if items.is_empty() {
        faults.add(node.path(), "is empty, so nothing fits", "at least one text, in which * is any text");
    }
    Some(items.iter().filter_map(|item| item.text(faults).map(Into::into)).collect())
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
