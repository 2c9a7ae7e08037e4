// What of a connection that works can be gone over again, as the address of its sheet says it.

import type { Connection } from "$lib/api/client";

export type Again = "change" | "sign-in";

/** What an address says: anything else is nothing. */
export function again(said: string | null): Again | null {
  return said === "change" || said === "sign-in" ? said : null;
}

const BY_A_PERSON = new Set(["oauth_code", "device", "key_hand_over", "token_exchange"]);

/** Whether somebody signs in at the other side; everything else is filled in here. */
export function signsIn(connection: Pick<Connection, "way_kind">): boolean {
  return BY_A_PERSON.has(connection.way_kind ?? "");
}
