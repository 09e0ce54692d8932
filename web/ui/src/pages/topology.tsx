// The topology: one picture of what hangs on what, and who can reach whom.
import { hierarchy, tree } from "d3-hierarchy";
import { Component } from "preact";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { all, path as at } from "../api";
import { command, flags } from "../commands";
import { drift, driftOf } from "../drift";
import { changed, loadProblem, networks, parents } from "../live";
import { go, query, withQuery } from "../route";
import { labelKeys, look, tierKey, tierOf, tiers, untiered } from "../tiers";
import type { Endpoint } from "../types";
import { useWidth } from "../use";
import { plural, when } from "../words";
import { Empty, Head, Icon, Link, ProblemBox, Tier, Waiting, When } from "../parts/basics";
import { type Filter, type Kind, type Node, type Past, type Unfold, fits, fold, grow } from "./tree";

const rowHeight = 36;
const boxHeight = 28;
const rowsAtOnce = 120;
const pair = (text: string): [string, string] => { const i = text.indexOf("="); return i < 0 ? [text, ""] : [text.slice(0, i), text.slice(i + 1)] };

export function Topology() {
  const q = query.value;
  const filter: Filter = { text: q.get("q") ?? "", only: q.getAll("label").map(pair), not: q.getAll("not").map(pair) };
  const unfold = (["all", "none"].includes(q.get("unfold") ?? "") ? q.get("unfold") : "auto") as Unfold;
  const opened = new Set(q.getAll("open"));
  const closed = new Set(q.getAll("shut"));
  const endpoints = useEndpoints([...opened].filter((id) => id.startsWith("n:")).map((id) => id.slice(2)));
  const key = q.toString();
  const drawn = useMemo(() => {
    if (!networks.value || !parents.value) return null;
    const host = grow(networks.value, parents.value, filter, tierOf, endpoints, pastOf());
    return { host, isOpen: fold(host, unfold, opened, closed) };
  }, [networks.value, parents.value, key, endpoints, driftOf.value]);

  const toggle = (n: Node, isOpen: boolean) => {
    const without = (param: string) => q.getAll(param).filter((id) => id !== n.id);
    withQuery({ open: isOpen ? without("open") : [...without("open"), n.id], shut: isOpen ? [...without("shut"), n.id] : without("shut") });
  };
  const filtered = filter.text || filter.only.length || filter.not.length;
  const shown = networks.value?.filter((n) => fits(n, filter)) ?? [];
  return (
    <>
      <Head title="Topology" command={command("network", "ls", ...flags("--label", filter.only.map((l) => l.join("="))))}
        asked={{ method: "GET", path: `/v1/networks${filter.only.length ? `?${filter.only.map((l) => `label=${encodeURIComponent(l.join("="))}`).join("&")}` : ""}` }}>
        <button type="button" class="quiet" onClick={() => print()}><Icon name="print" />Print</button>
        <Link to="/networks/new" class="button primary"><Icon name="plus" />New network</Link>
      </Head>
      {loadProblem.value && !networks.value && <ProblemBox problem={loadProblem.value} />}
      {!drawn && !loadProblem.value && <Waiting lines={8} />}
      {drawn && networks.value!.length === 0 && !drawn.host.children.length && <Empty title="No network yet" command="bulkhead network create web --parent eth0.30 --label tier=web">The first one appears here, with the link that it hangs on.</Empty>}
      {drawn && (
        <>
          <Toolbar filter={filter} unfold={unfold} />
          <p class="summary" role="status">{filtered ? `${plural(shown.length, "network")} of ${networks.value!.length}` : plural(shown.length, "network")} with {plural(shown.reduce((s, n) => s + n.endpoints, 0), "endpoint")}, in {plural(new Set(shown.map((n) => tierOf(n.labels))).size, "tier")}</p>
          <Drift />
          {shown.length === 0 && filtered ? <Empty title="No network fits"><Link to="/">Show all of them</Link></Empty>
            : <Picture host={drawn.host} isOpen={drawn.isOpen} toggle={toggle} />}
          <Key />
        </>
      )}
    </>
  );
}

