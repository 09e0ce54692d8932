//! The segmentation report: what keeps tiers apart, by what policies, and on what grounds.

use super::decision::{JudgedByBody, hex};
use super::policy::mode_of;
use crate::time::rfc3339;
use bulkhead_core::ids::{DecisionId, Timestamp};
use bulkhead_core::in_force::Stretch;
use bulkhead_core::log::{Hash, LoggedDecision, Verified};
use bulkhead_core::policy::{Operation, Verdict};
use bulkhead_core::segmentation::{Check, Checked, Finding, Pair, Presence, Status, Tier};
use bulkhead_core::state::State;
use bulkhead_engine::compare::Compared;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use utoipa::ToSchema;

/// Decisions that one list names; the rest is counted.
const DECISIONS_MAX: usize = 100;

/// What this host has, and what its record shows.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = SegmentationReport)]
pub struct SegmentationBody {
    /// When it was made. Tiers, pairs and kernel are as of then; policies and denials over the period.
    pub generated_at: String,
    /// Begin of the period.
    pub since: String,
    /// End of the period.
    pub until: String,
    /// The label that tells tiers.
    pub label: String,
    /// The worst of all pairs: `satisfied`, `not-evaluated` or `not-satisfied`.
    pub status: String,
    /// The host.
    pub host: HostBody,
    /// What made this report and the decisions of now.
    pub software: SoftwareBody,
    /// The head of the decision log.
    pub log: LogHeadBody,
    /// The tiers that are there.
    pub tiers: Vec<TierBody>,
    /// Every ordered pair of them.
    pub pairs: Vec<PairBody>,
    /// Policies over the period.
    pub policies: Vec<StretchBody>,
    /// Times in the period without an enforced policy that judges everywhere.
    pub unguarded: Vec<GapBody>,
    /// What was denied in the period, by policy and rule.
    pub denials: Vec<DenialBody>,
    /// Whether all denials of the period were counted: only so many decisions are read.
    pub denials_complete: bool,
    /// Record against kernel.
    pub kernel: KernelBody,
    /// What this report cannot show.
    pub limits: Vec<String>,
}

/// A host.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = ReportHost)]
pub struct HostBody {
    /// Its name.
    pub name: String,
    /// Release of its kernel.
    pub kernel: String,
    /// This boot.
    pub boot: String,
}

/// Versions.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = ReportSoftware)]
pub struct SoftwareBody {
    /// The daemon's.
    pub bulkhead: String,
    /// What runs the policies.
    pub judged_by: JudgedByBody,
}

/// The head of the decision log. With roots and sizes, kept here, `GET /v1/decisions/verify` finds every rewrite and cut up to them.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = LogHead)]
pub struct LogHeadBody {
    /// Decisions.
    pub size: u64,
    /// Root over them (RFC 6962).
    pub root: String,
    /// Outcomes of their plans.
    pub outcomes_size: u64,
    /// Root over those.
    pub outcomes_root: String,
    /// Whether every record has the bytes of its leaf and no number is missing.
    pub intact: bool,
}

/// A tier.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = ReportTier)]
pub struct TierBody {
    /// The label's value; null is what has no label.
    pub tier: Option<String>,
    /// Networks with this label.
    pub networks: Vec<String>,
    /// Endpoints of this tier, by their workload's label or else their network's.
    pub endpoints: usize,
    /// Segments that any of these are on.
    pub segments: Vec<String>,
}

/// From one tier to another.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = ReportPair)]
pub struct PairBody {
    /// From here …
    pub from: Option<String>,
    /// … to there.
    pub to: Option<String>,
    /// The worst of its checks: `satisfied`, `not-evaluated` or `not-satisfied`.
    pub status: String,
    /// Each check.
    pub checks: Vec<CheckBody>,
}

/// A check.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = ReportCheck)]
pub struct CheckBody {
    /// `shared-segment`, `reach`, `subnet`, `workload`, `parent` or `way-out`.
    pub check: String,
    /// `satisfied`, `not-evaluated` or `not-satisfied`.
    pub status: String,
    /// What it rests on, the worst first; never empty.
    pub findings: Vec<FindingBody>,
    /// How many findings are left out.
    pub more: usize,
}

