// Which tiers are apart, which are not, and on what grounds: the daemon's report, for whoever must show it.
import { path as at } from "../api";
import { command, flags } from "../commands";
import { query, withQuery } from "../route";
import { labelKeys, tierKey, untiered } from "../tiers";
import type { Check, Report } from "../types";
import { useGet } from "../use";
import { plural } from "../words";
import { Empty, Fact, Facts, Head, Icon, Link, ProblemBox, Section, State, Tier, Waiting, When } from "../parts/basics";

const checks: Record<string, [string, string]> = {
  "shared-segment": ["segment", "share a segment: each hears the other's broadcasts and can send to it"],
  reach: ["reach", "one can send tagged frames into the other's segment"],
  subnet: ["subnet", "their subnets overlap"],
  workload: ["workload", "a workload is of both"],
  parent: ["parent", "hang on one link, in one VLAN"],
  "way-out": ["way out", "both have one: what routers do with them is not seen from here"],
};
const nameOf = (tier: string | null): string => tier ?? untiered;

export function Segmentation() {
  const q = query.value;
  const since = q.get("since") ?? "";
  const params = new URLSearchParams({ label: tierKey.value, ...(since ? { since } : {}) }).toString();
  const { data: r, problem, reload } = useGet<Report>(`/v1/reports/segmentation?${params}`);
  const [from, to] = q.get("pair")?.split("~") ?? [];
  const pair = r?.pairs.find((p) => nameOf(p.from) === from && nameOf(p.to) === to);
  return (
    <>
      <Head title="Segmentation" command={command("report", "segmentation", ...flags("--label", tierKey.value === "tier" ? [] : [tierKey.value]), ...flags("--since", since ? [since] : []))} asked={{ method: "GET", path: `/v1/reports/segmentation?${params}` }}>
        <button type="button" class="quiet" onClick={() => print()}><Icon name="print" />Print</button>
      </Head>
      {problem && <ProblemBox problem={problem} retry={reload} />}
      {!r && !problem && <Waiting lines={6} />}
      {r && r.tiers.length === 0 && <Empty title="No network yet" command="bulkhead network create cards --parent eth0.40 --label tier=cards">Tiers appear here as soon as networks or workloads have the label {tierKey.value}.</Empty>}
      {r && r.tiers.length > 0 && (
        <>
          <Verdict r={r} />
          <div class="toolbar">
            <label class="inline">Tiers by label <select value={tierKey.value} onChange={(e) => withQuery({ by: e.currentTarget.value === "tier" ? null : e.currentTarget.value, pair: null })}>{[...new Set(["tier", ...labelKeys.value, tierKey.value])].map((k) => <option key={k}>{k}</option>)}</select></label>
            <label class="inline">Policies and denials since <input type="date" value={(since || r.since).slice(0, 10)} onChange={(e) => withQuery({ since: e.currentTarget.value })} /></label>
            <span class="dim">made <When at={r.generated_at} /></span>
          </div>
          <Matrix r={r} from={from} to={to} />
          {pair && <Section title={<><Tier name={nameOf(pair.from)} /> to <Tier name={nameOf(pair.to)} /></>} id="pair">{pair.checks.map((c) => <CheckResult key={c.check} c={c} />)}</Section>}
          <ul class="key">{Object.entries(checks).map(([id, [short, long]]) => <li key={id}><span class="way grave">{short}</span>{long}</li>)}<li><span class="way mild">grey</span>not evaluated: nobody here can tell</li></ul>
          <Grounds r={r} />
        </>
      )}
    </>
  );
}

function Verdict({ r }: { r: Report }) {
  const joined = r.pairs.filter((p) => p.status === "not-satisfied");
  const pairs = [...new Set(joined.map((p) => [nameOf(p.from), nameOf(p.to)].sort().join(" and ")))];
  return joined.length === 0
    ? <p class="told-verdict allowed" role="status"><Icon name="ok" /><span>No two tiers share a segment, reach each other or meet in a workload, as far as this host sees.</span></p>
    : <p class="told-verdict denied" role="status"><Icon name="warn" /><span><b>{plural(pairs.length, "pair")} of tiers {pairs.length === 1 ? "is" : "are"} not apart:</b> {pairs.slice(0, 4).join("; ")}{pairs.length > 4 && ` and ${pairs.length - 4} more`}.</span></p>;
}

