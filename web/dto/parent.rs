//! Parents, and the host's links that could be one.

use bulkhead_core::faults::parent_faults;
use bulkhead_core::host::{Host, HostLink, LinkKind, Mode, kind_text};
use bulkhead_core::parent::{Origin, Parent, ParentKind, ParentState};
use bulkhead_core::state::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A parent, or a link of the host that could be one.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = Parent)]
pub struct ParentBody {
    /// Name of the link.
    #[schema(example = "eth0.30")]
    pub link: String,
    /// Its id; null where it is no parent yet.
    pub id: Option<String>,
    /// The name that was asked for, where it does not fit a link name.
    pub alias: Option<String>,
    /// Index of the link.
    pub ifindex: u32,
    /// `vlan`, `dummy`, `physical`, or the kernel's word.
    pub kind: String,
    /// VLAN id.
    pub vlan: Option<u16>,
    /// The link that a VLAN hangs on.
    pub base: Option<String>,
    /// `found` or `ours`: one that was there before is never removed. Null where it is no parent yet.
    pub origin: Option<String>,
    /// `making`, `present`, `lost` or `removing`; `available` or `unfit` where it is no parent.
    #[schema(example = "present")]
    pub state: String,
    /// Why it is unfit; of a parent: in what it differs from the record just now.
    pub why: Option<String>,
    /// Mode of its ipvlan links.
    pub mode: Option<String>,
    /// Flag of its ipvlan links.
    pub flag: Option<String>,
    /// Names of its networks.
    pub networks: Vec<String>,
    /// The L2 broadcast domain of its links.
    pub segment: Option<String>,
    /// Its shield; null where it is no parent yet.
    pub shield: Option<ShieldBody>,
    /// Whether it is up.
    pub up: Option<bool>,
    /// Whether it has a carrier.
    pub carrier: Option<bool>,
    /// MTU in bytes.
    pub mtu: Option<u32>,
    /// MAC address.
    pub mac: Option<String>,
    /// Addresses of the host's own on it.
    pub addresses: Vec<String>,
}

/// The filters on a parent.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = Shield)]
pub struct ShieldBody {
    /// Whether it should be up.
    pub wanted: bool,
    /// The filter is there that drops frames with a tag of their own.
    pub egress: bool,
    /// The filter is there that drops frames into the host's own stack.
    pub ingress: bool,
    /// What runs before it and may let frames pass it.
    pub bypassed_by: Option<String>,
    /// `up`, `down` (or only half up), `bypassed`, `off` (turned off), or `not-needed` (no frames of its workloads' own making).
    #[schema(example = "up")]
    pub state: String,
}

/// The kind's name.
pub fn kind_of(kind: &ParentKind) -> String {
    match kind {
        ParentKind::Link { link_kind } => link_kind.clone(),
        ParentKind::Vlan { .. } => "vlan".to_owned(),
        ParentKind::Dummy => "dummy".to_owned(),
    }
}

/// The VLAN id.
pub fn vlan_of(kind: &ParentKind) -> Option<u16> {
    match kind {
        ParentKind::Vlan { vlan, .. } => Some(vlan.get()),
        ParentKind::Link { .. } | ParentKind::Dummy => None,
    }
}

/// The origin's name.
pub fn origin_of(origin: Origin) -> &'static str {
    match origin {
        Origin::Found => "found",
        Origin::Ours => "ours",
    }
}

/// The state's name.
pub fn state_of(parent: &Parent) -> &'static str {
    match parent.state {
        ParentState::Making { .. } => "making",
        ParentState::Present => "present",
        ParentState::Lost => "lost",
        ParentState::Removing { .. } => "removing",
    }
}

/// The shield of a parent, as wanted and as last seen.
pub fn shield_of(parent: &Parent, link: Option<&HostLink>) -> ShieldBody {
    let seen = link.map(|l| l.shield.clone()).unwrap_or_default();
    let wanted = parent.shield_halves();
    let is_up = (seen.egress || !wanted.egress) && (seen.ingress || !wanted.ingress);
    let state = match (parent.shield, is_up, &seen.bypassed_by) {
        (false, ..) if parent.mode == Mode::L2 || parent.kind == ParentKind::Dummy => "off",
        (false, ..) => "not-needed",
        (true, false, _) => "down",
        (true, true, Some(_)) => "bypassed",
        (true, true, None) => "up",
    };
    ShieldBody { wanted: parent.shield, egress: seen.egress, ingress: seen.ingress, bypassed_by: seen.bypassed_by, state: state.to_owned() }
}

