//! All that a policy says to a finite world: each label value that its settings or the record name, beside each other one, in each way
//! of being beside, for each operation. What it allows, which of its rules never deny there, and which never deny alone.
//!
//! The network that is asked about is always the same but for its labels (VLAN, subnet and parent are examples from documentation
//! ranges): what a policy makes of those this does not show.

use crate::host::Mode;
use crate::names::Labels;
use crate::policy::{
    CallerView, Change, Conclusion, Description, Group, Judge, Judged, Judgement, Label, NetworkView, Operation, Policy, Provenance,
    Question, RULE_BROKE, SubnetView, View, WorkloadView,
};
use crate::rehearse::denies;
use crate::state::State;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Most questions of one matrix.
pub const CELLS_MAX: usize = 20_000;
/// What stands for every value that nobody names.
pub const OTHER: &str = "any-other";

/// How two are beside each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Relation {
    /// Nobody is there.
    Alone,
    /// On one segment.
    Shared,
    /// On a segment that is reached.
    Reached,
    /// Elsewhere, with an overlapping subnet.
    Overlapping,
    /// In one workload.
    Attached,
}

impl Relation {
    /// As the API writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Alone => "alone",
            Self::Shared => "shared",
            Self::Reached => "reached",
            Self::Overlapping => "overlapping",
            Self::Attached => "attached",
        }
    }
}

/// A label's value, or none.
pub type Labelled = Option<String>;

/// One question of the matrix.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cell {
    /// What is asked.
    pub operation: Operation,
    /// How the two are beside each other.
    pub relation: Relation,
    /// The label's key.
    pub key: String,
    /// Its value of the one that asks.
    pub value: Labelled,
    /// Its value of the one that is there; `None` also where nobody is.
    pub beside: Labelled,
}

/// Values that the settings name, and values of these keys on record: sorted, with none and [`OTHER`].
///
/// Of the settings every text and every key counts but the names of properties that the schema has, and the label keys.
pub fn values(policies: &[&Policy], state: &State) -> Vec<Labelled> {
    let keys: BTreeSet<&str> = policies.iter().flat_map(|p| &p.description.label_keys).map(String::as_str).collect();
    let mut named = BTreeSet::from([OTHER.to_owned()]);
    for policy in policies {
        let mut properties = BTreeSet::new();
        if let Ok(schema) = serde_json::from_str(&policy.description.settings_schema) {
            properties_of(&schema, &mut properties);
        }
        texts(&policy.settings, &mut |text| {
            if !properties.contains(text) && !keys.contains(text) && is_value(text) {
                named.insert(text.to_owned());
            }
        });
    }
    let labels = state.networks().map(|n| &n.labels).chain(state.endpoints().map(|e| &e.workload.labels));
    for (key, value) in labels.flat_map(Labels::iter) {
        if keys.contains(key) {
            named.insert(value.to_owned());
        }
    }
    std::iter::once(None).chain(named.into_iter().map(Some)).collect()
}

fn is_value(text: &str) -> bool {
    Labels::new(BTreeMap::from([("key".to_owned(), text.to_owned())])).is_ok() && !text.is_empty() && !text.contains(['/', '*', ' '])
}

fn properties_of(schema: &Value, into: &mut BTreeSet<String>) {
    match schema {
        Value::Object(object) => {
            if let Some(Value::Object(properties)) = object.get("properties") {
                into.extend(properties.keys().cloned());
            }
            object.values().for_each(|v| properties_of(v, into));
        }
        Value::Array(list) => list.iter().for_each(|v| properties_of(v, into)),
        _ => {}
    }
}

fn texts(value: &Value, hear: &mut impl FnMut(&str)) {
    match value {
        Value::String(text) => hear(text),
        Value::Array(list) => list.iter().for_each(|v| texts(v, hear)),
        Value::Object(object) => object.iter().for_each(|(key, v)| {
            hear(key);
            texts(v, hear);
        }),
        _ => {}
    }
}

/// Every question about `values` that these policies look at; `None` where they would be more than [`CELLS_MAX`].
pub fn cells(policies: &[&Policy], values: &[Labelled]) -> Option<Vec<Cell>> {
    let operations: BTreeSet<Operation> = policies.iter().flat_map(|p| p.description.operations.iter().copied()).collect();
    let needs: BTreeSet<View> = policies.iter().flat_map(|p| p.description.needs.iter().copied()).collect();
    let keys: BTreeSet<&String> = policies.iter().flat_map(|p| &p.description.label_keys).collect();
    let views = [
        (View::SameSegment, Relation::Shared),
        (View::Reaches, Relation::Reached),
        (View::Overlapping, Relation::Overlapping),
        (View::Attached, Relation::Attached),
    ];
    let mut out = Vec::new();
    for operation in operations {
        for key in &keys {
            for value in values {
                let cell = |relation, beside: &Labelled| Cell {
                    operation,
                    relation,
                    key: (*key).clone(),
                    value: value.clone(),
                    beside: beside.clone(),
                };
                out.push(cell(Relation::Alone, &None));
                for (_, relation) in views.iter().filter(|(view, _)| needs.contains(view)) {
                    // Only a workload is attached elsewhere.
                    if *relation != Relation::Attached || of_workload(operation) {
                        out.extend(values.iter().map(|beside| cell(*relation, beside)));
                    }
                    if out.len() > CELLS_MAX {
                        return None;
                    }
                }
            }
        }
    }
    Some(out)
}

