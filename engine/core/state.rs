//! The state: what is on record, in persistent maps, so that a turn can fork it for the price of a few pointers.
//!
//! Everything derived (names, pools, residents) is kept in step by [`State::apply`], the only way to change it.

use crate::directory::Directory;
use crate::endpoint::{Endpoint, NetnsId};
use crate::host::Mode;
use crate::ids::{BootId, DecisionId, EndpointId, NetworkId, ParentId, PlanId, Timestamp};
use crate::ipam::Pool;
use crate::names::{Labels, Name};
use crate::network::{Network, ShieldWish};
use crate::parent::Parent;
use crate::plan::Plan;
use crate::policy::{Digest, Module, Policy};
use crate::ranges::Ranges;
use crate::record::{Edit, Loaded};
use crate::segment::{EXAMPLES_MAX, Fabric, GroupKey, Reach, Residents, Segment, reach};
use imbl::{OrdMap, OrdSet};
use ipnet::IpNet;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

/// What is on record. Forking is [`Clone`].
#[derive(Debug, Clone)]
pub struct State {
    /// This boot.
    pub boot: BootId,
    /// Number of the last decision.
    pub last_decision: u64,
    /// Number of the last event.
    pub last_event: u64,
    /// The last decision whose record is in an archive; 0 where there is none.
    pub archived_to: DecisionId,
    /// The last decision that changed a policy, or a later one.
    pub policies_changed: DecisionId,
    networks: OrdMap<NetworkId, Arc<Network>>,
    network_names: OrdMap<Name, NetworkId>,
    networks_by_caller: OrdMap<String, u32>,
    ranges: Ranges,
    parents: OrdMap<ParentId, Arc<Parent>>,
    networks_of: OrdMap<ParentId, OrdSet<NetworkId>>,
    parents_on: OrdMap<Segment, OrdSet<ParentId>>,
    endpoints: OrdMap<EndpointId, Arc<Endpoint>>,
    endpoints_of: OrdMap<NetworkId, OrdSet<EndpointId>>,
    endpoint_names: OrdMap<(NetworkId, Name), EndpointId>,
    directory: Directory,
    by_netns: OrdMap<NetnsId, OrdSet<EndpointId>>,
    pools: OrdMap<(NetworkId, usize), Pool>,
    held_back: OrdMap<(Timestamp, NetworkId, usize, IpAddr), ()>,
    held_until: OrdMap<(NetworkId, usize, IpAddr), Timestamp>,
    residents: OrdMap<Segment, OrdMap<GroupKey, Residents>>,
    residents_of: OrdMap<NetworkId, OrdMap<GroupKey, Residents>>,
    modules: OrdMap<Digest, Arc<Module>>,
    policies: OrdMap<Name, Arc<Policy>>,
    /// Every revision that a policy ever had, and its module.
    revisions: OrdMap<(Name, u64), Digest>,
    label_keys: Arc<BTreeSet<String>>,
    plans: OrdMap<PlanId, Arc<Plan>>,
}

impl State {
    /// Nothing on record.
    pub fn empty(boot: BootId) -> Self {
        Self {
            boot,
            last_decision: 0,
            last_event: 0,
            archived_to: DecisionId(0),
            policies_changed: DecisionId(0),
            networks: OrdMap::new(),
            network_names: OrdMap::new(),
            networks_by_caller: OrdMap::new(),
            ranges: Ranges::new(),
            parents: OrdMap::new(),
            networks_of: OrdMap::new(),
            parents_on: OrdMap::new(),
            endpoints: OrdMap::new(),
            endpoints_of: OrdMap::new(),
            endpoint_names: OrdMap::new(),
            directory: Directory::default(),
            by_netns: OrdMap::new(),
            pools: OrdMap::new(),
            held_back: OrdMap::new(),
            held_until: OrdMap::new(),
            residents: OrdMap::new(),
            residents_of: OrdMap::new(),
            modules: OrdMap::new(),
            policies: OrdMap::new(),
            revisions: OrdMap::new(),
            label_keys: Arc::default(),
            plans: OrdMap::new(),
        }
    }

