//! What is written is what is read back: random turns against the core's own state.

#![allow(clippy::unwrap_used, reason = "a test: its helpers, too, may panic")]

mod sample;

use bulkhead_core::endpoint::{Assigned, EndpointState};
use bulkhead_core::ids::{BootId, NetworkId, Timestamp};
use bulkhead_core::network::NetworkState;
use bulkhead_core::parent::ParentState;
use bulkhead_core::plan::Purpose;
use bulkhead_core::policy::PolicyMode;
use bulkhead_core::record::{Batch, Edit, Loaded, Store};
use bulkhead_core::state::State;
use bulkhead_store::SqliteStore;
use proptest::prelude::*;
use std::net::IpAddr;
use std::sync::Arc;

/// What may happen, as far as it makes sense in the state that it meets.
#[derive(Debug, Clone)]
enum Op {
    Parent { n: u64, lost: bool },
    NoParent { n: u64 },
    Network { n: u64, parent: u64, why: Option<String> },
    NoNetwork { n: u64 },
    Attach { n: u64, network: u64, host: u64, both: bool },
    Move { n: u64, to: u8 },
    Detach { n: u64, free_at: u64 },
    Open { n: u64, of: u64 },
    Close { n: u64 },
    Module { n: u8, built_in: bool },
    NoModule { n: u8 },
    Policy { name: String, module: u8, revision: u64 },
    NoPolicy { name: String },
}

fn op() -> impl Strategy<Value = Op> {
    let why = prop::option::of("[ -~é🧱\\x00\\n\"\\\\]{0,12}");
    let name = prop::sample::select(vec!["tier-isolation", "subnet-rules", "mine"]).prop_map(str::to_owned);
    prop_oneof![
        2 => (0..4u64, any::<bool>()).prop_map(|(n, lost)| Op::Parent { n, lost }),
        1 => (0..4u64).prop_map(|n| Op::NoParent { n }),
        3 => (0..4u64, 0..4u64, why).prop_map(|(n, parent, why)| Op::Network { n, parent, why }),
        1 => (0..4u64).prop_map(|n| Op::NoNetwork { n }),
        8 => (0..12u64, 0..4u64, 16..24u64, any::<bool>()).prop_map(|(n, network, host, both)| Op::Attach { n, network, host, both }),
        3 => (0..12u64, 0..4u8).prop_map(|(n, to)| Op::Move { n, to }),
        6 => (0..12u64, 0..1000u64).prop_map(|(n, free_at)| Op::Detach { n, free_at }),
        2 => (0..6u64, 0..12u64).prop_map(|(n, of)| Op::Open { n, of }),
        2 => (0..6u64).prop_map(|n| Op::Close { n }),
        1 => (1..4u8, any::<bool>()).prop_map(|(n, built_in)| Op::Module { n, built_in }),
        1 => (1..4u8).prop_map(|n| Op::NoModule { n }),
        1 => (name.clone(), 1..4u8, 1..9u64).prop_map(|(name, module, revision)| Op::Policy { name, module, revision }),
        1 => name.prop_map(|name| Op::NoPolicy { name }),
    ]
}

