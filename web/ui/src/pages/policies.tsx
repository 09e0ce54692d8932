// Policies and modules: upload, settings, modes, revisions, and what a change would do before it is made.
import { useEffect, useRef, useState } from "preact/hooks";
import { Problem, ask, path as at } from "../api";
import { command } from "../commands";
import { lookNow } from "../live";
import { go, query, withQuery } from "../route";
import { who } from "../session";
import type { Decision, Diff, Fault, Module, Page, Policy, Rehearsal, Rehearsed, Standing } from "../types";
import { asProblem, useDo, useGet } from "../use";
import { isPlain, plural, short } from "../words";
import { Ask, Empty, Fact, Facts, Gone, Head, Icon, Link, ProblemBox, Section, State, Waiting, When } from "../parts/basics";
import { Choice, LabelsField, Text, faultsAt } from "../parts/form";
import { SchemaForm } from "../parts/schema";
import { Remove } from "./networks";

const modes: [string, string][] = [["enforce", "enforce: denies"], ["audit", "audit: asked and recorded only"], ["off", "off: not asked"]];

export function Policies() {
  const policies = useGet<Page<Policy>>("/v1/policies?limit=500");
  const modules = useGet<Page<Module>>("/v1/modules?limit=500");
  const standing = useGet<Page<Standing>>("/v1/violations");
  const against = (name: string) => standing.data?.items.filter((v) => v.policy === name).length ?? 0;
  return (
    <>
      <Head title="Policies" command={command("policy", "ls")} asked={{ method: "GET", path: "/v1/policies" }}>{who.value?.admin && <Link to="/policies/new" class="button primary"><Icon name="plus" />New policy</Link>}</Head>
      {policies.problem && <ProblemBox problem={policies.problem} retry={policies.reload} />}
      {!policies.data && !policies.problem && <Waiting lines={4} />}
      {policies.data?.items.length === 0 && <Empty title="No policy: what nobody judges is denied" command="bulkhead policy create tiers --module tier-isolation">Make one of a module below.</Empty>}
      {policies.data && <div class="cards">{policies.data.items.map((p) => (
        <section class="card" key={p.name}>
          <div class="card-head"><h2><Link to={at`/policies/${p.name}`}>{p.name}</Link></h2><State is={p.mode} /></div>
          <p>{p.description.summary}.</p>
          <p class="dim small">revision {p.revision} of <Link to={at`/modules/${p.module}`}>{p.description.name} {p.description.version}</Link>{p.until && <> · {p.then} from {p.until}</>}</p>
          {p.mode === "audit" && <WouldDeny name={p.name} />}
          {against(p.name) > 0 && <p class="warning"><Icon name="warn" />{plural(against(p.name), "thing")} that exist{against(p.name) === 1 ? "s is" : " are"} against it. <Link to={at`/policies/${p.name}#standing`}>Show</Link></p>}
        </section>
      ))}</div>}
      <Upload modules={modules.data?.items ?? []} />
      <Section title="Modules">
        {modules.problem && <ProblemBox problem={modules.problem} retry={modules.reload} />}
        {!modules.data && !modules.problem && <Waiting />}
        {modules.data && <div class="scroll" tabIndex={0} role="region" aria-label="Modules"><table>
          <thead><tr><th>Module</th><th>What it sees to</th><th>Digest</th><th class="num">Size</th><th>Policies</th><th /></tr></thead>
          <tbody>{modules.data.items.map((m) => (
            <tr key={m.digest}><td><Link to={at`/modules/${m.digest}`}>{m.description.name} {m.description.version}</Link>{m.built_in && <> <span class="label">built in</span></>}</td><td>{m.description.summary}</td><td class="mono">{short(m.digest)}</td><td class="num tight">{Math.ceil(m.size / 1024)} kB</td><td>{m.policies.map((p) => <Link key={p} to={at`/policies/${p}`} class="chip">{p}</Link>)}</td>
              <td class="tight">{who.value?.admin && <Link to={at`/policies/new?module=${m.digest}`}>Use it<span class="sr"> ({m.description.name})</span></Link>}</td></tr>
          ))}</tbody>
        </table></div>}
      </Section>
    </>
  );
}

