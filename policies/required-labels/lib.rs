//! Required labels: which labels networks and workloads must have, with which values and from whom, and what networks are called.
//!
//! Allowed values and names are patterns in which `*` stands for any text, also none. A workload must have the labels itself:
//! its network's are not its own.

use bulkhead_policy_sdk::*;

const MISSING: &str = "missing-label";
const VALUE: &str = "label-value";
const PROVENANCE: &str = "label-provenance";
const NAME: &str = "network-name";

/// Most labels that can be required: no object has more.
const LABELS_MAX: usize = 64;
/// The provenances by name.
const PROVENANCES: [(&str, Provenance); 3] =
    [("asserted", Provenance::Asserted), ("runtime", Provenance::Runtime), ("unknown", Provenance::Unknown)];

/// JSON Schema of the settings.
pub const SCHEMA: &str = include_str!("settings.schema.json");

/// The policy with its settings.
#[derive(Debug, Clone, Default)]
pub struct RequiredLabels {
    networks: Vec<(String, Wanted)>,
    workloads: Vec<(String, Wanted)>,
    /// Patterns; none is any name.
    network_names: Option<Vec<String>>,
}

/// What a required label must be like.
#[derive(Debug, Clone, Default)]
struct Wanted {
    /// Patterns; none is any value.
    values: Option<Vec<String>>,
    /// None is any.
    provenance: Option<Vec<Provenance>>,
}

impl Policy for RequiredLabels {
    fn describe(&self) -> Description {
        description("required-labels", "1.0.0", "Networks and workloads have the labels that they must, and networks are named by pattern")
            .judges(&[Operation::CreateNetwork, Operation::ChangeNetwork, Operation::Attach, Operation::ChangeWorkload])
            .rule(MISSING, "A network or workload has each required label", &[])
            .rule(VALUE, "A required label has an allowed value", &[])
            .rule(PROVENANCE, "The value of a required label comes from whom it must", &[])
            .rule(NAME, "The name of a network fits a pattern", &[])
            .schema(SCHEMA)
    }

    fn configure(settings: Node<'_>, faults: &mut Faults) -> Self {
        let mut policy = Self::default();
        let Some(settings) = settings.object(&["networks", "workloads", "network_names"], faults) else { return policy };
        for (key, labels) in [("networks", &mut policy.networks), ("workloads", &mut policy.workloads)] {
            let Some(node) = settings.get(key) else { continue };
            let entries = node.entries(faults).unwrap_or_default();
            if entries.len() > LABELS_MAX {
                faults.add(node.path(), ["names ", &entries.len().to_string(), " labels"].concat(), "at most 64: no object has more");
            }
            *labels = entries.into_iter().map(|(label, node)| (label.into(), Wanted::read(label, &node, faults))).collect();
        }
        policy.network_names = settings.get("network_names").and_then(|names| patterns(&names, faults));
        policy
    }

    fn evaluate(&self, request: &Request) -> Opinion {
        let network = &request.network;
        match request.operation {
            Operation::CreateNetwork | Operation::ChangeNetwork => {
                let who = ["network ", &network.name].concat();
                let mut violations = check(&self.networks, &network.labels, &who, "labels");
                if let Some(names) = &self.network_names
                    && !fits_one(names, &network.name)
                {
                    let message = [&who, ": the name fits no pattern that it may"].concat();
                    let remedy = ["call it ", &like(names)].concat();
                    violations.push(violation(NAME, message).field("name").remedy(remedy));
                }
                Opinion::deny(violations)
            }
            Operation::Attach | Operation::ChangeWorkload => Opinion::deny(request.workload.iter().flat_map(|workload| {
                let who = ["workload ", workload_name(workload)].concat();
                check(&self.workloads, &workload.labels, &who, "workload.labels")
            })),
            Operation::DeleteNetwork | Operation::Detach => Opinion::not_applicable(),
        }
    }
}

/// All that is wrong with `labels`, which are found at `field`.
fn check(wanted: &[(String, Wanted)], labels: &[Label], who: &str, field: &str) -> Vec<Violation> {
    let mut violations = Vec::new();
    for (key, wanted) in wanted {
        let mut found = |rule: &str, message: &[&str], remedy: &[&str]| {
            let message = [who, &message.concat()].concat();
            violations.push(violation(rule, message).field(label_field(field, key)).remedy(remedy.concat()));
        };
        let values = wanted.values.as_ref().map_or("any value".into(), |values| like(values));
        let Some(label) = labels.iter().find(|l| l.key == *key) else {
            found(MISSING, &[" has no label ", key], &["give it the label ", key, " with ", &values]);
            continue;
        };
        if let Some(patterns) = &wanted.values
            && !fits_one(patterns, &label.value)
        {
            found(VALUE, &[": label ", key, " is \"", &label.value, "\", which it may not be"], &["the label ", key, " with ", &values]);
        }
        if let Some(provenance) = &wanted.provenance
            && !provenance.contains(&label.provenance)
        {
            let from: Vec<&str> = provenance.iter().map(|p| source(*p)).collect();
            let message = [": label ", key, " is ", said(label.provenance)];
            found(PROVENANCE, &message, &["a label ", key, " that comes from ", &from.join(" or ")]);
        }
    }
    violations
}

fn said(provenance: Provenance) -> &'static str {
    match provenance {
        Provenance::Asserted => "only asserted by the client",
        Provenance::Runtime => "given by the container runtime",
        Provenance::Unknown => "of unknown provenance",
    }
}

fn source(provenance: Provenance) -> &'static str {
    match provenance {
        Provenance::Asserted => "the client (asserted)",
        Provenance::Runtime => "the container runtime (runtime)",
        Provenance::Unknown => "anywhere (unknown)",
    }
}

/// Whether a label can be called so.
fn is_key(text: &str) -> bool {
    (1..=63).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-/".contains(&b))
}

impl Wanted {
    /// A list of values, or an object with values and provenance.
    fn read(key: &str, node: &Node<'_>, faults: &mut Faults) -> Self {
        if !is_key(key) {
            faults.add(node.path(), "is no label key, so nothing could have it", "1 to 63 of A–Z a–z 0–9 _ . - /");
        }
        if matches!(node.value(), Json::List(_)) {
            return Self { values: patterns(node, faults), provenance: None };
        }
        if !matches!(node.value(), Json::Object(_)) {
            let right = "a list of values such as [\"web\", \"cards-*\"], or an object with values and provenance";
            faults.add(node.path(), ["is ", node.value().kind()].concat(), right);
            return Self::default();
        }
        let Some(fields) = node.object(&["values", "provenance"], faults) else { return Self::default() };
        let values = fields.get("values").and_then(|values| patterns(&values, faults));
        Self { values, provenance: fields.get("provenance").and_then(|p| provenances(&p, faults)) }
    }
}

fn provenances(node: &Node<'_>, faults: &mut Faults) -> Option<Vec<Provenance>> {
    let items = node.list(faults)?;
    let right = "asserted, runtime or unknown";
    if items.is_empty() {
        faults.add(node.path(), "is empty, so nothing fits", right);
    }
    let read = |item: &Node<'_>| {
        let text = item.text(faults)?;
        let known = PROVENANCES.iter().find(|(name, _)| *name == text).map(|(_, p)| *p);
        if known.is_none() {
            faults.add(item.path(), [text, " is no provenance"].concat(), right);
        }
        known
    };
    Some(items.iter().filter_map(read).collect())
}

export!(RequiredLabels);

#[cfg(test)]
mod tests;
