//! Reads values of JSON (and of the configuration file) field by field, and collects every fault instead of stopping at the first.
//!
//! A reader is a function from a value to what it means, or to the faults in it; faults of a part are moved below the part's
//! field, so that each names its whole path. What nobody asked for is refused, with the nearest field that is known.

use bulkhead_core::host::{Flag, Mode};
use bulkhead_core::names::{Labels, LinkName, Name, nearest, shown};
use bulkhead_core::policy::Digest;
use bulkhead_core::refusal::Fault;
use ipnet::IpNet;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// What was read, or all that is wrong with it.
pub type Read<T> = Result<T, Vec<Fault>>;

/// The fields of one object, taken one by one.
#[derive(Debug)]
pub struct Fields {
    map: Map<String, Value>,
    known: Vec<&'static str>,
    faults: Vec<Fault>,
}

impl Fields {
    /// The fields of an object.
    pub fn of(value: Value) -> Read<Self> {
        match value {
            Value::Object(map) => Ok(Self { map, known: Vec::new(), faults: Vec::new() }),
            other => Err(wrong_type(&other, "an object")),
        }
    }

    /// Takes a field that may be left out; `null` is the same as leaving it out.
    pub fn optional<T>(&mut self, field: &'static str, read: impl FnOnce(Value) -> Read<T>) -> Option<T> {
        self.known.push(field);
        match self.map.shift_remove(field)? {
            Value::Null => None,
            value => read(value).map_err(|faults| self.faults.extend(faults.into_iter().map(|f| f.below(field)))).ok(),
        }
    }

    /// Takes a field of a change (RFC 7396): left out it stays (`None`), `null` clears it (`Some(None)`).
    pub fn change<T>(&mut self, field: &'static str, read: impl FnOnce(Value) -> Read<T>) -> Option<Option<T>> {
        let cleared = matches!(self.map.get(field), Some(Value::Null));
        let given = self.optional(field, read);
        if cleared { Some(None) } else { given.map(Some) }
    }

    /// Takes a field that must be there; `right` says what belongs there.
    pub fn required<T>(&mut self, field: &'static str, right: &str, read: impl FnOnce(Value) -> Read<T>) -> Option<T> {
        if matches!(self.map.get(field), None | Some(Value::Null)) {
            self.known.push(field);
            self.map.shift_remove(field);
            self.faults.push(Fault::new(field, "missing", right));
            return None;
        }
        self.optional(field, read)
    }

    /// Which of `names` are given, before they are taken.
    pub fn given(&self, names: &[&str]) -> Vec<String> {
        names.iter().filter(|n| self.map.get(**n).is_some_and(|v| !v.is_null())).map(|n| (*n).to_owned()).collect()
    }

    /// Adds a fault.
    pub fn fault(&mut self, fault: Fault) {
        self.faults.push(fault);
    }

    /// Whether something is wrong so far.
    pub fn is_faulty(&self) -> bool {
        !self.faults.is_empty()
    }

    /// All that is wrong, what nobody asked for included.
    pub fn finish(mut self) -> Vec<Fault> {
        for key in self.map.keys() {
            self.faults.push(unknown(key, "field", &self.known));
        }
        self.faults
    }
}

/// A name that is not among those that are known.
pub fn unknown(name: &str, what: &str, known: &[&str]) -> Fault {
    let right = match nearest(name, known.iter().copied()) {
        Some(near) => format!("did you mean {near}?"),
        None if known.is_empty() => format!("no {what} is known here"),
        None => format!("one of {}", known.join(", ")),
    };
    // A field's name may be anything: only what looks like one stands in the path as it is.
    let plain = !name.is_empty() && name.len() <= 64 && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
    let field = if plain { name.to_owned() } else { format!("[{}]", shown(name)) };
    Fault::new(field, format!("unknown {what}"), right)
}

fn one<T>(wrong: impl Into<String>, right: impl Into<String>) -> Read<T> {
    Err(vec![Fault::new("", wrong, right)])
}

fn wrong_type(value: &Value, right: &str) -> Vec<Fault> {
    let wrong = match value {
        Value::Null => "null".to_owned(),
        Value::Bool(b) => format!("{b} is a boolean"),
        Value::Number(n) => format!("{n} is a number"),
        Value::String(s) => format!("{} is a text", shown(s)),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
    };
    vec![Fault::new("", wrong, right)]
}

