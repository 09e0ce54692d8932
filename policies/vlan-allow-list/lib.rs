//! VLAN allow-list: which VLANs of which parents a tier may use.
//!
//! A tier that the rules name may use what its rule lists, and nothing else. A tier that they do not name, and what has no
//! tier, may use whatever no named tier claims. Networks are judged when they are made or changed, and again when a workload
//! joins, as a workload may bring a tier of its own.

use bulkhead_policy_sdk::*;

const NOT_ALLOWED: &str = "vlan-not-allowed";
const CLAIMED: &str = "vlan-claimed";

/// What a text that names VLANs may be.
const VLANS: &str = "a VLAN id from 1 to 4094, a range such as \"40-49\", or \"untagged\"";
/// Most names that a message lists.
const NAMES_MAX: usize = 8;
/// Stands for untagged; no VLAN has this id.
const UNTAGGED: u16 = 0;

/// JSON Schema of the settings.
pub const SCHEMA: &str = include_str!("settings.schema.json");

/// The policy with its settings.
#[derive(Debug, Clone)]
pub struct VlanAllowList {
    /// The label that holds the tier.
    label: String,
    rules: Vec<(String, Claim)>,
}

/// What a named tier may use, and thereby claims.
#[derive(Debug, Clone, Default)]
struct Claim {
    vlans: Vec<Vlans>,
    /// None is any parent.
    parents: Option<Vec<String>>,
}

/// VLANs from `first` to `last`; both are [`UNTAGGED`] or none is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Vlans {
    first: u16,
    last: u16,
}

impl Default for VlanAllowList {
    fn default() -> Self {
        Self { label: "tier".into(), rules: Vec::new() }
    }
}

impl Policy for VlanAllowList {
    fn describe(&self) -> Description {
        let serves = &["PCI DSS 1.2.3", "PCI DSS 1.4.1"];
        description("vlan-allow-list", "1.0.0", "A tier uses only the VLANs that it may, and no tier those that another one claims")
            .judges(&[Operation::CreateNetwork, Operation::ChangeNetwork, Operation::Attach, Operation::ChangeWorkload])
            .rule(NOT_ALLOWED, "A tier that the rules name uses only the VLANs and parents of its rule", serves)
            .rule(CLAIMED, "A tier that the rules do not name, and what has no tier, uses only what no named tier claims", serves)
            .looks_at(&self.label)
            .schema(SCHEMA)
    }

    fn configure(settings: Node<'_>, faults: &mut Faults) -> Self {
        let mut policy = Self::default();
        let Some(settings) = settings.object(&["label", "rules"], faults) else { return policy };
        if let Some(label) = settings.get("label").and_then(|l| l.text(faults)) {
            policy.label = label.into();
        }
        for (tier, rule) in settings.get("rules").and_then(|r| r.entries(faults)).unwrap_or_default() {
            policy.rules.push((tier.into(), Claim::read(&rule, faults)));
        }
        policy
    }

    fn evaluate(&self, request: &Request) -> Opinion {
        let network = &request.network;
        let networks_tier = label(&network.labels, &self.label);
        match request.operation {
            Operation::CreateNetwork | Operation::ChangeNetwork => {
                let who = ["network ", &network.name].concat();
                Opinion::deny(self.check(network, networks_tier, &who, "parent"))
            }
            Operation::Attach | Operation::ChangeWorkload => {
                let own = request.workload.as_ref().and_then(|w| label(&w.labels, &self.label));
                let name = request.workload.as_ref().map_or("", workload_name);
                let who = ["workload ", name, " on network ", &network.name].concat();
                Opinion::deny(self.check(network, own.or(networks_tier), &who, &label_field("workload.labels", &self.label)))
            }
            Operation::DeleteNetwork | Operation::Detach => Opinion::not_applicable(),
        }
    }
}