/** How many decisions a policy in audit would have denied. */
function WouldDeny({ name }: { name: string }) {
  const { data } = useGet<Page<Decision>>(`/v1/decisions?policy=${encodeURIComponent(name)}&limit=500`, "decision");
  if (!data) return null;
  const denied = data.items.filter((d) => d.heard.some((h) => h.policy === name && h.mode === "audit" && (h.outcome === "deny" || h.outcome === "broke")));
  return <p>{denied.length === 0 ? "Would have denied none" : <><b>Would have denied {denied.length}</b></>} of {data.next ? "the last " : ""}{plural(data.items.length, "decision")}{denied.length > 0 && <>: {denied.slice(0, 6).map((d) => <Link key={d.id} to={`/decisions/${d.id}`} class="chip">{d.id}</Link>)}</>}</p>;
}

function Upload({ modules }: { modules: Module[] }) {
  const [over, setOver] = useState(false);
  const [problem, setProblem] = useState<Problem | null>(null);
  const [busy, setBusy] = useState("");
  const [done, setDone] = useState<Module | null>(null);
  const input = useRef<HTMLInputElement>(null);
  if (!who.value?.admin) return null;
  const upload = async (file: File | undefined) => {
    if (!file) return;
    setProblem(null);
    setDone(null);
    const start = new Uint8Array(await file.slice(0, 4).arrayBuffer());
    if (start.join() !== "0,97,115,109") {
      setProblem(new Problem(415, "", `${file.name} is not WebAssembly`, "A module begins with the four bytes \\0asm. Build one with cargo build --target wasm32-unknown-unknown, and drop the .wasm file."));
      return;
    }
    setBusy(file.name);
    try {
      setDone(await ask<Module>("POST", "/v1/modules", file));
      await lookNow();
    } catch (e) { setProblem(asProblem(e)) } finally { setBusy("") }
  };
  return (
    <section class={`card drop${over ? " over" : ""}`} aria-label="Upload a module" onDragOver={(e) => { e.preventDefault(); setOver(true) }} onDragLeave={() => setOver(false)} onDrop={(e) => { e.preventDefault(); setOver(false); void upload(e.dataTransfer?.files[0]) }}>
      <div class="drop-in">
        <div><h2>Upload a module</h2><p class="dim">Drop a .wasm file here: a component of the contract, or what <code>cargo build --target wasm32-unknown-unknown</code> makes.</p></div>
        <input ref={input} type="file" accept=".wasm,application/wasm" class="sr" tabIndex={-1} aria-label="A .wasm file" onChange={(e) => { void upload(e.currentTarget.files?.[0]); e.currentTarget.value = "" }} />
        <button type="button" disabled={!!busy} onClick={() => input.current?.click()}>{busy ? `Checking ${busy}…` : "Choose a file"}</button>
      </div>
      {problem && <ProblemBox problem={problem} />}
      <div role="status">{done && <p class="told-verdict allowed"><Icon name="ok" /><span><b>{done.description.name} {done.description.version}</b> {done.decision === undefined && modules.length > 0 ? "was there already" : "is on record"}: {done.description.summary}. <Link to={at`/policies/new?module=${done.digest}`} class="button">Make a policy of it</Link></span></p>}</div>
    </section>
  );
}

