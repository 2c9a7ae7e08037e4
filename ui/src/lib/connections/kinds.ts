// What kinds of connectors there are, and what can be connected, in words.

import type { Connector, ConnectorSummary, Way } from "$lib/api/client";

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
    .sort((a, b) => Number(b.connects) - Number(a.connects))
    .map((each) => each.name);
  if (names.length === 0) return "";
  const shown = names.slice(0, names.length > NAMED + 1 ? NAMED : names.length);
  const rest = names.length - shown.length;
  if (rest > 0) return `${shown.join(", ")} and ${rest} more.`;
  const last = shown.pop();
  return `${shown.length > 0 ? `${shown.join(", ")} or ${last}` : last}.`;
}

/** What it brings: data by asking, events by being told, or both. */
export type Kind = "" | "both" | "api" | "webhooks";

export const KINDS: readonly { id: Kind; title: string }[] = [
  { id: "", title: "Any kind" },
  { id: "both", title: "API and webhooks" },
  { id: "api", title: "API alone" },
  { id: "webhooks", title: "Webhooks alone" },
];

export function kindOf(connector: ConnectorSummary): Exclude<Kind, ""> {
  if (!connector.connects) return "webhooks";
  return connector.has_webhooks ? "both" : "api";
}

export type Family = ConnectorSummary["family"];

/** What connectors are for, in the order in which they are shown. */
export const FAMILIES: readonly { id: Family; title: string }[] = [
  { id: "shop", title: "Shops and tills" },
  { id: "payments", title: "Payments" },
  { id: "shipping", title: "Shipping" },
  { id: "customers", title: "Customers" },
  { id: "support", title: "Support" },
  { id: "messages", title: "Messages" },
  { id: "mail", title: "Mail" },
  { id: "forms", title: "Forms" },
  { id: "code", title: "Code and issues" },
  { id: "general", title: "Anything else" },
];

/** More than this many are shown in families. */
const MANY = 8;

/** Connectors in groups with a heading; all in one without, where they are few. */
export function families(
  connectors: readonly ConnectorSummary[],
): readonly { id: string; title?: string; connectors: readonly ConnectorSummary[] }[] {
  if (connectors.length <= MANY) return [{ id: "all", connectors }];
  return FAMILIES.map((family) => ({
    ...family,
    connectors: connectors.filter((each) => each.family === family.id),
  })).filter((family) => family.connectors.length > 0);
}

/** How far a connector has been proved: a word for its tile, and a sentence. */
export function proved(connector: Pick<ConnectorSummary, "status" | "tried_here">): {
  word: string;
  title: string;
} {
  if (connector.status === "sandbox")
    return { word: "pretend", title: "A pretend account, inside Patchbay." };
  if (connector.tried_here)
    return { word: "tried here", title: "You have marked it as working with your own account." };
  return connector.status === "tried"
    ? { word: "tried", title: "Somebody has used it with a real account." }
    : {
        word: "documented",
        title: "Made from documentation; nobody has marked it as working yet.",
      };
}

/** What has to be done over there first. What has no documentation of its own is no one system. */
export function makeReady(connector: Pick<Connector, "name" | "docs">): string {
  return connector.docs ? `Make it ready at ${connector.name}` : "Make it ready over there";
}

/** Who asks a user to sign in: of mail that is Google or Microsoft, as their way in is called. */
export function signsInAt(name: string, way: Pick<Way, "title"> | undefined): string {
  return /^Sign in with (\p{Lu}[\p{L}\d]*)/u.exec(way?.title ?? "")?.[1] ?? name;
}

/** A title within a sentence: `Orders` → `orders`; names in it stay as they are. */
export function inside(title: string): string {
  return title.charAt(0).toLowerCase() + title.slice(1);
}
