// Runs tests one after the other and counts them, as scripts/test reads it; and what each needs: a logged-in page, the API beside it.
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { createServer, request as ask } from "node:http";
import { chromium } from "playwright-core";

const port = process.env.BULKHEAD_PORT;
const token = process.env.BULKHEAD_TOKEN;
export const site = `http://127.0.0.1:${port}`;
/** The dashboard's files from there instead of from the daemon: who works on them need not build it anew. */
const dist = process.env.BULKHEAD_DIST;
const words = process.argv.slice(2).filter((w) => !w.startsWith("-"));
const pictures = process.argv.includes("--screenshots") ? "docs/screenshots" : "target/browser/screenshots";
mkdirSync(pictures, { recursive: true });

const tests = [];
export const test = (name, body) => tests.push({ name, body });

/** The API, by the token. */
export async function api(method, path, body) {
  const headers = { Authorization: `Bearer ${token}`, ...(body ? { "Content-Type": "application/json" } : {}) };
  const response = await fetch(site + path, { method, headers, ...(body ? { body: JSON.stringify(body) } : {}) });
  const text = await response.text();
  const answer = text ? JSON.parse(text) : null;
  if (!response.ok) throw Object.assign(new Error(`${method} ${path}: ${response.status} ${text}`), { status: response.status, problem: answer });
  return answer;
}

export const code = async () => (await api("POST", "/v1/sessions/codes")).url.match(/#code=(.*)$/)[1];

let commands = 0;
/** Runs a shell command on the kernel of the daemon, behind its back; gives what it printed. */
export async function inside(command) {
  const at = `${process.env.BULKHEAD_INSIDE}/${++commands}-${Date.now()}`;
  writeFileSync(`${at}.new`, command);
  renameSync(`${at}.new`, `${at}.do`);
  await until(`${command} is done`, () => existsSync(`${at}.status`), 30);
  const [status, said] = [readFileSync(`${at}.status`, "utf8").trim(), readFileSync(`${at}.out`, "utf8")];
  if (status !== "0") throw new Error(`${command}: ${status} ${said}`);
  return said;
}

/** Stands between browser and daemon, as a reverse proxy does. `meddle` may answer a request itself: it then gives true. */
export async function between(meddle = () => false, below = "") {
  const open = new Set();
  const server = createServer((from, to) => {
    if (meddle(from, to)) return;
    const path = from.url.slice(below.length);
    if (!from.url.startsWith(below)) { to.writeHead(404).end("no such site"); return }
    const headers = { ...from.headers, host: `127.0.0.1:${port}`, ...(from.headers.origin ? { origin: site } : {}) };
    const up = ask({ host: "127.0.0.1", port, method: from.method, path, headers }, (answer) => {
      // As proxies do it that put a service below a path.
      const cookie = answer.headers["set-cookie"]?.map((c) => c.replace("Path=/ui", `Path=${below}/ui`));
      to.writeHead(answer.statusCode, { ...answer.headers, ...(cookie ? { "set-cookie": cookie } : {}) });
      answer.pipe(to);
    });
    up.on("error", () => to.destroy());
    to.on("close", () => up.destroy());
    from.pipe(up);
  });
  server.on("connection", (socket) => { open.add(socket); socket.on("close", () => open.delete(socket)) });
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  const cut = () => open.forEach((socket) => socket.destroy());
  closers.push(() => { cut(); server.close() });
  return { site: `http://127.0.0.1:${server.address().port}${below}`, cut };
}
let closers = [];

let browser;
/** A new browser profile, with nobody logged in. */
export async function fresh(options = {}) {
  browser ??= await chromium.launch({
    executablePath: process.env.CHROMIUM,
    args: ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
  });
  const context = await browser.newContext({ viewport: { width: 1360, height: 850 }, ...options });
  // Longer than the page itself waits for any answer, on a busy machine.
  context.setDefaultTimeout(30_000);
  if (dist) await context.route(/\/ui\/app\.(js|css)$/, (route) => route.fulfill({ path: `${dist}/${route.request().url().split("/").pop()}` }));
  contexts.push(context);
  return context;
}
let contexts = [];

/** A new browser profile, logged in unless `out`. Whatever a page complains of fails the test, but for answers that a test expects. */
export async function open(options = {}) {
  const { out, at = site, ...rest } = options;
  const page = await (await fresh(rest)).newPage();
  page.complaints = [];
  page.on("pageerror", (e) => page.complaints.push(e.message));
  page.on("console", (m) => { if (m.type() === "error" && !/Failed to load resource|net::ERR/.test(m.text())) page.complaints.push(m.text()) });
  opened.push(page);
  page.at = at;
  await page.goto(`${at}/ui/${out ? "" : `#code=${await code()}`}`);
  await page.waitForSelector(out ? ".login h1" : "header.bar");
  return page;
}
let opened = [];

export async function go(page, path) {
  await page.goto(`${page.at}/ui${path}`);
  await page.waitForSelector("h1");
}

export async function picture(page, name, options = {}) {
  await page.evaluate(() => document.fonts.ready);
  await page.screenshot({ path: `${pictures}/${name}.png`, animations: "disabled", ...options });
}

/** Waits until `check` gives something true; the last that went wrong is told. */
export async function until(what, check, seconds = 15) {
  const end = Date.now() + seconds * 1000;
  let last = "";
  while (Date.now() < end) {
    try { const found = await check(); if (found) return found } catch (e) { last = e.message }
    await new Promise((r) => setTimeout(r, 100));
  }
  throw new Error(`not within ${seconds} s: ${what} ${last}`);
}

export function equal(found, wanted, what = "") {
  const [f, w] = [JSON.stringify(found), JSON.stringify(wanted)];
  if (f !== w) throw new Error(`${what}\n  wanted ${w}\n  found  ${f}`);
}
export function ok(value, what) { if (!value) throw new Error(what) }

export async function main() {
  let [passed, failed] = [0, 0];
  for (const { name, body } of tests.filter((t) => words.length === 0 || words.some((w) => t.name.includes(w)))) {
    [opened, contexts, closers] = [[], [], []];
    try {
      await body();
      equal(opened.flatMap((p) => p.complaints), [], "the page complains");
      console.log(`test ${name} ... ok`);
      passed++;
    } catch (e) {
      console.log(`test ${name} ... FAILED\n${e.stack}`);
      for (const [i, page] of opened.entries()) await page.screenshot({ path: `target/browser/failed-${name.replace(/\W+/g, "-")}-${i}.png`, fullPage: true }).catch(() => {});
      failed++;
    }
    for (const context of contexts) await context.close();
    for (const close of closers) close();
  }
  await browser?.close();
  console.log(`\ntest result: ${failed ? "FAILED" : "ok"}. ${passed} passed; ${failed} failed`);
  process.exit(failed || passed === 0 ? 1 : 0);
}