/** Of each network and parent, the newest that happened to it behind the daemon's back. */
function pastOf(): Past {
  const words = (all: typeof driftOf.value.networks) => new Map([...all].map(([name, events]) => [name, events.slice(0, 2).map((e) => `${when(e.at)}: ${e.text}`)]));
  return { networks: words(driftOf.value.networks), parents: words(driftOf.value.parents) };
}

/** What changed behind the daemon's back in the last hour, and what became of it. */
function Drift() {
  const all = drift.value;
  if (all.length === 0) return null;
  return (
    <details class="drift"><summary><Icon name="warn" />{plural(all.length, "event")} of drift in the last hour; the newest: {all[0]!.text}</summary>
      <ul>{all.slice(0, 12).map((e) => <li key={e.seq}><When at={e.at} /> <span class="mono">{e.kind}</span> {e.text}</li>)}</ul><Link to="/events">All events</Link></details>
  );
}

/** Endpoints of the networks that are unfolded. */
function useEndpoints(names: string[]): Map<string, Endpoint[] | null> {
  const [got, set] = useState(new Map<string, Endpoint[] | null>());
  useEffect(() => {
    const stop = new AbortController();
    Promise.all(names.map(async (name) => [name, await all<Endpoint>(at`/v1/networks/${name}/endpoints`, 50, stop.signal).catch(() => null)] as const))
      .then((pairs) => { if (!stop.signal.aborted) set(new Map(pairs)) });
    return () => stop.abort();
  }, [names.join(" "), changed.value]);
  return got;
}

function Toolbar({ filter, unfold }: { filter: Filter; unfold: Unfold }) {
  const [text, setText] = useState(filter.text);
  useEffect(() => { const t = setTimeout(() => { if (text !== filter.text) withQuery({ q: text }) }, 150); return () => clearTimeout(t) }, [text]);
  const values = tiers.value;
  const is = (list: [string, string][], value: string) => list.some(([k, v]) => k === tierKey.value && v === value);
  const cycle = (value: string) => {
    const rest = (list: [string, string][]) => list.filter(([k, v]) => !(k === tierKey.value && v === value)).map((l) => l.join("="));
    const word = `${tierKey.value}=${value}`;
    if (is(filter.only, value)) withQuery({ label: rest(filter.only), not: [...rest(filter.not), word] });
    else if (is(filter.not, value)) withQuery({ not: rest(filter.not) });
    else withQuery({ label: [...rest(filter.only).filter((l) => !l.startsWith(`${tierKey.value}=`)), word] });
  };
  const others = (list: [string, string][], param: string) => list.filter(([k]) => k !== tierKey.value).map(([k, v]) => (
    <button type="button" key={param + k + v} class="chip" aria-pressed="true" onClick={() => withQuery({ [param]: query.value.getAll(param).filter((l) => l !== `${k}=${v}`) })}>{param === "not" ? "not " : ""}{k}={v} ×</button>
  ));
  return (
    <div class="toolbar" role="search">
      <label class="sr" for="topology-filter">Filter networks</label>
      <input id="topology-filter" type="search" placeholder="Name, subnet, tier=x, !tier=x" title="Words filter at once. key=value and Enter: only these. !key=value and Enter: all but these." value={text} onInput={(e) => setText(e.currentTarget.value)}
        onKeyDown={(e) => { const t = e.currentTarget.value; if (e.key === "Enter" && t.includes("=")) { const no = t.startsWith("!") || t.startsWith("-"); withQuery({ q: null, [no ? "not" : "label"]: [...query.value.getAll(no ? "not" : "label"), no ? t.slice(1) : t] }); setText("") } }} />
      <div class="chips" role="group" aria-label="Tiers: press once for only this one, twice to leave it out">
        {values.map((v) => <button type="button" key={v} class={`chip t${look(v)}${is(filter.not, v) ? " not" : ""}`} aria-pressed={is(filter.only, v) || is(filter.not, v)} aria-label={`${v}${is(filter.only, v) ? ", only this" : is(filter.not, v) ? ", left out" : ""}`} title="Once: only this tier. Twice: all but this. A third time: as before." onClick={() => cycle(v)}><i aria-hidden="true" />{v}</button>)}
        {others(filter.only, "label")}{others(filter.not, "not")}
      </div>
      <label class="inline">Colour by <select value={tierKey.value} onChange={(e) => withQuery({ by: e.currentTarget.value === "tier" ? null : e.currentTarget.value })}>{[...new Set(["tier", ...labelKeys.value, tierKey.value])].map((k) => <option key={k}>{k}</option>)}</select></label>
      <label class="inline">Unfold <select value={unfold} onChange={(e) => withQuery({ unfold: e.currentTarget.value === "auto" ? null : e.currentTarget.value, open: null, shut: null })}><option value="auto">as fits</option><option value="all">all</option><option value="none">nothing</option></select></label>
    </div>
  );
}

