// The rows of a log with a line between days.

import { day, dayLine } from "$lib/time/words";

export type Line<T> =
  { kind: "row"; key: string; row: T } | { kind: "day"; key: string; text: string };

/** Puts a line before the first row of each day but the newest one, where that is today. */
export function lines<T extends { id: string }>(
  rows: readonly T[],
  at: (row: T) => string,
  now: Date,
  zone?: string,
): Line<T>[] {
  const out: Line<T>[] = [];
  let last = day(now, zone);
  for (const row of rows) {
    const date = new Date(at(row));
    const today = day(date, zone);
    if (today !== last) {
      out.push({ kind: "day", key: `day:${today}:${row.id}`, text: dayLine(date, now, zone) });
    }
    last = today;
    out.push({ kind: "row", key: row.id, row });
  }
  return out;
}
