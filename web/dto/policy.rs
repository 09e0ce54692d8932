//! Policies and modules.

use super::labels;
use crate::app::App;
use crate::fields::{self, Fields, Read};
use crate::time;
use bulkhead_core::case::Suite;
use bulkhead_core::names::{Name, shown};
use bulkhead_core::policy::{Description, Digest, Help, Module, Operation, Policy, PolicyMode, Schedule, Scope, View};
use bulkhead_core::refusal::Fault;
use bulkhead_core::state::State;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use utoipa::ToSchema;

/// A policy that is asked for: a module with settings.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[schema(as = PolicyWish, example = json!({
    "name": "at-most-ten",
    "module": "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "settings": {"max": 10}, "mode": "audit", "scope": {"operations": ["attach"], "network_labels": {"tier": "cards"}}
}))]
#[serde(default, deny_unknown_fields)]
pub struct PolicyWishBody {
    /// Its name; with PUT the path has it, and it may be left out here.
    #[schema(pattern = "^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Digest of its module, uploaded before.
    #[schema(required = true, pattern = "^sha256:[0-9a-f]{64}$")]
    pub module: String,
    /// Its settings, as the module's schema says; `{}` by default.
    #[schema(value_type = Object)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub settings: Option<Value>,
    /// `enforce` (default), `audit` (asked and recorded only) or `off` (not asked).
    #[schema(pattern = "^(enforce|audit|off)$", default = "enforce")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    /// Until when that mode holds (RFC 3339); `then` says which one follows.
    #[schema(example = "2027-03-01T00:00:00Z")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// The mode from `until` on.
    #[schema(pattern = "^(enforce|audit|off)$")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub then: Option<String>,
    /// Where it applies; everywhere by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<ScopeBody>,
    /// Shown with its violations, after the module's own remedy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<HelpBody>,
    /// Cases that this and every later revision must pass, as `bulkhead policy test` takes them: `request` that all have in common, and
    /// `cases` of `name`, `request`, `expect`, `rules`. Those of the revision in force, where left out; an empty list drops them.
    #[schema(value_type = Option<Object>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tests: Option<Value>,
}

/// A policy that is asked for where no path has its name.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[schema(as = NamedPolicyWish)]
pub struct NamedPolicyWishBody {
    /// What it is to be.
    #[serde(flatten)]
    pub wish: PolicyWishBody,
    /// Its name.
    #[schema(pattern = "^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$")]
    pub name: String,
}

