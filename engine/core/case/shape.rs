//! What a request is made of, in the words in which it is recorded: how it is filled up where an author left something away, and
//! all that is wrong with it.

use super::one_of;
use crate::names::shown;
use crate::refusal::Fault;
use serde_json::{Map, Value, json};

/// What a value must be.
pub(super) enum Shape {
    Text,
    Flag,
    /// A whole number up to this.
    Number(u64),
    OneOf(&'static [&'static str]),
    List(&'static Shape),
    /// A list of labels, or an object of keys and values, which are then asserted.
    Labels,
    Object(&'static [Field]),
    /// Anything.
    Any,
}

/// A field of an object: its name, what is in it, and what it is where it is left away.
pub(super) type Field = (&'static str, Shape, Absent);

#[derive(Clone, Copy)]
pub(super) enum Absent {
    /// It must be there.
    Missing,
    /// Nothing, and it may also be given as null.
    Null,
    /// An empty text or list, 0, false, or the first of several words.
    Empty,
}

use Absent::{Empty, Missing, Null};
use Shape::{Any, Flag, Labels, List, Number, Object, OneOf, Text};

const U32: Shape = Number(u32::MAX as u64);
const OPERATIONS: Shape = OneOf(&["create-network", "change-network", "delete-network", "attach", "change-workload", "detach"]);
const LABEL: Shape =
    Object(&[("key", Text, Missing), ("value", Text, Missing), ("provenance", OneOf(&["asserted", "runtime", "unknown"]), Empty)]);
const TEXTS: Shape = List(&Text);
const CALLER: Shape = Object(&[("name", Text, Empty), ("groups", TEXTS, Empty), ("door", Text, Empty), ("networks", U32, Empty)]);
const CHANGE: Shape = Object(&[("reason", Text, Null), ("ticket", Text, Null), ("approved_by", Text, Null)]);
const SUBNET: Shape = Object(&[("cidr", Text, Missing), ("gateway", Text, Null), ("ip_range", Text, Null)]);
const NETWORK: Shape = Object(&[
    ("name", Text, Empty),
    ("mode", OneOf(&["l2", "l3", "l3s"]), Empty),
    ("parent", Text, Null),
    ("fabric", Text, Null),
    ("vlan", Number(4094), Null),
    ("internal", Flag, Empty),
    ("subnets", List(&SUBNET), Empty),
    ("labels", Labels, Empty),
    ("endpoints", U32, Empty),
    ("facts", Labels, Empty),
]);
const GROUPS: Shape = List(&Object(&[
    ("network_labels", Labels, Empty),
    ("workload_labels", Labels, Empty),
    ("networks", U32, Empty),
    ("endpoints", U32, Empty),
    ("examples", TEXTS, Empty),
]));
const WORKLOAD: Shape = Object(&[
    ("id", Text, Empty),
    ("name", Text, Empty),
    ("labels", Labels, Empty),
    ("capabilities", TEXTS, Null),
    ("attached", GROUPS, Empty),
    ("facts", Labels, Empty),
]);
/// [`Question`](crate::policy::Question).
pub(super) const REQUEST: Shape = Object(&[
    ("operation", OPERATIONS, Missing),
    ("caller", CALLER, Empty),
    ("change", CHANGE, Empty),
    ("network", NETWORK, Empty),
    ("network_before", NETWORK, Null),
    ("workload", WORKLOAD, Null),
    ("workload_before", WORKLOAD, Null),
    ("addresses", TEXTS, Empty),
    ("same_segment", GROUPS, Empty),
    ("reaches", GROUPS, Empty),
    ("overlapping", GROUPS, Empty),
    ("facts", Labels, Empty),
]);
/// [`Case`](super::Case), its request still as the author wrote it.
const CASE: Shape = Object(&[
    ("name", Text, Missing),
    ("settings", Any, Null),
    ("request", Any, Null),
    ("expect", OneOf(&["allow", "deny", "not-applicable"]), Missing),
    ("rules", TEXTS, Empty),
]);
/// [`Suite`](super::Suite), likewise.
pub(super) const SUITE: Shape =
    Object(&[("module", Text, Null), ("settings", Any, Null), ("request", Any, Null), ("cases", List(&CASE), Missing)]);

impl Shape {
    /// The value with all that was left away; what is wrong goes into `faults`, and then the result is worth nothing.
    pub(super) fn fill(&self, value: &Value, at: &str, faults: &mut Vec<Fault>) -> Value {
        match (self, value) {
            (Any, value) | (Text, value @ Value::String(_)) | (Flag, value @ Value::Bool(_)) => value.clone(),
            (Number(max), Value::Number(n)) if n.as_u64().is_some_and(|n| n <= *max) => value.clone(),
            (OneOf(words), Value::String(word)) if words.contains(&word.as_str()) => value.clone(),
            (OneOf(words), Value::String(word)) => {
                faults.push(Fault::new(at, format!("{} is not known", shown(word)), one_of(word, words)));
                Value::Null
            }
            (List(of), Value::Array(items)) => {
                items.iter().enumerate().map(|(i, item)| of.fill(item, &format!("{at}[{i}]"), faults)).collect()
            }
            (Labels, Value::Object(map)) => {
                let label = |(key, value): (&String, &Value)| json!({"key": key, "value": Text.fill(value, &below(at, key), faults), "provenance": "asserted"});
                sorted(map.iter().map(label).collect())
            }
            (Labels, Value::Array(_)) => match List(&LABEL).fill(value, at, faults) {
                Value::Array(labels) => sorted(labels),
                other => other,
            },
            (Object(fields), Value::Object(map)) => object(fields, map, at, faults),
            (_, value) => {
                faults.push(Fault::new(at, kind(value), self.right()));
                Value::Null
            }
        }
    }

    fn right(&self) -> String {
        match self {
            Text => "a text; quote what YAML takes for something else".into(),
            Flag => "true or false".into(),
            Number(max) => format!("a whole number from 0 to {max}"),
            OneOf(words) => format!("one of {}", words.join(", ")),
            List(_) => "a list".into(),
            Labels => "an object such as {tier: web}, or a list of labels".into(),
            Object(fields) => format!("an object of {}", fields.iter().map(|(name, ..)| *name).collect::<Vec<_>>().join(", ")),
            Any => "any value".into(),
        }
    }

    /// What stands for it where it is left away.
    fn empty(&self) -> Value {
        match self {
            Text => json!(""),
            Flag => json!(false),
            Number(_) => json!(0),
            OneOf(words) => json!(words[0]),
            List(_) | Labels => json!([]),
            Object(fields) => fields.iter().map(|(name, shape, absent)| ((*name).to_owned(), shape.absent(*absent))).collect(),
            Any => Value::Null,
        }
    }

    fn absent(&self, absent: Absent) -> Value {
        if matches!(absent, Empty) { self.empty() } else { Value::Null }
    }
}

fn object(fields: &[Field], map: &Map<String, Value>, at: &str, faults: &mut Vec<Fault>) -> Value {
    for key in map.keys().filter(|k| fields.iter().all(|(name, ..)| name != k)) {
        let known: Vec<&str> = fields.iter().map(|(name, ..)| *name).collect();
        faults.push(Fault::new(below(at, key), "unknown field", one_of(key, &known)));
    }
    let filled = |(name, shape, absent): &Field| {
        let value = match (map.get(*name), absent) {
            (None | Some(Value::Null), Missing) => {
                faults.push(Fault::new(below(at, name), "missing", shape.right()));
                Value::Null
            }
            (None, _) | (Some(Value::Null), Null) => shape.absent(*absent),
            (Some(value), _) => shape.fill(value, &below(at, name), faults),
        };
        ((*name).to_owned(), value)
    };
    fields.iter().map(filled).collect()
}

fn sorted(mut labels: Vec<Value>) -> Value {
    labels.sort_by(|a, b| a["key"].as_str().cmp(&b["key"].as_str()));
    Value::Array(labels)
}

/// The path of a field. A field's name may be anything: only what looks like one stands in the path as it is.
pub(super) fn below(at: &str, key: &str) -> String {
    let plain = !key.is_empty() && key.len() <= 64 && key.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
    match (plain, at.is_empty()) {
        (true, true) => key.to_owned(),
        (true, false) => format!("{at}.{key}"),
        (false, _) => format!("{at}[{}]", shown(key)),
    }
}

fn kind(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(b) => format!("{b} is a boolean"),
        Value::Number(n) => format!("{n} is a number"),
        Value::String(s) => format!("{} is a text", shown(s)),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
    }
}
