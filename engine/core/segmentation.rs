//! What keeps the tiers of this host apart, and what does not: every ordered pair of tiers, by each way that could join them, with
//! the decisions behind each finding. Pure: over the record and the host as last seen.
//!
//! A tier is a value of one label key, of a workload's own label or else its network's; what has neither is *untiered*. What is there
//! is looked at, not what policies say: an allowed pair shows as what it is.

use crate::decide::listed;
use crate::host::{Host, Mode};
use crate::ids::{DecisionId, NetworkId};
use crate::ipam::overlap;
use crate::names::Labels;
use crate::network::Network;
use crate::parent::{Parent, ParentKind};
use crate::segment::{Fabric, Reach, Segment, reach};
use crate::state::State;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A way by which one tier could come to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Check {
    /// Both are on one broadcast domain.
    SharedSegment,
    /// The first can send tagged frames into a segment of the second.
    Reach,
    /// Their networks have a subnet in common, or overlapping ones.
    Subnet,
    /// A workload is of both.
    Workload,
    /// Their links hang on one parent.
    Parent,
    /// Both have a way out, and so perhaps a router between them.
    WayOut,
}

impl Check {
    /// All of them, in the order of a report.
    pub const ALL: [Self; 6] = [Self::SharedSegment, Self::Reach, Self::Subnet, Self::Workload, Self::Parent, Self::WayOut];
}

/// What a check has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// They are apart in this way.
    Satisfied,
    /// Nobody here can tell.
    NotEvaluated,
    /// They are not.
    NotSatisfied,
}

/// One finding of a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// One sentence.
    pub text: String,
    /// The decisions that let in what it is about.
    pub decisions: BTreeSet<DecisionId>,
}

/// A check of an ordered pair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// Which.
    pub check: Check,
    /// What it has come to.
    pub status: Status,
    /// What it rests on, the worst first; never empty, and at most [`FINDINGS_MAX`].
    pub findings: Vec<Finding>,
    /// How many more there are.
    pub more: usize,
}

/// Findings of one check of one pair.
pub const FINDINGS_MAX: usize = 50;
/// Networks that a sentence names.
const NAMED_MAX: usize = 8;

/// A tier: the label's value; `None` is untiered.
pub type Tier = Option<String>;

/// What is there of a tier.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Presence {
    /// Its networks: those of its label.
    pub networks: BTreeSet<NetworkId>,
    /// Its endpoints.
    pub endpoints: usize,
    /// Segments that its networks or endpoints are on.
    pub segments: BTreeSet<Segment>,
    /// Subnets that its networks or endpoints are on.
    pub on: BTreeSet<NetworkId>,
    /// The decisions that let all of it in.
    pub decisions: BTreeSet<DecisionId>,
}

/// What is between the first tier and the second.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// From here …
    pub from: Tier,
    /// … to there.
    pub to: Tier,
    /// One of each check, in their order.
    pub checks: Vec<Checked>,
}

impl Pair {
    /// The worst of its checks.
    pub fn status(&self) -> Status {
        self.checks.iter().map(|c| c.status).max().unwrap_or(Status::NotEvaluated)
    }
}

/// What keeps tiers apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segmentation {
    /// All tiers that are there.
    pub tiers: BTreeMap<Tier, Presence>,
    /// Every ordered pair of them.
    pub pairs: Vec<Pair>,
}

/// Looks at all that is on record, by the label `key`.
pub fn segmentation(state: &State, host: &Host, key: &str) -> Segmentation {
    let look = Look::new(state, host, key);
    let mut pairs = Vec::new();
    for from in look.tiers.keys() {
        for to in look.tiers.keys().filter(|to| *to != from) {
            pairs.push(Pair { from: from.clone(), to: to.clone(), checks: Check::ALL.iter().map(|c| look.check(*c, from, to)).collect() });
        }
    }
    Segmentation { tiers: look.tiers, pairs }
}

/// A tier as people call it.
pub fn tier_name(tier: &Tier) -> String {
    tier.as_ref().map_or_else(|| "what is untiered".to_owned(), |t| format!("tier {t}"))
}

