// What joins two tiers. Each thing is found through the place where it would be, not by comparing all with all.
import type { Endpoint, Labels, Network, Parent } from "../types";

export type Way = "segment" | "reach" | "workload" | "subnet" | "parent";
export interface Join { a: string; b: string; way: Way; what: string; networks?: [Network, Network]; endpoints?: Endpoint[] }
export interface Joined { tiers: string[]; all: Join[]; counts: Map<string, number>; of: (a: string, b: string) => Join[] }

/** A range as two numbers of its family. */
export function rangeOf(cidr: string): { family: 4 | 6; first: bigint; last: bigint } {
  const [address, bits] = cidr.split("/") as [string, string];
  const isV6 = address.includes(":");
  const width = isV6 ? 128n : 32n;
  const value = isV6 ? v6(address) : address.split(".").reduce((n, p) => n * 256n + BigInt(p), 0n);
  const host = width - BigInt(bits);
  const first = (value >> host) << host;
  return { family: isV6 ? 6 : 4, first, last: first + (1n << host) - 1n };
}
function v6(address: string): bigint {
  const [head = "", tail] = address.split("::");
  const words = (text: string) => text ? text.split(":") : [];
  const [h, t] = [words(head), words(tail ?? "")];
  const all = tail === undefined ? h : [...h, ...Array.from({ length: 8 - h.length - t.length }, () => "0"), ...t];
  return all.reduce((n, w) => n * 65536n + BigInt(`0x${w || "0"}`), 0n);
}

const group = <T>(all: T[], by: (t: T) => string | null | undefined): Map<string, T[]> => {
  const groups = new Map<string, T[]>();
  for (const t of all) { const key = by(t); if (key) groups.set(key, [...(groups.get(key) ?? []), t]) }
  return groups;
};

export function joins(networks: Network[], parents: Parent[], endpoints: Endpoint[], tierOf: (l: Labels) => string): Joined {
  const byName = new Map(networks.map((n) => [n.name, n]));
  const tierOfNetwork = (n: Network) => tierOf(n.labels);
  // A workload's tier is its own label's, or else its network's.
  const bare = tierOf({});
  const tierOfEndpoint = (e: Endpoint) => { const own = tierOf(e.workload.labels); const n = byName.get(e.network); return own !== bare || !n ? own : tierOfNetwork(n) };
  const all: Join[] = [];
  const add = (a: string, b: string, way: Way, rest: Omit<Join, "a" | "b" | "way">) => { if (a !== b) { const [x, y] = a < b ? [a, b] : [b, a]; all.push({ a: x, b: y, way, ...rest }) } };
  const pairs = <T>(of: T[], tier: (t: T) => string, way: Way, tell: (a: T, b: T) => Omit<Join, "a" | "b" | "way">) => {
    // One example for each pair of tiers and place: thousands of equal ones tell no more.
    const first = [...new Map(of.map((t) => [tier(t), t])).values()];
    first.forEach((a, i) => first.slice(i + 1).forEach((b) => add(tier(a), tier(b), way, tell(a, b))));
  };
  const onSegment = group(networks, (n) => n.segment);
  onSegment.forEach((of, segment) => pairs(of, tierOfNetwork, "segment", (a, b) => ({ what: segment, networks: [a, b] })));
  for (const e of endpoints) { const n = byName.get(e.network); if (n && tierOfEndpoint(e) !== tierOfNetwork(n)) add(tierOfEndpoint(e), tierOfNetwork(n), "segment", { what: n.segment ?? "", endpoints: [e] }) }
  for (const n of networks) for (const s of n.reaches.segments) pairs([n, ...(onSegment.get(s) ?? [])], tierOfNetwork, "reach", (a, b) => ({ what: s, networks: [a, b] }));
  group(endpoints, (e) => e.workload.id).forEach((of) => pairs(of, tierOfEndpoint, "workload", (a, b) => ({ what: a.workload.name, endpoints: [a, b] })));
  const ranges = networks.flatMap((n) => n.subnets.map((s) => ({ n, ...rangeOf(s.cidr) }))).sort((a, b) => a.family - b.family || (a.first < b.first ? -1 : a.first > b.first ? 1 : 0));
  let open: typeof ranges = [];
  for (const r of ranges) {
    open = open.filter((o) => o.family === r.family && o.last >= r.first);
    for (const o of open) add(tierOfNetwork(o.n), tierOfNetwork(r.n), "subnet", { what: "", networks: [o.n, r.n] });
    open.push(r);
  }
  const link = new Map(parents.filter((p) => p.id).map((p) => [p.id!, p.kind === "dummy" ? null : p.base ?? p.link]));
  group(networks, (n) => link.get(n.parent.id)).forEach((of, base) => pairs(of, tierOfNetwork, "parent", (a, b) => ({ what: base, networks: [a, b] })));
  const counts = new Map<string, number>();
  networks.forEach((n) => counts.set(tierOfNetwork(n), (counts.get(tierOfNetwork(n)) ?? 0) + 1));
  const tiers = [...new Set([...counts.keys(), ...endpoints.map(tierOfEndpoint)])].sort((x, y) => Number(x === bare) - Number(y === bare) || x.localeCompare(y));
  const by = group(all, (j) => `${j.a}\n${j.b}`);
  return { tiers, all, counts, of: (a, b) => by.get(a < b ? `${a}\n${b}` : `${b}\n${a}`) ?? [] };
}
