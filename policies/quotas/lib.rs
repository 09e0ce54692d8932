//! Quotas: how many networks a caller may have, and how many endpoints a network. What is not set is not limited.

use bulkhead_policy_sdk::*;

const NETWORKS: &str = "networks-per-caller";
const ENDPOINTS: &str = "endpoints-per-network";

/// JSON Schema of the settings.
pub const SCHEMA: &str = include_str!("settings.schema.json");

/// The policy with its settings.
#[derive(Debug, Clone, Default)]
pub struct Quotas {
    networks_per_caller: Option<u32>,
    endpoints_per_network: Option<u32>,
}

impl Policy for Quotas {
    fn describe(&self) -> Description {
        description("quotas", "1.0.0", "A caller has no more networks, and a network no more endpoints, than the settings say")
            .judges(&[Operation::CreateNetwork, Operation::Attach])
            .rule(NETWORKS, "A caller has no more networks that it made than the settings say", &[])
            .rule(ENDPOINTS, "A network has no more endpoints than the settings say", &[])
            .schema(SCHEMA)
    }

    fn configure(settings: Node<'_>, faults: &mut Faults) -> Self {
        let Some(settings) = settings.object(&["networks_per_caller", "endpoints_per_network"], faults) else { return Self::default() };
        let mut quota = |key: &str| settings.get(key)?.integer(0..=u32::MAX, faults);
        Self { networks_per_caller: quota("networks_per_caller"), endpoints_per_network: quota("endpoints_per_network") }
    }

    fn evaluate(&self, request: &Request) -> Opinion {
        let (caller, network) = (&request.caller, &request.network);
        // Both counts are of what is on record, without what is asked for.
        match request.operation {
            Operation::CreateNetwork => Opinion::deny(over(self.networks_per_caller, caller.networks).map(|max| {
                let has = count(caller.networks, "network");
                let message = [&caller.name, " has made ", &*has, " that still exist, and may have ", &max.to_string()].concat();
                let remedy = "delete one of them that is no longer needed; or have the policy's networks_per_caller raised";
                violation(NETWORKS, message).field("caller.networks").remedy(remedy)
            })),
            Operation::Attach => Opinion::deny(over(self.endpoints_per_network, network.endpoints).map(|max| {
                let has = count(network.endpoints, "endpoint");
                let message = ["network ", &network.name, " has ", &*has, ", and may have ", &max.to_string()].concat();
                let remedy =
                    "attach to another network, or detach what is no longer needed; or have the policy's endpoints_per_network raised";
                violation(ENDPOINTS, message).field("network.endpoints").remedy(remedy)
            })),
            Operation::ChangeNetwork | Operation::DeleteNetwork | Operation::ChangeWorkload | Operation::Detach => {
                Opinion::not_applicable()
            }
        }
    }
}

/// The quota, if `has` leaves no room for one more.
fn over(quota: Option<u32>, has: u32) -> Option<u32> {
    quota.filter(|max| has >= *max)
}

/// Such as `1 network`, `20 networks`.
fn count(n: u32, what: &str) -> String {
    [&*n.to_string(), " ", what, if n == 1 { "" } else { "s" }].concat()
}

export!(Quotas);

#[cfg(test)]
mod tests;