/// The edit that an operation makes in this state, if the engine would make one.
fn edit(state: &State, op: &Op, batch: &mut Batch) -> Option<Edit> {
    Some(match op {
        Op::Parent { n, lost } => {
            let mut parent = sample::parent(*n);
            parent.state = if *lost { ParentState::Lost } else { ParentState::Present };
            Edit::PutParent(Arc::new(parent))
        }
        Op::NoParent { n } => {
            let id = sample::parent_id(*n);
            if state.networks_of(id).next().is_some() {
                return None;
            }
            Edit::DropParent(id)
        }
        Op::Network { n, parent, why } => {
            let parent = sample::parent_id(*parent);
            state.parent(parent)?;
            let mut network = sample::network(*n, parent);
            // A network keeps its parent.
            if let Some(before) = state.network_by_id(network.id) {
                network.parent = before.parent;
            }
            if let Some(why) = why {
                network.state = NetworkState::Degraded { why: why.clone() };
            }
            Edit::PutNetwork(Arc::new(network))
        }
        Op::NoNetwork { n } => Edit::DropNetwork(sample::network_id(*n)),
        Op::Attach { n, network, host, both } => {
            let id = sample::network_id(*network);
            state.network_by_id(id)?;
            let mut addresses = vec![Assigned { subnet: 0, address: sample::v4(*network, *host) }];
            addresses.extend(both.then(|| Assigned { subnet: 1, address: sample::v6(*network, *host) }));
            // Held back or free, as the engine's own check.
            let may = |a: &Assigned| state.pool(id, a.subnet).unwrap().is_free(a.address) || state.is_held(id, a.subnet, a.address);
            if state.endpoint_by_id(sample::endpoint_id(*n)).is_some() || !addresses.iter().all(may) {
                return None;
            }
            Edit::PutEndpoint(Arc::new(sample::endpoint(*n, *network, addresses, EndpointState::Attaching { plan: sample::plan_id(*n) })))
        }
        Op::Move { n, to } => {
            let mut endpoint = (**state.endpoint_by_id(sample::endpoint_id(*n))?).clone();
            endpoint.state = match to {
                0 => EndpointState::Attaching { plan: sample::plan_id(*n) },
                1 => EndpointState::Attached,
                2 => EndpointState::Detaching { plan: sample::plan_id(*n) },
                _ => EndpointState::Failed { why: "RTM_NEWLINK: \"File exists\"\n\u{0}".into(), at: Timestamp(9) },
            };
            Edit::PutEndpoint(Arc::new(endpoint))
        }
        Op::Detach { n, free_at } => Edit::DropEndpoint { id: sample::endpoint_id(*n), free_at: Timestamp(sample::NOW.0 + free_at) },
        Op::Open { n, of } => {
            let endpoint = state.endpoint_by_id(sample::endpoint_id(*of))?;
            let mut plan = sample::attach_plan(*n, endpoint);
            plan.purpose = if n % 2 == 0 { Purpose::HealEndpoint(endpoint.id) } else { Purpose::Attach(endpoint.id) };
            Edit::OpenPlan(Arc::new(plan))
        }
        Op::Close { n } => {
            batch.settlements.push(sample::end(*n, "done"));
            Edit::ClosePlan(sample::plan_id(*n))
        }
        Op::Module { n, built_in } => {
            // A module that is there already comes without its bytes.
            if state.module(sample::digest(*n)).is_none() {
                batch.module_bytes.push((sample::digest(*n), Arc::from([*n; 4])));
            }
            Edit::PutModule(Arc::new(sample::module(*n, *built_in)))
        }
        Op::NoModule { n } => {
            if state.policies().any(|p| p.module == sample::digest(*n)) {
                return None;
            }
            Edit::DropModule(sample::digest(*n))
        }
        Op::Policy { name, module, revision } => {
            state.module(sample::digest(*module))?;
            let mode = [PolicyMode::Enforce, PolicyMode::Audit, PolicyMode::Off][*revision as usize % 3];
            let next = state.last_revision(&sample::policy(name, *module, 1, mode).name) + 1;
            Edit::PutPolicy(Arc::new(sample::policy(name, *module, next, mode)))
        }
        Op::NoPolicy { name } => Edit::DropPolicy(state.policy(name)?.name.clone()),
    })
}

type Held = Vec<(NetworkId, usize, IpAddr, Timestamp)>;

fn held(state: &State) -> Held {
    let mut held: Held = state.held_back().collect();
    held.sort();
    held
}

