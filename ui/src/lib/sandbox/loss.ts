// What is lost with the sandbox.

import type { Inbox, Sync } from "$lib/api/client";
import { counted, number } from "$lib/time/words";

/** Names it in a sentence, with how much of it there is. */
export function whatGoes(
  inboxes: readonly Pick<Inbox, "sandbox" | "events">[],
  syncs: readonly Pick<Sync, "sandbox" | "records">[],
): string {
  const events = total(inboxes.filter((each) => each.sandbox).map((inbox) => inbox.events));
  const records = total(syncs.filter((each) => each.sandbox).map((sync) => sync.records));
  return (
    `Its connection, ${events.words("event")} and ${records.words("record")} go for good. ` +
    "Your own data is not touched, and the shop can be opened again."
  );
}

/** The sum of counts; at least that much where one of them was not counted to the end. */
function total(counts: readonly { count: number; exact: boolean }[]) {
  const sum = counts.reduce((all, each) => all + each.count, 0);
  const exact = counts.every((each) => each.exact);
  return {
    words: (noun: string) => (exact ? counted(sum, noun) : `more than ${number(sum)} ${noun}s`),
  };
}
