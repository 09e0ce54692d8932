// The forms that make something: a network, an endpoint. What would come of it appears while one types, and all that was typed is in
// the address.
import { useState } from "preact/hooks";
import { ask, path as at } from "../api";
import { command, flags, labelFlags } from "../commands";
import { labelsIn, wordsOf } from "../labels";
import { loadProblem, lookNow, networks, parents } from "../live";
import { go, query, withQuery } from "../route";
import { tierOf } from "../tiers";
import type { Endpoint, Fault, Network, Page, Parent, SubnetAddresses } from "../types";
import { useDo, useDryRun, useGet } from "../use";
import { makes } from "../words";
import { Head, Icon, Link, ProblemBox, State, Tier, Waiting, useMore } from "../parts/basics";
import { Check, Choice, DryRunBox, LabelsField, Text, faultsAt } from "../parts/form";

const some = <T extends object>(o: T): Partial<T> => Object.fromEntries(Object.entries(o).filter(([, v]) => v !== "" && v !== undefined && v !== null && !(typeof v === "object" && Object.keys(v).length === 0))) as Partial<T>;

/** What reservations are typed as: `router=192.168.1.5`. */
const reserved = (text: string): Record<string, string> => labelsIn(text.split(/[\s,]+/));

export function CreateNetwork() {
  const q = query.value;
  const value = (key: string) => q.get(key) ?? "";
  const subnets = q.getAll("subnet");
  const body = some({
    name: value("name"), parent: value("internal") ? "" : value("parent"), mode: value("mode"), flag: value("flag"), internal: value("internal") ? true : undefined,
    ipv6: value("ipv6") ? true : undefined, accept_ra: value("accept_ra") ? true : undefined, mtu: value("mtu") ? Number(value("mtu")) : undefined, gateway: value("gateway"), shield: value("shield"),
    subnets: subnets.filter(Boolean).map((cidr, i) => some({ cidr, ip_range: i === 0 ? value("ip_range") : "", reserved: i === 0 ? reserved(value("reserved")) : {} })),
    labels: labelsIn(q.getAll("label")),
  });
  const asked = { method: "POST", path: `/v1/networks${value("reason") ? `?reason=${encodeURIComponent(value("reason"))}` : ""}`, body };
  const isBegun = Object.keys(body).length > 0;
  const dry = useDryRun(body.name ? asked : null);
  const { busy, problem, run } = useDo();
  const [isMore, setMore] = useState(["mode", "flag", "mtu", "gateway", "ip_range", "reserved", "shield", "ipv6", "accept_ra"].some((k) => value(k)));
  const faults: Fault[] = [...(dry.problem?.faults ?? []), ...(problem?.faults ?? [])];
  const isDenied = dry.run?.decision.verdict === "denied";
  const create = () => run(async () => {
    const made = await ask<Network>("POST", asked.path, body);
    await lookNow();
    go(at`/networks/${made.name}`);
  });
  const label = busy ? "Creating…" : !dry.run ? "Create network" : dry.run.already ? "It is there already" : isDenied ? "Ask anyway: it will be denied" : `Create ${makes(dry.run.plan.steps, "1 network")}`;
  return (
    <>
      <Head title="New network" above={<><Link to="/networks">Networks</Link> /</>} asked={asked}
        command={command("network", "create", value("name") || "NAME", ...flags("--parent", [body.parent ?? ""].filter(Boolean)), ...flags("--subnet", subnets.filter(Boolean)), ...flags("--mode", [value("mode")].filter(Boolean)), ...flags("--flag", [value("flag")].filter(Boolean)), ...flags("--mtu", [value("mtu")].filter(Boolean)), ...flags("--gateway", [value("gateway")].filter(Boolean)), ...flags("--ip-range", [value("ip_range")].filter(Boolean)), ...flags("--reserve", wordsOf(reserved(value("reserved")))), value("internal") && "--internal", value("ipv6") && "--ipv6", value("accept_ra") && "--accept-ra", value("shield") === "off" && "--no-shield", ...labelFlags(body.labels), ...flags("--reason", [value("reason")].filter(Boolean)))} />
      <div class="two">
        <form class="card" onSubmit={(e) => { e.preventDefault(); void create() }}>
          <Text label="Name" required value={value("name")} set={(name) => withQuery({ name })} faults={faultsAt(faults, "name")} hint="1 to 63 of A–Z a–z 0–9 _ . -" placeholder="cards" autoFocus />
          <ParentPicker value={value("parent")} set={(parent) => withQuery({ parent, internal: null })} internal={!!value("internal")} setInternal={(on) => withQuery({ internal: on ? "1" : null })} faults={faultsAt(faults, "parent")} tier={tierOf(labelsIn(q.getAll("label")))} isShielded={value("shield") !== "off"} />
          <LabelsField label="Labels" labels={labelsIn(q.getAll("label"))} set={(labels) => withQuery({ label: wordsOf(labels) })} faults={faults.filter((f) => f.field.startsWith("labels"))} hint="key=value; the label tier decides whom it may share a segment with" />
          {(subnets.length ? subnets : [""]).map((cidr, i) => (
            <div class="row" key={i}>
              <Text label={i === 0 ? "Subnet" : `Subnet ${i + 1}`} value={cidr} set={(c) => { const next = subnets.length ? [...subnets] : [""]; next[i] = c; withQuery({ subnet: next }) }} faults={faults.filter((f) => f.field.startsWith(`subnets[${i}]`) || (i === 0 && f.field === "subnets"))} hint={i === 0 ? "IPv4 or IPv6; none: one from the default pools" : ""} placeholder="192.168.40.0/24" class="mono" />
              {i === Math.max(0, subnets.length - 1) && cidr && <button type="button" class="quiet" onClick={() => { const url = new URLSearchParams(query.value); url.append("subnet", ""); go(`/networks/new?${url.toString()}`, "replace") }}><Icon name="plus" />Another</button>}
            </div>
          ))}
          <details open={isMore} onToggle={(e) => setMore((e.currentTarget as HTMLDetailsElement).open)}>
            <summary>Mode, gateway, MTU and more</summary>
            <div class="fields">
              <Choice label="Mode" value={value("mode")} set={(mode) => withQuery({ mode })} faults={faultsAt(faults, "mode")} hint="A parent has one mode." of={[["", "l2 (default)"], "l3", "l3s"]} />
              <Choice label="Flag" value={value("flag")} set={(flag) => withQuery({ flag })} faults={faultsAt(faults, "flag")} hint="Whether neighbours reach each other." of={[["", "bridge (default)"], "private", "vepa"]} />
              <Text label="Gateway" value={value("gateway")} set={(gateway) => withQuery({ gateway })} faults={faultsAt(faults, "gateway")} hint="auto, none, or an address" placeholder="auto" class="mono" />
              <Text label="MTU" value={value("mtu")} set={(mtu) => withQuery({ mtu })} faults={faultsAt(faults, "mtu")} hint="The parent's where left out." type="number" min={68} max={65535} />
              <Text label="Hand out from" value={value("ip_range")} set={(ip_range) => withQuery({ ip_range })} hint="A part of the first subnet" placeholder="192.168.40.128/25" class="mono" />
              <Text label="Reserved" value={value("reserved")} set={(r) => withQuery({ reserved: r })} hint="what=address, several with spaces" placeholder="router=192.168.40.5" class="mono" />
              <Choice label="Shield" value={value("shield")} set={(shield) => withQuery({ shield })} faults={faultsAt(faults, "shield")} hint="Keeps workloads out of the parent's VLANs." of={[["", "on (default)"], "off"]} />
              <Check label="Accept router advertisements" value={!!value("accept_ra")} set={(on) => withQuery({ accept_ra: on ? "1" : null })} hint="Any neighbour may send these." />
              <Check label="IPv6 from the pools" value={!!value("ipv6")} set={(on) => withQuery({ ipv6: on ? "1" : null })} />
            </div>
          </details>
          <Text label="Reason" value={value("reason")} set={(reason) => withQuery({ reason })} faults={faultsAt(faults, "reason")} hint="Goes on record with the decision." />
          {problem && problem.faults.length === 0 && <ProblemBox problem={problem} what="Not created" />}
          <div class="form-acts"><button class={isDenied ? "primary danger" : "primary"} disabled={busy || !dry.run}>{label}</button></div>
        </form>
        <DryRunBox dry={dry} idle={isBegun ? "Give it a name." : "Verdict and plan appear here while you type. Nothing is reserved or recorded."} />
      </div>
    </>
  );
}

