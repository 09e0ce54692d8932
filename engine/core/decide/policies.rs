//! Changes of modules and policies. The engine decides these, not the modules: no policy can lock itself in.

use super::{Basis, Decided, Denial, Effect, Object, Outcome, listed};
use crate::case::Case;
use crate::ids::Timestamp;
use crate::log::Archive;
use crate::names::{Name, nearest, shown};
use crate::policy::{Digest, Module, Operation, Policy, PolicyMode, Verdict};
use crate::record::{Decision, Edit};
use crate::refusal::{Faults, Refusal};
use crate::request::{Asked, PutPolicy, UnusedModule};
use std::sync::Arc;

/// Most policies at a time.
pub const POLICIES_MAX: usize = 256;

fn only_admins(asked: &Asked, what: &str) -> Result<(), Refusal> {
    if asked.caller.admin {
        return Ok(());
    }
    Err(Refusal::forbidden("", format!("{} may not {what}", asked.caller.name), "only uid 0 and configured admins may"))
}

fn outcome(basis: Basis<'_>, asked: &Asked, operation: &str, subject: String, effect: Effect) -> Decided {
    let decision = Decision {
        id: basis.state.next_decision(),
        at: asked.now,
        since_boot: super::since_boot(basis, asked),
        took_us: None,
        caller: asked.caller.clone(),
        operation: operation.to_owned(),
        subject,
        object: None,
        workload: None,
        change: asked.change.clone(),
        judged_by: None,
        heard: Vec::new(),
        verdict: Verdict::Allowed { warnings: Vec::new(), unjudged: false },
        plan: String::new(),
    };
    Decided::Outcome(Box::new(Outcome { decision, effect: Ok::<_, Denial>(effect) }))
}

pub(super) fn put_module(basis: Basis<'_>, asked: &Asked, module: &Arc<Module>) -> Result<Decided, Refusal> {
    only_admins(asked, "upload modules")?;
    if basis.state.module(module.digest).is_some() {
        return Ok(Decided::Already(Object::Module(module.digest)));
    }
    let event = Some(("module.added", format!("module {} {} ({})", module.description.name, module.description.version, module.digest)));
    let effect = Effect { edits: vec![Edit::PutModule(Arc::clone(module))], plan: None, object: Object::Module(module.digest), event };
    Ok(outcome(basis, asked, "put-module", module.digest.to_string(), effect))
}

pub(super) fn delete_module(basis: Basis<'_>, asked: &Asked, unused: &UnusedModule) -> Result<Decided, Refusal> {
    only_admins(asked, "delete modules")?;
    let digest = unused.digest;
    find_module(basis, digest)?;
    let users: Vec<&str> = basis.state.policies().filter(|p| p.module == digest).map(|p| p.name.as_str()).collect();
    if !users.is_empty() {
        return Err(Refusal::conflict("digest", format!("policies use this module: {}", listed(&users, 8)), "delete these first"));
    }
    if let Some(judged) = unused.judged {
        let wrong = format!("decision {judged} was judged by it, and others may have been");
        return Err(Refusal::conflict("digest", wrong, "it stays until these are archived: without it they could not be replayed"));
    }
    // Who was judged by it since is not known, but only if a policy used it meanwhile.
    if basis.state.policies_changed > unused.as_of {
        return Err(Refusal::conflict("digest", "policies were changed while the log was looked at", "ask again"));
    }
    let event = Some(("module.deleted", format!("module {digest}")));
    let effect = Effect { edits: vec![Edit::DropModule(digest)], plan: None, object: Object::Gone, event };
    Ok(outcome(basis, asked, "delete-module", digest.to_string(), effect))
}

/// What has been written becomes the place of these records. Nobody else's business, so no policy is asked.
pub(super) fn archive(basis: Basis<'_>, asked: &Asked, archive: &Archive) -> Result<Decided, Refusal> {
    only_admins(asked, "archive decisions")?;
    let next = basis.state.archived_to.0 + 1;
    if archive.first.0 != next || archive.last < archive.first || archive.last.0 > basis.state.last_decision {
        let wrong = format!("decisions {} to {} are not the next to be archived", archive.first, archive.last);
        return Err(Refusal::conflict("first", wrong, format!("from {next} on, up to {}", basis.state.last_decision)));
    }
    let text = format!("decisions {} to {} of {} are in {}", archive.first, archive.last, archive.month, archive.file);
    let edits = vec![Edit::Archive(Arc::new(archive.clone()))];
    let effect = Effect { edits, plan: None, object: Object::Gone, event: Some(("decisions.archived", text)) };
    Ok(outcome(basis, asked, "archive-decisions", archive.month.clone(), effect))
}

fn find_module(basis: Basis<'_>, digest: Digest) -> Result<&Arc<Module>, Refusal> {
    basis
        .state
        .module(digest)
        .ok_or_else(|| Refusal::not_found("module", format!("there is no module {digest}"), "upload it first: POST /v1/modules"))
}