impl VlanAllowList {
    fn check(&self, network: &Network, tier: Option<&str>, who: &str, field: &str) -> Option<Violation> {
        // A network without parent hangs on a dummy of its own, and uses no VLAN of the host.
        let place = Place::of(network.parent.as_deref()?, network.vlan);
        if let Some((tier, claim)) = self.rules.iter().find(|(name, _)| Some(&**name) == tier) {
            if claim.allows(place) {
                return None;
            }
            let message = [who, " (tier ", tier, "): ", &place.written(), " is not one of those that the tier may use"].concat();
            let remedy = ["tier ", tier, " may use ", &claim.written()].concat();
            return Some(violation(NOT_ALLOWED, message).field(field).remedy(remedy));
        }
        let claims: Vec<&(String, Claim)> = self.rules.iter().filter(|(_, claim)| claim.claims(place)).collect();
        if claims.is_empty() {
            return None;
        }
        let whose = some(claims.iter().map(|(name, _)| name.clone()));
        let is = tier.map_or("untiered".into(), |t| ["tier ", t].concat());
        let message = [who, " (", &is, "): ", &place.written(), " is claimed by tier ", &whose].concat();
        let taken = some(claims.iter().map(|(name, claim)| [&claim.written(), " (tier ", name, ")"].concat()));
        let (one, or_name) = match tier {
            Some(tier) => (["tier ", tier, " is not named"].concat(), ["; or have a rule made for tier ", tier].concat()),
            None => ("what has no tier is not named".into(), ["; or give it the label ", &self.label].concat()),
        };
        let remedy = [&*one, " in the policy's rules, so it may use what no named tier claims: not ", &taken, &or_name].concat();
        Some(violation(CLAIMED, message).field(field).remedy(remedy))
    }
}

/// Where a network with a parent is.
#[derive(Debug, Clone, Copy)]
struct Place<'a> {
    /// As asked for.
    name: &'a str,
    /// The link that carries the VLAN, where the name tells it: `eth0` of `eth0.40`.
    base: Option<&'a str>,
    vlan: u16,
}

impl<'a> Place<'a> {
    fn of(name: &'a str, vlan: Option<u16>) -> Self {
        let base = match vlan {
            None => Some(name),
            Some(vlan) => name.rsplit_once('.').filter(|(_, id)| id.parse() == Ok(vlan)).map(|(base, _)| base),
        };
        Self { name, base, vlan: vlan.unwrap_or(UNTAGGED) }
    }

    /// Such as `VLAN 40 of eth0`.
    fn written(self) -> String {
        match (self.vlan, self.base) {
            (UNTAGGED, _) => ["the untagged segment of ", self.name].concat(),
            (vlan, Some(base)) => ["VLAN ", &vlan.to_string(), " of ", base].concat(),
            (vlan, None) => {
                [self.name, " (VLAN ", &vlan.to_string(), " of a link that this name does not tell, as eth0.", &vlan.to_string(), " would)"]
                    .concat()
            }
        }
    }
}

impl Claim {
    fn has_vlan(&self, vlan: u16) -> bool {
        self.vlans.iter().any(|v| (v.first..=v.last).contains(&vlan))
    }

    fn has_parent(&self, base: &str) -> bool {
        self.parents.as_ref().is_none_or(|parents| parents.iter().any(|p| p == base))
    }

    /// Whether the tier itself may be there. A parent whose name does not tell the link below it is on no list of parents.
    fn allows(&self, place: Place<'_>) -> bool {
        self.has_vlan(place.vlan) && place.base.map_or(self.parents.is_none(), |base| self.has_parent(base))
    }

    /// Whether others must stay away. A parent whose name does not tell the link below it might be any.
    fn claims(&self, place: Place<'_>) -> bool {
        self.has_vlan(place.vlan) && place.base.is_none_or(|base| self.has_parent(base))
    }

