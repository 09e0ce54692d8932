// Policies and modules: what is there, upload, revisions.
import { useRef, useState } from "preact/hooks";
import { Problem, ask, path as at } from "../api";
import { command } from "../commands";
import { lookNow } from "../live";
import { query, withQuery } from "../route";
import { who } from "../session";
import type { Decision, Diff, Module, Page, Policy, Standing, Status } from "../types";
import { asProblem, useDo, useGet } from "../use";
import { plural, short } from "../words";
import { Ask, Empty, Fact, Facts, Gone, Head, Icon, Link, ProblemBox, Section, State, Waiting, When } from "../parts/basics";
import { Choice, Text, faultsAt } from "../parts/form";
import { Remove } from "./networks";
import { type Copies, Editor } from "./policy-editor";

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
          <Fares s={p.status} />
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

/** A policy that cannot be asked, or that breaks: what it judges is then denied, which somebody should hear before they ask. */
function Fares({ s }: { s: Status | undefined }) {
  if (!s || (s.loaded && !s.broke_since)) return null;
  return (
    <div class="problem" role="alert">
      <p class="problem-title"><Icon name="warn" />{s.loaded ? <span>It breaks: {plural(s.breaks_in_a_row ?? 1, "time")} in a row since <When at={s.broke_since!} /></span> : "It cannot be loaded"}</p>
      <p>{s.broke ?? s.why_not}. What it judges is denied while it is enforced; after ten in a row it is not asked any more until a new revision or a new start.</p>
      <code class="block">bulkhead policy ls -o yaml</code>
    </div>
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
      {m.status && <Fact name="Limits">{Object.entries(m.status.limits).map(([k, v]) => <span key={k} class="label">{k} {v.toLocaleString("en")}</span>)}</Fact>}
      <Fact name="Is shown">{m.description.needs.join(", ") || "the request alone"}</Fact>
      <Fact name="Digest"><span class="mono small">{"digest" in m ? m.digest : <Link to={at`/modules/${m.module}`}>{m.module}</Link>}</span></Fact>
    </Facts>
    {m.description.rules.length > 0 && <table class="compact"><thead><tr><th>Rule</th><th>Sees to</th><th>Serves</th></tr></thead><tbody>{m.description.rules.map((r) => <tr key={r.id}><td class="mono">{r.id}</td><td>{r.summary}</td><td>{r.controls.join(", ")}</td></tr>)}</tbody></table>}
  </Section>
);

export function NewPolicy() {
  const modules = useGet<Page<Module>>("/v1/modules?limit=500");
  const digest = query.value.get("module") ?? "";
  const m = modules.data?.items.find((x) => x.digest === digest) ?? null;
  const above = <><Link to="/policies">Policies</Link> /</>;
  return (
    <>
      {!m && <Head title="New policy" above={above} command={command("policy", "create", "NAME", "--module", digest || "MODULE")} asked={{ method: "POST", path: "/v1/policies", body: { name: "NAME", module: digest || "sha256:…" } }} />}
      {m && <Editor key={m.digest} policy={null} module={m} head={(copies) => <Head title="New policy" above={above} {...copies} />}><ModuleChoice digest={digest} all={modules.data!.items} /></Editor>}
      {modules.problem && <ProblemBox problem={modules.problem} retry={modules.reload} />}
      {!modules.data && !modules.problem && <Waiting />}
      {modules.data && <>
        {!m && <ModuleChoice digest={digest} all={modules.data.items} />}
        {digest && !m && <Empty title="There is no such module" command="bulkhead module ls"><Link to="/policies">Upload it</Link></Empty>}
        {m && <Describe m={m} />}
      </>}
    </>
  );
}

const ModuleChoice = ({ digest, all }: { digest: string; all: Module[] }) => (
  <section class="card"><Choice label="Module" value={digest} set={(module) => withQuery({ module })} of={[["", "choose one"], ...all.map((x): [string, string] => [x.digest, `${x.description.name} ${x.description.version} – ${x.description.summary}`])]} hint={<Link to="/policies">Upload another</Link>} /></section>
);

export function PolicyPage({ name }: { name: string }) {
  const { data: p, problem, reload } = useGet<Policy>(at`/v1/policies/${name}`);
  const standing = useGet<Page<Standing>>(`/v1/violations?policy=${encodeURIComponent(name)}`);
  const isRemoving = query.value.has("delete");
  const head = (copies: Copies) => <Head title={name} above={<><Link to="/policies">Policies</Link> /</>} {...copies}>{p && who.value?.admin && <button type="button" class="quiet danger" onClick={() => withQuery({ delete: "1" }, "push")}>Delete</button>}</Head>;
  return (
    <>
      {!p && head({ command: command("policy", "inspect", name), asked: { method: "GET", path: at`/v1/policies/${name}` } })}
      {problem && !p && (problem.status === 404 ? <><Gone problem={problem} command="bulkhead policy ls"><Link to="/policies">All policies</Link></Gone><Revisions name={name} current={0} /></> : <ProblemBox problem={problem} retry={reload} />)}
      {!p && !problem && <Waiting lines={6} />}
      {p && (
        <>
          <Editor key={`${p.name} ${p.revision}`} policy={p} module={null} head={head}>
          <p class="summary"><State is={p.mode} /> revision {p.revision} of <Link to={at`/modules/${p.module}`}>{p.description.name} {p.description.version}</Link>{p.until && <> · {p.then} from {p.until}</>} · <Link to={`/decisions?policy=${encodeURIComponent(name)}`}>decisions it was asked about</Link></p>
          {p.mode === "audit" && <WouldDeny name={name} />}
          <Fares s={p.status} />
          {!!p.tests?.cases?.length && <p class="dim">{plural(p.tests.cases.length, "stored test")}: a revision that breaks one is refused.</p>}
          </Editor>
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
