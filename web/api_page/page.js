// The page's own part. Swagger UI runs in a frame that has no origin and no network; what it asks comes here by messages, and goes out
// below the API's own paths only, with the API's own header fields, and with no cookie. Nothing that is told here is a secret of the dashboard's.

/** Where the daemon is: this script is at …/api/page.js, wherever a proxy puts it. */
const base = new URL("..", import.meta.url).pathname;
const paths = ["v1/", "problems/"];
const fields = ["accept", "authorization", "bulkhead-approved-by", "bulkhead-reason", "bulkhead-ticket", "content-type", "idempotency-key", "if-match", "last-event-id"];
/** How long an answer may take, and how much of a stream of events is shown, in milliseconds. */
const patience = 120_000, streamed = 10_000;

/** All of an answer; of a stream, what comes within the time. */
async function whole(response) {
  if (!response.headers.get("content-type")?.startsWith("text/event-stream")) return response.arrayBuffer();
  const reader = response.body.getReader();
  const parts = [];
  const enough = setTimeout(() => reader.cancel(), streamed);
  for (let next = await reader.read(); !next.done; next = await reader.read()) parts.push(next.value);
  clearTimeout(enough);
  return new Blob(parts).arrayBuffer();
}

/** Sends what the frame asks for, if it is of the API. */
async function send({ url, method, headers, body }) {
  const to = new URL(url, location.href);
  if (to.origin !== location.origin || !paths.some((path) => to.pathname.startsWith(base + path))) throw new Error(`${to} is no path of this API`);
  const known = Object.entries(headers ?? {}).filter(([name]) => fields.includes(name.toLowerCase()));
  const response = await fetch(to, {
    method, headers: known, body, credentials: "omit", redirect: "error", cache: "no-store", referrerPolicy: "no-referrer", signal: AbortSignal.timeout(patience),
  });
  return { status: response.status, statusText: response.statusText, headers: [...response.headers], body: await whole(response) };
}

const frame = document.createElement("iframe");
frame.title = "The API, to read and to try out";
frame.sandbox = "allow-scripts allow-forms";
frame.addEventListener("load", async () => {
  const { port1, port2 } = new MessageChannel();
  port1.onmessage = async ({ data: { id, request } }) => {
    try { port1.postMessage({ id, answer: await send(request) }) } catch (e) { port1.postMessage({ id, error: String(e.message ?? e) }) }
  };
  const response = await fetch(new URL("openapi.json", import.meta.url), { credentials: "omit" });
  // It has no origin that could be named. What goes there is public, and it can lead to nowhere but this daemon (frame-src).
  frame.contentWindow.postMessage({ description: await response.json() }, "*", [port2]);
});
frame.src = "frame.html";
document.body.append(frame);
