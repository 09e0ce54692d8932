//! `/v1/decisions/{decision}/replay`: whether a decision would be the same again, and what another policy would have said.

use super::{Answered, both, candidate, decisions, meaning, only_admins};
use crate::app::{App, Asker};
use crate::body::JsonBody;
use crate::dto::decision::heard as show_heard;
use crate::dto::evidence::{OtherBody, ReplayBody, ReplayedBody};
use crate::dto::json;
use crate::dto::policy::{self, NamedPolicyWishBody};
use crate::params::{Params, Path};
use crate::problem::Problem;
use axum::extract::State;
use axum::http::StatusCode;
use bulkhead_core::names::{Name, nearest, shown};
use bulkhead_core::policy::{Description, Heard, Operation, Policy, Verdict, combine};
use bulkhead_core::record::Decision;
use bulkhead_core::refusal::{Fault, Refusal};
use bulkhead_core::rehearse::denies;
use bulkhead_core::replay::{Comparison, fitting};
use std::sync::Arc;
use utoipa::IntoParams;

/// By whom.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ReplayParams {
    /// Also put the recorded question to this policy, as it is now.
    #[param(nullable = false)]
    pub policy: Option<String>,
    /// To this revision of it.
    #[param(nullable = false)]
    pub revision: Option<u64>,
}

/// Puts the recorded question of a decision to the recorded policies once more, and to another if asked. Changes nothing.
///
/// The same module, settings and question give the same opinion forever; this shows it. What a limit of another engine or
/// configuration decided is *not comparable* here, and neither is what time decided.
#[utoipa::path(get, path = "/v1/decisions/{decision}/replay", tag = "decisions",
    params(("decision" = u64, Path, description = "Its number"), ReplayParams),
    responses((status = 200, description = "What was said, and what is said now", body = ReplayBody)))]
pub async fn replay(State(app): State<App>, Path(text): Path<String>, mut params: Params) -> Answered {
    let name = params.one("policy");
    let number = params.parsed("revision", "the number of a revision", |n| n.parse::<u64>().ok().filter(|n| i64::try_from(*n).is_ok()));
    let mut faults = params.finish();
    if number.is_some() && name.is_none() {
        faults.push(Fault::new("policy", "missing", "the name of the policy whose revision it is"));
    }
    if !faults.is_empty() {
        return Err(Problem::invalid(faults));
    }
    let decision = decisions::find(&app, &text).await?.decision;
    let other = match name {
        None => None,
        Some(name) => Some(on_record(&app, &name, number).await?),
    };
    answer(&app, decision, other).await
}

/// Puts the recorded question of a decision to a policy that is only wished for as well. Changes nothing.
#[utoipa::path(post, path = "/v1/decisions/{decision}/replay", tag = "decisions", operation_id = "replay_with",
    params(("decision" = u64, Path, description = "Its number")), request_body = NamedPolicyWishBody,
    responses((status = 200, description = "What was said, and what is said now", body = ReplayBody)))]
pub async fn replay_with(
    State(app): State<App>,
    Asker(caller): Asker,
    Path(text): Path<String>,
    params: Params,
    JsonBody(body): JsonBody,
) -> Answered {
    only_admins(&caller, "try policies")?;
    let wish = both(params.finish(), meaning(body, |v| policy::read(v, None)))?;
    let decision = decisions::find(&app, &text).await?.decision;
    let name = wish.name.clone().map_or_else(|| Name::new("candidate").map_err(|fault| Problem::invalid(vec![fault])), Ok)?;
    let candidate = candidate::of(&app, name, wish).await?;
    answer(&app, decision, Some(candidate)).await
}

/// The policy as it is, or a revision of it.
pub(super) async fn on_record(app: &App, name: &str, revision: Option<u64>) -> Result<Policy, Problem> {
    if let Some(number) = revision {
        let found = app.log().revision(name.to_owned(), number).await?;
        let none = || Refusal::not_found("revision", format!("policy {} has no revision {number}", shown(name)), "one that it has had");
        return Ok(found.ok_or_else(none)?.policy);
    }
    let state = app.engine().state();
    let found = state.policy(name).map(|p| Policy::clone(p));
    let near = nearest(name, state.policies().map(|p| p.name.as_str()));
    let right = near.map_or_else(|| "GET /v1/policies lists those that are there".to_owned(), |n| format!("did you mean {n}?"));
    Ok(found.ok_or_else(|| Refusal::not_found("policy", format!("there is no policy {}", shown(name)), right))?)
}

