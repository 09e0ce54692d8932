//! JSON as it comes in: one value, with every key once. A repeated key is refused, because parsers differ in which one they
//! take, and so what a proxy has checked may not be what is done.

use bulkhead_core::refusal::Fault;
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use std::cell::RefCell;
use std::fmt;

/// What was read: the value, and a fault for each repeated key.
#[derive(Debug)]
pub struct Parsed {
    /// The value; of a repeated key, the first.
    pub value: Value,
    /// Repeated keys, by their path.
    pub repeated: Vec<Fault>,
}

/// Reads one JSON value. The error names line and column.
pub fn parse(bytes: &[u8]) -> Result<Parsed, serde_json::Error> {
    let faults = RefCell::new(Vec::new());
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = Once { path: String::new(), faults: &faults }.deserialize(&mut reader)?;
    reader.end()?;
    Ok(Parsed { value, repeated: faults.into_inner() })
}

struct Once<'a> {
    path: String,
    faults: &'a RefCell<Vec<Fault>>,
}

impl<'de> DeserializeSeed<'de> for Once<'_> {
    type Value = Value;
    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Value, D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Once<'_> {
    type Value = Value;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }
    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }
    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }
    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }
    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }
    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }
    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element_seed(Once { path: format!("{}[{}]", self.path, items.len()), faults: self.faults })? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            let path = if self.path.is_empty() { key.clone() } else { format!("{}.{key}", self.path) };
            let value = entries.next_value_seed(Once { path: path.clone(), faults: self.faults })?;
            match map.entry(key) {
                serde_json::map::Entry::Vacant(entry) => {
                    entry.insert(value);
                }
                serde_json::map::Entry::Occupied(_) => {
                    self.faults.borrow_mut().push(Fault::new(path, "stands more than once", "each field once"));
                }
            }
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_serde_json_reads_is_read_alike() {
        for text in ["null", "true", "-1", "18446744073709551615", "1.5", "\"\\u00e9\"", "[1,[2]]", "{\"b\":{\"a\":[]},\"a\":1}"] {
            assert_eq!(parse(text.as_bytes()).unwrap().value, serde_json::from_str::<Value>(text).unwrap(), "{text}");
        }
    }

    #[test]
    fn repeated_keys_are_named_by_their_path() {
        let parsed = parse(br#"{"a":1,"b":[{"c":1,"c":2}],"a":2}"#).unwrap();
        let fields: Vec<&str> = parsed.repeated.iter().map(|f| f.field.as_str()).collect();
        assert_eq!(fields, ["b[0].c", "a"]);
        assert_eq!(parsed.value["a"], 1);
    }

    #[test]
    fn what_is_malformed_is_told_with_its_place() {
        let error = parse(b"{\"a\":\n  tru }").unwrap_err();
        assert_eq!((error.line(), error.column()), (2, 6));
        assert!(parse(b"{} {}").is_err());
        assert!(parse("[".repeat(200).as_bytes()).unwrap_err().to_string().contains("recursion"));
    }
}
