//! A record of networks and endpoints, made by the edits that decisions make, and questions to it.
#![allow(clippy::unwrap_used, dead_code)] // A test that panics says where, and not every program needs all of it.

use bulkhead_core::endpoint::{Assigned, Endpoint, EndpointState, Netns, NetnsId, Workload};
use bulkhead_core::host::{Flag, IfIndex, Mode};
use bulkhead_core::ids::{BootId, DecisionId, EndpointId, NetworkId, ParentId, Timestamp};
use bulkhead_core::names::{Labels, LinkName, Name};
use bulkhead_core::network::{DnsForward, Network, NetworkState, ShieldWish, Subnet};
use bulkhead_core::policy::Provenance;
use bulkhead_core::record::Edit;
use bulkhead_core::state::State;
use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{Name as DnsName, RecordType};
use std::collections::BTreeMap;
use std::sync::Arc;

pub const BOOT: BootId = BootId(1);

pub struct Site {
    pub state: State,
    endpoints: u128,
}

pub fn netns(cookie: u64) -> NetnsId {
    NetnsId { cookie, boot: BOOT }
}

impl Site {
    pub fn new() -> Self {
        Self { state: State::empty(BOOT), endpoints: 0 }
    }

    /// A network with these subnets, cut off where it has no parent.
    pub fn network(&mut self, name: &str, parent: Option<&str>, dns_forward: DnsForward, subnets: &[&str]) -> NetworkId {
        let id = NetworkId(self.state.networks().count() as u128 + 1);
        let subnet = |cidr: &&str| Subnet { cidr: cidr.parse().unwrap(), gateway: None, ip_range: None, reserved: BTreeMap::new() };
        let network = Network {
            id,
            name: Name::new(name).unwrap(),
            mode: Mode::L2,
            flag: Flag::Bridge,
            parent_asked: parent.map(str::to_owned),
            parent: ParentId(id.0),
            internal: parent.is_none(),
            mtu: None,
            accept_ra: false,
            shield: ShieldWish::On,
            dns_forward,
            subnets: subnets.iter().map(subnet).collect(),
            labels: Labels::default(),
            created_by: "test".into(),
            created_at: Timestamp(0),
            decision: DecisionId(1),
            state: NetworkState::Ready,
        };
        self.state.apply(&Edit::PutNetwork(Arc::new(network)));
        id
    }

    /// An endpoint in namespace `cookie`, attached. `workload` is its workload's name.
    pub fn attach(&mut self, network: NetworkId, cookie: u64, name: Option<&str>, workload: &str, addresses: &[&str]) -> EndpointId {
        self.endpoints += 1;
        let endpoint = Endpoint {
            id: EndpointId(self.endpoints),
            network,
            name: name.map(|n| Name::new(n).unwrap()),
            aliases: Vec::new(),
            workload: Workload {
                id: cookie.to_string(),
                name: workload.into(),
                labels: Labels::default(),
                provenance: Provenance::Unknown,
                capabilities: None,
            },
            netns: Netns { id: netns(cookie), inode: cookie, named: format!("/run/netns/{cookie}") },
            link: LinkName::new("eth0").unwrap(),
            index: IfIndex(7),
            addresses: addresses.iter().map(|a| Assigned { subnet: 0, address: a.parse().unwrap() }).collect(),
            routes: Vec::new(),
            asked_addresses: Vec::new(),
            failing_since: None,
            created_by: "test".into(),
            created_by_uid: None,
            created_at: Timestamp(0),
            decision: DecisionId(1),
            state: EndpointState::Attached,
        };
        self.state.apply(&Edit::PutEndpoint(Arc::new(endpoint)));
        EndpointId(self.endpoints)
    }

    /// Changes an endpoint on record.
    pub fn change(&mut self, id: EndpointId, change: impl FnOnce(&mut Endpoint)) {
        let mut endpoint = (**self.state.endpoint_by_id(id).unwrap()).clone();
        change(&mut endpoint);
        self.state.apply(&Edit::PutEndpoint(Arc::new(endpoint)));
    }

    pub fn drop(&mut self, id: EndpointId) {
        self.state.apply(&Edit::DropEndpoint { id, free_at: Timestamp(1) });
    }
}

pub fn question(name: &str, kind: RecordType) -> Message {
    let mut message = Message::new(4711, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    message.add_query(Query::query(DnsName::from_ascii(name).unwrap(), kind));
    message
}

/// What an answer says: its code, and what its records hold.
pub fn said(answer: &[u8]) -> (ResponseCode, Vec<String>) {
    let answer = Message::from_vec(answer).unwrap();
    (answer.metadata.response_code, answer.answers.iter().map(|r| r.data.to_string()).collect())
}
