//! What tells a link that we did not make from all others, whatever it is called and numbered now.

use crate::host::{Host, HostLink, IfIndex, Mac, kind_text};
use crate::ids::BootId;
use serde::{Deserialize, Serialize};

/// A link of the host as it was recorded. A name is no identity, and an index is one for as long as the kernel runs: NICs are
/// numbered and named anew by a reboot, a new driver or another slot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkIdentity {
    /// The boot that `index` is of.
    pub boot: BootId,
    /// Its index in that boot.
    pub index: IfIndex,
    /// Its name when it was last seen. Only tells apart what is otherwise equal.
    pub name: String,
    /// The kernel's kind, `physical` where it names none.
    pub link_kind: String,
    /// Its permanent MAC, or the MAC it was last seen with where it has no permanent one.
    pub mac: Option<Mac>,
}

impl LinkIdentity {
    /// The identity of `link`.
    pub fn of(link: &HostLink, boot: BootId) -> Self {
        Self { boot, index: link.index, name: link.name.clone(), link_kind: kind_text(&link.kind), mac: lasting_mac(link) }
    }

    /// The link on `host` that is this one. `None` where it is away, and where several could be it: a guess would put
    /// a network on a stranger's wire.
    pub fn find<'a>(&self, host: &'a Host) -> Option<&'a HostLink> {
        let at_index = host.link(self.index).filter(|l| self.boot == host.boot && kind_text(&l.kind) == self.link_kind);
        // An index is given once per boot unless somebody asks for one. The MAC of a bond or bridge follows its ports, so there the name
        // may stand in for it; a permanent MAC follows nothing.
        let is_it = |l: &&HostLink| lasting_mac(l) == self.mac || l.permanent_mac.is_none() && l.name == self.name;
        if let Some(link) = at_index.filter(is_it) {
            return Some(link);
        }
        let alike: Vec<&HostLink> = host.links.values().filter(|l| self.could_be(l, host)).collect();
        match alike[..] {
            [only] => Some(only),
            _ => alike.into_iter().find(|l| l.name == self.name),
        }
    }

    fn could_be(&self, link: &HostLink, host: &Host) -> bool {
        let same = match self.mac {
            Some(mac) => lasting_mac(link) == Some(mac),
            // Without any MAC only the index is left, while it counts.
            None => self.boot == host.boot && self.index == link.index,
        };
        same && kind_text(&link.kind) == self.link_kind
    }
}

fn lasting_mac(link: &HostLink) -> Option<Mac> {
    link.permanent_mac.or(link.mac)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::{LinkKind, ShieldSeen};

    fn link(index: u32, name: &str, kind: LinkKind, mac: u8, permanent: bool) -> HostLink {
        let mac = Some(Mac([0, 0x16, 0x3e, 0, 0, mac]));
        HostLink {
            index: IfIndex(index),
            name: name.into(),
            alias: None,
            kind,
            mtu: 1500,
            mac,
            permanent_mac: mac.filter(|_| permanent),
            up: true,
            carrier: true,
            master: None,
            ipvlan: None,
            addresses: vec![],
            shield: ShieldSeen::default(),
        }
    }

    fn host(boot: u128, links: &[HostLink]) -> Host {
        let mut host = Host::empty(BootId(boot));
        host.links.extend(links.iter().map(|l| (l.index, l.clone())));
        host
    }

    fn found(identity: &LinkIdentity, host: &Host) -> Option<u32> {
        identity.find(host).map(|l| l.index.0)
    }

    #[test]
    fn a_nic_is_found_by_its_permanent_mac_after_names_and_indexes_have_changed_places() {
        let nic = |index, name: &str, mac| link(index, name, LinkKind::Physical, mac, true);
        let eth0 = LinkIdentity::of(&nic(2, "eth0", 0xa), BootId(1));
        let swapped = [nic(2, "eth0", 0xb), nic(3, "eth1", 0xa)];
        assert_eq!(found(&eth0, &host(2, &swapped)), Some(3));
        // Also within a boot: the driver was loaded anew.
        assert_eq!(found(&eth0, &host(1, &swapped)), Some(3));
        assert_eq!(found(&eth0, &host(2, &[nic(2, "eth0", 0xb)])), None, "another card under its name and index is not it");
    }

    #[test]
    fn a_bond_whose_mac_follows_another_port_is_itself_for_as_long_as_the_kernel_runs() {
        let bond = |index, mac| link(index, "bond0", LinkKind::Other("bond".into()), mac, false);
        let recorded = LinkIdentity::of(&bond(5, 0xa), BootId(1));
        assert_eq!(found(&recorded, &host(1, &[bond(5, 0xb)])), Some(5));
        assert_eq!(found(&recorded, &host(2, &[bond(5, 0xb)])), None, "in another boot nothing says that it is");
        assert_eq!(found(&recorded, &host(2, &[bond(7, 0xa)])), Some(7));
    }

    #[test]
    fn a_port_that_wears_the_macs_of_its_bond_is_not_taken_for_the_link_that_has_it_for_good() {
        let mut worn = link(3, "eth1", LinkKind::Physical, 0xb, true);
        let eth0 = link(2, "eth0", LinkKind::Physical, 0xa, true);
        worn.mac = eth0.mac;
        assert_eq!(found(&LinkIdentity::of(&eth0, BootId(1)), &host(2, &[worn])), None);
    }

    #[test]
    fn of_several_that_are_alike_the_name_decides_and_else_nothing() {
        let twin = |index, name: &str| link(index, name, LinkKind::Physical, 0xa, true);
        let recorded = LinkIdentity::of(&twin(2, "eth0"), BootId(1));
        assert_eq!(found(&recorded, &host(2, &[twin(4, "eth0"), twin(5, "eth1")])), Some(4));
        assert_eq!(found(&recorded, &host(2, &[twin(4, "eth1"), twin(5, "eth2")])), None);
    }
}
