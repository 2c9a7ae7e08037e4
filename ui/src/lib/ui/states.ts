// One word, one shape, one colour for each state of anything, in one place.

import type {
  Connection,
  EventSummary,
  Inbox,
  Status,
  Sync,
  SyncRun,
  Tunnel,
} from "$lib/api/client";
import { clock, counted, moment, number, relative } from "$lib/time/words";

export type Tone = "good" | "warn" | "bad" | "unknown" | "run";
export type Shape = "check" | "return" | "ring" | "clock" | "spin" | "cross" | "dash";

/** How a state looks. `rank` puts trouble first: 0 is broken, 3 is fine. */
export interface StateView {
  word: string;
  tone: Tone;
  shape: Shape;
}

/** When and where a state is read: for the times in its words. */
export interface Reading {
  now: Date;
  zone: string | undefined;
}

const view = (tone: Tone, shape: Shape, word: string): StateView => ({ tone, shape, word });
const good = (word: string) => view("good", "check", word);
const warn = (word: string) => view("warn", "clock", word);
const bad = (word: string) => view("bad", "cross", word);
const grey = (word: string) => view("unknown", "dash", word);
const running = (word: string) => view("run", "spin", word);

/** Trouble first: the lower, the sooner somebody should look. */
export function urgency(state: StateView): number {
  return { bad: 0, warn: 1, run: 2, unknown: 3, good: 4 }[state.tone];
}

const since = (at: string | null | undefined, { now, zone }: Reading) =>
  at ? ` since ${moment(new Date(at), now, zone)}` : "";

/** What is to be done about a sign-in that ends soon. */
export const SIGN_IN_BEFORE = "Sign in again before it ends, so that nothing stops";

export function connectionState(connection: Connection, reading: Reading): StateView {
  switch (connection.state) {
    case "ready":
      if (connection.fault) {
        return bad(
          `check failed ${moment(new Date(connection.fault.at), reading.now, reading.zone)}`,
        );
      }
      if (connection.sign_in_ends_at) {
        const end = new Date(connection.sign_in_ends_at);
        return warn(`sign-in ends ${moment(end, reading.now, reading.zone)}`);
      }
      return connection.checked_at
        ? good(
            `connected, checked ${moment(new Date(connection.checked_at), reading.now, reading.zone)}`,
          )
        : grey("connected, not checked yet");
    case "needs_sign_in":
      // Nothing has worked yet, so nothing is broken.
      if (connection.half_made) return warn(`half made${since(connection.since, reading)}`);
      return bad(`needs sign-in${since(connection.since, reading)}`);
    case "signing_in":
      return running("waiting for the sign-in");
    case "off":
      return grey("off");
    case "broken":
      return bad(`broken${since(connection.since, reading)}`);
  }
}

export function eventState(event: Pick<EventSummary, "proof">): StateView {
  switch (event.proof) {
    case "verified":
      return good("verified");
    case "recovered":
      return view("good", "return", "recovered");
    case "unsigned":
      return view("unknown", "ring", "unsigned");
    case "held":
      return warn("held");
  }
}

/** Of whatever the vault no longer holds the secrets, however it was before. */
export const SECRETS_LOST: StateView = bad("its secrets are lost");

type Socket = NonNullable<Inbox["socket"]>;

/** A socket is only as good as what was last heard over it, if only that somebody is there. */
export function socketState(socket: Socket, { now, zone }: Reading): StateView {
  switch (socket.state) {
    case "off":
      return grey("off");
    case "opening":
      return running("opening its socket");
    case "waiting":
      return warn(
        socket.until && new Date(socket.until) > now
          ? `waits, next try ${clock(new Date(socket.until), zone)}`
          : "waits",
      );
    case "switched_off":
      return bad("switched off over there");
    case "needs_sign_in":
      return bad("not let in");
    case "connected": {
      const heard = new Date(socket.heard_at ?? socket.since);
      const silent = now.getTime() - heard.getTime() > SILENT_MS;
      return silent
        ? grey(`not proved since ${moment(heard, now, zone)}`)
        : good(`connected since ${moment(new Date(socket.since), now, zone)}`);
    }
  }
}

/** Twice as long as a socket may be silent before it is asked whether anybody is there. */
const SILENT_MS = 70_000;

