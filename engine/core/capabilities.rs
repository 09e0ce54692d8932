//! Linux capabilities, as a door reports them of a workload.

use crate::names::{nearest, shown};
use crate::refusal::Fault;
use serde::{Deserialize, Serialize};

/// Their names in the kernel's order, without `CAP_` (include/uapi/linux/capability.h).
const NAMES: [&str; 41] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];

/// A set of Linux capabilities: bit n is capability n, as in `CapBnd` of /proc/PID/status.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub struct Capabilities(u64);

impl Capabilities {
    /// Reads names such as `NET_RAW` or `CAP_NET_RAW`, in any order. All faults at once, each at its place in the list.
    pub fn of(names: &[String]) -> Result<Self, Vec<Fault>> {
        let (mut set, mut faults) = (0, Vec::new());
        for (at, name) in names.iter().enumerate() {
            let plain = name.strip_prefix("CAP_").unwrap_or(name);
            match NAMES.iter().position(|n| *n == plain) {
                Some(bit) => set |= 1 << bit,
                None => {
                    let right = match nearest(plain, NAMES) {
                        Some(near) => format!("did you mean {near}?"),
                        None => "a capability of capabilities(7), such as NET_RAW".into(),
                    };
                    faults.push(Fault::new(format!("[{at}]"), format!("{} is no capability", shown(name)), right));
                }
            }
        }
        if faults.is_empty() { Ok(Self(set)) } else { Err(faults) }
    }

    /// Their names, in the kernel's order.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        NAMES.iter().enumerate().filter(move |(bit, _)| self.0 & (1 << bit) != 0).map(|(_, name)| *name)
    }
}

impl std::fmt::Display for Capabilities {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<&str> = self.names().collect();
        f.write_str(&if names.is_empty() { "no capabilities".into() } else { names.join(", ") })
    }
}

impl TryFrom<Vec<String>> for Capabilities {
    type Error = String;
    fn try_from(names: Vec<String>) -> Result<Self, String> {
        Self::of(&names).map_err(|faults| faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
    }
}

impl From<Capabilities> for Vec<String> {
    fn from(set: Capabilities) -> Self {
        set.names().map(str::to_owned).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_the_kernels() {
        let names = ["NET_RAW", "CAP_CHOWN", "NET_RAW", "CHECKPOINT_RESTORE"].map(str::to_owned);
        let set = Capabilities::of(&names).unwrap();
        assert_eq!(set.0, 1 << 13 | 1 | 1 << 40);
        assert_eq!(Vec::from(set), ["CHOWN", "NET_RAW", "CHECKPOINT_RESTORE"]);
        assert_eq!(Capabilities::default().to_string(), "no capabilities");
    }

    #[test]
    fn what_is_no_capability_is_named_with_what_is() {
        let faults = Capabilities::of(&["NET_RWA", "CHOWN", "net_raw", "x"].map(str::to_owned)).unwrap_err();
        let told: Vec<String> = faults.iter().map(ToString::to_string).collect();
        assert_eq!(
            told,
            [
                "[0]: \"NET_RWA\" is no capability; did you mean NET_RAW?",
                "[2]: \"net_raw\" is no capability; did you mean NET_RAW?",
                "[3]: \"x\" is no capability; a capability of capabilities(7), such as NET_RAW",
            ]
        );
    }
}
