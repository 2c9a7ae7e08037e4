// Whether a connection has come so far that something of it can be lost.

import type { Connection } from "$lib/api/client";

/** False where it was begun and has never worked: then it is thrown away without a question. */
export function finished(
  connection: Pick<Connection, "half_made" | "fault" | "checked_at" | "syncs" | "inboxes">,
): boolean {
  if (connection.half_made) return false;
  return !connection.fault || !!connection.checked_at || connection.syncs + connection.inboxes > 0;
}