/// Where callers whom a policy denies something are sent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = Help)]
#[serde(default, deny_unknown_fields)]
pub struct HelpBody {
    /// Whom to ask.
    #[schema(max_length = 255, example = "network-team@example.com")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contact: Option<String>,
    /// Where to read more; http or https.
    #[schema(max_length = 1024)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// What to know.
    #[schema(max_length = 1024)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

impl From<&Help> for HelpBody {
    fn from(help: &Help) -> Self {
        Self { contact: help.contact.clone(), url: help.url.clone(), message: help.message.clone() }
    }
}

/// Where a policy applies. What is left out does not matter.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = Scope)]
#[serde(default, deny_unknown_fields)]
pub struct ScopeBody {
    /// Operations; those that the module judges, where left out.
    pub operations: Vec<String>,
    /// Labels that the network must have.
    pub network_labels: BTreeMap<String, String>,
    /// Names of networks.
    pub networks: Vec<String>,
}

/// A policy as read.
#[derive(Debug, Clone)]
pub struct Wish {
    /// Its name, where the body has one.
    pub name: Option<Name>,
    /// Its module.
    pub module: Digest,
    /// Its settings.
    pub settings: Value,
    /// Its mode.
    pub mode: PolicyMode,
    /// The mode that follows.
    pub schedule: Option<Schedule>,
    /// Its scope.
    pub scope: Scope,
    /// Shown with its violations.
    pub help: Help,
    /// Its tests; `None`: those of the revision in force.
    pub tests: Option<Arc<Suite>>,
}

/// Most cases that are kept with a policy.
const CASES_MAX: usize = 256;

const OPERATIONS: [(&str, Operation); 6] = [
    ("create-network", Operation::CreateNetwork),
    ("change-network", Operation::ChangeNetwork),
    ("delete-network", Operation::DeleteNetwork),
    ("attach", Operation::Attach),
    ("change-workload", Operation::ChangeWorkload),
    ("detach", Operation::Detach),
];

/// Reads a policy that is asked for; `in_path` is its name where the path has one.
pub fn read(value: Value, in_path: Option<&str>) -> Read<Wish> {
    let mut body = Fields::of(value)?;
    let name = match in_path {
        None => body.required("name", "a name for the policy", fields::name),
        Some(in_path) => {
            let name = body.optional("name", fields::name);
            if let Some(other) = name.as_ref().filter(|n| n.as_str() != in_path) {
                body.fault(Fault::new("name", format!("{other} is not the name in the path"), format!("{in_path}, or none")));
            }
            name
        }
    };
    let module = body.required("module", "sha256: and 64 hexadecimal digits, the digest of an uploaded module", fields::digest);
    let settings = body.optional("settings", object).unwrap_or_else(|| Value::Object(serde_json::Map::new()));
    let modes = &[("enforce", PolicyMode::Enforce), ("audit", PolicyMode::Audit), ("off", PolicyMode::Off)];
    let mode = body.optional("mode", fields::choice(modes)).unwrap_or(PolicyMode::Enforce);
    let until = body.optional("until", |v| {
        let text = fields::text(v)?;
        let wrong = || vec![Fault::new("", format!("{} is not a time", shown(&text)), "a time, such as 2027-03-01T00:00:00Z")];
        time::parse(&text).ok_or_else(wrong)
    });
    let then = body.optional("then", fields::choice(modes));
    match (until, then) {
        (Some(_), None) => body.fault(Fault::new("then", "missing", "the mode that follows: enforce, audit or off")),
        (None, Some(_)) => body.fault(Fault::new("until", "missing", "the time from which that mode holds")),
        _ => {}
    }
    let schedule = until.zip(then).map(|(until, then)| Schedule { until, then });
    let scope = body.optional("scope", scope).unwrap_or_default();
    let help = body.optional("help", help).unwrap_or_default();
    let tests = body.optional("tests", tests);
    let faults = body.finish();
    match module {
        Some(module) if faults.is_empty() => Ok(Wish { name, module, settings, mode, schedule, scope, help, tests }),
        _ => Err(faults),
    }
}

/// Tests that are kept with a policy hold for its settings, whichever these are.
fn tests(value: Value) -> Read<Arc<Suite>> {
    if value["cases"].as_array().is_some_and(Vec::is_empty) {
        return Ok(Arc::new(Suite { module: None, settings: Value::Null, cases: Vec::new() }));
    }
    let suite = Suite::read(&value)?;
    let mut faults = Vec::new();
    let own = suite.cases.iter().enumerate().filter(|(_, c)| c.settings.is_some()).map(|(at, _)| format!("cases[{at}].settings"));
    let own = own.chain((!suite.settings.is_null()).then(|| "settings".to_owned()));
    faults.extend(own.map(|field| Fault::new(field, "settings of its own", "leave them away: the policy's settings are tested")));
    if suite.cases.len() > CASES_MAX {
        faults.push(Fault::new("cases", format!("{} cases", suite.cases.len()), format!("at most {CASES_MAX}")));
    }
    if faults.is_empty() { Ok(Arc::new(suite)) } else { Err(faults) }
}

fn object(value: Value) -> Read<Value> {
    Fields::of(value.clone()).map(|_| value)
}

fn help(value: Value) -> Read<Help> {
    let mut body = Fields::of(value)?;
    let text = |max: usize| {
        move |value: Value| {
            let text = fields::text(value)?;
            let fits = !text.is_empty() && text.len() <= max && !text.chars().any(char::is_control);
            let right = format!("1 to {max} bytes without control characters");
            if fits { Ok(text) } else { Err(vec![Fault::new("", format!("{} does not fit", shown(&text)), right)]) }
        }
    };
    let contact = body.optional("contact", text(255));
    let url = body.optional("url", |v| {
        let url = text(1024)(v)?;
        let is_web = url.starts_with("https://") || url.starts_with("http://");
        // Somebody will click on it: nothing else than a page.
        if is_web { Ok(url) } else { Err(vec![Fault::new("", format!("{} is not a web address", shown(&url)), "http:// or https://")]) }
    });
    let message = body.optional("message", text(1024));
    let faults = body.finish();
    if faults.is_empty() { Ok(Help { contact, url, message }) } else { Err(faults) }
}

fn scope(value: Value) -> Read<Scope> {
    let mut body = Fields::of(value)?;
    let operations = body.optional("operations", fields::list(|v| fields::choice(&OPERATIONS)(v))).unwrap_or_default();
    let network_labels = body.optional("network_labels", fields::labels).unwrap_or_default();
    let networks = body.optional("networks", fields::list(|v| fields::name(v).map(|n| n.to_string()))).unwrap_or_default();
    let faults = body.finish();
    if faults.is_empty() { Ok(Scope { operations, network_labels, networks }) } else { Err(faults) }
}

/// A policy.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = Policy)]
pub struct PolicyBody {
    /// Its name.
    pub name: String,
    /// `enforce`, `audit` or `off`.
    pub mode: String,
    /// Until when; `then` is the mode that follows by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// The mode from `until` on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub then: Option<String>,
    /// Digest of its module.
    pub module: String,
    /// What the module says of itself.
    pub description: DescriptionBody,
    /// Its settings.
    #[schema(value_type = Object)]
    pub settings: Value,
    /// Revision of the policy, from 1: each change counts one up.
    pub revision: u64,
    /// Where it applies.
    pub scope: ScopeBody,
    /// Shown with its violations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<HelpBody>,
    /// Cases that each revision must pass.
    #[schema(value_type = Option<Object>)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tests: Option<Value>,
    /// How it fares; not of a revision of before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<StatusBody>,
    /// Number of the decision, where this answers a change that was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision: Option<u64>,
}

/// A module.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = Module)]
pub struct ModuleBody {
    /// SHA-256 of its bytes.
    pub digest: String,
    /// Bytes.
    pub size: u64,
    /// Ships with the daemon.
    pub built_in: bool,
    /// What it says of itself.
    pub description: DescriptionBody,
    /// Names of the policies that use it.
    pub policies: Vec<String>,
    /// How it fares.
    pub status: StatusBody,
    /// Number of the decision, where this answers an upload that was new.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision: Option<u64>,
}

/// How a module, or a policy made of it, fares in this daemon.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = Status)]
pub struct StatusBody {
    /// Whether it can judge. Else its policies deny what is in their scope, except removals.
    pub loaded: bool,
    /// Why it cannot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why_not: Option<String>,
    /// Since when the policy breaks at every request; it denies them, except removals.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub broke_since: Option<String>,
    /// How often since then. After `breaks_max` it is asked no more before a new revision or a new start, and denies at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub breaks_in_a_row: Option<u64>,
    /// Why it broke the last time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub broke: Option<String>,
    /// Bytes of the module.
    pub size: u64,
    /// What it may use, by name: the limits in force.
    pub limits: BTreeMap<String, u64>,
}

/// What a module says of itself.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = Description)]
pub struct DescriptionBody {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// One sentence.
    pub summary: String,
    /// Operations that it judges.
    pub operations: Vec<String>,
    /// Rules that it may find violated.
    pub rules: Vec<RuleBody>,
    /// Label keys that it looks at.
    pub label_keys: Vec<String>,
    /// Views that it needs: `attached`, `same-segment`, `reaches`, `overlapping`.
    pub needs: Vec<String>,
    /// JSON Schema of its settings; null where it is none.
    #[schema(value_type = Option<Object>)]
    pub settings_schema: Value,
}

/// A rule.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = Rule)]
pub struct RuleBody {
    /// Its id.
    pub id: String,
    /// One sentence.
    pub summary: String,
    /// What it serves, such as `PCI DSS 11.4.5`.
    pub controls: Vec<String>,
}

/// The mode's name.
pub fn mode_of(mode: PolicyMode) -> &'static str {
    match mode {
        PolicyMode::Enforce => "enforce",
        PolicyMode::Audit => "audit",
        PolicyMode::Off => "off",
    }
}

