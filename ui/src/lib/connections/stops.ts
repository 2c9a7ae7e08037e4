// What stops working without a connection, in sentences.

import type { Connection, Hanging } from "$lib/api/client";
import { count, counted } from "$lib/time/words";

/** One line for each thing that ends, and for what stays. `title` names a stream. */
export function stops(
  what: "off" | "delete",
  connection: Pick<Connection, "revokes" | "connector_name"> & {
    /** Whether the vault has anything of it. */
    secrets: boolean;
  },
  hangs: Hanging,
  title: (stream: string) => string,
): string[] {
  const streams = hangs.syncs.map((each) => title(each.stream)).join(", ");
  const inboxes = hangs.inboxes.map((each) => each.name).join(", ");
  const syncs = counted(hangs.syncs.length, "sync");
  const lines: (string | false)[] =
    what === "off"
      ? [
          hangs.syncs.length > 0 &&
            `${syncs} ${hangs.syncs.length === 1 ? "waits" : "wait"} until it is switched on: ${streams}.`,
          hangs.inboxes.length > 0 && `Its inboxes go on: ${inboxes}.`,
          connection.secrets ? "Its secrets stay where they are." : "Nothing of it is lost.",
        ]
      : [
          hangs.syncs.length > 0 &&
            `${syncs} ${hangs.syncs.length === 1 ? "ends" : "end"}: ${streams}.`,
          hangs.records.count > 0 &&
            `${count(hangs.records)} ${hangs.records.count === 1 ? "record is" : "records are"} deleted.`,
          hangs.inboxes.length > 0 &&
            `Its inboxes stay, with their events: ${inboxes}. ${connection.connector_name} is told to send nothing more, where it was told of them.`,
          !connection.secrets
            ? "It has no secrets, so nothing stays good anywhere."
            : connection.revokes
              ? `Its sign-in is taken back at ${connection.connector_name}, and its secrets leave the vault.`
              : `Its secrets leave the vault. At ${connection.connector_name} they are good until you remove them there.`,
        ];
  return lines.filter((line) => line !== false);
}