/// Compares all that is on record; what is derived from it follows.
fn assert_same(read: &State, memory: &State) {
    assert!(read.networks().eq(memory.networks()));
    assert!(read.parents().eq(memory.parents()));
    assert!(read.endpoints().eq(memory.endpoints()));
    assert!(read.modules().eq(memory.modules()));
    assert!(read.policies().eq(memory.policies()));
    assert!(read.plans().eq(memory.plans()));
    assert_eq!(held(read), held(memory));
    for network in memory.networks() {
        for i in 0..network.subnets.len() {
            assert_eq!(read.pool(network.id, i), memory.pool(network.id, i), "pool {i} of {}", network.name);
        }
    }
    assert_eq!((read.last_decision, read.last_event), (memory.last_decision, memory.last_event));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_is_what_is_read_back(turns in prop::collection::vec(prop::collection::vec(op(), 1..12), 1..10)) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("record.db");
        let mut store = SqliteStore::open(&path).unwrap();
        let mut state = State::empty(sample::BOOT);
        for op in [Op::Parent { n: 0, lost: false }, Op::Network { n: 0, parent: 0, why: None }, Op::Network { n: 1, parent: 0, why: None }] {
            let mut batch = Batch::default();
            let edit = edit(&state, &op, &mut batch).unwrap();
            state.apply(&edit);
            store.write(&Batch { edits: vec![edit], ..batch }).unwrap();
        }
        for turn in turns {
            let mut batch = Batch { boot: Some(sample::BOOT), ..Batch::default() };
            for op in &turn {
                if let Some(edit) = edit(&state, op, &mut batch) {
                    state.apply(&edit);
                    batch.edits.push(edit);
                }
            }
            state.last_decision += 1;
            state.last_event += 1;
            batch.decisions.push(Arc::new(sample::decision(state.last_decision, "attach", None, String::new(), sample::allowed())));
            batch.events.push(sample::event(state.last_event, "turn", "a turn"));
            store.write(&batch).unwrap();
        }
        drop(store);
        let loaded = SqliteStore::open(&path).unwrap().load().unwrap();
        prop_assert_eq!(loaded.boot, Some(sample::BOOT));
        prop_assert!(!loaded.fresh);
        assert_same(&State::load(sample::BOOT, loaded), &state);
    }
}

#[test]
fn a_new_database_is_fresh_until_something_is_in_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("record.db");
    let mut store = SqliteStore::open(&path).unwrap();
    let Loaded { boot, fresh, last_decision, last_event, .. } = store.load().unwrap();
    assert_eq!((boot, fresh, last_decision, last_event), (None, true, 0, 0));
    store.set_token_hash(&[7; 32]).unwrap();
    assert!(store.load().unwrap().fresh, "the token is not part of it");
    store.write(&sample::ground()).unwrap();
    assert!(!store.load().unwrap().fresh);
}

#[test]
fn the_boot_follows_the_last_turn() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("record.db");
    let mut store = SqliteStore::open(&path).unwrap();
    for boot in [1, 1, 2, 1] {
        store.write(&Batch { boot: Some(BootId(boot)), ..sample::ground() }).unwrap();
        assert_eq!(store.load().unwrap().boot, Some(BootId(boot)));
    }
}

#[test]
fn the_token_is_set_and_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("record.db");
    let mut store = SqliteStore::open(&path).unwrap();
    assert_eq!(store.token_hash().unwrap(), None);
    store.set_token_hash(&[1; 32]).unwrap();
    store.set_token_hash(&[2; 32]).unwrap();
    drop(store);
    assert_eq!(SqliteStore::open(&path).unwrap().token_hash().unwrap(), Some(vec![2; 32]));
}

/// Many turns with checkpoints in between, as a long-lived daemon does them.
#[test]
fn ten_thousand_endpoints_are_read_back() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("record.db");
    let mut store = SqliteStore::open(&path).unwrap();
    store.write(&sample::ground()).unwrap();
    for n in (0..10_000).step_by(250) {
        store.write(&sample::together((n..n + 250).flat_map(|n| [sample::attach(n), sample::attached(n)]))).unwrap();
        store.idle();
    }
    drop(store);
    let loaded = SqliteStore::open(&path).unwrap().load().unwrap();
    assert_eq!((loaded.endpoints.len(), loaded.plans.len()), (10_000, 0));
    assert_eq!((loaded.last_decision, loaded.last_event), (10_000, 20_000));
    assert!(loaded.endpoints.iter().all(|e| e.state == EndpointState::Attached));
}
