// The session: two secrets, of which this side holds one. The cookie is the browser's alone (HttpOnly); the key is kept by origin, so
// that another tab and a reload have it, and is worth nothing without the cookie. The daemon's token is never here.
import { signal } from "@preact/signals";

const place = "bulkhead.session-key";

export interface Who { name: string; groups: string[]; admin: boolean; version: string; ends_in_s: number }

/** `unknown` until the daemon has said. */
export const state = signal<"unknown" | "in" | "out">("unknown");
export const who = signal<Who | null>(null);
/** Why one is out, where there is something to say. */
export const why = signal<string>("");

// A log-out in one tab is one in all.
addEventListener("storage", (e) => { if (e.key === place && e.newValue === null && state.value === "in") session.over("The session is over.") });

export const session = {
  key: (): string => localStorage.getItem(place) ?? "",
  begun(key: string, caller: Who): void {
    localStorage.setItem(place, key);
    who.value = caller;
    state.value = "in";
    why.value = "";
  },
  over(reason = ""): void {
    localStorage.removeItem(place);
    if (state.value === "in" && !reason) why.value = "The session is over.";
    // Several requests may hear of it: the first reason stays.
    else if (reason) why.value = reason;
    state.value = "out";
    who.value = null;
  },
};
