// Changes made in the browser, and what the daemon and its kernel then have.
import { readFileSync, writeFileSync } from "node:fs";
import { api, equal, go, ok, open, picture, test, until } from "./harness.mjs";

const module = "policies/built/examples/endpoint-limit.wasm";

test("a network is made and deleted: the dry run tells beforehand, the button says what it does", async () => {
  const page = await open();
  await go(page, "/networks/new");
  await page.getByLabel("Name", { exact: true }).fill("web net");
  await page.getByText("is not a name").first().waitFor();
  await page.getByLabel("Name", { exact: true }).fill("web_net");
  await page.getByLabel("Link", { exact: true }).selectOption("eth0");
  await page.getByLabel("VLAN").fill("40");
  await page.getByLabel("Labels").fill("tier=web");
  await page.getByText("another tier than web").waitFor();
  await page.getByText("would share the segment of eth0.40").waitFor();
  await page.getByRole("button", { name: "Ask anyway: it will be denied" }).waitFor();
  await picture(page, "denied");
  const before = (await api("GET", "/v1/networks")).items.length;
  await page.getByLabel("VLAN").fill("50");
  await page.getByLabel("Subnet").fill("192.168.50.0/24");
  await page.getByText("ip link add link eth0 name eth0.50").waitFor();
  await picture(page, "create");
  equal((await api("GET", "/v1/networks")).items.length, before, "a dry run makes nothing");
  await page.getByRole("button", { name: "Create 1 VLAN and 1 network" }).click();
  await page.getByRole("heading", { name: "web_net" }).waitFor();
  const made = await api("GET", "/v1/networks/web_net");
  equal([made.state, made.parent.link, made.labels.tier, made.subnets[0].cidr], ["ready", "eth0.50", "web", "192.168.50.0/24"]);
  equal((await api("GET", `/v1/decisions/${made.decision}`)).caller.door, "dashboard");
  await page.getByRole("button", { name: "Delete" }).click();
  await page.getByRole("dialog").getByLabel("Reason").fill("tried it");
  await page.getByRole("dialog").getByRole("button", { name: "Remove the network" }).click();
  await page.waitForURL(/\/ui\/networks$/);
  await until("it is gone", async () => !(await api("GET", "/v1/networks")).items.some((n) => n.name === "web_net"));
});

test("a network is changed: what would come of it, who beside it would be denied, and what the kernel then has", async () => {
  await api("POST", "/v1/networks", { name: "spare", parent: "eth0.40", labels: { tier: "cards", owner: "a" }, subnets: [{ cidr: "10.40.0.0/24", ip_range: "10.40.0.0/26" }] });
  const page = await open();
  await go(page, "/networks/spare");
  await page.getByRole("link", { name: "Change", exact: true }).click();
  await page.getByRole("heading", { name: "Change spare" }).waitFor();
  await page.getByText("Change something").waitFor();
  const button = page.locator(".form-acts button");
  ok(await button.isDisabled(), "nothing has changed");
  await page.getByLabel("Labels").fill("tier=web owner=a");
  await page.getByRole("button", { name: "Ask anyway: it will be denied" }).waitFor();
  const beside = page.locator(".beside");
  await beside.getByText("Beside it, and denied by the change: 2").waitFor();
  await beside.getByText("pan1 on").waitFor();
  await beside.getByRole("link", { name: "cards_net" }).first().waitFor();
  await picture(page, "change");
  equal((await api("GET", "/v1/networks/spare")).labels, { owner: "a", tier: "cards" }, "a dry run changes nothing");
  await page.getByLabel("Labels").fill("tier=cards team=seven");
  await page.getByLabel("MTU").fill("9000");
  await page.getByText(/9000 is above the 1500 of its parent/).first().waitFor();
  await page.getByLabel("MTU").fill("1400");
  await page.getByLabel("Hand out from").fill("10.40.0.128/25");
  await page.getByText("does not contain 10.40.0.0/26").first().waitFor();
  await page.getByLabel("Hand out from").fill("");
  await page.getByLabel("Gateway").fill("10.40.0.254");
  await page.reload();
  await page.getByRole("button", { name: "Change 2 labels, the MTU, the gateway and the range of spare" }).click();
  await page.getByRole("heading", { name: "spare", exact: true }).waitFor();
  const n = await api("GET", "/v1/networks/spare");
  equal([n.labels, n.mtu, n.subnets[0].gateway, n.subnets[0].ip_range], [{ team: "seven", tier: "cards" }, 1400, "10.40.0.254", null]);
  await api("DELETE", "/v1/networks/spare");
});

