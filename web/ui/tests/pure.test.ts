// What is plain functions: how far the tree folds, what "copy as …" copies.
import assert from "node:assert/strict";
import { test } from "node:test";
import { command, labelFlags, request } from "../src/commands";
import { changeWords, changedBy, changesOf } from "../src/labels";
import { type Message, parser } from "../src/stream";
import { type Node, fits, fold, grow, rowsMax } from "../src/pages/tree";
import type { Labels, Network, Parent } from "../src/types";

const tierOf = (l: Labels) => l.tier ?? "untiered";
const parent = (link: string, vlan: number | null, more: Partial<Parent> = {}): Parent =>
  ({ link, id: `id-${link}`, alias: null, kind: vlan === null ? "physical" : "vlan", vlan, base: vlan === null ? null : "eth0", origin: "ours", state: "present", why: null, mode: "l2", flag: "bridge", networks: [], segment: `default/${vlan ?? "untagged"}`, shield: null, up: true, carrier: true, mtu: 1500, mac: null, addresses: [], ...more });
const network = (name: string, on: Parent, tier: string, cidr: string, more: Partial<Network> = {}): Network =>
  ({ id: name, name, state: "ready", why: null, mode: "l2", flag: "bridge", parent: { asked: on.link, id: on.id!, link: on.link, kind: on.kind, vlan: on.vlan, origin: null, state: "present", shield: null }, internal: false, mtu: 1500, accept_ra: false, subnets: [{ cidr, gateway: null, ip_range: null, reserved: {}, addresses_left: "1" }], segment: on.segment, reaches: { every_vlan_of: null, segments: [] }, labels: tier ? { tier } : {}, endpoints: 20, created_at: "", created_by: "", decision: 1, ...more });
const nothing = { text: "", only: [], not: [] };
const open = (host: Node, isOpen: (n: Node) => boolean): Node[] => [host, ...(isOpen(host) ? host.children.flatMap((c) => open(c, isOpen)) : [])];

const site = (vlans: number, each: number) => {
  const parents = [parent("eth0", null), ...Array.from({ length: vlans }, (_, i) => parent(`eth0.${100 + i}`, 100 + i))];
  const networks = Array.from({ length: vlans * each }, (_, i) => network(`n${i}`, parents[1 + (i % vlans)]!, ["a", "b", "c"][(i % vlans) % 3]!, `10.${i % vlans}.${Math.floor(i / vlans)}.0/24`));
  return { parents, networks };
};

test("a small site is shown whole, a large one folded to what can be read, and nothing is counted twice", () => {
  for (const [vlans, each] of [[2, 2], [10, 3], [30, 2], [125, 4], [1, 500]] as const) {
    const { parents, networks } = site(vlans, each);
    const host = grow(networks, parents, nothing, tierOf, new Map());
    const shown = open(host, fold(host, "auto", new Set(), new Set()));
    const leaves = shown.filter((n) => !n.children.some((c) => shown.includes(c)));
    assert.ok(leaves.length <= rowsMax, `${vlans}×${each}: ${leaves.length} rows`);
    assert.equal(leaves.reduce((sum, n) => sum + n.networks, 0), vlans * each, "every network is below one row");
    assert.deepEqual([host.networks, host.endpoints], [vlans * each, vlans * each * 20]);
    if (vlans * each <= 30) assert.equal(shown.filter((n) => n.kind === "network").length, vlans * each);
  }
});

test("what is opened or shut by hand stays so", () => {
  const { parents, networks } = site(60, 2);
  const host = grow(networks, parents, nothing, tierOf, new Map());
  const isOpen = fold(host, "auto", new Set(["p:eth0", "g:eth0:a", "s:eth0.100"]), new Set(["g:eth0:b"]));
  const ids = open(host, isOpen).map((n) => n.id);
  assert.ok(ids.includes("n:n0") && !ids.includes("s:eth0.101"));
  const all = grow(networks, parents, nothing, tierOf, new Map());
  assert.equal(open(all, fold(all, "all", new Set(), new Set())).filter((n) => n.kind === "network").length, 120);
});

