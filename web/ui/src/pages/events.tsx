// What happened, newest first, as it happens.
import { command } from "../commands";
import { recent } from "../live";
import { query, withQuery } from "../route";
import { Empty, Head, When } from "../parts/basics";

export function Events() {
  const kind = query.value.get("kind") ?? "";
  const text = (query.value.get("q") ?? "").toLowerCase();
  const all = recent.value.filter((e) => (!kind || e.kind === kind) && (!text || `${e.subject} ${e.text}`.toLowerCase().includes(text)));
  const kinds = [...new Set(recent.value.map((e) => e.kind))].sort();
  return (
    <>
      <Head title="Events" command={command("event", "ls")} asked={{ method: "GET", path: "/v1/events" }} />
      <div class="toolbar" role="search">
        <label class="sr" for="events-filter">Filter events</label><input id="events-filter" type="search" placeholder="Filter" value={query.value.get("q") ?? ""} onInput={(e) => withQuery({ q: e.currentTarget.value })} />
        <label class="inline">Kind <select value={kind} onChange={(e) => withQuery({ kind: e.currentTarget.value })}><option value="">any</option>{[...new Set([...kinds, ...(kind ? [kind] : [])])].map((k) => <option key={k}>{k}</option>)}</select></label>
        <span class="live" role="status">live</span>
      </div>
      {all.length === 0 ? <Empty title={recent.value.length ? "No event fits" : "No event yet"} command="bulkhead event ls --watch">What the daemon does, and what it finds changed behind its back, appears here.</Empty>
        : <ol class="log events" aria-label="Events, newest first">{all.map((e) => <li key={e.seq}><span class="num">{e.seq}</span><span class="mono kind">{e.kind}</span><p>{e.text}</p><When at={e.at} /></li>)}</ol>}
    </>
  );
}
