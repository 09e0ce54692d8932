// The dashboard: what is around every page, and which page it is.
import "./style.css";
import { type ComponentChildren, Component, render } from "preact";
import { useEffect } from "preact/hooks";
import { Problem, base, get, send } from "./api";
import { health, lookNow, lost, missed, networks, versionAtFirst, way } from "./live";
import { followLinks, path } from "./route";
import { type Who, session, state, who } from "./session";
import { Empty, Icon, Link, Waiting, When } from "./parts/basics";
import { ChangeNetwork, ChangeWorkload } from "./pages/changes";
import { DecisionPage, Decisions } from "./pages/decisions";
import { Events } from "./pages/events";
import { HealthPage } from "./pages/health";
import { Login, logIn } from "./pages/login";
import { EndpointPage, NetworkPage, Networks } from "./pages/networks";
import { ModulePage, NewPolicy, Policies, PolicyPage } from "./pages/policies";
import { Segmentation } from "./pages/segmentation";
import { Topology } from "./pages/topology";
import { Attach, CreateNetwork, Parents } from "./pages/wishes";

const nav: [string, string][] = [["/", "Topology"], ["/networks", "Networks"], ["/parents", "Parents"], ["/policies", "Policies"], ["/decisions", "Decisions"], ["/segmentation", "Segmentation"], ["/events", "Events"]];

type Match = (parts: string[]) => [string, ComponentChildren] | null;
const page: Match = ([a, b, c, d, e, ...rest]) => {
  if (rest.length) return null;
  if (a === "networks" && b && c === "endpoints" && d && e === "change") return [`Labels of a workload on ${b}`, <ChangeWorkload key={d} network={b} id={d} />];
  if (e) return null;
  if (!a) return ["Topology", <Topology />];
  if (a === "networks") {
    if (!b) return ["Networks", <Networks />];
    if (b === "new" && !c) return ["New network", <CreateNetwork />];
    if (!c) return [b, <NetworkPage key={b} name={b} />];
    if (c === "change" && !d) return [`Change ${b}`, <ChangeNetwork key={b} name={b} />];
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
  if (a === "health") return ["Health", <HealthPage />];
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
      {health.value && versionAtFirst.value !== health.value.version && <div class="lost told-of" role="status"><Icon name="warn" /><span>The daemon is version {health.value.version} now, this page is of {versionAtFirst.value}.</span><button type="button" onClick={() => location.reload()}>Reload</button></div>}
      {missed.value && <div class="lost told-of" role="status"><Icon name="warn" /><span><When at={missed.value.at} /> events were missed ({missed.value.why}): what you see was looked at anew. The whole log: <code>bulkhead event ls --after 0</code></span><button type="button" onClick={() => { missed.value = null }}>Good</button></div>}
      <main id="main"><Guard key={path.value}>{children}</Guard></main>
    </>
  );
}

/** A page that cannot be drawn says so, and leaves a way on. */
class Guard extends Component<{ children: ComponentChildren }, { wrong: string }> {
  override state = { wrong: "" };
  override componentDidCatch(e: unknown): void { this.setState({ wrong: e instanceof Error ? e.message : String(e) }) }
  render() {
    if (!this.state.wrong) return this.props.children;
    return (
      <div class="problem" role="alert">
        <h1 tabIndex={-1}>This page cannot be drawn</h1>
        <p>The daemon's answer is not what this page knows: is it of another version? The page is of {versionAtFirst.value || "an unknown version"}.</p>
        <p class="mono small">{this.state.wrong}</p>
        <code class="block">bulkhead doctor</code>
        <p class="row"><button type="button" onClick={() => this.setState({ wrong: "" })}>Try again</button><button type="button" onClick={() => location.reload()}>Reload</button></p>
      </div>
    );
  }
}

function Connection() {
  const h = health.value;
  if (lost.value) return <span class="connection bad">no connection</span>;
  if (!h) return <span class="connection">connecting…</span>;
  const open = h.open_plans > 0 ? `, ${h.open_plans} under way` : "";
  const how = way.value === "polling" ? "every 5 s" : way.value === "again" ? "reconnecting…" : "live";
  const why = way.value === "polling" ? "No stream of events comes through, so the daemon is asked every 5 seconds. Does a proxy hold answers back?" : `${networks.value?.length ?? 0} networks, event ${h.last_event}, decision ${h.last_decision}`;
  const total = h.complaints_total ?? h.complaints.length;
  return h.status === "ok" ? <span class={`connection ${way.value === "again" ? "" : "good"}`} title={why}>{how}{open}</span>
    : <Link to="/health" class="connection bad" title={h.complaints.join("; ")}>{total} complaint{total === 1 ? "" : "s"}{open}</Link>;
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
  render(<App problem={problem} />, document.getElementById("app")!);
}
void start();