fn describe(d: &Description) -> DescriptionBody {
    let view = |v: &View| match v {
        View::Attached => "attached",
        View::SameSegment => "same-segment",
        View::Reaches => "reaches",
        View::Overlapping => "overlapping",
    };
    DescriptionBody {
        name: d.name.clone(),
        version: d.version.clone(),
        summary: d.summary.clone(),
        operations: d.operations.iter().map(|o| o.as_str().to_owned()).collect(),
        rules: d.rules.iter().map(|r| RuleBody { id: r.id.clone(), summary: r.summary.clone(), controls: r.controls.clone() }).collect(),
        label_keys: d.label_keys.clone(),
        needs: d.needs.iter().map(|v| view(v).to_owned()).collect(),
        settings_schema: serde_json::from_str(&d.settings_schema).unwrap_or_default(),
    }
}

/// A policy as clients see it.
pub fn show(policy: &Policy) -> PolicyBody {
    PolicyBody {
        name: policy.name.to_string(),
        mode: mode_of(policy.mode).to_owned(),
        until: policy.schedule.map(|s| time::rfc3339(s.until)),
        then: policy.schedule.map(|s| mode_of(s.then).to_owned()),
        module: policy.module.to_string(),
        description: describe(&policy.description),
        settings: policy.settings.clone(),
        revision: policy.revision,
        scope: ScopeBody {
            operations: policy.scope.operations.iter().map(|o| o.as_str().to_owned()).collect(),
            network_labels: labels(&policy.scope.network_labels),
            networks: policy.scope.networks.clone(),
        },
        help: (!policy.help.is_empty()).then(|| (&policy.help).into()),
        // Texts, numbers and lists only: this cannot fail.
        tests: policy.tests.as_ref().and_then(|suite| serde_json::to_value(&**suite).ok()),
        status: None,
        decision: None,
    }
}

