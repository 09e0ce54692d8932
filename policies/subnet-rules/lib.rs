//! Subnet rules: which ranges, prefix lengths, parents and VLANs the networks of a tier may use.
//!
//! Networks are judged when they are made or changed, and again when a workload joins, as a workload may bring a tier of its
//! own. A tier that the settings do not name follows `default`; where there is none, it may use anything.

use bulkhead_policy_sdk::*;

const CIDR: &str = "cidr-not-allowed";
const PREFIX_LENGTH: &str = "prefix-length";
const PARENT: &str = "parent-not-allowed";
const VLAN: &str = "vlan-not-allowed";

/// JSON Schema of the settings.
pub const SCHEMA: &str = include_str!("settings.schema.json");

/// The policy with its settings.
#[derive(Debug, Clone)]
pub struct SubnetRules {
    /// The label that holds the tier.
    label: String,
    tiers: Vec<(String, Allowed)>,
    default: Allowed,
}

/// What one tier may use; what is not set is not limited.
#[derive(Debug, Clone, Default)]
struct Allowed {
    cidrs: Option<Vec<Cidr>>,
    ipv4: Lengths,
    ipv6: Lengths,
    parents: Option<Vec<String>>,
    /// 0 is untagged.
    vlans: Option<Vec<u16>>,
}

/// Prefix lengths from `min` to `max`.
#[derive(Debug, Clone, Copy, Default)]
struct Lengths {
    min: Option<u8>,
    max: Option<u8>,
}

impl Default for SubnetRules {
    fn default() -> Self {
        Self { label: "tier".into(), tiers: Vec::new(), default: Allowed::default() }
    }
}

impl Policy for SubnetRules {
    fn describe(&self) -> Description {
        let serves = &["PCI DSS 1.2.3", "PCI DSS 1.4.1"];
        description("subnet-rules", "1.0.0", "The networks of a tier use only the ranges, prefix lengths, parents and VLANs that it may")
            .judges(&[Operation::CreateNetwork, Operation::ChangeNetwork, Operation::Attach, Operation::ChangeWorkload])
            .rule(CIDR, "Each subnet lies within a range of the tier", serves)
            .rule(PREFIX_LENGTH, "Each subnet's prefix length is one that the tier may use", &[])
            .rule(PARENT, "The parent is one that the tier may use", serves)
            .rule(VLAN, "The parent's VLAN is one that the tier may use", serves)
            .looks_at(&self.label)
            .schema(SCHEMA)
    }

    fn configure(settings: Node<'_>, faults: &mut Faults) -> Self {
        let mut policy = Self::default();
        let Some(settings) = settings.object(&["label", "tiers", "default"], faults) else { return policy };
        if let Some(label) = settings.get("label").and_then(|l| l.text(faults)) {
            policy.label = label.into();
        }
        if let Some(allowed) = settings.get("default") {
            policy.default = Allowed::read(&allowed, faults);
        }
        for (tier, allowed) in settings.get("tiers").and_then(|t| t.entries(faults)).unwrap_or_default() {
            policy.tiers.push((tier.into(), Allowed::read(&allowed, faults)));
        }
        policy
    }

    fn evaluate(&self, request: &Request) -> Opinion {
        let network = &request.network;
        let networks_tier = label(&network.labels, &self.label);
        match request.operation {
            Operation::CreateNetwork | Operation::ChangeNetwork => {
                let who = ["network ", &network.name].concat();
                Opinion::deny(self.check(network, networks_tier, &who, None))
            }
            Operation::Attach | Operation::ChangeWorkload => {
                let own = request.workload.as_ref().and_then(|w| label(&w.labels, &self.label));
                let name = request.workload.as_ref().map_or("", workload_name);
                let who = ["workload ", name, " on network ", &network.name].concat();
                let field = label_field("workload.labels", &self.label);
                Opinion::deny(self.check(network, own.or(networks_tier), &who, Some(&field)))
            }
            Operation::DeleteNetwork | Operation::Detach => Opinion::not_applicable(),
        }
    }
}

