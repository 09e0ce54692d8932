// Which tiers are joined, and by what: the page for whoever must show that they are not.
import { useMemo } from "preact/hooks";
import { path as at } from "../api";
import { command } from "../commands";
import { loadProblem, networks, parents } from "../live";
import { query, withQuery } from "../route";
import { labelKeys, tierKey, tierOf, untiered } from "../tiers";
import type { Endpoint, Network } from "../types";
import { useAll } from "../use";
import { plural } from "../words";
import { Empty, Head, Icon, Link, ProblemBox, Section, Tier, Waiting } from "../parts/basics";
import { joins, type Join, type Way } from "./joins";

/** What each way means, the gravest first. Sharing a cable is what VLANs are for: it joins nothing. */
export const ways: Record<Way, { name: string; short: string; grave: boolean }> = {
  segment: { name: "share a segment: each hears the other's broadcasts and can send to it", short: "segment", grave: true },
  reach: { name: "one can send tagged frames into the other's segment", short: "reach", grave: true },
  workload: { name: "a workload is attached to both", short: "workload", grave: true },
  subnet: { name: "their subnets overlap", short: "subnet", grave: false },
  parent: { name: "VLANs of the same link", short: "link", grave: false },
};

export function Segmentation() {
  const endpoints = useAll<Endpoint>("/v1/endpoints");
  const found = useMemo(() => networks.value && parents.value && endpoints.data ? joins(networks.value, parents.value, endpoints.data, tierOf) : null, [networks.value, parents.value, endpoints.data, tierKey.value]);
  const pair = query.value.get("pair")?.split("~") ?? [];
  const problem = endpoints.problem ?? loadProblem.value;
  return (
    <>
      <Head title="Segmentation" command={command("network", "ls", "-o", "wide")} asked={{ method: "GET", path: "/v1/networks" }}>
        <button type="button" class="quiet" onClick={() => print()}><Icon name="print" />Print</button>
      </Head>
      {problem && !found && <ProblemBox problem={problem} retry={endpoints.reload} />}
      {!found && !problem && <Waiting lines={6} />}
      {found && found.tiers.length === 0 && <Empty title="No network yet" command="bulkhead network create cards --parent eth0.40 --label tier=cards">Tiers appear here as soon as networks or workloads have the label {tierKey.value}.</Empty>}
      {found && found.tiers.length > 0 && (
        <>
          <Verdict all={found.all} />
          <label class="inline">Tiers by label <select value={tierKey.value} onChange={(e) => withQuery({ by: e.currentTarget.value === "tier" ? null : e.currentTarget.value, pair: null })}>{[...new Set(["tier", ...labelKeys.value, tierKey.value])].map((k) => <option key={k}>{k}</option>)}</select></label>
          <Matrix tiers={found.tiers} of={found.of} chosen={pair} />
          {pair.length === 2 && <Cell a={pair[0]!} b={pair[1]!} all={found.of(pair[0]!, pair[1]!)} counts={found.counts} />}
          <ul class="key">{(Object.keys(ways) as Way[]).map((w) => <li key={w}><span class={`way ${ways[w].grave ? "grave" : "mild"}`}>{ways[w].short}</span>{ways[w].name}</li>)}<li><span class="way none">–</span>nothing joins them</li></ul>
        </>
      )}
    </>
  );
}

function Verdict({ all }: { all: Join[] }) {
  const grave = all.filter((j) => ways[j.way].grave);
  const pairs = [...new Set(grave.map((j) => `${j.a} and ${j.b}`))];
  return grave.length === 0
    ? <p class="told-verdict allowed" role="status"><Icon name="ok" /><span>No two tiers share a segment, reach each other or meet in a workload, as far as this host sees.</span></p>
    : <p class="told-verdict denied" role="status"><Icon name="warn" /><span><b>{plural(pairs.length, "pair")} of tiers {pairs.length === 1 ? "is" : "are"} joined:</b> {pairs.slice(0, 4).join("; ")}{pairs.length > 4 && ` and ${pairs.length - 4} more`}.</span></p>;
}

function Matrix({ tiers, of, chosen }: { tiers: string[]; of: (a: string, b: string) => Join[]; chosen: string[] }) {
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label="Matrix of tiers"><table class="matrix">
      <caption class="sr">What joins each two tiers</caption>
      <thead><tr><td />{tiers.map((t) => <th scope="col" key={t}><Tier name={t} /></th>)}</tr></thead>
      <tbody>{tiers.map((a, i) => (
        <tr key={a}><th scope="row"><Tier name={a} /></th>{tiers.map((b, j) => {
          if (j > i) return <td key={b} class="upper" aria-hidden="true" />;
          if (i === j) return <td key={b} class="same"><span class="sr">the same</span></td>;
          const all = of(a, b);
          const kinds = [...new Set(all.map((x) => x.way))];
          const grave = kinds.some((k) => ways[k].grave);
          return <td key={b} class={grave ? "grave" : kinds.length ? "mild" : ""}>
            {kinds.length === 0 ? <span class="way none" aria-label={`Nothing joins ${a} and ${b}`}>–</span>
              : <button type="button" aria-pressed={chosen.includes(a) && chosen.includes(b)} aria-label={`${a} and ${b}: ${kinds.map((k) => ways[k].name).join("; ")}`} onClick={() => withQuery({ pair: chosen.includes(a) && chosen.includes(b) ? null : `${a}~${b}` })}>{kinds.map((k) => <span key={k} class={`way ${ways[k].grave ? "grave" : "mild"}`}>{ways[k].short}</span>)}</button>}
          </td>;
        })}</tr>
      ))}</tbody>
    </table></div>
  );
}

const NetworkLink = ({ n }: { n: Network }) => <><Link to={at`/networks/${n.name}`}>{n.name}</Link> <span class="dim">(<Link to={`/decisions/${n.decision}`}>decision {n.decision}</Link>)</span></>;

function Cell({ a, b, all, counts }: { a: string; b: string; all: Join[]; counts: Map<string, number> }) {
  return (
    <Section title={<><Tier name={a} /> and <Tier name={b} /></>} id="pair">
      <p class="dim">{plural(counts.get(a) ?? 0, "network")} of {a}, {plural(counts.get(b) ?? 0, "network")} of {b}.</p>
      {(Object.keys(ways) as Way[]).map((way) => {
        const of = all.filter((j) => j.way === way);
        if (of.length === 0) return null;
        return <div key={way} class="way-list"><h3><span class={`way ${ways[way].grave ? "grave" : "mild"}`}>{ways[way].short}</span> {ways[way].name}</h3>
          <ul>{of.slice(0, 30).map((j, i) => <li key={i}>{j.endpoints ? <>workload {j.endpoints.map((e, k) => <span key={e.id}>{k > 0 && " and "}<Link to={at`/networks/${e.network}/endpoints/${e.id}`}>{e.name ?? e.workload.name} on {e.network}</Link> <span class="dim">(<Link to={`/decisions/${e.decision}`}>decision {e.decision}</Link>)</span></span>)}</>
            : j.networks ? <><NetworkLink n={j.networks[0]} /> and <NetworkLink n={j.networks[1]} />{j.what && <> on <span class="mono">{j.what}</span></>}</> : j.what}</li>)}</ul>
          {of.length > 30 && <p class="dim">and {of.length - 30} more</p>}</div>;
      })}
      {(a === untiered || b === untiered) && <p class="dim">What has no label {tierKey.value} is {untiered}: a tier of its own.</p>}
    </Section>
  );
}
