//! The host's links as last seen: the mirror that the kernel crate keeps from notifications, and that decisions read.

use crate::ids::BootId;
use crate::names::LinkName;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// Index of a link within its network namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct IfIndex(pub u32);

impl fmt::Display for IfIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// An Ethernet address.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Mac(pub [u8; 6]);

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}
impl fmt::Debug for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}
impl FromStr for Mac {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let bytes: Vec<u8> = text.split(':').filter(|p| p.len() == 2).filter_map(|p| u8::from_str_radix(p, 16).ok()).collect();
        <[u8; 6]>::try_from(bytes).ok().filter(|_| text.len() == 17).map(Self).ok_or_else(|| format!("{text:?} is not a MAC address"))
    }
}
impl TryFrom<String> for Mac {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}
impl From<Mac> for String {
    fn from(mac: Mac) -> String {
        mac.to_string()
    }
}

/// ipvlan mode (Documentation/networking/ipvlan.rst). One per parent: the kernel changes it for all links of a parent at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Switched on the parent's segment.
    L2,
    /// Routed on the host, without its netfilter.
    L3,
    /// Routed on the host, through its netfilter.
    L3s,
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Mode::L2 => "l2",
            Mode::L3 => "l3",
            Mode::L3s => "l3s",
        })
    }
}

/// Whether links of one parent reach each other. One per parent, like the mode.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Flag {
    /// They do.
    #[default]
    Bridge,
    /// They do not.
    Private,
    /// Only through the switch (802.1Qbg).
    Vepa,
}

impl fmt::Display for Flag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Flag::Bridge => "bridge",
            Flag::Private => "private",
            Flag::Vepa => "vepa",
        })
    }
}

/// IEEE 802.1Q VLAN id, 1–4094.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u16", into = "u16")]
pub struct VlanId(u16);

impl VlanId {
    /// 0 means "priority tag only" and 4095 is reserved (802.1Q table 9-2).
    pub fn new(id: u16) -> Option<Self> {
        (1..=4094).contains(&id).then_some(Self(id))
    }
    /// The number.
    pub fn get(self) -> u16 {
        self.0
    }
}
impl fmt::Display for VlanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
impl TryFrom<u16> for VlanId {
    type Error = String;
    fn try_from(id: u16) -> Result<Self, String> {
        Self::new(id).ok_or_else(|| format!("VLAN id {id} is outside 1–4094"))
    }
}
impl From<VlanId> for u16 {
    fn from(id: VlanId) -> u16 {
        id.0
    }
}

/// What a link is (IFLA_INFO_KIND and its data).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LinkKind {
    /// No kind: a physical NIC.
    Physical,
    /// The loopback device.
    Loopback,
    /// An 802.1Q sub-interface of `base`.
    Vlan {
        /// The link that it hangs on.
        base: IfIndex,
        /// Its VLAN id.
        id: VlanId,
    },
    /// A dummy.
    Dummy,
    /// An ipvlan link seen on the host itself.
    Ipvlan {
        /// Its parent.
        parent: IfIndex,
    },
    /// A macvlan or macvtap link, which occupies its parent's receive handler.
    Macvlan {
        /// Its parent.
        parent: IfIndex,
    },
    /// Any other kind, by the kernel's name: `veth`, `bond`, `bridge` …
    Other(String),
}

/// The kernel's word for a kind.
pub fn kind_text(kind: &LinkKind) -> String {
    match kind {
        LinkKind::Physical => "physical".into(),
        LinkKind::Loopback => "loopback".into(),
        LinkKind::Vlan { .. } => "vlan".into(),
        LinkKind::Dummy => "dummy".into(),
        LinkKind::Ipvlan { .. } => "ipvlan".into(),
        LinkKind::Macvlan { .. } => "macvlan".into(),
        LinkKind::Other(kind) => kind.clone(),
    }
}

/// State of the two halves of the shield on a link, as last seen.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShieldSeen {
    /// Our egress filter is there.
    pub egress: bool,
    /// Our ingress filter is there.
    pub ingress: bool,
    /// A filter or program of somebody else runs before ours and may let frames pass it.
    pub bypassed_by: Option<String>,
}

/// One link of the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostLink {
    /// Its index.
    pub index: IfIndex,
    /// Its name now; a name is no identity.
    pub name: String,
    /// IFLA_IFALIAS.
    pub alias: Option<String>,
    /// Its kind.
    pub kind: LinkKind,
    /// Bytes.
    pub mtu: u32,
    /// Its address now, if it has an Ethernet one.
    pub mac: Option<Mac>,
    /// IFLA_PERM_ADDRESS: the identity of a physical NIC.
    pub permanent_mac: Option<Mac>,
    /// IFF_UP.
    pub up: bool,
    /// IFF_LOWER_UP.
    pub carrier: bool,
    /// The bridge, bond or team that it is a port of.
    pub master: Option<IfIndex>,
    /// Mode and flag of an ipvlan link seen on the host.
    pub ipvlan: Option<(Mode, Flag)>,
    /// Addresses of the host's own stack on it, with prefix.
    pub addresses: Vec<IpNet>,
    /// The shield's filters on it.
    pub shield: ShieldSeen,
}

/// The host as last seen. A snapshot: cheap to share, never written by a decision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Host {
    /// This boot.
    pub boot: BootId,
    /// All links of the host's namespace, by index.
    pub links: imbl::OrdMap<IfIndex, HostLink>,
    /// Destinations of on-link routes (scope link, main table).
    pub on_link: Vec<IpNet>,
    /// Modules or abilities that are missing, such as `cls_bpf`; the shield and VLANs ask here.
    pub missing: Vec<String>,
    /// The daemon's own network namespace (SO_NETNS_COOKIE).
    pub own_netns: u64,
}

impl Host {
    /// A host without a link.
    pub fn empty(boot: BootId) -> Self {
        Self { boot, links: imbl::OrdMap::new(), on_link: Vec::new(), missing: Vec::new(), own_netns: 0 }
    }
    /// The link called `name` now.
    pub fn named(&self, name: &str) -> Option<&HostLink> {
        self.links.values().find(|l| l.name == name)
    }
    /// The link with `index`.
    pub fn link(&self, index: IfIndex) -> Option<&HostLink> {
        self.links.get(&index)
    }
    /// VLAN `id` of `base`, whatever its name.
    pub fn vlan_of(&self, base: IfIndex, id: VlanId) -> Option<&HostLink> {
        self.links.values().find(|l| l.kind == LinkKind::Vlan { base, id })
    }
    /// Whether the shield can be put up here.
    pub fn can_shield(&self) -> bool {
        self.shield_lacks().is_empty()
    }
    /// The modules of the shield that are missing.
    pub fn shield_lacks(&self) -> Vec<&str> {
        let needed = ["sch_ingress", "cls_bpf", "act_gact"];
        self.missing.iter().map(String::as_str).filter(|m| needed.contains(m)).collect()
    }
    /// Whether an address of the host's own stack is `address`, on any link.
    pub fn owner_of(&self, address: IpAddr) -> Option<&HostLink> {
        self.links.values().find(|l| l.addresses.iter().any(|n| n.addr() == address))
    }
}

/// A link name that need not follow our rules, as the kernel told it.
pub fn link_name(link: &HostLink) -> Option<LinkName> {
    LinkName::new(&link.name).ok()
}
