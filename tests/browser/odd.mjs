// What is not as a page expects: other answers, another daemon, very many rows, forms half filled.
import { api, between, equal, go, ok, open, test } from "./harness.mjs";

test("odd: an answer that is not the daemon's is told as that, and the page goes on with the next good one", async () => {
  let answer = null;
  const proxy = await between((from, to) => {
    if (!answer || !from.url.startsWith("/ui/v1/networks")) return false;
    to.writeHead(answer[0], { "content-type": answer[1] }).end(answer[2]);
    return true;
  });
  const page = await open({ at: proxy.site });
  for (const [status, type, body, told] of [
    [200, "text/html", "<!doctype html><title>Sign in</title>", "The answer is not the daemon's"],
    [200, "application/json", '{"cats":[]}', "gave JSON without items"],
    [200, "application/json", "null", "gave JSON without items"],
    [200, "application/json", '{"items":[{"id":', "The answer is not the daemon's"],
    [502, "text/html", "<h1>Bad gateway</h1>", "is a proxy in between?"],
  ]) {
    answer = [status, type, body];
    await page.goto("about:blank");
    await go(page, "/networks");
    await page.getByRole("alert").getByText(told).first().waitFor();
    equal(await page.locator(".waiting").count(), 0, `${body}: nothing waits without an end`);
  }
  answer = null;
  await page.getByRole("link", { name: "cards_net" }).waitFor();
  // JSON of another kind, where one thing was asked for.
  answer = [200, "application/json", "{}"];
  await page.goto("about:blank");
  await page.goto(`${page.at}/ui/networks/cards_net`);
  await page.getByRole("heading", { name: "This page cannot be drawn" }).waitFor();
  answer = null;
  await page.getByRole("button", { name: "Try again" }).click();
  await page.getByRole("grid").waitFor();
  page.complaints = [];
});

test("odd: a daemon of another version than the page is told, with a way on", async () => {
  let version = null;
  const proxy = await between((from, to) => {
    if (!version || from.url !== "/ui/v1/health") return false;
    void api("GET", "/v1/health").then((health) => to.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify({ ...health, version })));
    return true;
  });
  const page = await open({ at: proxy.site });
  await page.locator(".connection.good").waitFor();
  version = "0.0.1";
  await api("POST", "/v1/networks", { name: "older" });
  await page.getByText("The daemon is version 0.0.1 now").waitFor();
  version = null;
  await page.getByRole("button", { name: "Reload" }).click();
  await page.locator(".connection.good").waitFor();
  await page.getByText("The daemon is version").waitFor({ state: "detached" });
  await api("DELETE", "/v1/networks/older");
});

test("odd: 10,000 rows in a list: the first of them, a count, a filter over all", async () => {
  const [like] = (await api("GET", "/v1/networks/cards_net/endpoints")).items;
  const all = Array.from({ length: 10_000 }, (_, i) => ({ ...like, id: String(i).padStart(32, "0"), name: `w${i}`, addresses: [`10.${i >> 8}.${i & 255}.2/8`] }));
  const page = await open();
  await page.route("**/ui/v1/networks/cards_net/endpoints?*", (route) => {
    const from = Number(new URL(route.request().url()).searchParams.get("cursor") ?? 0);
    return route.fulfill({ json: { items: all.slice(from, from + 500), next: from + 500 < all.length ? String(from + 500) : null } });
  });
  await go(page, "/networks/cards_net");
  const rows = page.getByRole("region", { name: "Endpoints" }).getByRole("row");
  await page.getByRole("button", { name: "Show 200 more of 9,800" }).waitFor();
  equal(await rows.count(), 201);
  await page.getByRole("button", { name: "Show 200 more of 9,800" }).click();
  await page.getByRole("button", { name: "Show 200 more of 9,600" }).waitFor();
  await page.getByLabel("Filter endpoints").fill("w9999");
  await page.getByRole("region", { name: "Endpoints" }).getByRole("link", { name: "w9999" }).waitFor();
  equal(await rows.count(), 2);
});

test("odd: a form left half filled is in the address, and there again after a reload", async () => {
  const page = await open();
  await go(page, "/networks/new");
  await page.getByLabel("Name", { exact: true }).fill("half");
  await page.getByLabel("Subnet").fill("10.9.0.0/2");
  await page.getByText("not yet a request").waitFor();
  ok(await page.getByRole("button", { name: "Create network" }).isDisabled(), "nothing half is sent");
  await page.reload();
  await page.getByText("not yet a request").waitFor();
  equal([await page.getByLabel("Name", { exact: true }).inputValue(), await page.getByLabel("Subnet").inputValue()], ["half", "10.9.0.0/2"]);
  await go(page, "/policies/subnet-rules");
  await page.getByLabel("Mode", { exact: true }).selectOption("audit");
  await page.getByRole("button", { name: "Put in audit as revision 2" }).waitFor();
  await page.reload();
  await page.getByRole("button", { name: "Put in audit as revision 2" }).waitFor();
  equal(await page.getByLabel("Mode", { exact: true }).inputValue(), "audit");
  await page.getByLabel("Mode", { exact: true }).selectOption("enforce");
  await page.getByText("Nothing has changed.").waitFor();
  ok(!page.url().includes("draft"), page.url());
});
