// The decision log, live, and one decision explained.
import { useState } from "preact/hooks";
import { ask, get, path as at } from "../api";
import { command, flags } from "../commands";
import { query, withQuery } from "../route";
import type { Decision, Heard, Module, Page, Policy, Replay } from "../types";
import { useDo, useGet } from "../use";
import { plural, sentence, short } from "../words";
import { Empty, Fact, Facts, Gone, Head, Icon, Link, ProblemBox, Section, State, Violations, Waiting, When } from "../parts/basics";

const operations = ["create-network", "change-network", "delete-network", "attach", "change-workload", "detach", "put-module", "delete-module", "put-policy", "delete-policy"];
const filters = ["verdict", "operation", "policy", "subject", "object", "network", "workload", "caller", "since", "until"] as const;

/** What a decision is about, as a link to it where it may still be. */
function Subject({ d }: { d: Decision }) {
  const name = d.operation.includes("module") ? short(d.subject) : d.subject;
  const to = d.operation.includes("policy") ? at`/policies/${d.subject}` : d.operation.includes("module") ? at`/modules/${d.subject}` : at`/networks/${d.subject}`;
  return <Link to={to} class={d.operation.includes("module") ? "mono" : ""}>{name}</Link>;
}

export function Sentence({ d }: { d: Decision }) {
  const [before, after] = sentence(d);
  return <>{before}<Subject d={d} />{after}.</>;
}

export function Decisions() {
  const q = query.value;
  const value = (key: string) => q.get(key) ?? "";
  const params = new URLSearchParams(filters.flatMap((f) => value(f) ? [[f, value(f)]] : []));
  const older = value("before");
  const path = `/v1/decisions?${new URLSearchParams([...params, ["limit", "50"], ...(older ? [["cursor", older]] : [])]).toString()}`;
  const { data, problem, reload } = useGet<Page<Decision>>(path, older ? "once" : "decision");
  const isFiltered = params.size > 0;
  const set = (key: string) => (v: string) => withQuery({ [key]: v, before: null });
  return (
    <>
      <Head title="Decisions" command={command("decision", "ls", ...filters.flatMap((f) => flags(`--${f}`, [value(f)].filter(Boolean))))} asked={{ method: "GET", path: path.replace("&limit=50", "").replace("limit=50", "").replace(/\?$/, "") }} />
      <div class="toolbar" role="search">
        <label class="inline">Verdict <select value={value("verdict")} onChange={(e) => set("verdict")(e.currentTarget.value)}><option value="">any</option>{["allowed", "denied", "forced"].map((v) => <option key={v}>{v}</option>)}</select></label>
        <label class="inline">Operation <select value={value("operation")} onChange={(e) => set("operation")(e.currentTarget.value)}><option value="">any</option>{operations.map((v) => <option key={v}>{v}</option>)}</select></label>
        {(["subject", "policy", "caller"] as const).map((f) => <label class="inline" key={f}>{f === "subject" ? "About" : f === "policy" ? "Policy" : "By"} <input value={value(f)} onChange={(e) => set(f)(e.currentTarget.value.trim())} size={12} /></label>)}
        <label class="inline">Since <input type="date" value={value("since").slice(0, 10)} onChange={(e) => set("since")(e.currentTarget.value)} /></label>
        <label class="inline">Until <input type="date" value={value("until").slice(0, 10)} onChange={(e) => set("until")(e.currentTarget.value)} /></label>
        {(["object", "network", "workload"] as const).map((f) => value(f) && <button type="button" key={f} class="chip" aria-pressed="true" onClick={() => set(f)("")}>{f} {value(f).length > 20 ? `${value(f).slice(0, 8)}…` : value(f)} ×</button>)}
        {isFiltered && <Link to="/decisions" class="button quiet">Clear</Link>}
        {!older && <span class="live" role="status">live</span>}
      </div>
      {problem && <ProblemBox problem={problem} retry={reload} />}
      {!data && !problem && <Waiting lines={8} />}
      {data?.items.length === 0 && <Empty title={isFiltered ? "No decision fits" : "No decision yet"} command="bulkhead decision ls">{isFiltered ? <Link to="/decisions">Show all of them</Link> : "Every request that changes something is decided, and stands here."}</Empty>}
      {data && data.items.length > 0 && (
        <ol class="log" aria-label="Decisions, newest first">
          {data.items.map((d) => (
            <li key={d.id} class={d.verdict}>
              <Link to={`/decisions/${d.id}`} class="num" title={`Decision ${d.id}`}>{d.id}</Link>
              <State is={d.verdict} />
              <div><p><Sentence d={d} /></p>{d.violations[0] && <p class="why">{d.violations[0].message}{d.violations.length > 1 && ` (and ${d.violations.length - 1} more)`}</p>}
                {d.heard.filter((h) => h.mode === "audit" && h.outcome === "deny").map((h) => <p key={h.policy} class="why">{h.policy} would have denied it (audit)</p>)}</div>
              <When at={d.at} />
            </li>
          ))}
        </ol>
      )}
      {data && (data.next || older) && <p class="more">{older && <button type="button" onClick={() => withQuery({ before: null }, "push")}>Newest</button>}{data.next && <button type="button" onClick={() => withQuery({ before: data.next }, "push")}>Older</button>}</p>}
    </>
  );
}

