// What every page is made of.
import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import type { Asked, Problem } from "../api";
import { request } from "../commands";
import { href } from "../route";
import { look, tierKey, untiered } from "../tiers";
import type { Labels, Violation } from "../types";
import { when } from "../words";

type Children = { children?: ComponentChildren };

export const Link = ({ to, children, ...rest }: { to: string; class?: string; title?: string; "aria-current"?: "page" | undefined } & Children) => <a href={href(to)} {...rest}>{children}</a>;

const icons: Record<string, string> = {
  shield: "M8 1.5 13.5 3.5V8c0 3.2-2.3 5.4-5.5 6.5C4.800 13.400 2.500 11.200 2.500 8V3.500Z",
  warn: "M8 1.800 15 14H1ZM8 6.200v3.600M8 11.800v.4", ok: "M3 8.500 6.500 12 13 4.500", no: "M3.500 3.500l9 9M12.500 3.500l-9 9", copy: "M5.500 5.500v-3h8v8h-3M2.500 5.500h8v8h-8Z",
  plus: "M8 3v10M3 8h10", out: "M6.500 3h-4v10h4M6 8h7M10.500 5.500 13 8l-2.500 2.500", theme: "M8 2.500a5.500 5.500 0 1 0 0 11Z M8 2.500a5.500 5.500 0 0 1 0 11", print: "M4.500 6V2.500h7V6M4.500 11h-2V6h11v5h-2M4.500 9.500h7v4h-7Z",
  lock: "M4 7.500h8v6H4ZM5.500 7.500V5a2.500 2.500 0 0 1 5 0v2.500", eye: "M1.500 8S4 3.500 8 3.500 14.500 8 14.500 8 12 12.500 8 12.500 1.500 8 1.500 8ZM8 6.200a1.800 1.800 0 1 0 0 3.600 1.800 1.800 0 0 0 0-3.600Z",
};
export const Icon = ({ name }: { name: string }) => <svg class="icon" viewBox="0 0 16 16" aria-hidden="true"><path d={icons[name] ?? ""} /></svg>;

/** The head of a page: its name, what can be done, and the same by the command line and by the API. */
export function Head({ title, above, children, command, asked }: { title: ComponentChildren; above?: ComponentChildren; command: string; asked: Asked } & Children) {
  return (
    <header class="head">
      <div class="head-title">{above && <p class="above">{above}</p>}<h1 tabIndex={-1}>{title}</h1></div>
      <div class="head-acts">
        {children}
        <span class="copies"><Copy what="command" text={command} /><Copy what="request" text={request(asked)} /></span>
      </div>
    </header>
  );
}

export function Copy({ what, text }: { what: string; text: string }) {
  const [done, setDone] = useState<"" | "copied" | "shown">("");
  useEffect(() => {
    if (done !== "copied") return;
    const timer = setTimeout(() => setDone(""), 2000);
    return () => clearTimeout(timer);
  }, [done]);
  const copy = () => {
    // Not there without a secure context: then it is shown, to be copied by hand.
    if (navigator.clipboard) navigator.clipboard.writeText(text).then(() => setDone("copied"), () => setDone("shown"));
    else setDone("shown");
  };
  return (
    <>
      <button type="button" class="quiet" onClick={copy} title={text}><Icon name={done === "copied" ? "ok" : "copy"} />{done === "copied" ? "Copied" : `Copy as ${what}`}</button>
      <span class="sr" role="status">{done === "copied" ? `${what} copied` : ""}</span>
      {done === "shown" && <textarea class="shown mono" readOnly aria-label={`The ${what}`} value={text} onFocus={(e) => e.currentTarget.select()} onBlur={() => setDone("")} ref={(e) => e?.focus()} />}
    </>
  );
}

/** Grey lines where something is about to be. What is asked for ends by an answer or a problem, never by neither. */
export const Waiting = ({ lines = 4 }: { lines?: number }) => <div class="waiting" role="status" aria-label="Loading">{Array.from({ length: lines }, (_, i) => <span key={i} />)}</div>;

/** Nothing is there: says so, and how something would be. */
export const Empty = ({ title, children, command }: { title: string; command?: string } & Children) => (
  <div class="empty"><p class="empty-title">{title}</p>{children && <p>{children}</p>}{command && <code class="block">{command}</code>}</div>
);

/** What was asked for is not there: says so, and what is near it. */
export const Gone = ({ problem, command, children }: { problem: Problem; command: string } & Children) => {
  const fault = problem.faults[0];
  return <Empty title={fault?.wrong ?? problem.message} command={command}>{fault?.right.startsWith("did you mean") && <>{fault.right} </>}{children}</Empty>;
};