fn of_workload(operation: Operation) -> bool {
    matches!(operation, Operation::Attach | Operation::ChangeWorkload | Operation::Detach)
}

/// What a policy says in each cell, as if it were in force everywhere. What it does not judge it does not deny.
pub fn ask(judge: &dyn Judge, policy: &Policy, cells: &[Cell]) -> Vec<Option<Judged>> {
    let judges = |cell: &Cell| policy.description.operations.contains(&cell.operation);
    cells.iter().map(|cell| judges(cell).then(|| judge.judge(policy, &question(cell, &policy.description)))).collect()
}

/// The rules that deny in a cell.
pub fn rules(judged: Option<&Judged>) -> BTreeSet<String> {
    match judged.map(|j| &j.judgement) {
        Some(Judgement::Spoke(o)) if o.outcome == Conclusion::Deny => o.violations.iter().map(|v| v.rule.clone()).collect(),
        Some(Judgement::Broke(_)) => BTreeSet::from([RULE_BROKE.to_owned()]),
        Some(Judgement::Spoke(_)) | None => BTreeSet::new(),
    }
}

/// Whether a cell is denied.
pub fn is_denied(judged: Option<&Judged>) -> bool {
    judged.is_some_and(denies)
}

/// Rules that deny nowhere here, and rules that never deny without another: each with that other.
pub fn idle_rules(description: &Description, said: &[Option<Judged>]) -> (Vec<String>, Vec<(String, String)>) {
    let fired: Vec<BTreeSet<String>> = said.iter().map(|s| rules(s.as_ref())).filter(|r| !r.is_empty()).collect();
    let (mut never, mut shadowed) = (Vec::new(), Vec::new());
    for rule in description.rules.iter().map(|r| &r.id) {
        let mut where_it_denies = fired.iter().filter(|rules| rules.contains(rule));
        let Some(first) = where_it_denies.next() else {
            never.push(rule.clone());
            continue;
        };
        // In every one of them.
        let mut others: BTreeSet<&String> = first.iter().filter(|r| *r != rule).collect();
        where_it_denies.for_each(|rules| others.retain(|other| rules.contains(*other)));
        shadowed.extend(others.into_iter().map(|other| (rule.clone(), other.clone())));
    }
    (never, shadowed)
}