function Matrix({ r, from, to }: { r: Report; from: string | undefined; to: string | undefined }) {
  const of = new Map(r.pairs.map((p) => [`${nameOf(p.from)}~${nameOf(p.to)}`, p]));
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label="Matrix of tiers"><table class="matrix">
      <caption class="sr">What is between each two tiers, from the row to the column</caption>
      <thead><tr><td class="dim">from ↓ to →</td>{r.tiers.map((t) => <th scope="col" key={t.tier}><Tier name={nameOf(t.tier)} /></th>)}</tr></thead>
      <tbody>{r.tiers.map((a) => (
        <tr key={a.tier}><th scope="row"><Tier name={nameOf(a.tier)} /> <span class="dim small">{a.networks.length > 0 && `${plural(a.networks.length, "network")}, `}{plural(a.endpoints, "endpoint")}</span></th>{r.tiers.map((b) => {
          const id = `${nameOf(a.tier)}~${nameOf(b.tier)}`;
          const p = of.get(id);
          if (!p) return <td key={b.tier} class="same"><span class="sr">the same</span></td>;
          const bad = p.checks.filter((c) => c.status === "not-satisfied");
          const open = p.checks.filter((c) => c.status === "not-evaluated");
          const isChosen = from === nameOf(a.tier) && to === nameOf(b.tier);
          return <td key={b.tier} class={bad.length ? "grave" : ""}>
            <button type="button" aria-pressed={isChosen} title={bad.map((c) => checks[c.check]?.[1] ?? c.check).join("; ")} onClick={() => withQuery({ pair: isChosen ? null : id })}>
              <span class="sr">{nameOf(a.tier)} to {nameOf(b.tier)}: </span>
              {bad.map((c) => <span key={c.check} class="way grave">{checks[c.check]?.[0] ?? c.check}</span>)}{open.map((c) => <span key={c.check} class="way mild">{checks[c.check]?.[0] ?? c.check}<span class="sr"> not evaluated</span></span>)}{!bad.length && !open.length && <span class="way apart"><Icon name="ok" />apart</span>}
            </button>
          </td>;
        })}</tr>
      ))}</tbody>
    </table></div>
  );
}

const says: Record<string, string> = { satisfied: "apart", "not-satisfied": "not apart", "not-evaluated": "not evaluated" };
const tones: Record<string, string> = { satisfied: "allowed", "not-satisfied": "denied", "not-evaluated": "off" };

const CheckResult = ({ c }: { c: Check }) => (
  <div class={`way-list ${tones[c.status] ?? ""}`}>
    <h3><span class={`state ${c.status === "satisfied" ? "good" : c.status === "not-satisfied" ? "bad" : "dim"}`}>{says[c.status] ?? c.status}</span> {checks[c.check]?.[0] ?? c.check}</h3>
    <ul>{c.findings.map((f) => <li key={f.text}>{f.text}{f.decisions.length > 0 && <> {f.decisions.slice(0, 8).map((d) => <Link key={d} to={`/decisions/${d}`} class="chip" title={`Decision ${d}`}>{d}</Link>)}{f.decisions_count > 8 && <span class="dim">and {f.decisions_count - 8} more decisions</span>}</>}</li>)}</ul>
    {c.more > 0 && <p class="dim">and {c.more} more</p>}
  </div>
);

function Grounds({ r }: { r: Report }) {
  return (
    <>
      <Section title="Policies in that time">
        {r.unguarded.map((g) => <p key={g.operation + g.from} class="warning"><Icon name="warn" />No policy that judges everywhere was enforced for {g.operation} from {new Date(g.from).toLocaleString("en")} until {new Date(g.until).toLocaleString("en")}.</p>)}
        <div class="scroll" tabIndex={0} role="region" aria-label="Policies in that time"><table><thead><tr><th>Policy</th><th>Mode</th><th>Module</th><th>From</th><th>Until</th><th>Decision</th></tr></thead>
          <tbody>{r.policies.map((p) => <tr key={p.policy + p.from}><td><Link to={at`/policies/${p.policy}?revision=${p.revision}`}>{p.policy} {p.revision}</Link></td><td><State is={p.mode} />{!p.everywhere && <span class="dim"> in scope</span>}</td><td><Link to={at`/modules/${p.module}`}>{p.module_name}</Link></td><td><When at={p.from} /></td><td><When at={p.until} /></td><td>{p.decision && <Link to={`/decisions/${p.decision}`}>{p.decision}</Link>}</td></tr>)}</tbody></table></div>
      </Section>
      <Section title="Denied in that time">
        {r.denials.length === 0 ? <p class="dim">Nothing.</p> : <ul class="violations">{r.denials.map((d) => <li key={d.policy + d.rule}><p class="rule"><Link to={at`/policies/${d.policy}`}>{d.policy}</Link> · <span class="mono">{d.rule}</span> · {plural(d.count, "time")}</p><p>{d.decisions.slice(0, 12).map((n) => <Link key={n} to={`/decisions/${n}`} class="chip">{n}</Link>)}</p></li>)}</ul>}
        {!r.denials_complete && <p class="dim">There were more: only so many are read.</p>}
      </Section>
      <Section title="Record and kernel" acts={<State is={r.kernel.agrees ? "ok" : "degraded"} />}>
        <p>{r.kernel.agrees ? "They agree in all that could be looked at." : "They differ:"}</p>
        {[...r.kernel.differences, ...r.kernel.not_seen.map((n) => `not seen: ${n}`)].map((d) => <p key={d} class="warning">{d}</p>)}
        <Facts>
          <Fact name="Host"><span class="mono">{r.host.name}</span>, Linux {r.host.kernel}</Fact>
          <Fact name="Decision log">{plural(r.log.size, "decision")}, {r.log.intact ? "intact" : <b>not intact</b>}</Fact>
          <Fact name="Root"><span class="mono small">{r.log.root}</span></Fact>
        </Facts>
      </Section>
      <Section title="What this cannot show"><ul class="limits">{r.limits.map((l) => <li key={l}>{l}</li>)}</ul></Section>
    </>
  );
}
