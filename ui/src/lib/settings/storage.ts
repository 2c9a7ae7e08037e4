// How the disk is doing, as a state.

import type { Status } from "$lib/api/client";
import type { StateView } from "$lib/ui/states";

/** Less than this left on the disk is soon a problem, in bytes. */
export const LITTLE = 1_000_000_000;

/** Whether there is room, as one word; nothing where there is plenty. */
export function diskState(disk: Status["disk"]): StateView | null {
  if (disk.full) return { tone: "bad", shape: "cross", word: "full" };
  if (disk.free_bytes < LITTLE) return { tone: "warn", shape: "clock", word: "little left" };
  return null;
}

/** What follows from that, and what to do; nothing where there is plenty. */
export function diskAdvice(disk: Status["disk"]): string | null {
  if (disk.full) {
    return (
      "Senders are told to come back later, and syncs wait. Nothing that was accepted is lost. " +
      "Free some room on the disk; Patchbay goes on by itself."
    );
  }
  if (disk.free_bytes < LITTLE) {
    return "Free some room soon. Once the disk is full, senders are told to come back later, and syncs wait.";
  }
  return null;
}