/** Links of the host that could carry it, with what is true of them now. */
function ParentPicker({ value, set, internal, setInternal, faults, tier, isShielded }: { value: string; set: (parent: string) => void; internal: boolean; setInternal: (on: boolean) => void; faults: Fault[]; tier: string; isShielded: boolean }) {
  const usable = (parents.value ?? []).filter((p) => p.state !== "unfit" && p.kind !== "dummy");
  const bases = usable.filter((p) => p.vlan === null);
  const [base, tag] = value.includes(".") ? [value.slice(0, value.lastIndexOf(".")), value.slice(value.lastIndexOf(".") + 1)] : [value, ""];
  const chosen = usable.find((p) => p.link === value) ?? usable.find((p) => p.link === base);
  // Of a link that is no parent yet, as it will be made.
  const isUp = chosen?.id ? chosen.shield?.state === "up" : isShielded;
  const there = (networks.value ?? []).filter((n) => chosen && usable.some((p) => p.link === value && p.id === n.parent.id));
  const tiersThere = [...new Set(there.map((n) => tierOf(n.labels)))];
  const others = (networks.value ?? []).filter((n) => n.parent.vlan !== null && usable.some((p) => p.id === n.parent.id && p.base === base));
  return (
    <fieldset class="parent-picker">
      <legend>Parent</legend>
      <div class="fields">
        <Choice label="Link" value={internal || !value ? "" : bases.some((b) => b.link === base) ? base : "?"} set={(link) => set(link === "?" ? value : link ? (tag ? `${link}.${tag}` : link) : "")} faults={faults}
          of={[["", "none: isolated, nothing leaves"], ...bases.map((p): [string, string] => [p.link, `${p.link} · ${p.carrier ? "carrier" : "no carrier"} · MTU ${p.mtu ?? "?"}`]), ...(value && !bases.some((b) => b.link === base) ? [["?", value] as [string, string]] : [])]} />
        <Text label="VLAN" value={tag} set={(t) => set(base ? (t ? `${base}.${t}` : base) : "")} disabled={!base || internal} type="number" min={1} max={4094} placeholder="untagged" hint={base && !tag ? "untagged" : "1 to 4094; made if it is not there"} />
      </div>
      <Check label="Internal: an own dummy, also where a parent is named" value={internal} set={setInternal} />
      {chosen && !internal && (
        <ul class="live-facts" aria-label="What is true of it now">
          <li>{chosen.carrier ? <State is="up" /> : <State is="down" />} {chosen.carrier ? "has a carrier" : "has no carrier"}, MTU {chosen.mtu ?? "unknown"}</li>
          {chosen.link === value && chosen.mode && <li>in use as <b>{chosen.mode}</b> {chosen.flag}, by {chosen.networks.length} network{chosen.networks.length === 1 ? "" : "s"}: another mode is refused</li>}
          {chosen.link !== value && <li>{value} is not there yet: it is made, and removed with its last network</li>}
          {tiersThere.length > 0 && <li>shared with {tiersThere.map((t) => <Tier key={t} name={t} />)}{tiersThere.some((t) => t !== tier) && <> – <b>another tier than {tier}</b></>}</li>}
          {!tag && others.length > 0 && <li class={isUp ? "" : "bad"}>untagged on a trunk that carries {others.length} network{others.length === 1 ? "" : "s"} on VLANs: {isUp ? "its shield keeps workloads from sending into them" : "without a shield its workloads could send into all of them"}</li>}
        </ul>
      )}
    </fieldset>
  );
}

