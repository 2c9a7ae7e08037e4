// What kinds of connectors there are, and what can be connected, in words.

import type { ConnectorSummary } from "$lib/api/client";

/** How many are named before the rest is counted. */
const NAMED = 4;

/** Where something can be connected with it here: not broken, and not a shop that this host does not run. */
export function offered(
  connectors: readonly ConnectorSummary[],
  sandbox: boolean,
): readonly ConnectorSummary[] {
  return connectors.filter((each) => sandbox || each.status !== "sandbox");
}

/** `Shopify, Stripe and 27 more.` */
export function whatCan(connectors: readonly ConnectorSummary[]): string {
  const own = connectors.filter((each) => each.status !== "sandbox" && !each.broken);
  // Accounts before what only sends webhooks.
  const names = [...own]
    .sort((a, b) => Number(b.has_api) - Number(a.has_api))
    .map((each) => each.name);
  if (names.length === 0) return "";
  const shown = names.slice(0, names.length > NAMED + 1 ? NAMED : names.length);
  const rest = names.length - shown.length;
  if (rest > 0) return `${shown.join(", ")} and ${rest} more.`;
  const last = shown.pop();
  return `${shown.length > 0 ? `${shown.join(", ")} or ${last}` : last}.`;
}

/** What it brings: data by asking, events by being told, or both. */
export type Kind = "all" | "both" | "api" | "webhooks";

export const KINDS: readonly { id: Kind; title: string }[] = [
  { id: "all", title: "All kinds" },
  { id: "both", title: "API and webhooks" },
  { id: "api", title: "API alone" },
  { id: "webhooks", title: "Webhooks alone" },
];

export function kindOf(connector: ConnectorSummary): Exclude<Kind, "all"> {
  if (connector.has_api && connector.has_webhooks) return "both";
  return connector.has_api ? "api" : "webhooks";
}
