# Subnet rules, as policies/subnet-rules has them. Settings are data: label, tiers, default.
package bench

import rego.v1

label := data.settings.label

default judged := false

judged if input.operation in {"create-network", "change-network", "attach", "change-workload"}

network_tier := object.get(input.network.labels, label, null)

default own_tier := null

own_tier := object.get(input.workload.labels, label, null) if {
	input.operation in {"attach", "change-workload"}
	input.workload
}

tier := own_tier if {
	own_tier != null
} else := network_tier

allowed := object.get(data.settings.tiers, tier, data.settings["default"]) if {
	tier != null
} else := data.settings["default"]

within(cidr) if {
	some range in allowed.cidrs
	net.cidr_contains(range, cidr)
}

lengths(cidr) := allowed.prefix_length if not contains(cidr, ":")

lengths(cidr) := allowed.prefix_length_ipv6 if contains(cidr, ":")

violations contains "cidr-not-allowed" if {
	judged
	allowed.cidrs
	some subnet in input.network.subnets
	not within(subnet.cidr)
}

violations contains "prefix-length" if {
	judged
	some subnet in input.network.subnets
	subnet.prefix_length < lengths(subnet.cidr).min
}

violations contains "prefix-length" if {
	judged
	some subnet in input.network.subnets
	subnet.prefix_length > lengths(subnet.cidr).max
}

violations contains "parent-not-allowed" if {
	judged
	input.network.parent != null
	allowed.parents
	not input.network.parent in allowed.parents
}

# 0 is untagged.
violations contains "vlan-not-allowed" if {
	judged
	input.network.parent != null
	allowed.vlans
	not input.network.vlan in allowed.vlans
}

verdict := {"judged": judged, "violations": violations}
