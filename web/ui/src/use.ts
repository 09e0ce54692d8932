// Hooks: what a page asks for, again whenever something changes, without an end to no waiting.
import { useEffect, useRef, useState } from "preact/hooks";
import { type Asked, Problem, all, ask, get } from "./api";
import { changed, decided } from "./live";
import type { DryRun } from "./types";

export interface Got<T> { data: T | null; problem: Problem | null; reload: () => void }

/** The answer of `path`; what was there stays until the new one is. `null` asks for nothing. */
export function useGet<T>(path: string | null, on: "change" | "decision" | "once" = "change"): Got<T> {
  return useLoad<T>(path, (signal) => get<T>(path!, signal), on);
}
/** All pages of `path`. */
export function useAll<T>(path: string | null, max?: number): Got<T[]> {
  return useLoad<T[]>(path, (signal) => all<T>(path!, max, signal), "change");
}

function useLoad<T>(key: string | null, load: (signal: AbortSignal) => Promise<T>, on: "change" | "decision" | "once"): Got<T> {
  const [got, set] = useState<{ key: string | null; data: T | null; problem: Problem | null }>({ key, data: null, problem: null });
  const [again, setAgain] = useState(0);
  const version = on === "change" ? changed.value : on === "decision" ? decided.value : 0;
  useEffect(() => {
    if (key === null) return;
    const stop = new AbortController();
    // What is gone is not shown any more; what cannot be asked for just now is.
    const fail = (problem: Problem) => set((before) => ({ key, data: before.key === key && problem.status !== 404 ? before.data : null, problem }));
    load(stop.signal).then(
      (data) => { if (!stop.signal.aborted) set({ key, data, problem: null }) },
      (e) => { if (!stop.signal.aborted) fail(asProblem(e)) },
    );
    return () => stop.abort();
  }, [key, version, again]);
  const mine = got.key === key;
  return { data: mine ? got.data : null, problem: mine ? got.problem : null, reload: () => setAgain((n) => n + 1) };
}

export const asProblem = (e: unknown): Problem => e instanceof Problem ? e : new Problem(0, "away", "This did not work", e instanceof Error ? e.message : String(e));

export interface Dry { run: DryRun | null; problem: Problem | null; isAsking: boolean }

/** What would come of a request, a moment after it last changed. */
export function useDryRun(asked: Asked | null): Dry {
  const [dry, set] = useState<Dry>({ run: null, problem: null, isAsking: false });
  const key = asked && JSON.stringify(asked);
  const version = changed.value;
  useEffect(() => {
    if (!asked) { set({ run: null, problem: null, isAsking: false }); return }
    const stop = new AbortController();
    set((d) => ({ ...d, isAsking: true }));
    const timer = setTimeout(() => {
      const path = asked.path + (asked.path.includes("?") ? "&" : "?") + "dry_run=true";
      ask<DryRun>(asked.method, path, asked.body, stop.signal).then(
        (run) => { if (!stop.signal.aborted) set({ run, problem: null, isAsking: false }) },
        (e) => { if (!stop.signal.aborted) set({ run: null, problem: asProblem(e), isAsking: false }) },
      );
    }, 250);
    return () => { clearTimeout(timer); stop.abort() };
  }, [key, version]);
  return dry;
}

/** The width inside an element, in CSS pixels; 0 until it is known. */
export function useWidth<E extends Element>(): [{ current: E | null }, number] {
  const ref = useRef<E>(null);
  const [width, set] = useState(0);
  useEffect(() => {
    const element = ref.current;
    if (!element) return;
    // Reported at once, too, without padding.
    const watch = new ResizeObserver((entries) => set(Math.floor(entries[0]?.contentRect.width ?? 0)));
    watch.observe(element);
    return () => watch.disconnect();
  }, []);
  return [ref, width];
}

/** Runs a change, and remembers what went wrong with it. */
export function useDo(): { busy: boolean; problem: Problem | null; run: (work: () => Promise<void>) => Promise<void>; clear: () => void } {
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<Problem | null>(null);
  const run = async (work: () => Promise<void>) => {
    setBusy(true);
    setProblem(null);
    try { await work() } catch (e) { setProblem(asProblem(e)) } finally { setBusy(false) }
  };
  return { busy, problem, run, clear: () => setProblem(null) };
}