export function ModulePage({ digest }: { digest: string }) {
  const { data: m, problem, reload } = useGet<Module>(at`/v1/modules/${digest}`);
  const isRemoving = query.value.has("delete");
  return (
    <>
      <Head title={m ? `${m.description.name} ${m.description.version}` : short(digest)} above={<><Link to="/policies">Policies</Link> / module</>} command={command("module", "inspect", digest)} asked={{ method: "GET", path: at`/v1/modules/${digest}` }}>
        {m && who.value?.admin && <>{m.policies.length === 0 && <button type="button" class="quiet danger" onClick={() => withQuery({ delete: "1" }, "push")}>Delete</button>}<Link to={at`/policies/new?module=${m.digest}`} class="button primary">Make a policy of it</Link></>}
      </Head>
      {problem && !m && (problem.status === 404 ? <Gone problem={problem} command="bulkhead module ls"><Link to="/policies">Policies and modules</Link></Gone> : <ProblemBox problem={problem} retry={reload} />)}
      {!m && !problem && <Waiting />}
      {m && <><Describe m={m} /><Ask title="Delete the module?" open={isRemoving} close={() => withQuery({ delete: null })}><Remove method="DELETE" path={at`/v1/modules/${m.digest}`} then="/policies" what="module" hasForce={false} close={() => withQuery({ delete: null })} /></Ask></>}
    </>
  );
}

const Describe = ({ m }: { m: Module | Policy }) => (
  <Section title="The module">
    <p>{m.description.summary}.</p>
    <Facts>
      <Fact name="Judges">{m.description.operations.join(", ")}</Fact>
      <Fact name="Looks at labels">{m.description.label_keys.join(", ") || "none"}</Fact>
      <Fact name="Is shown">{m.description.needs.join(", ") || "the request alone"}</Fact>
      <Fact name="Digest"><span class="mono small">{"digest" in m ? m.digest : <Link to={at`/modules/${m.module}`}>{m.module}</Link>}</span></Fact>
    </Facts>
    {m.description.rules.length > 0 && <table class="compact"><thead><tr><th>Rule</th><th>Sees to</th><th>Serves</th></tr></thead><tbody>{m.description.rules.map((r) => <tr key={r.id}><td class="mono">{r.id}</td><td>{r.summary}</td><td>{r.controls.join(", ")}</td></tr>)}</tbody></table>}
  </Section>
);

interface Draft { name: string; module: string; mode: string; settings: Record<string, unknown>; operations: string[]; networks: string; network_labels: Record<string, string>; contact: string; url: string; message: string; until: string; then: string }

function draftOf(p: Policy | null, m: Module | null): Draft {
  return {
    name: p?.name ?? "", module: p?.module ?? m?.digest ?? "", mode: p?.mode ?? "audit", settings: p?.settings ?? {}, operations: p?.scope.operations ?? [], networks: p?.scope.networks.join(" ") ?? "",
    network_labels: p?.scope.network_labels ?? {}, contact: p?.help?.contact ?? "", url: p?.help?.url ?? "", message: p?.help?.message ?? "", until: p?.until ?? "", then: p?.then ?? "",
  };
}

function wishOf(d: Draft): Record<string, unknown> {
  const help = Object.fromEntries(Object.entries({ contact: d.contact, url: d.url, message: d.message }).filter(([, v]) => v));
  const scope = { ...(d.operations.length ? { operations: d.operations } : {}), ...(d.networks.trim() ? { networks: d.networks.trim().split(/[\s,]+/) } : {}), ...(Object.keys(d.network_labels).length ? { network_labels: d.network_labels } : {}) };
  return { name: d.name, module: d.module, settings: d.settings, mode: d.mode, ...(d.until ? { until: d.until, then: d.then || "enforce" } : {}), ...(Object.keys(scope).length ? { scope } : {}), ...(Object.keys(help).length ? { help } : {}) };
}

