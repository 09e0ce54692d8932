// The dashboard: what is around every page, and which page it is.
import "./style.css";
import { effect } from "@preact/signals";
import { type ComponentChildren, render } from "preact";
import { useEffect } from "preact/hooks";
import { Problem, base, get, send } from "./api";
import { health, lookNow, lost, networks } from "./live";
import { followLinks, path, route } from "./route";
import { type Who, session, state, who } from "./session";
import { Empty, Icon, Link, Waiting } from "./parts/basics";
import { DecisionPage, Decisions } from "./pages/decisions";
import { Events } from "./pages/events";
import { Login, logIn } from "./pages/login";
import { EndpointPage, NetworkPage, Networks } from "./pages/networks";
import { ModulePage, NewPolicy, Policies, PolicyPage } from "./pages/policies";
import { Segmentation } from "./pages/segmentation";
import { Topology } from "./pages/topology";
import { Attach, CreateNetwork, Parents } from "./pages/wishes";

const nav: [string, string][] = [["/", "Topology"], ["/networks", "Networks"], ["/parents", "Parents"], ["/policies", "Policies"], ["/decisions", "Decisions"], ["/segmentation", "Segmentation"], ["/events", "Events"]];

type Match = (parts: string[]) => [string, ComponentChildren] | null;
const page: Match = ([a, b, c, d, ...rest]) => {
  if (rest.length) return null;
  if (!a) return ["Topology", <Topology />];
  if (a === "networks") {
    if (!b) return ["Networks", <Networks />];
    if (b === "new" && !c) return ["New network", <CreateNetwork />];
    if (!c) return [b, <NetworkPage key={b} name={b} />];
    if (c === "attach" && !d) return [`Attach to ${b}`, <Attach key={b} network={b} />];
    if (c === "endpoints" && d) return [`Endpoint on ${b}`, <EndpointPage key={d} network={b} id={d} />];
    return null;
  }
  if (c) return null;
  if (a === "parents") return [b ?? "Parents", b ? <Parents link={b} /> : <Parents />];
  if (a === "policies") return !b ? ["Policies", <Policies />] : b === "new" ? ["New policy", <NewPolicy />] : [b, <PolicyPage key={b} name={b} />];
  if (a === "modules" && b) return ["Module", <ModulePage key={b} digest={b} />];
  if (a === "decisions") return !b ? ["Decisions", <Decisions />] : [`Decision ${b}`, <DecisionPage key={b} id={b} />];
  if (b) return null;
  if (a === "segmentation") return ["Segmentation", <Segmentation />];
  if (a === "events") return ["Events", <Events />];
  return null;
};

function App({ problem }: { problem: string }) {
  if (state.value === "unknown") return <main class="login"><Waiting /></main>;
  if (state.value === "out") return <Login problem={problem} />;
  const parts = path.value.split("/").filter(Boolean).map(decode);
  const [title, body] = page(parts) ?? ["Not found", <><header class="head"><h1 tabIndex={-1}>Not found</h1></header><Empty title="There is no such page"><Link to="/">To the topology</Link></Empty></>];
  return <Shell title={title}>{body}</Shell>;
}
const decode = (part: string): string => { try { return decodeURIComponent(part) } catch { return part } };

function Shell({ title, children }: { title: string; children: ComponentChildren }) {
  useEffect(() => { document.title = `${title} · Bulkhead` }, [title]);
  const first = path.value.split("/")[1] ?? "";
  return (
    <>
      <a class="skip" href="#main">To the content</a>
      <header class="bar">
        <Link to="/" class="brand"><img src={`${base}icon.svg`} width="26" height="26" alt="" />Bulkhead</Link>
        <nav aria-label="Pages">{nav.map(([to, name]) => <Link key={to} to={to} aria-current={to === `/${first}` ? "page" : undefined}>{name}</Link>)}</nav>
        <div class="bar-end">
          <Connection />
          <button type="button" class="quiet" onClick={turnTheme} aria-label="Light or dark" title="Light or dark"><Icon name="theme" /></button>
          <button type="button" class="quiet" onClick={logOut} title={`Logged in as ${who.value?.name ?? ""}`}><Icon name="out" /><span>Log out {who.value?.name}</span></button>
        </div>
      </header>
      {lost.value && <div class="lost" role="alert"><Icon name="warn" /><span><b>No connection.</b> {lost.value.why} What you see may be old; trying again in {lost.value.again} s.</span><button type="button" onClick={() => void lookNow()}>Try now</button></div>}
      <main id="main">{children}</main>
    </>
  );
}

function Connection() {
  const h = health.value;
  if (lost.value) return <span class="connection bad">no connection</span>;
  if (!h) return <span class="connection">connecting…</span>;
  const open = h.open_plans > 0 ? `, ${h.open_plans} under way` : "";
  return h.status === "ok" ? <span class="connection good" title={`${networks.value?.length ?? 0} networks, event ${h.last_event}, decision ${h.last_decision}`}>live{open}</span>
    : <Link to="/networks?state=degraded" class="connection bad" title={h.complaints.join("; ")}>{h.complaints.length} complaint{h.complaints.length === 1 ? "" : "s"}{open}</Link>;
}

async function logOut(): Promise<void> {
  try { await send("DELETE", "session") } catch { /* Over already, or nobody answers: this side forgets it in any case. */ }
  session.over("Logged out.");
}

/** The choice is a preference, not a secret: it may stay. */
function turnTheme(): void {
  const isDark = getComputedStyle(document.documentElement).colorScheme.trim() === "dark" || (!document.documentElement.dataset.theme && matchMedia("(prefers-color-scheme: dark)").matches);
  document.documentElement.dataset.theme = isDark ? "light" : "dark";
  localStorage.setItem("bulkhead.theme", document.documentElement.dataset.theme);
}

async function start(): Promise<void> {
  const theme = localStorage.getItem("bulkhead.theme");
  if (theme) document.documentElement.dataset.theme = theme;
  document.addEventListener("click", followLinks);
  const code = location.hash.match(/^#code=([0-9a-f]+)$/)?.[1];
  let problem = "";
  if (code) {
    // Out of the address before anything else: it shall be in no history.
    history.replaceState(null, "", location.pathname + location.search);
    problem = await logIn(code);
    if (problem) session.over(problem);
  } else if (session.key()) {
    try { who.value = await get<Who>("/session"); state.value = "in" } catch (e) {
      // Nobody answers: the session may be good all the same.
      if (e instanceof Problem && e.isAway) state.value = "in";
      else session.over("The session is over.");
    }
  } else state.value = "out";
  effect(() => { if (state.value === "in") void lookNow(); void route });
  render(<App problem={problem} />, document.getElementById("app")!);
}
void start();
