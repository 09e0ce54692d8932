// What the API answers: the parts that the dashboard uses, as /v1/openapi.json describes them.

export interface Page<T> { items: T[]; next: string | null }
export type Labels = Record<string, string>;

export interface Fault { field: string; wrong: string; right: string }
export interface Help { contact?: string; url?: string; message?: string }
export interface Violation { policy: string; rule: string; field: string | null; message: string; remedy: string | null; help?: Help }

export interface Shield { wanted: boolean; egress: boolean; ingress: boolean; bypassed_by: string | null; state: string }
export interface Network {
  id: string; name: string; state: string; why: string | null; mode: string; flag: string;
  parent: { asked: string | null; id: string; link: string | null; kind: string | null; vlan: number | null; origin: string | null; state: string | null; shield: Shield | null };
  internal: boolean; mtu: number | null; accept_ra: boolean;
  subnets: { cidr: string; gateway: string | null; ip_range: string | null; reserved: Record<string, string>; addresses_left: string }[];
  segment: string | null; reaches: { every_vlan_of: string | null; segments: string[] };
  labels: Labels; endpoints: number; endpoints_failed?: number; dns?: { forward: string }; created_at: string; created_by: string; decision: number; warnings?: string[];
}
export interface Endpoint {
  id: string; network: string; name: string | null; aliases?: string[]; state: string; why: string | null; failing_since?: string; interface: string; addresses: string[];
  routes: { destination: string; via: string | null }[]; gateway: string | null; gateway_v6: string | null;
  workload: { id: string; name: string; labels: Labels; provenance: string; capabilities?: string[] | null }; namespace: { named: string };
  created_at: string; created_by: string; decision: number; warnings?: string[];
}
export interface Parent {
  link: string; id: string | null; alias: string | null; kind: string; vlan: number | null; base: string | null; origin: string | null; state: string; why: string | null;
  mode: string | null; flag: string | null; networks: string[]; segment: string | null; shield: Shield | null;
  up: boolean | null; carrier: boolean | null; mtu: number | null; mac: string | null; addresses: string[];
}
export interface SubnetAddresses {
  cidr: string; gateway: string | null; ip_range: string | null; reserved: Record<string, string>; next: string | null;
  used: { address: string; endpoint: string; name: string | null; workload: string; state: string; since: string; decision: number }[];
  held_back: { address: string; until: string }[]; free: { first: string; last: string }[]; addresses_left: string;
}
export interface Heard {
  policy: string; module: string; revision: number; mode: string; outcome: string; violations: Violation[]; warnings: string[]; notes: string[];
  broke: string | null; fuel: number | null; question?: unknown;
}
export interface Decision {
  id: number; at: string; caller: { name: string; uid: number | null; groups: string[]; door: string; peer: string; admin: boolean };
  operation: string; subject: string; object: string | null; change: { reason: string | null; ticket: string | null; approved_by: string | null };
  verdict: string; violations: Violation[]; warnings: string[]; unjudged: boolean; forced_because: string | null; heard: Heard[]; plan: string;
  outcomes: { plan: string; recorded_at: string; text: string }[];
}
export interface Step { step: string; [key: string]: unknown }
export interface DryRun {
  decision: { verdict: string; violations: Violation[]; warnings: string[]; heard: Heard[] };
  plan: { steps: Step[]; text: string }; already: string | null;
}
export interface Description {
  name: string; version: string; summary: string; operations: string[]; rules: { id: string; summary: string; controls: string[] }[];
  label_keys: string[]; needs: string[]; settings_schema: unknown;
}
export interface Scope { operations: string[]; network_labels: Labels; networks: string[] }
/** How a module, or a policy made of it, fares in this daemon. */
export interface Status { loaded: boolean; why_not?: string; broke_since?: string; breaks_in_a_row?: number; broke?: string; size: number; limits: Record<string, number> }
export interface Policy {
  name: string; mode: string; until?: string; then?: string; module: string; description: Description; settings: Record<string, unknown>;
  revision: number; scope: Scope; help?: Help; tests?: { cases?: unknown[] }; status?: Status; decision?: number; in_force?: boolean;
}
export interface Module { digest: string; size: number; built_in: boolean; description: Description; policies: string[]; status?: Status; decision?: number }
export interface Standing {
  policy?: string; mode?: string; operation: string; network: string; endpoint?: string; workload?: string; rule: string; message: string; remedy?: string; since: string; decision: number;
}
export interface Rehearsed { operation: string; rule: string; count: number; examples: Standing[] }
export interface Rehearsal {
  verdict: string; compared_with: number | null; networks: number; endpoints: number; newly_denied: Rehearsed[]; newly_allowed: Rehearsed[]; still_denied: Rehearsed[];
  recorded: { decisions: number; newly_denied: number[]; newly_allowed: number[] };
}
export interface Replay {
  decision: number; same: boolean; comparable?: boolean; verdict: string;
  policies: { then: Heard; now: Heard | null; why_not?: string }[];
  with?: { shown_as: string; not_shown: string[]; says: Heard | null; denies: boolean };
}
export interface Check { check: string; status: string; findings: { text: string; decisions: number[]; decisions_count: number }[]; more: number }
export interface Report {
  generated_at: string; since: string; until: string; label: string; status: string; host: { name: string; kernel: string };
  log: { size: number; root: string; intact: boolean }; tiers: { tier: string | null; networks: string[]; endpoints: number; segments: string[] }[];
  pairs: { from: string | null; to: string | null; status: string; checks: Check[] }[];
  policies: { policy: string; revision: number; module_name: string; module: string; mode: string; everywhere: boolean; decision: number | null; from: string; until: string }[];
  unguarded: { operation: string; from: string; until: string }[]; denials: { policy: string; rule: string; count: number; decisions: number[] }[]; denials_complete: boolean;
  kernel: { agrees: boolean; differences: string[]; not_seen: string[] }; limits: string[];
}
export interface Diff { from: number; to: number; changes: { path: string; before: unknown; after: unknown }[] }
export interface Event { seq: number; at: string; kind: string; subject: string; network?: string; text: string }
export interface Health {
  status: string; complaints: string[]; complaints_total?: number; version: string; uptime_s: number; networks: number; endpoints: number; open_plans: number; last_decision: number; last_event: number;
}
