//! Which parent a network gets: an own dummy, a link that is there, or a VLAN sub-interface to be made.

use super::listed;
use crate::host::{Host, HostLink, LinkKind, VlanId, kind_text, link_name};
use crate::identity::LinkIdentity;
use crate::ids::{Ids, NetworkId, ParentId, PlanId};
use crate::names::{LinkName, shown};
use crate::network::ShieldWish;
use crate::parent::{Origin, Parent, ParentKind, ParentState};
use crate::refusal::Faults;
use crate::request::CreateNetwork;
use crate::segment::Fabric;
use crate::state::State;
use std::sync::Arc;

/// The fabric of all links that are not dummies, until the operator says otherwise.
pub const DEFAULT_FABRIC: &str = "default";

/// What was found.
pub enum Resolved {
    /// On record already.
    Recorded(Arc<Parent>),
    /// New on record; `there` tells whether the link exists.
    New { parent: Arc<Parent>, there: bool },
    /// Under way; ask again.
    Wait(PlanId),
}

/// Resolves the parent that `wish` asks for. Faults go to `faults`; `None` means there was one.
pub fn resolve(state: &State, host: &Host, wish: &CreateNetwork, id: NetworkId, ids: &mut Ids, faults: &mut Faults) -> Option<Resolved> {
    let named = wish.parent.as_deref().filter(|_| !wish.internal);
    let Some(asked) = named else { return own_dummy(host, wish, id, ids) };
    if let Some(link) = host.named(asked) {
        return existing(state, host, wish, link, asked, ids, faults);
    }
    vlan(state, host, wish, asked, ids, faults)
}

/// A dummy of the network's own: nothing that is not on it can be reached from it.
fn own_dummy(host: &Host, wish: &CreateNetwork, id: NetworkId, ids: &mut Ids) -> Option<Resolved> {
    // The end of the id is random, its beginning is the time.
    let link = LinkName::new(&format!("bh-{:08x}", id.0 as u32)).ok()?;
    let fabric = Fabric::Alone(link.as_str().into());
    let parent = Parent {
        id: ParentId(ids.id()),
        index: ids.link_index(),
        boot: host.boot,
        mac: Some(ids.mac()),
        alias: None,
        kind: ParentKind::Dummy,
        origin: Origin::Ours,
        mtu: wish.mtu,
        mode: wish.mode,
        flag: wish.flag,
        shield: gets_shield(&ParentKind::Dummy, wish),
        state: ParentState::Present,
        fabric,
        link,
    };
    Some(Resolved::New { parent: Arc::new(parent), there: false })
}

/// Why a link cannot carry ipvlan links at all.
fn unfit(host: &Host, link: &HostLink) -> Option<(String, String)> {
    let name = &link.name;
    if let Some(master) = link.master {
        let (kind, master) = host.link(master).map_or(("another link".into(), String::new()), |m| (kind_text(&m.kind), m.name.clone()));
        return Some((format!("{name} is a port of {kind} {master}"), format!("name {master}, or take {name} out of it")));
    }
    // Which segment it is on would depend on its ports: policies would be told the wrong one.
    let tagged_port = host.links.values().find(|l| l.master == Some(link.index) && matches!(l.kind, LinkKind::Vlan { .. }));
    if let Some(port) = tagged_port {
        return Some((format!("{name} has the VLAN {} as a port", port.name), format!("{} itself, taken out of {name}", port.name)));
    }
    let carried = host.links.values().find(|l| l.kind == LinkKind::Macvlan { parent: link.index });
    if let Some(m) = carried {
        return Some((format!("{name} carries the macvlan link {}", m.name), "a link carries macvlan or ipvlan links, not both".into()));
    }
    match &link.kind {
        LinkKind::Loopback => Some((format!("{name} is the loopback device"), format!("one of {}", fit_names(host)))),
        LinkKind::Ipvlan { .. } | LinkKind::Macvlan { .. } => {
            Some((format!("{name} is itself an {} link", kind_text(&link.kind)), format!("one of {}", fit_names(host))))
        }
        LinkKind::Physical | LinkKind::Vlan { .. } | LinkKind::Dummy | LinkKind::Other(_) => None,
    }
}

/// Names of the links that could be parents.
fn fit_names(host: &Host) -> String {
    let names: Vec<&str> = host.links.values().filter(|l| unfit_kind(l)).map(|l| l.name.as_str()).collect();
    if names.is_empty() { "no link of this host".into() } else { listed(&names, 16) }
}

