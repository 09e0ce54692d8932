// What the topology shows, as a tree: host → parents → segments → networks → endpoints, folded so far that it stays legible.
import type { Endpoint, Labels, Network, Parent } from "../types";

export type Kind = "host" | "parent" | "segment" | "group" | "network" | "endpoint" | "more";
export interface Node {
  id: string; kind: Kind; name: string; note: string; children: Node[]; networks: number; endpoints: number;
  /** Tiers below it, with how many networks each has. */
  tiers: Map<string, number>;
  to?: string; parent?: Parent; network?: Network; endpoint?: Endpoint;
  /** What is not as it should be, in words. */
  wrong: string[];
  /** What was not lately, and has been set right. */
  past: string[];
  /** How many nodes below it have something of either kind: a fold hides none of it. */
  wrongBelow: number; pastBelow: number;
}

/** What changed behind the daemon's back lately, in words, by name of the network and of the parent's link. */
export interface Past { networks: Map<string, string[]>; parents: Map<string, string[]> }
export const nothingPast: Past = { networks: new Map(), parents: new Map() };

export interface Filter { text: string; only: [string, string][]; not: [string, string][] }

export const has = (labels: Labels, [key, value]: [string, string]): boolean => labels[key] === value;
export function fits(n: Network, f: Filter): boolean {
  const text = f.text.toLowerCase();
  return f.only.every((l) => has(n.labels, l)) && !f.not.some((l) => has(n.labels, l)) &&
    (!text || [n.name, n.parent.link, n.parent.asked, n.segment, ...n.subnets.map((s) => s.cidr), ...Object.values(n.labels)].some((t) => t?.toLowerCase().includes(text)));
}

const node = (kind: Kind, id: string, name: string, note: string, more: Partial<Node> = {}): Node =>
  ({ kind, id, name, note, children: [], networks: 0, endpoints: 0, tiers: new Map(), wrong: [], past: [], wrongBelow: 0, pastBelow: 0, ...more });

export const vlanName = (n: { vlan: number | null }): string => n.vlan === null ? "untagged" : `VLAN ${n.vlan}`;

function wrongWith(n: Network): string[] {
  const wrong: string[] = [];
  if (n.state === "degraded") wrong.push(`degraded: ${n.why ?? "unknown"}`);
  if (n.endpoints_failed) wrong.push(`${n.endpoints_failed} of its endpoints failed`);
  if (n.reaches.every_vlan_of) wrong.push(`reaches every VLAN of ${n.reaches.every_vlan_of}`);
  // Who cannot send beyond the segment is on the other end.
  else if (n.reaches.segments.length) wrong.push(`reached from ${n.reaches.segments.join(", ")}`);
  return wrong;
}
function wrongWithParent(p: Parent): string[] {
  const wrong: string[] = [];
  if (p.state === "lost") wrong.push("the link is away");
  // As it differs from the record just now.
  if (p.id && p.why && p.state !== "lost") wrong.push(p.why);
  if (p.shield?.wanted && p.shield.state !== "up" && !p.why?.includes("shield")) wrong.push(`shield ${p.shield.state}${p.shield.bypassed_by ? ` by ${p.shield.bypassed_by}` : ""}`);
  if (p.id && p.up === false && !p.why?.includes("down")) wrong.push("the link is down");
  else if (p.id && p.carrier === false) wrong.push("no carrier");
  return wrong;
}

