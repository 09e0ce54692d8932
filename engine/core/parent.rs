//! Parents: the links that ipvlan links hang on.

use crate::host::{Flag, Host, HostLink, IfIndex, LinkKind, Mac, Mode, VlanId, kind_text, link_name};
use crate::identity::LinkIdentity;
use crate::ids::{BootId, ParentId, PlanId};
use crate::names::LinkName;
use crate::segment::{Fabric, Segment};
use serde::{Deserialize, Serialize};

/// What a parent is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "kind")]
pub enum ParentKind {
    /// A link of the host that carries untagged frames: a NIC, a bond, a veth …
    Link {
        /// The kernel's kind, `physical` where it names none.
        link_kind: String,
    },
    /// A VLAN sub-interface.
    Vlan {
        /// The link that it hangs on.
        base: LinkIdentity,
        /// VLAN id.
        vlan: VlanId,
    },
    /// A dummy.
    Dummy,
}

/// Where a parent comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// It was there before; never removed by us.
    Found,
    /// We made it, and remove it with its last network.
    Ours,
}

/// Where a parent is in its life.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "state")]
pub enum ParentState {
    /// Its plan is under way.
    Making {
        /// The open plan.
        plan: PlanId,
    },
    /// There when last seen.
    Present,
    /// Not there.
    Lost,
    /// Its removal is under way.
    Removing {
        /// The open plan.
        plan: PlanId,
    },
}

/// A parent on record. A name is no identity: kind, VLAN id and permanent MAC are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parent {
    /// Its id.
    pub id: ParentId,
    /// Name of the link.
    pub link: LinkName,
    /// Name as asked, where it does not fit a link name; kept as the link's alias.
    pub alias: Option<String>,
    /// Index in `boot`.
    pub index: IfIndex,
    /// The boot that `index` is of.
    pub boot: BootId,
    /// What it is.
    #[serde(flatten)]
    pub kind: ParentKind,
    /// Where it comes from.
    pub origin: Origin,
    /// Permanent MAC of a found link (its MAC where it has no permanent one), or the MAC that we gave a dummy.
    pub mac: Option<Mac>,
    /// The fabric that it is plugged into.
    pub fabric: Fabric,
    /// MTU in bytes that the record demands; `None` follows the link.
    pub mtu: Option<u32>,
    /// Mode and flag of its ipvlan links.
    pub mode: Mode,
    /// See `mode`.
    pub flag: Flag,
    /// The shield is wanted: it carries l2 links, or is a dummy, and nobody turned it off.
    pub shield: bool,
    /// Where it is in its life.
    #[serde(flatten)]
    pub state: ParentState,
}

impl Parent {
    /// The segment of its links.
    pub fn segment(&self) -> Segment {
        let vlan = match self.kind {
            ParentKind::Vlan { vlan, .. } => Some(vlan),
            ParentKind::Link { .. } | ParentKind::Dummy => None,
        };
        Segment { fabric: self.fabric.clone(), vlan }
    }

    /// Which halves of the shield it gets: egress only where tagged frames could leave, ingress everywhere
    /// (from a dummy, too, a frame to its own MAC reaches the host's stack).
    pub fn shield_halves(&self) -> ShieldHalves {
        ShieldHalves { egress: self.shield && self.kind != ParentKind::Dummy, ingress: self.shield }
    }

    /// Whether its shield stops what it should. A wish protects nobody: it counts where it was seen and nothing passes it, or
    /// while the plan that puts it up is under way.
    pub fn is_shielded(&self, host: &Host) -> bool {
        let link = self.find(host);
        let bypassed = link.is_some_and(|l| l.shield.bypassed_by.is_some());
        let up = self.open_plan().is_some() || link.is_none_or(|l| l.shield.egress || !self.shield_halves().egress);
        self.shield && up && !bypassed
    }

    /// Its link on `host`, whatever it is called and numbered now.
    pub fn find<'a>(&self, host: &'a Host) -> Option<&'a HostLink> {
        match &self.kind {
            ParentKind::Vlan { base, vlan } => host.vlan_of(base.find(host)?.index, *vlan),
            ParentKind::Link { link_kind } => self.identity(link_kind).find(host),
            ParentKind::Dummy => self.identity(&kind_text(&LinkKind::Dummy)).find(host),
        }
    }

    fn identity(&self, link_kind: &str) -> LinkIdentity {
        let (name, link_kind) = (self.link.to_string(), link_kind.to_owned());
        LinkIdentity { boot: self.boot, index: self.index, name, link_kind, mac: self.mac }
    }

    /// Whether `link` of `host` is what is on record, whatever its name.
    pub fn is(&self, link: &HostLink, host: &Host) -> bool {
        self.find(host).is_some_and(|l| l.index == link.index)
    }

    /// The same parent, with indexes, names and MACs as they are on `host` now; `link` is its link there.
    pub fn as_seen(&self, link: Option<&HostLink>, host: &Host) -> Self {
        let mut seen = Self { boot: host.boot, ..self.clone() };
        if let Some(link) = link {
            seen.index = link.index;
            seen.link = link_name(link).unwrap_or(seen.link);
        }
        match &mut seen.kind {
            ParentKind::Vlan { base, .. } => {
                if let Some(link) = base.find(host) {
                    *base = LinkIdentity::of(link, host.boot);
                }
            }
            ParentKind::Link { .. } => seen.mac = link.map_or(seen.mac, |l| l.permanent_mac.or(l.mac)),
            // The MAC of a dummy of ours is ours to say.
            ParentKind::Dummy if self.origin == Origin::Ours => {}
            ParentKind::Dummy => seen.mac = link.map_or(seen.mac, |l| l.mac),
        }
        seen
    }

    /// The plan that must settle before anything else may happen to it.
    pub fn open_plan(&self) -> Option<PlanId> {
        match self.state {
            ParentState::Making { plan } | ParentState::Removing { plan } => Some(plan),
            ParentState::Present | ParentState::Lost => None,
        }
    }
}

/// Which filters a shield consists of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShieldHalves {
    /// Drops frames that carry a tag of their own.
    pub egress: bool,
    /// Drops frames whose source is their own destination.
    pub ingress: bool,
}