fn unfit_kind(link: &HostLink) -> bool {
    !matches!(link.kind, LinkKind::Loopback | LinkKind::Ipvlan { .. } | LinkKind::Macvlan { .. })
}

fn existing(
    state: &State,
    host: &Host,
    wish: &CreateNetwork,
    link: &HostLink,
    asked: &str,
    ids: &mut Ids,
    faults: &mut Faults,
) -> Option<Resolved> {
    if let Some((wrong, right)) = unfit(host, link) {
        faults.conflict("parent", wrong, right);
        return None;
    }
    // A link called eth0.30 that is something else would silently put tiers on another segment than its name says.
    if let Some((base, id)) = split_vlan(asked)
        && let (Some(base), Ok(id)) = (host.named(base), id)
        && link.kind != (LinkKind::Vlan { base: base.index, id })
    {
        let is = match link.kind {
            LinkKind::Vlan { base: b, id } => format!("VLAN {id} of {}", host.link(b).map_or("another link", |l| &l.name)),
            ref other => kind_text(other),
        };
        faults.conflict(
            "parent",
            format!("{asked} is there, but is {is}, not VLAN {id} of {}", base.name),
            "rename that link, or name another",
        );
        return None;
    }
    let recorded = state.parents().find(|p| p.is(link, host));
    if let Some(parent) = recorded {
        return Some(recorded_or_wait(parent));
    }
    let Some(name) = link_name(link) else {
        faults.conflict("parent", format!("{} has an odd name", shown(&link.name)), "rename the link");
        return None;
    };
    let kind = match link.kind {
        LinkKind::Vlan { base, id } => {
            let Some(base) = host.link(base) else {
                faults.conflict(
                    "parent",
                    format!("{asked} is a VLAN of a link that is not on this host"),
                    "a link of the host's, or a VLAN on one",
                );
                return None;
            };
            if let LinkKind::Vlan { .. } = base.kind {
                faults.conflict("parent", format!("{asked} is a VLAN on a VLAN"), "one tag only: stacked VLANs are not supported");
                return None;
            }
            ParentKind::Vlan { base: LinkIdentity::of(base, host.boot), vlan: id }
        }
        LinkKind::Dummy => ParentKind::Dummy,
        ref other => ParentKind::Link { link_kind: kind_text(other) },
    };
    let parent = Parent {
        id: ParentId(ids.id()),
        index: link.index,
        boot: host.boot,
        mac: if matches!(kind, ParentKind::Vlan { .. }) { None } else { link.permanent_mac.or(link.mac) },
        alias: None,
        origin: Origin::Found,
        mtu: None,
        mode: wish.mode,
        flag: wish.flag,
        shield: gets_shield(&kind, wish),
        state: ParentState::Present,
        link: name,
        kind,
        // A VLAN is on the wire of the link that it hangs on.
        fabric: match link.kind {
            LinkKind::Vlan { base, .. } => host.link(base).map_or_else(|| fabric_of(link), fabric_of),
            _ => fabric_of(link),
        },
    };
    Some(Resolved::New { parent: Arc::new(parent), there: true })
}

/// l2 links send frames of their own making, and from a dummy a frame to its own MAC reaches the host's stack in any mode.
pub fn needs_shield(kind: &ParentKind, wish: &CreateNetwork) -> bool {
    wish.mode == crate::host::Mode::L2 || *kind == ParentKind::Dummy
}

fn gets_shield(kind: &ParentKind, wish: &CreateNetwork) -> bool {
    wish.shield == ShieldWish::On && needs_shield(kind, wish)
}

fn recorded_or_wait(parent: &Arc<Parent>) -> Resolved {
    parent.open_plan().map_or_else(|| Resolved::Recorded(Arc::clone(parent)), Resolved::Wait)
}

fn fabric_of(link: &HostLink) -> Fabric {
    match link.kind {
        LinkKind::Dummy => Fabric::Alone(link.name.as_str().into()),
        _ => Fabric::Wired(DEFAULT_FABRIC.into()),
    }
}