/// A text.
pub fn text(value: Value) -> Read<String> {
    match value {
        Value::String(text) => Ok(text),
        other => Err(wrong_type(&other, "a text")),
    }
}

/// A text for people or other programs: 1–255 bytes without control characters.
pub fn short_text(value: Value) -> Read<String> {
    let text = text(value)?;
    if text.is_empty() || text.len() > 255 || text.chars().any(char::is_control) {
        return one(format!("{} does not fit", shown(&text)), "1 to 255 bytes without control characters");
    }
    Ok(text)
}

/// A truth value.
pub fn boolean(value: Value) -> Read<bool> {
    match value {
        Value::Bool(b) => Ok(b),
        other => Err(wrong_type(&other, "true or false")),
    }
}

/// A whole number of type `T`, from `min` to `max`.
pub fn number<T: TryFrom<u64>>(min: u64, max: u64) -> impl FnOnce(Value) -> Read<T> {
    move |value| {
        let right = format!("a whole number from {min} to {max}");
        match &value {
            Value::Number(n) => {
                let fits = n.as_u64().filter(|n| (min..=max).contains(n)).and_then(|n| T::try_from(n).ok());
                fits.ok_or_else(|| vec![Fault::new("", format!("{n} does not fit"), right)])
            }
            other => Err(wrong_type(other, &right)),
        }
    }
}

/// One of a few words.
pub fn choice<T: Clone>(words: &'static [(&'static str, T)]) -> impl FnOnce(Value) -> Read<T> {
    move |value| {
        let all: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        let right = format!("one of {}", all.join(", "));
        let Value::String(given) = &value else { return Err(wrong_type(&value, &right)) };
        match words.iter().find(|(word, _)| word == given) {
            Some((_, meaning)) => Ok(meaning.clone()),
            None => one(format!("{} is not known", shown(given)), right),
        }
    }
}

/// A mode of ipvlan.
pub fn mode(value: Value) -> Read<Mode> {
    choice(&[("l2", Mode::L2), ("l3", Mode::L3), ("l3s", Mode::L3s)])(value)
}

/// A flag of ipvlan.
pub fn flag(value: Value) -> Read<Flag> {
    choice(&[("bridge", Flag::Bridge), ("private", Flag::Private), ("vepa", Flag::Vepa)])(value)
}

/// A name of ours.
pub fn name(value: Value) -> Read<Name> {
    Name::new(&text(value)?).map_err(|fault| vec![fault])
}

/// The name of a network interface.
pub fn link_name(value: Value) -> Read<LinkName> {
    LinkName::new(&text(value)?).map_err(|fault| vec![fault])
}

/// The digest of a module.
pub fn digest(value: Value) -> Read<Digest> {
    let given = text(value)?;
    given.parse().or_else(|_| one(format!("{} is not a digest", shown(&given)), "sha256: and 64 lowercase hexadecimal digits"))
}

/// An IP address, without a prefix.
pub fn address(value: Value) -> Read<IpAddr> {
    let given = match value {
        Value::String(given) => given,
        other => return Err(wrong_type(&other, "an IP address, such as \"192.168.1.10\"")),
    };
    if let Ok(address) = given.parse() {
        return Ok(address);
    }
    let right = match given.split_once('/').map(|(address, _)| address.parse::<IpAddr>()) {
        Some(Ok(address)) => format!("{address}, without a prefix length"),
        _ => "an IP address, such as 192.168.1.10 or 2001:db8::10".to_owned(),
    };
    one(format!("{} is not an IP address", shown(&given)), right)
}

/// A range of addresses. Host bits may be set: whether they may be is not this reader's to say.
pub fn cidr(value: Value) -> Read<IpNet> {
    let example = "a range, such as 192.168.1.0/24 or 2001:db8:abc8::/64";
    let given = match value {
        Value::String(given) => given,
        other => return Err(wrong_type(&other, example)),
    };
    if let Ok(range) = given.parse::<IpNet>() {
        return Ok(range);
    }
    let wrong = format!("{} is not a range of addresses", shown(&given));
    let Some((address, prefix)) = given.split_once('/') else {
        return match given.parse::<IpAddr>() {
            Ok(address) => one(format!("{address} has no prefix length"), format!("{address}/{}", if address.is_ipv4() { 24 } else { 64 })),
            Err(_) => one(wrong, example),
        };
    };
    match address.parse::<IpAddr>() {
        Ok(address) if !prefix.is_empty() && prefix.bytes().all(|b| b.is_ascii_digit()) => {
            let max = if address.is_ipv4() { 32 } else { 128 };
            one(format!("prefix length {} of {address} is out of range", shown(prefix)), format!("0 to {max}"))
        }
        // A netmask, as older tools write it.
        Ok(address @ IpAddr::V4(_)) => match prefix.parse().ok().and_then(|mask| ipnet::ip_mask_to_prefix(mask).ok()) {
            Some(length) => one(wrong, format!("{address}/{length}")),
            None => one(wrong, example),
        },
        _ => one(wrong, example),
    }
}

