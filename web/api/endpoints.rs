//! `/v1/networks/{network}/endpoints` and `/v1/endpoints`

use super::networks::RemovedOrDryRun;
use super::{Answered, both, dry_run, find_network, gone_again, meaning};
use crate::app::{App, Asker, Why};
use crate::body::JsonBody;
use crate::dto::endpoint::{self, EndpointBody, EndpointChangeBody, EndpointWishBody};
use crate::dto::plan::DryRunBody;
use crate::dto::{ChangeParams, ForceParams, Page, PageParams, Removed, check_force, created, json};
use crate::params::{Params, Path};
use crate::parts::NetnsWish;
use crate::problem::Problem;
use axum::extract::State;
use axum::http::StatusCode;
use bulkhead_core::caller::Caller;
use bulkhead_core::decide::Object;
use bulkhead_core::endpoint::Endpoint;
use bulkhead_core::ids::EndpointId;
use bulkhead_core::names::{nearest, shown};
use bulkhead_core::network::Network;
use bulkhead_core::refusal::Refusal;
use bulkhead_core::request::{Attach, ChangeWorkload, Request};
use bulkhead_core::state::State as Record;
use std::net::IpAddr;
use std::sync::Arc;
use utoipa::IntoParams;

/// Attaches a network namespace to a network.
///
/// Asked for again with nothing changed, it is answered with the endpoint that is there: no new judgement, nothing sent to the
/// kernel. Anything different is a conflict that lists the differences.
#[utoipa::path(post, path = "/v1/networks/{network}/endpoints", tag = "endpoints",
    params(("network" = String, Path, description = "Name or id"), ChangeParams), request_body = EndpointWishBody,
    responses(
        (status = 201, description = "It is attached", body = EndpointBody, headers(("Location" = String, description = "Where it is"))),
        (status = 200, description = "It was there already; or, in a dry run, what would come of it", body = inline(AttachedOrDryRun)),
    ))]
pub async fn attach(
    State(app): State<App>,
    Asker(caller): Asker,
    Path(network): Path<String>,
    mut params: Params,
    JsonBody(body): JsonBody,
) -> Answered {
    let why = Why::of(&mut params);
    let wish = both(params.finish(), meaning(body, endpoint::read))?;
    find_network(&app.engine().state(), &network)?;
    let (namespaces, who) = (Arc::clone(app.namespaces()), Arc::clone(&caller));
    let namespace = wish.namespace;
    let opened = match namespace {
        // Any path may be named, also one on a file system that hangs.
        NetnsWish::Path(_) => app.blocking(move || namespaces.open(&namespace, &who)).await?,
        NetnsWish::Name(_) | NetnsWish::Pid(_) => namespaces.open(&namespace, &who),
    };
    let opened = opened.map_err(|fault| Problem::invalid(vec![fault.below("namespace")]))?;
    let request = Request::Attach(Attach {
        network,
        netns: opened.netns,
        netns_is_callers: opened.is_callers,
        default_routes: opened.default_routes,
        interface: wish.interface,
        name: wish.name,
        aliases: wish.aliases,
        addresses: wish.addresses,
        workload: wish.workload,
    });
    if why.dry_run {
        return dry_run(&app, request, &caller, why).await;
    }
    let answer = app.ask(request, (*caller).clone(), why, Some(opened.fd)).await?;
    let Object::Endpoint(id) = answer.object else { return Err(gone_again("endpoint")) };
    let made = answer.state.endpoint_by_id(id).ok_or_else(|| gone_again("endpoint"))?;
    let mut body = endpoint::show(&answer.state, made);
    body.warnings = answer.warnings;
    body.warnings.extend(app.namespaces().trouble(made.netns.id));
    if answer.decision.is_none() {
        return Ok(json(StatusCode::OK, &body));
    }
    Ok(created(&format!("/v1/networks/{}/endpoints/{id}", body.network), &body))
}

/// What an attach answers with 200.
#[derive(utoipa::ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "describes the API")]
enum AttachedOrDryRun {
    /// It was there already.
    Endpoint(Box<EndpointBody>),
    /// What would come of it.
    DryRun(DryRunBody),
}

