//! Rego in regorus' virtual machine. As its documentation has it: each policy is compiled to a program once, its machine is kept, and its
//! settings are data that is set once. Counted is making the input (a value, no JSON text) of the facts, and the run.

use super::{Engine, Rules, Verdict, Wanted, allowed_pairs, label_of, may_overlap, setting};
use bulkhead_core::policy::{Group, Label, Operation, Policy, Question};
use regorus::languages::rego::compiler::Compiler;
use regorus::rvm::vm::RegoVM;
use regorus::{Rc, Value};
use serde_json::json;
use std::collections::BTreeMap;

const ENTRY: &str = "data.bench.verdict";

pub struct Rego(Vec<(Rules, RegoVM)>);

impl Rego {
    pub fn new(wanted: &[Wanted]) -> Result<Self, String> {
        Ok(Self(wanted.iter().map(|(rules, settings)| Ok((*rules, machine(*rules, settings)?))).collect::<Result<_, String>>()?))
    }
}

fn machine(rules: Rules, settings: &serde_json::Value) -> Result<RegoVM, String> {
    let said = |e: &dyn std::fmt::Display| format!("regorus: {e}");
    let (text, data) = match rules {
        Rules::TierIsolation => (include_str!("tier_isolation.rego"), tier_settings(settings)),
        Rules::SubnetRules => (include_str!("subnet_rules.rego"), subnet_settings(settings)),
    };
    let mut engine = regorus::Engine::new();
    engine.add_policy(format!("{}.rego", rules.name()), text.to_owned()).map_err(|e| said(&e))?;
    let entry: Rc<str> = ENTRY.into();
    let compiled = engine.compile_with_entrypoint(&entry).map_err(|e| said(&e))?;
    let program = Compiler::compile_from_policy(&compiled, &[ENTRY]).map_err(|e| said(&e))?;
    let mut machine = RegoVM::new();
    machine.load_program(program);
    machine.set_data(Value::from(json!({ "settings": data }))).map_err(|e| said(&e))?;
    Ok(machine)
}

fn tier_settings(settings: &serde_json::Value) -> serde_json::Value {
    let mut allowed: BTreeMap<String, BTreeMap<String, bool>> = BTreeMap::new();
    for (a, b) in allowed_pairs(settings) {
        allowed.entry(a).or_default().insert(b, true);
    }
    json!({ "label": label_of(settings), "allowed": allowed, "may_overlap": may_overlap(settings) })
}

fn subnet_settings(settings: &serde_json::Value) -> serde_json::Value {
    let or_empty = |value: &serde_json::Value| if value.is_null() { json!({}) } else { value.clone() };
    json!({
        "label": label_of(settings),
        "tiers": or_empty(setting(settings, "tiers")),
        "default": or_empty(setting(settings, "default")),
    })
}

impl Engine for Rego {
    fn name(&self) -> &'static str {
        "regorus, virtual machine"
    }

    fn decide(&mut self, asked: &[(&Policy, Question)]) -> Vec<Verdict> {
        let judge = |((rules, machine), (_, question)): (&mut (Rules, RegoVM), &(&Policy, Question))| {
            machine.set_input(input(*rules, question));
            match machine.execute() {
                Ok(said) => verdict(&said),
                Err(e) => Verdict::of([format!("regorus: {e}")].into()),
            }
        };
        self.0.iter_mut().zip(asked).map(judge).collect()
    }
}

fn verdict(said: &Value) -> Verdict {
    let field = |name: &str| &said[name];
    if field("judged").as_bool().ok() != Some(&true) {
        return Verdict::not_applicable();
    }
    match field("violations").as_set() {
        Ok(rules) => Verdict::of(rules.iter().filter_map(|r| r.as_string().ok()).map(|r| r.to_string()).collect()),
        Err(e) => Verdict::of([format!("regorus: {e}")].into()),
    }
}

fn object<const N: usize>(fields: [(&str, Value); N]) -> Value {
    Value::from(fields.into_iter().map(|(key, value)| (Value::from(key), value)).collect::<BTreeMap<_, _>>())
}

fn list(values: impl Iterator<Item = Value>) -> Value {
    Value::from(values.collect::<Vec<_>>())
}

fn labels(labels: &[Label]) -> Value {
    Value::from(labels.iter().map(|l| (Value::from(l.key.as_str()), Value::from(l.value.as_str()))).collect::<BTreeMap<_, _>>())
}

fn groups(groups: &[Group]) -> Value {
    list(groups.iter().map(|g| {
        object([
            ("network_labels", labels(&g.network_labels)),
            ("workload_labels", labels(&g.workload_labels)),
            ("endpoints", Value::from(g.endpoints)),
        ])
    }))
}

fn operation(operation: Operation) -> Value {
    Value::from(operation.as_str())
}

/// What the rules look at, and nothing else.
fn input(rules: Rules, question: &Question) -> Value {
    let network = &question.network;
    match rules {
        Rules::TierIsolation => object([
            ("operation", operation(question.operation)),
            ("network", object([("labels", labels(&network.labels))])),
            (
                "workload",
                question
                    .workload
                    .as_ref()
                    .map_or(Value::Bool(false), |w| object([("labels", labels(&w.labels)), ("attached", groups(&w.attached))])),
            ),
            ("same_segment", groups(&question.same_segment)),
            ("reaches", groups(&question.reaches)),
            ("overlapping", groups(&question.overlapping)),
        ]),
        Rules::SubnetRules => {
            let subnet = |cidr: &str| {
                let length = cidr.rsplit_once('/').and_then(|(_, l)| l.parse::<u32>().ok()).unwrap_or(0);
                object([("cidr", Value::from(cidr)), ("prefix_length", Value::from(length))])
            };
            object([
                ("operation", operation(question.operation)),
                (
                    "network",
                    object([
                        ("labels", labels(&network.labels)),
                        ("subnets", list(network.subnets.iter().map(|s| subnet(&s.cidr)))),
                        ("parent", network.parent.as_deref().map_or(Value::Null, Value::from)),
                        ("vlan", Value::from(u32::from(network.vlan.unwrap_or(0)))),
                    ]),
                ),
                ("workload", question.workload.as_ref().map_or(Value::Bool(false), |w| object([("labels", labels(&w.labels))]))),
            ])
        }
    }
}
