//! What goes on record in one commit, and the proof that it did.

use crate::caller::Caller;
use crate::endpoint::Endpoint;
use crate::event::Event;
use crate::evidence::{JudgedBy, PlanEnd, SinceBoot};
use crate::ids::{BootId, DecisionId, EndpointId, NetworkId, ParentId, PlanId, Timestamp};
use crate::log::Archive;
use crate::names::Name;
use crate::network::Network;
use crate::parent::Parent;
use crate::plan::Plan;
use crate::policy::{Change, Digest, Heard, Module, Policy, Verdict};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// One change of the state. The store persists the very same edits, so that record and memory cannot drift apart.
#[derive(Debug, Clone, PartialEq)]
pub enum Edit {
    /// Adds or replaces a network.
    PutNetwork(Arc<Network>),
    /// Removes a network.
    DropNetwork(NetworkId),
    /// Adds or replaces a parent.
    PutParent(Arc<Parent>),
    /// Removes a parent.
    DropParent(ParentId),
    /// Adds or replaces an endpoint; its addresses are taken.
    PutEndpoint(Arc<Endpoint>),
    /// Removes an endpoint; its addresses are held back until `free_at`.
    DropEndpoint {
        /// Which.
        id: EndpointId,
        /// When its addresses may be handed out again.
        free_at: Timestamp,
    },
    /// A plan is open from now on.
    OpenPlan(Arc<Plan>),
    /// A plan is settled.
    ClosePlan(PlanId),
    /// Adds a module (its bytes go along in the batch).
    PutModule(Arc<Module>),
    /// Removes a module.
    DropModule(Digest),
    /// Adds or replaces a policy.
    PutPolicy(Arc<Policy>),
    /// Removes a policy.
    DropPolicy(Name),
    /// The records of these decisions are in an archive, and may leave the store.
    Archive(Arc<Archive>),
}

/// The recorded outcome of one request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// Its number.
    pub id: DecisionId,
    /// When, by the wall's clock.
    pub at: Timestamp,
    /// When, by the boot's.
    pub since_boot: SinceBoot,
    /// Microseconds that it took to decide, policies included; `None` where nobody measured: the core has no clock.
    pub took_us: Option<u64>,
    /// Who asked.
    pub caller: Caller,
    /// What: `create-network`, `attach`, …, `set-policy`.
    pub operation: String,
    /// Name of the network or policy concerned.
    pub subject: String,
    /// Id of the network or endpoint, where there is one.
    pub object: Option<String>,
    /// Id and name of the workload, where one is concerned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workload: Option<(String, String)>,
    /// Why it was asked.
    pub change: Change,
    /// What ran the policies, where any was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub judged_by: Option<Arc<JudgedBy>>,
    /// What each policy was shown and said.
    pub heard: Vec<Heard>,
    /// The verdict.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// The plan, as `ip` would take it; empty where nothing needs doing.
    pub plan: String,
}

/// What one turn of the writer commits, at once or not at all.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    /// The boot in which it happened.
    pub boot: Option<BootId>,
    /// Changes of the state, in order.
    pub edits: Vec<Edit>,
    /// Decisions.
    pub decisions: Vec<Arc<Decision>>,
    /// What came of plans that were decided earlier: the decision log shows it.
    pub settlements: Vec<PlanEnd>,
    /// Events.
    pub events: Vec<Event>,
    /// Bytes of modules that are put.
    pub module_bytes: Vec<(Digest, Arc<[u8]>)>,
    /// Plans that may start once this is on record.
    pub plans: Vec<Arc<Plan>>,
}

impl Batch {
    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.edits.is_empty() && self.decisions.is_empty() && self.settlements.is_empty() && self.events.is_empty()
    }

    /// How much is in it, to go [back to](Self::back_to) when what comes next is not committed.
    pub fn mark(&self) -> Mark {
        let Self { boot: _, edits, decisions, settlements, events, module_bytes, plans } = self;
        Mark([edits.len(), decisions.len(), settlements.len(), events.len(), module_bytes.len(), plans.len()])
    }

    /// Leaves what was in it at `mark`.
    pub fn back_to(&mut self, Mark([edits, decisions, settlements, events, module_bytes, plans]): Mark) {
        self.edits.truncate(edits);
        self.decisions.truncate(decisions);
        self.settlements.truncate(settlements);
        self.events.truncate(events);
        self.module_bytes.truncate(module_bytes);
        self.plans.truncate(plans);
    }
}

/// See [`Batch::mark`].
#[derive(Debug, Clone, Copy)]
pub struct Mark([usize; 6]);

/// Something that is durably on record. Only [`Store::commit`] makes one, and the kernel takes plans in no other form:
/// so nothing can take effect before it is on record.
#[derive(Debug, Clone)]
pub struct Recorded<T>(T);

impl<T> Recorded<T> {
    /// What is on record.
    pub fn get(&self) -> &T {
        &self.0
    }
}

/// The durable record could not be written or read.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub struct StoreError {
    /// What was tried.
    pub what: String,
    /// Why it failed.
    #[source]
    pub source: Box<dyn std::error::Error + Send + Sync>,
}

/// All that a store holds of the state, as read at start.
#[derive(Debug, Default)]
pub struct Loaded {
    /// Boot of the last commit.
    pub boot: Option<BootId>,
    /// Parents.
    pub parents: Vec<Parent>,
    /// Networks.
    pub networks: Vec<Network>,
    /// Endpoints.
    pub endpoints: Vec<Endpoint>,
    /// Addresses held back: network, subnet's number, address, until when.
    pub held_back: Vec<(NetworkId, usize, std::net::IpAddr, Timestamp)>,
    /// Open plans.
    pub plans: Vec<Plan>,
    /// Modules.
    pub modules: Vec<Module>,
    /// Policies.
    pub policies: Vec<Policy>,
    /// Every revision that a policy ever had, and its module.
    pub revisions: Vec<(Name, u64, Digest)>,
    /// Number of the last decision.
    pub last_decision: u64,
    /// Number of the last decision that is archived.
    pub archived_to: u64,
    /// Number of the last event.
    pub last_event: u64,
    /// Whether the database had never been used: built-in policies are then set up.
    pub fresh: bool,
}

/// The durable record. One writer.
pub trait Store: Send {
    /// Writes the batch durably, all of it or nothing. An I/O error of fsync must end the process rather than return: the
    /// state of the file is then unknown.
    fn write(&mut self, batch: &Batch) -> Result<(), StoreError>;

    /// All that is on record, at start.
    fn load(&mut self) -> Result<Loaded, StoreError>;

    /// Nothing waits to be written: housekeeping that would delay a commit may be done now.
    fn idle(&mut self) {}

    /// Writes the batch and hands back its plans as recorded ones. Not for implementors to override: they could not, as
    /// nobody else can make a [`Recorded`].
    fn commit(&mut self, batch: &Batch) -> Result<Vec<Recorded<Arc<Plan>>>, StoreError> {
        self.write(batch)?;
        Ok(batch.plans.iter().cloned().map(Recorded).collect())
    }

    /// An open plan that was read back at start counts as recorded: it is.
    fn reopened(&self, loaded: &Loaded) -> Vec<Recorded<Arc<Plan>>> {
        loaded.plans.iter().cloned().map(|p| Recorded(Arc::new(p))).collect()
    }
}
