// How it looks and reads: axe on every page, light and dark; the width of a phone; hundreds of networks.
import { readFileSync } from "node:fs";
import { api, equal, go, inside, ok, open, picture, site, test, until } from "./harness.mjs";

const axe = readFileSync(new URL("node_modules/axe-core/axe.min.js", import.meta.url), "utf8");
const pages = ["/", "/?open=n%3Acards_net", "/networks", "/networks/cards_net", "/networks/isolated1", "/networks/new?name=web2&parent=eth0.40&label=tier%3Dweb", "/networks/new?name=a+b", "/networks/cards_net/attach?namespace=iso4&interface=eth1", "/networks/cards_net?delete=1", "/networks/cards_net/change?label=tier%3Dweb", "/health", "/events?before=9", "/parents", "/policies", "/policies/tier-isolation", "/policies/subnet-rules", "/policies/new", "/decisions", "/decisions/23", "/segmentation?pair=cards~frontend", "/events", "/networks/none"];

for (const colorScheme of ["light", "dark"]) {
  test(`axe finds nothing serious on any page, ${colorScheme}`, async () => {
    // axe builds its own elements, which the page's policy would refuse.
    const page = await open({ colorScheme, bypassCSP: true });
    const found = [];
    for (const path of pages) {
      await go(page, path);
      await page.waitForSelector(".waiting", { state: "detached" });
      await page.waitForTimeout(500);
      await page.evaluate(axe);
      const { violations } = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
      for (const v of violations.filter((v) => ["serious", "critical"].includes(v.impact))) found.push(`${path}: ${v.id} (${v.impact}) ${v.nodes.length}× ${v.nodes[0].html.slice(0, 160)} ${v.nodes[0].any[0]?.message ?? ""}`);
    }
    equal(found, []);
    const out = await open({ colorScheme, bypassCSP: true, out: true });
    await out.evaluate(axe);
    const { violations } = await out.evaluate(() => globalThis.axe.run());
    equal(violations.filter((v) => ["serious", "critical"].includes(v.impact)).map((v) => v.id), []);
  });
}

test("dark is dark, by the system and by the button", async () => {
  const page = await open({ colorScheme: "dark" });
  const lightness = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor.match(/\d+/g).slice(0, 3).reduce((a, b) => a + Number(b), 0));
  ok((await lightness()) < 150, "dark by the system");
  await page.waitForSelector("[role=treeitem]");
  await picture(page, "topology-dark");
  await page.getByRole("button", { name: "Light or dark" }).click();
  ok((await lightness()) > 600, "light by the button");
  await page.reload();
  await page.waitForSelector("header.bar");
  ok((await lightness()) > 600, "and so it stays");
  await page.getByRole("button", { name: "Light or dark" }).click();
  ok((await lightness()) < 150, "dark by the button");
  await page.emulateMedia({ media: "print" });
  ok((await lightness()) > 600, "paper is light");
});

test("on a phone nothing is cut off or scrolls sideways", async () => {
  const page = await open({ viewport: { width: 360, height: 740 }, deviceScaleFactor: 2, hasTouch: true, isMobile: true });
  const wide = [];
  for (const path of pages) {
    await go(page, path);
    await page.waitForSelector(".waiting", { state: "detached" });
    await page.waitForTimeout(300);
    const width = await page.evaluate(() => document.documentElement.scrollWidth);
    if (width > 360) wide.push(`${path}: ${width}`);
  }
  equal(wide, []);
  await go(page, "/networks/cards_net");
  await page.getByRole("grid").waitFor();
  await picture(page, "phone");
});

