//! `/v1/networks`

use super::{Answered, both, dry_run, find_network, gone_again, meaning};
use crate::app::{App, Asker, Why};
use crate::body::JsonBody;
use crate::dto::addresses::{self, SubnetAddressesBody};
use crate::dto::network::{self, NetworkBody, NetworkChangeBody, NetworkWishBody};
use crate::dto::plan::DryRunBody;
use crate::dto::{ChangeParams, ForceParams, Page, PageParams, Removed, check_force, created, json};
use crate::params::{Params, Path};
use axum::extract::State;
use axum::http::StatusCode;
use bulkhead_core::decide::Object;
use bulkhead_core::ids::NetworkId;
use bulkhead_core::network::Network;
use bulkhead_core::request::Request;
use std::sync::Arc;
use utoipa::IntoParams;

/// Makes a network.
///
/// Decided by the policies first; denied, nothing is sent to the kernel. Answered when the kernel has done all of it.
#[utoipa::path(post, path = "/v1/networks", tag = "networks", params(ChangeParams), request_body = NetworkWishBody, responses(
    (status = 201, description = "It is made", body = NetworkBody, headers(("Location" = String, description = "Where it is"))),
    (status = 200, description = "Dry run: what would come of it", body = DryRunBody),
))]
pub async fn create(State(app): State<App>, Asker(caller): Asker, mut params: Params, JsonBody(body): JsonBody) -> Answered {
    let why = Why::of(&mut params);
    let request = Request::CreateNetwork(both(params.finish(), meaning(body, network::read))?);
    if why.dry_run {
        return dry_run(&app, request, &caller, why).await;
    }
    let answer = app.ask(request, (*caller).clone(), why, None).await?;
    let Object::Network(id) = answer.object else { return Err(gone_again("network")) };
    let made = answer.state.network_by_id(id).ok_or_else(|| gone_again("network"))?;
    let mut body = network::show(&answer.state, &app.engine().host(), made);
    body.warnings = answer.warnings;
    Ok(created(&format!("/v1/networks/{}", made.name), &body))
}

/// Which networks.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct NetworkFilter {
    /// `key=value`; several must all hold.
    #[param(nullable = false, style = Form, explode)]
    pub label: Option<Vec<String>>,
    /// Its name.
    #[param(nullable = false)]
    pub name: Option<String>,
    /// The parent: the link's name, or the name as asked for.
    #[param(nullable = false)]
    pub parent: Option<String>,
    /// `l2`, `l3` or `l3s`.
    #[param(nullable = false, pattern = "^(l2|l3|l3s)$")]
    pub mode: Option<String>,
    /// `creating`, `ready`, `degraded` or `deleting`.
    #[param(nullable = false, pattern = "^(creating|ready|degraded|deleting)$")]
    pub state: Option<String>,
}

/// Lists networks, oldest first.
#[utoipa::path(get, path = "/v1/networks", tag = "networks", params(NetworkFilter, PageParams), responses(
    (status = 200, description = "A page of them", body = Page<NetworkBody>),
))]
pub async fn list(State(app): State<App>, mut params: Params) -> Answered {
    let labels = params.labels();
    let (name, parent) = (params.one("name"), params.one("parent"));
    let mode = params.choice("mode", &["l2", "l3", "l3s"]);
    let wanted = params.choice("state", &["creating", "ready", "degraded", "deleting"]);
    let limit = params.limit();
    let after: Option<NetworkId> = params.parsed("cursor", "next of the page before", |c| c.parse().ok());
    params.check()?;
    let (state, host) = (app.engine().state(), app.engine().host());
    let fits = |n: &&Arc<Network>| {
        let link = state.parent(n.parent).map(|p| p.link.as_str());
        after.is_none_or(|id| n.id > id)
            && labels.iter().all(|(k, v)| n.labels.get(k) == Some(v))
            && name.as_ref().is_none_or(|x| n.name.as_str() == x)
            && parent.as_ref().is_none_or(|x| n.parent_asked.as_ref() == Some(x) || link == Some(x))
            && mode.is_none_or(|m| n.mode.to_string() == m)
            && wanted.is_none_or(|s| network::state_of(n).0 == s)
    };
    let page = Page::of(state.networks().filter(fits), limit, |n| n.id.to_string());
    Ok(json(StatusCode::OK, &page.map(|n| network::show(&state, &host, n))))
}

