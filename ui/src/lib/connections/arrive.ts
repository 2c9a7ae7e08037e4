// How events of a connection can arrive, and which way works on this machine now.

import type { Connection, Connector, Status, Webhooks } from "$lib/api/client";
import { number } from "$lib/time/words";

export type Arrival = "ask" | "webhook" | "both";

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
  connector: Pick<Connector, "has_api" | "webhooks">,
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
  if (!connector.webhooks) return connector.has_api ? [ask] : [];
  return connector.has_api ? [ask, webhook, both] : [webhook];
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

/** The secrets that only the user can bring. What is made by hand is signed with another than what calls make. */
export function asked(webhooks: Webhooks, teller: Teller): Webhooks["secrets"] {
  const byHand = webhooks.registers && teller === "user";
  return byHand || webhooks.secret_from === "user" ? webhooks.secrets : [];
}
