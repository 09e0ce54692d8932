//! No raw: no workload with NET_RAW or NET_ADMIN where the links of a network carry frames into other segments.
//!
//! On an untagged l2 parent a workload with either of the two can put a VLAN tag of its own on its frames, and so send into every
//! VLAN of the trunk, those of other hosts too. The parent's shield stops that, but not listening: so the policy can be told to
//! mind every untagged l2 parent.

use bulkhead_policy_sdk::*;

const RAW: &str = "raw-capability";
const UNKNOWN: &str = "unknown-capabilities";

/// The capabilities that open packet sockets, or make VLAN devices.
const RAW_CAPABILITIES: [&str; 2] = ["NET_RAW", "NET_ADMIN"];

/// JSON Schema of the settings.
pub const SCHEMA: &str = include_str!("settings.schema.json");

/// The policy with its settings.
#[derive(Debug, Clone)]
pub struct NoRaw {
    on: Where,
    /// Whether a workload may join of which nobody says what capabilities it has.
    allows_unknown: bool,
    /// Whose word counts.
    provenance: Vec<Provenance>,
}

/// Which networks are minded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Where {
    /// Those whose links reach every VLAN of the trunk.
    Reaching,
    /// All with an untagged l2 parent.
    Untagged,
}

impl Default for NoRaw {
    fn default() -> Self {
        Self { on: Where::Reaching, allows_unknown: false, provenance: vec![Provenance::Asserted, Provenance::Runtime] }
    }
}

impl Policy for NoRaw {
    fn describe(&self) -> Description {
        let serves = &["PCI DSS 1.4.1", "PCI DSS 11.4.5"];
        description(
            "no-raw",
            "1.0.0",
            "No workload with NET_RAW or NET_ADMIN joins a network from which tagged frames reach other segments",
        )
        .judges(&[Operation::Attach, Operation::ChangeWorkload])
        .rule(RAW, "A workload on such a network has neither NET_RAW nor NET_ADMIN", serves)
        .rule(UNKNOWN, "Of a workload on such a network it is known what capabilities it has", serves)
        .schema(SCHEMA)
    }

    fn configure(settings: Node<'_>, faults: &mut Faults) -> Self {
        let mut policy = Self::default();
        let Some(settings) = settings.object(&["on", "unknown", "provenance"], faults) else { return policy };
        let on = settings.get("on").and_then(|on| on.choice(&[("reaching", Where::Reaching), ("untagged", Where::Untagged)], faults));
        let unknown = settings.get("unknown").and_then(|unknown| unknown.choice(&[("deny", false), ("allow", true)], faults));
        policy.on = on.unwrap_or(policy.on);
        policy.allows_unknown = unknown.unwrap_or(policy.allows_unknown);
        if let Some(list) = settings.get("provenance") {
            let items = list.list(faults).unwrap_or_default();
            if items.is_empty() {
                faults.add(list.path(), "is empty, so nobody's word counts", "asserted, runtime or both");
            }
            let words = [("asserted", Provenance::Asserted), ("runtime", Provenance::Runtime)];
            policy.provenance = items.iter().filter_map(|item| item.choice(&words, faults)).collect();
        }
        policy
    }

    fn evaluate(&self, request: &Request) -> Opinion {
        match request.operation {
            Operation::Attach | Operation::ChangeWorkload => Opinion::deny(self.check(request)),
            Operation::CreateNetwork | Operation::ChangeNetwork | Operation::DeleteNetwork | Operation::Detach => Opinion::not_applicable(),
        }
    }
}

impl NoRaw {
    fn check(&self, request: &Request) -> Option<Violation> {
        let (network, workload) = (&request.network, request.workload.as_ref()?);
        let parent = network.parent.as_deref().filter(|_| !network.internal)?;
        let reaches = label(&network.facts, "reaches").is_some();
        let untagged = network.mode == Mode::L2 && network.vlan.is_none();
        if !reaches && !(self.on == Where::Untagged && untagged) {
            return None;
        }
        let could = if reaches { ["send tagged frames into every VLAN of ", parent] } else { ["hear VLANs of ", parent] }.concat();
        let elsewhere = if reaches {
            "join a network with a tagged parent such as eth0.30, with mode l3, or whose parent has its shield"
        } else {
            "join a network with a tagged parent such as eth0.30, or with mode l3"
        };
        let who = ["workload ", workload_name(workload)].concat();
        let Some(has) = self.reported(workload) else {
            if self.allows_unknown {
                return None;
            }
            let message = [&*who, ": nobody whose word counts says what capabilities it has; with NET_RAW or NET_ADMIN it could ", &could];
            let remedy = ["say in workload.capabilities what it has (neither NET_RAW nor NET_ADMIN), or ", elsewhere];
            return Some(violation(UNKNOWN, message.concat()).field("workload.capabilities").remedy(remedy.concat()));
        };
        let raw: Vec<&str> = RAW_CAPABILITIES.into_iter().filter(|raw| has.iter().any(|c| c == raw)).collect();
        if raw.is_empty() {
            return None;
        }
        let raw = raw.join(" and ");
        let message = [&*who, " has ", &raw, ", so it could ", &could];
        let remedy = ["run it without ", &raw, ", or ", elsewhere];
        Some(violation(RAW, message.concat()).field("workload.capabilities").remedy(remedy.concat()))
    }

    /// What it has, if somebody says so whose word counts.
    fn reported<'a>(&self, workload: &'a Workload) -> Option<&'a [String]> {
        let by = workload.facts.iter().find(|fact| fact.key == "capabilities").map_or(Provenance::Unknown, |fact| fact.provenance);
        workload.capabilities.as_deref().filter(|_| self.provenance.contains(&by))
    }
}

export!(NoRaw);

#[cfg(test)]
mod tests;