export function NewPolicy() {
  const modules = useGet<Page<Module>>("/v1/modules?limit=500");
  const digest = query.value.get("module") ?? "";
  const m = modules.data?.items.find((x) => x.digest === digest) ?? null;
  return (
    <>
      <Head title="New policy" above={<><Link to="/policies">Policies</Link> /</>} command={command("policy", "create", "NAME", "--module", digest || "DIGEST")} asked={{ method: "POST", path: "/v1/policies", body: { name: "NAME", module: digest || "sha256:…" } }} />
      {modules.problem && <ProblemBox problem={modules.problem} retry={modules.reload} />}
      {!modules.data && !modules.problem && <Waiting />}
      {modules.data && <>
        <section class="card"><Choice label="Module" value={digest} set={(module) => withQuery({ module })} of={[["", "choose one"], ...modules.data.items.map((x): [string, string] => [x.digest, `${x.description.name} ${x.description.version} – ${x.description.summary}`])]} hint={<Link to="/policies">Upload another</Link>} /></section>
        {digest && !m && <Empty title="There is no such module" command="bulkhead module ls"><Link to="/policies">Upload it</Link></Empty>}
        {m && <Editor key={m.digest} policy={null} module={m} />}
        {m && <Describe m={m} />}
      </>}
    </>
  );
}

export function PolicyPage({ name }: { name: string }) {
  const { data: p, problem, reload } = useGet<Policy>(at`/v1/policies/${name}`);
  const standing = useGet<Page<Standing>>(`/v1/violations?policy=${encodeURIComponent(name)}`);
  const isRemoving = query.value.has("delete");
  return (
    <>
      <Head title={name} above={<><Link to="/policies">Policies</Link> /</>} command={command("policy", "inspect", name)} asked={{ method: "GET", path: at`/v1/policies/${name}` }}>{p && who.value?.admin && <button type="button" class="quiet danger" onClick={() => withQuery({ delete: "1" }, "push")}>Delete</button>}</Head>
      {problem && !p && (problem.status === 404 ? <><Gone problem={problem} command="bulkhead policy ls"><Link to="/policies">All policies</Link></Gone><Revisions name={name} current={0} /></> : <ProblemBox problem={problem} retry={reload} />)}
      {!p && !problem && <Waiting lines={6} />}
      {p && (
        <>
          <p class="summary"><State is={p.mode} /> revision {p.revision} of <Link to={at`/modules/${p.module}`}>{p.description.name} {p.description.version}</Link>{p.until && <> · {p.then} from {p.until}</>} · <Link to={`/decisions?policy=${encodeURIComponent(name)}`}>decisions it was asked about</Link></p>
          {p.mode === "audit" && <WouldDeny name={name} />}
          <Editor key={`${p.name} ${p.revision}`} policy={p} module={null} />
          <Section title="What exists and is against it" id="standing">
            {standing.problem && <ProblemBox problem={standing.problem} retry={standing.reload} />}
            {!standing.data && !standing.problem && <Waiting lines={2} />}
            {standing.data?.items.length === 0 && <p class="dim">{p.mode === "off" ? "It is off: nobody asks it." : "Nothing."}</p>}
            {standing.data && <ul class="violations">{standing.data.items.slice(0, 50).map((v) => <li key={v.network + v.rule + v.endpoint}><StandingLine v={v} /></li>)}</ul>}
          </Section>
          <Revisions name={name} current={p.revision} />
          <Describe m={p} />
          <Ask title={`Delete ${name}?`} open={isRemoving} close={() => withQuery({ delete: null })}><Remove method="DELETE" path={at`/v1/policies/${name}`} then="/policies" what="policy" hasForce={false} close={() => withQuery({ delete: null })} /></Ask>
        </>
      )}
    </>
  );
}

const StandingLine = ({ v }: { v: Standing }) => (
  <>
    <p class="rule"><Link to={v.endpoint ? at`/networks/${v.network}/endpoints/${v.endpoint}` : at`/networks/${v.network}`}>{v.workload ? `${v.workload} on ${v.network}` : v.network}</Link> · <span class="mono">{v.rule}</span> · since <When at={v.since} />, by <Link to={`/decisions/${v.decision}`}>decision {v.decision}</Link></p>
    <p>{v.message}</p>{v.remedy && <p class="right">{v.remedy}</p>}
  </>
);