export function ProblemBox({ problem, retry, what }: { problem: Problem; retry?: () => void; what?: string }) {
  const next = problem.isAway ? "systemctl status bulkhead" : undefined;
  return (
    <div class="problem" role="alert">
      <p class="problem-title"><Icon name="warn" />{what ? `${what}: ` : ""}{problem.title}</p>
      {problem.faults.length === 0 && problem.violations.length === 0 && <p>{problem.message}</p>}
      {problem.faults.length > 0 && <ul>{problem.faults.map((f) => <li key={f.field + f.wrong}>{f.field && <code>{f.field}</code>} {f.wrong}{f.right && <><br /><span class="right">{f.right}</span></>}</li>)}</ul>}
      {problem.violations.length > 0 && <Violations all={problem.violations} />}
      {problem.decision !== undefined && <p><Link to={`/decisions/${problem.decision}`}>Decision {problem.decision}</Link> has all of it.</p>}
      {next && <code class="block">{next}</code>}
      {retry && <button type="button" onClick={retry}>Try again</button>}
    </div>
  );
}

/** What was wrong and what would be right, by rule. */
export const Violations = ({ all }: { all: Violation[] }) => (
  <ul class="violations">
    {all.map((v) => (
      <li key={v.policy + v.rule + v.message}>
        <p class="rule"><Link to={`/policies/${v.policy}`}>{v.policy}</Link> · <span class="mono">{v.rule}</span>{v.field && <> · <span class="mono">{v.field}</span></>}</p>
        <p>{v.message}</p>
        {v.remedy && <p class="right">{v.remedy}</p>}
        {v.help && <p class="help">{v.help.message} {v.help.contact && <>Ask {v.help.contact}. </>}{v.help.url && <a href={v.help.url} rel="noreferrer noopener" target="_blank">Read more</a>}</p>}
      </li>
    ))}
  </ul>
);

const tones: Record<string, string> = {
  ready: "good", attached: "good", present: "good", allowed: "good", allow: "good", up: "good", enforce: "good", ok: "good", same: "good",
  degraded: "bad", failed: "bad", lost: "bad", denied: "bad", deny: "bad", down: "bad", broke: "bad", unfit: "dim",
  forced: "warn", bypassed: "warn", audit: "warn", creating: "busy", deleting: "busy", attaching: "busy", detaching: "busy", making: "busy", removing: "busy",
};
export const tone = (state: string): string => tones[state] ?? "dim";
export const State = ({ is, title }: { is: string; title?: string | null }) => <span class={`state ${tone(is)}`} title={title ?? undefined}>{is}</span>;

/** A tier by colour, pattern and name. */
export const Tier = ({ name }: { name: string }) => <span class={`tier t${look(name)}`}><i aria-hidden="true" />{name}</span>;
export const LabelList = ({ labels }: { labels: Labels }) => {
  const entries = Object.entries(labels);
  if (entries.length === 0) return <span class="dim">{untiered}</span>;
  return <span class="labels">{entries.map(([k, v]) => k === tierKey.value ? <Tier key={k} name={v} /> : <span key={k} class="label">{k}={v}</span>)}</span>;
};
export const When = ({ at }: { at: string }) => <time dateTime={at} title={at}>{when(at)}</time>;

/** Facts, as names and values. */
export const Facts = ({ children }: Children) => <dl class="facts">{children}</dl>;
export const Fact = ({ name, children }: { name: string } & Children) => <div><dt>{name}</dt><dd>{children}</dd></div>;

export const Section = ({ title, id, acts, children }: { title: ComponentChildren; id?: string; acts?: ComponentChildren } & Children) => (
  <section class="card" id={id}><div class="card-head"><h2>{title}</h2>{acts}</div>{children}</section>
);

/** A dialog that asks before something goes. */
export function Ask({ title, open, close, children }: { title: string; open: boolean; close: () => void } & Children) {
  const ref = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const dialog = ref.current;
    if (!dialog) return;
    if (open && !dialog.open) dialog.showModal();
    if (!open && dialog.open) dialog.close();
  }, [open]);
  return <dialog ref={ref} onClose={close} aria-label={title}>{open && <><h2>{title}</h2>{children}</>}</dialog>;
}

/** Rows that grow as one asks for more: a browser need not draw ten thousand of them. */
export function useMore<T>(rows: T[], step = 200): [T[], ComponentChildren] {
  const [shown, set] = useState(step);
  const rest = rows.length - shown;
  const more = rest > 0 ? <p class="more"><button type="button" onClick={() => set(shown + step)}>Show {Math.min(step, rest)} more of {rest.toLocaleString("en")}</button></p> : null;
  return [rows.slice(0, shown), more];
}
