//! `/v1/decisions/{decision}/replay` and `/v1/decisions/verify`: whether a decision would be the same again, and whether the log is what
//! it was.

use super::Answered;
use crate::app::App;
use crate::dto::decision::heard as show_heard;
use crate::dto::evidence::{ReplayBody, ReplayedBody, VerificationBody};
use crate::dto::json;
use crate::params::{Params, Path};
use crate::problem::Problem;
use axum::extract::State;
use axum::http::StatusCode;
use bulkhead_core::ids::DecisionId;
use bulkhead_core::names::shown;
use bulkhead_core::policy::{Heard, Operation, Verdict, combine};
use bulkhead_core::refusal::{Fault, Refusal};
use utoipa::IntoParams;

/// Puts the recorded question of a decision to the recorded policies once more. Changes nothing.
///
/// The same module, settings and question give the same opinion forever; this shows it.
#[utoipa::path(get, path = "/v1/decisions/{decision}/replay", tag = "decisions", params(("decision" = u64, Path, description = "Its number")),
    responses((status = 200, description = "What was said, and what is said now", body = ReplayBody)))]
pub async fn replay(State(app): State<App>, Path(text): Path<String>, params: Params) -> Answered {
    params.check()?;
    app.engine().flush().await;
    let found = match text.parse().ok().filter(|n: &u64| i64::try_from(*n).is_ok()) {
        Some(id) => app.log().decision(DecisionId(id)).await?,
        None => None,
    };
    let Some(logged) = found else {
        let right = "GET /v1/decisions lists those that are there";
        return Err(Refusal::not_found("decision", format!("there is no decision {}", shown(&text)), right).into());
    };
    let decision = logged.decision;
    let mut policies = Vec::new();
    let mut says = Vec::new();
    for then in &decision.heard {
        let revision = app.log().revision(then.policy.to_string(), then.revision).await?;
        let (now, why_not) = match revision {
            None => (None, Some(format!("revision {} of policy {} is not on record", then.revision, then.policy))),
            Some(r) if r.policy.module != then.module => (None, Some(format!("revision {} on record has another module", then.revision))),
            Some(r) => {
                let (engine, question) = (app.engine().clone(), then.question.clone());
                let judged = app.blocking(move || engine.judge(&r.policy, &question)).await?;
                (Some(Heard { judged, ..then.clone() }), None)
            }
        };
        let same = now.as_ref().is_some_and(|n| n.judged.judgement == then.judged.judgement);
        let same_fuel = now.as_ref().is_some_and(|n| n.judged.fuel == then.judged.fuel);
        policies.push(ReplayedBody {
            then: show_heard(then, false),
            now: now.as_ref().map(|n| show_heard(n, false)),
            same,
            same_fuel,
            why_not,
        });
        says.extend(now);
    }
    let operation = decision.heard.first().map(|h| h.question.operation);
    let denies = denied(operation, &says, &decision.verdict);
    let same = policies.iter().all(|p| p.same) && denies == !matches!(decision.verdict, Verdict::Allowed { .. });
    let verdict = if denies { "denied" } else { "allowed" }.to_owned();
    Ok(json(StatusCode::OK, &ReplayBody { decision: decision.id.0, same, policies, verdict }))
}

/// What the policies' opinions come to. Whether what nobody judges is allowed was the configuration's to say, and stays as it was said.
fn denied(operation: Option<Operation>, says: &[Heard], then: &Verdict) -> bool {
    let allow_unjudged = matches!(then, Verdict::Allowed { .. });
    match operation {
        Some(operation) => !matches!(combine(operation, says, allow_unjudged, None), Verdict::Allowed { .. }),
        None => !matches!(then, Verdict::Allowed { .. }),
    }
}

/// Roots that were kept elsewhere.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct VerifyParams {
    /// The root over the first `size` decisions, as this call has told it before: 64 hexadecimal digits.
    #[param(nullable = false, pattern = "^[0-9a-f]{64}$")]
    pub root: Option<String>,
    /// How many decisions that root is over.
    #[param(nullable = false)]
    pub size: Option<u64>,
    /// The same of what came of the decisions' plans.
    #[param(nullable = false, pattern = "^[0-9a-f]{64}$")]
    pub outcomes_root: Option<String>,
    /// How many outcomes that root is over.
    #[param(nullable = false)]
    pub outcomes_size: Option<u64>,
}

/// Goes through the whole decision log: finds records whose bytes differ from the leaf that was recorded with them, and missing numbers.
///
/// With a root that was kept elsewhere it finds every rewrite and every cut up to that size. Without one it proves neither: whoever
/// can write the database can write leaves as well, and says so.
#[utoipa::path(get, path = "/v1/decisions/verify", tag = "decisions", params(VerifyParams),
    responses((status = 200, description = "What was found", body = VerificationBody)))]
pub async fn verify(State(app): State<App>, mut params: Params) -> Answered {
    let mut kept = |root: &'static str, size: &'static str| {
        let is_root =
            |t: &str| (t.len() == 64 && t.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))).then(|| t.to_owned());
        let given = params.parsed(root, "64 lowercase hexadecimal digits, as this call told them before", is_root);
        let of = params.parsed(size, "the number that the root is over", |n| n.parse::<u64>().ok());
        let missing = match (&given, &of) {
            (Some(_), None) => Some(size),
            (None, Some(_)) => Some(root),
            _ => None,
        };
        (given.zip(of), missing.map(|name| Fault::new(name, "missing", "both root and size, or neither")))
    };
    let ((decisions, one), (outcomes, other)) = (kept("root", "size"), kept("outcomes_root", "outcomes_size"));
    let faults = params.finish();
    // A value that does not fit is not missing.
    let missing = if faults.is_empty() { [one, other] } else { [None, None] };
    let faults: Vec<Fault> = faults.into_iter().chain(missing.into_iter().flatten()).collect();
    if !faults.is_empty() {
        return Err(Problem::invalid(faults));
    }
    app.engine().flush().await;
    let size = |kept: &Option<(String, u64)>| kept.as_ref().map(|(_, size)| *size);
    let found = app.log().verify(size(&decisions), size(&outcomes)).await?;
    Ok(json(StatusCode::OK, &VerificationBody::of(&found, decisions, outcomes)))
}
