//! Cedar. Policies are parsed once and the tiers of the settings are entities that are made once; the context of each request is made of
//! the facts, which is counted.
//!
//! Cedar has no loops, so groups are boiled down to the set of their tiers before it sees them, and each subnet is a request of its own.

use super::{Engine, Rules, Verdict, Wanted, allowed_pairs, is_judged, joins, label_of, may_overlap, setting};
use bulkhead_core::policy::{Group, Label, Policy, Question};
use cedar_policy::{
    Authorizer, Context, Entities, Entity, EntityId, EntityTypeName, EntityUid, PolicyId, PolicySet, Request, RestrictedExpression,
};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt::Write;

pub struct Cedar(Vec<One>);

struct One {
    rules: Rules,
    label: String,
    may_overlap: bool,
    authorizer: Authorizer,
    policies: PolicySet,
    /// The rule that each policy stands for.
    names: HashMap<PolicyId, String>,
    entities: Entities,
    types: Types,
}

struct Types {
    tier: EntityTypeName,
    /// Of what has no tier.
    untiered: EntityUid,
    judge: EntityUid,
    join: EntityUid,
    network: EntityUid,
}

impl Types {
    fn new() -> Result<Self, String> {
        let uid = |text: &str| text.parse::<EntityUid>().map_err(|e| e.to_string());
        Ok(Self {
            tier: "Tier".parse().map_err(|e: cedar_policy::ParseErrors| e.to_string())?,
            untiered: uid("Untiered::\"\"")?,
            judge: uid("Action::\"make\"")?,
            join: uid("Action::\"join\"")?,
            network: uid("Network::\"\"")?,
        })
    }

    fn tier(&self, tier: Option<&str>) -> EntityUid {
        tier.map_or_else(|| self.untiered.clone(), |t| EntityUid::from_type_name_and_id(self.tier.clone(), EntityId::new(t)))
    }
}

impl Cedar {
    pub fn new(wanted: &[Wanted]) -> Result<Self, String> {
        Ok(Self(wanted.iter().map(|(rules, settings)| One::new(*rules, settings)).collect::<Result<_, _>>()?))
    }
}

impl One {
    fn new(rules: Rules, settings: &Value) -> Result<Self, String> {
        let types = Types::new()?;
        let (text, entities) = match rules {
            Rules::TierIsolation => (tier_policies(), tier_entities(settings, &types)?),
            Rules::SubnetRules => (subnet_policies(settings), Entities::empty()),
        };
        let policies: PolicySet = text.parse().map_err(|e| format!("cedar: {e:?}\n{text}"))?;
        let name = |p: &cedar_policy::Policy| (p.id().clone(), p.annotation("id").unwrap_or_default().to_owned());
        let names = policies.policies().map(name).collect();
        Ok(Self {
            rules,
            label: label_of(settings),
            may_overlap: may_overlap(settings),
            authorizer: Authorizer::new(),
            policies,
            names,
            entities,
            types,
        })
    }

    fn ask(&self, principal: &EntityUid, action: &EntityUid, context: Vec<(String, RestrictedExpression)>, found: &mut BTreeSet<String>) {
        let asked = Context::from_pairs(context)
            .map_err(|e| e.to_string())
            .and_then(|c| Request::new(principal.clone(), action.clone(), self.types.network.clone(), c, None).map_err(|e| e.to_string()));
        let request = match asked {
            Ok(request) => request,
            Err(e) => {
                found.insert(format!("cedar: {e}"));
                return;
            }
        };
        let response = self.authorizer.is_authorized(&request, &self.policies, &self.entities);
        // A policy that cannot be evaluated is skipped by Cedar: the comparison must not be.
        found.extend(response.diagnostics().errors().map(|e| format!("cedar: {e}")));
        if response.decision() == cedar_policy::Decision::Deny {
            found.extend(response.diagnostics().reason().filter_map(|id| self.names.get(id)).cloned());
        }
    }

