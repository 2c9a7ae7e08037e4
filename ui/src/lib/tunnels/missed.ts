// What is missed while a tunnel does not run.

import type { Inbox, Tunnel } from "$lib/api/client";

/** How many inboxes are named. */
const NAMED = 3;

/** Names the address and the inboxes whose senders do not get through. */
export function whatIsMissed(
  tunnel: Pick<Tunnel, "public_url" | "address_changes">,
  inboxes: readonly Pick<Inbox, "name">[],
): string {
  const address = tunnel.public_url ?? "its address";
  const more = inboxes.length - NAMED;
  const named = inboxes.slice(0, NAMED).map((inbox) => inbox.name);
  const whom = named.length
    ? ` for ${[...named, ...(more > 0 ? [`${more} more`] : [])].join(", ").replace(/, ([^,]*)$/, " and $1")}`
    : "";
  const then = tunnel.address_changes ? " Its next start gives it another address." : "";
  return `What senders send to ${address}${whom} is missed until it runs again, unless they try again later.${then}`;
}
