//! Names and labels, checked once, where they come in.

use crate::refusal::Fault;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $check:path) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);
        impl $name {
            /// Checks the rules of the type; the fault has no field yet.
            pub fn new(text: &str) -> Result<Self, Fault> {
                $check(text).map(|()| Self(text.into()))
            }
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }
        impl TryFrom<String> for $name {
            type Error = String;
            fn try_from(text: String) -> Result<Self, String> {
                Self::new(&text).map_err(|fault| fault.to_string())
            }
        }
        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0.as_ref().to_owned()
            }
        }
    };
}

name!(
    /// Name of a network, an endpoint's alias, or a policy: 1–63 of `A–Z a–z 0–9 _ . -`, beginning with a letter or digit.
    Name, check_name
);
name!(
    /// Name of a network interface: 1–15 bytes (IFNAMSIZ − 1), no `/`, `:`, `%`, blank or control character, and none of
    /// `.`, `..`, `all`, `default`, `lo` (net/core/dev.c `dev_valid_name`; the rest are files below /proc/sys/net/ipv?/conf,
    /// and `%d` the kernel would number).
    LinkName, check_link_name
);

fn check_name(text: &str) -> Result<(), Fault> {
    let right = "1 to 63 of A–Z a–z 0–9 _ . -, beginning with a letter or digit";
    let first = text.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric());
    let rest = text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'));
    if first && rest && text.len() <= 63 { Ok(()) } else { Err(Fault::new("", format!("{} is not a name", shown(text)), right)) }
}

fn check_link_name(text: &str) -> Result<(), Fault> {
    let right = "1 to 15 bytes without / : % blanks or control characters, and not one of . .. all default lo";
    let odd = text.bytes().any(|b| matches!(b, b'/' | b':' | b'%') || !b.is_ascii_graphic());
    let taken = matches!(text, "." | ".." | "all" | "default" | "lo");
    if text.is_empty() || text.len() > 15 || odd || taken {
        return Err(Fault::new("", format!("{} is not an interface name", shown(text)), right));
    }
    Ok(())
}

/// A value as an error message shows it: quoted, escaped, cut at 64 characters.
pub fn shown(text: &str) -> String {
    let cut: String = text.chars().take(64).collect();
    if cut.len() < text.len() { format!("{cut:?}…") } else { format!("{cut:?}") }
}

/// Labels of a network or a workload, shared and sorted.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Labels(Arc<BTreeMap<String, String>>);

/// Most labels that one object may have.
pub const LABELS_MAX: usize = 64;

impl Labels {
    /// Checks keys (1–63 of `A–Z a–z 0–9 _ . - /`) and values (at most 255 bytes, no control characters); all faults at once.
    pub fn new(map: BTreeMap<String, String>) -> Result<Self, Vec<Fault>> {
        let mut faults = Vec::new();
        if map.len() > LABELS_MAX {
            faults.push(Fault::new("", format!("{} labels", map.len()), format!("at most {LABELS_MAX}")));
        }
        for (key, value) in &map {
            let key_fits =
                (1..=63).contains(&key.len()) && key.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-' | b'/'));
            if !key_fits {
                faults.push(Fault::new(format!("[{}]", shown(key)), "not a label key", "1 to 63 of A–Z a–z 0–9 _ . - /"));
            }
            if value.len() > 255 || value.chars().any(char::is_control) {
                faults.push(Fault::new(format!("[{}]", shown(key)), "not a label value", "at most 255 bytes without control characters"));
            }
        }
        if faults.is_empty() { Ok(Self(Arc::new(map))) } else { Err(faults) }
    }

    /// The value of `key`.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    /// Sorted by key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(k, v)| (k.as_str(), v.as_str()))
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Only those under `keys`.
    #[must_use]
    pub fn project(&self, keys: &std::collections::BTreeSet<String>) -> Self {
        if self.0.keys().all(|k| keys.contains(k)) {
            return self.clone();
        }
        Self(Arc::new(self.0.iter().filter(|(k, _)| keys.contains(*k)).map(|(k, v)| (k.clone(), v.clone())).collect()))
    }

    /// Whether each of `wanted` is here with the same value.
    pub fn contains(&self, wanted: &Labels) -> bool {
        wanted.iter().all(|(k, v)| self.get(k) == Some(v))
    }
}

impl<const N: usize> From<[(&str, &str); N]> for Labels {
    fn from(pairs: [(&str, &str); N]) -> Self {
        Self(Arc::new(pairs.into_iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect()))
    }
}

/// The known word nearest to `word`, if it is near enough to be meant (optimal string alignment distance ≤ 2, or a third of it).
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let limit = (word.chars().count() / 3).max(2);
    known.into_iter().map(|k| (distance(word, k), k)).filter(|(d, _)| *d <= limit).min().map(|(_, k)| k)
}

fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.to_lowercase().chars().take(64).collect(), b.to_lowercase().chars().take(64).collect());
    let mut rows: Vec<Vec<usize>> = vec![(0..=b.len()).collect()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let swap = usize::from(a[i - 1] != b[j - 1]);
            let mut best = (rows[i - 1][j] + 1).min(row[j - 1] + 1).min(rows[i - 1][j - 1] + swap);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn link_names_that_are_other_files_or_patterns_are_refused() {
        for bad in ["", ".", "..", "all", "default", "lo", "a/b", "eth%d", "a b", "a:b", "sixteen-bytes-xx", "tab\t", "é"] {
            assert!(LinkName::new(bad).is_err(), "{bad:?}");
        }
        for good in ["eth0", "eth0.30", "a", "fifteen-bytes-x"] {
            assert!(LinkName::new(good).is_ok(), "{good:?}");
        }
    }

    #[test]
    fn the_nearest_word_is_named_only_when_it_is_near() {
        assert_eq!(nearest("subnet", ["subnets", "mode"]), Some("subnets"));
        assert_eq!(nearest("gatewya", ["gateway", "labels"]), Some("gateway"));
        assert_eq!(nearest("colour", ["mode", "mtu"]), None);
    }
}