/** The whole tree, nothing folded; endpoints only of networks in `endpoints`. */
export function grow(networks: Network[], parents: Parent[], f: Filter, tierOf: (l: Labels) => string, endpoints: Map<string, Endpoint[] | null>, past: Past = nothingPast): Node {
  const host = node("host", "host", "host", "");
  const byId = new Map(parents.filter((p) => p.id).map((p) => [p.id!, p]));
  const bases = new Map<string, Node>();
  const segments = new Map<string, Node>();
  const isolated = node("parent", "p:isolated", "isolated", "no way out");
  const base = (link: string): Node => {
    let found = bases.get(link);
    if (!found) {
      const p = parents.find((q) => q.link === link);
      found = node("parent", `p:${link}`, link, "", { to: `/parents/${encodeURIComponent(link)}`, past: past.parents.get(link) ?? [], ...(p ? { parent: p, wrong: p.id && p.kind !== "vlan" ? wrongWithParent(p) : [] } : {}) });
      bases.set(link, found);
      host.children.push(found);
    }
    return found;
  };
  for (const p of parents) if (p.state === "available" && !p.vlan && !p.base && !f.text && !f.only.length && !f.not.length) base(p.link).note = "available";
  for (const n of networks) {
    if (!fits(n, f)) continue;
    const p = byId.get(n.parent.id);
    const leaf = node("network", `n:${n.name}`, n.name, n.subnets.map((s) => s.cidr).join(" "), { network: n, networks: 1, endpoints: n.endpoints, tiers: new Map([[tierOf(n.labels), 1]]), to: `/networks/${encodeURIComponent(n.name)}`, wrong: wrongWith(n), past: past.networks.get(n.name) ?? [] });
    const eps = endpoints.get(n.name);
    if (eps) {
      leaf.children = eps.slice(0, 50).map((e) => node("endpoint", `e:${e.id}`, e.name ?? e.workload.name, e.addresses.join(" "), { endpoint: e, endpoints: 1, tiers: new Map([[tierOf(e.workload.labels), 1]]), to: `/networks/${encodeURIComponent(n.name)}/endpoints/${e.id}`, wrong: e.state === "failed" ? [`failed: ${e.why ?? ""}`] : [] }));
      if (n.endpoints > 50) leaf.children.push(node("more", `m:${n.name}`, `${n.endpoints - 50} more`, "", { to: `/networks/${encodeURIComponent(n.name)}` }));
    }
    if (!p || p.kind === "dummy") {
      if (p) { leaf.wrong.push(...wrongWithParent(p).filter((w) => w !== "no carrier")); leaf.past = [...leaf.past, ...(past.parents.get(p.link) ?? [])] }
      isolated.children.push(leaf);
      continue;
    }
    const id = `s:${p.link}`;
    let segment = segments.get(id);
    if (!segment) {
      segment = node("segment", id, vlanName(p), p.vlan === null ? "" : p.link, { parent: p, to: `/parents/${encodeURIComponent(p.link)}`, wrong: p.vlan === null ? [] : wrongWithParent(p), past: p.vlan === null ? [] : past.parents.get(p.link) ?? [] });
      segments.set(id, segment);
      base(p.base ?? p.link).children.push(segment);
    }
    segment.children.push(leaf);
  }
  if (isolated.children.length) host.children.push(isolated);
  count(host);
  host.children.sort((a, b) => Number(a === isolated) - Number(b === isolated) || b.networks - a.networks || a.name.localeCompare(b.name));
  for (const p of bases.values()) p.children.sort((a, b) => (a.parent?.vlan ?? -1) - (b.parent?.vlan ?? -1));
  return host;
}

/** Adds up what is below a node, whose children have been counted. */
function sum(n: Node): void {
  for (const c of n.children) {
    n.networks += c.networks;
    n.endpoints += c.endpoints;
    n.wrongBelow += c.wrongBelow + Number(c.wrong.length > 0);
    n.pastBelow += c.pastBelow + Number(c.past.length > 0);
    c.tiers.forEach((many, tier) => n.tiers.set(tier, (n.tiers.get(tier) ?? 0) + many));
  }
}
function count(n: Node): void {
  if (n.kind === "network") {
    // Its own endpoints are counted already; what is wrong with those that are shown is not.
    n.wrongBelow = n.children.filter((c) => c.wrong.length > 0).length;
    return;
  }
  if (n.kind === "endpoint") return;
  n.children.forEach(count);
  sum(n);
}

/** Rows that stay legible without a fold. */
export const rowsMax = 40;

const rows = (n: Node, isOpen: (n: Node) => boolean): number => n.children.length && isOpen(n) ? n.children.reduce((sum, c) => sum + rows(c, isOpen), 0) : 1;

/** Groups of one tier, below a parent that has more children than anybody reads. */
function group(parent: Node): void {
  if (parent.children.length <= 24) return;
  const of = new Map<string, Node>();
  for (const c of parent.children) {
    const tiers = [...c.tiers.keys()];
    const name = tiers.length === 1 ? tiers[0]! : "several tiers";
    let g = of.get(name);
    if (!g) of.set(name, (g = node("group", `g:${parent.name}:${name}`, name, "")));
    g.children.push(c);
  }
  if (of.size < 2) return;
  parent.children = [...of.values()].sort((a, b) => a.name.localeCompare(b.name));
  for (const g of parent.children) {
    sum(g);
    const vlans = g.children.flatMap((c) => c.parent?.vlan ?? []);
    g.note = vlans.length ? `${vlans.length} VLANs, ${Math.min(...vlans)} to ${Math.max(...vlans)}` : "";
  }
}

export type Unfold = "auto" | "all" | "none";

/** Folds until what is left is legible, unless somebody said otherwise of a node. Changes the tree; tells what is open. */
export function fold(host: Node, how: Unfold, opened: Set<string>, closed: Set<string>): (n: Node) => boolean {
  const depth: Record<Kind, number> = { host: 0, parent: 1, group: 2, segment: 3, network: 4, endpoint: 5, more: 5 };
  const upTo = (level: number) => (n: Node) => depth[n.kind] < level;
  let level = 5;
  if (how === "none") level = 1;
  else if (how === "auto") {
    while (level > 4 && rows(host, upTo(4)) > rowsMax) level = 3;
    if (level === 5) level = 4;
    if (level === 3 && rows(host, upTo(3)) > rowsMax) {
      host.children.forEach(group);
      // Groups stay closed, and so do segments that are in none.
      level = 2;
    }
  }
  // A node with one child takes no more room open.
  const isOpen = (n: Node) => n.kind !== "network" && (depth[n.kind] < level || (how === "auto" && n.children.length === 1));
  return (n) => !closed.has(n.id) && (opened.has(n.id) || isOpen(n));
}