/// A finding.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = ReportFinding)]
pub struct FindingBody {
    /// One sentence.
    pub text: String,
    /// Decisions that let in what it is about, at most 100.
    pub decisions: Vec<u64>,
    /// How many there are.
    pub decisions_count: usize,
}

/// A policy as it was for a while.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = PolicyStretch)]
pub struct StretchBody {
    /// Its name.
    pub policy: String,
    /// Its revision.
    pub revision: u64,
    /// What its module calls itself, with its version.
    pub module_name: String,
    /// Its module.
    pub module: String,
    /// `enforce`, `audit` or `off`.
    pub mode: String,
    /// Whether its scope covers everything that the module judges.
    pub everywhere: bool,
    /// The decision that made it so; null where there was none.
    pub decision: Option<u64>,
    /// From then …
    pub from: String,
    /// … until then, or the period's end.
    pub until: String,
}

/// A time without an enforced policy.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = PolicyGap)]
pub struct GapBody {
    /// `create-network` or `attach`.
    pub operation: String,
    /// From then …
    pub from: String,
    /// … until then.
    pub until: String,
}

/// What a rule denied.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = ReportDenial)]
pub struct DenialBody {
    /// The policy.
    pub policy: String,
    /// Its rule.
    pub rule: String,
    /// How often.
    pub count: usize,
    /// The decisions, at most 100.
    pub decisions: Vec<u64>,
}

/// Record against kernel.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = ReportKernel)]
pub struct KernelBody {
    /// Whether they agree in all that could be looked at.
    pub agrees: bool,
    /// Where they differ.
    pub differences: Vec<String>,
    /// What could not be looked at.
    pub not_seen: Vec<String>,
}

/// What this report cannot show, whatever it says elsewhere.
const LIMITS: [&str; 7] = [
    "It is about this host alone: shields, VLANs and workloads of other hosts on the same segments are not seen.",
    "Switches are not seen: whether a VLAN is kept apart, trunked or bridged elsewhere is the switch configuration's to show.",
    "Routers and L3 filtering are not seen: where both tiers have a way out, their separation is not evaluated here.",
    "Whoever is root on this host, or has CAP_NET_ADMIN over a workload's namespace from the initial user namespace, can change links \
     between two looks; the kernel is compared with the record at the time of this report only.",
    "Links that this daemon did not make (bridges, macvlan, other tools' networks) are not part of any tier.",
    "Labels say what a tier is. An asserted label is its caller's word, as far as grants let callers assert it.",
    "Without a root kept elsewhere the decision log proves neither that nothing was rewritten nor that nothing was cut off at its end.",
];

/// What a report is made of.
pub struct Parts<'a> {
    /// Now.
    pub now: Timestamp,
    /// The period.
    pub period: (Timestamp, Timestamp),
    /// The label's key.
    pub label: &'a str,
    /// The host.
    pub host: HostBody,
    /// What runs the policies.
    pub judged_by: JudgedByBody,
    /// The log, gone through.
    pub log: &'a Verified,
    /// The state that was looked at.
    pub state: &'a State,
    /// What was found.
    pub tiers: &'a BTreeMap<Tier, Presence>,
    /// What was found of pairs.
    pub pairs: &'a [Pair],
    /// Policies over the period.
    pub stretches: &'a [Stretch],
    /// Times without one.
    pub gaps: Vec<(Operation, Timestamp, Timestamp)>,
    /// Decisions of the period that denied.
    pub denied: &'a [LoggedDecision],
    /// Whether these are all.
    pub denied_complete: bool,
    /// Record against kernel.
    pub compared: &'a Compared,
}

