// The forms that change what is there: a network, a workload's labels. Labels decide who may be beside whom, so what would come of a
// change is shown while one types, for the one that changes and for all beside it. What was typed is in the address.
import { ask, path as at } from "../api";
import { command, flags } from "../commands";
import { changeWords, changedBy, changesOf, labelsIn } from "../labels";
import { lookNow } from "../live";
import { go, query, withQuery } from "../route";
import type { Endpoint, Fault, Labels, Network } from "../types";
import { type Dry, useDo, useDryRun, useGet } from "../use";
import { list, plural } from "../words";
import { Gone, Head, Link, ProblemBox, Waiting } from "../parts/basics";
import { DryRunBox, LabelsField, Text, faultsAt } from "../parts/form";

/** The button says what it will do. */
function verb(dry: Dry, busy: boolean, what: string): string {
  if (busy) return "Changing…";
  if (!dry.run) return "Change";
  if (dry.run.already) return "It is so already";
  return dry.run.decision.verdict === "denied" ? "Ask anyway: it will be denied" : what;
}
const reasonOf = (): string => { const reason = query.value.get("reason"); return reason ? `?reason=${encodeURIComponent(reason)}` : "" };

const Submit = ({ dry, busy, what, to }: { dry: Dry; busy: boolean; what: string; to: string }) => (
  <div class="form-acts">
    <button class={dry.run?.decision.verdict === "denied" ? "primary danger" : "primary"} disabled={busy || !dry.run || !!dry.run.already}>{verb(dry, busy, what)}</button>
    <Link to={to} class="button quiet">Leave it as it is</Link>
  </div>
);

export function ChangeNetwork({ name }: { name: string }) {
  const { data: n, problem, reload } = useGet<Network>(at`/v1/networks/${name}`);
  return n ? <NetworkForm n={n} /> : (
    <>
      <Head title={`Change ${name}`} above={<><Link to="/networks">Networks</Link> /</>} command={command("network", "inspect", name)} asked={{ method: "GET", path: at`/v1/networks/${name}` }} />
      {problem ? problem.status === 404 ? <Gone problem={problem} command="bulkhead network ls"><Link to="/networks">All networks</Link></Gone> : <ProblemBox problem={problem} retry={reload} /> : <Waiting lines={8} />}
    </>
  );
}

/** `SUBNET=VALUE` words of a parameter. */
const bySubnet = (param: string): Map<string, string> => new Map(query.value.getAll(param).map((w): [string, string] => [w.slice(0, w.indexOf("=")), w.slice(w.indexOf("=") + 1)]));

function NetworkForm({ n }: { n: Network }) {
  const q = query.value;
  const words = q.getAll("label");
  const labels = changesOf(n.labels, changedBy(n.labels, words));
  const mtu = q.get("mtu") ?? "";
  const gateways = bySubnet("gateway");
  const ranges = bySubnet("ip_range");
  const subnets = n.subnets.flatMap((s) => {
    const gateway = gateways.get(s.cidr);
    const range = ranges.get(s.cidr);
    const isOther = { gateway: gateway !== undefined && gateway !== "" && gateway !== (s.gateway ?? "none"), range: range !== undefined && range !== (s.ip_range ?? "") };
    return isOther.gateway || isOther.range ? [{ cidr: s.cidr, ...(isOther.gateway ? { gateway } : {}), ...(isOther.range ? { ip_range: range || null } : {}) }] : [];
  });
  const body = { ...(Object.keys(labels).length ? { labels } : {}), ...(mtu && Number(mtu) !== n.mtu ? { mtu: Number(mtu) } : {}), ...(subnets.length ? { subnets } : {}) };
  const isChanged = Object.keys(body).length > 0;
  const asked = { method: "PATCH", path: at`/v1/networks/${n.name}` + reasonOf(), body };
  const dry = useDryRun(isChanged ? asked : null);
  const { busy, problem, run } = useDo();
  const faults: Fault[] = [...(dry.problem?.faults ?? []), ...(problem?.faults ?? [])];
  const of = (cidr: string, field: string) => { const i = subnets.findIndex((s) => s.cidr === cidr); return i < 0 ? [] : faultsAt(faults, `subnets[${i}].${field}`) };
  const set = (param: string, all: Map<string, string>, cidr: string, value: string, now: string) => {
    const next = new Map(all).set(cidr, value);
    if (value === now) next.delete(cidr);
    withQuery({ [param]: [...next].map(([c, v]) => `${c}=${v}`) });
  };
  const change = () => run(async () => {
    await ask<Network>("PATCH", asked.path, body);
    await lookNow();
    go(at`/networks/${n.name}`);
  });
  const parts = [Object.keys(labels).length ? plural(Object.keys(labels).length, "label") : "", body.mtu ? "the MTU" : "", subnets.some((s) => "gateway" in s) ? "the gateway" : "", subnets.some((s) => "ip_range" in s) ? "the range" : ""].filter(Boolean);
  return (
    <>
      <Head title={`Change ${n.name}`} above={<><Link to="/networks">Networks</Link> / <Link to={at`/networks/${n.name}`}>{n.name}</Link> /</>} asked={asked}
        command={command("network", "set", n.name, ...flags("--label", changeWords(labels)), ...flags("--mtu", body.mtu ? [String(body.mtu)] : []), ...flags("--gateway", subnets.flatMap((s) => "gateway" in s ? [`${s.cidr}=${s.gateway}`] : [])), ...flags("--ip-range", subnets.flatMap((s) => "ip_range" in s ? [`${s.cidr}=${s.ip_range ?? ""}`] : [])), ...flags("--reason", [q.get("reason") ?? ""].filter(Boolean)))} />
      <div class="two">
        <form class="card" onSubmit={(e) => { e.preventDefault(); void change() }}>
          <Relabel before={n.labels} words={words} faults={faults.filter((f) => f.field.startsWith("labels"))} hint="The label tier decides whom it may share a segment with: all beside it are judged again." />
          <Text label="MTU" value={mtu || String(n.mtu ?? "")} set={(m) => withQuery({ mtu: m === String(n.mtu ?? "") ? null : m })} faults={faultsAt(faults, "mtu")} type="number" min={68} max={65535} hint={n.parent.link ? `At most its parent's (${n.parent.link}). Links that are there follow.` : "Links that are there follow."} />
          {n.subnets.map((s) => (
            <fieldset key={s.cidr}>
              <legend class="mono">{s.cidr}</legend>
              <div class="fields">
                <Text label="Gateway" value={gateways.get(s.cidr) ?? s.gateway ?? "none"} set={(v) => set("gateway", gateways, s.cidr, v, s.gateway ?? "none")} faults={of(s.cidr, "gateway")} class="mono" hint="auto, none, or an address" />
                <Text label="Hand out from" value={ranges.get(s.cidr) ?? s.ip_range ?? ""} set={(v) => set("ip_range", ranges, s.cidr, v, s.ip_range ?? "")} faults={of(s.cidr, "ip_range")} class="mono" placeholder={s.cidr} hint="It may only grow; empty: all of the subnet" />
              </div>
            </fieldset>
          ))}
          <Text label="Reason" value={q.get("reason") ?? ""} set={(reason) => withQuery({ reason })} faults={faultsAt(faults, "reason")} hint="Goes on record with the decision." />
          {problem && problem.faults.length === 0 && <ProblemBox problem={problem} what="Not changed" />}
          <p class="dim small">Mode, flag, parent and subnets are what a network is: for others, make another network and move the workloads there.</p>
          <Submit dry={dry} busy={busy} what={`Change ${list(parts)} of ${n.name}`} to={at`/networks/${n.name}`} />
        </form>
        <DryRunBox dry={dry} idle="Change something: the verdict, and who beside it would be denied, appear here while you type." />
      </div>
    </>
  );
}