test("a workload's labels are changed, and those that would put it beside another tier are not", async () => {
  const page = await open();
  const pan1 = (await api("GET", "/v1/networks/cards_net/endpoints")).items[0];
  await go(page, `/networks/cards_net/endpoints/${pan1.id}`);
  await page.getByRole("link", { name: "Change labels" }).click();
  await page.getByLabel("Labels").fill("tier=web");
  await page.getByRole("button", { name: "Ask anyway: it will be denied" }).click();
  await page.getByText("Not changed: Denied by policy").waitFor();
  equal((await api("GET", `/v1/networks/cards_net/endpoints/${pan1.id}`)).workload.labels, { tier: "cards" });
  await page.getByLabel("Labels").fill("tier=cards owner=team-7");
  await page.getByRole("button", { name: "Change owner to team-7 for pan1" }).click();
  await page.getByRole("heading", { name: "pan1", exact: true }).waitFor();
  await page.getByText("owner=team-7").waitFor();
  await go(page, `/networks/cards_net/endpoints/${pan1.id}/change?label=owner-`);
  await page.getByRole("button", { name: "Change 1 label for pan1" }).click();
  await page.getByRole("heading", { name: "pan1", exact: true }).waitFor();
  equal((await api("GET", `/v1/networks/cards_net/endpoints/${pan1.id}`)).workload.labels, { tier: "cards" });
});

/** Drops a file of this machine's onto an element, as a hand does. */
async function drop(page, on, path) {
  const data = await page.evaluateHandle(([name, text]) => {
    const data = new DataTransfer();
    data.items.add(new File([Uint8Array.from(atob(text), (c) => c.charCodeAt(0))], name));
    return data;
  }, [path.split("/").pop(), readFileSync(path).toString("base64")]);
  for (const event of ["dragenter", "dragover", "drop"]) await on.dispatchEvent(event, { dataTransfer: data });
}