export function Attach({ network }: { network: string }) {
  const q = query.value;
  const value = (key: string) => q.get(key) ?? "";
  const by = value("by") || "name";
  const addresses = useGet<Page<SubnetAddresses>>(at`/v1/networks/${network}/addresses`);
  const wanted = value("address").split(/[\s,]+/).filter(Boolean);
  const where = value("namespace");
  const body = some({
    namespace: { [by]: by === "pid" ? Number(where) : where }, interface: value("interface"), name: value("name"), addresses: wanted,
    workload: some({ name: value("workload"), id: value("workload_id"), labels: labelsIn(q.getAll("label")) }),
  });
  const reason = value("reason") ? `?reason=${encodeURIComponent(value("reason"))}` : "";
  const asked = { method: "POST", path: at`/v1/networks/${network}/endpoints` + reason, body };
  const dry = useDryRun(where ? asked : null);
  const { busy, problem, run } = useDo();
  const faults: Fault[] = [...(dry.problem?.faults ?? []), ...(problem?.faults ?? [])];
  const isDenied = dry.run?.decision.verdict === "denied";
  const given = (dry.run?.plan.steps ?? []).filter((s) => s.step === "add_address").map((s) => String(s.address));
  const attach = () => run(async () => {
    const made = await ask<Endpoint>("POST", asked.path, body);
    await lookNow();
    go(at`/networks/${network}/endpoints/${made.id}`);
  });
  const label = busy ? "Attaching…" : !dry.run ? "Attach" : dry.run.already ? "It is attached already" : isDenied ? "Ask anyway: it will be denied" : `Attach ${value("name") || where}${given.length ? ` at ${given.join(" and ")}` : ""}`;
  const next = addresses.data?.items.flatMap((s) => s.next ?? []) ?? [];
  return (
    <>
      <Head title="Attach a workload" above={<><Link to="/networks">Networks</Link> / <Link to={at`/networks/${network}`}>{network}</Link> /</>} asked={asked}
        command={command("endpoint", "attach", network, by === "pid" ? `pid:${where || "N"}` : where || "NAMESPACE", ...flags("--name", [value("name")].filter(Boolean)), ...flags("--interface", [value("interface")].filter(Boolean)), ...flags("--ip", wanted), ...labelFlags(labelsIn(q.getAll("label"))), ...flags("--workload", [value("workload")].filter(Boolean)), ...flags("--workload-id", [value("workload_id")].filter(Boolean)), ...flags("--reason", [value("reason")].filter(Boolean)))} />
      <div class="two">
        <form class="card" onSubmit={(e) => { e.preventDefault(); void attach() }}>
          <div class="row">
            <Choice label="Namespace by" value={by} set={(b) => withQuery({ by: b === "name" ? null : b, namespace: "" })} of={[["name", "name"], ["path", "path"], ["pid", "process"]]} />
            <Text label={by === "pid" ? "Process id" : by === "path" ? "Path" : "Name below /run/netns"} required value={where} set={(namespace) => withQuery({ namespace })} faults={faults.filter((f) => f.field.startsWith("namespace"))} class="mono" placeholder={by === "pid" ? "4711" : by === "path" ? "/run/netns/pan1" : "pan1"} autoFocus hint="The workload's network namespace" />
          </div>
          <Text label="Name" value={value("name")} set={(name) => withQuery({ name })} faults={faultsAt(faults, "name")} hint="On this network; others find it by it." placeholder="pan1" />
          <Text label="Addresses" value={value("address")} set={(address) => withQuery({ address })} faults={faults.filter((f) => f.field.startsWith("addresses"))} class="mono" placeholder={next.join(" ") || "handed out"}
            hint={next.length ? <>None: handed out, {next.map((a) => <button type="button" class="link mono" key={a} onClick={() => withQuery({ address: [...new Set([...wanted, a])].join(" ") })}>{a}</button>)} next</> : "None: handed out"} />
          <LabelsField label="Workload's labels" labels={labelsIn(q.getAll("label"))} set={(labels) => withQuery({ label: wordsOf(labels) })} faults={faults.filter((f) => f.field.startsWith("workload.labels"))} hint="None: those on record for this namespace" />
          <details open={["interface", "workload", "workload_id"].some((k) => value(k)) || faults.some((f) => ["interface", "workload.name", "workload.id"].includes(f.field))}>
            <summary>Workload and link</summary>
            <div class="fields">
              <Text label="Workload's name" value={value("workload")} set={(workload) => withQuery({ workload })} faults={faultsAt(faults, "workload.name")} />
              <Text label="Workload's id" value={value("workload_id")} set={(workload_id) => withQuery({ workload_id })} faults={faultsAt(faults, "workload.id")} />
              <Text label="Link" value={value("interface")} set={(i) => withQuery({ interface: i })} faults={faultsAt(faults, "interface")} placeholder="eth0" class="mono" hint="Its name in the namespace" />
            </div>
          </details>
          <Text label="Reason" value={value("reason")} set={(r) => withQuery({ reason: r })} faults={faultsAt(faults, "reason")} hint="Goes on record with the decision." />
          {problem && problem.faults.length === 0 && <ProblemBox problem={problem} what="Not attached" />}
          <div class="form-acts"><button class={isDenied ? "primary danger" : "primary"} disabled={busy || !dry.run}>{label}</button></div>
        </form>
        <DryRunBox dry={dry} idle="Name the workload's namespace: verdict, address and plan appear here while you type." />
      </div>
    </>
  );
}

