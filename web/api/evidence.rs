//! `/v1/decisions/verify`: whether the log is what it was.

use super::Answered;
use crate::app::App;
use crate::dto::evidence::VerificationBody;
use crate::dto::json;
use crate::params::Params;
use crate::problem::Problem;
use axum::extract::State;
use axum::http::StatusCode;
use bulkhead_core::refusal::Fault;
use utoipa::IntoParams;

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
        let of = params.parsed(size, "the number that the root is over", |n| n.parse::<u64>().ok().filter(|n| i64::try_from(*n).is_ok()));
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