struct Look<'a> {
    state: &'a State,
    host: &'a Host,
    tiers: BTreeMap<Tier, Presence>,
    /// Workloads that are of several tiers: their name, and by tier the decisions.
    bridges: Vec<(String, BTreeMap<Tier, BTreeSet<DecisionId>>)>,
    /// By network and tier, the decisions that let the tier onto the network: the network's own, and its endpoints'.
    on: BTreeMap<(NetworkId, Tier), BTreeSet<DecisionId>>,
}

impl<'a> Look<'a> {
    fn new(state: &'a State, host: &'a Host, key: &str) -> Self {
        let value = |labels: &Labels| labels.get(key).map(str::to_owned);
        let mut tiers: BTreeMap<Tier, Presence> = BTreeMap::new();
        let mut on: BTreeMap<(NetworkId, Tier), BTreeSet<DecisionId>> = BTreeMap::new();
        let mut workloads: BTreeMap<_, (String, BTreeMap<Tier, BTreeSet<DecisionId>>)> = BTreeMap::new();
        for network in state.networks() {
            let of_network = value(&network.labels);
            // A network without the label is untiered until somebody is on it; then it is of those.
            if of_network.is_some() || state.endpoint_count(network.id) == 0 {
                tiers.entry(of_network.clone()).or_default().networks.insert(network.id);
                on.entry((network.id, of_network.clone())).or_default().insert(network.decision);
            }
            for endpoint in state.endpoints_of(network.id) {
                let tier = value(&endpoint.workload.labels).or_else(|| of_network.clone());
                tiers.entry(tier.clone()).or_default().endpoints += 1;
                on.entry((network.id, tier.clone())).or_default().insert(endpoint.decision);
                let (name, of) = workloads.entry(endpoint.netns.id).or_default();
                name.clone_from(&endpoint.workload.name);
                of.entry(tier).or_default().insert(endpoint.decision);
                // The network's own tier is joined as well, where the workload says another.
                if let Some(of_network) = &of_network {
                    of.entry(Some(of_network.clone())).or_default().insert(endpoint.decision);
                }
            }
        }
        for ((network, tier), decisions) in &on {
            let presence = tiers.entry(tier.clone()).or_default();
            presence.on.insert(*network);
            presence.decisions.extend(decisions);
            presence.segments.extend(state.network_by_id(*network).and_then(|n| state.segment_of(n)));
        }
        let bridges = workloads.into_values().filter(|(_, of)| of.len() > 1).collect();
        Self { state, host, tiers, bridges, on }
    }

    fn check(&self, check: Check, from: &Tier, to: &Tier) -> Checked {
        let mut findings: Vec<(Status, Finding)> = match check {
            Check::SharedSegment => self.shared_segments(from, to),
            Check::Reach => self.reaches(from, to),
            Check::Subnet => self.subnets(from, to),
            Check::Workload => self.workloads(from, to),
            Check::Parent => self.parents(from, to),
            Check::WayOut => self.ways_out(from, to),
        };
        findings.sort_by_key(|(status, _)| std::cmp::Reverse(*status));
        let status = findings.first().map_or(Status::Satisfied, |(status, _)| *status);
        let more = findings.len().saturating_sub(FINDINGS_MAX);
        let mut findings: Vec<Finding> = findings.into_iter().take(FINDINGS_MAX).map(|(_, finding)| finding).collect();
        if findings.is_empty() {
            findings.push(self.apart(check, from, to));
        }
        Checked { check, status, findings, more }
    }

    /// That nothing was found rests on all that let the two in.
    fn apart(&self, check: Check, from: &Tier, to: &Tier) -> Finding {
        let (from_name, to_name) = (tier_name(from), tier_name(to));
        let text = match check {
            Check::SharedSegment => format!("{from_name} and {to_name} have no segment in common"),
            Check::Reach => format!("no segment of {from_name} can send tagged frames into one of {to_name}"),
            Check::Subnet => format!("no subnet of {from_name} overlaps one of {to_name}"),
            Check::Workload => format!("no workload is of both {from_name} and {to_name}"),
            Check::Parent => format!("{from_name} and {to_name} have no parent in common"),
            Check::WayOut => format!("{from_name} or {to_name} has no way out"),
        };
        let decisions = [from, to].into_iter().flat_map(|t| self.tiers.get(t)).flat_map(|p| &p.decisions).copied().collect();
        Finding { text, decisions }
    }

