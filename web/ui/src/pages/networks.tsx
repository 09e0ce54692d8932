// Networks as a list, and one network: its addresses first, then what is on it.
import { useState } from "preact/hooks";
import { ask, path as at } from "../api";
import { command, flags } from "../commands";
import { loadProblem, lookNow, networks } from "../live";
import { go, query, withQuery } from "../route";
import type { Endpoint, Network, Page, SubnetAddresses } from "../types";
import { useAll, useDo, useDryRun, useGet } from "../use";
import { plural } from "../words";
import { AddressMap } from "../parts/address-map";
import { Ask, Empty, Fact, Facts, Gone, Head, Icon, LabelList, Link, ProblemBox, Section, State, Tier, Waiting, When, useMore } from "../parts/basics";
import { DryRunBox, Text } from "../parts/form";
import { Drifted, Trouble } from "./health";
import { tierOf } from "../tiers";
import { fits } from "./tree";

export function Networks() {
  const q = query.value;
  const text = q.get("q") ?? "";
  const state = q.get("state") ?? "";
  const all = (networks.value ?? []).filter((n) => fits(n, { text, only: q.getAll("label").map((l) => l.split("=") as [string, string]), not: [] }) && (!state || n.state === state));
  const [rows, more] = useMore(all);
  const params = new URLSearchParams([...(state ? [["state", state]] : []), ...q.getAll("label").map((l) => ["label", l])]);
  return (
    <>
      <Head title="Networks" command={command("network", "ls", ...flags("--label", q.getAll("label")), ...flags("--state", state ? [state] : []))} asked={{ method: "GET", path: `/v1/networks${params.size ? `?${params.toString()}` : ""}` }}>
        <Link to="/networks/new" class="button primary"><Icon name="plus" />New network</Link>
      </Head>
      <div class="toolbar" role="search">
        <label class="sr" for="networks-filter">Filter networks</label>
        <input id="networks-filter" type="search" placeholder="Filter by name, subnet, parent, label" value={text} onInput={(e) => withQuery({ q: e.currentTarget.value })} />
        <label class="inline">State <select value={state} onChange={(e) => withQuery({ state: e.currentTarget.value })}><option value="">any</option>{["ready", "degraded", "creating", "deleting"].map((s) => <option key={s}>{s}</option>)}</select></label>
        {q.getAll("label").map((l) => <button type="button" key={l} class="chip" aria-pressed="true" onClick={() => withQuery({ label: q.getAll("label").filter((x) => x !== l) })}>{l} ×</button>)}
        <span class="dim" role="status">{networks.value && `${all.length.toLocaleString("en")} of ${networks.value.length.toLocaleString("en")}`}</span>
      </div>
      {loadProblem.value && !networks.value && <ProblemBox problem={loadProblem.value} />}
      {!networks.value && !loadProblem.value && <Waiting lines={6} />}
      {networks.value?.length === 0 && <Empty title="No network yet" command="bulkhead network create web --parent eth0.30 --label tier=web">A network hangs on a link of the host, on a VLAN of one, or on nothing at all.</Empty>}
      {networks.value && networks.value.length > 0 && all.length === 0 && <Empty title="No network fits"><Link to="/networks">Show all of them</Link></Empty>}
      {rows.length > 0 && (
        <div class="scroll" tabIndex={0} role="region" aria-label="Networks"><table>
          <thead><tr><th>Name</th><th>State</th><th>Tier</th><th>Parent</th><th>Subnets</th><th>Mode</th><th class="num">Endpoints</th></tr></thead>
          <tbody>{rows.map((n) => (
            <tr key={n.id}>
              <td><Link to={at`/networks/${n.name}`}>{n.name}</Link></td><td><State is={n.state} title={n.why} /></td><td><Tier name={tierOf(n.labels)} /></td>
              <td class="mono">{n.parent.asked ?? <span class="dim">isolated</span>}</td><td class="mono">{n.subnets.map((s) => s.cidr).join(" ")}</td><td>{n.mode}</td><td class="num">{n.endpoints.toLocaleString("en")}</td>
            </tr>
          ))}</tbody>
        </table></div>
      )}
      {more}
    </>
  );
}