    /// What a store read, in this boot.
    pub fn load(boot: BootId, loaded: Loaded) -> Self {
        let mut state = Self::empty(boot);
        state.last_decision = loaded.last_decision;
        state.last_event = loaded.last_event;
        state.archived_to = DecisionId(loaded.archived_to);
        state.revisions = loaded.revisions.into_iter().map(|(name, revision, module)| ((name, revision), module)).collect();
        let modules = loaded.modules.into_iter().map(|m| Edit::PutModule(Arc::new(m)));
        let policies = loaded.policies.into_iter().map(|p| Edit::PutPolicy(Arc::new(p)));
        let parents = loaded.parents.into_iter().map(|p| Edit::PutParent(Arc::new(p)));
        let networks = loaded.networks.into_iter().map(|n| Edit::PutNetwork(Arc::new(n)));
        let endpoints = loaded.endpoints.into_iter().map(|e| Edit::PutEndpoint(Arc::new(e)));
        let plans = loaded.plans.into_iter().map(|p| Edit::OpenPlan(Arc::new(p)));
        for edit in modules.chain(policies).chain(parents).chain(networks).chain(endpoints).chain(plans) {
            state.apply(&edit);
        }
        for (network, subnet, address, until) in loaded.held_back {
            if let Some(pool) = state.pools.get_mut(&(network, subnet)) {
                pool.take(address);
                state.hold(network, subnet, address, until);
            }
        }
        state
    }

    /// Applies one edit. Total: an edit that names what is not there changes nothing.
    pub fn apply(&mut self, edit: &Edit) {
        match edit {
            Edit::PutNetwork(network) => self.put_network(network),
            Edit::DropNetwork(id) => self.drop_network(*id),
            Edit::PutParent(parent) => {
                self.drop_parent(parent.id);
                self.parents_on.entry(parent.segment()).or_default().insert(parent.id);
                self.parents.insert(parent.id, Arc::clone(parent));
            }
            Edit::DropParent(id) => self.drop_parent(*id),
            Edit::PutEndpoint(endpoint) => self.put_endpoint(endpoint),
            Edit::DropEndpoint { id, free_at } => {
                if let Some(endpoint) = self.unlink_endpoint(*id) {
                    for a in &endpoint.addresses {
                        self.hold(endpoint.network, a.subnet, a.address, *free_at);
                    }
                }
            }
            Edit::OpenPlan(plan) => {
                self.plans.insert(plan.id, Arc::clone(plan));
            }
            Edit::ClosePlan(id) => {
                self.plans.remove(id);
            }
            Edit::PutModule(module) => {
                self.modules.insert(module.digest, Arc::clone(module));
            }
            Edit::DropModule(digest) => {
                self.modules.remove(digest);
            }
            Edit::PutPolicy(policy) => {
                self.revisions.insert((policy.name.clone(), policy.revision), policy.module);
                self.policies.insert(policy.name.clone(), Arc::clone(policy));
                self.policies_changed = DecisionId(self.last_decision);
                self.regroup();
            }
            Edit::DropPolicy(name) => {
                self.policies.remove(name);
                self.policies_changed = DecisionId(self.last_decision);
                self.regroup();
            }
            Edit::Archive(archive) => self.archived_to = archive.last,
        }
    }

    /// Frees addresses whose time has come; at most `limit`, so that a turn stays short.
    pub fn release_held(&mut self, now: Timestamp, limit: usize) {
        for _ in 0..limit {
            let Some((key, ())) = self.held_back.get_min().cloned() else { return };
            let (until, network, subnet, address) = key;
            if until > now {
                return;
            }
            self.let_go(network, subnet, address);
            if let Some(pool) = self.pools.get_mut(&(network, subnet)) {
                pool.give_back(address);
            }
        }
    }

    fn hold(&mut self, network: NetworkId, subnet: usize, address: IpAddr, until: Timestamp) {
        self.let_go(network, subnet, address);
        self.held_until.insert((network, subnet, address), until);
        self.held_back.insert((until, network, subnet, address), ());
    }

    fn let_go(&mut self, network: NetworkId, subnet: usize, address: IpAddr) {
        if let Some(until) = self.held_until.remove(&(network, subnet, address)) {
            self.held_back.remove(&(until, network, subnet, address));
        }
    }

