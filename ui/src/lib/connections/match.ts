// Finding a connector by what somebody types.

import type { ConnectorSummary } from "$lib/api/client";

/** Those that fit every word, the ones whose name begins with it first. */
export function match(
  connectors: readonly ConnectorSummary[],
  typed: string,
): readonly ConnectorSummary[] {
  const words = typed.toLowerCase().split(/\s+/).filter(Boolean);
  if (words.length === 0) return connectors;
  const text = (each: ConnectorSummary) => `${each.name} ${each.id} ${each.about}`.toLowerCase();
  const begins = (each: ConnectorSummary) =>
    each.name.toLowerCase().startsWith(words[0]!) ? 0 : 1;
  return connectors
    .filter((each) => words.every((word) => text(each).includes(word)))
    .sort((a, b) => begins(a) - begins(b));
}