    fn decide(&self, question: &Question) -> Verdict {
        if !is_judged(question.operation) {
            return Verdict::not_applicable();
        }
        let joins = joins(question.operation);
        let networks = tier(&question.network.labels, &self.label);
        let workload = question.workload.as_ref().filter(|_| joins);
        let own = workload.and_then(|w| tier(&w.labels, &self.label));
        let principal = self.types.tier(own.or(networks));
        let action = if joins { &self.types.join } else { &self.types.judge };
        let mut found = BTreeSet::new();
        match self.rules {
            Rules::TierIsolation if joins && workload.is_none() => {}
            Rules::TierIsolation => {
                let tiers = |groups: &[Group], all: bool| self.tiers(groups, |g| all || g.endpoints > 0 || self.tier_of(g).is_some());
                let overlapping = if self.may_overlap { &[][..] } else { &question.overlapping };
                let mut context = vec![
                    ("same_segment".to_owned(), tiers(&question.same_segment, !joins)),
                    ("reaches".to_owned(), tiers(&question.reaches, !joins)),
                    ("overlapping".to_owned(), tiers(overlapping, !joins)),
                    ("attached".to_owned(), tiers(workload.map_or(&[], |w| &w.attached), true)),
                ];
                let named = |key: &str, tier: &str| (key.to_owned(), RestrictedExpression::new_string(tier.to_owned()));
                context.extend(own.map(|t| named("own", t)));
                context.extend(networks.map(|t| named("networks", t)));
                self.ask(&principal, action, context, &mut found);
            }
            Rules::SubnetRules => {
                let network = &question.network;
                let mut first = Vec::new();
                if let Some(parent) = &network.parent {
                    first.push(("parent".to_owned(), RestrictedExpression::new_string(parent.clone())));
                    first.push(("vlan".to_owned(), RestrictedExpression::new_long(network.vlan.unwrap_or(0).into())));
                }
                for subnet in &network.subnets {
                    let length = subnet.cidr.rsplit_once('/').and_then(|(_, l)| l.parse().ok()).unwrap_or(0);
                    let mut context = std::mem::take(&mut first);
                    context.push(("cidr".to_owned(), RestrictedExpression::new_ip(&subnet.cidr)));
                    context.push(("length".to_owned(), RestrictedExpression::new_long(length)));
                    self.ask(&principal, action, context, &mut found);
                }
                if !first.is_empty() {
                    self.ask(&principal, action, first, &mut found);
                }
            }
        }
        Verdict::of(found)
    }

    fn tier_of<'a>(&self, group: &'a Group) -> Option<&'a str> {
        tier(&group.workload_labels, &self.label).or_else(|| tier(&group.network_labels, &self.label))
    }

    fn tiers(&self, groups: &[Group], counts: impl Fn(&Group) -> bool) -> RestrictedExpression {
        let tiers = groups.iter().filter(|g| counts(g)).map(|g| self.types.tier(self.tier_of(g)));
        RestrictedExpression::new_set(tiers.map(RestrictedExpression::new_entity_uid))
    }
}

impl Engine for Cedar {
    fn name(&self) -> &'static str {
        "cedar-policy"
    }

    fn decide(&mut self, asked: &[(&Policy, Question)]) -> Vec<Verdict> {
        self.0.iter().zip(asked).map(|(one, (_, question))| one.decide(question)).collect()
    }
}

fn tier<'a>(labels: &'a [Label], key: &str) -> Option<&'a str> {
    labels.iter().find(|l| l.key == key).map(|l| l.value.as_str())
}

/// A text as Cedar writes it.
fn quoted(text: &str) -> String {
    format!("{text:?}")
}