/// Which endpoints.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct EndpointFilter {
    /// `key=value` of the workload; several must all hold.
    #[param(nullable = false, style = Form, explode)]
    pub label: Option<Vec<String>>,
    /// Its name on the network.
    #[param(nullable = false)]
    pub name: Option<String>,
    /// Id or name of its workload.
    #[param(nullable = false)]
    pub workload: Option<String>,
    /// One of its addresses.
    #[param(nullable = false)]
    pub address: Option<String>,
    /// `attaching`, `attached`, `detaching` or `failed`.
    #[param(nullable = false, pattern = "^(attaching|attached|detaching|failed)$")]
    pub state: Option<String>,
}

/// Which endpoints of all networks.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct OfNetwork {
    /// Name or id of their network.
    #[param(nullable = false)]
    pub network: Option<String>,
}

struct Wanted {
    labels: Vec<(String, String)>,
    name: Option<String>,
    workload: Option<String>,
    address: Option<IpAddr>,
    state: Option<&'static str>,
    limit: usize,
    after: Option<EndpointId>,
}

impl Wanted {
    fn of(params: &mut Params) -> Self {
        Self {
            labels: params.labels(),
            name: params.one("name"),
            workload: params.one("workload"),
            address: params.parsed("address", "an IP address, such as 192.168.1.10", |a| a.parse().ok()),
            state: params.choice("state", &["attaching", "attached", "detaching", "failed"]),
            limit: params.limit(),
            after: params.parsed("cursor", "next of the page before", |c| c.parse().ok()),
        }
    }

    fn page<'a>(&self, state: &Record, all: impl Iterator<Item = &'a Arc<Endpoint>>) -> Page<EndpointBody> {
        let fits = |e: &&'a Arc<Endpoint>| {
            self.after.is_none_or(|id| e.id > id)
                && self.labels.iter().all(|(k, v)| e.workload.labels.get(k) == Some(v))
                && self.name.as_ref().is_none_or(|x| e.name.as_ref().is_some_and(|n| n.as_str() == x))
                && self.workload.as_ref().is_none_or(|x| e.workload.id == *x || e.workload.name == *x)
                && self.address.is_none_or(|x| e.addresses.iter().any(|a| a.address == x))
                && self.state.is_none_or(|s| endpoint::state_of(e).0 == s)
        };
        Page::of(all.filter(fits), self.limit, |e| e.id.to_string()).map(|e| endpoint::show(state, e))
    }
}

/// Lists the endpoints of a network, oldest first.
#[utoipa::path(get, path = "/v1/networks/{network}/endpoints", tag = "endpoints",
    params(("network" = String, Path, description = "Name or id"), EndpointFilter, PageParams),
    responses((status = 200, description = "A page of them", body = Page<EndpointBody>)))]
pub async fn list_of_network(State(app): State<App>, Path(network): Path<String>, mut params: Params) -> Answered {
    let wanted = Wanted::of(&mut params);
    params.check()?;
    let state = app.engine().state();
    let network = find_network(&state, &network)?;
    Ok(json(StatusCode::OK, &wanted.page(&state, state.endpoints_of(network.id))))
}

/// Lists the endpoints of all networks, oldest first.
#[utoipa::path(get, path = "/v1/endpoints", tag = "endpoints", params(OfNetwork, EndpointFilter, PageParams), responses(
    (status = 200, description = "A page of them", body = Page<EndpointBody>),
    (status = 404, description = "There is no network of that name"),
))]
pub async fn list(State(app): State<App>, mut params: Params) -> Answered {
    let network = params.one("network");
    let wanted = Wanted::of(&mut params);
    params.check()?;
    let state = app.engine().state();
    let page = match network {
        Some(network) => wanted.page(&state, state.endpoints_of(find_network(&state, &network)?.id)),
        None => wanted.page(&state, state.endpoints()),
    };
    Ok(json(StatusCode::OK, &page))
}

/// Shows an endpoint, by name or id.
#[utoipa::path(get, path = "/v1/networks/{network}/endpoints/{endpoint}", tag = "endpoints",
    params(("network" = String, Path, description = "Name or id"), ("endpoint" = String, Path, description = "Name or id")),
    responses((status = 200, description = "The endpoint", body = EndpointBody)))]
pub async fn inspect(State(app): State<App>, Path((network, endpoint)): Path<(String, String)>, params: Params) -> Answered {
    params.check()?;
    let state = app.engine().state();
    let found = find_endpoint(&state, find_network(&state, &network)?, &endpoint)?;
    let mut body = endpoint::show(&state, found);
    body.warnings.extend(app.namespaces().trouble(found.netns.id));
    Ok(json(StatusCode::OK, &body))
}

