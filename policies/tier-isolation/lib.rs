//! Tier isolation: what is of different tiers shares no segment, reaches none, has no addresses in common, and no workload joins
//! two of them.
//!
//! The tier of a workload is its own label's value, or else its network's. Where neither has one it is *untiered*: a tier of
//! its own that shares with untiered ones only. Pairs of tiers may be allowed in the settings.

use bulkhead_policy_sdk::*;

const SHARED_SEGMENT: &str = "shared-segment";
const REACHES: &str = "reaches";
const BRIDGING_WORKLOAD: &str = "bridging-workload";
const OVERLAPPING_SUBNET: &str = "overlapping-subnet";
const CONTRADICTING_TIER: &str = "contradicting-tier";

/// JSON Schema of the settings.
pub const SCHEMA: &str = include_str!("settings.schema.json");

/// The policy with its settings.
#[derive(Debug, Clone)]
pub struct TierIsolation {
    /// The label that holds the tier.
    label: String,
    /// Tiers that may share, in either order.
    allowed_pairs: Vec<(String, String)>,
    /// Whether tiers on different segments may have addresses in common.
    may_overlap: bool,
}

impl Default for TierIsolation {
    fn default() -> Self {
        Self { label: "tier".into(), allowed_pairs: Vec::new(), may_overlap: false }
    }
}

impl Policy for TierIsolation {
    fn describe(&self) -> Description {
        let serves = &["PCI DSS 1.4.1", "PCI DSS 11.4.5"];
        let mut needs = vec![View::Attached, View::SameSegment, View::Reaches];
        if !self.may_overlap {
            needs.push(View::Overlapping);
        }
        let summary = "What is of different tiers shares no segment, reaches none, has no addresses in common, and no workload joins two";
        description("tier-isolation", "1.0.0", summary)
            .judges(&[Operation::CreateNetwork, Operation::ChangeNetwork, Operation::Attach, Operation::ChangeWorkload])
            .rule(SHARED_SEGMENT, "Networks and workloads of different tiers share no segment", serves)
            .rule(REACHES, "Networks and workloads of one tier cannot send into a segment of another", serves)
            .rule(BRIDGING_WORKLOAD, "No workload is attached to networks of two tiers", serves)
            .rule(OVERLAPPING_SUBNET, "Networks of different tiers have no addresses in common", serves)
            .rule(CONTRADICTING_TIER, "A workload's tier is its network's", serves)
            .looks_at(&self.label)
            .needs(&needs)
            .schema(SCHEMA)
    }

    fn configure(settings: Node<'_>, faults: &mut Faults) -> Self {
        let mut policy = Self::default();
        let Some(settings) = settings.object(&["label", "allowed_pairs", "overlapping_subnets"], faults) else { return policy };
        if let Some(label) = settings.get("label").and_then(|l| l.text(faults)) {
            policy.label = label.into();
        }
        if let Some(may) = settings.get("overlapping_subnets").and_then(|o| o.choice(&[("deny", false), ("allow", true)], faults)) {
            policy.may_overlap = may;
        }
        for pair in settings.get("allowed_pairs").and_then(|p| p.list(faults)).unwrap_or_default() {
            let Some(tiers) = pair.list(faults) else { continue };
            match tiers.as_slice() {
                [a, b] => {
                    if let (Some(a), Some(b)) = (a.text(faults), b.text(faults)) {
                        policy.allowed_pairs.push((a.into(), b.into()));
                    }
                }
                other => faults.add(
                    pair.path(),
                    ["names ", &other.len().to_string(), " tiers"].concat(),
                    "two tiers that may share, such as [\"web\", \"app\"]",
                ),
            }
        }
        policy
    }

    fn evaluate(&self, request: &Request) -> Opinion {
        match request.operation {
            Operation::CreateNetwork | Operation::ChangeNetwork => Opinion::deny(self.network(request)),
            Operation::Attach | Operation::ChangeWorkload => Opinion::deny(self.workload(request)),
            Operation::DeleteNetwork | Operation::Detach => Opinion::not_applicable(),
        }
    }
}

/// A tier; none is *untiered*.
type Tier<'a> = Option<&'a str>;

/// Who is of another tier that may not share, summed up.
struct Strangers<'a> {
    tier: Tier<'a>,
    networks: u32,
    endpoints: u32,
    examples: Vec<&'a str>,
}