interface Placed { node: Node; x: number; y: number; width: number; level: number; isOpen: boolean; from: Placed | null }

/** Where everything is: columns by kind where there is room, else an indented list. */
function place(host: Node, isOpen: (n: Node) => boolean, width: number): { all: Placed[]; height: number } {
  const root = hierarchy(host, (n) => (isOpen(n) ? n.children : []));
  const isNarrow = width < 720;
  const all: Placed[] = [];
  const placed = new Map<Node, Placed>();
  if (isNarrow) {
    root.eachBefore((d) => {
      const x = d.depth * 14;
      const p = { node: d.data, x, y: all.length * rowHeight + rowHeight / 2, width: width - x - 1, level: d.depth + 1, isOpen: !!d.children, from: d.parent ? placed.get(d.parent.data) ?? null : null };
      placed.set(d.data, p);
      all.push(p);
    });
    return { all, height: all.length * rowHeight + 4 };
  }
  const hasEndpoints = root.leaves().some((d) => d.data.kind === "endpoint");
  const hasGroups = root.descendants().some((d) => d.data.kind === "group");
  const hasNetworks = root.descendants().some((d) => d.data.kind === "network");
  // The columns that there are share the width, the last ones most of it.
  const shares: [Kind, number][] = [["host", 0.5], ["parent", 1], ...(hasGroups ? [["group", 1.3] as [Kind, number]] : []), ["segment", 1.5], ...(hasNetworks ? [["network", 2.6] as [Kind, number]] : []), ...(hasEndpoints ? [["endpoint", 1.7] as [Kind, number]] : [])];
  const total = shares.reduce((sum, [, share]) => sum + share, 0);
  const gap = root.descendants().some((d) => d.data.network?.reaches.every_vlan_of) ? 48 : 26;
  const unit = Math.min(hasNetworks ? 250 : 330, (width - gap * (shares.length - 1) - 2) / total);
  const columns = new Map<Kind, { x: number; width: number }>();
  let x = 1;
  for (const [kind, share] of shares) { columns.set(kind, { x, width: unit * share }); x += unit * share + gap }
  const { x: endX, width: endWidth } = columns.get("endpoint") ?? columns.get("network") ?? columns.get("segment")!;
  columns.set("more", { x: endX, width: endWidth });
  tree<Node>().nodeSize([rowHeight, 1]).separation(() => 1)(root);
  let top = Infinity, bottom = -Infinity;
  root.each((d) => { top = Math.min(top, d.x!); bottom = Math.max(bottom, d.x!) });
  root.eachBefore((d) => {
    const column = columns.get(d.data.kind)!;
    const p = { node: d.data, x: column.x, y: d.x! - top + rowHeight / 2, width: column.width, level: d.depth + 1, isOpen: !!d.children, from: d.parent ? placed.get(d.parent.data) ?? null : null };
    placed.set(d.data, p);
    all.push(p);
  });
  return { all, height: bottom - top + rowHeight + 4 };
}

