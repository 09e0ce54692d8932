//! Who is called what: the names and addresses of endpoints, by network, as their neighbours ask for them. [`State`](crate::state::State)
//! keeps it in step with the endpoints; what a given namespace may look up is said where the questions come in.
//!
//! Names are compared as DNS compares them, without case (RFC 4343), and only those are kept that a question can spell.

use crate::endpoint::Endpoint;
use crate::ids::{EndpointId, NetworkId};
use imbl::{OrdMap, OrdSet};
use std::net::IpAddr;
use std::sync::Arc;

type Index = OrdMap<(NetworkId, Arc<str>), OrdSet<EndpointId>>;

/// The names and addresses of all endpoints.
#[derive(Debug, Clone, Default)]
pub struct Directory {
    /// Names of endpoints: one each, as an attach refuses a second.
    own: Index,
    /// Aliases, and names of workloads: several endpoints may have the same.
    shared: Index,
    addresses: OrdMap<(NetworkId, IpAddr), EndpointId>,
}

impl Directory {
    pub(crate) fn add(&mut self, endpoint: &Endpoint) {
        let id = endpoint.id;
        each_name(endpoint, |is_own, key| {
            self.index(is_own).entry(key).or_default().insert(id);
        });
        for a in &endpoint.addresses {
            self.addresses.insert((endpoint.network, a.address), id);
        }
    }

    pub(crate) fn remove(&mut self, endpoint: &Endpoint) {
        let id = endpoint.id;
        each_name(endpoint, |is_own, key| {
            let index = self.index(is_own);
            if let Some(set) = index.get_mut(&key) {
                set.remove(&id);
                if set.is_empty() {
                    index.remove(&key);
                }
            }
        });
        for a in &endpoint.addresses {
            let key = (endpoint.network, a.address);
            if self.addresses.get(&key) == Some(&id) {
                self.addresses.remove(&key);
            }
        }
    }

    fn index(&mut self, is_own: bool) -> &mut Index {
        if is_own { &mut self.own } else { &mut self.shared }
    }

    /// The endpoints of a network that have this name as their own. `name` is in lower case.
    pub fn own(&self, network: NetworkId, name: &str) -> impl Iterator<Item = EndpointId> {
        self.own.get(&(network, name.into())).into_iter().flatten().copied()
    }

    /// The endpoints of a network that have this alias, or serve a workload of this name. `name` is in lower case.
    pub fn shared(&self, network: NetworkId, name: &str) -> impl Iterator<Item = EndpointId> {
        self.shared.get(&(network, name.into())).into_iter().flatten().copied()
    }

    /// The endpoint that has an address on a network.
    pub fn at(&self, network: NetworkId, address: IpAddr) -> Option<EndpointId> {
        self.addresses.get(&(network, address)).copied()
    }
}

/// All names of an endpoint, and which is its own.
fn each_name(endpoint: &Endpoint, mut put: impl FnMut(bool, (NetworkId, Arc<str>))) {
    let mut put = |is_own, name: &str| {
        if can_be_asked(name) {
            put(is_own, (endpoint.network, name.to_ascii_lowercase().into()));
        }
    };
    if let Some(name) = &endpoint.name {
        put(true, name.as_str());
    }
    put(false, &endpoint.workload.name);
    endpoint.aliases.iter().for_each(|alias| put(false, alias.as_str()));
}

/// Whether a question can spell it: labels of 1 to 63 bytes, at most 253 in all (RFC 1035, 2.3.4), of the letters that names of ours have.
pub fn can_be_asked(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    name.len() <= 253 && name.split('.').all(|label| (1..=63).contains(&label.len()) && label.bytes().all(plain))
}

#[cfg(test)]
mod tests {
    use super::can_be_asked;

    #[test]
    fn what_no_question_can_spell_is_not_kept() {
        for good in ["ipv1", "DB_1", "a.b.c", "0", &"x".repeat(63)] {
            assert!(can_be_asked(good), "{good:?}");
        }
        for bad in ["", ".", "a..b", "a.", "db 1", "é", &"x".repeat(64), &format!("{}a", "x.".repeat(127))] {
            assert!(!can_be_asked(bad), "{bad:?}");
        }
    }
}