test("filters: all that is asked for, nothing that is left out", () => {
  const n = network("cards_net", parent("eth0.40", 40), "cards", "10.0.0.0/24");
  assert.ok(fits(n, { text: "CARDS", only: [["tier", "cards"]], not: [["tier", "web"]] }));
  assert.ok(fits(n, { ...nothing, text: "10.0.0" }) && !fits(n, { ...nothing, text: "10.1" }));
  assert.ok(!fits(n, { ...nothing, not: [["tier", "cards"]] }) && !fits(n, { ...nothing, only: [["tier", "web"]] }));
});

test("a fold hides nothing that is wrong, or was lately", () => {
  const { parents, networks } = site(60, 2);
  networks[0] = { ...networks[0]!, state: "degraded", why: "away" };
  networks[1] = { ...networks[1]!, endpoints_failed: 2 };
  const past = { networks: new Map([["n2", ["just now: drifted"]]]), parents: new Map([["eth0.103", ["just now: lacks its shield"]]]) };
  const host = grow(networks, parents, nothing, tierOf, new Map(), past);
  const isOpen = fold(host, "auto", new Set(), new Set());
  assert.deepEqual([host.wrongBelow, host.pastBelow], [2, 2]);
  const groups = open(host, isOpen).filter((n) => n.kind === "group");
  assert.deepEqual(groups.map((g) => [g.name, g.wrongBelow, g.pastBelow]), [["a", 1, 1], ["b", 1, 0], ["c", 0, 1]]);
});

test("labels: what leads from one to the other, in the words of the command line", () => {
  const before = { tier: "cards", owner: "a", old: "1" };
  const after = { tier: "web", owner: "a", "new": "x=y" };
  const changes = changesOf(before, after);
  assert.deepEqual(changes, { tier: "web", new: "x=y", old: null });
  assert.deepEqual(changeWords(changes), ["tier=web", "new=x=y", "old-"]);
  assert.deepEqual(changedBy(before, changeWords(changes)), after);
  assert.deepEqual(changesOf(before, before), {});
});

test("a stream is split into events, however its bytes come", () => {
  const text = ": events\n\nid: 7\nevent: network.created\ndata: {\"a\":1}\n\n: still here\n\ndata: one\r\ndata:two\r\n\r\nevent: nothing\n\nid: 9\ndata\n\ndata: cut";
  const wanted = [{ id: "7", event: "network.created", data: '{"a":1}' }, { id: "7", event: "message", data: "one\ntwo" }, { id: "9", event: "message", data: "" }];
  for (const size of [1, 2, 5, text.length]) {
    const told: Message[] = [];
    const feed = parser((m) => told.push(m));
    for (let i = 0; i < text.length; i += size) feed(text.slice(i, i + size));
    assert.deepEqual(told, wanted, `in pieces of ${size}`);
  }
});

test("commands and requests can be pasted into a shell", () => {
  assert.equal(command("network", "create", "a", false, "--reason", "it's needed", ...labelFlags({ tier: "web" })), "bulkhead network create a --reason 'it'\\''s needed' --label tier=web");
  assert.equal(request({ method: "GET", path: "/v1/networks" }), "curl -s --unix-socket /run/bulkhead/bulkhead.sock http://localhost/v1/networks");
  assert.equal(request({ method: "POST", path: "/v1/networks?reason=a%20b", body: { name: "$(rm)" } }), `curl -s --unix-socket /run/bulkhead/bulkhead.sock -H 'Content-Type: application/json' 'http://localhost/v1/networks?reason=a%20b' -d '{"name":"$(rm)"}'`);
  assert.equal(request({ method: "DELETE", path: "/v1/networks/a" }), "curl -s --unix-socket /run/bulkhead/bulkhead.sock -X DELETE http://localhost/v1/networks/a");
});