fn question(cell: &Cell, description: &Description) -> Question {
    let labels = |value: &Labelled| -> Vec<Label> {
        value.iter().map(|v| Label { key: cell.key.clone(), value: v.clone(), provenance: Provenance::Asserted }).collect()
    };
    let is_workloads = of_workload(cell.operation);
    let beside = |relation, view| -> Vec<Group> {
        if cell.relation != relation || !description.needs.contains(&view) {
            return Vec::new();
        }
        let (networks, endpoints) = if relation == Relation::Attached { (0, 1) } else { (1, 1) };
        let workload_labels = if relation == Relation::Overlapping { Vec::new() } else { labels(&cell.beside) };
        let examples = vec!["neighbour".to_owned()];
        vec![Group { network_labels: labels(&cell.beside), workload_labels, networks, endpoints, examples }]
    };
    let network = NetworkView {
        name: "matrix".into(),
        mode: Mode::L2,
        // What reaches others is untagged.
        parent: Some(if cell.relation == Relation::Reached { "eth0" } else { "eth0.100" }.into()),
        fabric: Some("default".into()),
        vlan: (cell.relation != Relation::Reached).then_some(100),
        internal: false,
        subnets: vec![SubnetView { cidr: "192.0.2.0/24".into(), gateway: Some("192.0.2.1".into()), ip_range: None }],
        labels: labels(&cell.value),
        endpoints: 0,
        facts: Vec::new(),
    };
    let workload = WorkloadView {
        id: "matrix".into(),
        name: "matrix".into(),
        labels: labels(&cell.value),
        capabilities: None,
        attached: beside(Relation::Attached, View::Attached),
        facts: Vec::new(),
    };
    Question {
        operation: cell.operation,
        caller: CallerView { name: "matrix".into(), groups: Vec::new(), door: String::new(), networks: 0 },
        change: Change::default(),
        network_before: (cell.operation == Operation::ChangeNetwork).then(|| NetworkView { labels: Vec::new(), ..network.clone() }),
        workload_before: (cell.operation == Operation::ChangeWorkload).then(|| WorkloadView { labels: Vec::new(), ..workload.clone() }),
        network,
        workload: is_workloads.then_some(workload),
        addresses: if is_workloads { vec!["192.0.2.10".into()] } else { Vec::new() },
        same_segment: beside(Relation::Shared, View::SameSegment),
        reaches: beside(Relation::Reached, View::Reaches),
        overlapping: beside(Relation::Overlapping, View::Overlapping),
        facts: Vec::new(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that panics says where")]
mod tests {
    use super::*;
    use crate::ids::BootId;
    use crate::names::Name;
    use crate::policy::{Digest, Opinion, PolicyMode, Rule, Scope, Violation};
    use serde_json::json;
    use std::sync::Arc;

    fn policy(settings: Value) -> Policy {
        let rule = |id: &str| Rule { id: id.into(), summary: String::new(), controls: vec![] };
        let schema = json!({"properties": {"label": {}, "pairs": {"items": {"properties": {"with": {}}}}}});
        let description = Description {
            name: "p".into(),
            version: "1".into(),
            summary: String::new(),
            operations: vec![Operation::CreateNetwork, Operation::Attach],
            rules: vec![rule("apart"), rule("echo"), rule("moon")],
            label_keys: vec!["tier".into()],
            needs: vec![View::SameSegment, View::Attached],
            settings_schema: schema.to_string(),
        };
        Policy {
            name: Name::new("p").unwrap(),
            module: Digest([1; 32]),
            description: Arc::new(description),
            settings,
            revision: 1,
            mode: PolicyMode::Enforce,
            schedule: None,
            scope: Scope::default(),
            help: Default::default(),
            tests: None,
        }
    }

    /// Whoever is beside another tier is denied by `apart`, and cards by `echo` as well.
    struct Apart;

    impl Judge for Apart {
        fn judge(&self, _: &Policy, q: &Question) -> Judged {
            let tier = |labels: &[Label]| labels.first().map(|l| l.value.clone());
            let mine = tier(&q.network.labels);
            let groups = q.same_segment.iter().chain(q.workload.iter().flat_map(|w| &w.attached));
            let strangers = groups.filter(|g| tier(&g.network_labels) != mine).count();
            let wrong = |rule: &str, is: bool| is.then(|| Violation { rule: rule.into(), message: "no".into(), field: None, remedy: None });
            let violations: Vec<_> = [wrong("apart", strangers > 0), wrong("echo", strangers > 0 && mine.as_deref() == Some("cards"))]
                .into_iter()
                .flatten()
                .collect();
            let outcome = if violations.is_empty() { Conclusion::Allow } else { Conclusion::Deny };
            Judged::spoke(Opinion { outcome, violations, warnings: vec![], notes: vec![] }, None)
        }
    }

    #[test]
    fn every_value_is_put_beside_every_other_in_every_way_that_is_looked_at() {
        let policy = policy(json!({"label": "tier", "pairs": [{"with": "cards"}, "web", "10.0.0.0/8"]}));
        let values = values(&[&policy], &State::empty(BootId(1)));
        let named: Vec<Option<&str>> = values.iter().map(Option::as_deref).collect();
        assert_eq!(named, [None, Some("any-other"), Some("cards"), Some("web")], "neither properties, nor keys, nor addresses");
        let cells = cells(&[&policy], &values).unwrap();
        // Alone, shared; an attach also attached.
        assert_eq!(cells.len(), (4 + 4 * 4) + (4 + 4 * 4 + 4 * 4));
        let said = ask(&Apart, &policy, &cells);
        let denied = cells.iter().zip(&said).filter(|(_, s)| is_denied(s.as_ref()));
        assert!(denied.clone().all(|(c, _)| c.relation != Relation::Alone && c.value != c.beside));
        assert_eq!(denied.count(), 3 * (4 * 4 - 4));
        let (never, shadowed) = idle_rules(&policy.description, &said);
        assert_eq!(never, ["moon"]);
        assert_eq!(shadowed, [("echo".to_owned(), "apart".to_owned())], "apart also denies alone");
    }

    #[test]
    fn a_world_that_is_too_large_is_refused() {
        let policy = policy(json!({}));
        let values: Vec<Labelled> = (0..120).map(|n| Some(n.to_string())).collect();
        assert!(cells(&[&policy], &values).is_none());
    }
}