/// Shows a network, by name or id.
#[utoipa::path(get, path = "/v1/networks/{network}", tag = "networks", params(("network" = String, Path, description = "Name or id")),
    responses((status = 200, description = "The network", body = NetworkBody)))]
pub async fn inspect(State(app): State<App>, Path(name): Path<String>, params: Params) -> Answered {
    params.check()?;
    let state = app.engine().state();
    let found = find_network(&state, &name)?;
    Ok(json(StatusCode::OK, &network::show(&state, &app.engine().host(), found)))
}

/// Changes a network's labels, MTU, gateways, and ranges (RFC 7396: what is left out stays, null clears).
///
/// Labels decide who may be beside whom, so all whom the change concerns are judged again: the network, its endpoints, and who is on
/// segments with it. Only who would be denied *by* the change stands in its way.
#[utoipa::path(patch, path = "/v1/networks/{network}", tag = "networks",
    params(("network" = String, Path, description = "Name or id"), ChangeParams), request_body = NetworkChangeBody,
    responses((status = 200, description = "It is changed, or was so; or, in a dry run, what would come of it", body = inline(NetworkOrDryRun))))]
pub async fn change(
    State(app): State<App>,
    Asker(caller): Asker,
    Path(name): Path<String>,
    mut params: Params,
    JsonBody(body): JsonBody,
) -> Answered {
    let why = Why::of(&mut params);
    let wish = both(params.finish(), meaning(body, |v| network::read_change(name, v)))?;
    let relinks = wish.mtu.is_some();
    let request = Request::ChangeNetwork(wish);
    if why.dry_run {
        return dry_run(&app, request, &caller, why).await;
    }
    let answer = app.ask(request, (*caller).clone(), why, None).await?;
    if relinks && answer.decision.is_some() {
        // Links that are there follow the record at the next look, which is now.
        app.engine().look().await;
    }
    let Object::Network(id) = answer.object else { return Err(gone_again("network")) };
    let state = app.engine().state();
    let changed = state.network_by_id(id).ok_or_else(|| gone_again("network"))?;
    let mut body = network::show(&state, &app.engine().host(), changed);
    body.warnings = answer.warnings;
    Ok(json(StatusCode::OK, &body))
}

/// What a change answers.
#[derive(utoipa::ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "describes the API")]
enum NetworkOrDryRun {
    /// The network as it is now.
    Network(Box<NetworkBody>),
    /// What would come of it.
    DryRun(DryRunBody),
}

/// Lists the addresses of a network, a subnet each, and what each is; complete, on one page.
#[utoipa::path(get, path = "/v1/networks/{network}/addresses", tag = "networks", params(("network" = String, Path, description = "Name or id")),
    responses((status = 200, description = "All of them", body = Page<SubnetAddressesBody>)))]
pub async fn addresses(State(app): State<App>, Path(name): Path<String>, params: Params) -> Answered {
    params.check()?;
    let state = app.engine().state();
    let found = find_network(&state, &name)?;
    Ok(json(StatusCode::OK, &Page::<SubnetAddressesBody> { items: addresses::show(&state, found), next: None }))
}

/// Removes a network without endpoints, by name or id. Its parent goes with it if we made it and nothing else uses it.
#[utoipa::path(delete, path = "/v1/networks/{network}", tag = "networks",
    params(("network" = String, Path, description = "Name or id"), ChangeParams, ForceParams),
    responses((status = 200, description = "It is gone; or, in a dry run, what would come of it", body = inline(RemovedOrDryRun))))]
pub async fn delete(State(app): State<App>, Asker(caller): Asker, Path(network): Path<String>, mut params: Params) -> Answered {
    let why = Why::of_removal(&mut params);
    params.check()?;
    check_force(&why)?;
    let request = Request::DeleteNetwork { network };
    if why.dry_run {
        return dry_run(&app, request, &caller, why).await;
    }
    let answer = app.ask(request, (*caller).clone(), why, None).await?;
    Ok(json(StatusCode::OK, &Removed { decision: answer.decision.map(|d| d.0), warnings: answer.warnings }))
}

/// What a removal answers.
#[derive(utoipa::ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "describes the API")]
pub(crate) enum RemovedOrDryRun {
    /// It is gone.
    Removed(Removed),
    /// What would come of it.
    DryRun(DryRunBody),
}
