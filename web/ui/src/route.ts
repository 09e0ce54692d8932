// Where one is: path and query of the address, which hold all that a page shows.
import { computed, signal } from "@preact/signals";
import { base } from "./api";

const here = () => ({ path: "/" + location.pathname.slice(base.length).replace(/\/+$/, ""), query: new URLSearchParams(location.search) });
export const route = signal(here());
export const path = computed(() => route.value.path);
export const query = computed(() => route.value.query);
addEventListener("popstate", () => { route.value = here() });

export const href = (to: string): string => base.replace(/\/$/, "") + to;

export function go(to: string, how: "push" | "replace" = "push"): void {
  if (how === "push") history.pushState(null, "", href(to));
  else history.replaceState(null, "", href(to));
  const moved = here().path !== route.value.path;
  route.value = here();
  if (moved) {
    scrollTo(0, 0);
    // A new page begins at its heading, for who does not see it change.
    requestAnimationFrame(() => document.querySelector<HTMLElement>("h1")?.focus({ preventScroll: true }));
  }
}

/** The same page with other parameters: a value, several, or none. */
export function withQuery(changes: Record<string, string | string[] | null>, how: "push" | "replace" = "replace"): void {
  const next = new URLSearchParams(query.value);
  for (const [key, value] of Object.entries(changes)) {
    next.delete(key);
    for (const one of value === null ? [] : [value].flat()) if (one !== "") next.append(key, one);
  }
  const text = next.toString();
  go(path.value + (text ? `?${text}` : ""), how);
}

/** Plain clicks on links of our own stay in the page. */
export function followLinks(event: MouseEvent): void {
  const link = (event.target as Element).closest?.("a");
  if (!link || event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  const to = link.getAttribute("href") ?? "";
  if (link.target || !to.startsWith(base)) return;
  event.preventDefault();
  go("/" + to.slice(base.length));
}
