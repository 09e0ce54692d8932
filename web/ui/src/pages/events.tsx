// What happened, newest first, as it happens; and what happened before.
import { path as at } from "../api";
import { command, flags } from "../commands";
import { recent } from "../live";
import { query, withQuery } from "../route";
import type { Event, Page } from "../types";
import { useGet } from "../use";
import { Empty, Head, Link, ProblemBox, Waiting, When } from "../parts/basics";

const rows = 100;

/** What an event happened to, as a link to it where it may still be. */
function About({ e }: { e: Event }) {
  if (e.kind === "endpoint.attached" || /^endpoint\.(drifted|healed|failed)$/.test(e.kind)) return e.network ? <Link to={at`/networks/${e.network}/endpoints/${e.subject}`}>endpoint</Link> : null;
  const to = e.kind.startsWith("network.") ? at`/networks/${e.subject}` : e.kind.startsWith("parent.") ? at`/parents/${e.subject}` : e.kind.startsWith("policy.") ? at`/policies/${e.subject}` : e.kind.startsWith("module.") ? at`/modules/${e.subject}` : "";
  const decision = e.kind === "decision.denied" ? e.text.match(/decision (\d+)/)?.[1] : undefined;
  if (decision) return <Link to={`/decisions/${decision}`}>decision {decision}</Link>;
  return to && !e.kind.endsWith(".deleted") ? <Link to={to}>{e.kind.split(".")[0]}</Link> : null;
}

export function Events() {
  const q = query.value;
  const kind = q.get("kind") ?? "";
  const text = (q.get("q") ?? "").toLowerCase();
  // An event's number in the address shows it, and what came before it.
  const before = Number(q.get("before") ?? 0);
  const after = Math.max(0, before - 1 - rows);
  const old = useGet<Page<Event>>(before > 1 ? `/v1/events?after=${after}&limit=${rows}` : null, "once");
  const there = before > 1 ? (old.data?.items ?? []).filter((e) => e.seq < before).reverse() : recent.value;
  const all = there.filter((e) => (!kind || e.kind.startsWith(kind)) && (!text || `${e.subject} ${e.network ?? ""} ${e.text}`.toLowerCase().includes(text)));
  const kinds = [...new Set([...there.map((e) => e.kind), ...(kind ? [kind] : [])])].sort();
  const last = there.at(-1)?.seq ?? 0;
  return (
    <>
      <Head title="Events" command={command("event", "ls", ...flags("--kind", kind ? [kind] : []), ...flags("--after", before > 1 ? [String(after)] : []))} asked={{ method: "GET", path: before > 1 ? `/v1/events?after=${after}&limit=${rows}` : "/v1/events" }} />
      <div class="toolbar" role="search">
        <label class="sr" for="events-filter">Filter events</label><input id="events-filter" type="search" placeholder="Filter" value={q.get("q") ?? ""} onInput={(e) => withQuery({ q: e.currentTarget.value })} />
        <label class="inline">Kind <select value={kind} onChange={(e) => withQuery({ kind: e.currentTarget.value })}><option value="">any</option>{kinds.map((k) => <option key={k}>{k}</option>)}</select></label>
        {before ? <Link to="/events" class="button quiet">Newest</Link> : <span class="live" role="status">live</span>}
      </div>
      {old.problem && <ProblemBox problem={old.problem} retry={old.reload} />}
      {before > 1 && !old.data && !old.problem && <Waiting lines={8} />}
      {all.length === 0 && (before <= 1 || old.data) && <Empty title={there.length ? "No event fits" : "No event yet"} command="bulkhead event ls --follow">What the daemon does, what it denies, and what it finds changed behind its back, appears here.</Empty>}
      {all.length > 0 && <ol class="log events" aria-label="Events, newest first">{all.map((e) => <li key={e.seq}><Link to={`/events?before=${e.seq + 1}`} class="num" title={`Event ${e.seq}`}>{e.seq}</Link><span class="mono kind">{e.kind}</span><p>{e.text} <About e={e} /></p><When at={e.at} /></li>)}</ol>}
      {last > 1 && <p class="more"><button type="button" onClick={() => withQuery({ before: String(last) }, "push")}>Older</button></p>}
    </>
  );
}
