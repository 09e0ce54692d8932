// Requests to the daemon. All that the dashboard knows and does goes through here, over the public API.
import { session } from "./session";
import type { Fault, Page, Violation } from "./types";

/** Where the dashboard is served: the folder of its own script, so that a proxy may put it anywhere. */
export const base = new URL(".", import.meta.url).pathname;
/** How long any answer may take, in milliseconds: nothing on the screen waits without an end. */
const patience = 20_000;

/** What went wrong: problem details (RFC 9457) as the daemon told them, or that there was no answer. */
export class Problem extends Error {
  constructor(readonly status: number, readonly kind: string, readonly title: string, detail: string,
    readonly faults: Fault[] = [], readonly violations: Violation[] = [], readonly decision?: number) { super(detail) }

  /** No daemon answered; what was asked may be asked again. */
  get isAway(): boolean { return this.kind === "away" }
}

async function problemOf(response: Response): Promise<Problem> {
  try {
    const p = await response.json();
    if (typeof p.type !== "string") throw new Error("no problem details");
    return new Problem(response.status, p.type, p.title ?? response.statusText, p.detail ?? "", p.faults, p.violations, p.decision);
  } catch {
    return new Problem(response.status, "", `The answer is ${response.status}`, "It is not one of the daemon's; is a proxy in between?");
  }
}

/** An answer that no daemon of this version gives: something in between, or a daemon of another version. */
export const notOurs = (what: string): Problem => new Problem(0, "not-ours", "The answer is not the daemon's", `${what}. Is a proxy in between, or is the daemon of another version than this page? Reload the page; bulkhead doctor tells what the daemon is.`);

export interface Asked { method: string; path: string; body?: unknown }

/** Sends a request below the dashboard's own path. `fields` are header fields; a `signal` of a stream says itself when it has waited long enough. */
export async function send(method: string, path: string, body?: unknown, signal?: AbortSignal, fields: Record<string, string> = {}): Promise<Response> {
  const headers: Record<string, string> = { "Bulkhead-Session": session.key(), ...fields };
  const isBytes = body instanceof Blob;
  if (body !== undefined) headers["Content-Type"] = isBytes ? "application/wasm" : "application/json";
  const isStream = fields.Accept === "text/event-stream";
  const ends = isStream ? new AbortController().signal : AbortSignal.timeout(isBytes ? patience * 6 : patience);
  let response: Response;
  try {
    response = await fetch(base + path, {
      method, headers, redirect: "error", cache: "no-store", signal: signal ? AbortSignal.any([ends, signal]) : ends,
      ...(body === undefined ? {} : { body: isBytes ? body : JSON.stringify(body) }),
    });
  } catch (e) {
    if (signal?.aborted) throw e;
    const why = ends.aborted ? `no answer within ${patience / 1000} s` : "the connection was refused or lost";
    throw new Problem(0, "away", "The daemon does not answer", `${why}; is \`bulkhead serve\` running?`);
  }
  if (!response.ok) {
    const problem = await problemOf(response);
    if (problem.status === 401) session.over();
    throw problem;
  }
  return response;
}

export async function ask<T>(method: string, path: string, body?: unknown, signal?: AbortSignal): Promise<T> {
  const response = await send(method, path.replace(/^\//, ""), body, signal);
  if (response.status === 204) return undefined as T;
  const text = await response.text().catch((e) => { if (signal?.aborted) throw e; throw notOurs("It breaks off in the middle") });
  try { return JSON.parse(text) as T } catch { throw notOurs(`${path.split("?")[0]} gave ${text.trim() === "" ? "nothing" : `no JSON, but ${JSON.stringify(text.trim().slice(0, 40))}`}`) }
}
export const get = <T>(path: string, signal?: AbortSignal): Promise<T> => ask<T>("GET", path, undefined, signal);

/** All pages of a list; at most `max` items. */
export async function all<T>(path: string, max = 20_000, signal?: AbortSignal): Promise<T[]> {
  const items: T[] = [];
  let cursor: string | null = null;
  do {
    const query: string = `${path}${path.includes("?") ? "&" : "?"}limit=500${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ""}`;
    const page: Page<T> = await get<Page<T>>(query, signal);
    if (!Array.isArray(page?.items)) throw notOurs(`${path.split("?")[0]} gave JSON without items`);
    items.push(...page.items);
    cursor = page.next;
  } while (cursor && items.length < max);
  return items;
}

/** A path of names that may hold anything. */
export function path(strings: TemplateStringsArray, ...names: (string | number)[]): string {
  return strings.reduce((whole, part, i) => whole + encodeURIComponent(String(names[i - 1])) + part);
}