impl TierIsolation {
    fn allows(&self, a: Tier<'_>, b: Tier<'_>) -> bool {
        let listed = |a: &str, b: &str| self.allowed_pairs.iter().any(|(x, y)| (x == a && y == b) || (x == b && y == a));
        a == b || matches!((a, b), (Some(a), Some(b)) if listed(a, b))
    }

    /// A workload's tier: its own, else its network's.
    fn tier<'a>(&self, workload: &'a [Label], network: &'a [Label]) -> Tier<'a> {
        label(workload, &self.label).or_else(|| label(network, &self.label))
    }

    /// Those among `groups` that may not be beside `tier`, by tier.
    fn strangers<'a>(&self, tier: Tier<'_>, groups: impl Iterator<Item = &'a Group>) -> Vec<Strangers<'a>> {
        let mut found: Vec<Strangers<'a>> = Vec::new();
        for group in groups {
            let theirs = self.tier(&group.workload_labels, &group.network_labels);
            if self.allows(tier, theirs) {
                continue;
            }
            let at = found.iter().position(|s| s.tier == theirs).unwrap_or_else(|| {
                found.push(Strangers { tier: theirs, networks: 0, endpoints: 0, examples: Vec::new() });
                found.len() - 1
            });
            let sum = &mut found[at];
            sum.networks = sum.networks.saturating_add(group.networks);
            sum.endpoints = sum.endpoints.saturating_add(group.endpoints);
            sum.examples.extend(group.examples.iter().map(String::as_str));
        }
        found
    }

    /// The network as it would be, beside what is there. An empty network counts: who joins it would be beside them.
    fn network(&self, request: &Request) -> Vec<Violation> {
        let network = &request.network;
        let tier = label(&network.labels, &self.label);
        let who = ["network ", &network.name, " (", &tier_name(tier), ")"].concat();
        let field = if network.parent.is_some() { "parent".into() } else { label_field("labels", &self.label) };
        let mut violations = self.beside(request, tier, &who, &field, |_| true);
        violations.extend(self.overlapping(request, tier, &who, "subnets", |_| true));
        violations
    }

    /// The workload as it would be, on its network, beside what is there and what else it is attached to.
    fn workload(&self, request: &Request) -> Vec<Violation> {
        let Some(workload) = &request.workload else { return Vec::new() };
        let networks = label(&request.network.labels, &self.label);
        let own = label(&workload.labels, &self.label);
        let tier = own.or(networks);
        let field = label_field("workload.labels", &self.label);
        let who = ["workload ", workload_name(workload), " (", &tier_name(tier), ")"].concat();
        let mut violations = Vec::new();

        if let (Some(own), Some(networks)) = (own, networks)
            && own != networks
        {
            let message =
                ["the workload says that its tier is ", own, ", but network ", &request.network.name, " is of tier ", networks].concat();
            let remedy = ["attach it to a network of tier ", own, ", or leave the label away and let it be of tier ", networks].concat();
            violations.push(violation(CONTRADICTING_TIER, message).field(&*field).remedy(remedy));
        }
        for other in self.strangers(tier, workload.attached.iter()) {
            let message = [
                &*who,
                " is attached to ",
                &tier_name(other.tier),
                " already",
                &examples("network", &other.examples),
                ": it would be a bridge between the two",
            ]
            .concat();
            let remedy =
                ["detach it there first, or use a workload of its own for ", &tier_name(tier), &self.or_allow(tier, other.tier)].concat();
            violations.push(violation(BRIDGING_WORKLOAD, message).field(&*field).remedy(remedy));
        }
        // A network without tier and endpoints is nobody yet: its workloads may bring their tier. It was judged as a
        // network when it was made.
        let is_somebody = |g: &Group| g.endpoints > 0 || self.tier(&g.workload_labels, &g.network_labels).is_some();
        violations.extend(self.beside(request, tier, &who, &field, is_somebody));
        violations.extend(self.overlapping(request, tier, &who, &field, is_somebody));
        violations
    }

