//! Policies as the core sees them: the question that is put, the opinion that comes back, and how opinions make a verdict.
//!
//! The types mirror `policies/wit/policy.wit`; the crate `bulkhead-wasm` converts between the two.

use crate::case::Suite;
use crate::evidence::{JudgedBy, Limit};
use crate::host::Mode;
use crate::ids::Timestamp;
use crate::names::{Labels, Name};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

/// SHA-256 of a module's bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest(pub [u8; 32]);

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sha256:")?;
        self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}
impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}
impl std::str::FromStr for Digest {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{} is not a digest: sha256: and 64 lowercase hexadecimal digits", crate::names::shown(text));
        let hex = text.strip_prefix("sha256:").filter(|h| h.len() == 64).ok_or_else(wrong)?;
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(hex.as_bytes().chunks(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| wrong())?;
            let plain = pair.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
            *byte = u8::from_str_radix(pair, 16).ok().filter(|_| plain).ok_or_else(wrong)?;
        }
        Ok(Self(bytes))
    }
}
impl TryFrom<String> for Digest {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}
impl From<Digest> for String {
    fn from(digest: Digest) -> String {
        digest.to_string()
    }
}

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Operation {
    /// A network is made.
    CreateNetwork,
    /// A network is changed.
    ChangeNetwork,
    /// A network is removed.
    DeleteNetwork,
    /// A workload is attached.
    Attach,
    /// A workload's labels change.
    ChangeWorkload,
    /// An endpoint is removed.
    Detach,
}

impl Operation {
    /// Removals: a broke policy never stops them.
    pub fn is_removal(self) -> bool {
        matches!(self, Operation::DeleteNetwork | Operation::Detach)
    }
    /// As the contract and the API write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Operation::CreateNetwork => "create-network",
            Operation::ChangeNetwork => "change-network",
            Operation::DeleteNetwork => "delete-network",
            Operation::Attach => "attach",
            Operation::ChangeWorkload => "change-workload",
            Operation::Detach => "detach",
        }
    }
}

/// Where a label's value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Provenance {
    /// The client says so.
    Asserted,
    /// The container runtime says so.
    Runtime,
    /// Not known.
    Unknown,
}

/// One label with its provenance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Label {
    /// Key.
    pub key: String,
    /// Value.
    pub value: String,
    /// Where the value comes from.
    pub provenance: Provenance,
}

/// The caller as policies see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallerView {
    /// Its name.
    pub name: String,
    /// Its groups.
    pub groups: Vec<String>,
    /// The door it came through.
    pub door: String,
    /// How many networks it has made.
    pub networks: u32,
}

/// Why it is asked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Free text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// A ticket's number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ticket: Option<String>,
    /// Who approved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approved_by: Option<String>,
}

/// A subnet as policies see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubnetView {
    /// `192.168.1.0/24`.
    pub cidr: String,
    /// The gateway, if any.
    pub gateway: Option<String>,
    /// The range that addresses are handed out from, if narrower.
    pub ip_range: Option<String>,
}

/// A network as policies see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkView {
    /// Name.
    pub name: String,
    /// Mode.
    pub mode: Mode,
    /// Parent's name as asked; `None` for an own dummy.
    pub parent: Option<String>,
    /// Its fabric; `None` for a dummy.
    pub fabric: Option<String>,
    /// VLAN id of the parent.
    pub vlan: Option<u16>,
    /// Nothing leaves it.
    pub internal: bool,
    /// Subnets with what was filled in.
    pub subnets: Vec<SubnetView>,
    /// Labels.
    pub labels: Vec<Label>,
    /// Endpoints on record.
    pub endpoints: u32,
    /// Small additions.
    pub facts: Vec<Label>,
}

/// Residents that look alike to this policy. Never one by one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// Labels of their network.
    pub network_labels: Vec<Label>,
    /// Labels of the workloads; a network's own entry has none.
    pub workload_labels: Vec<Label>,
    /// How many networks.
    pub networks: u32,
    /// How many endpoints.
    pub endpoints: u32,
    /// A few names.
    pub examples: Vec<String>,
}