impl SubnetRules {
    /// `at`: the field at fault where it is not the network's own.
    fn check(&self, network: &Network, tier: Option<&str>, who: &str, at: Option<&str>) -> Vec<Violation> {
        let named = tier.and_then(|t| self.tiers.iter().find(|(name, _)| name == t)).map(|(_, allowed)| allowed);
        let allowed = named.unwrap_or(&self.default);
        let whose = match (tier, named) {
            (Some(tier), Some(_)) => ["tier ", tier].concat(),
            (Some(tier), None) => ["tier ", tier, ", which follows the default,"].concat(),
            (None, _) => "what has no tier".into(),
        };
        let mut violations = Vec::new();
        let mut found = |rule: &str, what: &[&str], field: String, right: String| {
            let message = [who, ": ", &what.concat()].concat();
            let remedy = [&*whose, " may use ", &right].concat();
            violations.push(violation(rule, message).field(at.map_or(field, Into::into)).remedy(remedy));
        };

        for (at, subnet) in network.subnets.iter().enumerate() {
            let field = ["subnets[", &at.to_string(), "].cidr"].concat();
            // The daemon gives subnets in one form; should another ever come, it is within no range.
            let cidr = Cidr::parse(&subnet.cidr).ok();
            if let Some(ranges) = &allowed.cidrs
                && !cidr.as_ref().is_some_and(|c| ranges.iter().any(|r| r.contains(c)))
            {
                let ranges: Vec<&str> = ranges.iter().map(Cidr::written).collect();
                let right = if ranges.is_empty() { "no subnet at all".into() } else { ["subnets within ", &ranges.join(", ")].concat() };
                found(CIDR, &["subnet ", &subnet.cidr, " is not within a range that it may use"], field.clone(), right);
            }
            if let Some(cidr) = cidr {
                let lengths = if cidr.is_ipv4() { allowed.ipv4 } else { allowed.ipv6 };
                if !lengths.allow(cidr.prefix_length()) {
                    let family = if cidr.is_ipv4() { "IPv4" } else { "IPv6" };
                    let what = ["subnet ", &subnet.cidr, " has prefix length ", &cidr.prefix_length().to_string()];
                    found(PREFIX_LENGTH, &what, field, [family, " prefix lengths ", &lengths.written()].concat());
                }
            }
        }
        // A network without parent hangs on a dummy of its own, and uses no link and no VLAN of the host.
        if let Some(parent) = &network.parent {
            if let Some(parents) = &allowed.parents
                && !parents.iter().any(|p| p == parent)
            {
                let right = one_of("parent", "the parents", parents);
                found(PARENT, &["parent ", parent, " is not one that it may use"], "parent".into(), right);
            }
            let vlan = network.vlan.unwrap_or(0);
            if let Some(vlans) = &allowed.vlans
                && !vlans.contains(&vlan)
            {
                let names: Vec<String> = vlans.iter().map(|v| vlan_name(*v)).collect();
                let what =
                    ["parent ", parent, " is ", &if vlan == 0 { "untagged".into() } else { ["in VLAN ", &vlan.to_string()].concat() }];
                found(VLAN, &what, "parent".into(), one_of("VLAN", "the VLANs", &names));
            }
        }
        violations
    }
}

/// Such as `the parents eth0.40, eth1.40`, or `no parent: only isolated networks`.
fn one_of(one: &str, many: &str, names: &[String]) -> String {
    match names {
        [] => ["no ", one, ": only isolated networks"].concat(),
        [name] => [one, " ", name].concat(),
        names => [many, " ", &names.join(", ")].concat(),
    }
}

fn vlan_name(vlan: u16) -> String {
    if vlan == 0 { "0 (untagged)".into() } else { vlan.to_string() }
}

impl Lengths {
    fn allow(self, length: u8) -> bool {
        self.min.is_none_or(|min| length >= min) && self.max.is_none_or(|max| length <= max)
    }

    /// Such as `24 to 29`.
    fn written(self) -> String {
        match (self.min, self.max) {
            (Some(min), Some(max)) if min == max => min.to_string(),
            (Some(min), Some(max)) => [&min.to_string(), " to ", &*max.to_string()].concat(),
            (Some(min), None) => ["from ", &min.to_string()].concat(),
            (None, Some(max)) => ["up to ", &max.to_string()].concat(),
            (None, None) => "of any size".into(),
        }
    }

    fn read(node: &Node<'_>, longest: u8, faults: &mut Faults) -> Self {
        let Some(fields) = node.object(&["min", "max"], faults) else { return Self::default() };
        let mut read = |key: &str| {
            let length = fields.get(key)?.integer(0..=u32::from(longest), faults)?;
            u8::try_from(length).ok()
        };
        let lengths = Self { min: read("min"), max: read("max") };
        if let (Some(min), Some(max)) = (lengths.min, lengths.max)
            && min > max
        {
            let message = ["min ", &*min.to_string(), " is above max ", &max.to_string(), ", so nothing fits"].concat();
            faults.add(node.path(), message, "min at most max: a longer prefix is a smaller subnet");
        }
        lengths
    }
}

impl Allowed {
    fn read(node: &Node<'_>, faults: &mut Faults) -> Self {
        let mut allowed = Self::default();
        let known = ["cidrs", "prefix_length", "prefix_length_ipv6", "parents", "vlans"];
        let Some(fields) = node.object(&known, faults) else { return allowed };
        let list = |key: &str, faults: &mut Faults| fields.get(key).and_then(|l| l.list(faults));
        allowed.cidrs = list("cidrs", faults).map(|ranges| {
            let read = |node: &Node<'_>| {
                let text = node.text(faults)?;
                Cidr::parse(text).map_err(|fault| faults.add(node.path(), [text, " ", fault.wrong].concat(), fault.right)).ok()
            };
            ranges.iter().filter_map(read).collect()
        });
        allowed.parents = list("parents", faults).map(|p| p.iter().filter_map(|node| node.text(faults).map(Into::into)).collect());
        allowed.vlans = list("vlans", faults).map(|vlans| {
            let read = |node: &Node<'_>| node.integer(0..=4094, faults).and_then(|vlan| u16::try_from(vlan).ok());
            vlans.iter().filter_map(read).collect()
        });
        if let Some(lengths) = fields.get("prefix_length") {
            allowed.ipv4 = Lengths::read(&lengths, 32, faults);
        }
        if let Some(lengths) = fields.get("prefix_length_ipv6") {
            allowed.ipv6 = Lengths::read(&lengths, 128, faults);
        }
        allowed
    }
}

export!(SubnetRules);

#[cfg(test)]
mod tests;
