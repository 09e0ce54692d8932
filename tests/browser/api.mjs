// The page at /api: it works with nothing from outside, and reaches nothing of the dashboard's.
import { equal, fresh, ok, open, picture, site, test, until } from "./harness.mjs";

const token = process.env.BULKHEAD_TOKEN;

/** The page, opened in `context`, with the frame that Swagger UI draws in. Whatever is asked of another host is noted, and gets nothing. */
export async function apiPage(context, at = site) {
  const page = await context.newPage();
  page.outside = [];
  await page.route((url) => !url.href.startsWith(new URL(at).origin), (route) => { page.outside.push(route.request().url()); return route.abort() });
  await page.goto(`${at}/api/`);
  const frame = page.frameLocator("iframe");
  // It draws some forty operations of a large document, on a machine that may be busy.
  await frame.locator("#operations-tag-health").waitFor({ timeout: 120_000 });
  return { page, frame, inside: page.frames().find((f) => f.url().endsWith("/api/frame.html")) };
}

export async function authorize(frame, secret) {
  await frame.getByRole("button", { name: "Authorize", exact: true }).first().click();
  await frame.getByLabel("auth-bearer-value").fill(secret);
  await frame.locator(".modal-ux").getByRole("button", { name: "Apply credentials" }).click();
  await frame.locator(".modal-ux").getByRole("button", { name: "Close" }).click();
}

const operation = (frame, method, path) => frame.locator(`.opblock-${method}:has([data-path="${path}"])`);

/** Opens an operation, sets its body, and sends it; its live answer as text. */
export async function execute(frame, method, path, body) {
  const block = operation(frame, method, path);
  if (!(await block.locator(".opblock-body").count())) await block.locator(".opblock-summary-control").click();
  if (body) await block.locator("textarea.body-param__text").fill(JSON.stringify(body));
  await block.getByRole("button", { name: "Execute" }).click();
  await block.locator(".live-responses-table .response .response-col_status").first().waitFor();
  await until("an answer", async () => !(await block.locator(".loading-container").count()));
  return block.locator(".live-responses-table").innerText();
}

test("api: the page draws every operation with nothing from outside", async () => {
  const context = await fresh();
  const { page, frame } = await apiPage(context);
  const described = await (await fetch(`${site}/api/openapi.json`)).json();
  const operations = Object.values(described.paths).flatMap((p) => Object.keys(p)).length;
  equal(await frame.locator(".opblock").count(), operations);
  equal(page.outside, []);
  await picture(page, "api");
});

test("api: what is tried out is sent with the token that was pasted, and no other", async () => {
  const context = await fresh();
  const { frame } = await apiPage(context);
  ok((await execute(frame, "get", "/v1/networks")).includes("401"), "without a token nothing is told");
  await authorize(frame, "0".repeat(64));
  ok((await execute(frame, "get", "/v1/networks")).includes("the token is not the one"), "the problem is shown");
  await frame.getByRole("button", { name: "Authorize", exact: true }).first().click();
  await frame.locator(".modal-ux").getByRole("button", { name: "Remove authorization" }).click();
  await frame.locator(".modal-ux").getByRole("button", { name: "Close" }).click();
  await authorize(frame, token);
  ok((await execute(frame, "get", "/v1/networks")).includes("cards_net"));
  const made = await execute(frame, "post", "/v1/networks", { name: "by_api_page", labels: { tier: "tried" } });
  ok(made.includes("201") && made.includes("location: /v1/networks/by_api_page"), made);
  const denied = await execute(frame, "post", "/v1/networks", { name: "by_api_page_2", parent: "eth0.40", labels: { tier: "frontend" } });
  ok(denied.includes("403") && denied.includes("shared-segment"), denied);
});

