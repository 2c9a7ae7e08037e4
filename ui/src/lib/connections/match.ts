// Finding a connector by what somebody types.

import type { ConnectorSummary } from "$lib/api/client";
import { FAMILIES } from "./kinds";

/** Those that fit every word, the ones whose name begins with it first. */
export function match(
  connectors: readonly ConnectorSummary[],
  typed: string,
): readonly ConnectorSummary[] {
  const words = typed.toLowerCase().split(/\s+/).filter(Boolean);
  if (words.length === 0) return connectors;
  const text = (each: ConnectorSummary) => {
    const family = FAMILIES.find((family) => family.id === each.family)?.title;
    return `${each.name} ${each.id} ${each.about} ${family}`.toLowerCase();
  };
  const begins = (each: ConnectorSummary) =>
    each.name.toLowerCase().startsWith(words[0]!) ? 0 : 1;
  return connectors
    .filter((each) => words.every((word) => text(each).includes(word)))
    .sort((a, b) => begins(a) - begins(b));
}
