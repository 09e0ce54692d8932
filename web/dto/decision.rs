//! Decisions, as recorded, and events.

use super::policy::mode_of;
use crate::problem::ViolationBody;
use crate::time::rfc3339;
use bulkhead_core::event::Event;
use bulkhead_core::evidence::{JudgedBy, Limit, SinceBoot};
use bulkhead_core::log::LoggedDecision;
use bulkhead_core::policy::{Conclusion, Heard, Judgement, Verdict};
use bulkhead_core::state::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A decision on record.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = Decision)]
pub struct DecisionBody {
    /// Its number, from 1, without gaps.
    pub id: u64,
    /// When, by the wall's clock.
    pub at: String,
    /// When, by the boot's clock, which nobody sets.
    pub since_boot: SinceBootBody,
    /// Microseconds that it took to decide, policies included.
    pub took_us: Option<u64>,
    /// Who asked.
    pub caller: CallerBody,
    /// `create-network`, `delete-network`, `attach`, `detach`, `put-module`, `delete-module`, `put-policy` or `delete-policy`.
    pub operation: String,
    /// Name of the network or policy concerned.
    pub subject: String,
    /// Id of the network or endpoint, where there is one.
    pub object: Option<String>,
    /// The workload, where one is concerned.
    pub workload: Option<WorkloadRefBody>,
    /// Why it was asked.
    pub change: ChangeBody,
    /// What ran the policies; null where none was asked.
    pub judged_by: Option<JudgedByBody>,
    /// `allowed`, `denied` or `forced`.
    pub verdict: String,
    /// All that enforcing policies had against it.
    pub violations: Vec<ViolationBody>,
    /// Warnings of policies and of the engine.
    pub warnings: Vec<String>,
    /// No enforcing policy judged it; allowed by configuration.
    pub unjudged: bool,
    /// Why an admin forced it.
    pub forced_because: Option<String>,
    /// What each policy said; in a single decision also what each was shown.
    pub heard: Vec<HeardBody>,
    /// What the kernel was told, as `ip` and `tc` would take it.
    pub plan: String,
    /// What came of the plan, oldest first; none while it is open.
    pub outcomes: Vec<OutcomeBody>,
    /// Hash of the recorded bytes, as a leaf of the log's tree (RFC 6962, 2.1).
    pub leaf: String,
}

/// A moment by the clock that nobody sets.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = SinceBoot)]
pub struct SinceBootBody {
    /// Id of the boot.
    pub boot: String,
    /// Microseconds since its start (CLOCK_BOOTTIME).
    pub us: u64,
}

impl From<SinceBoot> for SinceBootBody {
    fn from(since: SinceBoot) -> Self {
        Self { boot: since.boot.to_string(), us: since.us }
    }
}

/// A workload by the names that it had.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = WorkloadRef)]
pub struct WorkloadRefBody {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
}

/// What ran the policies. Fuel, and what a limit decided, can be compared only under the same.
#[derive(Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = JudgedBy)]
pub struct JudgedByBody {
    /// Name and version.
    #[schema(example = "wasmtime 48.0.8")]
    pub engine: String,
    /// Digest of the configuration that verdicts and fuel may depend on.
    pub configuration: String,
}

impl From<&JudgedBy> for JudgedByBody {
    fn from(by: &JudgedBy) -> Self {
        Self { engine: by.engine.clone(), configuration: by.configuration.to_string() }
    }
}

/// Who asked.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = Caller)]
pub struct CallerBody {
    /// A user's name, `uid:N`, `token` or `system`.
    pub name: String,
    /// The peer's uid, where the door knows it.
    pub uid: Option<u32>,
    /// Names of the peer's groups, or `gid:N`.
    pub groups: Vec<String>,
    /// The door: `unix`, `tcp` or `dashboard`.
    pub door: String,
    /// The peer as seen.
    pub peer: String,
    /// Whether it was an admin.
    pub admin: bool,
}

/// Why it was asked.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = Change)]
pub struct ChangeBody {
    /// Free text.
    pub reason: Option<String>,
    /// A ticket's number.
    pub ticket: Option<String>,
    /// Who approved.
    pub approved_by: Option<String>,
}

/// What one policy said.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = Heard)]
pub struct HeardBody {
    /// Which policy.
    pub policy: String,
    /// Its module.
    pub module: String,
    /// Revision of its settings.
    pub revision: u64,
    /// `enforce` or `audit`.
    pub mode: String,
    /// `allow`, `deny`, `not-applicable`, or `broke`.
    pub outcome: String,
    /// What it has against it.
    pub violations: Vec<ViolationBody>,
    /// Its warnings.
    pub warnings: Vec<String>,
    /// Its notes.
    pub notes: Vec<String>,
    /// Why it broke.
    pub broke: Option<String>,
    /// The limit that stopped it, where it broke for one: `fuel`, `space` or `circumstance` (time, or what was not there).
    pub limit: Option<String>,
    /// Fuel that it used.
    pub fuel: Option<u64>,
    /// What it was shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub question: Option<serde_json::Value>,
}

/// What came of a plan.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = Outcome)]
pub struct OutcomeBody {
    /// Which plan.
    pub plan: String,
    /// When the daemon heard of it, by the wall's clock.
    pub recorded_at: String,
    /// When, by the boot's clock.
    pub since_boot: SinceBootBody,
    /// Microseconds that the kernel took; null where it was found done at a start.
    pub took_us: Option<u64>,
    /// Whether the kernel did all of it.
    pub done: bool,
    /// What came of it, with the kernel's words.
    pub text: String,
}

