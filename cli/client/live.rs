//! What a shell completes from what is there: names, parents, labels, free addresses. A daemon that is away has nothing to offer, and
//! keeps nobody waiting.

use super::columns::text_at;
use super::http::Http;
use super::target::Target;
use super::terminal::harmless;
use clap_complete::engine::{ArgValueCandidates, CompletionCandidate};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

/// A shell's prompt waits for this.
const WITHIN: Duration = Duration::from_secs(1);

/// Networks.
pub fn networks() -> ArgValueCandidates {
    ArgValueCandidates::new(|| named(&["networks"], "name", &["parent.link", "subnets.cidr", "labels"]))
}

/// Endpoints of the network that stands on the command line already; of all networks where none does.
pub fn endpoints() -> ArgValueCandidates {
    ArgValueCandidates::new(|| match network_named() {
        Some(network) => named(&["networks", &network, "endpoints"], "name", &["addresses", "workload.labels"]),
        None => named(&["endpoints"], "name", &["network", "addresses"]),
    })
}

/// Parents, and links that could be one.
pub fn parents() -> ArgValueCandidates {
    ArgValueCandidates::new(|| named(&["parents"], "link", &["kind", "state", "networks"]))
}

/// Policies.
pub fn policies() -> ArgValueCandidates {
    ArgValueCandidates::new(|| named(&["policies"], "name", &["mode", "description.summary"]))
}

/// Modules.
pub fn modules() -> ArgValueCandidates {
    ArgValueCandidates::new(|| named(&["modules"], "description.name", &["description.summary"]))
}

/// Labels that are in use: so tiers are spelt as they are.
pub fn labels() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        let of = |items: Vec<Value>, at: fn(&Value) -> &Value| -> Vec<String> {
            let pairs = items.iter().flat_map(|i| at(i).as_object().into_iter().flatten().map(|(k, v)| (k.clone(), v.clone())));
            pairs
                .collect::<Vec<_>>()
                .into_iter()
                .map(|(k, v)| format!("{}={}", harmless(&k), harmless(v.as_str().unwrap_or_default())))
                .collect()
        };
        let networks = of(items(&["networks"]), |n| &n["labels"]);
        let workloads = of(items(&["endpoints"]), |e| &e["workload"]["labels"]);
        networks.into_iter().chain(workloads).collect::<BTreeSet<_>>().into_iter().map(CompletionCandidate::new).collect()
    })
}

/// The next free address of each subnet of the network that stands on the command line already.
pub fn addresses() -> ArgValueCandidates {
    ArgValueCandidates::new(|| match network_named() {
        Some(network) => named(&["networks", &network, "addresses"], "next", &["cidr", "addresses_left"]),
        None => Vec::new(),
    })
}

/// Namespaces that have a name.
pub fn namespaces() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        let names = std::fs::read_dir("/run/netns").into_iter().flatten().flatten().map(|entry| entry.file_name());
        names.map(CompletionCandidate::new).collect()
    })
}

fn named(path: &[&str], name: &str, about: &[&str]) -> Vec<CompletionCandidate> {
    let candidate = |item: Value| {
        let about: Vec<String> = about.iter().map(|p| text_at(&item, p)).filter(|t| !t.is_empty()).collect();
        let name = text_at(&item, name);
        (!name.is_empty()).then(|| CompletionCandidate::new(name).help((!about.is_empty()).then(|| about.join(" · ").into())))
    };
    items(path).into_iter().filter_map(candidate).collect()
}

/// The first page of a list: nobody reads more than that at a prompt.
fn items(path: &[&str]) -> Vec<Value> {
    let host = option("--host").or_else(|| std::env::var("BULKHEAD_HOST").ok()).unwrap_or_else(|| super::SOCKET.to_owned());
    let token_file = std::env::var("BULKHEAD_TOKEN_FILE").unwrap_or_else(|_| super::TOKEN_FILE.to_owned());
    let answer = Http::new(&host, Path::new(&token_file), Duration::ZERO).map(|http| http.within(WITHIN)).and_then(|mut http| {
        let target = Target::v1(path);
        let is_page = path.last() != Some(&"addresses");
        http.send("GET", &if is_page { target.query("limit", super::PAGE) } else { target }, None)
    });
    match answer.map(|mut page| page["items"].take()) {
        Ok(Value::Array(items)) => items,
        _ => Vec::new(),
    }
}

/// The words being completed come after `--`.
fn words() -> Vec<String> {
    std::env::args().skip_while(|a| a != "--").skip(1).collect()
}

fn option(name: &str) -> Option<String> {
    let words = words();
    let at = words.iter().position(|w| w == name)?;
    words.get(at + 1).cloned()
}

/// `bulkhead endpoint attach NETWORK …`: the first word after the command and what it does that is no option's.
fn network_named() -> Option<String> {
    if let Some(network) = option("--network").or_else(|| option("--net")) {
        return Some(network);
    }
    let words = words();
    let named = words.get(3).filter(|w| !w.is_empty() && !w.starts_with('-') && words.len() > 4);
    named.cloned()
}
