import { expect, test } from "vitest";
import type { Connection, Inbox, Sync, SyncRun, Tunnel } from "$lib/api/client";
import * as states from "./states";

const reading = { now: new Date("2026-11-24T13:05:00Z"), zone: "UTC" };
const connection = (more: Partial<Connection>) =>
  states.connectionState({ state: "ready", ...more } as Connection, reading);
const run = (more: Partial<SyncRun>) =>
  ({
    state: "done",
    inserted: 0,
    changed: 0,
    deleted: 0,
    ended_at: "2026-11-24T13:03:00Z",
    ...more,
  }) as SyncRun;
const sync = (more: Partial<Sync>) =>
  states.syncState({ state: "idle", runs: [], ...more } as unknown as Sync, reading);

test("only what was checked is shown as good", () => {
  expect(connection({}).tone).toBe("unknown");
  expect(connection({ checked_at: "2026-11-24T13:02:00Z" })).toEqual({
    tone: "good",
    shape: "check",
    word: "connected, checked 13:02",
  });
});

test("a check that failed is never shown as good, whenever one succeeded", () => {
  const fault = { why: "127.0.0.1 answered 500", at: "2026-11-24T13:04:00Z" };
  expect(connection({ checked_at: "2026-11-24T13:02:00Z", fault })).toEqual({
    tone: "bad",
    shape: "cross",
    word: "check failed 13:04",
  });
});

test("a sign-in that ends soon is not shown as good", () => {
  const checked_at = "2026-11-24T13:02:00Z";
  expect(connection({ checked_at, sign_in_ends_at: "2026-12-02T08:00:00Z" })).toEqual({
    tone: "warn",
    shape: "clock",
    word: "sign-in ends 2 Dec 08:00",
  });
});

test("what needs somebody says since when", () => {
  expect(connection({ state: "needs_sign_in", since: "2026-11-23T18:40:00Z" })).toEqual({
    tone: "bad",
    shape: "cross",
    word: "needs sign-in since Mon 18:40",
  });
});

test("every proof has a shape of its own", () => {
  const proofs = ["verified", "recovered", "unsigned", "held"] as const;
  const shapes = proofs.map((proof) => states.eventState({ proof }).shape);
  expect(new Set(shapes).size).toBe(proofs.length);
});

test("a sync says what its last run did", () => {
  expect(sync({}).word).toBe("not run yet");
  expect(sync({ runs: [run({ inserted: 12, changed: 2 })] }).word).toBe(
    "done 2 min ago, 14 changed",
  );
  expect(sync({ runs: [run({})] }).word).toBe("done 2 min ago");
  expect(sync({ runs: [run({ state: "failed" })] }).tone).toBe("bad");
  expect(sync({ runs: [run({ state: "cancelled" })] }).word).toBe("stopped 2 min ago");
});

test("a sync that runs says how far it is", () => {
  const running = (expected: number | null) =>
    sync({ state: "running", runs: [run({ state: "running", records: 6200, expected })] });
  expect(running(10_000).word).toBe("6,200 of about 10,000");
  expect(running(null).word).toBe("6,200 records");
});

test("a sync that waits says until when, as long as that is to come", () => {
  expect(sync({ state: "waiting", why: "the connection needs a sign-in" }).word).toBe("waits");
  expect(sync({ state: "waiting", until: "2026-11-24T13:05:40Z" }).word).toBe(
    "waits, next try 13:05:40",
  );
  expect(sync({ state: "waiting", until: "2026-11-24T15:20:00Z" }).word).toBe(
    "waits, next try 15:20",
  );
  expect(sync({ state: "waiting", until: "2026-11-24T13:04:00Z" }).word).toBe("waits");
});

test("an inbox says what it lacks", () => {
  const inbox = (more: object) =>
    states.inboxState(
      { registration: { state: "by_hand" }, missing_secrets: [], ...more } as unknown as Inbox,
      reading,
    ).word;
  expect(inbox({})).toBe("nothing heard yet");
  expect(inbox({ missing_secrets: ["signing_secret"] })).toBe("needs its secret");
  expect(inbox({ registration: { state: "waiting" }, sandbox: true })).toBe(
    "waits for the sign-in",
  );
  expect(inbox({ registration: { state: "waiting" } })).toBe("waits for a public address");
});

test("a socket is as good as what was last heard over it", () => {
  const socket = (state: string, more: object = {}) =>
    states.inboxState(
      {
        registration: { state: "socket" },
        missing_secrets: [],
        socket: { state, since: "2026-11-24T13:00:00Z", ignored: 0, ...more },
      } as unknown as Inbox,
      reading,
    );
  const heard = (heard_at: string) => socket("connected", { heard_at });
  expect(heard(reading.now.toISOString()).word).toMatch(/^connected since/);
  expect(heard("2026-11-24T12:00:00Z").tone).toBe("unknown");
  expect(socket("switched_off").tone).toBe("bad");
  expect(socket("needs_sign_in").tone).toBe("bad");
  expect(socket("waiting").word).toBe("waits");
});

test("a tunnel that runs and was not proved is not good", () => {
  const tunnel = (state: Tunnel["state"], proved_at?: string) =>
    states.tunnelState({ state, proved_at } as Tunnel, reading);
  expect(tunnel("unproved")).toMatchObject({ tone: "unknown", word: "not proved yet" });
  expect(tunnel("unproved", "2026-11-24T12:00:00Z").word).toBe("not proved since 12:00");
  expect(tunnel("reachable", "2026-11-24T13:04:00Z").tone).toBe("good");
});

test("trouble comes first", () => {
  const tones = ["good", "unknown", "run", "warn", "bad"] as const;
  const order = tones.map((tone) => states.urgency({ tone, shape: "dash", word: "" }));
  expect(order).toEqual([4, 3, 2, 1, 0]);
});

test("what never worked is half made and not broken", () => {
  const since = "2026-11-23T18:40:00Z";
  expect(connection({ state: "needs_sign_in", half_made: true, since })).toEqual({
    tone: "warn",
    shape: "clock",
    word: "half made since Mon 18:40",
  });
});