export function NetworkPage({ name }: { name: string }) {
  const { data: n, problem, reload } = useGet<Network>(at`/v1/networks/${name}`);
  const addresses = useGet<Page<SubnetAddresses>>(at`/v1/networks/${name}/addresses`);
  const isRemoving = query.value.has("delete");
  return (
    <>
      <Head title={name} above={<><Link to="/networks">Networks</Link> /</>} command={command("network", "inspect", name)} asked={{ method: "GET", path: at`/v1/networks/${name}` }}>
        {n && <><button type="button" class="quiet danger" onClick={() => withQuery({ delete: "1" }, "push")}>Delete</button><Link to={at`/networks/${name}/change`} class="button">Change</Link><Link to={at`/networks/${name}/attach`} class="button primary"><Icon name="plus" />Attach a workload</Link></>}
      </Head>
      {problem && !n && (problem.status === 404 ? <Gone problem={problem} command="bulkhead network ls"><Link to="/networks">All networks</Link></Gone> : <ProblemBox problem={problem} retry={reload} />)}
      {!n && !problem && <Waiting lines={8} />}
      {n && (
        <>
          <p class="summary"><State is={n.state} title={n.why} /> <Tier name={tierOf(n.labels)} /> {n.parent.asked ? <>{n.parent.vlan !== null ? `VLAN ${n.parent.vlan} of ` : "untagged on "}<Link to={at`/parents/${n.parent.link ?? n.parent.asked}`} class="mono">{n.parent.asked}</Link></> : "isolated: nothing leaves"} · {n.mode} {n.flag} · {plural(n.endpoints, "endpoint")}</p>
          <Trouble is="network" state={n.state} why={n.why} />
          {!!n.endpoints_failed && <p class="warning"><Icon name="warn" /><span>{plural(n.endpoints_failed, "endpoint")} of it failed: <button type="button" class="link" onClick={() => withQuery({ state: "failed" })}>show {n.endpoints_failed === 1 ? "it" : "them"}</button></span></p>}
          <Drifted network={n.name} parent={n.parent.link} />
          {(n.reaches.every_vlan_of || n.reaches.segments.length > 0) && <p class="warning"><Icon name="warn" />Its workloads {n.reaches.every_vlan_of ? `can send tagged frames into every VLAN of ${n.reaches.every_vlan_of}${n.reaches.segments.length ? `, such as ${n.reaches.segments.slice(0, 6).join(", ")}` : ""}. A shield on its parent stops that.` : `are within reach of tagged frames from ${n.reaches.segments.join(", ")}. A shield on the parents there stops that.`}</p>}
          <Section title="Addresses" id="addresses">
            {addresses.data ? addresses.data.items.map((s) => <AddressMap key={s.cidr} network={name} subnet={s} />) : addresses.problem ? <ProblemBox problem={addresses.problem} retry={addresses.reload} /> : <Waiting />}
          </Section>
          <Endpoints network={n} />
          <Section title="Details">
            <Facts>
              <Fact name="Labels"><LabelList labels={n.labels} /></Fact>
              <Fact name="Segment"><span class="mono">{n.segment ?? "–"}</span></Fact>
              <Fact name="Parent"><span class="mono">{n.parent.link ?? "–"}</span> {n.parent.origin === "ours" ? "(made for it)" : "(was there)"}</Fact>
              <Fact name="Shield">{n.parent.shield ? <State is={n.parent.shield.state} /> : "–"}</Fact>
              <Fact name="MTU">{n.mtu ?? "–"}</Fact>
              <Fact name="Router advertisements">{n.accept_ra ? "accepted" : "refused"}</Fact>
              {n.dns && <Fact name="Names from outside">{n.dns.forward === "auto" ? "looked up where it has a way out" : n.dns.forward === "on" ? "looked up" : "not looked up"}</Fact>}
              <Fact name="Made">by {n.created_by}, <When at={n.created_at} />, by <Link to={`/decisions/${n.decision}`}>decision {n.decision}</Link></Fact>
              <Fact name="Id"><span class="mono small">{n.id}</span></Fact>
            </Facts>
            <p><Link to={`/decisions?subject=${encodeURIComponent(n.name)}`}>All decisions about it</Link></p>
          </Section>
          <Ask title={`Delete ${name}?`} open={isRemoving} close={() => withQuery({ delete: null })}><Remove method="DELETE" path={at`/v1/networks/${name}`} then="/networks" what="network" close={() => withQuery({ delete: null })} /></Ask>
        </>
      )}
    </>
  );
}