export function inboxState(inbox: Inbox, { now, zone }: Reading): StateView {
  if (inbox.socket) return socketState(inbox.socket, { now, zone });
  if (inbox.registration.state === "failed") return bad("not registered");
  if (inbox.missing_secrets.length > 0) return warn("needs its secret");
  if (inbox.registration.state === "waiting") {
    // The sandbox shop is on this computer: it waits for nobody but its user.
    if (inbox.sandbox) return warn("waits for the sign-in");
    return warn(inbox.public_url ? "waits for a proved address" : "waits for a public address");
  }
  if (!inbox.heard_at) return grey("nothing heard yet");
  return good(`heard ${relative(new Date(inbox.heard_at), now, zone)}`);
}

export function tunnelState(tunnel: Tunnel, { now, zone }: Reading): StateView {
  switch (tunnel.state) {
    case "off":
      return grey("off");
    case "starting":
      return running("starting");
    case "unproved":
      return grey(
        tunnel.proved_at
          ? `not proved since ${moment(new Date(tunnel.proved_at), now, zone)}`
          : "not proved yet",
      );
    case "reachable":
      return good("reachable");
    case "failed":
      return bad("failed");
  }
}

export function reachState(reach: Status["reach"], { now, zone }: Reading): StateView {
  switch (reach.state) {
    case "reachable":
      return good("Reachable");
    case "unproved":
      return grey(
        reach.proved_at
          ? `Not proved since ${moment(new Date(reach.proved_at), now, zone)}`
          : "Not proved yet",
      );
    case "off":
      return grey("Not reachable from outside");
  }
}

export function runState(run: SyncRun): StateView {
  switch (run.state) {
    case "running":
      return running("running");
    case "done":
      return good("done");
    case "failed":
      return bad("failed");
    case "cancelled":
      return grey("stopped");
  }
}

/** How far a run is: `6,200 of about 10,000`, or `6,200 records` where nobody knows the total. */
export function runProgress(run: SyncRun): string {
  return run.expected && run.state === "running"
    ? `${number(run.records)} of about ${number(run.expected)}`
    : counted(run.records, "record");
}

/** `next try 14:05:22`, for as long as that is to come. */
function nextTry(until: string | null | undefined, { now, zone }: Reading): string | null {
  const at = until ? new Date(until) : null;
  if (!at || at <= now) return null;
  const soon = at.getTime() - now.getTime() < 3_600_000;
  return `waits, next try ${soon ? clock(at, zone).slice(0, 8) : moment(at, now, zone)}`;
}

export function syncState(sync: Sync, reading: Reading): StateView {
  const { now, zone } = reading;
  const last = sync.runs[0];
  switch (sync.state) {
    case "running":
      return running(last?.state === "running" ? runProgress(last) : "running");
    case "waiting":
      return warn(nextTry(sync.until, reading) ?? "waits");
    case "failed":
      return bad(
        `failed ${last?.ended_at ? relative(new Date(last.ended_at), now, zone) : ""}`.trim(),
      );
    case "paused":
      return grey("paused");
    case "idle":
      return idle(last, reading);
  }
}

function idle(last: SyncRun | undefined, { now, zone }: Reading): StateView {
  if (!last) return grey("not run yet");
  const when = last.ended_at ? relative(new Date(last.ended_at), now, zone) : "";
  if (last.state === "cancelled") return grey(`stopped ${when}`.trim());
  if (last.state === "failed") return bad(`failed ${when}`.trim());
  const touched = last.inserted + last.changed + last.deleted;
  return good(`done ${when}${touched > 0 ? `, ${number(touched)} changed` : ""}`);
}

export function vaultState(vault: Status["vault"]): StateView {
  switch (vault.state) {
    case "ready":
      return good("ready");
    case "opening":
      return grey("not proved yet");
    case "locked":
      return warn("locked");
    case "missing":
      return bad("missing");
    case "broken":
      return bad("broken");
  }
}

/** What the place for secrets is called to somebody: *Goes to your keychain*. */
export function vaultPlace(kind: Status["vault"]["kind"] | undefined): string {
  return kind === "sealed_file" ? "sealed file" : kind === "keychain" ? "keychain" : "vault";
}