pub(super) fn put_policy(basis: Basis<'_>, asked: &Asked, wish: &PutPolicy) -> Result<Decided, Refusal> {
    only_admins(asked, "change policies")?;
    find_module(basis, wish.module)?;
    let before = basis.state.policy(wish.name.as_str());
    let mut faults = Faults::default();
    if wish.new_only && before.is_some() {
        faults.conflict("name", format!("there is a policy {} already", wish.name), "another name, or PUT to replace it");
    }
    if before.is_none() && basis.state.policies().count() >= POLICIES_MAX {
        faults.conflict("name", format!("there are {POLICIES_MAX} policies"), "delete one first");
    }
    let judged: Vec<&str> = wish.description.operations.iter().map(|o| Operation::as_str(*o)).collect();
    for (i, operation) in wish.scope.operations.iter().enumerate() {
        if !wish.description.operations.contains(operation) {
            let wrong = format!("{} does not judge {}", wish.description.name, operation.as_str());
            faults.invalid(format!("scope.operations[{i}]"), wrong, format!("one of {}", judged.join(", ")));
        }
    }
    let in_force = before.map_or(0, |p| p.revision);
    if wish.tested_beside != in_force {
        let wrong = format!("policy {} was changed while this change of it was being tested", wish.name);
        faults.conflict("", wrong, "look at it, and ask again");
    }
    faults.finish()?;
    let policy = Policy {
        name: wish.name.clone(),
        module: wish.module,
        description: Arc::clone(&wish.description),
        settings: wish.settings.clone(),
        // Goes on where a policy of this name that is gone has left off: a decision names what it was judged by.
        revision: basis.state.last_revision(&wish.name) + 1,
        mode: wish.mode,
        schedule: wish.schedule,
        scope: wish.scope.clone(),
        help: wish.help.clone(),
        tests: wish.tests.clone(),
    };
    let same = |before: &Policy| {
        let (revision, description) = (before.revision, Arc::clone(&before.description));
        *before == Policy { revision, description, ..policy.clone() }
    };
    if before.is_some_and(|before| same(before)) {
        return Ok(Decided::Already(Object::Policy(wish.name.clone())));
    }
    if let Some(how) = before.and_then(|before| loosens(before, &policy, asked.now)) {
        reason_for(asked, &how)?;
    } else if let Some(before) = before.filter(|b| has_reason(asked).is_none() && b.mode_at(asked.now) == PolicyMode::Enforce)
        && (before.module != policy.module || before.settings != policy.settings)
        && let Some(example) = crate::rehearse::would_allow(basis, before, &policy)
    {
        reason_for(asked, &format!("it would allow what it denies now, such as {example} (POST /v1/rehearsals shows all)"))?;
    }
    let mode = match policy.mode {
        PolicyMode::Enforce => "enforced",
        PolicyMode::Audit => "audited",
        PolicyMode::Off => "off",
    };
    let later = policy.schedule.map_or(String::new(), |_| ", and changes by itself".into());
    let event = Some(("policy.changed", format!("policy {} revision {} is {mode}{later}", policy.name, policy.revision)));
    let effect = Effect { edits: vec![Edit::PutPolicy(Arc::new(policy))], plan: None, object: Object::Policy(wish.name.clone()), event };
    Ok(outcome(basis, asked, "put-policy", wish.name.to_string(), effect))
}

/// How `after` asks for less than `before`, if it does; what its settings allow only asking it can tell.
fn loosens(before: &Policy, after: &Policy, now: Timestamp) -> Option<String> {
    let strength = |mode: PolicyMode| match mode {
        PolicyMode::Off => 0,
        PolicyMode::Audit => 1,
        PolicyMode::Enforce => 2,
    };
    let before_now = before.mode_at(now);
    if strength(after.mode_at(now)) < strength(before_now) {
        return Some("it would be taken less seriously".into());
    }
    let later = |p: &Policy| p.schedule.map_or(p.mode, |s| s.then);
    if strength(later(after)) < strength(before_now).min(strength(later(before))) {
        return Some("it would be taken less seriously later".into());
    }
    let kept = |case: &Case| after.tests.as_ref().is_some_and(|suite| suite.cases.contains(case));
    let lost = before.tests.iter().flat_map(|suite| &suite.cases).filter(|case| !kept(case)).count();
    if lost > 0 {
        return Some(format!("{lost} of its tests would be gone or other ones"));
    }
    fn narrower<T: PartialEq>(before: &[T], after: &[T]) -> bool {
        // None means all.
        !after.is_empty() && (before.is_empty() || before.iter().any(|b| !after.contains(b)))
    }
    let (b, a) = (&before.scope, &after.scope);
    let less =
        narrower(&b.operations, &a.operations) || narrower(&b.networks, &a.networks) || !b.network_labels.contains(&a.network_labels);
    (less && before_now != PolicyMode::Off).then(|| "it would apply to less".into())
}

fn has_reason(asked: &Asked) -> Option<&str> {
    asked.change.reason.as_deref().filter(|r| !r.trim().is_empty())
}

fn reason_for(asked: &Asked, how: &str) -> Result<(), Refusal> {
    if has_reason(asked).is_some() {
        return Ok(());
    }
    let wrong = format!("a change that loosens a policy needs one: {how}");
    Err(Refusal::invalid("reason", wrong, "why, as the parameter `reason` or the header field Bulkhead-Reason; it goes on record"))
}

pub(super) fn delete_policy(basis: Basis<'_>, asked: &Asked, name: &str) -> Result<Decided, Refusal> {
    only_admins(asked, "delete policies")?;
    let Some(policy) = basis.state.policy(name) else {
        let names: Vec<&str> = basis.state.policies().map(|p| p.name.as_str()).collect();
        let right = nearest(name, names.iter().copied())
            .map_or_else(|| format!("there are {}", listed(&names, 8)), |n| format!("did you mean {n}?"));
        return Err(Refusal::not_found("policy", format!("there is no policy {}", shown(name)), right));
    };
    if policy.mode_at(asked.now) != PolicyMode::Off || policy.schedule.is_some() {
        reason_for(asked, "it would judge nothing any more")?;
    }
    let name: Name = policy.name.clone();
    let event = Some(("policy.deleted", format!("policy {name}")));
    let effect = Effect { edits: vec![Edit::DropPolicy(name.clone())], plan: None, object: Object::Gone, event };
    Ok(outcome(basis, asked, "delete-policy", name.to_string(), effect))
}
