# Tier isolation, as policies/tier-isolation has it. Settings are data: label, allowed (both orders), may_overlap.
package bench

import rego.v1

label := data.settings.label

default joins := false

joins if {
	input.operation in {"attach", "change-workload"}
	input.workload
}

default judged := false

judged if input.operation in {"create-network", "change-network", "attach", "change-workload"}

default looked_at := false

looked_at if input.operation in {"create-network", "change-network"}

looked_at if joins

network_tier := object.get(input.network.labels, label, null)

default own_tier := null

own_tier := object.get(input.workload.labels, label, null) if joins

tier := own_tier if {
	own_tier != null
} else := network_tier

tier_of(group) := group.workload_labels[label]

tier_of(group) := object.get(group.network_labels, label, null) if not group.workload_labels[label]

allows(a, b) if a == b

allows(a, b) if data.settings.allowed[a][b]

# A network without tier and endpoints is nobody yet: its workloads may bring their tier.
counts(_) if not joins

counts(group) if group.endpoints > 0

counts(group) if tier_of(group) != null

stranger(group) if {
	counts(group)
	not allows(tier, tier_of(group))
}

violations contains "shared-segment" if {
	looked_at
	some group in input.same_segment
	stranger(group)
}

violations contains "reaches" if {
	looked_at
	some group in input.reaches
	stranger(group)
}

violations contains "overlapping-subnet" if {
	looked_at
	not data.settings.may_overlap
	some group in input.overlapping
	stranger(group)
}

violations contains "bridging-workload" if {
	joins
	some group in input.workload.attached
	not allows(tier, tier_of(group))
}

violations contains "contradicting-tier" if {
	joins
	own_tier != null
	network_tier != null
	own_tier != network_tier
}

verdict := {"judged": judged, "violations": violations}
