// Log-in: by the code in the address, or how to get one.
import { useState } from "preact/hooks";
import { base } from "../api";
import { session, why } from "../session";
import { Copy, Icon } from "../parts/basics";

/** Exchanges a code for a session; tells what went wrong. */
export async function logIn(code: string): Promise<string> {
  try {
    const response = await fetch(`${base}session`, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ code }), signal: AbortSignal.timeout(15_000) });
    const body = await response.json();
    if (!response.ok) return body.detail ?? `the answer is ${response.status}`;
    const { key, ...who } = body;
    session.begun(key, who);
    return "";
  } catch {
    return "The daemon does not answer. Is bulkhead serve running?";
  }
}

export function Login({ problem }: { problem: string }) {
  const [text, setText] = useState("");
  const [odd, setOdd] = useState("");
  const [busy, setBusy] = useState(false);
  const code = text.trim().replace(/^.*#code=/, "");
  const submit = async (e: Event) => {
    e.preventDefault();
    setBusy(true);
    const wrong = await logIn(code);
    setOdd(wrong);
    setBusy(false);
  };
  const told = odd || problem || why.value;
  return (
    <main class="login" id="main">
      <img src={`${base}icon.svg`} width="56" height="56" alt="" />
      <h1 tabIndex={-1}>Bulkhead</h1>
      {told && <p class="warning" role="alert"><Icon name="warn" />{told}</p>}
      <p>On the daemon's host, run</p>
      <div class="command"><code>bulkhead dashboard</code><Copy what="command" text="bulkhead dashboard" /></div>
      <p>and open the URL that it prints. It is good for one log-in within 60 seconds, and the session acts as you.</p>
      <form class="row" onSubmit={submit}>
        <div class="field"><label for="code">Or paste the URL or its code</label><input id="code" autoComplete="off" spellcheck={false} class="mono" value={text} onInput={(e) => setText(e.currentTarget.value)} /></div>
        <button class="primary" disabled={busy || !/^[0-9a-f]{64}$/.test(code)}>{busy ? "Logging in…" : "Log in"}</button>
      </form>
      <p class="dim small">It ends when you log out, after 30 minutes without use, after 12 hours, and when the daemon stops.</p>
    </main>
  );
}