function Picture({ host, isOpen, toggle }: { host: Node; isOpen: (n: Node) => boolean; toggle: (n: Node, isOpen: boolean) => void }) {
  const [ref, width] = useWidth<HTMLDivElement>();
  const [focused, setFocused] = useState("host");
  const svg = useRef<SVGSVGElement>(null);
  const { all, height } = useMemo(() => place(host, isOpen, Math.max(300, width || 1000)), [host, isOpen, width]);
  const current = all.some((p) => p.node.id === focused) ? focused : "host";
  const move = (id: string | undefined) => {
    if (!id) return;
    setFocused(id);
    svg.current?.querySelector<SVGGElement>(`[data-id="${CSS.escape(id)}"]`)?.focus();
  };
  const idAt = (e: UIEvent) => (e.target as Element).closest<SVGGElement>("[data-id]")?.dataset.id;
  const onClick = (e: MouseEvent) => {
    const id = idAt(e);
    const p = all.find((q) => q.node.id === id);
    if (!p) return;
    const { node: n } = p;
    const isTwist = !!(e.target as Element).closest(".twist");
    if (!isTwist && n.to && n.kind !== "parent" && n.kind !== "segment") go(n.to);
    else if (canToggle(n)) toggle(n, p.isOpen);
    else if (n.to) go(n.to);
  };
  const onKeyDown = (e: KeyboardEvent) => {
    const i = all.findIndex((p) => p.node.id === current);
    const p = all[i];
    if (!p || e.altKey || e.ctrlKey || e.metaKey) return;
    const act: Record<string, () => void> = {
      ArrowDown: () => move(all[i + 1]?.node.id), ArrowUp: () => move(all[i - 1]?.node.id), Home: () => move(all[0]?.node.id), End: () => move(all.at(-1)?.node.id),
      ArrowRight: () => { if (p.isOpen) move(all[i + 1]?.node.id); else if (canToggle(p.node)) toggle(p.node, false) },
      ArrowLeft: () => { if (p.isOpen && p.node.kind !== "host") toggle(p.node, true); else move(p.from?.node.id) },
      Enter: () => { if (p.node.to) go(p.node.to); else toggle(p.node, p.isOpen) }, " ": () => toggle(p.node, p.isOpen),
    };
    if (act[e.key]) { e.preventDefault(); act[e.key]!() }
  };
  const reaches = useMemo(() => reached(host, all), [host, all]);
  // Hundreds of rows are drawn a few screens at a time, so that the first is there at once.
  const [drawn, setDrawn] = useState(rowsAtOnce);
  useEffect(() => {
    if (drawn >= all.length) return;
    const next = requestAnimationFrame(() => setDrawn(drawn + rowsAtOnce));
    return () => cancelAnimationFrame(next);
  }, [drawn, all.length]);
  const rows = drawn < all.length ? all.slice(0, drawn) : all;
  const isNarrow = width < 720;
  return (
    <div class="picture" ref={ref}>
      {width > 0 && (
        <svg ref={svg} width={width} height={height} viewBox={`0 0 ${width} ${height}`} role="tree" aria-label="Host, parents, segments, networks and endpoints" onKeyDown={onKeyDown} onClick={onClick} onFocusCapture={(e) => { const id = idAt(e); if (id) setFocused(id) }}>
          <Patterns />
          <g class="links" aria-hidden="true">{rows.map((p) => p.from && <path key={p.node.id} d={isNarrow ? `M${p.from.x + 6} ${p.from.y + boxHeight / 2}V${p.y}H${p.x}` : curve(p.from.x + p.from.width, p.from.y, p.x, p.y)} />)}</g>
          {rows.map((p) => <Box key={p.node.id} placed={p} room={width - p.x - p.width - 16} tabIndex={p.node.id === current ? 0 : -1} />)}
          <g class="reaches" aria-hidden="true">{reaches.map(([a, b]) => <path key={a.node.id + b.node.id} marker-end="url(#arrow)" d={a.x > b.x + b.width ? `M${a.x + 2} ${a.y + 8}C${a.x - 34} ${a.y + 8} ${b.x + b.width + 30} ${b.y + 8} ${b.x + b.width + 3} ${b.y + 8}` : `M${a.x + a.width} ${a.y + 8}C${a.x + a.width + 44} ${a.y + 8} ${b.x + b.width + 44} ${b.y + 8} ${b.x + b.width + 3} ${b.y + 8}`} />)}</g>
        </svg>
      )}
    </div>
  );
}

