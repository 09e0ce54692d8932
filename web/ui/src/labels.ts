// Labels as the command line writes them: KEY=VALUE sets one, KEY- takes one away.
import type { Labels } from "./types";

export const labelsIn = (words: string[]): Labels => Object.fromEntries(words.filter((w) => w.includes("=")).map((w) => [w.slice(0, w.indexOf("=")), w.slice(w.indexOf("=") + 1)]));
export const wordsOf = (labels: Labels): string[] => Object.entries(labels).map(([k, v]) => `${k}=${v}`);

/** What leads from one to the other, as RFC 7396 has it: null takes away. */
export function changesOf(before: Labels, after: Labels): Record<string, string | null> {
  const set = Object.entries(after).filter(([k, v]) => before[k] !== v);
  return Object.fromEntries([...set, ...Object.keys(before).filter((k) => !(k in after)).map((k): [string, null] => [k, null])]);
}
export const changeWords = (changes: Record<string, string | null>): string[] => Object.entries(changes).map(([k, v]) => v === null ? `${k}-` : `${k}=${v}`);
/** The labels after such words. */
export function changedBy(before: Labels, words: string[]): Labels {
  const gone = words.filter((w) => !w.includes("=") && w.endsWith("-")).map((w) => w.slice(0, -1));
  return Object.fromEntries(Object.entries({ ...before, ...labelsIn(words) }).filter(([k]) => !gone.includes(k)));
}