export function Parents({ link }: { link?: string }) {
  // Links of the host first, then what was made on them, then what cannot be one.
  const rank = (p: Parent) => p.state === "unfit" ? 3 : p.kind === "dummy" ? 2 : p.vlan !== null ? 1 : 0;
  const shown = (parents.value ?? []).filter((p) => !link || p.link === link).sort((a, b) => rank(a) - rank(b) || (a.vlan ?? 0) - (b.vlan ?? 0) || a.link.localeCompare(b.link));
  const [rows, more] = useMore(shown, 60);
  return (
    <>
      <Head title={link ?? "Parents"} above={link ? <><Link to="/parents">Parents</Link> /</> : undefined} command={link ? command("parent", "inspect", link) : command("parent", "ls")} asked={{ method: "GET", path: link ? at`/v1/parents/${link}` : "/v1/parents" }} />
      {parents.value && link && shown.length === 0 && <p>There is no link {link} any more. <Link to="/parents">All parents</Link></p>}
      {loadProblem.value && !parents.value && <ProblemBox problem={loadProblem.value} />}
      {!parents.value && !loadProblem.value && <Waiting lines={6} />}
      <div class="cards">{rows.map((p) => <ParentCard key={p.link} p={p} />)}</div>
      {more}
    </>
  );
}