impl SegmentationBody {
    /// Puts a report together.
    pub fn of(parts: Parts<'_>) -> Self {
        let worst = parts.pairs.iter().map(Pair::status).max().unwrap_or(Status::Satisfied);
        let root = |root: &Hash| hex(root);
        let (decisions, outcomes) = (&parts.log.decisions, &parts.log.outcomes);
        let whole = |c: &bulkhead_core::log::Checked| c.changed.is_empty() && c.missing.is_empty();
        Self {
            generated_at: rfc3339(parts.now),
            since: rfc3339(parts.period.0),
            until: rfc3339(parts.period.1),
            label: parts.label.to_owned(),
            status: status(worst).to_owned(),
            host: parts.host,
            software: SoftwareBody { bulkhead: env!("CARGO_PKG_VERSION").to_owned(), judged_by: parts.judged_by },
            log: LogHeadBody {
                size: decisions.size,
                root: root(&decisions.root),
                outcomes_size: outcomes.size,
                outcomes_root: root(&outcomes.root),
                intact: whole(decisions) && whole(outcomes),
            },
            tiers: parts.tiers.iter().map(|(tier, presence)| tier_body(tier, presence, parts.state)).collect(),
            pairs: parts.pairs.iter().map(pair).collect(),
            policies: parts.stretches.iter().map(stretch).collect(),
            unguarded: parts
                .gaps
                .iter()
                .map(|(o, from, until)| GapBody { operation: o.as_str().to_owned(), from: rfc3339(*from), until: rfc3339(*until) })
                .collect(),
            denials: denials(parts.denied),
            denials_complete: parts.denied_complete,
            kernel: KernelBody {
                agrees: parts.compared.differences.is_empty(),
                differences: parts.compared.differences.iter().map(ToString::to_string).collect(),
                not_seen: parts.compared.not_seen.clone(),
            },
            limits: LIMITS.map(str::to_owned).to_vec(),
        }
    }
}

fn status(status: Status) -> &'static str {
    match status {
        Status::Satisfied => "satisfied",
        Status::NotEvaluated => "not-evaluated",
        Status::NotSatisfied => "not-satisfied",
    }
}

fn check_name(check: Check) -> &'static str {
    match check {
        Check::SharedSegment => "shared-segment",
        Check::Reach => "reach",
        Check::Subnet => "subnet",
        Check::Workload => "workload",
        Check::Parent => "parent",
        Check::WayOut => "way-out",
    }
}

fn tier_body(tier: &Tier, presence: &Presence, state: &State) -> TierBody {
    let mut networks: Vec<String> =
        presence.networks.iter().filter_map(|id| state.network_by_id(*id)).map(|n| n.name.to_string()).collect();
    networks.sort();
    let segments = presence.segments.iter().map(ToString::to_string).collect();
    TierBody { tier: tier.clone(), networks, endpoints: presence.endpoints, segments }
}

fn pair(pair: &Pair) -> PairBody {
    let (from, to) = (pair.from.clone(), pair.to.clone());
    PairBody { from, to, status: status(pair.status()).to_owned(), checks: pair.checks.iter().map(check).collect() }
}

fn check(checked: &Checked) -> CheckBody {
    CheckBody {
        check: check_name(checked.check).to_owned(),
        status: status(checked.status).to_owned(),
        findings: checked.findings.iter().map(finding).collect(),
        more: checked.more,
    }
}

fn finding(finding: &Finding) -> FindingBody {
    FindingBody { text: finding.text.clone(), decisions: numbers(&finding.decisions), decisions_count: finding.decisions.len() }
}

fn numbers(decisions: &BTreeSet<DecisionId>) -> Vec<u64> {
    decisions.iter().take(DECISIONS_MAX).map(|d| d.0).collect()
}

fn stretch(stretch: &Stretch) -> StretchBody {
    let p = &stretch.policy;
    StretchBody {
        policy: p.name.to_string(),
        revision: p.revision,
        module_name: format!("{} {}", p.description.name, p.description.version),
        module: p.module.to_string(),
        mode: mode_of(stretch.mode).to_owned(),
        everywhere: p.scope == Default::default(),
        decision: stretch.decision.map(|d| d.0),
        from: rfc3339(stretch.from),
        until: rfc3339(stretch.until),
    }
}

fn denials(denied: &[LoggedDecision]) -> Vec<DenialBody> {
    let mut by_rule: BTreeMap<(String, String), BTreeSet<DecisionId>> = BTreeMap::new();
    for decision in denied.iter().map(|d| &d.decision) {
        let Verdict::Denied { violations } = &decision.verdict else { continue };
        for v in violations {
            by_rule.entry((v.policy.to_string(), v.violation.rule.clone())).or_default().insert(decision.id);
        }
    }
    let body = |((policy, rule), decisions): ((String, String), BTreeSet<DecisionId>)| DenialBody {
        policy,
        rule,
        count: decisions.len(),
        decisions: numbers(&decisions),
    };
    by_rule.into_iter().map(body).collect()
}
