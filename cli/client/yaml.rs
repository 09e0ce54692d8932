//! JSON values as YAML 1.2. Whatever could be read as something else stands in double quotes, as JSON has it, which YAML reads alike.

use serde_json::Value;
use std::io::{self, Write};

/// Writes a value.
pub fn write(out: &mut impl Write, value: &Value) -> io::Result<()> {
    match value {
        Value::Array(items) if !items.is_empty() => block(out, value, 0, false),
        Value::Object(fields) if !fields.is_empty() => block(out, value, 0, false),
        plain => writeln!(out, "{}", scalar(plain)),
    }
}

/// `inline`: the first line stands behind a dash already.
fn block(out: &mut impl Write, value: &Value, depth: usize, inline: bool) -> io::Result<()> {
    let indent = "  ".repeat(depth);
    let mut first = inline;
    let mut lead = |out: &mut dyn Write| if std::mem::take(&mut first) { Ok(()) } else { out.write_all(indent.as_bytes()) };
    match value {
        Value::Array(items) => {
            for item in items {
                lead(out)?;
                write!(out, "- ")?;
                if is_block(item) { block(out, item, depth + 1, true)? } else { writeln!(out, "{}", scalar(item))? }
            }
        }
        Value::Object(fields) => {
            for (key, item) in fields {
                lead(out)?;
                write!(out, "{}:", text(key))?;
                match item {
                    Value::String(s) if is_long(s) => literal(out, s, depth + 1)?,
                    _ if is_block(item) => {
                        writeln!(out)?;
                        block(out, item, depth + 1, false)?;
                    }
                    _ => writeln!(out, " {}", scalar(item))?,
                }
            }
        }
        plain => writeln!(out, "{}", scalar(plain))?,
    }
    Ok(())
}

fn is_block(value: &Value) -> bool {
    matches!(value, Value::Array(a) if !a.is_empty()) || matches!(value, Value::Object(o) if !o.is_empty())
}

fn scalar(value: &Value) -> String {
    match value {
        Value::String(s) => text(s),
        other => other.to_string(),
    }
}

/// Several lines that a literal block can hold as they are.
fn is_long(s: &str) -> bool {
    s.contains('\n') && !s.starts_with([' ', '\n']) && s.chars().all(|c| c == '\n' || !c.is_control())
}

fn literal(out: &mut impl Write, s: &str, depth: usize) -> io::Result<()> {
    let keep = match s.len() - s.trim_end_matches('\n').len() {
        0 => "-",
        1 => "",
        _ => "+",
    };
    writeln!(out, " |{keep}")?;
    for line in s.strip_suffix('\n').unwrap_or(s).split('\n') {
        writeln!(out, "{}{line}", if line.is_empty() { String::new() } else { "  ".repeat(depth) })?;
    }
    Ok(())
}

fn text(s: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | ' ' | '(' | ')' | '+' | ';');
    // Digits, dots and signs could be a number or a date, and these words are no texts in one version of YAML or another.
    let reads_else = !s.starts_with(|c: char| c.is_alphabetic() || c == '/')
        || s.ends_with(' ')
        || matches!(s.to_ascii_lowercase().as_str(), "true" | "false" | "null" | "yes" | "no" | "on" | "off" | "y" | "n" | "nan" | "inf");
    if s.chars().all(plain) && !reads_else { s.to_owned() } else { Value::from(s).to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn nothing_is_read_as_something_else() {
        let value = json!({
            "name": "db", "on": "no", "n": 5, "v": "1.0", "none": null, "empty": [], "text": "a: b", "lines": "one\n  two\n",
            "list": ["eth0", {"a": 1, "b": [true]}, []], "ip": "192.168.1.0/24", "esc": "\u{1b}[31m",
        });
        let mut out = Vec::new();
        write(&mut out, &value).unwrap();
        let expected = r#"name: db
"on": "no"
"n": 5
v: "1.0"
none: null
empty: []
text: "a: b"
lines: |
  one
    two
list:
  - eth0
  - a: 1
    b:
      - true
  - []
ip: "192.168.1.0/24"
esc: "\u001b[31m"
"#;
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