const ParentCard = ({ p }: { p: Parent }) => (
  <section class="card parent">
    <div class="card-head"><h2 class="mono"><Link to={at`/parents/${p.link}`}>{p.link}</Link></h2><State is={p.state} title={p.why} /></div>
    <p class="dim">{p.why ?? `${p.kind}${p.vlan !== null ? ` ${p.vlan} of ${p.base}` : ""}, ${p.origin === "ours" ? "made by the daemon" : "found on the host"}`}</p>
    <ul class="live-facts">
      <li>{p.up ? "up" : "down"}, {p.carrier ? "carrier" : "no carrier"}, MTU {p.mtu ?? "?"}</li>
      {p.mode && <li>{p.mode} {p.flag}</li>}
      {p.segment && <li>segment <span class="mono">{p.segment}</span></li>}
      {p.shield && <li>shield <State is={p.shield.state} />{p.shield.bypassed_by && ` by ${p.shield.bypassed_by}`}</li>}
      {p.networks.length > 0 && <li>{p.networks.slice(0, 8).map((n) => <Link key={n} to={at`/networks/${n}`} class="chip">{n}</Link>)}{p.networks.length > 8 && ` and ${p.networks.length - 8} more`}</li>}
      {p.addresses.length > 0 && <li class="mono small">{p.addresses.join(" ")}</li>}
    </ul>
    {p.state !== "unfit" && p.kind !== "dummy" && <p><Link to={`/networks/new?parent=${encodeURIComponent(p.link)}`}>New network on it</Link></p>}
  </section>
);
