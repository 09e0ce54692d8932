//! An engine over the simulated kernel and a record in memory that remembers every commit, so that a crash can go back to any.
#![allow(dead_code)] // Each test binary uses its part of it.

use bulkhead_core::caller::Caller;
use bulkhead_core::ids::{EndpointId, NetworkId, ParentId, PlanId};
use bulkhead_core::names::Name;
use bulkhead_core::policy::{Conclusion, Judge, Judged, Opinion, Policy, Question};
use bulkhead_core::record::{Batch, Edit, Loaded, Store, StoreError};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// What is on record.
#[derive(Debug, Clone, Default)]
pub struct Db {
    boot: Option<bulkhead_core::ids::BootId>,
    parents: BTreeMap<ParentId, bulkhead_core::parent::Parent>,
    networks: BTreeMap<NetworkId, bulkhead_core::network::Network>,
    endpoints: BTreeMap<EndpointId, bulkhead_core::endpoint::Endpoint>,
    plans: BTreeMap<PlanId, bulkhead_core::plan::Plan>,
    modules: Vec<bulkhead_core::policy::Module>,
    policies: BTreeMap<Name, Policy>,
    decisions: u64,
    events: u64,
}

/// Every state of the record, one a commit; the last is now.
#[derive(Debug, Clone)]
pub struct Memory(pub Arc<Mutex<Vec<Db>>>);

impl Memory {
    pub fn new() -> Self {
        Self(Arc::new(Mutex::new(vec![Db::default()])))
    }
    pub fn commits(&self) -> usize {
        self.0.lock().unwrap().len() - 1
    }
    /// As if all had not been that came after the first decision since the n-th commit.
    pub fn back_to_the_decision_after(&self, n: usize) -> Self {
        let all = self.0.lock().unwrap();
        let last = (n..all.len()).find(|i| all[*i].decisions > all[n].decisions).unwrap_or(all.len() - 1);
        Self(Arc::new(Mutex::new(all[..=last].to_vec())))
    }
}

impl Store for Memory {
    fn write(&mut self, batch: &Batch) -> Result<(), StoreError> {
        let mut all = self.0.lock().unwrap();
        let mut db = all.last().cloned().unwrap_or_default();
        db.boot = batch.boot;
        db.decisions += batch.decisions.len() as u64;
        db.events += batch.events.len() as u64;
        for edit in &batch.edits {
            match edit {
                Edit::PutNetwork(n) => drop(db.networks.insert(n.id, (**n).clone())),
                Edit::DropNetwork(id) => drop(db.networks.remove(id)),
                Edit::PutParent(p) => drop(db.parents.insert(p.id, (**p).clone())),
                Edit::DropParent(id) => drop(db.parents.remove(id)),
                Edit::PutEndpoint(e) => drop(db.endpoints.insert(e.id, (**e).clone())),
                Edit::DropEndpoint { id, .. } => drop(db.endpoints.remove(id)),
                Edit::OpenPlan(p) => drop(db.plans.insert(p.id, (**p).clone())),
                Edit::ClosePlan(id) => drop(db.plans.remove(id)),
                Edit::PutModule(m) => db.modules.push((**m).clone()),
                Edit::DropModule(d) => db.modules.retain(|m| m.digest != *d),
                Edit::PutPolicy(p) => drop(db.policies.insert(p.name.clone(), (**p).clone())),
                Edit::DropPolicy(n) => drop(db.policies.remove(n)),
                // What leaves the log was never in here.
                Edit::Archive(_) => {}
            }
        }
        all.push(db);
        Ok(())
    }

    fn load(&mut self) -> Result<Loaded, StoreError> {
        let db = self.0.lock().unwrap().last().cloned().unwrap_or_default();
        Ok(Loaded {
            boot: db.boot,
            parents: db.parents.into_values().collect(),
            networks: db.networks.into_values().collect(),
            endpoints: db.endpoints.into_values().collect(),
            plans: db.plans.into_values().collect(),
            modules: db.modules,
            policies: db.policies.into_values().collect(),
            last_decision: db.decisions,
            last_event: db.events,
            ..Loaded::default()
        })
    }
}

/// Nothing against anything.
pub struct Agrees;

impl Judge for Agrees {
    fn judge(&self, _: &Policy, _: &Question) -> Judged {
        let opinion = Opinion { outcome: Conclusion::Allow, violations: vec![], warnings: vec![], notes: vec![] };
        Judged::spoke(opinion, None)
    }
}

pub fn root() -> Caller {
    Caller { name: "root".into(), uid: Some(0), groups: vec![], door: "unix".into(), peer: "pid 1".into(), admin: true }
}
