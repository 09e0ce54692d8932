// Sentences and figures for people.
import type { Decision, Step } from "./types";

export const plural = (n: number, one: string, many = `${one}s`): string => `${n.toLocaleString("en")} ${n === 1 ? one : many}`;

export function when(at: string): string {
  const date = new Date(at);
  const seconds = Math.round((Date.now() - date.getTime()) / 1000);
  if (seconds < 5) return "just now";
  if (seconds < 60) return `${seconds} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h ago`;
  return date.toLocaleDateString("en", { year: "numeric", month: "short", day: "numeric" });
}

const acts: Record<string, [string, string]> = {
  "create-network": ["create the network", ""], "change-network": ["change the network", ""], "delete-network": ["delete the network", ""],
  attach: ["attach a workload to", ""], "change-workload": ["change the labels of a workload on", ""], detach: ["detach a workload from", ""],
  "put-module": ["upload the module", ""], "delete-module": ["delete the module", ""], "put-policy": ["change the policy", ""], "delete-policy": ["delete the policy", ""],
};
export const act = (operation: string): string => acts[operation]?.[0] ?? operation;

/** A decision in a sentence; `subject` stands between the two parts. */
export function sentence(d: Decision): [string, string] {
  const denying = [...new Set(d.violations.map((v) => v.policy))];
  const heard = d.heard.filter((h) => h.mode === "enforce" && h.outcome !== "not-applicable");
  const end =
    d.verdict === "denied" ? `, and ${denying.length ? list(denying) : "the engine"} denied it`
    : d.verdict === "forced" ? `, which ${list(denying)} denied, and an admin forced it`
    : d.unjudged ? ", which no policy judged, and it was allowed by configuration"
    : heard.length ? `, and ${heard.length === 1 ? heard[0]!.policy : `${heard.length} policies`} allowed it`
    : ", and it was allowed";
  return [`${d.caller.name} asked to ${act(d.operation)} `, end];
}
export const list = (all: string[]): string => all.length < 2 ? all.join("") : `${all.slice(0, -1).join(", ")} and ${all.at(-1)}`;

/** What a plan makes, for the button that asks for it. */
export function makes(steps: Step[], ...more: string[]): string {
  const count = (step: string) => steps.filter((s) => s.step === step).length;
  const parts = [[count("add_vlan"), "VLAN"], [count("add_dummy"), "isolated parent"]] as const;
  return list([...parts.filter(([n]) => n > 0).map(([n, what]) => plural(n, what)), ...more]);
}

export const short = (digest: string): string => digest.replace("sha256:", "").slice(0, 12);
export const isPlain = (v: unknown): v is Record<string, unknown> => typeof v === "object" && v !== null && !Array.isArray(v);
