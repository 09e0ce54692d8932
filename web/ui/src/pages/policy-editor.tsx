// The form of a policy: settings, mode and scope as a draft, and what the draft would do above the button that makes it so.
import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";
import { type Asked, Problem, ask, path as at } from "../api";
import { command, flags } from "../commands";
import { wordsOf } from "../labels";
import { lookNow } from "../live";
import { go, query, withQuery } from "../route";
import { who } from "../session";
import type { Fault, Module, Policy, Rehearsal, Rehearsed } from "../types";
import { asProblem, useDo } from "../use";
import { isPlain, plural } from "../words";
import { Link, ProblemBox, State } from "../parts/basics";
import { Choice, LabelsField, Text, faultsAt } from "../parts/form";
import { SchemaForm } from "../parts/schema";

const modes: [string, string][] = [["enforce", "enforce: denies"], ["audit", "audit: asked and recorded only"], ["off", "off: not asked"]];

interface Draft { name: string; module: string; mode: string; settings: Record<string, unknown>; operations: string[]; networks: string; network_labels: Record<string, string>; contact: string; url: string; message: string; until: string; then: string }

function draftOf(p: Policy | null, m: Module | null): Draft {
  return {
    name: p?.name ?? "", module: p?.module ?? m?.digest ?? "", mode: p?.mode ?? "audit", settings: p?.settings ?? {}, operations: p?.scope.operations ?? [], networks: p?.scope.networks.join(" ") ?? "",
    network_labels: p?.scope.network_labels ?? {}, contact: p?.help?.contact ?? "", url: p?.help?.url ?? "", message: p?.help?.message ?? "", until: p?.until ?? "", then: p?.then ?? "",
  };
}

/** What is asked for. Stored tests are no part of the form, and stay as they are. */
function wishOf(d: Draft, policy: Policy | null): Record<string, unknown> {
  const help = Object.fromEntries(Object.entries({ contact: d.contact, url: d.url, message: d.message }).filter(([, v]) => v));
  const scope = { ...(d.operations.length ? { operations: d.operations } : {}), ...(d.networks.trim() ? { networks: d.networks.trim().split(/[\s,]+/) } : {}), ...(Object.keys(d.network_labels).length ? { network_labels: d.network_labels } : {}) };
  return { name: d.name, module: d.module, settings: d.settings, mode: d.mode, ...(d.until ? { until: d.until, then: d.then || "enforce" } : {}), ...(Object.keys(scope).length ? { scope } : {}), ...(Object.keys(help).length ? { help } : {}), ...(policy?.tests ? { tests: policy.tests } : {}) };
}

/** A draft is in the address as what differs from what is there, as long as an address may reasonably be. */
const draftMax = 4_000;
function useDraft(base: Draft): [Draft, (change: Partial<Draft>) => void] {
  const [draft, setDraft] = useState<Draft>(() => {
    try {
      const kept: unknown = JSON.parse(query.value.get("draft") ?? "{}");
      return isPlain(kept) ? { ...base, ...Object.fromEntries(Object.entries(kept).filter(([k, v]) => k in base && typeof v === typeof base[k as keyof Draft])) } : base;
    } catch { return base }
  });
  return [draft, (change) => {
    const next = { ...draft, ...change };
    setDraft(next);
    const others = JSON.stringify(Object.fromEntries(Object.entries(next).filter(([k, v]) => JSON.stringify(v) !== JSON.stringify(base[k as keyof Draft]))));
    withQuery({ draft: others === "{}" || others.length > draftMax ? null : others });
  }];
}

/** The same by the command line: what differs from what is there. */
function asCommand(policy: Policy | null, wish: Record<string, unknown>, draft: Draft, reason: string): string {
  const before = policy ? wishOf(draftOf(policy, null), policy) : {};
  const isOther = (key: string) => JSON.stringify(before[key]) !== JSON.stringify(wish[key]);
  const words = [
    ...(!policy || isOther("module") ? ["--module", draft.module] : []), ...(isOther("settings") ? ["--settings", JSON.stringify(draft.settings)] : []), ...(isOther("mode") ? ["--mode", draft.mode] : []),
    ...(isOther("until") || isOther("then") ? ["--until", draft.until, "--then", draft.then || "enforce"] : []),
    ...(isOther("scope") ? [...flags("--operation", draft.operations), ...flags("--network", draft.networks.split(/[\s,]+/).filter(Boolean)), ...flags("--network-label", wordsOf(draft.network_labels))] : []),
    ...(isOther("help") ? [...flags("--contact", [draft.contact].filter(Boolean)), ...flags("--help-url", [draft.url].filter(Boolean)), ...flags("--help-message", [draft.message].filter(Boolean))] : []),
    ...flags("--reason", [reason].filter(Boolean)),
  ];
  return policy ? words.length ? command("policy", "set", policy.name, ...words) : command("policy", "inspect", policy.name) : command("policy", "create", draft.name || "NAME", ...words);
}

export interface Copies { command: string; asked: Asked }

/** Settings, mode and scope, with what the change would do above the button that makes it. `head` gets what "copy as …" copies. */
export function Editor({ policy, module, head, children }: { policy: Policy | null; module: Module | null; head: (copies: Copies) => ComponentChildren; children?: ComponentChildren }) {
  const [draft, put] = useDraft(draftOf(policy, module));
  const [reason, setReason] = useState("");
  const [rehearsed, setRehearsed] = useState<{ data: Rehearsal | null; problem: Problem | null; asking: boolean }>({ data: null, problem: null, asking: false });
  const { busy, problem, run } = useDo();
  const wish = wishOf(draft, policy);
  const description = policy?.description ?? module?.description;
  const isChanged = !policy || JSON.stringify(wish) !== JSON.stringify(wishOf(draftOf(policy, module), policy));
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
    const made = await ask<Policy>(asked.method, asked.path, wish);
    await lookNow();
    if (policy) withQuery({ draft: null });
    else go(at`/policies/${made.name}`);
  });
  const asked = { method: policy ? "PUT" : "POST", path: (policy ? at`/v1/policies/${policy.name}` : "/v1/policies") + (reason ? `?reason=${encodeURIComponent(reason)}` : ""), body: wish };
  const copies = policy && !isChanged ? { command: command("policy", "inspect", policy.name), asked: { method: "GET", path: at`/v1/policies/${policy.name}` } } : { command: asCommand(policy, wish, draft, reason), asked };
  const verb = draft.mode === "enforce" ? "Enforce" : draft.mode === "audit" ? "Put in audit" : "Turn off";
  const label = busy ? "Saving…" : policy ? `${policy.mode === draft.mode ? "Save" : verb} as revision ${policy.revision + 1}` : `${verb} it`;
  return (
    <>
    {head(copies)}
    {children}
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
    </>
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