/// A workload as policies see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkloadView {
    /// Id that the client gives.
    pub id: String,
    /// Name.
    pub name: String,
    /// Labels.
    pub labels: Vec<Label>,
    /// Capabilities, where the door knows them.
    pub capabilities: Option<Vec<String>>,
    /// What else it is attached to.
    pub attached: Vec<Group>,
    /// Small additions.
    pub facts: Vec<Label>,
}

/// What is asked, and what it would live beside on the state that it commits to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// Which operation.
    pub operation: Operation,
    /// Who asks.
    pub caller: CallerView,
    /// Why.
    pub change: Change,
    /// The network, as it would be.
    pub network: NetworkView,
    /// The network as it is, where it changes.
    pub network_before: Option<NetworkView>,
    /// The workload, where one is concerned.
    pub workload: Option<WorkloadView>,
    /// The workload as it is, where it changes.
    pub workload_before: Option<WorkloadView>,
    /// Addresses of the endpoint.
    pub addresses: Vec<String>,
    /// Who else is on the segment.
    pub same_segment: Vec<Group>,
    /// Who is on segments that this one reaches, or that reach this one.
    pub reaches: Vec<Group>,
    /// Who is on networks elsewhere whose subnets overlap this one's.
    pub overlapping: Vec<Group>,
    /// Small additions.
    pub facts: Vec<Label>,
}

/// What a policy may ask to see of residents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum View {
    /// What else the workload is attached to.
    Attached,
    /// Who shares the segment.
    SameSegment,
    /// Who is reached.
    Reaches,
    /// Whose subnets overlap.
    Overlapping,
}

/// A rule that a policy declares.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// Its id, such as `shared-segment`.
    pub id: String,
    /// One sentence.
    pub summary: String,
    /// What it serves, such as `PCI DSS 11.4.5`.
    pub controls: Vec<String>,
}

/// What a module says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Description {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// One sentence.
    pub summary: String,
    /// Operations that it judges.
    pub operations: Vec<Operation>,
    /// Rules that it may find violated.
    pub rules: Vec<Rule>,
    /// Label keys that it looks at; residents come grouped by these.
    pub label_keys: Vec<String>,
    /// Views that it needs; others are neither built nor recorded.
    pub needs: Vec<View>,
    /// JSON Schema of its settings.
    pub settings_schema: String,
}

/// A rule found violated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Violation {
    /// Id of the rule.
    pub rule: String,
    /// What is wrong.
    pub message: String,
    /// Which field of the request, where one is at fault.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// What would be right.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

/// What a policy concludes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Conclusion {
    /// None of its business.
    NotApplicable,
    /// Nothing against it.
    Allow,
    /// No.
    Deny,
}

/// What a policy says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opinion {
    /// Its conclusion.
    pub outcome: Conclusion,
    /// Violations: none unless it denies.
    pub violations: Vec<Violation>,
    /// Warnings for the caller.
    pub warnings: Vec<String>,
    /// Notes for the author: bounded, kept in the log.
    pub notes: Vec<String>,
}

/// What came of asking a policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Judgement {
    /// It spoke.
    Spoke(Opinion),
    /// It broke: trap, limit, time-out, not loadable, or an opinion against the contract. Denies, except removals.
    Broke(String),
}

/// The judgement with what it cost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Judged {
    /// What came of it.
    pub judgement: Judgement,
    /// Fuel used (a unit of wasmtime's, which promises nothing about it across versions); `None` where it never ran.
    pub fuel: Option<u64>,
    /// The limit that stopped it, where it broke for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<Limit>,
}

impl Judged {
    /// It spoke.
    pub fn spoke(opinion: Opinion, fuel: Option<u64>) -> Self {
        Self { judgement: Judgement::Spoke(opinion), fuel, limit: None }
    }
    /// It broke.
    pub fn broke(why: impl Into<String>, fuel: Option<u64>, limit: Option<Limit>) -> Self {
        Self { judgement: Judgement::Broke(why.into()), fuel, limit }
    }
}

/// How seriously a policy is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PolicyMode {
    /// Its denial denies.
    Enforce,
    /// It is asked and recorded only.
    Audit,
    /// It is not asked.
    Off,
}