/** Settings, mode and scope, with what the change would do above the button that makes it. */
function Editor({ policy, module }: { policy: Policy | null; module: Module | null }) {
  const [draft, setDraft] = useState(() => draftOf(policy, module));
  const [reason, setReason] = useState("");
  const [rehearsed, setRehearsed] = useState<{ data: Rehearsal | null; problem: Problem | null; asking: boolean }>({ data: null, problem: null, asking: false });
  const { busy, problem, run } = useDo();
  const wish = wishOf(draft);
  const description = policy?.description ?? module?.description;
  const isChanged = !policy || JSON.stringify(wish) !== JSON.stringify(wishOf(draftOf(policy, module)));
  const put = (change: Partial<Draft>) => setDraft((d) => ({ ...d, ...change }));
  const key = JSON.stringify(wish);
  const isAdmin = who.value?.admin ?? false;
  useEffect(() => {
    // A draft without a name is rehearsed under the module's.
    if (!isAdmin) return;
    const stop = new AbortController();
    setRehearsed((r) => ({ ...r, asking: true }));
    const timer = setTimeout(() => {
      ask<Rehearsal>("POST", "/v1/rehearsals", { ...wish, name: draft.name || description?.name || "draft" }, stop.signal).then(
        (data) => setRehearsed({ data, problem: null, asking: false }),
        (e) => { if (!stop.signal.aborted) setRehearsed({ data: null, problem: asProblem(e), asking: false }) },
      );
    }, 400);
    return () => { clearTimeout(timer); stop.abort() };
  }, [key]);
  const faults: Fault[] = [...(rehearsed.problem?.faults ?? []), ...(problem?.faults ?? [])];
  const save = () => run(async () => {
    const params = reason ? `?reason=${encodeURIComponent(reason)}` : "";
    const made = await ask<Policy>(policy ? "PUT" : "POST", (policy ? at`/v1/policies/${policy.name}` : "/v1/policies") + params, wish);
    await lookNow();
    if (!policy) go(at`/policies/${made.name}`);
  });
  const verb = draft.mode === "enforce" ? "Enforce" : draft.mode === "audit" ? "Put in audit" : "Turn off";
  const label = busy ? "Saving…" : policy ? `${policy.mode === draft.mode ? "Save" : verb} as revision ${policy.revision + 1}` : `${verb} it`;
  return (
    <div class="two">
      <form class="card" onSubmit={(e) => { e.preventDefault(); void save() }}>
        {!policy && <Text label="Name" required value={draft.name} set={(name) => put({ name })} faults={faultsAt(faults, "name")} placeholder={description?.name ?? ""} hint="1 to 63 of A–Z a–z 0–9 _ . -" />}
        <Choice label="Mode" value={draft.mode} set={(mode) => put({ mode })} of={modes} faults={faultsAt(faults, "mode")} />
        <fieldset><legend>Settings</legend><SchemaForm schema={isPlain(description?.settings_schema) ? description.settings_schema : {}} value={draft.settings} set={(settings) => put({ settings })} faults={faults.filter((f) => f.field.startsWith("settings"))} /></fieldset>
        {faults.filter((f) => f.field.startsWith("settings")).map((f) => <p key={f.field + f.wrong} class="fault"><code>{f.field}</code> {f.wrong}; <b>{f.right}</b></p>)}
        <details open={draft.networks !== "" || draft.operations.length > 0 || Object.keys(draft.network_labels).length > 0 || !!draft.contact}>
          <summary>Scope, schedule and help</summary>
          <fieldset><legend>Operations</legend>{description?.operations.map((o) => <label class="check" key={o}><input type="checkbox" checked={draft.operations.includes(o)} onChange={(e) => put({ operations: e.currentTarget.checked ? [...draft.operations, o] : draft.operations.filter((x) => x !== o) })} /><span>{o}</span></label>)}<p class="hint">None: all that the module judges.</p></fieldset>
          <div class="fields">
            <Text label="Networks" value={draft.networks} set={(networks) => put({ networks })} hint="Names; none: all" faults={faults.filter((f) => f.field.startsWith("scope.networks"))} />
            <LabelsField label="Networks with labels" labels={draft.network_labels} set={(network_labels) => put({ network_labels })} faults={faults.filter((f) => f.field.startsWith("scope.network_labels"))} />
            <Text label="Mode holds until" value={draft.until} set={(until) => put({ until })} placeholder="2027-03-01T00:00:00Z" faults={faultsAt(faults, "until")} hint="Empty: for ever" />
            <Choice label="Then" value={draft.then} set={(then) => put({ then })} of={[["", "–"], "enforce", "audit", "off"]} faults={faultsAt(faults, "then")} />
            <Text label="Whom to ask" value={draft.contact} set={(contact) => put({ contact })} hint="Shown with what it denies" faults={faultsAt(faults, "help.contact")} />
            <Text label="Where to read more" value={draft.url} set={(url) => put({ url })} placeholder="https://" faults={faultsAt(faults, "help.url")} />
          </div>
        </details>
        {!isAdmin && <p class="dim">Only admins may change policies.</p>}
      </form>
      <aside class="dry" aria-label="What it would do">
        <div class="dry-head"><h2>Rehearsal</h2>{rehearsed.asking && !rehearsed.data && <span class="dim">asking…</span>}{rehearsed.data && <State is={rehearsed.data.verdict === "neither" ? "ok" : "audit"} title={rehearsed.data.verdict} />}</div>
        <div role="status">{rehearsed.data && <RehearsalResult r={rehearsed.data} mode={draft.mode} />}</div>
        {rehearsed.problem && (rehearsed.problem.faults.length ? <p class="dim">The settings are not yet what the module takes.</p> : <ProblemBox problem={rehearsed.problem} />)}
        {isAdmin && <form onSubmit={(e) => { e.preventDefault(); void save() }}>
          <Text label="Reason" value={reason} set={setReason} faults={faultsAt(faults, "reason")} hint="Goes on record; needed for what loosens." />
          {problem && faultsAt(problem.faults, "reason").length === 0 && problem.faults.filter((f) => f.field.startsWith("settings")).length === 0 && <ProblemBox problem={problem} what="Not saved" />}
          <div class="form-acts"><button class="primary" disabled={busy || !isChanged || (!policy && !draft.name)}>{label}</button>{!isChanged && <span class="dim">Nothing has changed.</span>}{!policy && !draft.name && <span class="dim">It needs a name.</span>}</div>
        </form>}
      </aside>
    </div>
  );
}

