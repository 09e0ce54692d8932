// A daemon with a base path behind nginx, which leaves the prefix in place or takes it away.
import { execute, authorize, apiPage } from "./api.mjs";
import { equal, fresh, ok, test, until } from "./harness.mjs";

const [token, keeps, strips] = (process.env.BULKHEAD_PROXIED ?? "").split(" ");
const bearer = { Authorization: `Bearer ${token}` };

for (const [how, site] of [["left in place", keeps], ["taken away", strips]]) {
  test(`proxied, prefix ${how}: the dashboard logs in, shows, changes and logs out`, async () => {
    const context = await fresh();
    const page = await context.newPage();
    const asked = [];
    page.on("request", (r) => asked.push(new URL(r.url()).pathname));
    const { code } = await (await fetch(`${site}/v1/sessions/codes`, { method: "POST", headers: bearer })).json();
    await page.goto(`${site}/ui/#code=${code}`);
    await page.waitForSelector("header.bar");
    const [cookie] = await context.cookies(`${site}/ui/`);
    equal([cookie.path, cookie.httpOnly], ["/bulkhead/ui", true]);
    equal(await context.cookies(`${new URL(site).origin}/ui/`), [], "it is for nothing else of that proxy");
    await page.getByRole("link", { name: "Networks", exact: true }).click();
    await page.getByRole("link", { name: "cards_net" }).first().click();
    await page.getByRole("heading", { name: "cards_net" }).waitFor();
    equal(new URL(page.url()).pathname, "/bulkhead/ui/networks/cards_net");
    await page.reload();
    await page.getByRole("heading", { name: "cards_net" }).waitFor();
    ok(asked.every((path) => path.startsWith("/bulkhead/")), `all is asked below the prefix: ${asked.filter((path) => !path.startsWith("/bulkhead/"))}`);
    await page.getByRole("button", { name: /Log out/ }).click();
    await page.getByText("Logged out.").waitFor();
  });

  test(`proxied, prefix ${how}: redirects, Location and the description name paths that are there`, async () => {
    const origin = new URL(site).origin;
    for (const [path, to] of [["/", "/bulkhead/ui/"], ["/ui", "/bulkhead/ui/"], ["/api", "/bulkhead/api/"]]) {
      const response = await fetch(site + path, { redirect: "manual" });
      equal([response.status, response.headers.get("location")], [303, to]);
      equal((await fetch(origin + to)).status, 200);
    }
    const name = `by_proxy_${how.split(" ")[0]}`;
    const made = await fetch(`${site}/v1/networks`, { method: "POST", headers: { ...bearer, "Content-Type": "application/json" }, body: JSON.stringify({ name, labels: { tier: name } }) });
    equal([made.status, made.headers.get("location")], [201, `/bulkhead/v1/networks/${name}`]);
    equal((await (await fetch(origin + made.headers.get("location"), { headers: bearer })).json()).name, name);
    equal((await (await fetch(`${site}/v1/openapi.json`, { headers: bearer })).json()).servers[0].url, "/bulkhead");
    equal((await fetch(`${origin}/v1/health`, { headers: bearer })).status, 404, "the proxy's own");
  });

  test(`proxied, prefix ${how}: events come as they happen`, async () => {
    const stop = new AbortController();
    const response = await fetch(`${site}/v1/events`, { headers: { ...bearer, Accept: "text/event-stream" }, signal: stop.signal });
    equal([response.status, response.headers.get("content-type")], [200, "text/event-stream"]);
    let seen = "";
    (async () => { for await (const chunk of response.body) seen += new TextDecoder().decode(chunk) })().catch(() => {});
    await until("the stream begins", () => seen.includes(": events"));
    const name = `event_${how.split(" ")[0]}`;
    await fetch(`${site}/v1/networks`, { method: "POST", headers: { ...bearer, "Content-Type": "application/json" }, body: JSON.stringify({ name, labels: { tier: name } }) });
    await until("its event", () => seen.includes("event: network.created") && seen.includes(name));
    stop.abort();
  });

  test(`proxied, prefix ${how}: the API's page tries operations out`, async () => {
    const { page, frame } = await apiPage(await fresh(), site);
    await authorize(frame, token);
    ok((await execute(frame, "get", "/v1/networks")).includes("cards_net"));
    equal(page.outside, []);
  });
}