    fn networks_of(&self, tier: &Tier) -> impl Iterator<Item = &'a Arc<Network>> {
        self.tiers.get(tier).into_iter().flat_map(|p| &p.on).filter_map(|id| self.state.network_by_id(*id))
    }

    /// Networks that both are on, and pairs of networks that the two are on.
    fn network_pairs(&self, from: &Tier, to: &Tier) -> Vec<(&'a Arc<Network>, &'a Arc<Network>)> {
        let others: Vec<_> = self.networks_of(to).collect();
        self.networks_of(from).flat_map(|a| others.iter().map(move |b| (a, *b))).collect()
    }

    /// The decisions that let `tier` onto `network`, the network's own among them.
    fn behind(&self, network: &Network, tier: &Tier) -> BTreeSet<DecisionId> {
        let of_tier = self.on.get(&(network.id, tier.clone())).into_iter().flatten().copied();
        of_tier.chain([network.decision]).collect()
    }

    fn found(&self, text: String, from: (&Network, &Tier), to: (&Network, &Tier)) -> Finding {
        let mut decisions = self.behind(from.0, from.1);
        decisions.extend(self.behind(to.0, to.1));
        Finding { text, decisions }
    }

    fn shared_segments(&self, from: &Tier, to: &Tier) -> Vec<(Status, Finding)> {
        let mut out = Vec::new();
        for (a, b) in self.network_pairs(from, to) {
            let (Some(segment), Some(other)) = (self.state.segment_of(a), self.state.segment_of(b)) else { continue };
            if segment != other {
                continue;
            }
            let text = if a.id == b.id {
                format!("both are on network {} (segment {segment})", a.name)
            } else {
                format!("networks {} and {} are both on segment {segment}", a.name, b.name)
            };
            out.push((Status::NotSatisfied, self.found(text, (a, from), (b, to))));
        }
        out
    }

    fn reaches(&self, from: &Tier, to: &Tier) -> Vec<(Status, Finding)> {
        let mut out = Vec::new();
        for (a, b) in self.network_pairs(from, to) {
            let (Some(parent), Some(target)) = (self.state.parent(a.parent), self.state.segment_of(b)) else { continue };
            let segment = parent.segment();
            if segment.fabric != target.fabric || segment == target {
                continue;
            }
            if reach(&segment, a.mode, parent.is_shielded(self.host)) != Reach::None {
                let text = format!(
                    "network {} ({}, untagged, without shield) can send tagged frames into {target}, where network {} is",
                    a.name, a.mode, b.name
                );
                out.push((Status::NotSatisfied, self.found(text, (a, from), (b, to))));
            } else if reach(&segment, a.mode, false) != Reach::None && parent.find(self.host).is_none() {
                // Only the shield keeps it in, and its link was not seen.
                let text = format!("the shield of {} could not be looked at: the link is not there", parent.link);
                out.push((Status::NotEvaluated, self.found(text, (a, from), (b, to))));
            }
        }
        out
    }

    fn subnets(&self, from: &Tier, to: &Tier) -> Vec<(Status, Finding)> {
        let mut out = Vec::new();
        for (a, b) in self.network_pairs(from, to) {
            for one in &a.subnets {
                for other in b.subnets.iter().filter(|other| overlap(&one.cidr, &other.cidr)) {
                    let text = match (a.id == b.id, one.cidr == other.cidr) {
                        (true, _) if one.cidr != other.cidr => continue,
                        (true, _) => format!("both are in {} of network {}", one.cidr, a.name),
                        (false, true) => format!("networks {} and {} both have {}", a.name, b.name, one.cidr),
                        (false, false) => format!("{} of network {} overlaps {} of network {}", one.cidr, a.name, other.cidr, b.name),
                    };
                    out.push((Status::NotSatisfied, self.found(text, (a, from), (b, to))));
                }
            }
        }
        out
    }

    fn workloads(&self, from: &Tier, to: &Tier) -> Vec<(Status, Finding)> {
        let both = self.bridges.iter().filter_map(|(name, of)| Some((name, of.get(from)?, of.get(to)?)));
        let finding = |(name, a, b): (&String, &BTreeSet<DecisionId>, &BTreeSet<DecisionId>)| {
            let text = format!("workload {name} is of both {} and {}", tier_name(from), tier_name(to));
            (Status::NotSatisfied, Finding { text, decisions: a | b })
        };
        both.map(finding).collect()
    }

    /// One parent is one segment. VLANs of one NIC are apart as far as tags keep them apart, which is said.
    fn parents(&self, from: &Tier, to: &Tier) -> Vec<(Status, Finding)> {
        let mut out = Vec::new();
        for (a, b) in self.network_pairs(from, to) {
            let (Some(one), Some(other)) = (self.state.parent(a.parent), self.state.parent(b.parent)) else { continue };
            if one.id == other.id {
                let text = if a.id == b.id {
                    format!("both are on network {}, which hangs on {}", a.name, one.link)
                } else {
                    format!("networks {} and {} hang on one parent, {}", a.name, b.name, one.link)
                };
                out.push((Status::NotSatisfied, self.found(text, (a, from), (b, to))));
            } else if let Some(trunk) = common_trunk(one, other) {
                let text = format!(
                    "networks {} ({}) and {} ({}) have parents of their own on one NIC, {trunk}: tags keep them apart, here and on the switch",
                    a.name, one.link, b.name, other.link
                );
                out.push((Status::Satisfied, self.found(text, (a, from), (b, to))));
            }
        }
        out
    }

    /// Whoever can leave on both sides may meet at a router, which nobody here sees; l3 links are routed by this host.
    fn ways_out(&self, from: &Tier, to: &Tier) -> Vec<(Status, Finding)> {
        let leaving = |tier: &Tier| -> Vec<(&'a Arc<Network>, String)> {
            self.networks_of(tier).filter_map(|n| Some((n, format!("{} ({})", n.name, self.way_out(n)?)))).collect()
        };
        let (one, other) = (leaving(from), leaving(to));
        if one.is_empty() || other.is_empty() {
            return Vec::new();
        }
        let named = |all: &[(&Arc<Network>, String)]| listed(&all.iter().map(|(_, text)| text.as_str()).collect::<Vec<_>>(), NAMED_MAX);
        let text = format!("both have a way out: {} and {}; whether a router joins them is not known here", named(&one), named(&other));
        let behind = |all: &[(&Arc<Network>, String)], tier| all.iter().flat_map(|(n, _)| self.behind(n, tier)).collect::<BTreeSet<_>>();
        vec![(Status::NotEvaluated, Finding { text, decisions: &behind(&one, from) | &behind(&other, to) })]
    }

    fn way_out(&self, network: &Network) -> Option<String> {
        let parent = self.state.parent(network.parent)?;
        if let Fabric::Alone(_) = parent.fabric {
            return None;
        }
        let gateways: Vec<String> = network.subnets.iter().filter_map(|s| s.gateway).map(|g| g.to_string()).collect();
        match (gateways.is_empty(), network.mode) {
            (false, _) => Some(format!("gateway {}", gateways.join(", "))),
            (true, Mode::L3 | Mode::L3s) => Some(format!("mode {}: routed by this host", network.mode)),
            (true, Mode::L2) => None,
        }
    }
}

/// The NIC that both hang on, where they do.
fn common_trunk(one: &Parent, other: &Parent) -> Option<String> {
    let base = |p: &Parent| match &p.kind {
        ParentKind::Vlan { base, .. } => Some((base.name.clone(), base.mac)),
        ParentKind::Link { .. } => Some((p.link.to_string(), p.mac)),
        ParentKind::Dummy => None,
    };
    let (one, other) = (base(one)?, base(other)?);
    let same = if one.1.is_some() { one.1 == other.1 } else { one.0 == other.0 };
    same.then_some(one.0)
}