export function DecisionPage({ id }: { id: string }) {
  const { data: d, problem, reload } = useGet<Decision>(at`/v1/decisions/${id}`);
  return (
    <>
      <Head title={`Decision ${id}`} above={<><Link to="/decisions">Decisions</Link> /</>} command={command("decision", "inspect", id)} asked={{ method: "GET", path: at`/v1/decisions/${id}` }} />
      {problem && !d && (problem.status === 404 ? <Gone problem={problem} command="bulkhead decision ls"><Link to="/decisions">All decisions</Link></Gone> : <ProblemBox problem={problem} retry={reload} />)}
      {!d && !problem && <Waiting lines={8} />}
      {d && (
        <>
          <p class={`told-verdict ${d.verdict}`}><State is={d.verdict} /> <span><Sentence d={d} /></span></p>
          {d.violations.length > 0 && <Section title="Why"><Violations all={d.violations} /></Section>}
          {d.warnings.map((w) => <p key={w} class="warning"><Icon name="warn" />{w}</p>)}
          <Section title="Opinions">
            {d.heard.length === 0 ? <p class="dim">No policy was asked: {d.operation.includes("policy") || d.operation.includes("module") ? "policies do not judge changes of themselves." : "none was in scope."}</p> : <ul class="opinions wide">{d.heard.map((h) => <Opinion key={h.policy} h={h} />)}</ul>}
          </Section>
          {d.heard.length > 0 && <Again d={d} />}
          <Section title="On record"><Facts>
            <Fact name="When"><When at={d.at} /> <span class="dim mono small">{d.at}</span></Fact>
            <Fact name="Who">{d.caller.name}{d.caller.admin && " (admin)"} by {d.caller.door}, {d.caller.peer}{d.caller.groups.length > 0 && <span class="dim"> · {d.caller.groups.join(", ")}</span>}</Fact>
            {d.change.reason && <Fact name="Reason">{d.change.reason}</Fact>}
            {d.change.ticket && <Fact name="Ticket">{d.change.ticket}</Fact>}
            {d.change.approved_by && <Fact name="Approved by">{d.change.approved_by}</Fact>}
            {d.forced_because && <Fact name="Forced because">{d.forced_because}</Fact>}
            {d.outcomes.map((o) => <Fact key={o.plan} name="What came of it">{o.text} <When at={o.recorded_at} /></Fact>)}
          </Facts></Section>
          {d.plan && <Section title="What the kernel was told"><pre>{d.plan.trim()}</pre></Section>}
          <p class="more"><Link to={`/decisions/${d.id - 1}`} class="button">Decision {d.id - 1}</Link><Link to={`/decisions/${d.id + 1}`} class="button">Decision {d.id + 1}</Link></p>
        </>
      )}
    </>
  );
}