    /// Who has addresses in common on another segment.
    fn overlapping(&self, request: &Request, tier: Tier<'_>, who: &str, field: &str, counts: impl Fn(&Group) -> bool) -> Vec<Violation> {
        let strangers = self.strangers(tier, request.overlapping.iter().filter(|g| !self.may_overlap && counts(g)));
        let found = strangers.iter().map(|other| {
            let message = [who, " would have addresses in common with ", &residents(other)].concat();
            let remedy = ["use a subnet for ", &tier_name(tier), " that no other tier uses", &self.or_allow(tier, other.tier)].concat();
            violation(OVERLAPPING_SUBNET, message).field(field).remedy(remedy)
        });
        found.collect()
    }

    /// Who shares the segment, and who reaches or is reached.
    fn beside(&self, request: &Request, tier: Tier<'_>, who: &str, field: &str, counts: impl Fn(&Group) -> bool) -> Vec<Violation> {
        let network = &request.network;
        let mut violations = Vec::new();
        for other in self.strangers(tier, request.same_segment.iter().filter(|g| counts(g))) {
            let message = [who, " would share the ", &segment(network), " with ", &residents(&other)].concat();
            let remedy = [
                "use a segment of its own for ",
                &tier_name(tier),
                ": another VLAN of the trunk, or no parent",
                &self.or_allow(tier, other.tier),
            ]
            .concat();
            violations.push(violation(SHARED_SEGMENT, message).field(field).remedy(remedy));
        }
        // Only untagged l2 links can put tags of their own on frames, so it is these that reach others.
        let outwards = network.vlan.is_none() && network.mode == Mode::L2;
        for other in self.strangers(tier, request.reaches.iter().filter(|g| counts(g))) {
            let message = if outwards {
                [who, " could send tagged frames from the untagged ", &segment(network), " into VLANs with ", &residents(&other)].concat()
            } else {
                [who, " could be sent tagged frames by ", &residents(&other), ", from the untagged segment of the same trunk"].concat()
            };
            let remedy = [
                if outwards {
                    "leave the parent's shield on, use mode l3, or a tagged parent such as eth0.30"
                } else {
                    "shield the untagged parent (its networks without shield \"off\"), or use another fabric"
                },
                &self.or_allow(tier, other.tier),
            ]
            .concat();
            violations.push(violation(REACHES, message).field(field).remedy(remedy));
        }
        violations
    }

    /// The other remedy, where two named tiers are concerned.
    fn or_allow(&self, a: Tier<'_>, b: Tier<'_>) -> String {
        match (a, b) {
            (Some(a), Some(b)) => ["; or have the pair [\"", a, "\", \"", b, "\"] put into the policy's allowed_pairs"].concat(),
            _ => ["; or give what is untiered the label ", &self.label].concat(),
        }
    }
}

fn tier_name(tier: Tier<'_>) -> String {
    tier.map_or("untiered".into(), |t| ["tier ", t].concat())
}

/// Such as `segment of eth0.40 (VLAN 40)`.
fn segment(network: &Network) -> String {
    match (&network.parent, network.vlan) {
        (Some(parent), Some(vlan)) => ["segment of ", parent, " (VLAN ", &vlan.to_string(), ")"].concat(),
        (Some(parent), None) => ["segment of ", parent].concat(),
        (None, _) => ["segment of the isolated network ", &network.name].concat(),
    }
}

/// Such as `tier web: 1 network and 3 endpoints there, such as web1, web2`.
fn residents(strangers: &Strangers<'_>) -> String {
    let count = |n: u32, what: &str| [&*n.to_string(), " ", what, if n == 1 { "" } else { "s" }].concat();
    let counts: Vec<String> = [(strangers.networks, "network"), (strangers.endpoints, "endpoint")]
        .into_iter()
        .filter(|(n, _)| *n > 0)
        .map(|(n, what)| count(n, what))
        .collect();
    let names = if strangers.examples.is_empty() { String::new() } else { [", such as ", &some(&strangers.examples)].concat() };
    [&tier_name(strangers.tier), ": ", &counts.join(" and "), " there", &names].concat()
}

fn examples(what: &str, names: &[&str]) -> String {
    if names.is_empty() { String::new() } else { [" (", what, " ", &some(names), ")"].concat() }
}

/// The first few names.
fn some(names: &[&str]) -> String {
    names.iter().take(3).copied().collect::<Vec<_>>().join(", ")
}

export!(TierIsolation);

#[cfg(test)]
mod tests;
