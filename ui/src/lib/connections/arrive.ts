// How events of a connection can arrive, and which way works on this machine now.

import type { Connection, Connector, Inbox, Status, Webhooks } from "$lib/api/client";
import { number } from "$lib/time/words";

export type Arrival = "ask" | "webhook" | "both" | "socket";

/** One way for events to arrive, as somebody chooses it. */
export interface ArrivalOption {
  id: Arrival;
  title: string;
  text: string;
  note: string;
  works: boolean;
}

const DAY = 24 * 60;
const MINUTES: Record<string, number> = { m: 1, h: 60 };

/** `15m` → 15. */
export function minutes(every: string): number {
  return Number.parseInt(every, 10) * (MINUTES[every.at(-1) ?? ""] ?? 1);
}

/** Whether senders get here: what is on this machine always does. */
export function reaches(
  connection: Pick<Connection, "sandbox">,
  reach: Status["reach"]["state"] | undefined,
): boolean {
  return connection.sandbox || reach === "reachable";
}

/** The ways that a connector has. `every` is how often it would be asked, `streams` for how many streams. */
export function arrivals(
  connector: Pick<Connector, "has_api" | "webhooks" | "socket">,
  way: string | null | undefined,
  reachable: boolean,
  { every, title, streams }: { every: string; title: string; streams: number },
): readonly ArrivalOption[] {
  const calls = Math.round((DAY / minutes(every)) * Math.max(streams, 1));
  const ask: ArrivalOption = {
    id: "ask",
    title: `Ask every ${title}`,
    text: `Survives sleep. Uses at least ${number(calls)} calls a day.`,
    note: "works now",
    works: true,
  };
  const webhook: ArrivalOption = {
    id: "webhook",
    title: "Webhook",
    text: reachable ? "At once." : "At once. Start a tunnel or bring your own URL.",
    note: reachable ? "works now" : "needs a public address",
    works: reachable,
  };
  const both: ArrivalOption = {
    id: "both",
    title: "Both",
    text: "At once, and what a webhook misses is read when it is asked for.",
    note: reachable ? "best" : "best, needs a public address",
    works: reachable,
  };
  const socket: ArrivalOption = {
    id: "socket",
    title: "Socket",
    text: "At once, over a connection that Patchbay opens and keeps: nobody has to reach this computer.",
    note: "works now",
    works: true,
  };
  return [
    ...(connector.has_api ? [ask] : []),
    ...(connector.webhooks ? [webhook] : []),
    ...(connector.webhooks && connector.has_api ? [both] : []),
    ...(connector.socket?.ways.includes(way ?? "") ? [socket] : []),
  ];
}

/** The first that works on this machine now. */
export function firstThatWorks(options: readonly ArrivalOption[]): Arrival | undefined {
  return (options.find((each) => each.works) ?? options[0])?.id;
}

/** Who tells the other side of an inbox. */
export type Teller = "patchbay" | "user";

/** An inbox that its user still has something to do for. */
export interface ToTell {
  inbox: string;
  teller: Teller;
  /** What only the user can bring. */
  secrets: Webhooks["secrets"];
}

/** Who can: with some ways in Patchbay may not. The user always can. */
export function tellers(webhooks: Webhooks, way: string | null | undefined): readonly Teller[] {
  const may = webhooks.register_ways.length === 0 || webhooks.register_ways.includes(way ?? "");
  return webhooks.registers && may ? ["patchbay", "user"] : ["user"];
}

/** What the user still has to do for an inbox that was made, if anything. */
export function toTell(
  inbox: Pick<Inbox, "id" | "missing_secrets">,
  webhooks: Webhooks,
  teller: Teller,
): ToTell | null {
  // What is made by hand is signed with another secret than what calls make.
  const another = webhooks.registers && teller === "user";
  const brings = another || webhooks.secret_from === "user";
  const secrets = webhooks.secrets.filter(
    // A connection that could have had it may have been made without.
    (field) => brings || inbox.missing_secrets.includes(field.name),
  );
  return teller === "user" || secrets.length > 0 ? { inbox: inbox.id, teller, secrets } : null;
}