function RehearsalResult({ r, mode }: { r: Rehearsal; mode: string }) {
  const words: Record<string, string> = { tightens: "It tightens.", loosens: "It loosens.", both: "It tightens some and loosens some.", neither: "Nothing that exists or was asked is judged otherwise." };
  const asked = query.value.get("asked");
  return (
    <>
      <p><b>{words[r.verdict] ?? r.verdict}</b> {plural(r.networks, "network")} and {plural(r.endpoints, "endpoint")} that exist{r.recorded.decisions > 0 && <>, and {plural(r.recorded.decisions, "recorded decision")},</>} were put to it{r.compared_with !== null ? `, compared with revision ${r.compared_with}` : ""}.{mode !== "enforce" && " That is what it would say if it were enforced."}</p>
      <Rehearsals title="Would be denied if asked for now" all={r.newly_denied} /><Rehearsals title="Would be allowed" all={r.newly_allowed} /><Rehearsals title="Denied as before" all={r.still_denied} />
      {r.recorded.newly_denied.length > 0 && <p>Recorded and would be denied: {r.recorded.newly_denied.slice(0, 12).map((d) => <Link key={d} to={`/decisions/${d}`} class="chip">{d}</Link>)}</p>}
      {r.recorded.newly_allowed.length > 0 && <p>Recorded and would be allowed: {r.recorded.newly_allowed.slice(0, 12).map((d) => <Link key={d} to={`/decisions/${d}`} class="chip">{d}</Link>)}</p>}
      {asked && <p>Decision {asked} would {r.recorded.newly_denied.includes(Number(asked)) ? <State is="denied" /> : r.recorded.newly_allowed.includes(Number(asked)) ? <State is="allowed" /> : "not come out otherwise"}.</p>}
    </>
  );
}