fn tier_policies() -> String {
    let mut text = "permit(principal, action, resource);\n".to_owned();
    let views = [
        ("shared-segment", "same_segment"),
        ("reaches", "reaches"),
        ("overlapping-subnet", "overlapping"),
        ("bridging-workload", "attached"),
    ];
    for (rule, view) in views {
        let _ = writeln!(
            text,
            "@id({rule:?}) forbid(principal, action, resource) unless {{ \
             if principal has may_share then principal.may_share.containsAll(context.{view}) else [principal].containsAll(context.{view}) }};"
        );
    }
    text + "@id(\"contradicting-tier\") forbid(principal, action == Action::\"join\", resource) when { \
            context has own && context has networks && context.own != context.networks };\n"
}

/// Each tier of the pairs, with those that it may share with.
fn tier_entities(settings: &Value, types: &Types) -> Result<Entities, String> {
    let mut may_share: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (a, b) in allowed_pairs(settings) {
        may_share.entry(a.clone()).or_default().extend([a, b]);
    }
    let entity = |(tier, others): (&String, &BTreeSet<String>)| {
        let others = others.iter().map(|t| RestrictedExpression::new_entity_uid(types.tier(Some(t))));
        let attributes = HashMap::from([("may_share".to_owned(), RestrictedExpression::new_set(others))]);
        Entity::new(types.tier(Some(tier)), attributes, HashSet::new()).map_err(|e| e.to_string())
    };
    let all = may_share.iter().map(entity).collect::<Result<Vec<_>, _>>()?;
    Entities::from_entities(all, None).map_err(|e| e.to_string())
}

fn subnet_policies(settings: &Value) -> String {
    let mut text = "permit(principal, action, resource);\n".to_owned();
    let none = serde_json::Map::new();
    let tiers = setting(settings, "tiers").as_object().unwrap_or(&none);
    for (tier, allowed) in tiers {
        limit(&mut text, &format!("principal == Tier::{}", quoted(tier)), "true", allowed);
    }
    let named: Vec<String> = tiers.keys().map(|t| format!("Tier::{}", quoted(t))).collect();
    limit(&mut text, "principal", &format!("!([{}].contains(principal))", named.join(", ")), setting(settings, "default"));
    text
}

/// What one tier may use. Nothing where nothing is set.
fn limit(text: &mut String, principal: &str, applies: &str, allowed: &Value) {
    let mut forbid = |rule: &str, when: String| {
        let _ = writeln!(text, "@id({rule:?}) forbid({principal}, action, resource) when {{ {applies} && {when} }};");
    };
    let texts =
        |key: &str| setting(allowed, key).as_array().map(|all| all.iter().filter_map(Value::as_str).map(quoted).collect::<Vec<_>>());
    if let Some(ranges) = texts("cidrs") {
        let within: Vec<String> = ranges.iter().map(|r| format!("context.cidr.isInRange(ip({r}))")).collect();
        forbid(
            "cidr-not-allowed",
            format!("context has cidr && !({})", if within.is_empty() { "false".into() } else { within.join(" || ") }),
        );
    }
    for (key, family) in [("prefix_length", "isIpv4"), ("prefix_length_ipv6", "isIpv6")] {
        let lengths = setting(allowed, key);
        let bounds = [("<", setting(lengths, "min")), (">", setting(lengths, "max"))];
        let beyond: Vec<String> = bounds.iter().filter_map(|(op, n)| Some(format!("context.length {op} {}", n.as_u64()?))).collect();
        if !beyond.is_empty() {
            forbid("prefix-length", format!("context has cidr && context.cidr.{family}() && ({})", beyond.join(" || ")));
        }
    }
    if let Some(parents) = texts("parents") {
        forbid("parent-not-allowed", format!("context has parent && !([{}].contains(context.parent))", parents.join(", ")));
    }
    if let Some(vlans) = setting(allowed, "vlans").as_array() {
        let vlans: Vec<String> = vlans.iter().filter_map(Value::as_u64).map(|v| v.to_string()).collect();
        forbid("vlan-not-allowed", format!("context has parent && !([{}].contains(context.vlan))", vlans.join(", ")));
    }
}