/** Who reaches whom, between the nodes that are shown: where something is folded, from the fold. */
function reached(host: Node, all: Placed[]): [Placed, Placed][] {
  const placed = new Map(all.map((p) => [p.node, p]));
  const from: [Placed, string[]][] = [];
  const segments = new Map<string, Placed>();
  const walk = (n: Node, above: Placed) => {
    const here = placed.get(n) ?? above;
    if (n.kind === "segment" && n.parent?.segment) segments.set(n.parent.segment, here);
    if (n.network?.reaches.every_vlan_of) from.push([here, n.network.reaches.segments]);
    n.children.forEach((c) => walk(c, here));
  };
  const root = placed.get(host);
  if (root) walk(host, root);
  const out = new Map<string, [Placed, Placed]>();
  for (const [a, names] of from) {
    for (const name of names) {
      const b = segments.get(name);
      if (b && b !== a && b !== a.from) out.set(`${a.node.id} ${b.node.id}`, [a, b]);
    }
  }
  return [...out.values()];
}

const curve = (x1: number, y1: number, x2: number, y2: number): string => { const m = (x1 + x2) / 2; return `M${x1} ${y1}C${m} ${y1} ${m} ${y2} ${x2} ${y2}` };
type Font = "name" | "note" | "count";
/** One for each font: to set it takes longer than to measure. */
const pens = new Map<Font, CanvasRenderingContext2D | null>();
function pen(font: Font): CanvasRenderingContext2D | null {
  let found = pens.get(font);
  if (found === undefined) {
    found = document.createElement("canvas").getContext("2d");
    const style = getComputedStyle(document.documentElement);
    if (found) found.font = font === "note" ? `11.5px ${style.getPropertyValue("--mono")}` : `${font === "name" ? "600 13px" : "12px"} ${style.fontFamily}`;
    pens.set(font, found);
  }
  return found;
}
const widths = new Map<string, number>();
/** How wide a text is drawn, in pixels: asked of the browser once for each text. */
function measure(text: string, font: Font): number {
  const key = font + text;
  let width = widths.get(key);
  if (width === undefined) {
    width = pen(font)?.measureText(text).width ?? text.length * 8;
    if (widths.size > 20_000) widths.clear();
    widths.set(key, width);
  }
  return width;
}
/** As much of a text as fits into so many pixels. */
function cut(text: string, px: number, font: "name" | "note"): string {
  if (measure(text, font) <= px) return text;
  let n = Math.max(0, Math.floor((text.length * px) / measure(text, font)));
  while (n > 0 && measure(`${text.slice(0, n)}…`, font) > px) n--;
  return n < 2 ? "" : `${text.slice(0, n)}…`;
}

const canToggle = (n: Node) => n.children.length > 0 || (n.kind === "network" && n.endpoints > 0);

interface BoxProps { placed: Placed; room: number; tabIndex: number }
/** Drawn anew only where it has changed: there may be hundreds of them, and each step by the keys changes two. */
class Box extends Component<BoxProps> {
  override shouldComponentUpdate(next: BoxProps): boolean { return next.placed !== this.props.placed || next.tabIndex !== this.props.tabIndex || next.room !== this.props.room }
  render() { return drawBox(this.props) }
}

