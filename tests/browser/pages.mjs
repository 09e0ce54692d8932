// Every page, with what it must show of the demo's networks.
import { spawnSync } from "node:child_process";
import { mkdtempSync, writeFileSync } from "node:fs";
import { api, equal, go, ok, open, picture, site, test, until } from "./harness.mjs";

test("topology: what hangs on what, unfolded by arrow keys, filtered by tier", async () => {
  const page = await open();
  const tree = page.getByRole("tree");
  for (const name of [/^eth0/, /^VLAN 30/, /^VLAN 40/, /^network cards_net, tier cards, 1 endpoint/, /^isolated/, /^untagged.*shield up/]) await tree.getByRole("treeitem", { name }).waitFor();
  await picture(page, "topology");
  const cards = tree.getByRole("treeitem", { name: /cards_net/ });
  await cards.focus();
  await page.keyboard.press("ArrowRight");
  await tree.getByRole("treeitem", { name: /pan1/ }).waitFor();
  ok(page.url().includes("open=n%3Acards_net"), "what is open is in the address");
  await page.reload();
  await tree.getByRole("treeitem", { name: /pan1/ }).waitFor();
  await page.getByRole("button", { name: "cards", exact: true }).click();
  await tree.getByRole("treeitem", { name: /frontend_net/ }).waitFor({ state: "detached" });
  await page.getByRole("button", { name: "cards, only this" }).click();
  await tree.getByRole("treeitem", { name: /cards_net/ }).waitFor({ state: "detached" });
  await tree.getByRole("treeitem", { name: /frontend_net/ }).waitFor();
  await page.getByLabel("Filter networks").fill("nothing-is-called-so");
  await page.getByText("No network fits").waitFor();
  await page.emulateMedia({ media: "print" });
  ok(!(await page.locator("header.bar").isVisible()), "the print view has no navigation");
});

test("network: the map tells each address, by pointer and by keys", async () => {
  const page = await open();
  await go(page, "/networks/cards_net");
  const grid = page.getByRole("grid");
  await grid.waitFor();
  equal(await grid.getByRole("gridcell").count(), 256);
  const pan1 = (await api("GET", "/v1/networks/cards_net/endpoints")).items[0];
  const address = pan1.addresses[0].split("/")[0];
  await grid.getByRole("gridcell", { name: `${address} in use by pan1` }).hover();
  const told = page.locator(".told");
  await told.getByText(`by decision ${pan1.decision}`).waitFor();
  await grid.getByRole("gridcell", { name: "192.168.40.0 not usable" }).focus();
  await page.keyboard.press("ArrowRight");
  await told.getByText("gateway").waitFor();
  await page.keyboard.press("ArrowDown");
  await told.getByText("192.168.40.33").waitFor();
  await picture(page, "network");
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "Attach a workload" }).waitFor();
  equal(await page.getByLabel("Addresses").inputValue(), "192.168.40.33");
  await go(page, "/networks/isolated1");
  await page.getByRole("cell", { name: /in use/ }).first().waitFor();
  equal(await page.getByRole("grid").count(), 0, "a /16 is told in ranges");
});

test("decisions: filters are in the address, and one decision is explained and replayed", async () => {
  const page = await open();
  await go(page, "/decisions");
  await page.getByLabel("Verdict").selectOption("denied");
  await page.waitForURL(/verdict=denied/);
  await page.getByText("tier-isolation denied it").first().waitFor();
  await picture(page, "decisions");
  await page.locator(".log li.denied a.num").last().click();
  await page.getByRole("heading", { name: "Why" }).waitFor();
  await page.getByText("contradicting-tier").first().waitFor();
  await page.getByText("What it was shown").first().click();
  await page.getByText('"same_segment"').first().waitFor();
  await page.getByRole("button", { name: "Replay" }).click();
  await page.getByText("say what they said; the verdict is denied again").waitFor();
  await page.getByText("What it was shown").first().click();
  await page.evaluate(() => scrollTo(0, 0));
  await picture(page, "decision");
  await page.getByLabel("Try with another policy").selectOption({ label: "internal-only 1.0.0" });
  await page.getByRole("button", { name: "Replay" }).click();
  await page.getByText(/^The other policy (has nothing against it|does not judge)/).waitFor();
});

test("segmentation: the demo's tiers are apart, with the decisions that show it", async () => {
  const page = await open();
  await go(page, "/segmentation");
  await page.getByText("No two tiers share a segment").waitFor();
  await page.getByRole("button", { name: /^frontend to cards/ }).click();
  await page.waitForURL(/pair=frontend~cards|pair=frontend%7Ecards/);
  await page.locator("#pair").getByText("apart", { exact: true }).first().waitFor();
  await page.getByRole("heading", { name: "What this cannot show" }).waitFor();
  await picture(page, "segmentation");
  await page.locator("#pair a.chip").first().click();
  await page.getByRole("heading", { name: /^Decision \d+/ }).waitFor();
});

test("policies, parents, events and errors each have a way on", async () => {
  const page = await open();
  await go(page, "/policies");
  await page.getByRole("link", { name: "tier-isolation", exact: true }).first().waitFor();
  await go(page, "/policies/tier-isolation");
  await page.getByText("Nothing that exists or was asked is judged otherwise").waitFor();
  await go(page, "/parents");
  await page.getByRole("link", { name: "eth0.40" }).waitFor();
  await go(page, "/events");
  await page.locator(".log").getByText("endpoint.attached").first().waitFor();
  await go(page, "/networks/cards_nett");
  await page.getByText("did you mean cards_net?").waitFor();
  await go(page, "/no/such/page");
  await page.getByText("There is no such page").waitFor();
});

