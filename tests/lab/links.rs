//! A namespace's links, addresses and routes as text that can be compared: what was before, and what is after.

use crate::{
    error::{Error, Result},
    namespace::Namespace,
};
use serde_json::Value;

impl Namespace {
    /// One line per link, address and route, sorted. Nothing in it changes by itself: no indexes, counters, lifetimes, states.
    pub fn links(&self) -> Result<String> {
        // One process for all three questions; `table all` gives both families.
        let printed = self.batch("ip", &["-json", "-details"], "addr show\nroute show table all\n")?;
        let mut answers = serde_json::Deserializer::from_str(&printed).into_iter::<Value>().map(|answer| {
            answer.map_err(|error| Error::Unexpected(format!("`ip -json` in {} printed something else: {error}", self.name())))
        });
        let mut next = || answers.next().unwrap_or_else(|| Ok(Value::Null));
        let (links, routes) = (next()?, next()?);
        let mut lines = Vec::new();
        for link in list(&links) {
            link_lines(link, &mut lines);
        }
        lines.extend(list(&routes).iter().filter_map(route_line));
        lines.sort();
        Ok(lines.join("\n"))
    }

    /// The qdiscs that somebody added and the filters on `link`, in `tc`'s words without its counters.
    pub fn filters(&self, link: &str) -> Result<String> {
        let qdiscs = self.run(&["tc", "qdisc", "show", "dev", link])?;
        let mut text: String = qdiscs.lines().filter(|line| !line.contains("noqueue")).map(|line| format!("{}\n", line.trim())).collect();
        if text.contains("clsact") {
            for half in ["egress", "ingress"] {
                let filters = self.run(&["tc", "filter", "show", "dev", link, half])?;
                // An action's index is the next free one, and a removed action frees its own a little later.
                let lasting = filters.lines().filter(|line| !line.trim().starts_with("index "));
                text.extend(lasting.map(|line| format!("{half} {}\n", line.trim())));
            }
        }
        Ok(text)
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn text<'a>(value: &'a Value, path: &str) -> Option<&'a str> {
    value.pointer(path).and_then(Value::as_str)
}

fn link_lines(link: &Value, lines: &mut Vec<String>) {
    let name = text(link, "/ifname").unwrap_or("?");
    let mut line = format!("link {name}");
    let mut put = |key: &str, value: Option<String>| {
        if let Some(value) = value {
            line += &format!(" {key} {value}");
        }
    };
    put("on", text(link, "/link").map(str::to_owned));
    put("kind", text(link, "/linkinfo/info_kind").map(str::to_owned));
    put("mode", text(link, "/linkinfo/info_data/mode").map(str::to_owned));
    for flag in ["bridge", "private", "vepa"] {
        // iproute2 prints the ipvlan flag as a bare word.
        put("flag", link.pointer("/linkinfo/info_data").filter(|data| data.get(flag).is_some()).map(|_| flag.to_owned()));
    }
    put("flag", text(link, "/linkinfo/info_data/mode_flag").map(str::to_owned));
    put("vlan", link.pointer("/linkinfo/info_data/id").map(Value::to_string));
    put("protocol", text(link, "/linkinfo/info_data/protocol").map(str::to_owned));
    put("master", text(link, "/master").map(str::to_owned));
    let flags: Vec<_> = list(&link["flags"]).iter().filter_map(Value::as_str).collect();
    put("flags", Some(flags.join(",")));
    put("mtu", link.get("mtu").map(Value::to_string));
    put("mac", text(link, "/address").map(str::to_owned));
    put("alias", text(link, "/ifalias").map(str::to_owned));
    lines.push(line);
    for address in list(&link["addr_info"]) {
        let (Some(local), Some(prefix)) = (text(address, "/local"), address.get("prefixlen")) else { continue };
        lines.push(format!("address {name} {local}/{prefix} {}", text(address, "/scope").unwrap_or("")));
    }
}

fn route_line(route: &Value) -> Option<String> {
    // The local table follows from the addresses.
    if text(route, "/table") == Some("local") {
        return None;
    }
    let mut line = format!("route {}", text(route, "/dst")?);
    for key in ["gateway", "dev", "scope", "protocol", "prefsrc", "table", "type"] {
        if let Some(value) = text(route, &format!("/{key}")) {
            line += &format!(" {key} {value}");
        }
    }
    Some(line)
}