function drawBox({ placed: { node: n, x, y, width, level, isOpen }, room, tabIndex }: BoxProps) {
  const isTwisty = canToggle(n);
  const tier = n.tiers.size === 1 && n.kind !== "host" ? [...n.tiers.keys()][0]! : null;
  const shield = n.parent?.shield && (n.kind === "segment" || (n.kind === "parent" && !n.children.length)) ? n.parent.shield : null;
  const counts = n.kind === "host" || n.kind === "endpoint" || n.kind === "more" || (n.kind === "parent" && !n.networks) ? "" : n.kind === "network" ? String(n.endpoints || "") : isOpen ? "" : `${n.networks} ${n.networks === 1 ? "network" : "networks"}${n.endpoints ? ` · ${plural(n.endpoints, "endpoint")}` : ""}`;
  const dots = n.kind === "network" && width > 330 ? Math.min(n.endpoints, Math.floor((width * 0.3) / 6) * 2) : 0;
  const dotsWidth = Math.ceil(dots / 2) * 6;
  let right = x + width - 8;
  if (isTwisty && n.kind !== "host") right -= 16;
  const countX = right;
  if (counts) right -= measure(counts, "count") + 8;
  const dotsX = right - dotsWidth;
  right -= dotsWidth + (dots ? 6 : 0);
  const shieldX = right - 12;
  if (shield) right -= 18;
  // A fold hides nothing that is wrong: the node that is folded has it, with how many there are.
  const wrongs = n.wrong.length ? n.wrong : !isOpen && n.wrongBelow ? [`${plural(n.wrongBelow, "thing")} below it not as ${n.wrongBelow === 1 ? "it" : "they"} should be`] : [];
  const past = n.past.length ? n.past : !isOpen && n.pastBelow ? [`${plural(n.pastBelow, "thing")} below it changed behind the daemon's back`] : [];
  const mark = wrongs.length ? "wrong" : past.length ? "past" : "";
  const markCount = !isOpen && n.kind !== "network" && n.kind !== "endpoint" ? (mark === "wrong" ? n.wrongBelow + Number(n.wrong.length > 0) : n.pastBelow + Number(n.past.length > 0)) : 0;
  const markText = mark && markCount > 1 ? String(markCount) : "";
  if (markText) right -= measure(markText, "count") + 4;
  const warnX = right - 12;
  if (mark) right -= 18;
  const name = cut(n.name, right - x - 18, "name");
  const noteX = x + 18 + measure(name, "name") + 9;
  const note = right - noteX > 50 ? cut(n.note, right - noteX, "note") : "";
  // What is folded, as a crowd of networks beside it, where nothing else is drawn.
  const crowd = !isOpen && (n.kind === "group" || n.kind === "segment") && room > 60
    ? Array.from({ length: Math.min(n.networks, Math.floor(room / 7) * 3) }, (_, i) => `M${x + width + 12 + Math.floor(i / 3) * 7} ${y - 9 + (i % 3) * 7}h5v5h-5z`).join("") : "";
  const words = [n.kind === "segment" ? `${n.name}${n.note ? ` (${n.note})` : ""}` : `${n.kind === "network" ? "network " : ""}${n.name}`, tier && tier !== untiered ? `tier ${tier}` : "", n.kind === "network" ? plural(n.endpoints, "endpoint") : n.networks ? `${plural(n.networks, "network")}, ${plural(n.endpoints, "endpoint")}` : n.note, shield ? `shield ${shield.state}` : "", ...wrongs, ...past].filter(Boolean).join(", ");
  return (
    <g role="treeitem" data-id={n.id} class={`node ${n.kind}${tier ? ` t${look(tier)}` : ""}${wrongs.length ? " wrong" : ""}`} aria-level={level} {...(isTwisty ? { "aria-expanded": isOpen } : {})} tabindex={tabIndex}>
      <title>{words}</title>
      <rect class="box" x={x} y={y - boxHeight / 2} width={width} height={boxHeight} rx="6" />
      {tier ? <><rect class="band" x={x + 5} y={y - 9} width="6" height="18" rx="2" /><rect class="weave" x={x + 5} y={y - 9} width="6" height="18" rx="2" fill={`url(#p${look(tier)})`} /></>
        : n.tiers.size > 1 && n.kind !== "host" && <Bands tiers={n.tiers} x={x + 5} y={y - 9} />}
      <text x={x + (n.kind === "host" ? 12 : 18)} y={y + 4.500} class="name">{name}</text>
      {note && <text x={noteX} y={y + 4.500} class="note">{note}</text>}
      {mark && <path class={`mark ${mark}`} d="M7 1 14 13H0Z" transform={`translate(${warnX} ${y - 7})`} />}
      {mark && <path class="mark-in" d="M7 5.500v3.500M7 10.800v.6" transform={`translate(${warnX} ${y - 7})`} />}
      {markText && <text x={warnX + 16} y={y + 4} class="count">{markText}</text>}
      {shield && <path class={`shield ${shield.state}`} d="M6 .5 11 2.300V6.500C11 9.500 8.800 11.600 6 12.700 3.200 11.600 1 9.500 1 6.500V2.300Z" transform={`translate(${shieldX} ${y - 6.500})`} />}
      {dots > 0 && <path class="dots" d={Array.from({ length: dots }, (_, i) => `M${dotsX + Math.floor(i / 2) * 6} ${y - 5 + (i % 2) * 6}h4v4h-4z`).join("")} />}
      {counts && <text x={countX} y={y + 4} class="count" text-anchor="end">{counts}</text>}
      {crowd && <path class="dots crowd" d={crowd} />}
      {isTwisty && n.kind !== "host" && (
        <g class="twist">
          <rect x={x + width - 22} y={y - boxHeight / 2} width="22" height={boxHeight} />
          <path d={isOpen ? "M0 -2 4 2 8 -2" : "M2 -4 6 0 2 4"} transform={`translate(${x + width - 15} ${y})`} />
        </g>
      )}
    </g>
  );
}

