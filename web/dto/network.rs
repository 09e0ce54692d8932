//! Networks.

use super::labels;
use crate::dto::parent::ShieldBody;
use crate::fields::{self, Fields, Read};
use crate::time::rfc3339;
use bulkhead_core::endpoint::EndpointState;
use bulkhead_core::host::{Host, Mode};
use bulkhead_core::network::{DnsForward, Network, NetworkState, ShieldWish};
use bulkhead_core::refusal::Fault;
use bulkhead_core::request::{ChangeNetwork, ChangeSubnet, CreateNetwork, GatewayWish, SubnetWish};
use bulkhead_core::segment::{Reach, reach};
use bulkhead_core::state::State;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// A network that is asked for. All fields but the name may be left out.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[schema(as = NetworkWish, example = json!({
    "name": "db_net_ipv", "mode": "l2", "flag": "bridge", "parent": "eth0", "internal": false, "ipv6": false, "mtu": 1500, "gateway": "auto",
    "subnets": [{
        "cidr": "192.168.1.0/24", "gateway": "192.168.1.1", "ip_range": "192.168.1.128/25", "reserved": {"router": "192.168.1.5"}
    }],
    "labels": {"tier": "db"}
}))]
#[serde(default, deny_unknown_fields)]
pub struct NetworkWishBody {
    /// Its name, unique: 1 to 63 of `A–Z a–z 0–9 _ . -`, beginning with a letter or digit.
    #[schema(required = true, pattern = "^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$")]
    pub name: String,
    /// `l2` (default), `l3` or `l3s`; a parent has one mode.
    #[schema(pattern = "^(l2|l3|l3s)$", default = "l2")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    /// `bridge` (default), `private` or `vepa`; a parent has one flag.
    #[schema(pattern = "^(bridge|private|vepa)$", default = "bridge")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flag: Option<String>,
    /// The parent: a link of the host, or a VLAN of one such as `eth0.30`, made if it is not there. None: an own dummy, so that the
    /// network is cut off from everything else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// Nothing leaves it: an own dummy, also where a parent is named.
    #[schema(default = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub internal: Option<bool>,
    /// Whether an IPv4 subnet comes from the default pools when none is named.
    #[schema(default = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ipv4: Option<bool>,
    /// Whether an IPv6 subnet comes from the default pools when none is named.
    #[schema(default = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ipv6: Option<bool>,
    /// MTU of its links in bytes, at most the parent's; the parent's where it is left out.
    #[schema(minimum = 68, maximum = 65535)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mtu: Option<u32>,
    /// Gateway of subnets that name none: `auto` (the first usable address, the default), `none`, or an address.
    #[schema(default = "auto")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gateway: Option<String>,
    /// Subnets; none: from the default pools.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub subnets: Vec<SubnetWishBody>,
    /// Whether links accept router advertisements. Any neighbour may send these.
    #[schema(default = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accept_ra: Option<bool>,
    /// `on` (default) or `off`: filters on the parent that keep workloads from sending into its VLANs and into the host's own stack.
    #[schema(pattern = "^(on|off)$", default = "on")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shield: Option<String>,
    /// How names are looked up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dns: Option<DnsBody>,
    /// Labels.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

/// How names are looked up for the workloads of a network.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[schema(as = Dns)]
#[serde(default, deny_unknown_fields)]
pub struct DnsBody {
    /// Whether names from outside are, by the host's own resolvers: `auto` (the default: where the network has a parent and is not
    /// internal), `on`, or `off`, which holds whatever other networks of a workload say.
    #[schema(pattern = "^(auto|on|off)$", default = "auto")]
    pub forward: String,
}

/// A subnet that is asked for.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[schema(as = SubnetWish)]
#[serde(default, deny_unknown_fields)]
pub struct SubnetWishBody {
    /// The subnet; no host bits set.
    #[schema(required = true, example = "192.168.1.0/24")]
    pub cidr: String,
    /// `auto`, `none`, or an address; as the network says where it is left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gateway: Option<String>,
    /// The part to hand addresses out from; its own first and last address are usable.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ip_range: Option<String>,
    /// Addresses that are never handed out, by what they are reserved for.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub reserved: BTreeMap<String, String>,
}

/// Reads a network that is asked for.
pub fn read(value: Value) -> Read<CreateNetwork> {
    let mut body = Fields::of(value)?;
    let name = body.required("name", "a name for the network", fields::name);
    let mode = body.optional("mode", fields::mode).unwrap_or(Mode::L2);
    let flag = body.optional("flag", fields::flag).unwrap_or_default();
    let parent = body.optional("parent", fields::short_text);
    let internal = body.optional("internal", fields::boolean).unwrap_or(false);
    let ipv4 = body.optional("ipv4", fields::boolean).unwrap_or(true);
    let ipv6 = body.optional("ipv6", fields::boolean).unwrap_or(false);
    let mtu = body.optional("mtu", fields::number(68, 65_535));
    let gateway = body.optional("gateway", gateway).unwrap_or_default();
    let subnets = body.optional("subnets", fields::list(subnet)).unwrap_or_default();
    let accept_ra = body.optional("accept_ra", fields::boolean).unwrap_or(false);
    let shield = body.optional("shield", fields::choice(&[("on", ShieldWish::On), ("off", ShieldWish::Off)])).unwrap_or_default();
    let dns_forward = body.optional("dns", dns).unwrap_or_default();
    let labels = body.optional("labels", fields::labels).unwrap_or_default();
    if body.is_faulty() {
        // The engine never sees this request: what it would find in the parts that can be read is told along.
        for (i, subnet) in subnets.iter().enumerate().filter(|(_, s)| s.cidr.addr() != s.cidr.network()) {
            body.fault(Fault::new(
                format!("subnets[{i}].cidr"),
                format!("{} has host bits set", subnet.cidr),
                subnet.cidr.trunc().to_string(),
            ));
        }
    }
    let faults = body.finish();
    match name {
        Some(name) if faults.is_empty() => Ok(CreateNetwork {
            name,
            mode,
            flag,
            parent,
            internal,
            ipv4,
            ipv6,
            mtu,
            gateway,
            subnets,
            accept_ra,
            shield,
            dns_forward,
            labels,
        }),
        _ => Err(faults),
    }
}

const FORWARD: [(&str, DnsForward); 3] =
    [(DnsForward::Auto.as_str(), DnsForward::Auto), (DnsForward::On.as_str(), DnsForward::On), (DnsForward::Off.as_str(), DnsForward::Off)];

fn dns(value: Value) -> Read<DnsForward> {
    let mut body = Fields::of(value)?;
    let forward = body.optional("forward", fields::choice(&FORWARD)).unwrap_or_default();
    let faults = body.finish();
    if faults.is_empty() { Ok(forward) } else { Err(faults) }
}

fn subnet(value: Value) -> Read<SubnetWish> {
    let mut body = Fields::of(value)?;
    let cidr = body.required("cidr", "a range, such as 192.168.1.0/24 or 2001:db8:abc8::/64", fields::cidr);
    let gateway = body.optional("gateway", gateway);
    let ip_range = body.optional("ip_range", fields::cidr);
    let reserved = body.optional("reserved", fields::map(fields::address)).unwrap_or_default();
    let faults = body.finish();
    match cidr {
        Some(cidr) if faults.is_empty() => Ok(SubnetWish { cidr, gateway, ip_range, reserved }),
        _ => Err(faults),
    }
}

/// What changes of a network (RFC 7396): what is left out stays.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NetworkChange, example = json!({"labels": {"tier": "cards", "owner": null}, "subnets": [{"cidr": "192.168.1.0/24", "ip_range": null}]}))]
pub struct NetworkChangeBody {
    /// Labels to set; null takes one away, others stay. Everyone who lives beside the network is judged again.
    #[serde(default)]
    pub labels: BTreeMap<String, Option<String>>,
    /// MTU of its links in bytes, at most its parent's; null leaves links what they have.
    #[schema(minimum = 68, maximum = 65535)]
    pub mtu: Option<u32>,
    /// How names from outside are answered.
    pub dns: Option<DnsBody>,
    /// What changes of its subnets.
    #[serde(default)]
    pub subnets: Vec<SubnetChangeBody>,
}

/// What changes of a subnet.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = SubnetChange)]
pub struct SubnetChangeBody {
    /// Which of the network's subnets.
    #[schema(example = "192.168.1.0/24")]
    pub cidr: String,
    /// `auto`, `none` or an address. Endpoints keep the route that they have.
    pub gateway: Option<String>,
    /// The range to hand out from, which may only grow; null is all of the subnet.
    pub ip_range: Option<String>,
}

/// Reads a change of a network.
pub fn read_change(network: String, value: Value) -> Read<ChangeNetwork> {
    let mut body = Fields::of(value)?;
    let labels = body.optional("labels", fields::label_changes).unwrap_or_default();
    let mtu = body.change("mtu", fields::number(68, 65_535));
    let dns_forward = body.optional("dns", dns);
    let subnets = body.optional("subnets", fields::list(subnet_change)).unwrap_or_default();
    let faults = body.finish();
    if faults.is_empty() { Ok(ChangeNetwork { network, labels, mtu, dns_forward, subnets }) } else { Err(faults) }
}

fn subnet_change(value: Value) -> Read<ChangeSubnet> {
    let mut body = Fields::of(value)?;
    let cidr = body.required("cidr", "one of the network's subnets, such as 192.168.1.0/24", fields::cidr);
    let gateway = body.optional("gateway", gateway);
    let ip_range = body.change("ip_range", fields::cidr);
    let faults = body.finish();
    match cidr {
        Some(cidr) if faults.is_empty() => Ok(ChangeSubnet { cidr, gateway, ip_range }),
        _ => Err(faults),
    }
}

fn gateway(value: Value) -> Read<GatewayWish> {
    match value.as_str() {
        Some("auto") => Ok(GatewayWish::Auto),
        Some("none") => Ok(GatewayWish::None),
        _ => fields::address(value).map(GatewayWish::Address).map_err(|faults| {
            let right = |f: &Fault| format!("auto, none, or {}", f.right);
            faults.into_iter().map(|f| Fault { right: right(&f), ..f }).collect()
        }),
    }
}

/// A network.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = Network)]
pub struct NetworkBody {
    /// Its id: 32 hexadecimal digits.
    pub id: String,
    /// Its name.
    pub name: String,
    /// `creating`, `ready`, `degraded` or `deleting`.
    #[schema(example = "ready")]
    pub state: String,
    /// Why it is degraded.
    pub why: Option<String>,
    /// `l2`, `l3` or `l3s`.
    pub mode: String,
    /// `bridge`, `private` or `vepa`.
    pub flag: String,
    /// The link that its links hang on.
    pub parent: NetworkParentBody,
    /// Nothing leaves it.
    pub internal: bool,
    /// MTU of its links in bytes.
    pub mtu: Option<u32>,
    /// Whether its links accept router advertisements.
    pub accept_ra: bool,
    /// How names are looked up for its workloads.
    pub dns: DnsBody,
    /// Subnets with what was filled in.
    pub subnets: Vec<SubnetBody>,
    /// The L2 broadcast domain: fabric and VLAN.
    #[schema(example = "default/vlan-30")]
    pub segment: Option<String>,
    /// What its workloads can send into, or hear from, beyond their segment.
    pub reaches: ReachesBody,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// How many endpoints it has.
    pub endpoints: u64,
    /// How many of these are in state `failed`.
    #[serde(default)]
    pub endpoints_failed: u64,
    /// When it was made.
    pub created_at: String,
    /// By whom.
    pub created_by: String,
    /// Number of the decision that allowed it.
    pub decision: u64,
    /// Warnings of policies and of the engine, where this answers a change.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// The parent of a network.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = NetworkParent)]
pub struct NetworkParentBody {
    /// The parent as asked for; null where an own dummy was.
    pub asked: Option<String>,
    /// Its id.
    pub id: String,
    /// Name of the link.
    #[schema(example = "eth0.30")]
    pub link: Option<String>,
    /// `vlan`, `dummy`, `physical`, or the kernel's word.
    pub kind: Option<String>,
    /// VLAN id.
    pub vlan: Option<u16>,
    /// `found` or `ours`: one that was there before is never removed.
    pub origin: Option<String>,
    /// `making`, `present`, `lost` or `removing`.
    pub state: Option<String>,
    /// Its shield.
    pub shield: Option<ShieldBody>,
}

/// What is reached beyond the segment.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = Reaches)]
pub struct ReachesBody {
    /// The fabric, every VLAN of which its workloads can send into: untagged l2 on a trunk without a shield.
    pub every_vlan_of: Option<String>,
    /// Segments in use that it reaches, or that reach it.
    pub segments: Vec<String>,
}

/// A subnet.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = Subnet)]
pub struct SubnetBody {
    /// The range.
    pub cidr: String,
    /// The address held for the gateway.
    pub gateway: Option<String>,
    /// The part that addresses are handed out from.
    pub ip_range: Option<String>,
    /// Addresses that are never handed out.
    pub reserved: BTreeMap<String, String>,
    /// How many addresses are left to hand out; a text, as it may exceed what numbers hold.
    #[schema(example = "126")]
    pub addresses_left: String,
}

/// The state's name, and why it is so.
pub fn state_of(network: &Network) -> (&'static str, Option<&str>) {
    match &network.state {
        NetworkState::Creating { .. } => ("creating", None),
        NetworkState::Ready => ("ready", None),
        NetworkState::Degraded { why } => ("degraded", Some(why)),
        NetworkState::Deleting { .. } => ("deleting", None),
    }
}

/// A network as clients see it.
pub fn show(state: &State, host: &Host, network: &Network) -> NetworkBody {
    let parent = state.parent(network.parent);
    let link = parent.and_then(|p| p.find(host));
    let segment = state.segment_of(network);
    let every_vlan_of = parent.and_then(|p| match reach(&p.segment(), network.mode, p.is_shielded(host)) {
        Reach::None => None,
        Reach::EveryVlan(fabric) => Some(fabric.to_string()),
    });
    let reached =
        parent.map(|p| state.reached(&p.segment(), network.mode, p.is_shielded(host), |other| other.is_shielded(host))).unwrap_or_default();
    let subnets = network.subnets.iter().enumerate().map(|(i, subnet)| SubnetBody {
        cidr: subnet.cidr.to_string(),
        gateway: subnet.gateway.map(|g| g.to_string()),
        ip_range: subnet.ip_range.map(|r| r.to_string()),
        reserved: subnet.reserved.iter().map(|(what, address)| (what.clone(), address.to_string())).collect(),
        addresses_left: state.pool(network.id, i).map_or(0, |pool| pool.left()).to_string(),
    });
    let (name, why) = state_of(network);
    NetworkBody {
        id: network.id.to_string(),
        name: network.name.to_string(),
        state: name.to_owned(),
        why: why.map(str::to_owned),
        mode: network.mode.to_string(),
        flag: network.flag.to_string(),
        parent: NetworkParentBody {
            asked: network.parent_asked.clone(),
            id: network.parent.to_string(),
            link: parent.map(|p| p.link.to_string()),
            kind: parent.map(|p| super::parent::kind_of(&p.kind)),
            vlan: parent.and_then(|p| super::parent::vlan_of(&p.kind)),
            origin: parent.map(|p| super::parent::origin_of(p.origin).to_owned()),
            state: parent.map(|p| super::parent::state_of(p).to_owned()),
            shield: parent.map(|p| super::parent::shield_of(p, link)),
        },
        internal: network.internal,
        mtu: network.mtu.or(link.map(|l| l.mtu)),
        accept_ra: network.accept_ra,
        dns: DnsBody { forward: network.dns_forward.as_str().to_owned() },
        subnets: subnets.collect(),
        segment: segment.map(|s| s.to_string()),
        reaches: ReachesBody { every_vlan_of, segments: reached.iter().map(ToString::to_string).collect() },
        labels: labels(&network.labels),
        endpoints: state.endpoint_count(network.id) as u64,
        endpoints_failed: state.endpoints_of(network.id).filter(|e| matches!(e.state, EndpointState::Failed { .. })).count() as u64,
        created_at: rfc3339(network.created_at),
        created_by: network.created_by.clone(),
        decision: network.decision.0,
        warnings: Vec::new(),
    }
}