function Relabel({ before, words, faults, hint }: { before: Labels; words: string[]; faults: Fault[]; hint: string }) {
  return <LabelsField label="Labels" labels={changedBy(before, words)} set={(after) => withQuery({ label: changeWords(changesOf(before, after)) })} faults={faults} hint={hint} />;
}

export function ChangeWorkload({ network, id }: { network: string; id: string }) {
  const where = at`/v1/networks/${network}/endpoints/${id}`;
  const { data: e, problem, reload } = useGet<Endpoint>(where);
  return e ? <WorkloadForm e={e} network={network} /> : (
    <>
      <Head title="Change labels" above={<><Link to="/networks">Networks</Link> / <Link to={at`/networks/${network}`}>{network}</Link> /</>} command={command("endpoint", "inspect", network, id)} asked={{ method: "GET", path: where }} />
      {problem ? problem.status === 404 ? <Gone problem={problem} command={command("endpoint", "ls", "--network", network)}><Link to={at`/networks/${network}`}>Network {network}</Link></Gone> : <ProblemBox problem={problem} retry={reload} /> : <Waiting lines={8} />}
    </>
  );
}

function WorkloadForm({ e, network }: { e: Endpoint; network: string }) {
  const words = query.value.getAll("label");
  const labels = changesOf(e.workload.labels, changedBy(e.workload.labels, words));
  const isChanged = Object.keys(labels).length > 0;
  const here = at`/networks/${network}/endpoints/${e.id}`;
  const body = { workload: { labels } };
  const asked = { method: "PATCH", path: `/v1${here}${reasonOf()}`, body };
  const dry = useDryRun(isChanged ? asked : null);
  const { busy, problem, run } = useDo();
  const faults: Fault[] = [...(dry.problem?.faults ?? []), ...(problem?.faults ?? [])];
  const change = () => run(async () => {
    await ask<Endpoint>("PATCH", asked.path, body);
    await lookNow();
    go(here);
  });
  const set = labelsIn(changeWords(labels));
  return (
    <>
      <Head title={`Labels of ${e.workload.name}`} above={<><Link to="/networks">Networks</Link> / <Link to={at`/networks/${network}`}>{network}</Link> / <Link to={here}>{e.name ?? e.workload.name}</Link> /</>} asked={asked}
        command={command("endpoint", "set", network, e.name ?? e.id, ...flags("--label", isChanged ? changeWords(labels) : ["KEY=VALUE"]), ...flags("--reason", [query.value.get("reason") ?? ""].filter(Boolean)))} />
      <div class="two">
        <form class="card" onSubmit={(ev) => { ev.preventDefault(); void change() }}>
          <p>One namespace is one workload: its labels are those of all its endpoints.</p>
          <Relabel before={e.workload.labels} words={words} faults={faults.filter((f) => f.field.startsWith("labels") || f.field.startsWith("workload"))} hint="It is judged again on each of its networks, and so is everyone beside it." />
          <Text label="Reason" value={query.value.get("reason") ?? ""} set={(reason) => withQuery({ reason })} faults={faultsAt(faults, "reason")} hint="Goes on record with the decision." />
          {problem && problem.faults.length === 0 && <ProblemBox problem={problem} what="Not changed" />}
          <Submit dry={dry} busy={busy} what={`Change ${Object.keys(set).length ? list(Object.entries(set).map(([k, v]) => `${k} to ${v}`)) : plural(Object.keys(labels).length, "label")} for ${e.workload.name}`} to={here} />
        </form>
        <DryRunBox dry={dry} idle="Change a label: the verdict, and who beside it would be denied, appear here while you type." />
      </div>
    </>
  );
}