/// `eth0.30` → `eth0` and 30. The id is an error where it is a number out of range.
fn split_vlan(asked: &str) -> Option<(&str, Result<VlanId, String>)> {
    let (base, id) = asked.rsplit_once('.')?;
    let number = id.bytes().all(|b| b.is_ascii_digit()) && !id.is_empty();
    let parsed = id.parse::<u16>().ok().and_then(VlanId::new).ok_or_else(|| id.to_owned());
    (number && !base.is_empty()).then_some((base, parsed))
}

fn vlan(state: &State, host: &Host, wish: &CreateNetwork, asked: &str, ids: &mut Ids, faults: &mut Faults) -> Option<Resolved> {
    let split = split_vlan(asked);
    let Some((base, id)) = split else {
        faults.invalid("parent", format!("there is no link {}", shown(asked)), format!("one of {}", fit_names(host)));
        return None;
    };
    let id = match id {
        Ok(id) => id,
        Err(text) => {
            faults.invalid("parent", format!("VLAN id {text} of {} is out of range", shown(asked)), "a VLAN id from 1 to 4094");
            return None;
        }
    };
    let Some(base) = host.named(base) else {
        let right = format!("VLANs can be made on {}", fit_names(host));
        faults.invalid("parent", format!("there is no link {}, so no VLAN {id} on it", shown(base)), right);
        return None;
    };
    if let LinkKind::Vlan { .. } = base.kind {
        faults.conflict("parent", format!("{} is a VLAN itself", base.name), "one tag only: stacked VLANs are not supported");
        return None;
    }
    if let Some((wrong, right)) = unfit(host, base) {
        faults.conflict("parent", wrong, right);
        return None;
    }
    if state.parents().any(|p| p.index == base.index && p.origin == Origin::Ours) {
        faults.conflict("parent", format!("{} is the own dummy of a network, and goes with it", base.name), "a link of the host's");
        return None;
    }
    if let Some(link) = host.vlan_of(base.index, id) {
        // VLAN 30 of eth0 is there under another name; the kernel would refuse a second one.
        return existing(state, host, wish, &link.clone(), &link.name.clone(), ids, faults);
    }
    let on_record = state.parents().find(
        |p| matches!(&p.kind, ParentKind::Vlan { base: b, vlan } if *vlan == id && b.find(host).is_some_and(|b| b.index == base.index)),
    );
    if let Some(parent) = on_record {
        return Some(recorded_or_wait(parent));
    }
    if host.missing.iter().any(|m| m == "8021q") {
        faults.conflict(
            "parent",
            "the kernel cannot make VLAN links: module 8021q is missing",
            "modprobe 8021q (it needs garp, mrp, stp, llc)",
        );
        return None;
    }
    let (link, alias) = vlan_link_name(asked, base, id)?;
    let kind = ParentKind::Vlan { base: LinkIdentity::of(base, host.boot), vlan: id };
    let parent = Parent {
        id: ParentId(ids.id()),
        index: ids.link_index(),
        boot: host.boot,
        mac: None,
        alias,
        origin: Origin::Ours,
        fabric: fabric_of(base),
        mtu: None,
        mode: wish.mode,
        flag: wish.flag,
        shield: gets_shield(&kind, wish),
        state: ParentState::Present,
        link,
        kind,
    };
    Some(Resolved::New { parent: Arc::new(parent), there: false })
}

/// The name asked for, or, where that is over 15 bytes, one made of the VLAN id and a hash of the base's name (FNV-1a),
/// with the name asked for as the alias.
fn vlan_link_name(asked: &str, base: &HostLink, id: VlanId) -> Option<(LinkName, Option<String>)> {
    if let Ok(name) = LinkName::new(asked) {
        return Some((name, None));
    }
    let hash = base.name.bytes().fold(0x811c_9dc5_u32, |h, b| (h ^ u32::from(b)).wrapping_mul(0x0100_0193));
    LinkName::new(&format!("v{id}-{hash:08x}")).ok().map(|name| (name, Some(asked.to_owned())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vlan_is_told_by_its_suffix() {
        assert!(matches!(split_vlan("eth0.30"), Some(("eth0", Ok(id))) if id.get() == 30));
        assert!(matches!(split_vlan("eth0.4095"), Some(("eth0", Err(_)))));
        assert!(matches!(split_vlan("eth0.0"), Some(("eth0", Err(_)))));
        assert!(matches!(split_vlan("eth0.99999"), Some(("eth0", Err(_)))));
        assert!(split_vlan("eth0.x").is_none());
        assert!(split_vlan("eth0").is_none());
    }
}