    fn put_network(&mut self, network: &Arc<Network>) {
        // Its endpoints are counted by its labels, too.
        let relabelled = self.networks.get(&network.id).is_some_and(|before| before.labels != network.labels);
        let moved: Vec<Arc<Endpoint>> = if relabelled { self.endpoints_of(network.id).cloned().collect() } else { Vec::new() };
        moved.iter().for_each(|e| self.count_endpoint(e, false));
        let before = self.networks.insert(network.id, Arc::clone(network));
        match before {
            None => {
                *self.networks_by_caller.entry(network.created_by.clone()).or_default() += 1;
                self.endpoints_of.insert(network.id, OrdSet::new());
                for (i, subnet) in network.subnets.iter().enumerate() {
                    self.pools.insert((network.id, i), Pool::new(subnet));
                }
            }
            Some(ref before) => {
                self.network_names.remove(&before.name);
                self.count_network(before, false);
                before.subnets.iter().for_each(|s| self.ranges.remove(&s.cidr, before.id));
                if let Some(set) = self.networks_of.get_mut(&before.parent) {
                    set.remove(&before.id);
                }
            }
        }
        self.network_names.insert(network.name.clone(), network.id);
        self.networks_of.entry(network.parent).or_default().insert(network.id);
        network.subnets.iter().for_each(|s| self.ranges.add(&s.cidr, network.id));
        self.count_network(network, true);
        moved.iter().for_each(|e| self.count_endpoint(e, true));
        if before.is_some_and(|before| before.subnets != network.subnets) {
            self.refill_pools(network);
        }
    }

