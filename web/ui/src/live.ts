// What goes on: asks the daemon every two seconds how it is, fetches the events that are new, and tells everybody who shows
// something to look again. When the connection is lost, says so, and comes back by itself.
import { batch, signal } from "@preact/signals";
import { Problem, all, get } from "./api";
import { state as sessionState } from "./session";
import type { Event, Health, Network, Page, Parent } from "./types";

const every = 2_000;
const pauses = [1, 2, 4, 8, 15];
const recentMax = 200;

export const health = signal<Health | null>(null);
/** Counts up whenever something has changed. */
export const changed = signal(0);
/** Counts up whenever a decision was made, a denial included. */
export const decided = signal(0);
export const recent = signal<Event[]>([]);
/** Why there is no connection, and in how many seconds it is tried again. */
export const lost = signal<{ why: string; again: number } | null>(null);

/** All networks and parents: what tiers there are, and where, matters on every page. */
export const networks = signal<Network[] | null>(null);
export const parents = signal<Parent[] | null>(null);
export const loadProblem = signal<Problem | null>(null);

let timer = 0;
let failures = 0;
let running = false;

async function refresh(): Promise<void> {
  try {
    const [n, p] = await Promise.all([all<Network>("/v1/networks"), all<Parent>("/v1/parents")]);
    batch(() => { networks.value = n; parents.value = p; loadProblem.value = null });
  } catch (e) {
    if (e instanceof Problem) loadProblem.value = e;
    throw e;
  }
}

async function look(): Promise<void> {
  const before = health.value;
  const now = await get<Health>("/v1/health");
  const isOther = !before || now.last_event < before.last_event || now.uptime_s < before.uptime_s;
  if (isOther) {
    await refresh();
    const from = Math.max(0, now.last_event - 50);
    recent.value = (await get<Page<Event>>(`/v1/events?after=${from}&limit=50`)).items.reverse();
  } else if (now.last_event > before.last_event) {
    let after = before.last_event;
    for (let pages = 0; after < now.last_event && pages < 20; pages++) {
      const { items } = await get<Page<Event>>(`/v1/events?after=${after}&limit=500`);
      const last = items.at(-1);
      if (!last) break;
      after = last.seq;
      recent.value = [...items.reverse(), ...recent.value].slice(0, recentMax);
    }
    await refresh();
  }
  batch(() => {
    health.value = now;
    if (isOther || now.last_event > before.last_event) changed.value++;
    if (isOther || now.last_decision > before.last_decision) decided.value++;
  });
}

async function turn(): Promise<void> {
  clearTimeout(timer);
  if (running || sessionState.value !== "in") return;
  running = true;
  try {
    await look();
    failures = 0;
    lost.value = null;
  } catch (e) {
    if (sessionState.value === "in") {
      const again = pauses[Math.min(failures++, pauses.length - 1)] ?? 15;
      lost.value = { why: e instanceof Error ? e.message : String(e), again };
    }
  } finally {
    running = false;
  }
  // A tab that nobody looks at does not ask, so that an idle session ends.
  if (lost.value) countDown();
  else if (!document.hidden) timer = window.setTimeout(turn, every);
}

function countDown(): void {
  timer = window.setTimeout(() => {
    const at = lost.value;
    if (!at || at.again <= 1) return void turn();
    lost.value = { ...at, again: at.again - 1 };
    countDown();
  }, 1_000);
}

/** Looks at once: after a change of one's own, or when somebody does not want to wait. */
export const lookNow = (): Promise<void> => turn();
document.addEventListener("visibilitychange", () => { if (!document.hidden) void turn() });
