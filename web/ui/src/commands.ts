// The same by the command line and by the API: what "copy as …" copies.
import type { Asked } from "./api";
import { isPlain } from "./words";

const quote = (text: string): string => /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
export const command = (...words: (string | false | null | undefined)[]): string =>
  ["bulkhead", ...words.filter((w): w is string => typeof w === "string" && w !== "")].map(quote).join(" ");
export const flags = (name: string, values: string[]): string[] => values.flatMap((v) => [name, v]);
export const labelFlags = (labels: Record<string, string> | undefined): string[] => flags("--label", Object.entries(labels ?? {}).map(([k, v]) => `${k}=${v}`));

/** A request for curl on the daemon's own machine. */
export function request({ method, path, body }: Asked): string {
  const words = ["curl -s --unix-socket /run/bulkhead/bulkhead.sock"];
  if (method !== "GET" && !(method === "POST" && body !== undefined)) words.push(`-X ${method}`);
  if (body !== undefined) words.push(isPlain(body) ? "-H 'Content-Type: application/json'" : "-H 'Content-Type: application/wasm'");
  words.push(quote(`http://localhost${path}`));
  if (body !== undefined) words.push(isPlain(body) ? `-d ${quote(JSON.stringify(body))}` : "--data-binary @module.wasm");
  return words.join(" ");
}