/** Several tiers below one node: each as much of the band as it has networks. */
function Bands({ tiers: of, x, y }: { tiers: Map<string, number>; x: number; y: number }) {
  const total = [...of.values()].reduce((a, b) => a + b, 0);
  let from = y;
  return <>{[...of].sort(([a], [b]) => a.localeCompare(b)).map(([tier, n]) => {
    const height = (n / total) * 18;
    const part = <g class={`t${look(tier)}`} key={tier}><rect class="band" x={x} y={from} width="6" height={height} /><rect x={x} y={from} width="6" height={height} fill={`url(#p${look(tier)})`} /></g>;
    from += height;
    return part;
  })}</>;
}

/** Patterns, so that tiers differ without colour, too. */
const Patterns = () => (
  <defs>
    <marker id="arrow" viewBox="0 0 6 6" refX="5" refY="3" markerWidth="6" markerHeight="6" orient="auto"><path class="arrow" d="M0 0 6 3 0 6Z" /></marker>
    {["", "", "M0 6 6 0", "M0 0 6 6", "M0 1.500h6M0 4.500h6", "M1.500 0v6M4.500 0v6", "M3 3h.1", "M0 3h6M3 0v6", "M0 0 6 6M0 6 6 0"].map((d, i) => (
      <pattern key={i} id={`p${i}`} width="6" height="6" patternUnits="userSpaceOnUse"><path d={d || "M0 0"} class={i === 6 ? "weave-dot" : "weave-line"} /></pattern>
    ))}
  </defs>
);

const Key = () => (
  <ul class="key">
    {tiers.value.map((t) => <li key={t}><Tier name={t} /></li>)}
    <li><Tier name={untiered} /></li>
    <li><svg class="icon-key" viewBox="0 0 12 13" aria-hidden="true"><path class="shield up" d="M6 .5 11 2.300V6.500C11 9.500 8.800 11.600 6 12.700 3.200 11.600 1 9.500 1 6.500V2.300Z" /></svg>shield up</li>
    <li><svg class="icon-key" viewBox="0 0 12 13" aria-hidden="true"><path class="shield down" d="M6 .5 11 2.300V6.500C11 9.500 8.800 11.600 6 12.700 3.200 11.600 1 9.500 1 6.500V2.300Z" /></svg>down, off or bypassed</li>
    <li><svg class="icon-key" viewBox="0 0 14 13" aria-hidden="true"><path class="mark" d="M7 1 14 13H0Z" /></svg>not as it should be, or reaches further</li>
    <li><svg class="icon-key" viewBox="0 0 14 13" aria-hidden="true"><path class="mark past" d="M7 1 14 13H0Z" /></svg>drifted in the last hour</li>
    <li><svg class="icon-key" viewBox="0 0 14 13" aria-hidden="true"><path class="dots" d="M0 1h5v5h-5zM7 1h5v5h-5zM0 8h5v5h-5z" /></svg>folded: one for each network; in a network: each endpoint</li>
    <li><span class="dash" aria-hidden="true" />reaches</li>
  </ul>
);