    /// Such as `VLANs 40-49, 60 and the untagged segment of eth0 or eth1`.
    fn written(&self) -> String {
        let ids: Vec<&Vlans> = self.vlans.iter().filter(|v| v.first != UNTAGGED).collect();
        let is_one = matches!(ids.as_slice(), [one] if one.first == one.last);
        let tagged = [if is_one { "VLAN " } else { "VLANs " }, &some(ids.iter().map(|v| v.written()))].concat();
        let which = match (ids.is_empty(), self.has_vlan(UNTAGGED)) {
            (true, false) => return "no VLAN and no untagged parent: only isolated networks".into(),
            (true, true) => "the untagged segment".into(),
            (false, false) => tagged,
            (false, true) => [&tagged, " and the untagged segment"].concat(),
        };
        let parents = self.parents.as_ref().map_or("any parent".into(), |p| some(p.iter().cloned()));
        [&which, " of ", &*parents].concat()
    }

    fn read(node: &Node<'_>, faults: &mut Faults) -> Self {
        let mut claim = Self::default();
        let Some(fields) = node.object(&["vlans", "parents"], faults) else { return claim };
        match fields.get("vlans") {
            Some(vlans) => {
                let vlans = vlans.list(faults).unwrap_or_default();
                claim.vlans = vlans.iter().filter_map(|node| Vlans::read(node, faults)).collect();
            }
            None => faults.add(
                [node.path(), ".vlans"].concat(),
                "is missing",
                "a list such as [\"40-49\", \"untagged\"], or [] for isolated networks only",
            ),
        }
        if let Some(parents) = fields.get("parents") {
            let names = parents.list(faults);
            if names.as_ref().is_some_and(Vec::is_empty) {
                faults.add(parents.path(), "is empty, so nothing fits", "names of links such as \"eth0\"; or leave it away for any parent");
            }
            claim.parents = names.map(|names| names.iter().filter_map(|node| parent(node, faults)).collect());
        }
        claim
    }
}

/// The name of a link that carries VLANs.
fn parent(node: &Node<'_>, faults: &mut Faults) -> Option<String> {
    let name = node.text(faults)?;
    // It would fit nothing, without a word: places are told by the link below and the VLAN.
    if let Some((base, id)) = name.rsplit_once('.')
        && let Some(id) = vlan_id(id)
    {
        let message = [name, " names a VLAN of ", base].concat();
        faults.add(node.path(), message, ["\"", base, "\" here, and \"", &id.to_string(), "\" in vlans"].concat());
        return None;
    }
    Some(name.into())
}

fn vlan_id(text: &str) -> Option<u16> {
    let plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|id| plain && (1..=4094).contains(id))
}

impl Vlans {
    fn read(node: &Node<'_>, faults: &mut Faults) -> Option<Self> {
        let (Json::Text(written) | Json::Number(written)) = node.value() else {
            faults.add(node.path(), ["is ", node.value().kind()].concat(), VLANS);
            return None;
        };
        if written == "untagged" {
            return Some(Self { first: UNTAGGED, last: UNTAGGED });
        }
        let (first, last) = written.split_once('-').unwrap_or((written, written));
        let (Some(first), Some(last)) = (vlan_id(first), vlan_id(last)) else {
            faults.add(node.path(), [if written.is_empty() { "an empty text" } else { written }, " names no VLAN"].concat(), VLANS);
            return None;
        };
        if first > last {
            let right = ["\"", &*last.to_string(), "-", &first.to_string(), "\""].concat();
            faults.add(node.path(), [written, " begins above its end"].concat(), right);
            return None;
        }
        Some(Self { first, last })
    }

    fn written(self) -> String {
        if self.first == self.last { self.first.to_string() } else { [&*self.first.to_string(), "-", &self.last.to_string()].concat() }
    }
}

/// The first few names, and how many more there are.
fn some(names: impl ExactSizeIterator<Item = String>) -> String {
    let more = names.len().saturating_sub(NAMES_MAX);
    let mut list = names.take(NAMES_MAX).collect::<Vec<_>>().join(", ");
    if more > 0 {
        list.push_str(&[" and ", &more.to_string(), " more"].concat());
    }
    list
}

export!(VlanAllowList);

#[cfg(test)]
mod tests;
