// What goes on. One stream of events tells it as it happens; what has changed is then fetched anew. A stream that is lost is taken up
// again behind the last event that was heard. Where none comes through, the daemon is asked every few seconds instead.
import { batch, signal } from "@preact/signals";
import { Problem, all, get, notOurs, send } from "./api";
import { state as sessionState } from "./session";
import { type Message, read } from "./stream";
import type { Event, Health, Network, Page, Parent } from "./types";

/** Seconds between two tries, the more the longer nobody answers. */
const pauses = [1, 2, 4, 8, 15];
/** How long a stream may be silent, in milliseconds: the daemon says every 15 s that it is still there. */
const silenceMax = 40_000;
/** How long a stream may take to begin, in milliseconds: what keeps it back longer is a proxy that waits for its end. */
const beginsWithin = 10_000;
/** Without a stream: milliseconds between two questions, and how many of them until a stream is tried again. */
const every = 5_000;
const turnsUntilStream = 12;
/** A stream that ends within so many milliseconds is none, when that comes several times in a row. */
const shortMax = 1_000;
const shortInARow = 3;
/** With one: milliseconds after which the daemon's health is asked for all the same, as what changes it need not be an event. */
const healthEvery = 30_000;
/** Events are told one by one; more than so many behind, and what is there is looked at anew instead. */
const behindMax = 500;
const recentMax = 500;

export const health = signal<Health | null>(null);
/** Counts up whenever something has changed. */
export const changed = signal(0);
/** Counts up whenever a decision was made, a denial included. */
export const decided = signal(0);
/** Newest first. */
export const recent = signal<Event[]>([]);
/** How one hears of what happens. */
export const way = signal<"connecting" | "stream" | "again" | "polling">("connecting");
/** Events that were missed, where it was so: when, and why. */
export const missed = signal<{ at: string; why: string } | null>(null);
/** Why there is no connection, and in how many seconds it is tried again. */
export const lost = signal<{ why: string; again: number } | null>(null);
/** The daemon's version when this page was loaded. */
export const versionAtFirst = signal("");

/** All networks and parents: what tiers there are, and where, matters on every page. */
export const networks = signal<Network[] | null>(null);
export const parents = signal<Parent[] | null>(null);
export const loadProblem = signal<Problem | null>(null);

/** The last event that was heard; -1 before the first look. */
let heard = -1;
let running = false;
let wake = () => {};
let stop = new AbortController();

/** Fetches networks and parents; they are shown by the function that it gives, with whatever else is new, so that all is drawn once. */
async function refresh(): Promise<() => void> {
  try {
    const [n, p] = await Promise.all([all<Network>("/v1/networks"), all<Parent>("/v1/parents")]);
    return () => { networks.value = n; parents.value = p; loadProblem.value = null };
  } catch (e) {
    if (e instanceof Problem) loadProblem.value = e;
    throw e;
  }
}

async function ask(): Promise<Health> {
  const now = await get<Health>("/v1/health");
  if (typeof now?.last_event !== "number" || typeof now.version !== "string") throw notOurs("/v1/health gave JSON that says nothing of events");
  versionAtFirst.value ||= now.version;
  return now;
}

/** Takes what is there as it is: at first, and whenever the way there is not known. */
async function anew(now: Health): Promise<void> {
  const [show, events] = await Promise.all([refresh(), all<Event>(`/v1/events?after=${Math.max(0, now.last_event - 200)}`, 200)]);
  heard = now.last_event;
  batch(() => { show(); recent.value = events.reverse(); health.value = now; changed.value++; decided.value++ });
}

/** Events that wait to be told together: they come in swarms. */
let waiting: Event[] = [];
let telling: Promise<void> | null = null;
let took = 0;

function tell(event: Event): void {
  heard = event.seq;
  waiting.push(event);
  // No more often than twice as long as it takes, so that a busy daemon is not kept busy by who looks at it.
  telling ??= new Promise((done) => setTimeout(done, Math.max(50, took * 2))).then(told).finally(() => {
    telling = null;
    const next = waiting.pop();
    if (next) tell(next);
  });
}

async function told(): Promise<void> {
  const events = waiting;
  waiting = [];
  const begun = performance.now();
  try {
    const now = await ask();
    const show = events.some((e) => !/^(decision|policy|module)\./.test(e.kind)) ? await refresh() : () => {};
    batch(() => {
      show();
      recent.value = [...events.reverse(), ...recent.value].slice(0, recentMax);
      if (!health.value || now.last_decision > health.value.last_decision) decided.value++;
      health.value = now;
      changed.value++;
    });
  } catch {
    // The events are not lost by it, and the stream's own end tells what is wrong.
    recent.value = [...events.reverse(), ...recent.value].slice(0, recentMax);
  }
  took = performance.now() - begun;
}

