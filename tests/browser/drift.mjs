// What somebody does to the kernel behind the daemon's back, as the dashboard shows it.
import { api, equal, go, inside, ok, open, picture, test, until } from "./harness.mjs";

test("drift: what was set right is marked on its node, and told on its page", async () => {
  const page = await open();
  const node = page.getByRole("tree").getByRole("treeitem", { name: /^VLAN 40/ });
  await node.waitFor();
  await page.locator(".connection.good").waitFor();
  await inside("tc -n host qdisc del dev eth0.40 clsact");
  await page.getByRole("treeitem", { name: /^VLAN 40.*eth0\.40 lacks its shield/ }).waitFor();
  await page.locator(".drift summary").getByText("of drift in the last hour").waitFor();
  await until("the shield is up again", async () => (await api("GET", "/v1/parents/eth0.40")).shield.state === "up");
  await page.getByRole("treeitem", { name: /^VLAN 40.*shield up.*is as recorded again/ }).waitFor();
  equal(await node.locator(".mark.past").count(), 1);
  await picture(page, "drift");
  // A fold hides none of it.
  await go(page, "/?unfold=none");
  await page.getByRole("treeitem", { name: /^eth0.*below it changed behind the daemon's back/ }).waitFor();
  await go(page, "/networks/cards_net");
  await page.getByText("Changed behind the daemon's back in the last hour").waitFor();
});

test("drift: an endpoint that cannot be set right says why, since when, and what to do", async () => {
  const page = await open();
  const [web1] = (await api("GET", "/v1/networks/frontend_net/endpoints")).items;
  // Somebody took its link away, and its name for another.
  await inside("ip -n web1 link del eth0 && ip -n web1 link add eth0 type dummy");
  await until("it failed", async () => (await api("GET", `/v1/networks/frontend_net/endpoints/${web1.id}`)).state === "failed", 60);
  await page.getByRole("treeitem", { name: /^network frontend_net.*1 of its endpoints failed/ }).waitFor();
  await page.getByRole("link", { name: /complaint/ }).click();
  await page.getByRole("heading", { name: "Health" }).waitFor();
  await page.getByRole("region", { name: "Endpoints that failed" }).getByRole("link", { name: "web1" }).click();
  await page.getByRole("alert").getByText(/^Failed: /).waitFor();
  ok((await page.getByRole("alert").textContent()).includes("tries again by itself"));
  await picture(page, "failed");
  await go(page, "/networks/frontend_net");
  await page.getByText("1 endpoint of it failed").waitFor();
  await page.getByRole("button", { name: "show it" }).click();
  await page.waitForURL(/state=failed/);
  await page.getByRole("region", { name: "Endpoints" }).getByRole("link", { name: "web1" }).waitFor();
  await inside("ip -n web1 link del eth0");
  await until("it is set right", async () => (await api("GET", `/v1/networks/frontend_net/endpoints/${web1.id}`)).state === "attached", 120);
  await page.getByText("1 endpoint of it failed").waitFor({ state: "detached" });
});

test("drift: a network whose parent is away is degraded, and says what comes next", async () => {
  const page = await open();
  await inside("ip -n host link add up1 type dummy && ip -n host link set up1 up");
  await until("it can be a parent", async () => (await api("GET", "/v1/parents/up1")).state === "available");
  await api("POST", "/v1/networks", { name: "on_up1", parent: "up1", labels: { tier: "lab" } });
  await inside("ip -n host link del up1");
  await go(page, "/networks/on_up1");
  await page.getByRole("alert").getByText("Degraded: parent up1 is away").waitFor();
  ok((await page.getByRole("alert").textContent()).includes("bulkhead doctor"));
  await page.goto(`${page.at}/ui/`);
  await page.getByRole("treeitem", { name: /on_up1.*degraded: parent up1 is away/ }).waitFor();
  await api("DELETE", "/v1/networks/on_up1");
  await page.getByRole("treeitem", { name: /on_up1/ }).waitFor({ state: "detached" });
});