async fn answer(app: &App, decision: Decision, other: Option<Policy>) -> Answered {
    let mut revisions = Vec::new();
    for then in &decision.heard {
        revisions.push(app.log().revision(then.policy.to_string(), then.revision).await?.map(|r| r.policy));
    }
    let engine = app.engine().clone();
    let work = move || {
        let asked_again = |(then, policy): (&Heard, &Option<Policy>)| engine.again(then, policy.as_ref(), decision.judged_by.as_deref());
        let again: Vec<_> = decision.heard.iter().zip(&revisions).map(asked_again).collect();
        let with = other.map(|policy| put(&engine, &decision, &revisions, &policy)).transpose()?;
        let now_by = engine.judged_by();
        let same_judge = decision.judged_by.as_ref() == Some(&now_by);
        let says: Vec<Heard> = decision
            .heard
            .iter()
            .zip(&again)
            .filter_map(|(then, again)| Some(Heard { judged: again.now.clone()?, ..then.clone() }))
            .collect();
        let denies = denied(decision.heard.first().map(|h| h.question.operation), &says, &decision.verdict);
        let all_heard = says.len() == decision.heard.len();
        let comparable = all_heard && !again.iter().any(|a| matches!(a.comparison, Comparison::NotComparable(_)));
        let differs = again.iter().any(|a| a.comparison == Comparison::Differs);
        let verdict_differs = comparable && denies == matches!(decision.verdict, Verdict::Allowed { .. });
        let policies = decision.heard.iter().zip(&again).map(|(then, again)| ReplayedBody {
            then: show_heard(then, false),
            now: again.now.clone().map(|judged| show_heard(&Heard { judged, ..then.clone() }, false)),
            same: again.comparison == Comparison::Same,
            comparable: !matches!(again.comparison, Comparison::NotComparable(_)),
            same_fuel: again.now.as_ref().filter(|_| same_judge).map(|now| now.fuel == then.judged.fuel),
            why_not: match again.comparison {
                Comparison::NotComparable(why) => Some(why.to_owned()),
                Comparison::Same | Comparison::Differs => None,
            },
        });
        Ok(ReplayBody {
            decision: decision.id.0,
            same: comparable && !differs && !verdict_differs,
            comparable,
            policies: policies.collect(),
            verdict: if denies { "denied" } else { "allowed" }.to_owned(),
            judged_by_then: decision.judged_by.as_deref().map(Into::into),
            judged_by_now: (&*now_by).into(),
            with,
        })
    };
    let body: Result<ReplayBody, Problem> = app.blocking(work).await?;
    Ok(json(StatusCode::OK, &body?))
}

/// Puts the recorded question that fits it best to another policy.
fn put(engine: &bulkhead_engine::Engine, decision: &Decision, revisions: &[Option<Policy>], policy: &Policy) -> Result<OtherBody, Problem> {
    let descriptions: Vec<Option<Arc<Description>>> =
        revisions.iter().map(|r| r.as_ref().map(|policy| Arc::clone(&policy.description))).collect();
    let heard: Vec<_> = decision.heard.iter().zip(descriptions.iter().map(Option::as_deref)).collect();
    let Some((then, not_shown)) = fitting(&heard, &policy.description) else {
        let wrong = format!("decision {} holds no question: no policy was asked", decision.id);
        return Err(Refusal::invalid("decision", wrong, "a decision about a network or an endpoint").into());
    };
    let question = &then.question;
    let judges = policy.description.operations.contains(&question.operation);
    let judged = judges.then(|| engine.judge(policy, question));
    let (name, module, revision, mode, help) = (policy.name.clone(), policy.module, policy.revision, policy.mode, policy.help.clone());
    let says = judged.map(|judged| Heard { policy: name, module, revision, mode, help, question: question.clone(), judged });
    Ok(OtherBody {
        shown_as: then.policy.to_string(),
        not_shown,
        denies: says.as_ref().is_some_and(|h| denies(&h.judged)),
        says: says.map(|h| show_heard(&h, false)),
    })
}

/// What the policies' opinions come to. Whether what nobody judges is allowed was the configuration's to say, and stays as it was said.
fn denied(operation: Option<Operation>, says: &[Heard], then: &Verdict) -> bool {
    let allow_unjudged = matches!(then, Verdict::Allowed { .. });
    match operation {
        Some(operation) => !matches!(combine(operation, says, allow_unjudged, None), Verdict::Allowed { .. }),
        None => !matches!(then, Verdict::Allowed { .. }),
    }
}
