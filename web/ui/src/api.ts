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
  get isAway(): boolean { return this.status === 0 }
}

async function problemOf(response: Response): Promise<Problem> {
  try {
    const p = await response.json();
    return new Problem(response.status, p.type ?? "", p.title ?? response.statusText, p.detail ?? "", p.faults, p.violations, p.decision);
  } catch {
    return new Problem(response.status, "", `The answer is ${response.status}`, "It is not one of the daemon's; is a proxy in between?");
  }
}

export interface Asked { method: string; path: string; body?: unknown }

/** Sends a request below the dashboard's own path. */
export async function send(method: string, path: string, body?: unknown, signal?: AbortSignal): Promise<Response> {
  const headers: Record<string, string> = { "Bulkhead-Session": session.key() };
  const isBytes = body instanceof Blob;
  if (body !== undefined) headers["Content-Type"] = isBytes ? "application/wasm" : "application/json";
  const ends = AbortSignal.timeout(isBytes ? patience * 6 : patience);
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
  return response.status === 204 ? (undefined as T) : response.json();
}
export const get = <T>(path: string, signal?: AbortSignal): Promise<T> => ask<T>("GET", path, undefined, signal);

/** All pages of a list; at most `max` items. */
export async function all<T>(path: string, max = 20_000, signal?: AbortSignal): Promise<T[]> {
  const items: T[] = [];
  let cursor: string | null = null;
  do {
    const query: string = `${path}${path.includes("?") ? "&" : "?"}limit=500${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ""}`;
    const page: Page<T> = await get<Page<T>>(query, signal);
    items.push(...page.items);
    cursor = page.next;
  } while (cursor && items.length < max);
  return items;
}

/** A path of names that may hold anything. */
export function path(strings: TemplateStringsArray, ...names: (string | number)[]): string {
  return strings.reduce((whole, part, i) => whole + encodeURIComponent(String(names[i - 1])) + part);
}
