// The addresses of a subnet as a picture: a grid up to /22, ranges above, a list of those in use for IPv6.
import { useMemo, useRef, useState } from "preact/hooks";
import { path } from "../api";
import { go } from "../route";
import type { SubnetAddresses } from "../types";
import { useWidth } from "../use";
import { plural } from "../words";
import { Link, State, When, useMore } from "./basics";

type Kind = "free" | "next" | "named" | "used" | "reserved" | "gateway" | "held" | "edge";
const names: Record<Kind, string> = {
  free: "free", next: "handed out next", named: "free, by name only", used: "in use", reserved: "reserved", gateway: "gateway", held: "held back", edge: "not usable",
};

const v4 = (address: string): number => address.split(".").reduce((n, part) => n * 256 + Number(part), 0);
const text = (n: number): string => [24, 16, 8, 0].map((bits) => Math.floor(n / 2 ** bits) % 256).join(".");
const bounds = (cidr: string): [number, number] => {
  const [address, bits] = cidr.split("/") as [string, string];
  const size = 2 ** (32 - Number(bits));
  const first = Math.floor(v4(address) / size) * size;
  return [first, first + size - 1];
};

export function AddressMap({ network, subnet }: { network: string; subnet: SubnetAddresses }) {
  const isV4 = !subnet.cidr.includes(":");
  const bits = Number(subnet.cidr.split("/")[1]);
  return (
    <div class="subnet">
      <div class="subnet-head">
        <h3 class="mono">{subnet.cidr}</h3>
        <p>{plural(subnet.used.length, "address in use", "addresses in use")} · {left(subnet.addresses_left)} left{subnet.ip_range && <> of <span class="mono">{subnet.ip_range}</span></>}{subnet.gateway && <> · gateway <span class="mono">{subnet.gateway}</span></>}{subnet.held_back.length > 0 && <> · {subnet.held_back.length} held back</>}</p>
      </div>
      {isV4 && bits >= 22 ? <Grid network={network} subnet={subnet} /> : isV4 ? <Ranges subnet={subnet} /> : null}
      {(!isV4 || bits < 22) && <Used network={network} subnet={subnet} />}
    </div>
  );
}

/** Numbers beyond what anybody counts are told by their power of two. */
function left(count: string): string {
  const n = BigInt(count);
  return n < 1_000_000n ? n.toLocaleString("en") : `about 2^${n.toString(2).length - 1}`;
}

function Grid({ network, subnet }: { network: string; subnet: SubnetAddresses }) {
  const [ref, width] = useWidth<HTMLDivElement>();
  const [first, last] = bounds(subnet.cidr);
  const columns = width && width < 620 ? 16 : 32;
  const [at, setAt] = useState<number | null>(null);
  const grid = useRef<HTMLDivElement>(null);
  const kinds = useMemo(() => kindsOf(subnet), [subnet]);
  const used = useMemo(() => new Map(subnet.used.map((u) => [u.address, u])), [subnet]);
  const count = last - first + 1;
  const focus = (n: number) => { setAt(n); grid.current?.querySelector<HTMLElement>(`[data-n="${n}"]`)?.focus() };
  const open = (n: number) => {
    const of = used.get(text(first + n));
    const kind = kinds[n];
    if (of) go(path`/networks/${network}/endpoints/${of.endpoint}`);
    else if (kind === "free" || kind === "next" || kind === "named") go(path`/networks/${network}/attach?address=${text(first + n)}`);
  };
  const onKeyDown = (e: KeyboardEvent) => {
    const now = at ?? 0;
    const moves: Record<string, number> = { ArrowRight: now + 1, ArrowLeft: now - 1, ArrowDown: now + columns, ArrowUp: now - columns, Home: now - (now % columns), End: now - (now % columns) + columns - 1, PageDown: now + 8 * columns, PageUp: now - 8 * columns };
    const to = moves[e.key];
    if (to !== undefined) { e.preventDefault(); focus(Math.max(0, Math.min(count - 1, to))) }
    if (e.key === "Enter" || e.key === " ") { e.preventDefault(); open(now) }
  };
  const rows = Array.from({ length: Math.ceil(count / columns) }, (_, r) => r);
  const shown = new Set(kinds);
  return (
    <div ref={ref}>
      <div class={`grid c${columns}`} role="grid" aria-label={`Addresses of ${subnet.cidr}`} ref={grid} onKeyDown={onKeyDown} onMouseLeave={() => setAt(null)}>
        {rows.map((r) => (
          <div role="row" key={r}>
            <span role="rowheader" class="mono">{count > columns ? `.${(first + r * columns) % 256}` : ""}<span class="sr">{text(first + r * columns)}</span></span>
            {Array.from({ length: Math.min(columns, count - r * columns) }, (_, c) => {
              const n = r * columns + c;
              const kind = kinds[n] ?? "free";
              const who = used.get(text(first + n));
              return <span key={n} role="gridcell" data-n={n} class={`cell ${kind}${who && who.state !== "attached" ? " busy" : ""}`} tabIndex={n === (at ?? 0) ? 0 : -1}
                aria-label={`${text(first + n)} ${names[kind]}${who ? ` by ${who.name ?? who.workload}` : ""}`} onMouseEnter={() => setAt(n)} onFocus={() => setAt(n)} onClick={() => open(n)} />;
            })}
          </div>
        ))}
      </div>
      <div class="map-foot">
        <p class="told" role="status">{at === null ? <span class="dim">Point at an address, or walk with the arrow keys.</span> : <Told subnet={subnet} address={text(first + at)} kind={kinds[at] ?? "free"} network={network} />}</p>
        <ul class="legend">{(Object.keys(names) as Kind[]).filter((k) => shown.has(k)).map((k) => <li key={k}><i class={`cell ${k}`} />{names[k]}</li>)}</ul>
      </div>
    </div>
  );
}