function Endpoints({ network }: { network: Network }) {
  const { data, problem, reload } = useAll<Endpoint>(at`/v1/networks/${network.name}/endpoints`);
  const text = (query.value.get("q") ?? "").toLowerCase();
  const state = query.value.get("state") ?? "";
  const all = (data ?? []).filter((e) => (!state || e.state === state) && (!text || [e.name, e.workload.name, ...e.addresses, e.namespace.named, ...Object.values(e.workload.labels)].some((t) => t?.toLowerCase().includes(text))));
  const [rows, more] = useMore(all);
  return (
    <Section title={`Endpoints (${network.endpoints.toLocaleString("en")})`} id="endpoints" acts={data && (data.length > 8 || state || text) && <>{state && <button type="button" class="chip" aria-pressed="true" onClick={() => withQuery({ state: null })}>{state} ×</button>}<label class="sr" for="endpoints-filter">Filter endpoints</label><input id="endpoints-filter" type="search" placeholder="Filter" value={query.value.get("q") ?? ""} onInput={(e) => withQuery({ q: e.currentTarget.value })} /></>}>
      {problem && <ProblemBox problem={problem} retry={reload} />}
      {!data && !problem && <Waiting />}
      {data?.length === 0 && <Empty title="No endpoint yet" command={command("endpoint", "attach", network.name, "NAMESPACE")}>An endpoint is a link of this network inside a workload's network namespace.</Empty>}
      {data && data.length > 0 && all.length === 0 && <Empty title="No endpoint fits"><button type="button" class="link" onClick={() => withQuery({ q: null, state: null })}>Show all of them</button></Empty>}
      {rows.length > 0 && (
        <div class="scroll" tabIndex={0} role="region" aria-label="Endpoints"><table>
          <thead><tr><th>Name</th><th>State</th><th>Addresses</th><th>Tier</th><th>Namespace</th><th>Since</th><th>Decision</th></tr></thead>
          <tbody>{rows.map((e) => (
            <tr key={e.id}><td><Link to={at`/networks/${network.name}/endpoints/${e.id}`}>{e.name ?? e.workload.name}</Link></td><td><State is={e.state} title={e.why} /></td><td class="mono">{e.addresses.join(" ")}</td><td><Tier name={tierOf(e.workload.labels)} /></td><td class="mono">{e.namespace.named}</td><td><When at={e.created_at} /></td><td><Link to={`/decisions/${e.decision}`}>{e.decision}</Link></td></tr>
          ))}</tbody>
        </table></div>
      )}
      {more}
    </Section>
  );
}

export function EndpointPage({ network, id }: { network: string; id: string }) {
  const where = at`/v1/networks/${network}/endpoints/${id}`;
  const { data: e, problem, reload } = useGet<Endpoint>(where);
  const name = e ? e.name ?? e.workload.name : id.slice(0, 8);
  const isRemoving = query.value.has("detach");
  return (
    <>
      <Head title={name} above={<><Link to="/networks">Networks</Link> / <Link to={at`/networks/${network}`}>{network}</Link> /</>} command={command("endpoint", "inspect", network, e?.name ?? id)} asked={{ method: "GET", path: where }}>
        {e && <><Link to={at`/networks/${network}/endpoints/${id}/change`} class="button">Change labels</Link><button type="button" class="danger" onClick={() => withQuery({ detach: "1" }, "push")}>Detach</button></>}
      </Head>
      {problem && !e && (problem.status === 404 ? <Gone problem={problem} command={command("endpoint", "ls", "--network", network)}><Link to={at`/networks/${network}`}>Network {network}</Link></Gone> : <ProblemBox problem={problem} retry={reload} />)}
      {!e && !problem && <Waiting />}
      {e && (
        <>
          <p class="summary"><State is={e.state} title={e.why} /> {e.addresses.map((a) => <code key={a}>{a}</code>)} as <code>{e.interface}</code> in <code>{e.namespace.named}</code></p>
          <Trouble is="endpoint" state={e.state} why={e.why} since={e.failing_since} />
          {e.warnings?.map((w) => <p key={w} class="warning"><Icon name="warn" />{w}</p>)}
          <Section title="Details"><Facts>
            <Fact name="Workload">{e.workload.name} <span class="dim mono small">{e.workload.id}</span></Fact>
            <Fact name="Labels"><LabelList labels={e.workload.labels} /> {Object.keys(e.workload.labels).length > 0 && <span class="dim">({e.workload.provenance})</span>}</Fact>
            {!!e.aliases?.length && <Fact name="Further names">{e.aliases.join(", ")}</Fact>}
            <Fact name="Capabilities">{e.workload.capabilities?.join(", ") ?? <span class="dim">unknown</span>}</Fact>
            <Fact name="Gateways"><span class="mono">{[e.gateway, e.gateway_v6].filter(Boolean).join(" ") || "none"}</span></Fact>
            <Fact name="Routes">{e.routes.length ? e.routes.map((r) => <code key={r.destination}>{r.destination}{r.via && ` via ${r.via}`}</code>) : "none"}</Fact>
            <Fact name="Attached">by {e.created_by}, <When at={e.created_at} />, by <Link to={`/decisions/${e.decision}`}>decision {e.decision}</Link></Fact>
            <Fact name="Id"><span class="mono small">{e.id}</span></Fact>
          </Facts><p><Link to={`/decisions?object=${e.id}`}>All decisions about it</Link></p></Section>
          <Ask title={`Detach ${name}?`} open={isRemoving} close={() => withQuery({ detach: null })}><Remove method="DELETE" path={where} then={at`/networks/${network}`} what="endpoint" close={() => withQuery({ detach: null })} /></Ask>
        </>
      )}
    </>
  );
}

/** Asks for a removal: what it would do, a reason, and the way past a denial, which goes on record. */
export function Remove({ path, then, what, close, hasForce = true, method }: { method: string; path: string; then: string; what: string; close: () => void; hasForce?: boolean }) {
  const [reason, setReason] = useState("");
  const [force, setForce] = useState("");
  const { busy, problem, run } = useDo();
  const params = new URLSearchParams({ ...(reason ? { reason } : {}), ...(force ? { force } : {}) }).toString();
  const asked = { method, path: path + (params ? `?${params}` : "") };
  const dry = useDryRun(asked);
  const isDenied = dry.run?.decision.verdict === "denied" || dry.problem?.kind === "/problems/denied";
  const remove = () => run(async () => { await ask(method, asked.path); await lookNow(); go(then) });
  return (
    <form onSubmit={(e) => { e.preventDefault(); void remove() }}>
      <Text label="Reason" hint="Goes on record with the decision." value={reason} set={setReason} />
      {hasForce && isDenied && <Text label="Force it, because" hint="For admins: goes against the denial, and on record with your reason." value={force} set={setForce} />}
      <DryRunBox dry={dry} idle="" />
      {problem && <ProblemBox problem={problem} />}
      <div class="form-acts"><button type="button" onClick={close}>Keep it</button><button class="primary danger" disabled={busy || !dry.run}>{busy ? "Removing…" : force ? `Remove the ${what} by force` : `Remove the ${what}`}</button></div>
    </form>
  );
}
