//! `/v1/parents`

use super::Answered;
use crate::app::App;
use crate::dto::parent::{self, ParentBody};
use crate::dto::{Page, PageParams, json};
use crate::params::{Params, Path};
use crate::problem::Problem;
use axum::extract::State;
use axum::http::StatusCode;
use bulkhead_core::host::Host;
use bulkhead_core::names::{nearest, shown};
use bulkhead_core::refusal::Refusal;
use bulkhead_core::state::State as Record;
use utoipa::IntoParams;

/// Which parents.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ParentFilter {
    /// Name of the link.
    #[param(nullable = false)]
    pub link: Option<String>,
    /// `vlan`, `dummy`, `physical`, or the kernel's word.
    #[param(nullable = false)]
    pub kind: Option<String>,
    /// `making`, `present`, `lost`, `removing`; `available` or `unfit` where it is no parent.
    #[param(nullable = false, pattern = "^(making|present|lost|removing|available|unfit)$")]
    pub state: Option<String>,
}

/// Lists parents, and the host's links that could be one, by name.
#[utoipa::path(get, path = "/v1/parents", tag = "parents", params(ParentFilter, PageParams),
    responses((status = 200, description = "A page of them", body = Page<ParentBody>)))]
pub async fn list(State(app): State<App>, mut params: Params) -> Answered {
    let (link, kind) = (params.one("link"), params.one("kind"));
    let wanted = params.choice("state", &["making", "present", "lost", "removing", "available", "unfit"]);
    let limit = params.limit();
    let after = params.one("cursor");
    params.check()?;
    let fits = |p: &ParentBody| {
        after.as_ref().is_none_or(|a| cursor(p) > *a)
            && link.as_ref().is_none_or(|x| p.link == *x)
            && kind.as_ref().is_none_or(|x| p.kind == *x)
            && wanted.is_none_or(|s| p.state == s)
    };
    let all = all(&app.engine().state(), &app.engine().host());
    Ok(json(StatusCode::OK, &Page::of(all.into_iter().filter(fits), limit, cursor)))
}

/// Shows a parent, or a link that could be one, by the link's name or the parent's id.
#[utoipa::path(get, path = "/v1/parents/{parent}", tag = "parents", params(("parent" = String, Path, description = "Name of the link, or id")),
    responses((status = 200, description = "The parent", body = ParentBody)))]
pub async fn inspect(State(app): State<App>, Path(name): Path<String>, params: Params) -> Answered {
    params.check()?;
    let all = all(&app.engine().state(), &app.engine().host());
    let is_it = |p: &&ParentBody| p.link == name || p.alias.as_ref() == Some(&name) || p.id.as_ref() == Some(&name);
    match all.iter().find(is_it) {
        Some(found) => Ok(json(StatusCode::OK, found)),
        None => {
            let near = nearest(&name, all.iter().map(|p| p.link.as_str()));
            let right = near.map_or_else(|| "GET /v1/parents lists those that are there".to_owned(), |n| format!("did you mean {n}?"));
            Err(Problem::from(Refusal::not_found("parent", format!("there is no link {}", shown(&name)), right)))
        }
    }
}

/// Two parents may have had the same link name, at different times.
fn cursor(parent: &ParentBody) -> String {
    format!("{} {}", parent.link, parent.id.as_deref().unwrap_or_default())
}

fn all(state: &Record, host: &Host) -> Vec<ParentBody> {
    let recorded = state.parents().map(|p| parent::show(state, host, p));
    let others = host.links.values().filter(|l| !state.parents().any(|p| p.is(l, host)));
    let mut all: Vec<ParentBody> = recorded.chain(others.map(|l| parent::show_link(host, l))).collect();
    all.sort_by_key(cursor);
    all
}