test("api: its frame has no origin: no storage, no network, no way to the dashboard's session", async () => {
  const dashboard = await open();
  const key = await dashboard.evaluate(() => localStorage.getItem("bulkhead.session-key"));
  ok(key?.length === 64, "a session is there to be stolen");
  const { page, inside } = await apiPage(dashboard.context());
  const asked = [];
  page.on("response", (r) => asked.push(new URL(r.url()).pathname));
  const tried = await inside.evaluate(async (site) => {
    const attempt = async (what) => { try { return String(await what()) } catch (e) { return `no: ${e.name}` } };
    const loads = (tag, src) => new Promise((done) => {
      const element = document.createElement(tag);
      element.onload = () => { try { done(`loaded ${element.contentDocument?.body?.innerHTML ?? element.contentWindow}`) } catch (e) { done(`no: ${e.name}`) } };
      element.onerror = () => done("no: error");
      element.src = src;
      document.body.append(element);
      setTimeout(() => done("no: nothing"), 3000);
    });
    return {
      origin: origin,
      storage: await attempt(() => localStorage.getItem("bulkhead.session-key")),
      session: await attempt(() => sessionStorage.length),
      cookie: await attempt(() => document.cookie),
      ofParent: await attempt(() => parent.localStorage.getItem("bulkhead.session-key")),
      document: await attempt(() => parent.document.title),
      fetch: await attempt(async () => (await fetch(`${site}/ui/v1/networks`, { credentials: "include" })).status),
      api: await attempt(async () => (await fetch(`${site}/v1/health`)).status),
      socket: await attempt(() => new Promise((done, fail) => { const s = new WebSocket(site.replace("http", "ws")); s.onopen = done; s.onerror = () => fail({ name: "error" }) })),
      window: await attempt(() => window.open(`${site}/ui/`)),
      frame: await loads("iframe", `${site}/ui/`),
      image: await loads("img", `${site}/ui/icon.svg`),
      evaluated: await attempt(() => new Function("return 1")()),
      top: await attempt(() => { top.location.href = "https://evil.example/"; return "left" }),
    };
  }, site);
  const { origin, ...rest } = tried;
  equal(origin, "null");
  equal(rest.window, "null", "no window");
  // A navigation that is refused throws; a page of nobody's origin that did not load has nothing in it.
  for (const [what, came] of Object.entries(rest).filter(([what]) => what !== "window")) ok(came.startsWith("no: "), `${what}: ${came}`);
  ok(!asked.some((path) => path.startsWith("/ui")), `nothing came of the dashboard: ${asked}`);
  equal(new URL(page.url()).pathname, "/api/", "the page is where it was");
  page.close();
});

test("api: the page around it sends to the API alone, and carries neither key nor cookie there", async () => {
  const dashboard = await open();
  const key = await dashboard.evaluate(() => localStorage.getItem("bulkhead.session-key"));
  // A hostile script in the frame would hear what Swagger UI hears: the port by which the page is asked.
  await dashboard.context().addInitScript(() => { if (location.pathname.endsWith("/api/frame.html")) addEventListener("message", (e) => { window.heard = e }) });
  const { page, inside } = await apiPage(dashboard.context());
  const sent = [];
  page.on("request", (r) => sent.push(r));
  const ask = (url, headers = {}) => inside.evaluate(({ url, headers, token }) => new Promise((done) => {
    const [port] = window.heard.ports;
    const id = `hostile ${url}`;
    // Swagger UI's own listener does not know this id.
    port.onmessage = ({ data }) => { if (data.id === id) done(data.error ?? String(data.answer.status)) };
    port.postMessage({ id, request: { url, method: "GET", headers: { Authorization: `Bearer ${token}`, ...headers } } });
  }), { url, headers, token });
  for (const url of [
    "/ui/v1/networks", "/ui/session", "/v1/../ui/v1/networks", "/v1/%2e%2e/ui/v1/networks", "/ui/", "/api/openapi.json", "/v1", "http://evil.example/v1/networks",
    "//evil.example/v1/", "https://127.0.0.1/v1/networks", "data:text/plain,x", "javascript:alert(1)",
  ]) ok((await ask(url)).includes("is no path of this API"), url);
  equal(sent.map((r) => r.url()), [], "nothing of that was sent");
  equal(await ask("/v1/networks", { "Bulkhead-Session": key, Cookie: "a=b", "X-Odd": "1", "Sec-Fetch-Site": "none" }), "200");
  equal(sent.length, 1);
  const headers = await sent[0].allHeaders();
  equal([headers["bulkhead-session"], headers.cookie, headers["x-odd"], headers.authorization], [undefined, undefined, undefined, `Bearer ${token}`]);
  const data = JSON.stringify(await inside.evaluate(() => window.heard.data));
  ok(!data.includes(key) && !data.includes(token), "the frame is told the description and no secret");
});

test("api: opened by itself, the frame's document has no origin either", async () => {
  const page = await open();
  await page.goto(`${site}/api/frame.html`);
  const came = await page.evaluate(async () => {
    const attempt = async (what) => { try { return String(await what()) } catch (e) { return e.name } };
    return [origin, await attempt(() => localStorage.length), await attempt(() => document.cookie), await attempt(async () => (await fetch("/ui/session")).status)];
  });
  equal(came, ["null", "SecurityError", "SecurityError", "TypeError"]);
  page.complaints = [];
});

test("api: events are shown as far as they come within ten seconds", async () => {
  const context = await fresh();
  const { frame } = await apiPage(context);
  await authorize(frame, token);
  const block = operation(frame, "get", "/v1/events");
  await block.locator(".opblock-summary-control").click();
  await block.locator(".response .content-type").first().selectOption("text/event-stream");
  await block.locator('tr[data-param-name="after"] input').fill("0");
  await block.getByRole("button", { name: "Execute" }).click();
  await block.locator(".live-responses-table").getByText("event: network.created").first().waitFor();
});