test("500 networks and 10,000 endpoints: folded to what can be read, and drawn at once", async () => {
  // What the daemon answers, many times over: the drawing is what is looked at here.
  const page = await open();
  const [network] = (await api("GET", "/v1/networks")).items.filter((n) => n.name === "cards_net");
  const parents = (await api("GET", "/v1/parents")).items;
  const like = parents.find((p) => p.link === "eth0.40");
  const tiers = ["app", "cards", "db", "dmz", "mgmt", "web"];
  const vlans = Array.from({ length: 125 }, (_, i) => ({ ...like, id: `p${i}`, link: `eth0.${100 + i}`, vlan: 100 + i, segment: `default/vlan-${100 + i}` }));
  const many = Array.from({ length: 500 }, (_, i) => {
    const v = vlans[i % 125];
    const tier = tiers[(i % 125) % tiers.length];
    return { ...network, id: String(i), name: `${tier}-${v.vlan}-${"abcd"[Math.floor(i / 125)]}`, labels: { tier }, endpoints: 20, segment: v.segment, parent: { ...network.parent, id: v.id, link: v.link, asked: v.link, vlan: v.vlan }, subnets: [{ ...network.subnets[0], cidr: `10.${v.vlan}.${Math.floor(i / 125)}.0/24` }] };
  });
  await page.route("**/ui/v1/networks?*", (route) => route.fulfill({ json: { items: many, next: null } }));
  await page.route("**/ui/v1/parents?*", (route) => route.fulfill({ json: { items: [parents.find((p) => p.link === "eth0"), ...vlans], next: null } }));
  // When the first rows are there and painted, and when all of them are.
  await page.addInitScript(() => {
    const look = () => {
      const rows = document.querySelectorAll("[role=treeitem]").length;
      const wanted = location.search.includes("unfold=all") ? 627 : 8;
      if (rows >= 8) globalThis.first ??= performance.now();
      if (rows >= wanted && document.querySelector(".summary")?.textContent.includes("10,000 endpoints")) globalThis.whole = performance.now();
      else requestAnimationFrame(look);
    };
    requestAnimationFrame(look);
  });
  for (const [what, query] of [["as fits", ""], ["all unfolded", "?unfold=all"]]) {
    await page.goto("about:blank");
    await page.goto(`${site}/ui/${query}`);
    await page.waitForFunction(() => globalThis.whole);
    const [first, whole] = await page.evaluate(() => [globalThis.first, globalThis.whole].map(Math.round));
    const nodes = await page.getByRole("treeitem").count();
    console.log(`  topology of 500 networks and 10,000 endpoints, ${what}: the first rows ${first} ms after the beginning of the load, all ${nodes} nodes after ${whole} ms`);
    if (!query) { ok(nodes <= 44, `${nodes} rows are too many to read`); await picture(page, "topology-500") } else ok(nodes >= 625, `${nodes}`);
  }
});

test("reaches: what workloads could send into is told before it is made, and drawn after", async () => {
  // Tier isolation would deny all of it.
  const { name, module, settings } = await api("GET", "/v1/policies/tier-isolation");
  const mode = (mode) => api("PUT", "/v1/policies/tier-isolation?reason=a+drill", { name, module, settings, mode });
  await mode("audit");
  await inside("ip -n host link add up3 type veth peer name up3p && ip -n host link set up3 up && ip -n host link set up3p up");
  await until("it can be a parent", async () => (await api("GET", "/v1/parents/up3")).state === "available");
  await api("POST", "/v1/networks", { name: "lab_tagged", parent: "up3.10", labels: { tier: "lab" } });
  const page = await open();
  await go(page, "/networks/new?name=lab_untagged&parent=up3&label=tier%3Dlab");
  await page.getByText(/untagged on a trunk that carries 1 network on VLANs: its shield keeps/).waitFor();
  await page.getByText("Mode, gateway, MTU and more").click();
  await page.getByLabel("Shield").selectOption("off");
  await page.getByText(/without a shield its workloads could send into all of them/).waitFor();
  await page.getByRole("button", { name: "Create 1 network" }).click();
  await page.getByRole("heading", { name: "lab_untagged" }).waitFor();
  await page.getByText("can send tagged frames into every VLAN of default").waitFor();
  await page.goto(`${page.at}/ui/`);
  await page.getByRole("treeitem", { name: /^network lab_untagged.*reaches every VLAN of default/ }).waitFor();
  // To its own VLAN, and as all NICs of a host count as one fabric, to those of eth0.
  equal(await page.locator(".reaches path").count(), 3, "a line leads to each segment that it reaches");
  await page.getByRole("treeitem", { name: /^network cards_net.*reached from default\/untagged/ }).waitFor();
  await picture(page, "reaches");
  for (const network of ["lab_untagged", "lab_tagged"]) await api("DELETE", `/v1/networks/${network}`);
  await inside("ip -n host link del up3");
  await mode("enforce");
});
