# Run in scratch namespaces: makes one link of each kind that we need, and the two halves of a filter. Its first line of output says what failed.
set -u
try() { local said; said=$("$@" 2>&1) || { printf '`%s`: %s\n' "$*" "${said//$'\n'/ }"; exit 1; }; }
try mount -t sysfs sysfs /sys
try ip link add p0 type dummy
try ip link set p0 up
try ip link add i0 link p0 type ipvlan mode l2
try ip link add v0 link p0 name v0 type vlan id 30
try ip link add e0 type veth peer name e1
try ip link add m0 link e0 type macvlan
try ip link add b0 type bridge
try ip link set e1 master b0
try tc qdisc add dev p0 clsact
try tc filter add dev p0 egress pref 1 protocol all bpf bytecode '1,6 0 0 0' action drop
try tc filter add dev p0 ingress pref 1 protocol all bpf bytecode '1,6 0 0 0' action drop
