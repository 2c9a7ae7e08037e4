// What has lost its secrets, and where they are entered again.

import type { Status } from "$lib/api/client";

/** One thing that cannot work until somebody has been there. */
export interface Again {
  href: string;
  name: string;
  /** What it is, and what there is to do where that is not to enter something. */
  what: string;
}

/** Whether the vault no longer holds the secrets of this. */
export function hasLost(vault: Status["vault"] | undefined, owner: string): boolean {
  return vault?.lost.some((it) => it.owner === owner) ?? false;
}

export function enterAgain({ owner, name }: Status["vault"]["lost"][number]): Again {
  switch (owner.slice(0, owner.indexOf("_"))) {
    case "con":
      return { href: `/connections?connection=${owner}&again=secrets`, name, what: "connection" };
    case "inb":
      return { href: `/inboxes?inbox=${owner}`, name, what: "inbox" };
    default:
      return { href: "/inboxes/tunnels", name, what: "tunnel, to be made again" };
  }
}
