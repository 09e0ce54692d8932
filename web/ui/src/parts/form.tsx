// Fields of forms. Each shows what was wrong with it, and what would be right, beside itself.
import type { ComponentChildren, LooseInputHTMLAttributes } from "preact";
import { useId, useState } from "preact/hooks";
import type { Dry } from "../use";
import type { Fault, Labels } from "../types";
import { Icon, ProblemBox, State, Violations } from "./basics";

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
      {run && run.decision.heard.length > 0 && <ul class="opinions">{run.decision.heard.map((h) => <li key={h.policy}><span>{h.policy}</span>{h.mode === "audit" && <State is="audit" />}<State is={h.outcome} /></li>)}</ul>}
      {run?.plan.text && <details open><summary>The plan: {run.plan.steps.length} steps</summary><pre>{run.plan.text.trim()}</pre></details>}
    </aside>
  );
}