function Told({ subnet, address, kind, network }: { subnet: SubnetAddresses; address: string; kind: Kind; network: string }) {
  const used = subnet.used.find((u) => u.address === address);
  const held = subnet.held_back.find((h) => h.address === address);
  const reserved = Object.entries(subnet.reserved).find(([, a]) => a === address);
  return (
    <>
      <b class="mono">{address}</b>{" "}
      {used ? <><Link to={path`/networks/${network}/endpoints/${used.endpoint}`}>{used.name ?? used.workload}</Link> {used.state !== "attached" && <State is={used.state} />} since <When at={used.since} />, by <Link to={`/decisions/${used.decision}`}>decision {used.decision}</Link></>
        : held ? <>held back until {new Date(held.until).toLocaleTimeString("en")}: it was freed a short while ago</>
        : reserved ? <>reserved for {reserved[0]}</>
        : kind === "edge" ? <>not usable: the subnet's own or its broadcast address</>
        : kind === "named" ? <>free, outside of {subnet.ip_range}: only for who names it</>
        : <>{names[kind]}</>}
    </>
  );
}

function kindsOf(subnet: SubnetAddresses): Kind[] {
  const [first, last] = bounds(subnet.cidr);
  const kinds: Kind[] = Array.from({ length: last - first + 1 }, () => "edge");
  const set = (address: string, kind: Kind) => { const n = v4(address) - first; if (n >= 0 && n < kinds.length) kinds[n] = kind };
  const [from, to] = subnet.ip_range ? bounds(subnet.ip_range) : [first, last];
  for (const range of subnet.free) {
    for (let n = v4(range.first); n <= v4(range.last); n++) kinds[n - first] = n >= from && n <= to ? "free" : "named";
  }
  Object.values(subnet.reserved).forEach((a) => set(a, "reserved"));
  if (subnet.gateway) set(subnet.gateway, "gateway");
  subnet.held_back.forEach((h) => set(h.address, "held"));
  subnet.used.forEach((u) => set(u.address, "used"));
  if (subnet.next) set(subnet.next, "next");
  return kinds;
}

/** A large subnet as stretches of one kind, in the order of addresses. */
function Ranges({ subnet }: { subnet: SubnetAddresses }) {
  const [first, last] = bounds(subnet.cidr);
  const size = last - first + 1;
  const all = [
    ...subnet.free.map((r) => ({ kind: "free" as Kind, from: v4(r.first), to: v4(r.last) })),
    ...stretches(subnet.used.map((u) => v4(u.address))).map(([from, to]) => ({ kind: "used" as Kind, from, to })),
    ...subnet.held_back.map((h) => ({ kind: "held" as Kind, from: v4(h.address), to: v4(h.address) })),
    ...Object.values(subnet.reserved).map((a) => ({ kind: "reserved" as Kind, from: v4(a), to: v4(a) })),
    ...(subnet.gateway ? [{ kind: "gateway" as Kind, from: v4(subnet.gateway), to: v4(subnet.gateway) }] : []),
  ].sort((a, b) => a.from - b.from);
  const [rows, more] = useMore(all, 40);
  return (
    <>
      <svg class="bar" viewBox="0 0 1000 18" preserveAspectRatio="none" role="img" aria-label={`${subnet.used.length} of ${size} addresses in use`}>
        {all.map((s) => <rect key={s.from} class={`bar-${s.kind}`} x={((s.from - first) / size) * 1000} width={Math.max(1.5, ((s.to - s.from + 1) / size) * 1000)} y="0" height="18" />)}
      </svg>
      <table class="compact"><thead><tr><th>Addresses</th><th class="num">How many</th><th>What</th></tr></thead>
        <tbody>{rows.map((s) => <tr key={s.from}><td class="mono">{text(s.from)}{s.to > s.from && <> – {text(s.to)}</>}</td><td class="num">{(s.to - s.from + 1).toLocaleString("en")}</td><td><i class={`cell ${s.kind}`} /> {names[s.kind]}</td></tr>)}</tbody></table>
      {more}
    </>
  );
}

function stretches(all: number[]): [number, number][] {
  const out: [number, number][] = [];
  for (const n of all.sort((a, b) => a - b)) {
    const last = out.at(-1);
    if (last && last[1] === n - 1) last[1] = n;
    else out.push([n, n]);
  }
  return out;
}

function Used({ network, subnet }: { network: string; subnet: SubnetAddresses }) {
  const [rows, more] = useMore(subnet.used, 100);
  if (subnet.used.length === 0) return <p class="dim">None is in use.{subnet.next && <> The next attach gets <span class="mono">{subnet.next}</span>.</>}</p>;
  return (
    <>
      <table class="compact"><thead><tr><th>Address</th><th>Endpoint</th><th>Since</th><th>Decision</th></tr></thead>
        <tbody>{rows.map((u) => <tr key={u.address}><td class="mono">{u.address}</td><td><Link to={path`/networks/${network}/endpoints/${u.endpoint}`}>{u.name ?? u.workload}</Link></td><td><When at={u.since} /></td><td><Link to={`/decisions/${u.decision}`}>{u.decision}</Link></td></tr>)}</tbody></table>
      {more}
    </>
  );
}
