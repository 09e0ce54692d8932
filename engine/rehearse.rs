//! Rehearsals: what a policy would say to all that exists, beside what is in force. Nothing is decided, recorded or changed.

use crate::clock;
use crate::engine::Engine;
use bulkhead_core::decide::Basis;
use bulkhead_core::ids::{EndpointId, NetworkId};
use bulkhead_core::policy::{Judged, Operation, Policy, PolicyMode};
use bulkhead_core::rehearse::{Existing, ask_all, denies};
use std::collections::HashMap;
use std::sync::Arc;

/// What came of a rehearsal.
#[derive(Debug, Default)]
pub struct Rehearsal {
    /// Networks that were put to the policy.
    pub networks: usize,
    /// Endpoints that were.
    pub endpoints: usize,
    /// The policy of this name that is in force, if one is and enforces.
    pub compared_with: Option<Arc<Policy>>,
    /// What is allowed by what is in force, and would be denied.
    pub newly_denied: Vec<(Existing, Judged)>,
    /// What is denied by what is in force, and would be allowed, with what is said now.
    pub newly_allowed: Vec<(Existing, Judged)>,
    /// What is denied by both, with what would be said.
    pub still_denied: Vec<(Existing, Judged)>,
}

type Key = (Operation, NetworkId, Option<EndpointId>);

fn key(existing: &Existing) -> Key {
    (existing.operation, existing.network.id, existing.endpoint.as_ref().map(|e| e.id))
}

impl Engine {
    /// Puts everything that exists to `candidate`, and to the policy of its name that is in force. May take a while: each is a call.
    pub fn rehearse(&self, candidate: &Policy) -> Rehearsal {
        let (state, host) = (self.state(), self.host());
        let basis = Basis { state: &state, host: &host, judge: self.judge_of_policies(), settings: self.settings() };
        let current = state.policy(candidate.name.as_str()).filter(|p| p.mode_at(clock::now()) == PolicyMode::Enforce).cloned();
        let mut denied: HashMap<Key, (Existing, Judged)> = HashMap::new();
        if let Some(current) = &current {
            ask_all(basis, current, |existing, _, judged| {
                if denies(&judged) {
                    denied.insert(key(existing), (existing.clone(), judged));
                }
            });
        }
        let mut out = Rehearsal { compared_with: current, ..Rehearsal::default() };
        ask_all(basis, candidate, |existing, _, judged| {
            match existing.endpoint {
                None => out.networks += 1,
                Some(_) => out.endpoints += 1,
            }
            match (denied.remove(&key(existing)), denies(&judged)) {
                (None, true) => out.newly_denied.push((existing.clone(), judged)),
                (Some(_), true) => out.still_denied.push((existing.clone(), judged)),
                (Some(before), false) => out.newly_allowed.push(before),
                (None, false) => {}
            }
        });
        // What is no longer in its scope is allowed by it.
        let mut left: Vec<(Existing, Judged)> = denied.into_values().collect();
        left.sort_by_key(|(existing, _)| key(existing));
        out.newly_allowed.extend(left);
        out
    }

    /// All that exists and that a policy in force would deny were it asked for now, by policy and by name.
    pub fn violations(&self) -> Vec<(Arc<Policy>, Existing, Judged)> {
        let (state, host) = (self.state(), self.host());
        let basis = Basis { state: &state, host: &host, judge: self.judge_of_policies(), settings: self.settings() };
        let mut out = Vec::new();
        for policy in state.policies().filter(|p| p.mode_at(clock::now()) != PolicyMode::Off) {
            ask_all(basis, policy, |existing, _, judged| {
                if denies(&judged) {
                    out.push((Arc::clone(policy), existing.clone(), judged));
                }
            });
        }
        out
    }
}