/// A mode that comes by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schedule {
    /// Until when the policy's own mode holds.
    pub until: Timestamp,
    /// The mode from then on.
    pub then: PolicyMode,
}

/// Where callers whom a policy denies something are sent, in the operator's own words.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Help {
    /// Whom to ask.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contact: Option<String>,
    /// Where to read more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// What to know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

impl Help {
    /// Whether it says nothing.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Where a policy applies.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scope {
    /// Operations; empty means all that the module declares.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub operations: Vec<Operation>,
    /// Labels that the network must have.
    #[serde(default, skip_serializing_if = "Labels::is_empty")]
    pub network_labels: Labels,
    /// Names of networks; empty means all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub networks: Vec<String>,
}

/// A policy: a module, its settings, its mode and scope. All policies in scope run; any denial denies; there is no order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Policy {
    /// Its name.
    pub name: Name,
    /// Its module.
    pub module: Digest,
    /// What the module says of itself, as admitted.
    pub description: Arc<Description>,
    /// Its settings, as given.
    pub settings: serde_json::Value,
    /// Revision of module and settings, from 1; each change of the policy counts one up.
    pub revision: u64,
    /// Its mode.
    pub mode: PolicyMode,
    /// The mode that follows, and when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<Schedule>,
    /// Its scope.
    #[serde(default)]
    pub scope: Scope,
    /// Shown with its violations.
    #[serde(default, skip_serializing_if = "Help::is_empty")]
    pub help: Help,
    /// Cases that each revision must pass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tests: Option<Arc<Suite>>,
}

impl Policy {
    /// Its mode at a time.
    pub fn mode_at(&self, now: Timestamp) -> PolicyMode {
        self.schedule.filter(|s| s.until <= now).map_or(self.mode, |s| s.then)
    }

    /// Whether it has a say in `operation` on a network of this name and these labels, at `now`.
    pub fn in_scope(&self, now: Timestamp, operation: Operation, network: &str, labels: &Labels) -> bool {
        let declared = self.description.operations.contains(&operation);
        let wanted = self.scope.operations.is_empty() || self.scope.operations.contains(&operation);
        let named = self.scope.networks.is_empty() || self.scope.networks.iter().any(|n| n == network);
        self.mode_at(now) != PolicyMode::Off && declared && wanted && named && labels.contains(&self.scope.network_labels)
    }

    /// The keys that residents are grouped by for it.
    pub fn keys(&self) -> BTreeSet<String> {
        self.description.label_keys.iter().cloned().collect()
    }
}

/// An admitted module.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Module {
    /// SHA-256 of the bytes as uploaded.
    pub digest: Digest,
    /// Bytes.
    pub size: u64,
    /// What it says of itself.
    pub description: Arc<Description>,
    /// Ships with the daemon.
    pub built_in: bool,
}

/// Asks policies. Two implementations: wasmtime's (`bulkhead-wasm`) and plain functions for simulation.
/// Asking has no effect: the same policy and question give the same answer forever.
pub trait Judge {
    /// Puts the question to one policy. Never fails: what goes wrong is a [`Judgement::Broke`].
    fn judge(&self, policy: &Policy, question: &Question) -> Judged;

    /// What runs the policies. Plain functions have neither a version nor limits.
    fn judged_by(&self) -> Arc<JudgedBy> {
        Arc::new(JudgedBy { engine: "functions".into(), configuration: Digest([0; 32]) })
    }

    /// Puts the questions of one decision, each to its policy, and answers in their order. What all policies of a decision may use
    /// together is used up here.
    fn judge_all(&self, asked: &[(&Policy, Question)]) -> Vec<Judged> {
        asked.iter().map(|(policy, question)| self.judge(policy, question)).collect()
    }
}

/// What one policy said to one request, as recorded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Heard {
    /// Which policy.
    pub policy: Name,
    /// Its module.
    pub module: Digest,
    /// Its revision.
    pub revision: u64,
    /// Its mode then.
    pub mode: PolicyMode,
    /// What the operator wants to be shown with its violations.
    #[serde(default, skip_serializing_if = "Help::is_empty")]
    pub help: Help,
    /// What it was shown.
    pub question: Question,
    /// What it said.
    pub judged: Judged,
}

