// Fields of forms. Each shows what was wrong with it, and what would be right, beside itself.
import type { ComponentChildren, LooseInputHTMLAttributes } from "preact";
import { useId, useState } from "preact/hooks";
import { path } from "../api";
import type { Dry } from "../use";
import type { Fault, Heard, Labels } from "../types";
import { isPlain } from "../words";
import { Icon, Link, ProblemBox, State, Violations } from "./basics";

export const faultsAt = (faults: Fault[], field: string): Fault[] => faults.filter((f) => f.field === field);

interface FieldProps { label: string; hint?: ComponentChildren; faults?: Fault[] | undefined }

export function Field({ label, hint, faults = [], children }: FieldProps & { children: (ids: { id: string; "aria-describedby": string; "aria-invalid": boolean }) => ComponentChildren }) {
  const id = useId();
  return (
    <div class={faults.length ? "field wrong" : "field"}>
      <label for={id}>{label}</label>
      {children({ id, "aria-describedby": `${id}-hint`, "aria-invalid": faults.length > 0 })}
      <p class="hint" id={`${id}-hint`}>{faults.length ? faults.map((f) => <span key={f.wrong} class="fault">{f.wrong}{f.right && <>; <b>{f.right}</b></>}</span>) : hint}</p>
    </div>
  );
}

type InputProps = { type?: "text" | "number" } & Partial<Pick<LooseInputHTMLAttributes, "required" | "placeholder" | "class" | "min" | "max" | "step" | "disabled" | "autoFocus" | "inputMode" | "onKeyDown">>;
export function Text({ label, hint, faults, value, set, type = "text", ...rest }: FieldProps & InputProps & { value: string; set: (value: string) => void }) {
  return <Field label={label} hint={hint} faults={faults}>{(ids) => <input type={type as "text"} autoComplete="off" spellcheck={false} {...(rest as object)} {...ids} value={value} onInput={(e) => set(e.currentTarget.value)} />}</Field>;
}
export function Choice({ label, hint, faults, value, set, of }: FieldProps & { value: string; set: (value: string) => void; of: (string | [string, string])[] }) {
  return (
    <Field label={label} hint={hint} faults={faults}>{(ids) => (
      <select {...ids} value={value} onChange={(e) => set(e.currentTarget.value)}>
        {of.map((o) => typeof o === "string" ? <option key={o} value={o}>{o}</option> : <option key={o[0]} value={o[0]}>{o[1]}</option>)}
      </select>
    )}</Field>
  );
}
export const Check = ({ label, value, set, hint }: { label: string; value: boolean; set: (value: boolean) => void; hint?: ComponentChildren }) => (
  <label class="check"><input type="checkbox" checked={value} onChange={(e) => set(e.currentTarget.checked)} /><span>{label}{hint && <small>{hint}</small>}</span></label>
);

/** Labels as `key=value` words; `known` are offered. */
export function LabelsField({ label, labels, set, faults, hint }: FieldProps & { labels: Labels; set: (labels: Labels) => void }) {
  const [text, setText] = useState(Object.entries(labels).map(([k, v]) => `${k}=${v}`).join(" "));
  const words = text.split(/[\s,]+/).filter(Boolean);
  const odd = words.filter((w) => !/^[^=]+=.*$/.test(w));
  const own: Fault[] = odd.map((w) => ({ field: "labels", wrong: `${w} is not a label`, right: "key=value" }));
  return (
    <Text label={label} hint={hint ?? "key=value, several with spaces between"} faults={[...(faults ?? []), ...own]} value={text} placeholder="tier=cards owner=payments"
      set={(t) => {
        setText(t);
        set(Object.fromEntries(t.split(/[\s,]+/).filter((w) => w.includes("=") && !w.startsWith("=")).map((w) => [w.slice(0, w.indexOf("=")), w.slice(w.indexOf("=") + 1)])));
      }} />
  );
}

/** Opinions of one policy that are alike, once, with how many there are. */
function counted(heard: Heard[]): [Heard, number][] {
  const all = new Map<string, [Heard, number]>();
  for (const h of heard) {
    const key = h.policy + h.outcome;
    const found = all.get(key);
    if (found) found[1]++;
    else all.set(key, [h, 1]);
  }
  return [...all.values()];
}

interface About { operation?: string; network?: { name?: string }; workload?: { name?: string; id?: string } | null }

/** Who beside what changes would be denied by the change. The first that is heard of is what changes itself. */
function Beside({ heard }: { heard: Heard[] }) {
  const about = (h: Heard): About => (isPlain(h.question) ? h.question : {}) as About;
  const first = heard[0] && about(heard[0]);
  if (!first?.operation?.startsWith("change-")) return null;
  const name = (a: About) => `${a.network?.name ?? ""} ${a.workload?.name ?? ""}`;
  const denied = new Map(heard.filter((h) => h.outcome === "deny" || h.outcome === "broke").filter((h) => name(about(h)) !== name(first)).map((h) => [name(about(h)), h]));
  if (denied.size === 0) return null;
  return (
    <section class="beside">
      <h3>Beside it, and denied by the change: {denied.size}</h3>
      <ul>{[...denied].slice(0, 20).map(([key, h]) => {
        const { network, workload } = about(h);
        return <li key={key}>{workload ? <>{workload.name} on </> : "network "}<Link to={path`/networks/${network?.name ?? ""}`}>{network?.name}</Link> <span class="dim">by {h.policy}{h.mode === "audit" && " (audit)"}</span></li>;
      })}</ul>
      {denied.size > 20 && <p class="dim">and {denied.size - 20} more</p>}
    </section>
  );
}

/** What would come of it: verdict, what policies say, and the plan. Spoken, too. */
export function DryRunBox({ dry, idle }: { dry: Dry; idle: string }) {
  const { run, problem, isAsking } = dry;
  const verdict = run ? run.already ? "already there" : run.decision.verdict : problem ? "wrong" : "";
  return (
    <aside class={`dry ${run?.decision.verdict ?? ""}`} aria-label="What would happen">
      <div class="dry-head">
        <h2>What would happen</h2>
        <span role="status">{isAsking && !run && !problem ? <span class="dim">asking…</span> : run ? run.already ? <State is="ok" title="already there" /> : <State is={run.decision.verdict} /> : problem && !problem.isAway ? <span class="dim">not yet a request</span> : null}<span class="sr">{verdict}</span></span>
      </div>
      {!run && !problem && !isAsking && <p class="dim">{idle}</p>}
      {problem && (problem.faults.length ? <ul class="plain">{problem.faults.map((f) => <li key={f.field + f.wrong}><code>{f.field || "request"}</code> {f.wrong}; <span class="right">{f.right}</span></li>)}</ul> : <ProblemBox problem={problem} />)}
      {run?.already && <p>It is on record already: asking again changes nothing.</p>}
      {run && run.decision.violations.length > 0 && <Violations all={run.decision.violations} />}
      {run && run.decision.warnings.map((w) => <p key={w} class="warning"><Icon name="warn" />{w}</p>)}
      {run && <Beside heard={run.decision.heard} />}
      {run && run.decision.heard.length > 0 && <ul class="opinions" aria-label="What each policy says">{counted(run.decision.heard).map(([h, times]) => <li key={h.policy + h.outcome}><span>{h.policy}{times > 1 && <span class="dim"> × {times}</span>}</span>{h.mode === "audit" && <State is="audit" />}<State is={h.outcome} /></li>)}</ul>}
      {run?.plan.text && <details open><summary>The plan: {run.plan.steps.length} steps</summary><pre>{run.plan.text.trim()}</pre></details>}
    </aside>
  );
}
