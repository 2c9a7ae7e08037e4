// What of a connection that works can be gone over again, as the address of its sheet says it.

import type { Connection } from "$lib/api/client";

export type Again = "change" | "sign-in";

/** What an address says: anything else is nothing. Lost secrets are made by a sign-in, or filled in. */
export function again(
  said: string | null,
  connection: Pick<Connection, "way_kind"> | undefined,
): Again | null {
  if (said === "secrets" && connection) return signsIn(connection) ? "sign-in" : "change";
  return said === "change" || said === "sign-in" ? said : null;
}

const BY_A_PERSON = new Set(["oauth_code", "device", "key_hand_over", "token_exchange"]);

/** Whether somebody signs in at the other side; everything else is filled in here. */
export function signsIn(connection: Pick<Connection, "way_kind">): boolean {
  return BY_A_PERSON.has(connection.way_kind ?? "");
}