const Opinion = ({ h }: { h: Heard }) => (
  <li>
    <div class="opinion-head"><Link to={at`/policies/${h.policy}`}>{h.policy}</Link> <span class="dim">revision {h.revision}, {h.mode}</span> <State is={h.outcome} /></div>
    {h.broke && <p class="problem-title">It broke: {h.broke}</p>}
    {h.warnings.map((w) => <p key={w} class="warning">{w}</p>)}
    {h.notes.map((n) => <p key={n} class="dim">{n}</p>)}
    <p class="dim small">module <Link to={at`/modules/${h.module}`} class="mono">{short(h.module)}</Link>{h.fuel !== null && <> · {h.fuel.toLocaleString("en")} fuel</>}</p>
    {h.question !== undefined && <details><summary>What it was shown</summary><pre>{JSON.stringify(h.question, null, 2)}</pre></details>}
  </li>
);

/** The same question put again: to the policies as they were, and to another. */
function Again({ d }: { d: Decision }) {
  const [replay, setReplay] = useState<Replay | null>(null);
  const { busy, problem, run } = useDo();
  const other = query.value.get("with") ?? "";
  const policies = useGet<Page<Policy>>("/v1/policies?limit=500", "once");
  const modules = useGet<Page<Module>>("/v1/modules?limit=500", "once");
  const where = at`/v1/decisions/${d.id}/replay`;
  const ask_ = () => run(async () => {
    const [kind, ...name] = other.split(":");
    setReplay(kind === "module" ? await ask<Replay>("POST", where, { name: "tried", module: name.join(":"), settings: {} })
      : await get<Replay>(where + (other ? `?policy=${encodeURIComponent(name.join(":"))}` : "")));
  });
  const said = replay?.with;
  return (
    <Section title="Ask again" acts={<button type="button" disabled={busy} onClick={ask_}>{busy ? "Asking…" : "Replay"}</button>}>
      <p class="dim">The same module, settings and question give the same opinion forever. A replay shows it, and changes nothing.</p>
      <label class="inline">Try with another policy <select value={other} onChange={(e) => { setReplay(null); withQuery({ with: e.currentTarget.value }) }}><option value="">no other</option>
        <optgroup label="Policies">{policies.data?.items.map((p) => <option key={p.name} value={`policy:${p.name}`}>{p.name} ({p.mode})</option>)}</optgroup>
        <optgroup label="Modules, without settings">{modules.data?.items.map((m) => <option key={m.digest} value={`module:${m.digest}`}>{m.description.name} {m.description.version}</option>)}</optgroup></select></label>
      {problem && <ProblemBox problem={problem} />}
      <div role="status">{replay && (
        <>
          <p class={`told-verdict ${replay.same ? "allowed" : replay.comparable === false ? "" : "denied"}`}><State is={replay.same ? "same" : replay.comparable === false ? "not comparable" : "other"} /> <span>{replay.same ? `All ${plural(replay.policies.length, "policy", "policies")} say what they said; the verdict is ${replay.verdict} again.` : replay.comparable === false ? "Another engine, or a limit that time decided: it cannot be compared." : `Not the same: the verdict would be ${replay.verdict}.`}</span></p>
          <ul class="opinions">{replay.policies.map((p) => <li key={p.then.policy}><span>{p.then.policy}</span> <State is={p.then.outcome} /> → {p.now ? <State is={p.now.outcome} /> : <span class="dim">{p.why_not}</span>}</li>)}</ul>
          {said && <div class="tried"><h3>The other policy {said.says ? said.denies ? "would deny it" : "has nothing against it" : "does not judge this operation"}</h3>
            {said.says && <ul class="opinions wide"><Opinion h={said.says} /></ul>}
            {said.says && said.says.violations.length > 0 && <Violations all={said.says.violations} />}
            {said.not_shown.length > 0 && <p class="dim">It looks at {said.not_shown.join(", ")}, too, which was not recorded then: it was shown {said.shown_as}'s question.</p>}</div>}
        </>
      )}</div>
      <p class="dim">To see what it would say to all that exists, rehearse it: {other ? <Link to={other.startsWith("policy:") ? at`/policies/${other.slice(7)}?asked=${d.id}` : at`/policies/new?module=${other.slice(7)}&asked=${d.id}`}>as a policy</Link> : "choose one."}</p>
    </Section>
  );
}