const Rehearsals = ({ title, all }: { title: string; all: Rehearsed[] }) => all.length === 0 ? null : (
  <details open={title.startsWith("Would")}><summary>{title}: {all.reduce((s, x) => s + x.count, 0)}</summary>
    <ul class="violations">{all.map((x) => <li key={x.operation + x.rule}><p class="rule"><span class="mono">{x.rule}</span> · {plural(x.count, x.operation === "attach" ? "endpoint" : "network")}</p><p>{x.examples.map((e) => <Link key={e.network + e.endpoint} to={e.endpoint ? at`/networks/${e.network}/endpoints/${e.endpoint}` : at`/networks/${e.network}`} class="chip">{e.workload ?? e.network}</Link>)}</p><p class="dim">{x.examples[0]?.message}</p></li>)}</ul></details>
);

function Revisions({ name, current }: { name: string; current: number }) {
  const { data, problem } = useGet<Page<Policy>>(at`/v1/policies/${name}/revisions`);
  const shown = Number(query.value.get("revision") ?? 0);
  const diff = useGet<Diff>(shown > 1 ? at`/v1/policies/${name}/revisions/${shown}/diff` : null);
  const [reason, setReason] = useState("");
  const back = useDo();
  if (problem?.status === 404) return null;
  const rollBack = (revision: number) => back.run(async () => {
    await ask("POST", at`/v1/policies/${name}/rollback` + (reason ? `?reason=${encodeURIComponent(reason)}` : ""), { revision });
    await lookNow();
    withQuery({ revision: null });
  });
  return (
    <Section title="Revisions" id="revisions">
      {problem && <ProblemBox problem={problem} />}
      {!data && !problem && <Waiting lines={2} />}
      {data && <ol class="revisions">{[...data.items].reverse().map((r) => (
        <li key={r.revision} class={r.revision === shown ? "chosen" : ""}>
          <button type="button" class="link" aria-expanded={r.revision === shown} onClick={() => withQuery({ revision: r.revision === shown ? null : String(r.revision) })}>Revision {r.revision}</button> <State is={r.mode} /> {r.in_force && <span class="label">in force</span>} {r.decision && <Link to={`/decisions/${r.decision}`}>decision {r.decision}</Link>}
          {r.revision === shown && (
            <div class="revision">
              {shown > 1 && diff.data && <><h3>What changed since revision {diff.data.from}</h3>{diff.data.changes.length === 0 ? <p class="dim">Nothing.</p> : <table class="compact diff"><thead><tr><th>Where</th><th>Before</th><th>After</th></tr></thead><tbody>{diff.data.changes.map((c) => <tr key={c.path}><td class="mono">{c.path}</td><td class="mono before">{c.before === null ? "–" : JSON.stringify(c.before)}</td><td class="mono after">{c.after === null ? "–" : JSON.stringify(c.after)}</td></tr>)}</tbody></table>}</>}
              {shown > 1 && diff.problem && <ProblemBox problem={diff.problem} retry={diff.reload} />}
              <details><summary>Its settings</summary><pre>{JSON.stringify(r.settings, null, 2)}</pre></details>
              {r.revision !== current && who.value?.admin && <form class="row" onSubmit={(e) => { e.preventDefault(); void rollBack(r.revision) }}><Text label="Reason" value={reason} set={setReason} faults={back.problem ? faultsAt(back.problem.faults, "reason") : []} hint="Needed where it loosens." /><button class="primary" disabled={back.busy}>Roll back to revision {r.revision}</button></form>}
              {back.problem && faultsAt(back.problem.faults, "reason").length === 0 && <ProblemBox problem={back.problem} what="Not rolled back" />}
            </div>
          )}
        </li>
      ))}</ol>}
    </Section>
  );
}