/** Runs what was copied on the tests' own daemon; a change only as a dry run. Gives the exit status, or the answer's. */
function run(text, isChange) {
  const token = `${mkdtempSync("target/browser/token-")}/token`;
  writeFileSync(token, process.env.BULKHEAD_TOKEN, { mode: 0o600 });
  if (text.startsWith("bulkhead ")) {
    const env = { ...process.env, BULKHEAD_HOST: site, BULKHEAD_TOKEN_FILE: token };
    const { status, stderr } = spawnSync("bash", ["-c", `target/debug/${text}${isChange ? " --dry-run" : ""}`], { env });
    return { status, said: String(stderr) };
  }
  const dry = (url) => isChange ? url + (url.includes("?") ? "&" : "?") + "dry_run=true" : url;
  const here = text.replace("--unix-socket /run/bulkhead/bulkhead.sock", `-o /dev/null -w '%{http_code}' -H "Authorization: Bearer $BULKHEAD_TOKEN"`).replace(/'?http:\/\/localhost([^\s']*)'?/, (_, path) => `'${dry(site + path)}'`);
  const { stdout } = spawnSync("bash", ["-c", here]);
  return { status: Number(stdout), said: here };
}

test("every page copies itself as a command and as a request, and both do what they say", async () => {
  const page = await open({ permissions: ["clipboard-read", "clipboard-write"] });
  const pan1 = (await api("GET", "/v1/networks/cards_net/endpoints")).items[0];
  const module = (await api("GET", "/v1/modules")).items.find((m) => m.description.name === "quotas").digest;
  const draft = encodeURIComponent(JSON.stringify({ name: "few", mode: "audit", settings: { networks_per_caller: 3 }, networks: "cards_net", contact: "the team's" }));
  const reads = ["/", "/?label=tier%3Dcards", "/networks", "/networks?state=ready&label=tier%3Dcards", "/networks/cards_net", `/networks/cards_net/endpoints/${pan1.id}`, "/parents", "/parents/eth0", "/policies", "/policies/tier-isolation", `/modules/${module}`, "/decisions?verdict=denied", "/decisions?since=2026-01-01&policy=tier-isolation&operation=attach", "/decisions/1", "/segmentation", "/segmentation?by=owner&since=2026-01-01", "/events", "/events?kind=network.created&before=9", "/health"];
  const changes = ["/networks/new?name=x&parent=eth0.50&label=tier%3Dweb&subnet=10.7.0.0%2F24&subnet=2001%3Adb8%3Aabc8%3A%3A%2F64&mtu=1400&accept_ra=1&gateway=none&reserved=router%3D10.7.0.9&ip_range=10.7.0.128%2F25&reason=it+is+new", "/networks/cards_net/attach?namespace=iso4&interface=eth1&name=n&address=192.168.40.77", "/networks/cards_net/change?label=owner%3Dteam+7&mtu=1400&gateway=192.168.40.0%2F24%3D192.168.40.254&reason=why", `/networks/cards_net/endpoints/${pan1.id}/change?label=owner%3Dteam-7`, `/policies/new?module=${encodeURIComponent(module)}&draft=${draft}`];
  for (const path of [...reads, ...changes]) {
    await go(page, path);
    await page.waitForSelector(".waiting", { state: "detached" });
    const copied = async (what) => {
      await page.getByRole("button", { name: `Copy as ${what}` }).click();
      await page.getByRole("status").getByText(`${what} copied`).waitFor();
      return page.evaluate(() => navigator.clipboard.readText());
    };
    const isChange = changes.includes(path);
    const command = await copied("command");
    ok(command.startsWith("bulkhead "), path);
    // 3: it would be denied; of doctor, 1: something is wrong, which it may be here.
    const came = run(command, isChange && !command.includes(" policy "));
    ok(came.status === 0 || (isChange && came.status === 3) || (path === "/health" && came.status === 1) , `${path}: ${command}: ${came.status} ${came.said}`);
    const request = await copied("request");
    ok(request.startsWith("curl -s --unix-socket /run/bulkhead/bulkhead.sock") && request.includes("http://localhost/v1/"), `${path}: ${request}`);
    ok(!request.includes(process.env.BULKHEAD_TOKEN), "no secret is copied");
    const answered = run(request, isChange && !request.includes("/v1/policies"));
    // The policy is there since the command made it.
    ok(answered.status === 200 || (path.startsWith("/policies/new") && answered.status === 409), `${path}: ${answered.said}: ${answered.status}`);
  }
  await api("DELETE", "/v1/policies/few?reason=done");
});

test("what happens elsewhere appears by itself, and a lost connection is told and comes back", async () => {
  const page = await open();
  await go(page, "/networks");
  await api("POST", "/v1/networks", { name: "made-elsewhere", labels: { tier: "frontend" } });
  await page.getByRole("link", { name: "made-elsewhere" }).waitFor();
  await page.context().setOffline(true);
  await page.getByRole("alert").getByText("No connection.").waitFor();
  await api("DELETE", "/v1/networks/made-elsewhere");
  ok(await page.getByRole("link", { name: "made-elsewhere" }).isVisible(), "what was there stays to be read");
  await page.context().setOffline(false);
  await page.getByRole("link", { name: "made-elsewhere" }).waitFor({ state: "detached" });
  await page.locator(".connection.good").waitFor();
  await go(page, "/decisions");
  const before = (await api("GET", "/v1/health")).last_decision;
  await api("POST", "/v1/networks/cards_net/endpoints", { namespace: { name: "iso4" }, interface: "eth1" }).catch((e) => equal(e.status, 403));
  await page.locator(".log").getByRole("link", { name: String(before + 1), exact: true }).waitFor();
  await until("no request is left without an end", async () => (await page.locator(".waiting").count()) === 0);
});
