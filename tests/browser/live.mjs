// Live update: one stream of events, what becomes of it when it is lost, and what takes its place.
import { api, between, equal, go, ok, open, test, until } from "./harness.mjs";

const isStream = (request) => request.headers.accept === "text/event-stream";
const made = async (name) => api("POST", "/v1/networks", { name, labels: { tier: "frontend" } });

test("live: one stream tells what happens, and nobody asks again and again", async () => {
  const page = await open();
  await go(page, "/networks");
  await page.locator(".connection.good").waitFor();
  const asked = [];
  page.on("request", (r) => asked.push(`${new URL(r.url()).pathname} ${r.headers().accept}`));
  await page.waitForTimeout(6_000);
  ok(asked.length <= 1 && asked.every((a) => a.startsWith("/ui/v1/health")), `nothing has happened, and it asked ${asked.join(", ")}`);
  await made("streamed");
  await page.getByRole("link", { name: "streamed" }).waitFor();
  await go(page, "/decisions");
  await page.locator(".connection.good").waitFor();
  const before = (await api("GET", "/v1/health")).last_decision;
  await api("POST", "/v1/networks/cards_net/endpoints", { namespace: { name: "iso4" }, interface: "eth1" }).catch((e) => equal(e.status, 403));
  await page.locator(".log").getByRole("link", { name: String(before + 1), exact: true }).waitFor();
  await go(page, "/events");
  await page.locator(".log").getByText(`denied by tier-isolation (decision ${before + 1})`).waitFor();
  await page.locator(".log").getByRole("link", { name: `decision ${before + 1}` }).click();
  await page.getByRole("heading", { name: `Decision ${before + 1}` }).waitFor();
  await api("DELETE", "/v1/networks/streamed");
});

test("live: a stream that is lost is told, and taken up behind the last event that was heard", async () => {
  const streams = [];
  let isDown = false;
  const proxy = await between((from, to) => {
    if (isStream(from)) streams.push(Number(from.headers["last-event-id"]));
    if (isDown) to.destroy();
    return isDown;
  });
  const page = await open({ at: proxy.site });
  await go(page, "/networks");
  await page.locator(".connection.good").waitFor();
  await made("before-the-cut");
  await page.getByRole("link", { name: "before-the-cut" }).waitFor();
  const heard = (await api("GET", "/v1/health")).last_event;
  isDown = true;
  proxy.cut();
  await page.getByRole("alert").getByText("No connection.").waitFor();
  ok(await page.getByRole("link", { name: "before-the-cut" }).isVisible(), "what was there stays to be read");
  await made("during-the-cut");
  await page.getByRole("button", { name: "Try now" }).click();
  await page.getByRole("alert").getByText("No connection.").waitFor();
  const count = streams.length;
  isDown = false;
  await page.getByRole("link", { name: "during-the-cut" }).waitFor();
  await page.locator(".connection.good").waitFor();
  await page.getByRole("alert").waitFor({ state: "detached" });
  equal(streams[count], heard, "it goes on where it was");
  await api("DELETE", "/v1/networks/before-the-cut");
  await page.getByRole("link", { name: "before-the-cut" }).waitFor({ state: "detached" });
  await api("DELETE", "/v1/networks/during-the-cut");
});

test("live: events that were missed are told, and what is there is looked at anew", async () => {
  let toResync = 1;
  const proxy = await between((from, to) => {
    if (!isStream(from) || toResync-- <= 0) return false;
    to.writeHead(200, { "content-type": "text/event-stream" }).end(`: events\n\nevent: resync\ndata: ${JSON.stringify({ last: 1, why: "9 events were not taken in time" })}\n\n`);
    return true;
  });
  const page = await open({ at: proxy.site });
  await page.getByText("events were missed (9 events were not taken in time)").waitFor();
  await page.locator(".connection.good").waitFor();
  await go(page, "/networks");
  await made("after-the-gap");
  await page.getByRole("link", { name: "after-the-gap" }).waitFor();
  await api("DELETE", "/v1/networks/after-the-gap");
});

for (const [what, meddle] of [
  ["an older daemon that knows none", (to) => to.writeHead(200, { "content-type": "application/json" }).end('{"items":[],"next":null}')],
  ["a proxy that ends each at once", (to) => to.writeHead(200, { "content-type": "text/event-stream" }).end(": events\n\n")],
  ["a proxy that holds it back", () => {}],
]) {
  test(`live: without a stream it asks every few seconds, and says so: ${what}`, async () => {
    const proxy = await between((from, to) => { if (isStream(from)) meddle(to); return isStream(from) });
    const page = await open({ at: proxy.site });
    await go(page, "/networks");
    await page.locator(".connection").getByText("every 5 s").waitFor();
    await made("polled");
    await page.getByRole("link", { name: "polled" }).waitFor();
    await api("DELETE", "/v1/networks/polled");
    await page.getByRole("link", { name: "polled" }).waitFor({ state: "detached" });
  });
}

test("live: below a path of a proxy all of it works the same", async () => {
  const proxy = await between(undefined, "/tools/bulkhead");
  const page = await open({ at: proxy.site });
  await go(page, "/networks/cards_net");
  await page.getByRole("grid").waitFor();
  await page.locator(".connection.good").waitFor();
  await page.getByRole("link", { name: "Attach a workload" }).click();
  await page.getByRole("heading", { name: "Attach a workload" }).waitFor();
  equal(new URL(page.url()).pathname, "/tools/bulkhead/ui/networks/cards_net/attach");
  await page.reload();
  await page.getByRole("heading", { name: "Attach a workload" }).waitFor();
  const elsewhere = await page.evaluate(() => performance.getEntriesByType("resource").map((e) => new URL(e.name).pathname).filter((p) => !p.startsWith("/tools/bulkhead/ui/")));
  equal(elsewhere, []);
  await until("the redirect leads there, too", async () => (await fetch(`${proxy.site}/ui`, { redirect: "follow" })).url === `${proxy.site}/ui/`);
});
