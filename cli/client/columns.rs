//! Lists as columns: a table for people, CSV for spreadsheets.

use super::terminal::{Paint, harmless, painted};
use serde_json::Value;
use std::io::{self, Write};

/// A column of a list.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    /// What stands above it.
    pub head: &'static str,
    /// Where its value is: names of fields joined by dots.
    pub path: &'static str,
    /// Shown with `-o wide` and in CSV only.
    pub wide: bool,
}

/// A column that is always shown.
pub const fn column(head: &'static str, path: &'static str) -> Column {
    Column { head, path, wide: false }
}

/// A column of `-o wide`.
pub const fn wide(head: &'static str, path: &'static str) -> Column {
    Column { head, path, wide: true }
}

/// What stands at `path`, as one line: lists joined by commas, objects as `key=value`, nothing as nothing. A name in the path that
/// leads into a list leads into each of its items.
pub fn text_at(item: &Value, path: &str) -> String {
    let mut found = vec![item];
    for name in path.split('.') {
        found = found
            .into_iter()
            .flat_map(|value| match value {
                Value::Array(items) => items.iter().filter_map(|i| i.get(name)).collect(),
                other => other.get(name).into_iter().collect::<Vec<_>>(),
            })
            .collect();
    }
    found.into_iter().map(flat).filter(|text| !text.is_empty()).collect::<Vec<_>>().join(",")
}

fn flat(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => harmless(text),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::Number(n) => n.to_string(),
        Value::Array(items) => items.iter().map(flat).collect::<Vec<_>>().join(","),
        Value::Object(fields) => fields.iter().map(|(k, v)| format!("{}={}", harmless(k), flat(v))).collect::<Vec<_>>().join(","),
    }
}

/// A table; where it is wider than `width`, a list of pairs for each item instead: nothing is cut off, nothing wraps in between.
/// `widths` are those of a table that this one goes on with, and become this one's.
pub fn table(
    out: &mut impl Write,
    items: &[Value],
    columns: &[&Column],
    head: bool,
    width: Option<usize>,
    widths: &mut Vec<usize>,
) -> io::Result<()> {
    let rows: Vec<Vec<String>> = items.iter().map(|item| columns.iter().map(|c| text_at(item, c.path)).collect()).collect();
    let length = |text: &str| text.chars().count();
    widths.resize(columns.len(), 0);
    for (i, column) in columns.iter().enumerate() {
        widths[i] = rows.iter().map(|row| length(&row[i])).chain([length(column.head), widths[i]]).max().unwrap_or(0);
    }
    let whole: usize = widths.iter().map(|w| w + 2).sum::<usize>().saturating_sub(2);
    if width.is_some_and(|width| whole > width) && !rows.is_empty() {
        return pairs(out, &rows, columns);
    }
    let mut line = |cells: &mut dyn Iterator<Item = &str>, paint: bool| {
        let mut text = String::new();
        for (cell, width) in cells.zip(widths.iter()) {
            let shown = if cell.is_empty() { "-" } else { cell };
            text += shown;
            text += &" ".repeat(width.saturating_sub(length(shown)) + 2);
        }
        let text = text.trim_end();
        writeln!(out, "{}", if paint { painted(&io::stdout(), Paint::Bold, text) } else { text.to_owned() })
    };
    if head {
        line(&mut columns.iter().map(|c| c.head), true)?;
    }
    rows.iter().try_for_each(|row| line(&mut row.iter().map(String::as_str), false))
}

fn pairs(out: &mut impl Write, rows: &[Vec<String>], columns: &[&Column]) -> io::Result<()> {
    let longest = columns.iter().map(|c| c.head.len()).max().unwrap_or(0);
    for (i, row) in rows.iter().enumerate() {
        if i > 0 {
            writeln!(out)?;
        }
        for (column, cell) in columns.iter().zip(row).filter(|(_, cell)| !cell.is_empty()) {
            let head = painted(&io::stdout(), Paint::Bold, column.head);
            writeln!(out, "{head}{} {cell}", " ".repeat(longest - column.head.len()))?;
        }
    }
    Ok(())
}

/// CSV, as RFC 4180 has it but for the line ends, which are those of this system.
pub fn csv(out: &mut impl Write, items: &[Value], columns: &[Column], head: bool) -> io::Result<()> {
    let quoted = |cell: String| {
        // A spreadsheet takes what begins so for a formula, and some of these texts are a workload's own.
        let cell = if cell.starts_with(['=', '+', '-', '@']) { format!("'{cell}") } else { cell };
        if cell.contains(['"', ',', '\n', '\r']) { format!("\"{}\"", cell.replace('"', "\"\"")) } else { cell }
    };
    if head {
        writeln!(out, "{}", columns.iter().map(|c| c.head.to_ascii_lowercase()).collect::<Vec<_>>().join(","))?;
    }
    items.iter().try_for_each(|item| {
        let cells: Vec<String> = columns.iter().map(|c| quoted(text_at(item, c.path))).collect();
        writeln!(out, "{}", cells.join(","))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn shown(width: Option<usize>) -> String {
        let items = [
            json!({"name": "db", "parent": {"link": "eth0.30"}, "subnets": [{"cidr": "10.0.0.0/24"}, {"cidr": "fd00::/64"}], "up": true}),
            json!({"name": "cut-off", "parent": {"link": null}, "subnets": [], "labels": {"tier": "=x"}}),
        ];
        let columns = [column("NAME", "name"), column("PARENT", "parent.link"), column("SUBNETS", "subnets.cidr")];
        let mut out = Vec::new();
        table(&mut out, &items, &columns.iter().collect::<Vec<_>>(), true, width, &mut Vec::new()).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_table_that_does_not_fit_becomes_pairs() {
        assert_eq!(shown(None), "NAME     PARENT   SUBNETS\ndb       eth0.30  10.0.0.0/24,fd00::/64\ncut-off  -        -\n");
        assert_eq!(shown(Some(39)), shown(None));
        assert_eq!(shown(Some(20)), "NAME    db\nPARENT  eth0.30\nSUBNETS 10.0.0.0/24,fd00::/64\n\nNAME    cut-off\n");
    }

    #[test]
    fn csv_quotes_and_starts_no_formula() {
        let mut out = Vec::new();
        let items = [json!({"a": "x,\"y\"", "b": {"tier": "z"}, "c": "=1+1"})];
        csv(&mut out, &items, &[column("A", "a"), column("B", "b"), wide("C", "c")], true).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "a,b,c\n\"x,\"\"y\"\"\",tier=z,'=1+1\n");
    }
}
