// What changed behind the daemon's back lately, by what it happened to. Most of it is set right within milliseconds: then it is no
// fault any more, and all the same something that somebody did.
import { computed } from "@preact/signals";
import { recent } from "./live";
import type { Event } from "./types";

const within = 3_600_000;
export const isDrift = (e: Event): boolean => /^(parent|endpoint|network|removal)\.(drifted|healed|lost|back|failed|renamed|released)$/.test(e.kind);

/** Of the last hour, newest first. */
export const drift = computed(() => { const from = Date.now() - within; return recent.value.filter((e) => isDrift(e) && Date.parse(e.at) > from) });
/** The same by name of the network, and by name of the parent's link. */
export const driftOf = computed(() => {
  const networks = new Map<string, Event[]>();
  const parents = new Map<string, Event[]>();
  const add = (to: Map<string, Event[]>, key: string, e: Event) => { const all = to.get(key); if (all) all.push(e); else to.set(key, [e]) };
  for (const e of drift.value) {
    if (e.kind.startsWith("parent.")) add(parents, e.subject, e);
    else if (e.network) add(networks, e.network, e);
    else if (e.kind.startsWith("network.")) add(networks, e.subject, e);
  }
  return { networks, parents };
});
