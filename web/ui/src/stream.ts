// Server-sent events over fetch: the session needs a header field, which EventSource cannot send.

/** One event of a stream; `id` is the last that was sent, as HTML's section on server-sent events has it. */
export interface Message { id: string; event: string; data: string }

/** Splits a stream's text into events. A part of a line waits for the rest; comments say nothing, but show that somebody is there. */
export function parser(take: (message: Message) => void): (text: string) => void {
  let rest = "";
  let id = "", event = "", data: string[] = [];
  const line = (text: string) => {
    if (text === "") {
      if (data.length > 0) take({ id, event: event || "message", data: data.join("\n") });
      event = "";
      data = [];
      return;
    }
    const colon = text.indexOf(":");
    if (colon === 0) return;
    const field = colon < 0 ? text : text.slice(0, colon);
    const value = colon < 0 ? "" : text.slice(colon + 1).replace(/^ /, "");
    if (field === "data") data.push(value);
    else if (field === "event") event = value;
    else if (field === "id" && !value.includes("\0")) id = value;
  };
  return (text) => {
    const all = (rest + text).split("\n");
    rest = all.pop() ?? "";
    // The daemon ends lines with LF; a proxy may have made CR LF of it.
    for (const one of all) line(one.endsWith("\r") ? one.slice(0, -1) : one);
  };
}

/** Reads a stream to its end. `heard` is told of every sign of life, comments included. */
export async function read(body: ReadableStream<Uint8Array>, heard: () => void, take: (message: Message) => void): Promise<void> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  const feed = parser(take);
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    heard();
    feed(decoder.decode(value, { stream: true }));
  }
}