/// A policy in force as clients see it.
pub fn show_in_force(app: &App, policy: &Policy) -> PolicyBody {
    let size = app.engine().state().module(policy.module).map_or(0, |m| m.size);
    let mut status = status(app, policy.module, size);
    if let Some(broken) = app.engine().broke(policy) {
        status.broke_since = Some(time::rfc3339(broken.since));
        (status.breaks_in_a_row, status.broke) = (Some(broken.times), Some(broken.why));
    }
    PolicyBody { status: Some(status), ..show(policy) }
}

fn status(app: &App, module: Digest, size: u64) -> StatusBody {
    let loaded = app.modules().loaded(module);
    let limits = app.modules().limits().into_iter().map(|(name, limit)| (name.to_owned(), limit)).collect();
    StatusBody { loaded: loaded.is_ok(), why_not: loaded.err(), broke_since: None, breaks_in_a_row: None, broke: None, size, limits }
}

/// A module as clients see it.
pub fn show_module(app: &App, state: &State, module: &Module) -> ModuleBody {
    ModuleBody {
        digest: module.digest.to_string(),
        size: module.size,
        built_in: module.built_in,
        description: describe(&module.description),
        policies: state.policies().filter(|p| p.module == module.digest).map(|p| p.name.to_string()).collect(),
        status: status(app, module.digest, module.size),
        decision: None,
    }
}
