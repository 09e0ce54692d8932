// Tiers by colour and pattern. The label's key is `tier` unless the address says otherwise (?by=).
import { computed } from "@preact/signals";
import { networks } from "./live";
import { query } from "./route";
import type { Labels } from "./types";

export const untiered = "untiered";
export const tierKey = computed(() => query.value.get("by") || "tier");
export const tierOf = (labels: Labels): string => labels[tierKey.value] || untiered;

/** All tiers of networks, in order; the place in it gives colour and pattern. */
export const tiers = computed(() => [...new Set((networks.value ?? []).map((n) => tierOf(n.labels)))].filter((t) => t !== untiered).sort());
/** 0 is untiered; 1 to 8 are the looks there are. */
export function look(tier: string): number {
  if (tier === untiered) return 0;
  const at = tiers.value.indexOf(tier);
  // One that only a workload has: by its letters, so that it is the same everywhere.
  return at >= 0 ? (at % 8) + 1 : ([...tier].reduce((sum, c) => sum + c.charCodeAt(0), 0) % 8) + 1;
}
/** All keys that networks have labels under. */
export const labelKeys = computed(() => [...new Set((networks.value ?? []).flatMap((n) => Object.keys(n.labels)))].sort());