test("an uploaded module denies an attach made from the form", async () => {
  const page = await open();
  await go(page, "/policies");
  writeFileSync("target/browser/not-wasm.wasm", "this is text");
  const file = page.getByLabel("A .wasm file");
  const zone = page.getByRole("region", { name: "Upload a module" });
  await drop(page, zone, "target/browser/not-wasm.wasm");
  await page.getByText("is not WebAssembly").waitFor();
  writeFileSync("target/browser/no-component.wasm", Buffer.from([0, 97, 115, 109, 1, 0, 0, 0]));
  await file.setInputFiles("target/browser/no-component.wasm");
  await page.getByRole("alert").getByText("The request is wrong").waitFor();
  await drop(page, zone, module);
  await page.getByText("endpoint-limit 1.0.0").first().waitFor();
  await page.getByRole("link", { name: "Make a policy of it" }).click();
  await page.getByRole("heading", { name: "New policy" }).waitFor();
  await page.getByLabel("Name", { exact: true }).fill("limit");
  await page.getByLabel("Mode", { exact: true }).selectOption("enforce");
  const settings = page.locator(".schema");
  await settings.getByLabel("Max").fill("2");
  await page.getByText("Would be denied if asked for now").or(page.getByText("Nothing that exists")).first().waitFor();
  await picture(page, "policy");
  await page.getByRole("button", { name: "Enforce it" }).click();
  await page.getByRole("heading", { name: "limit" }).waitFor();
  equal((await api("GET", "/v1/policies/limit")).settings, { max: 2 });

  await go(page, "/networks/db_net_ipv/attach?namespace=iso4&interface=eth1");
  await page.getByText("limit").first().waitFor();
  await page.getByRole("button", { name: "Ask anyway: it will be denied" }).click();
  await page.getByText("Not attached: Denied by policy").waitFor();
  equal((await api("GET", "/v1/networks/db_net_ipv/endpoints")).items.length, 2, "denied means no effect");
  await page.getByRole("link", { name: /^Decision \d+/ }).click();
  await page.getByText("limit denied it").waitFor();

  // A revision later there is room, and the attach is done in the kernel.
  await go(page, "/policies/limit");
  await page.locator(".schema").getByLabel("Max").fill("3");
  await page.getByRole("button", { name: "Save as revision 2" }).click();
  await page.getByText(/reason/i).first().waitFor();
  await page.getByRole("complementary", { name: "What it would do" }).getByLabel("Reason").fill("iso4 is to join");
  await page.getByRole("button", { name: "Save as revision 2" }).click();
  await page.getByText("revision 2 of").waitFor();
  await page.getByRole("button", { name: "Revision 2" }).click();
  await page.getByText("What changed since revision 1").waitFor();
  await picture(page, "revisions", { fullPage: true });
  await go(page, "/networks/db_net_ipv/attach?namespace=iso4&interface=eth1&name=joined");
  await page.getByRole("button", { name: /^Attach joined at 192\.168\.1\./ }).click();
  await page.getByRole("heading", { name: "joined" }).waitFor();
  const endpoint = (await api("GET", "/v1/networks/db_net_ipv/endpoints?name=joined")).items[0];
  equal(endpoint.state, "attached");
  await page.getByRole("button", { name: "Detach" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Remove the endpoint" }).click();
  await page.getByRole("heading", { name: "db_net_ipv" }).waitFor();
  await page.getByRole("gridcell", { name: `${endpoint.addresses[0].split("/")[0]} held back` }).waitFor();

  // Back to the first revision, then away with it.
  await go(page, "/policies/limit?revision=1");
  await page.getByRole("button", { name: "Roll back to revision 1" }).click();
  await page.getByText("revision 3 of").waitFor();
  equal((await api("GET", "/v1/policies/limit")).settings, { max: 2 });
  await api("DELETE", "/v1/policies/limit?reason=done");
});

test("audit: what a policy would deny is counted", async () => {
  const page = await open();
  const tests = { cases: [{ name: "too many", request: { operation: "create-network", network: { name: "shop" }, caller: { name: "uid:1000", networks: 9 } }, expect: "deny", rules: ["networks-per-caller"] }] };
  const quotas = (await api("GET", "/v1/modules")).items.find((m) => m.description.name === "quotas");
  await api("POST", "/v1/policies", { name: "watch", module: quotas.digest, settings: { networks_per_caller: 0 }, mode: "audit", tests });
  await api("POST", "/v1/networks", { name: "counted" });
  await go(page, "/policies/watch");
  await page.getByText("Would have denied 1").waitFor();
  await page.getByLabel("Networks per caller").fill("5");
  await page.getByText("1 stored test").waitFor();
  await page.getByLabel("Reason").first().fill("five are few enough");
  await page.getByRole("button", { name: "Save as revision 2" }).click();
  await page.getByText("revision 2 of").waitFor();
  const saved = await api("GET", "/v1/policies/watch");
  equal([saved.settings, saved.tests.cases.length], [{ networks_per_caller: 5 }, 1], "stored tests stay");
  // One that breaks says so before anybody is denied by it. What the daemon then says of it is put into its answer.
  await page.route("**/ui/v1/policies/watch", async (route) => {
    const policy = await (await route.fetch()).json();
    await route.fulfill({ json: { ...policy, status: { ...policy.status, broke_since: new Date().toISOString(), breaks_in_a_row: 3, broke: "evaluate was stopped: out of fuel" } } });
  });
  await page.reload();
  await page.getByRole("alert").getByText("It breaks: 3 times in a row").waitFor();
  await page.unroute("**/ui/v1/policies/watch");
  await api("DELETE", "/v1/networks/counted");
  await api("DELETE", "/v1/policies/watch?reason=done");
  await page.getByText(/there is no policy/).waitFor();
  await page.getByRole("heading", { name: "Revisions" }).waitFor();
});

test("by keys alone: a network is found, made and left", async () => {
  const page = await open();
  await page.waitForSelector("[role=treeitem]");
  const tabTo = async (wanted) => {
    for (let i = 0; i < 60; i++) {
      await page.keyboard.press("Tab");
      const at = await page.evaluate(() => { const e = document.activeElement; const label = e.labels?.[0]?.textContent; return `${e.getAttribute("aria-label") ?? label ?? e.textContent}`.trim() });
      if (wanted.test(at)) return;
    }
    throw new Error(`no Tab leads to ${wanted}`);
  };
  await page.keyboard.press("Tab");
  equal(await page.evaluate(() => document.activeElement.textContent), "To the content");
  await tabTo(/^New network$/);
  await page.keyboard.press("Enter");
  await page.waitForURL(/networks\/new/);
  await page.getByLabel("Name", { exact: true }).waitFor();
  await tabTo(/^Name$/);
  await page.keyboard.type("typed");
  await tabTo(/^Create/);
  await until("the dry run is done", async () => /1 isolated parent and 1 network/.test(await page.evaluate(() => document.activeElement.textContent)));
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "typed", exact: true }).waitFor();
  equal(await page.evaluate(() => document.activeElement.tagName), "H1", "a new page begins at its heading");
  ok((await api("GET", "/v1/networks/typed")).internal !== undefined);
  await api("DELETE", "/v1/networks/typed");
});
