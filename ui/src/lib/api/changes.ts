// From a notice to what is fetched again. Every query's key begins with the noun it shows, so a
// notice needs no list of pages; these are the few nouns whose change shows elsewhere too.

import type { QueryKey } from "@tanstack/svelte-query";
import type { Notice } from "./transport";

/** Nouns whose rows carry something of the noun on the left: a count, a state, a name. */
const ALSO: Record<string, readonly string[]> = {
  events: ["inboxes", "status"],
  connections: ["inboxes", "syncs", "status", "sandbox"],
  inboxes: ["connections"],
  syncs: ["connections", "sync-runs"],
  records: ["syncs"],
  tunnels: ["inboxes", "status"],
};

/** The first parts of the query keys to fetch again, or `null` for all of them. */
export function stale(notices: readonly Notice[]): Set<string> | null {
  const nouns = new Set<string>();
  for (const notice of notices) {
    if (notice.noun === "*") return null;
    nouns.add(notice.noun);
    for (const noun of ALSO[notice.noun] ?? []) nouns.add(noun);
  }
  return nouns;
}

/** Whether the query with this key shows one of these nouns. */
export function shows(nouns: Set<string> | null, key: QueryKey): boolean {
  return nouns === null || nouns.has(String(key[0]));
}