impl Heard {
    /// What `policy` said at `now` to a question.
    pub fn of(policy: &Policy, now: Timestamp, question: Question, judged: Judged) -> Self {
        Self {
            policy: policy.name.clone(),
            module: policy.module,
            revision: policy.revision,
            mode: policy.mode_at(now),
            help: policy.help.clone(),
            question,
            judged,
        }
    }
}

/// A violation with the policy that found it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// Which policy.
    pub policy: Name,
    /// What it found.
    #[serde(flatten)]
    pub violation: Violation,
    /// What the operator wants to be shown with it.
    #[serde(default, skip_serializing_if = "Help::is_empty")]
    pub help: Help,
}

/// The verdict of all policies together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "verdict")]
pub enum Verdict {
    /// Nobody who enforces is against it.
    Allowed {
        /// Warnings of all policies, with their names.
        warnings: Vec<String>,
        /// No enforcing policy judged it; allowed by configuration.
        unjudged: bool,
    },
    /// Somebody is.
    Denied {
        /// All violations of all enforcing policies; never empty.
        violations: Vec<Found>,
    },
    /// A denial that an admin overrode (removals only), with the reason.
    Forced {
        /// The admin's reason.
        reason: String,
        /// What was overridden.
        violations: Vec<Found>,
    },
}

/// Rule name of a violation that the engine itself finds when a policy broke.
pub const RULE_BROKE: &str = "policy-broke";
/// Rule name of a violation that the engine itself finds when nobody who enforces judged.
pub const RULE_UNJUDGED: &str = "unjudged";

/// Any denial denies; a broke policy denies unless the operation is a removal; a create or attach that nobody who enforces
/// has judged is denied unless configured otherwise.
pub fn combine(operation: Operation, heard: &[Heard], allow_unjudged: bool, force: Option<&str>) -> Verdict {
    let enforcing: Vec<&Heard> = heard.iter().filter(|h| h.mode == PolicyMode::Enforce).collect();
    let mut violations = Vec::new();
    let mut warnings = Vec::new();
    for h in &enforcing {
        match &h.judged.judgement {
            Judgement::Spoke(o) => {
                let found =
                    o.violations.iter().cloned().map(|violation| Found { policy: h.policy.clone(), violation, help: h.help.clone() });
                violations.extend(found.filter(|_| o.outcome == Conclusion::Deny));
                warnings.extend(o.warnings.iter().map(|w| format!("{}: {w}", h.policy)));
            }
            Judgement::Broke(why) if operation.is_removal() => {
                warnings.push(format!("{} broke and does not stop a removal: {why}", h.policy));
            }
            Judgement::Broke(why) => violations.push(Found {
                policy: h.policy.clone(),
                violation: Violation {
                    rule: RULE_BROKE.into(),
                    message: format!("the policy could not judge this: {why}"),
                    field: None,
                    remedy: Some("an administrator must mend the policy, or set it to audit".into()),
                },
                help: h.help.clone(),
            }),
        }
    }
    let spoke = |h: &&&Heard| matches!(&h.judged.judgement, Judgement::Spoke(o) if o.outcome != Conclusion::NotApplicable);
    let unjudged = !operation.is_removal() && !enforcing.iter().any(|h| spoke(&h)) && violations.is_empty();
    if unjudged && !allow_unjudged {
        let engine = Name::new("engine").expect("a constant name that fits");
        violations.push(Found {
            policy: engine,
            violation: Violation {
                rule: RULE_UNJUDGED.into(),
                message: "no enforcing policy judges this request".into(),
                field: None,
                remedy: Some("enforce a policy whose scope covers it, or set allow_unjudged in the configuration".into()),
            },
            help: Help::default(),
        });
    }
    match (violations.is_empty(), force) {
        (true, _) => Verdict::Allowed { warnings, unjudged },
        (false, Some(reason)) => Verdict::Forced { reason: reason.to_owned(), violations },
        (false, None) => Verdict::Denied { violations },
    }
}