/// A list, each item read by `read`.
pub fn list<T>(mut read: impl FnMut(Value) -> Read<T>) -> impl FnOnce(Value) -> Read<Vec<T>> {
    move |value| {
        let Value::Array(items) = value else { return Err(wrong_type(&value, "a list")) };
        let (mut out, mut faults) = (Vec::with_capacity(items.len()), Vec::new());
        for (i, item) in items.into_iter().enumerate() {
            match read(item) {
                Ok(item) => out.push(item),
                Err(wrong) => faults.extend(wrong.into_iter().map(|f| f.below(&format!("[{i}]")))),
            }
        }
        if faults.is_empty() { Ok(out) } else { Err(faults) }
    }
}

/// An object whose keys are the client's own, each value read by `read`.
pub fn map<T>(mut read: impl FnMut(Value) -> Read<T>) -> impl FnOnce(Value) -> Read<BTreeMap<String, T>> {
    move |value| {
        let Value::Object(entries) = value else { return Err(wrong_type(&value, "an object")) };
        let (mut out, mut faults) = (BTreeMap::new(), Vec::new());
        for (key, item) in entries {
            match read(item) {
                Ok(item) => drop(out.insert(key, item)),
                Err(wrong) => faults.extend(wrong.into_iter().map(|f| f.below(&key))),
            }
        }
        if faults.is_empty() { Ok(out) } else { Err(faults) }
    }
}

/// Changes of labels: `null` takes one away.
pub fn label_changes(value: Value) -> Read<BTreeMap<String, Option<String>>> {
    let changes = map(|v| if v.is_null() { Ok(None) } else { text(v).map(Some) })(value)?;
    let set = changes.iter().filter_map(|(k, v)| Some((k.clone(), v.clone()?))).collect();
    Labels::new(set).map(|_| changes)
}

/// Labels.
pub fn labels(value: Value) -> Read<Labels> {
    Labels::new(map(text)(value)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn all_faults_come_at_once_each_with_its_path() {
        let mut fields = Fields::of(json!({"name": 5, "mtuu": 1, "nets": [{"cidr": "x"}, 7], "labels": {"a": 1}})).unwrap();
        let name = fields.required("name", "a name", name);
        let mtu = fields.optional("mtu", number::<u32>(1, 9000));
        let nets = fields.required(
            "nets",
            "ranges",
            list(|v| {
                let mut net = Fields::of(v)?;
                let cidr = net.required("cidr", "a range", cidr);
                cidr.ok_or_else(|| net.finish())
            }),
        );
        let labels = fields.optional("labels", labels);
        assert!(name.is_none() && mtu.is_none() && nets.is_none() && labels.is_none());
        let told: Vec<String> = fields.finish().iter().map(ToString::to_string).collect();
        assert_eq!(
            told,
            [
                "name: 5 is a number; a text",
                "nets[0].cidr: \"x\" is not a range of addresses; a range, such as 192.168.1.0/24 or 2001:db8:abc8::/64",
                "nets[1]: 7 is a number; an object",
                "labels.a: 1 is a number; a text",
                "mtuu: unknown field; did you mean mtu?",
            ]
        );
    }

    #[test]
    fn ranges_that_do_not_parse_are_told_apart() {
        let says = |text: &str| cidr(json!(text)).unwrap_err().remove(0).to_string();
        assert_eq!(says("10.0.0.0"), "10.0.0.0 has no prefix length; 10.0.0.0/24");
        assert_eq!(says("10.0.0.0/33"), "prefix length \"33\" of 10.0.0.0 is out of range; 0 to 32");
        assert!(says("10.0.0.0/255.255.0.0").ends_with("; 10.0.0.0/16"));
        assert!(says("10.0.0/8").contains("not a range"));
        assert_eq!(cidr(json!("10.0.0.1/8")).unwrap().to_string(), "10.0.0.1/8");
    }
}