/// Detaches an endpoint, by name or id. Answered when the kernel has removed its link.
#[utoipa::path(delete, path = "/v1/networks/{network}/endpoints/{endpoint}", tag = "endpoints",
    params(("network" = String, Path, description = "Name or id"), ("endpoint" = String, Path, description = "Name or id"), ChangeParams, ForceParams),
    responses((status = 200, description = "It is gone; or, in a dry run, what would come of it", body = inline(RemovedOrDryRun))))]
pub async fn detach(
    State(app): State<App>,
    Asker(caller): Asker,
    Path((network, endpoint)): Path<(String, String)>,
    mut params: Params,
) -> Answered {
    let why = Why::of_removal(&mut params);
    params.check()?;
    check_force(&why)?;
    let state = app.engine().state();
    let found = find_endpoint(&state, find_network(&state, &network)?, &endpoint)?;
    // By id from here on: whoever gets the name meanwhile is not the one whose namespace was looked at.
    let netns_is_callers = may_detach(&app, found, &caller).await?;
    let request = Request::Detach { network: found.network.to_string(), endpoint: found.id.to_string(), netns_is_callers };
    if why.dry_run {
        return dry_run(&app, request, &caller, why).await;
    }
    let answer = app.ask(request, (*caller).clone(), why, None).await?;
    Ok(json(StatusCode::OK, &Removed { decision: answer.decision.map(|d| d.0), warnings: answer.warnings }))
}

/// Changes the labels of an endpoint's workload, on all its endpoints (RFC 7396: what is left out stays, null takes a label away).
///
/// Judged like an attach: for the workload on each of its networks, and for everyone who lives beside it.
#[utoipa::path(patch, path = "/v1/networks/{network}/endpoints/{endpoint}", tag = "endpoints",
    params(("network" = String, Path, description = "Name or id"), ("endpoint" = String, Path, description = "Name or id"), ChangeParams),
    request_body = EndpointChangeBody,
    responses((status = 200, description = "It is changed, or was so; or, in a dry run, what would come of it", body = inline(AttachedOrDryRun))))]
pub async fn change(
    State(app): State<App>,
    Asker(caller): Asker,
    Path((network, endpoint)): Path<(String, String)>,
    mut params: Params,
    JsonBody(body): JsonBody,
) -> Answered {
    let why = Why::of(&mut params);
    let labels = both(params.finish(), meaning(body, endpoint::read_change))?;
    let state = app.engine().state();
    let found = find_endpoint(&state, find_network(&state, &network)?, &endpoint)?;
    let netns_is_callers = may_detach(&app, found, &caller).await?;
    let wish = ChangeWorkload { network: found.network.to_string(), endpoint: found.id.to_string(), netns_is_callers, labels };
    let request = Request::ChangeWorkload(wish);
    if why.dry_run {
        return dry_run(&app, request, &caller, why).await;
    }
    let answer = app.ask(request, (*caller).clone(), why, None).await?;
    let Object::Endpoint(id) = answer.object else { return Err(gone_again("endpoint")) };
    let changed = answer.state.endpoint_by_id(id).ok_or_else(|| gone_again("endpoint"))?;
    let mut body = endpoint::show(&answer.state, changed);
    body.warnings = answer.warnings;
    Ok(json(StatusCode::OK, &body))
}

async fn may_detach(app: &App, endpoint: &Endpoint, caller: &Arc<Caller>) -> Result<bool, Problem> {
    if caller.admin {
        return Ok(true);
    }
    let (namespaces, who, netns) = (Arc::clone(app.namespaces()), Arc::clone(caller), endpoint.netns.clone());
    app.blocking(move || namespaces.owns(&netns, &who)).await
}

fn find_endpoint<'a>(state: &'a Record, network: &Network, name_or_id: &str) -> Result<&'a Arc<Endpoint>, Problem> {
    state.endpoint(network.id, name_or_id).ok_or_else(|| {
        let names: Vec<&str> = state.endpoints_of(network.id).filter_map(|e| e.name.as_ref()).map(|n| n.as_str()).collect();
        let right = match nearest(name_or_id, names.iter().copied()) {
            Some(near) => format!("did you mean {near}?"),
            None => format!("GET /v1/networks/{}/endpoints lists those that are there", network.name),
        };
        Refusal::not_found("endpoint", format!("network {} has no endpoint {}", network.name, shown(name_or_id)), right).into()
    })
}
