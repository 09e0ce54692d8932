// The way in and out, as a browser takes it.
import { execFileSync } from "node:child_process";
import { mkdtempSync, writeFileSync } from "node:fs";
import { code, equal, ok, open, picture, site, test, until } from "./harness.mjs";

test("login: the command's url is good once, and leaves no trace in the address", async () => {
  const folder = mkdtempSync("target/browser/token-");
  writeFileSync(`${folder}/token`, process.env.BULKHEAD_TOKEN, { mode: 0o600 });
  const printed = execFileSync("target/debug/bulkhead", ["dashboard", "--host", site, "--token-file", `${folder}/token`], { stdio: ["ignore", "pipe", "ignore"] });
  const url = String(printed).trim();
  ok(/^http:\/\/127\.0\.0\.1:\d+\/ui\/#code=[0-9a-f]{64}$/.test(url), url);
  const page = await open({ out: true });
  const asked = [];
  page.on("request", (r) => asked.push(r.url()));
  await page.goto("about:blank");
  await page.goto(url);
  await page.waitForSelector("header.bar");
  equal(page.url(), `${site}/ui/`, "the code is gone from the address");
  const secret = url.split("=")[1];
  ok(!asked.some((u) => u.includes(secret) || u.includes(process.env.BULKHEAD_TOKEN)), "no secret in any request's address");
  const [cookie] = await page.context().cookies(`${site}/ui/`);
  equal([cookie.httpOnly, cookie.sameSite, cookie.path], [true, "Strict", "/ui"]);
  equal(await page.context().cookies(`${site}/v1/networks`), [], "the cookie is not for the API's own path, nor for its pages");
  const stored = await page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie, history.state]));
  ok(!stored.includes(process.env.BULKHEAD_TOKEN) && !stored.includes(cookie.value) && !stored.includes(secret), "scripts see neither token, cookie nor code");
  const second = await open({ out: true });
  await second.goto("about:blank");
  await second.goto(url);
  await second.getByRole("alert").getByText("used or older than 60 s").waitFor();
});

test("login: a reload and another tab are logged in, a log-out ends all of them", async () => {
  const page = await open();
  await page.reload();
  await page.waitForSelector("header.bar");
  const other = await page.context().newPage();
  await other.goto(`${site}/ui/networks/cards_net`);
  await other.getByRole("heading", { name: "cards_net" }).waitFor();
  await page.getByRole("button", { name: /Log out/ }).click();
  await page.getByText("Logged out.").waitFor();
  equal(await page.evaluate(() => localStorage.getItem("bulkhead.session-key")), null);
  await other.getByRole("alert").getByText("The session is over").waitFor();
  await other.reload();
  await other.getByText("bulkhead dashboard").first().waitFor();
});

test("login: the page says how to get in, and takes a pasted url", async () => {
  const page = await open({ out: true });
  await page.getByText("bulkhead dashboard", { exact: true }).waitFor();
  await picture(page, "login");
  await page.getByLabel("Or paste the URL or its code").fill(`${site}/ui/#code=${"0".repeat(64)}`);
  await page.getByRole("button", { name: "Log in" }).click();
  await page.getByRole("alert").getByText("unknown, used or older").waitFor();
  await page.getByLabel("Or paste the URL or its code").fill(await code());
  await page.getByRole("button", { name: "Log in" }).click();
  await page.waitForSelector("header.bar");
});

test("login: the cookie without the key, and a page of another site, get nothing", async () => {
  const page = await open();
  const status = (init) => page.evaluate(async (init) => (await fetch("/ui/v1/networks", init)).status, init);
  equal(await status({}), 401, "the cookie alone");
  equal(await status({ method: "POST", headers: { "Content-Type": "application/json" }, body: "{}" }), 401);
  const key = await page.evaluate(() => localStorage.getItem("bulkhead.session-key"));
  equal(await status({ headers: { "Bulkhead-Session": key } }), 200);
  equal(await status({ headers: { "Bulkhead-Session": key }, credentials: "omit" }), 401, "the key alone");
  // localhost is another origin, though the same daemon listens there.
  await page.route("http://evil.example/", (route) => route.fulfill({ contentType: "text/html", body: "<title>evil</title>" }));
  await page.goto("http://evil.example/");
  const foreign = await page.evaluate(async (to) => { try { return (await fetch(to, { credentials: "include", headers: { "Bulkhead-Session": "x" } })).status } catch (e) { return String(e) } }, `${site}/ui/v1/networks`);
  ok(/TypeError/.test(foreign), `a foreign page reads nothing: ${foreign}`);
  const framed = await page.evaluate((to) => new Promise((done) => { const f = document.createElement("iframe"); f.src = to; f.onload = () => { try { done(String(f.contentDocument)) } catch (e) { done(String(e)) } }; document.body.append(f) }), `${site}/ui/`);
  await until("the frame is empty", () => framed !== "[object HTMLDocument]");
  page.complaints = [];
});
