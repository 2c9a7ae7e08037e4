// A stretch of a log, newest first, of which only so much is kept at a time. What is dropped at one end
// can be loaded again.

/** Most rows that are kept. */
export const MOST = 3000;

export interface Span<T> {
  rows: readonly T[];
  /** There are older rows than the last one. */
  older: boolean;
  /** There are newer rows than the first one that were here and were dropped. */
  newer: boolean;
}

export const empty = { rows: [], older: false, newer: false };

/** `span` with newer `rows` before it; what does not fit is dropped at the old end. */
export function before<T>(span: Span<T>, rows: readonly T[], newer: boolean): Span<T> {
  const all = [...rows, ...span.rows];
  return all.length > MOST
    ? { rows: all.slice(0, MOST), older: true, newer }
    : { rows: all, older: span.older, newer };
}

/** `span` with older `rows` after it; what does not fit is dropped at the new end. */
export function after<T>(span: Span<T>, rows: readonly T[], older: boolean): Span<T> {
  const all = [...span.rows, ...rows];
  return all.length > MOST
    ? { rows: all.slice(all.length - MOST), older, newer: true }
    : { rows: all, older, newer: span.newer };
}

/** The row `step` away from the one with this id; the first one where that is not there. */
export function beside<T extends { id: string }>(
  rows: readonly T[],
  id: string | null,
  step: number,
): T | undefined {
  const at = rows.findIndex((row) => row.id === id);
  if (at < 0) return rows[0];
  return rows[Math.min(Math.max(at + step, 0), rows.length - 1)];
}
