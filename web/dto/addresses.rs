//! The addresses of a network, and what each is.

use crate::time::rfc3339;
use bulkhead_core::ipam;
use bulkhead_core::network::Network;
use bulkhead_core::state::State;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// A subnet's addresses.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = SubnetAddresses)]
pub struct SubnetAddressesBody {
    /// The range.
    #[schema(example = "192.168.1.0/24")]
    pub cidr: String,
    /// The address held for the gateway.
    pub gateway: Option<String>,
    /// The part that addresses are handed out from by themselves.
    pub ip_range: Option<String>,
    /// Addresses that are never handed out, by what they are reserved for.
    pub reserved: BTreeMap<String, String>,
    /// The address that the next attach would be given.
    pub next: Option<String>,
    /// Those that endpoints have, in order.
    pub used: Vec<UsedAddressBody>,
    /// Those that were freed a short while ago: handed out only when nothing else is left.
    pub held_back: Vec<HeldBackBody>,
    /// Those that a request may name, as ranges, in order. By themselves only those in `ip_range` are handed out.
    pub free: Vec<RangeBody>,
    /// How many are left to hand out; a text, as it may exceed what numbers hold.
    #[schema(example = "126")]
    pub addresses_left: String,
}

/// An address that an endpoint has.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = UsedAddress)]
pub struct UsedAddressBody {
    /// The address.
    pub address: String,
    /// Id of the endpoint.
    pub endpoint: String,
    /// The endpoint's name on the network.
    pub name: Option<String>,
    /// Name of the workload.
    pub workload: String,
    /// `attaching`, `attached`, `detaching` or `failed`.
    pub state: String,
    /// Since when.
    pub since: String,
    /// Number of the decision that allowed it.
    pub decision: u64,
}

/// An address that is held back.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = HeldBack)]
pub struct HeldBackBody {
    /// The address.
    pub address: String,
    /// Until when.
    pub until: String,
}

/// A range of addresses.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = AddressRange)]
pub struct RangeBody {
    /// The first.
    pub first: String,
    /// The last; the first where it is one.
    pub last: String,
}

/// The addresses of a network, a subnet each.
pub fn show(state: &State, network: &Network) -> Vec<SubnetAddressesBody> {
    let held: Vec<_> = state.held_back_of(network.id).collect();
    let subnet_of = |(number, subnet): (usize, &bulkhead_core::network::Subnet)| {
        let pool = state.pool(network.id, number);
        let mut used: Vec<_> = state
            .endpoints_of(network.id)
            .flat_map(|e| e.addresses.iter().filter(|a| a.subnet == number).map(move |a| (a.address, e)))
            .collect();
        used.sort_by_key(|(address, _)| *address);
        let range = |(first, last): (u128, u128)| RangeBody {
            first: ipam::address(&subnet.cidr, first).to_string(),
            last: ipam::address(&subnet.cidr, last).to_string(),
        };
        SubnetAddressesBody {
            cidr: subnet.cidr.to_string(),
            gateway: subnet.gateway.map(|g| g.to_string()),
            ip_range: subnet.ip_range.map(|r| r.to_string()),
            reserved: subnet.reserved.iter().map(|(what, address)| (what.clone(), address.to_string())).collect(),
            next: pool.and_then(|p| p.next()).map(|a| a.to_string()),
            used: used
                .into_iter()
                .map(|(address, e)| UsedAddressBody {
                    address: address.to_string(),
                    endpoint: e.id.to_string(),
                    name: e.name.as_ref().map(ToString::to_string),
                    workload: e.workload.name.clone(),
                    state: super::endpoint::state_of(e).0.to_owned(),
                    since: rfc3339(e.created_at),
                    decision: e.decision.0,
                })
                .collect(),
            held_back: held
                .iter()
                .filter(|(n, ..)| *n == number)
                .map(|(_, address, until)| HeldBackBody { address: address.to_string(), until: rfc3339(*until) })
                .collect(),
            free: pool.into_iter().flat_map(|p| p.free()).map(range).collect(),
            addresses_left: pool.map_or(0, |p| p.left()).to_string(),
        }
    };
    network.subnets.iter().enumerate().map(subnet_of).collect()
}
