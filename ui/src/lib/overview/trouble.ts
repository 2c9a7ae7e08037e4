// What needs somebody, as sentences, worst first.

import type { Connection, Inbox, Sync, Tunnel } from "$lib/api/client";
import { sentence } from "$lib/ui/sentence";
import {
  SIGN_IN_BEFORE,
  connectionState,
  inboxState,
  syncState,
  tunnelState,
  urgency,
} from "$lib/ui/states";
import type { Reading, StateView } from "$lib/ui/states";

export interface Trouble {
  id: string;
  state: StateView;
  /** Whose trouble it is; shown strong. */
  who: string;
  /** The rest of the sentence. */
  what: string;
  action: string;
  href: string;
}

export interface Everything {
  connections: readonly Connection[];
  inboxes: readonly Inbox[];
  syncs: readonly Sync[];
  tunnels: readonly Tunnel[];
}

/** The list, where what follows from a connection that waits is told with it. */
export function troubles(all: Everything, reading: Reading): Trouble[] {
  const down = all.connections.filter(
    (each) =>
      ["needs_sign_in", "broken"].includes(each.state) || each.fault || each.sign_in_ends_at,
  );
  const isDown = new Set(down.filter((each) => each.state !== "ready").map((each) => each.id));

  const out: Trouble[] = [
    ...down.map((each) => connection(each, reading)),
    ...all.syncs
      .filter((each) => !isDown.has(each.connection))
      .map((each) => sync(each, reading))
      .filter((each) => urgency(each.state) === 0),
    ...all.inboxes.filter(lacksSecret).map(withoutSecret),
    ...all.inboxes
      .filter((each) => each.registration.state === "failed")
      .map((each) => inbox(each, reading)),
    ...all.inboxes
      .filter((each) => !isDown.has(each.connection ?? ""))
      .flatMap((each) => socket(each, reading)),
    ...all.tunnels
      .filter((each) => each.state === "failed" || each.state === "unproved")
      .map((each) => tunnel(each, reading)),
  ];
  return out.sort((a, b) => urgency(a.state) - urgency(b.state));
}

function connection(each: Connection, reading: Reading): Trouble {
  const wait =
    each.syncs > 0
      ? ` ${each.syncs} ${each.syncs === 1 ? "sync waits" : "syncs wait"} for it.`
      : "";
  const state = connectionState(each, reading);
  const why = each.state === "ready" ? (each.fault?.why ?? SIGN_IN_BEFORE) : each.why;
  const signIn = each.state === "needs_sign_in";
  return {
    id: each.id,
    state,
    who: each.name,
    what: `${state.word}.${why ? ` ${sentence(why)}` : ""}${each.state === "ready" ? "" : wait}`,
    action: each.half_made ? "Go on" : signIn ? "Sign in" : "See connection",
    href: signIn ? `/connections?connection=${each.id}` : "/connections",
  };
}

/** Whether it refuses everything, since it does not know what its sender signs with. */
function lacksSecret(each: Inbox): boolean {
  return each.missing_secrets.length > 0;
}

function withoutSecret(each: Inbox): Trouble {
  return {
    id: `${each.id} secret`,
    state: { tone: "warn", shape: "clock", word: "has no secret" },
    who: each.name,
    what: "has no signing secret, so it refuses everything that is sent to it.",
    action: "Enter its secret",
    href: `/inboxes?inbox=${each.id}`,
  };
}

function sync(each: Sync, reading: Reading): Trouble {
  const state = syncState(each, reading);
  const why = each.why ?? each.runs[0]?.error?.message;
  return {
    id: each.id,
    state,
    who: `${each.stream_title} of ${each.connection_name}`,
    what: `${state.word}.${why ? ` ${sentence(why)}` : ""}`,
    action: "See runs",
    href: `/syncs/${each.id}`,
  };
}

function inbox(each: Inbox, reading: Reading): Trouble {
  return {
    id: each.id,
    state: inboxState(each, reading),
    who: each.name,
    what: `is not registered.${each.registration.why ? ` ${sentence(each.registration.why)}` : ""}`,
    action: "See inbox",
    href: `/inboxes?inbox=${each.id}`,
  };
}

/** A socket that only somebody can open again. */
function socket(each: Inbox, reading: Reading): Trouble[] {
  if (each.socket?.state !== "switched_off" && each.socket?.state !== "needs_sign_in") return [];
  const { why, hint } = each.socket;
  return [
    {
      id: `${each.id} socket`,
      state: inboxState(each, reading),
      who: each.name,
      what: ["gets no events.", why && sentence(why), hint].filter(Boolean).join(" "),
      action: "See connection",
      href: each.connection ? `/connections?connection=${each.connection}` : "/connections",
    },
  ];
}

function tunnel(each: Tunnel, reading: Reading): Trouble {
  return {
    id: each.id,
    state: tunnelState(each, reading),
    who: each.name,
    what:
      each.state === "failed"
        ? `has stopped.${each.why ? ` ${sentence(each.why)}` : ""} Nobody outside reaches it.`
        : `is on, and ${tunnelState(each, reading).word}.${each.why ? ` ${sentence(each.why)}` : ""} ` +
          "Senders may not reach your inboxes.",
    action: "See tunnel",
    href: "/inboxes/tunnels",
  };
}