    /// What a changed subnet hands out from: all of it but what is taken or held back.
    fn refill_pools(&mut self, network: &Network) {
        for (i, subnet) in network.subnets.iter().enumerate() {
            let mut pool = Pool::new(subnet);
            let taken = self.endpoints_of(network.id).flat_map(|e| &e.addresses).filter(|a| a.subnet == i).map(|a| a.address);
            taken.for_each(|address| pool.take(address));
            let first = (network.id, i, IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED));
            let held = self.held_until.range(first..).take_while(|((n, s, _), _)| (*n, *s) == (network.id, i));
            held.for_each(|((_, _, address), _)| pool.take(*address));
            self.pools.insert((network.id, i), pool);
        }
    }

    fn drop_network(&mut self, id: NetworkId) {
        let Some(network) = self.networks.get(&id).cloned() else { return };
        let endpoints: Vec<EndpointId> = self.endpoints_of.get(&id).into_iter().flatten().copied().collect();
        for endpoint in endpoints {
            self.unlink_endpoint(endpoint);
        }
        self.count_network(&network, false);
        self.residents_of.remove(&id);
        network.subnets.iter().for_each(|s| self.ranges.remove(&s.cidr, id));
        self.networks.remove(&id);
        self.network_names.remove(&network.name);
        self.endpoints_of.remove(&id);
        if let Some(set) = self.networks_of.get_mut(&network.parent) {
            set.remove(&id);
        }
        if let Some(count) = self.networks_by_caller.get_mut(&network.created_by) {
            *count = count.saturating_sub(1);
        }
        for i in 0..network.subnets.len() {
            self.pools.remove(&(id, i));
        }
        let held: Vec<_> = self.held_back_of(id).collect();
        for (subnet, address, _) in held {
            self.let_go(id, subnet, address);
        }
    }

    fn drop_parent(&mut self, id: ParentId) {
        if let Some(parent) = self.parents.remove(&id)
            && let Some(set) = self.parents_on.get_mut(&parent.segment())
        {
            set.remove(&id);
        }
    }

    fn put_endpoint(&mut self, endpoint: &Arc<Endpoint>) {
        self.unlink_endpoint(endpoint.id);
        self.endpoints.insert(endpoint.id, Arc::clone(endpoint));
        self.endpoints_of.entry(endpoint.network).or_default().insert(endpoint.id);
        self.directory.add(endpoint);
        self.by_netns.entry(endpoint.netns.id).or_default().insert(endpoint.id);
        if let Some(name) = &endpoint.name {
            self.endpoint_names.insert((endpoint.network, name.clone()), endpoint.id);
        }
        for a in &endpoint.addresses {
            // One that was held back and is handed out before its time must not be given back when that time comes.
            self.let_go(endpoint.network, a.subnet, a.address);
            if let Some(pool) = self.pools.get_mut(&(endpoint.network, a.subnet)) {
                pool.take(a.address);
            }
        }
        self.count_endpoint(endpoint, true);
    }

    /// Addresses stay taken: a caller puts the endpoint again, or holds them back.
    fn unlink_endpoint(&mut self, id: EndpointId) -> Option<Arc<Endpoint>> {
        let endpoint = self.endpoints.remove(&id)?;
        self.count_endpoint(&endpoint, false);
        self.directory.remove(&endpoint);
        if let Some(set) = self.endpoints_of.get_mut(&endpoint.network) {
            set.remove(&id);
        }
        if let Some(set) = self.by_netns.get_mut(&endpoint.netns.id) {
            set.remove(&id);
            if set.is_empty() {
                self.by_netns.remove(&endpoint.netns.id);
            }
        }
        if let Some(name) = &endpoint.name {
            self.endpoint_names.remove(&(endpoint.network, name.clone()));
        }
        Some(endpoint)
    }

    fn count_network(&mut self, network: &Network, add: bool) {
        let Some(segment) = self.segment_of(network) else { return };
        let key = GroupKey { network: network.labels.project(&self.label_keys), workload: Labels::default() };
        self.count((segment, network.id), &key, network.name.as_str(), add, |r| &mut r.networks);
    }

    fn count_endpoint(&mut self, endpoint: &Endpoint, add: bool) {
        let Some(network) = self.networks.get(&endpoint.network).cloned() else { return };
        let Some(segment) = self.segment_of(&network) else { return };
        let key =
            GroupKey { network: network.labels.project(&self.label_keys), workload: endpoint.workload.labels.project(&self.label_keys) };
        self.count((segment, network.id), &key, &endpoint.workload.name, add, |r| &mut r.endpoints);
    }

    /// Counts on the segment and in the network.
    fn count(
        &mut self,
        (segment, network): (Segment, NetworkId),
        key: &GroupKey,
        example: &str,
        add: bool,
        which: impl Fn(&mut Residents) -> &mut u32,
    ) {
        for groups in [self.residents.entry(segment).or_default(), self.residents_of.entry(network).or_default()] {
            let group = groups.entry(key.clone()).or_default();
            let count = which(group);
            if add {
                *count += 1;
                if group.examples.len() < EXAMPLES_MAX && !group.examples.iter().any(|e| e == example) {
                    group.examples.push(example.to_owned());
                }
            } else {
                *count = count.saturating_sub(1);
                group.examples.retain(|e| e != example);
                if group.networks == 0 && group.endpoints == 0 {
                    groups.remove(key);
                }
            }
        }
    }

    /// Groups residents anew when policies look at other label keys than before.
    fn regroup(&mut self) {
        let keys: BTreeSet<String> = self.policies.values().flat_map(|p| p.keys()).collect();
        if keys == *self.label_keys {
            return;
        }
        self.label_keys = Arc::new(keys);
        (self.residents, self.residents_of) = (OrdMap::new(), OrdMap::new());
        let networks: Vec<Arc<Network>> = self.networks.values().cloned().collect();
        networks.iter().for_each(|n| self.count_network(n, true));
        let endpoints: Vec<Arc<Endpoint>> = self.endpoints.values().cloned().collect();
        endpoints.iter().for_each(|e| self.count_endpoint(e, true));
    }

    // ---- looking up ------------------------------------------------------------------------------------------------

    /// A network by name or id; a name goes first.
    pub fn network(&self, name_or_id: &str) -> Option<&Arc<Network>> {
        let by_name = Name::new(name_or_id).ok().and_then(|n| self.network_names.get(&n).copied());
        self.networks.get(&by_name.or_else(|| name_or_id.parse().ok())?)
    }
    /// A network by id.
    pub fn network_by_id(&self, id: NetworkId) -> Option<&Arc<Network>> {
        self.networks.get(&id)
    }
    /// All networks, by id.
    pub fn networks(&self) -> impl Iterator<Item = &Arc<Network>> {
        self.networks.values()
    }
    /// Names of all networks, sorted.
    pub fn network_names(&self) -> impl Iterator<Item = &Name> {
        self.network_names.keys()
    }
    /// How many networks `caller` has made.
    pub fn networks_made_by(&self, caller: &str) -> u32 {
        self.networks_by_caller.get(caller).copied().unwrap_or_default()
    }
    /// A parent by id.
    pub fn parent(&self, id: ParentId) -> Option<&Arc<Parent>> {
        self.parents.get(&id)
    }
    /// All parents, by id.
    pub fn parents(&self) -> impl Iterator<Item = &Arc<Parent>> {
        self.parents.values()
    }
    /// The networks of a parent.
    pub fn networks_of(&self, parent: ParentId) -> impl Iterator<Item = &Arc<Network>> {
        self.networks_of.get(&parent).into_iter().flatten().filter_map(|id| self.networks.get(id))
    }
    /// An endpoint by id.
    pub fn endpoint_by_id(&self, id: EndpointId) -> Option<&Arc<Endpoint>> {
        self.endpoints.get(&id)
    }
    /// An endpoint of a network by name or id; a name goes first.
    pub fn endpoint(&self, network: NetworkId, name_or_id: &str) -> Option<&Arc<Endpoint>> {
        let by_name = Name::new(name_or_id).ok().and_then(|n| self.endpoint_names.get(&(network, n)).copied());
        self.endpoints.get(&by_name.or_else(|| name_or_id.parse().ok())?).filter(|e| e.network == network)
    }
    /// All endpoints, by id.
    pub fn endpoints(&self) -> impl Iterator<Item = &Arc<Endpoint>> {
        self.endpoints.values()
    }
    /// The endpoints of a network, by id.
    pub fn endpoints_of(&self, network: NetworkId) -> impl Iterator<Item = &Arc<Endpoint>> {
        self.endpoints_of.get(&network).into_iter().flatten().filter_map(|id| self.endpoints.get(id))
    }
    /// How many endpoints a network has.
    pub fn endpoint_count(&self, network: NetworkId) -> usize {
        self.endpoints_of.get(&network).map_or(0, OrdSet::len)
    }
    /// How many endpoints there are.
    pub fn endpoints_len(&self) -> usize {
        self.endpoints.len()
    }
    /// Who is called what on which network.
    pub fn directory(&self) -> &Directory {
        &self.directory
    }
    /// The endpoints in a namespace.
    pub fn in_netns(&self, netns: NetnsId) -> impl Iterator<Item = &Arc<Endpoint>> {
        self.by_netns.get(&netns).into_iter().flatten().filter_map(|id| self.endpoints.get(id))
    }
    /// The namespaces that have endpoints.
    pub fn namespaces(&self) -> impl Iterator<Item = &NetnsId> {
        self.by_netns.keys()
    }
    /// What a subnet of a network hands out from.
    pub fn pool(&self, network: NetworkId, subnet: usize) -> Option<&Pool> {
        self.pools.get(&(network, subnet))
    }
    /// Addresses that are held back: network, subnet's number, address, until when.
    pub fn held_back(&self) -> impl Iterator<Item = (NetworkId, usize, IpAddr, Timestamp)> {
        self.held_back.keys().map(|(t, n, s, a)| (*n, *s, *a, *t))
    }
    /// Those of one network: subnet's number, address, until when.
    pub fn held_back_of(&self, network: NetworkId) -> impl Iterator<Item = (usize, IpAddr, Timestamp)> {
        let first = (network, 0, IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED));
        self.held_until.range(first..).take_while(move |((n, ..), _)| *n == network).map(|((_, s, a), until)| (*s, *a, *until))
    }
    /// The held-back address of a subnet that has waited longest, of those that are handed out without being named: the one to
    /// hand out when nothing else is left.
    pub fn oldest_held(&self, network: NetworkId, subnet: usize) -> Option<IpAddr> {
        let range = self.pool(network, subnet)?.subnet.ip_range;
        let fits = |a: &IpAddr| range.is_none_or(|r| r.contains(a));
        self.held_back.keys().find(|(_, n, s, a)| (*n, *s) == (network, subnet) && fits(a)).map(|(_, _, _, a)| *a)
    }
    /// Whether an address is held back.
    pub fn is_held(&self, network: NetworkId, subnet: usize, address: IpAddr) -> bool {
        self.held_until.contains_key(&(network, subnet, address))
    }
    /// A module.
    pub fn module(&self, digest: Digest) -> Option<&Arc<Module>> {
        self.modules.get(&digest)
    }
    /// All modules.
    pub fn modules(&self) -> impl Iterator<Item = &Arc<Module>> {
        self.modules.values()
    }
    /// A policy.
    pub fn policy(&self, name: &str) -> Option<&Arc<Policy>> {
        self.policies.get(&Name::new(name).ok()?)
    }
    /// All policies, by name.
    pub fn policies(&self) -> impl Iterator<Item = &Arc<Policy>> {
        self.policies.values()
    }
    /// Number of the last revision that a policy of this name had, also one that is gone; 0 where there was none.
    pub fn last_revision(&self, policy: &Name) -> u64 {
        let all = (policy.clone(), 0)..=(policy.clone(), u64::MAX);
        self.revisions.range(all).next_back().map_or(0, |((_, revision), _)| *revision)
    }
    /// An open plan.
    pub fn plan(&self, id: PlanId) -> Option<&Arc<Plan>> {
        self.plans.get(&id)
    }
    /// All open plans, oldest first.
    pub fn plans(&self) -> impl Iterator<Item = &Arc<Plan>> {
        self.plans.values()
    }
    /// The number that the next decision gets.
    pub fn next_decision(&self) -> DecisionId {
        DecisionId(self.last_decision + 1)
    }

    // ---- segments --------------------------------------------------------------------------------------------------

    /// The segment of a network.
    pub fn segment_of(&self, network: &Network) -> Option<Segment> {
        self.parents.get(&network.parent).map(|p| p.segment())
    }
    /// The residents of a segment, grouped by the label keys that any policy looks at.
    pub fn residents<'a>(&'a self, segment: &Segment) -> impl Iterator<Item = (&'a GroupKey, &'a Residents)> + use<'a> {
        self.residents.get(segment).into_iter().flatten()
    }
    /// A network itself and its endpoints, grouped likewise.
    pub fn residents_of(&self, network: NetworkId) -> impl Iterator<Item = (&GroupKey, &Residents)> {
        self.residents_of.get(&network).into_iter().flatten()
    }
    /// The networks with a subnet that has an address in common with one of `cidrs`, by id.
    pub fn overlapping<'a>(&self, cidrs: impl Iterator<Item = &'a IpNet>) -> impl Iterator<Item = &Arc<Network>> {
        let ids: BTreeSet<NetworkId> = cidrs.flat_map(|cidr| self.ranges.overlapping(cidr)).collect();
        ids.into_iter().filter_map(|id| self.networks.get(&id))
    }
    /// The networks on a segment.
    pub fn networks_on<'a>(&'a self, segment: &Segment) -> impl Iterator<Item = &'a Arc<Network>> + use<'a> {
        self.parents_on.get(segment).into_iter().flatten().flat_map(|p| self.networks_of(*p))
    }
    /// Segments that `segment` reaches or that reach it, were there a network of `mode` on it whose parent is `shielded` or not.
    /// `is_shielded` tells of the parents on record.
    pub fn reached(&self, segment: &Segment, mode: Mode, shielded: bool, is_shielded: impl Fn(&Parent) -> bool) -> Vec<Segment> {
        let Fabric::Wired(_) = &segment.fabric else { return Vec::new() };
        if reach(segment, mode, shielded) != Reach::None {
            return self.parents_on.keys().filter(|s| s.fabric == segment.fabric && *s != segment).cloned().collect();
        }
        // What reaches others is untagged, so there is one segment that could reach this one, however many there are.
        let untagged = Segment { fabric: segment.fabric.clone(), vlan: None };
        let inwards = untagged != *segment
            && self.parents_on.get(&untagged).into_iter().flatten().filter_map(|p| self.parents.get(p)).any(|p| {
                let used = self.networks_of.get(&p.id).is_some_and(|n| !n.is_empty());
                used && reach(&untagged, p.mode, is_shielded(p)) != Reach::None
            });
        if inwards { vec![untagged] } else { Vec::new() }
    }
    /// Whether all networks of a parent want its shield.
    pub fn shield_wanted(&self, parent: ParentId) -> bool {
        self.networks_of(parent).all(|n| n.shield == ShieldWish::On)
    }
}