/// A parent on record as clients see it.
pub fn show(state: &State, host: &Host, parent: &Parent) -> ParentBody {
    let link = parent.find(host);
    let base = match &parent.kind {
        ParentKind::Vlan { base, .. } => Some(base.find(host).map_or_else(|| base.name.clone(), |l| l.name.clone())),
        ParentKind::Link { .. } | ParentKind::Dummy => None,
    };
    ParentBody {
        link: parent.link.to_string(),
        id: Some(parent.id.to_string()),
        alias: parent.alias.clone(),
        ifindex: parent.index.0,
        kind: kind_of(&parent.kind),
        vlan: vlan_of(&parent.kind),
        base,
        origin: Some(origin_of(parent.origin).to_owned()),
        state: state_of(parent).to_owned(),
        why: differs(parent, link),
        mode: Some(parent.mode.to_string()),
        flag: Some(parent.flag.to_string()),
        networks: state.networks_of(parent.id).map(|n| n.name.to_string()).collect(),
        segment: Some(parent.segment().to_string()),
        shield: Some(shield_of(parent, link)),
        up: link.map(|l| l.up),
        carrier: link.map(|l| l.carrier),
        mtu: link.map(|l| l.mtu),
        mac: link.and_then(|l| l.mac).or(parent.mac).map(|m| m.to_string()),
        addresses: link.map(|l| l.addresses.iter().map(ToString::to_string).collect()).unwrap_or_default(),
    }
}

/// In what a parent differs from the record; nothing while a plan for it is under way.
fn differs(parent: &Parent, link: Option<&HostLink>) -> Option<String> {
    if parent.open_plan().is_some() {
        return None;
    }
    let found = link.map_or_else(|| vec!["it is not on the host".to_owned()], |l| parent_faults(parent, l));
    (!found.is_empty()).then(|| found.join(", "))
}

/// A link of the host that is no parent, as clients see it.
pub fn show_link(host: &Host, link: &HostLink) -> ParentBody {
    let why = unfit(host, link);
    let (vlan, base) = match link.kind {
        LinkKind::Vlan { base, id } => (Some(id.get()), host.link(base).map(|l| l.name.clone())),
        _ => (None, None),
    };
    ParentBody {
        link: link.name.clone(),
        id: None,
        alias: link.alias.clone(),
        ifindex: link.index.0,
        kind: kind_text(&link.kind),
        vlan,
        base,
        origin: None,
        state: if why.is_some() { "unfit" } else { "available" }.to_owned(),
        why,
        mode: None,
        flag: None,
        networks: Vec::new(),
        segment: None,
        shield: None,
        up: Some(link.up),
        carrier: Some(link.carrier),
        mtu: Some(link.mtu),
        mac: link.mac.map(|m| m.to_string()),
        addresses: link.addresses.iter().map(ToString::to_string).collect(),
    }
}

/// Why a link cannot be a parent; a create would be refused for the same reason.
fn unfit(host: &Host, link: &HostLink) -> Option<String> {
    if let Some(master) = link.master {
        let name = host.link(master).map_or("another link", |m| m.name.as_str());
        return Some(format!("it is a port of {name}"));
    }
    if let Some(m) = host.links.values().find(|l| l.kind == LinkKind::Macvlan { parent: link.index }) {
        return Some(format!("it carries the macvlan link {}", m.name));
    }
    match &link.kind {
        LinkKind::Loopback => Some("it is the loopback device".to_owned()),
        LinkKind::Ipvlan { .. } | LinkKind::Macvlan { .. } => Some(format!("it is itself an {} link", kind_text(&link.kind))),
        LinkKind::Vlan { base, .. } if host.link(*base).is_some_and(|b| matches!(b.kind, LinkKind::Vlan { .. })) => {
            Some("it is a VLAN on a VLAN".to_owned())
        }
        LinkKind::Vlan { .. } | LinkKind::Physical | LinkKind::Dummy | LinkKind::Other(_) => None,
    }
}