/// What a policy said, as clients see it.
pub fn heard(heard: &Heard, with_question: bool) -> HeardBody {
    let policy = heard.policy.to_string();
    let (outcome, violations, warnings, notes, broke) = match &heard.judged.judgement {
        Judgement::Broke(why) => ("broke", Vec::new(), Vec::new(), Vec::new(), Some(why.clone())),
        Judgement::Spoke(opinion) => {
            let outcome = match opinion.outcome {
                Conclusion::NotApplicable => "not-applicable",
                Conclusion::Allow => "allow",
                Conclusion::Deny => "deny",
            };
            let violations = opinion.violations.iter().map(|v| ViolationBody {
                policy: policy.clone(),
                rule: v.rule.clone(),
                field: v.field.clone(),
                message: v.message.clone(),
                remedy: v.remedy.clone(),
                help: (!heard.help.is_empty()).then(|| (&heard.help).into()),
            });
            (outcome, violations.collect(), opinion.warnings.clone(), opinion.notes.clone(), None)
        }
    };
    HeardBody {
        policy,
        module: heard.module.to_string(),
        revision: heard.revision,
        mode: mode_of(heard.mode).to_owned(),
        outcome: outcome.to_owned(),
        violations,
        warnings,
        notes,
        broke,
        limit: heard.judged.limit.map(|limit| {
            let word = match limit {
                Limit::Fuel => "fuel",
                Limit::Space => "space",
                Limit::Circumstance => "circumstance",
            };
            word.to_owned()
        }),
        fuel: heard.judged.fuel,
        question: with_question.then(|| serde_json::to_value(&heard.question).unwrap_or_default()),
    }
}

/// A hash as clients see it.
pub fn hex(hash: &[u8; 32]) -> String {
    hash.iter().map(|b| format!("{b:02x}")).collect()
}

/// A decision as clients see it.
pub fn show(logged: &LoggedDecision, with_questions: bool) -> DecisionBody {
    let d = &logged.decision;
    let (verdict, violations, warnings, unjudged, forced_because) = match &d.verdict {
        Verdict::Allowed { warnings, unjudged } => ("allowed", Vec::new(), warnings.clone(), *unjudged, None),
        Verdict::Denied { violations } => ("denied", violations.iter().map(ViolationBody::from).collect(), Vec::new(), false, None),
        Verdict::Forced { reason, violations } => {
            ("forced", violations.iter().map(ViolationBody::from).collect(), Vec::new(), false, Some(reason.clone()))
        }
    };
    DecisionBody {
        id: d.id.0,
        at: rfc3339(d.at),
        since_boot: d.since_boot.into(),
        took_us: d.took_us,
        caller: CallerBody {
            name: d.caller.name.clone(),
            uid: d.caller.uid,
            groups: d.caller.groups.clone(),
            door: d.caller.door.clone(),
            peer: d.caller.peer.clone(),
            admin: d.caller.admin,
        },
        operation: d.operation.clone(),
        subject: d.subject.clone(),
        object: d.object.clone(),
        workload: d.workload.clone().map(|(id, name)| WorkloadRefBody { id, name }),
        judged_by: d.judged_by.as_deref().map(Into::into),
        change: ChangeBody { reason: d.change.reason.clone(), ticket: d.change.ticket.clone(), approved_by: d.change.approved_by.clone() },
        verdict: verdict.to_owned(),
        violations,
        warnings,
        unjudged,
        forced_because,
        heard: d.heard.iter().map(|h| heard(h, with_questions)).collect(),
        plan: d.plan.clone(),
        outcomes: logged
            .outcomes
            .iter()
            .map(|o| OutcomeBody {
                plan: o.plan.to_string(),
                recorded_at: rfc3339(o.at),
                since_boot: o.since_boot.into(),
                took_us: o.took_us,
                done: o.done,
                text: o.text.clone(),
            })
            .collect(),
        leaf: hex(&logged.leaf),
    }
}

/// An event.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = Event)]
pub struct EventBody {
    /// Its number, from 1, without gaps.
    pub seq: u64,
    /// When.
    pub at: String,
    /// Such as `network.created`, `endpoint.attached`, `parent.drifted`, `decision.denied`.
    pub kind: String,
    /// Name or id of what it happened to; of a denial: the name of what was asked for.
    pub subject: String,
    /// Name of the network, where it is about a network or about an endpoint that is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<String>,
    /// One sentence for people.
    pub text: String,
}

/// An event as clients see it. `state` knows whose the endpoint is that it is about.
pub fn show_event(state: &State, event: Event) -> EventBody {
    let network = match event.kind.split_once('.') {
        Some(("network", _)) => Some(event.subject.clone()),
        Some(("endpoint", _)) => {
            let endpoint = event.subject.parse().ok().and_then(|id| state.endpoint_by_id(id));
            endpoint.and_then(|e| state.network_by_id(e.network)).map(|n| n.name.to_string())
        }
        _ => None,
    };
    EventBody { seq: event.seq, at: rfc3339(event.at), kind: event.kind, subject: event.subject, network, text: event.text }
}
