// What is not as it should be, and what to do about it.
import { path as at } from "../api";
import { command } from "../commands";
import { health, networks } from "../live";
import { driftOf } from "../drift";
import type { Endpoint } from "../types";
import { useAll } from "../use";
import { plural } from "../words";
import { Head, Icon, Link, ProblemBox, Section, State, Waiting, When, useMore } from "../parts/basics";

/** What a state of trouble means, and the next step. Each names what would say more. */
export function Trouble({ state, why, since, is }: { state: string; why: string | null; since?: string | undefined; is: "network" | "endpoint" }) {
  const told: Record<string, [string, string]> = {
    "network degraded": ["Its parent is not as recorded. Workloads on it keep their links; nothing new can join it. The daemon sets it right by itself as soon as the parent is back.", "bulkhead doctor"],
    "endpoint failed": ["Its link is not as recorded, and could not be made so. The daemon tries again by itself, at first every second, then up to every five minutes; its addresses stay held for it. Detaching it frees them.", "bulkhead event ls --kind endpoint"],
  };
  const [means, next] = told[`${is} ${state}`] ?? ["", ""];
  if (!means) return null;
  return (
    <div class="problem" role="alert">
      <p class="problem-title"><Icon name="warn" /><span>{state === "failed" ? "Failed" : "Degraded"}{why && <>: {why}</>}{since && <>, since <When at={since} /></>}</span></p>
      <p>{means}</p>
      <code class="block">{next}</code>
    </div>
  );
}

/** What changed behind the daemon's back of a network or the link that it hangs on, and what became of it. */
export function Drifted({ network, parent }: { network: string; parent: string | null }) {
  const all = [...(driftOf.value.networks.get(network) ?? []), ...(parent ? driftOf.value.parents.get(parent) ?? [] : [])];
  if (all.length === 0) return null;
  return (
    <details class="drift"><summary><Icon name="warn" />Changed behind the daemon's back in the last hour: {all[0]!.text}</summary>
      <ul>{all.slice(0, 12).map((e) => <li key={e.seq}><When at={e.at} /> <span class="mono">{e.kind}</span> {e.text}</li>)}</ul><Link to={`/events?q=${encodeURIComponent(network)}`}>Events</Link></details>
  );
}

export function HealthPage() {
  const h = health.value;
  const failed = useAll<Endpoint>("/v1/endpoints?state=failed");
  const degraded = (networks.value ?? []).filter((n) => n.state === "degraded");
  const [rows, more] = useMore(failed.data ?? []);
  return (
    <>
      <Head title="Health" command={command("doctor")} asked={{ method: "GET", path: "/v1/health" }} />
      {!h ? <Waiting lines={4} /> : (
        <>
          <p class={`told-verdict ${h.status === "ok" ? "allowed" : "denied"}`} role="status"><Icon name={h.status === "ok" ? "ok" : "warn"} /><span>{h.status === "ok" ? "Record and kernel agree in all that is looked at." : `${plural(h.complaints_total ?? h.complaints.length, "thing")} not as on record.`} <span class="dim small">Version {h.version}, {plural(h.networks, "network")}, {plural(h.endpoints, "endpoint")}, {plural(h.open_plans, "plan")} under way</span></span></p>
          {h.complaints.length > 0 && <Section title="What is not as it should be">
            <ul class="violations">{h.complaints.map((c) => <li key={c}>{c}</li>)}</ul>
            {(h.complaints_total ?? 0) > h.complaints.length && <p class="dim">and {h.complaints_total! - h.complaints.length} more</p>}
            <p>It is set right by itself as soon as it can be. <Link to="/events">Events</Link> tell since when; on the host, <code>bulkhead doctor</code> tells what the kernel lacks.</p>
          </Section>}
          {degraded.length > 0 && <Section title={`Degraded networks (${degraded.length})`}><ul class="plain">{degraded.slice(0, 100).map((n) => <li key={n.id}><Link to={at`/networks/${n.name}`}>{n.name}</Link> <span class="dim">{n.why}</span></li>)}</ul></Section>}
        </>
      )}
      {failed.problem && <ProblemBox problem={failed.problem} retry={failed.reload} />}
      {rows.length > 0 && <Section title={`Endpoints that failed (${failed.data!.length})`}><div class="scroll" tabIndex={0} role="region" aria-label="Endpoints that failed"><table>
        <thead><tr><th>Endpoint</th><th>Network</th><th>State</th><th>Why</th><th>Since</th></tr></thead>
        <tbody>{rows.map((e) => <tr key={e.id}><td><Link to={at`/networks/${e.network}/endpoints/${e.id}`}>{e.name ?? e.workload.name}</Link></td><td><Link to={at`/networks/${e.network}`}>{e.network}</Link></td><td><State is={e.state} /></td><td>{e.why}</td><td>{e.failing_since && <When at={e.failing_since} />}</td></tr>)}</tbody>
      </table></div>{more}</Section>}
    </>
  );
}
