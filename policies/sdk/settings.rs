//! Reads settings and finds all that is wrong with them, each fault with its place.

use crate::{Json, Violation, violation};
use std::ops::RangeInclusive;

/// What is wrong with settings.
#[derive(Debug, Default)]
pub struct Faults(Vec<Violation>);

impl Faults {
    /// Adds a fault: where, what is wrong, what would be right.
    pub fn add(&mut self, field: impl Into<String>, message: impl Into<String>, remedy: impl Into<String>) {
        let (field, message) = (field.into(), message.into());
        let found = violation("settings", message).remedy(remedy);
        self.0.push(if field.is_empty() { found } else { found.field(field) });
    }

    /// All faults, as `configure` answers them.
    pub fn into_violations(self) -> Vec<Violation> {
        self.0
    }
}

/// A value in the settings, with its place.
#[derive(Debug, Clone)]
pub struct Node<'a> {
    path: String,
    value: &'a Json,
}

impl<'a> Node<'a> {
    /// The settings as a whole.
    pub fn root(value: &'a Json) -> Self {
        Self { path: String::new(), value }
    }

    /// Its place, such as `tiers.cards.vlans[0]`; empty for the settings as a whole.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The value itself.
    pub fn value(&self) -> &'a Json {
        self.value
    }

    fn below(&self, key: &str, value: &'a Json) -> Self {
        let path = if self.path.is_empty() { key.into() } else { [&self.path, ".", key].concat() };
        Self { path, value }
    }

    fn wrong_kind<T>(&self, wanted: &str, faults: &mut Faults) -> Option<T> {
        let message =
            if self.path.is_empty() { ["the settings are ", self.value.kind()].concat() } else { ["is ", self.value.kind()].concat() };
        faults.add(&*self.path, message, wanted);
        None
    }

    /// An object that has no fields but `known` ones.
    pub fn object(&self, known: &[&str], faults: &mut Faults) -> Option<Fields<'a>> {
        let Json::Object(fields) = self.value else { return self.wrong_kind("an object", faults) };
        for (key, value) in fields.iter().filter(|(k, _)| !known.contains(&k.as_str())) {
            let right = if known.is_empty() { "it takes no fields".into() } else { ["known are ", &known.join(", ")].concat() };
            faults.add(self.below(key, value).path, "is not a known field", right);
        }
        Some(Fields { node: self.clone(), fields })
    }

    /// An object with keys of the user's own.
    pub fn entries(&self, faults: &mut Faults) -> Option<Vec<(&'a str, Node<'a>)>> {
        let Json::Object(fields) = self.value else { return self.wrong_kind("an object", faults) };
        Some(fields.iter().map(|(key, value)| (key.as_str(), self.below(key, value))).collect())
    }

    /// A list.
    pub fn list(&self, faults: &mut Faults) -> Option<Vec<Node<'a>>> {
        let Json::List(items) = self.value else { return self.wrong_kind("a list", faults) };
        let item = |(at, value)| Node { path: [&self.path, "[", &usize::to_string(&at), "]"].concat(), value };
        Some(items.iter().enumerate().map(item).collect())
    }

    /// A text that is not empty.
    pub fn text(&self, faults: &mut Faults) -> Option<&'a str> {
        match self.value {
            Json::Text(text) if !text.is_empty() => Some(text),
            Json::Text(_) => {
                faults.add(&*self.path, "is an empty text", "a text");
                None
            }
            _ => self.wrong_kind("a text", faults),
        }
    }

    /// One of a few words.
    pub fn choice<T: Copy>(&self, words: &[(&str, T)], faults: &mut Faults) -> Option<T> {
        let right = words.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(" or ");
        let Json::Text(text) = self.value else { return self.wrong_kind(&right, faults) };
        let meant = words.iter().find(|(word, _)| word == text).map(|(_, meaning)| *meaning);
        if meant.is_none() {
            faults.add(&*self.path, ["is ", text].concat(), right);
        }
        meant
    }

    /// A whole number in a range.
    pub fn integer(&self, range: RangeInclusive<u32>, faults: &mut Faults) -> Option<u32> {
        let right = || ["a whole number from ", &range.start().to_string(), " to ", &range.end().to_string()].concat();
        let Json::Number(written) = self.value else { return self.wrong_kind(&right(), faults) };
        let number = written.parse().ok().filter(|n| range.contains(n));
        if number.is_none() {
            faults.add(&*self.path, ["is ", written].concat(), right());
        }
        number
    }

    /// `true` or `false`.
    pub fn boolean(&self, faults: &mut Faults) -> Option<bool> {
        let Json::Bool(value) = self.value else { return self.wrong_kind("true or false", faults) };
        Some(*value)
    }
}

/// The fields of an object.
#[derive(Debug, Clone)]
pub struct Fields<'a> {
    node: Node<'a>,
    fields: &'a [(String, Json)],
}

impl<'a> Fields<'a> {
    /// The field `key`, if it is there.
    pub fn get(&self, key: &str) -> Option<Node<'a>> {
        self.fields.iter().find(|(k, _)| k == key).map(|(k, value)| self.node.below(k, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(text: &str, read: impl FnOnce(Node<'_>, &mut Faults)) -> Vec<String> {
        let json = Json::parse(text).expect("valid");
        let mut faults = Faults::default();
        read(Node::root(&json), &mut faults);
        let shown = |v: Violation| format!("{}: {}; {}", v.field.unwrap_or_default(), v.message, v.remedy.unwrap_or_default());
        faults.into_violations().into_iter().map(shown).collect()
    }

    #[test]
    fn all_faults_are_found_with_their_places() {
        let found = faults(r#"{"a":{"b":[1,"x",70000]},"c":"","d":1}"#, |node, faults| {
            let top = node.object(&["a", "c"], faults).expect("an object");
            let list = top.get("a").and_then(|a| a.object(&["b"], faults)).and_then(|a| a.get("b")).expect("there");
            for item in list.list(faults).expect("a list") {
                item.integer(0..=4094, faults);
            }
            top.get("c").expect("there").text(faults);
        });
        let wanted = [
            "d: is not a known field; known are a, c",
            "a.b[1]: is a text; a whole number from 0 to 4094",
            "a.b[2]: is 70000; a whole number from 0 to 4094",
            "c: is an empty text; a text",
        ];
        assert_eq!(found, wanted);
    }

    #[test]
    fn a_choice_is_one_of_its_words() {
        let read = |text| {
            faults(text, |node, faults| {
                node.choice(&[("allow", 1), ("deny", 2)], faults);
            })
        };
        assert!(read(r#""deny""#).is_empty());
        assert_eq!(
            (read(r#""Deny""#), read("true")),
            (vec![": is Deny; allow or deny".into()], vec![": the settings are true or false; allow or deny".into()])
        );
    }

    #[test]
    fn numbers_are_whole_and_in_range() {
        for bad in ["1.0", "1e2", "-1", "4294967296"] {
            assert_eq!(faults(bad, |node, faults| assert_eq!(node.integer(0..=10, faults), None)).len(), 1, "{bad}");
        }
        assert!(faults("10", |node, faults| assert_eq!(node.integer(0..=10, faults), Some(10))).is_empty());
    }
}