/** Follows the stream until it ends. False: there is none to be had, and asking again would not help. */
async function follow(): Promise<boolean> {
  const end = stop = new AbortController();
  let timer = setTimeout(() => end.abort(), beginsWithin);
  let begun = false;
  let isKnown = true;
  const alive = () => {
    clearTimeout(timer);
    timer = setTimeout(() => end.abort(), silenceMax);
    if (begun) return;
    begun = true;
    batch(() => { way.value = "stream"; lost.value = null });
  };
  const take = (message: Message) => {
    if (message.event === "resync") {
      isKnown = false;
      missed.value = { at: new Date().toISOString(), why: JSON.parse(message.data).why ?? "" };
    } else tell(JSON.parse(message.data) as Event);
  };
  // What is not as it should be need not be an event, and a session without a request would end.
  const looking = setInterval(() => { void ask().then((h) => { health.value = h }).catch(() => {}) }, healthEvery);
  try {
    const response = await send("GET", "v1/events", undefined, end.signal, { Accept: "text/event-stream", "Last-Event-ID": String(heard) });
    if (!response.headers.get("content-type")?.startsWith("text/event-stream") || !response.body) {
      end.abort();
      return false;
    }
    await read(response.body, alive, take);
  } catch (e) {
    // A daemon that does not know streams, and whatever keeps one back.
    if (e instanceof Problem && [400, 404, 405, 406, 422].includes(e.status)) return false;
    if (!begun && end.signal.aborted && stop === end && !document.hidden) return false;
    if (e instanceof Problem && e.status !== 0) throw e;
  } finally {
    clearTimeout(timer);
    clearInterval(looking);
    end.abort();
  }
  if (!isKnown) heard = -1;
  return true;
}

/** A look without a stream: what is new since the last one. */
async function look(): Promise<void> {
  const now = await ask();
  const before = health.value;
  const isOther = heard < 0 || !before || now.last_event < heard || now.uptime_s < before.uptime_s || now.last_event - heard > behindMax;
  if (isOther) return anew(now);
  if (now.last_event > heard && way.value === "polling") {
    const { items } = await get<Page<Event>>(`/v1/events?after=${heard}&limit=${behindMax}`);
    items.forEach(tell);
    await telling;
  }
  batch(() => {
    if (now.last_decision > before.last_decision) decided.value++;
    health.value = now;
  });
}

/** `ms`, or until somebody does not want to wait. */
const pause = (ms: number): Promise<void> => new Promise((done) => { const t = setTimeout(done, ms); wake = () => { clearTimeout(t); done() } });
const isWanted = () => sessionState.value === "in" && !document.hidden;

/** As long as somebody looks: a tab that nobody looks at holds no connection, and its session ends when it is idle. */
async function run(): Promise<void> {
  if (running) return;
  running = true;
  let failures = 0;
  let polls = 0;
  let short = 0;
  while (isWanted()) {
    try {
      await look();
      failures = 0;
      lost.value = null;
      if (polls > 0) {
        polls--;
        await pause(every);
        continue;
      }
      const begun = performance.now();
      const isHeld = await follow();
      short = performance.now() - begun < shortMax ? short + 1 : 0;
      if (!isWanted()) break;
      if (isHeld && short < shortInARow) {
        way.value = "again";
        if (short > 0) await pause(500 * short);
      } else {
        way.value = "polling";
        polls = turnsUntilStream;
      }
    } catch (e) {
      if (!isWanted()) break;
      let again = pauses[Math.min(failures++, pauses.length - 1)] ?? 15;
      let isOver = false;
      const why = e instanceof Error ? e.message : String(e);
      for (; again > 0 && !isOver && isWanted(); again--) {
        lost.value = { why, again };
        const at = Date.now();
        await pause(1_000);
        isOver = Date.now() - at < 900;
      }
    }
  }
  running = false;
}

/** Looks at once: when somebody does not want to wait, and after a change of one's own where no stream tells of it. */
export async function lookNow(): Promise<void> {
  if (!running) return void run();
  if (lost.value) return wake();
  if (way.value === "stream") await caughtUp();
  else await look().catch(() => {});
}

/** After a change of one's own: until its event has been told, or two seconds. */
async function caughtUp(): Promise<void> {
  const { last_event } = await ask().catch(() => ({ last_event: 0 }));
  for (let i = 0; i < 40 && (heard < last_event || telling); i++) await new Promise((done) => setTimeout(done, 50));
}

// The browser knows before a silent stream does.
addEventListener("offline", () => stop.abort());
addEventListener("online", () => wake());
document.addEventListener("visibilitychange", () => { if (document.hidden) stop.abort(); else void run() });
sessionState.subscribe((s) => { if (s === "in") void run(); else { stop.abort(); wake(); heard = -1 } });
