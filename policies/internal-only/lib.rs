//! Internal only: tiers whose networks have no way out, and whose workloads join no network that has one.
//!
//! A network without a way out hangs on a dummy link of its own. That a workload joins an internal network and one with a way
//! out is tier isolation's business, which sees the tiers of both.

use bulkhead_policy_sdk::*;

const NETWORK: &str = "network-has-way-out";
const WORKLOAD: &str = "workload-has-way-out";

/// JSON Schema of the settings.
pub const SCHEMA: &str = include_str!("settings.schema.json");

/// The policy with its settings.
#[derive(Debug, Clone)]
pub struct InternalOnly {
    /// The label that holds the tier.
    label: String,
    /// The tiers that have no way out.
    tiers: Vec<String>,
}

impl Default for InternalOnly {
    fn default() -> Self {
        Self { label: "tier".into(), tiers: Vec::new() }
    }
}

impl Policy for InternalOnly {
    fn describe(&self) -> Description {
        let serves = &["PCI DSS 1.4.1", "PCI DSS 1.4.4"];
        description("internal-only", "1.0.0", "The networks of certain tiers are internal, and their workloads join only such")
            .judges(&[Operation::CreateNetwork, Operation::ChangeNetwork, Operation::Attach, Operation::ChangeWorkload])
            .rule(NETWORK, "A network of an internal-only tier is internal", serves)
            .rule(WORKLOAD, "A workload of an internal-only tier, or on a network of one, joins only internal networks", serves)
            .looks_at(&self.label)
            .schema(SCHEMA)
    }

    fn configure(settings: Node<'_>, faults: &mut Faults) -> Self {
        let mut policy = Self::default();
        let Some(settings) = settings.object(&["label", "tiers"], faults) else { return policy };
        if let Some(label) = settings.get("label").and_then(|l| l.text(faults)) {
            policy.label = label.into();
        }
        let tiers = settings.get("tiers").and_then(|t| t.list(faults)).unwrap_or_default();
        policy.tiers = tiers.iter().filter_map(|tier| tier.text(faults).map(Into::into)).collect();
        policy
    }

    fn evaluate(&self, request: &Request) -> Opinion {
        match request.operation {
            Operation::CreateNetwork | Operation::ChangeNetwork => Opinion::deny(self.network(&request.network)),
            Operation::Attach | Operation::ChangeWorkload => Opinion::deny(self.workload(request)),
            Operation::DeleteNetwork | Operation::Detach => Opinion::not_applicable(),
        }
    }
}

impl InternalOnly {
    /// The tier that the labels say, if it is one without a way out.
    fn confined<'a>(&self, labels: &'a [Label]) -> Option<&'a str> {
        label(labels, &self.label).filter(|tier| self.tiers.iter().any(|t| t == tier))
    }

    fn network(&self, network: &Network) -> Option<Violation> {
        let tier = self.confined(&network.labels).filter(|_| !network.internal)?;
        let message =
            ["network ", &network.name, " of tier ", tier, " would have a way out", &through(network), ": the tier must have none"];
        let remedy = "make it internal, or leave the parent away: then it hangs on a dummy link of its own";
        let field = if network.parent.is_some() { "parent" } else { "internal" };
        Some(violation(NETWORK, message.concat()).field(field).remedy(remedy))
    }

    fn workload(&self, request: &Request) -> Option<Violation> {
        let (workload, network) = (request.workload.as_ref()?, &request.network);
        if network.internal {
            return None;
        }
        let name = workload_name(workload);
        let own = self.confined(&workload.labels);
        // A label of its own does not make the network's tier another one: that the network is older than this policy does
        // not let anybody in.
        let tier = own.or_else(|| self.confined(&network.labels))?;
        let is = if own.is_some() { ["is of tier ", tier] } else { ["would join tier ", tier] }.concat();
        let message =
            ["workload ", name, " ", &is, ", which must have no way out, and network ", &network.name, " has one", &through(network)];
        let remedy = ["attach it to an internal network of tier ", tier];
        let field = if own.is_some() { label_field("workload.labels", &self.label) } else { "network".into() };
        Some(violation(WORKLOAD, message.concat()).field(field).remedy(remedy.concat()))
    }
}

/// Such as ` through parent eth0.40`.
fn through(network: &Network) -> String {
    network.parent.as_ref().map_or(String::new(), |parent| [" through parent ", parent].concat())
}

export!(InternalOnly);

#[cfg(test)]
mod tests;
