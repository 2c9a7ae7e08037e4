import { expect, test } from "vitest";
import type { Connection, Inbox, Sync, Tunnel } from "$lib/api/client";
import { troubles } from "./trouble";

const reading = { now: new Date("2026-11-24T13:00:00Z"), zone: "UTC" };
const connection = (more: Partial<Connection>) =>
  ({ id: "con_1", name: "Acme", state: "ready", syncs: 2, inboxes: 0, ...more }) as Connection;
const sync = (more: Partial<Sync>) =>
  ({
    id: "syn_1",
    connection: "con_1",
    connection_name: "Acme",
    stream_title: "Orders",
    state: "idle",
    runs: [],
    ...more,
  }) as unknown as Sync;
const find = (all: {
  connections?: Connection[];
  syncs?: Sync[];
  inboxes?: Inbox[];
  tunnels?: Tunnel[];
}) =>
  troubles({ connections: [], syncs: [], inboxes: [], tunnels: [], ...all }, reading).map(
    (each) => `${each.who} ${each.what}`,
  );

test("all is well where nothing is wrong", () => {
  expect(find({ connections: [connection({})], syncs: [sync({})] })).toEqual([]);
});

test("what follows from a connection is told with it", () => {
  const down = connection({
    state: "needs_sign_in",
    why: "the token was refused",
    since: "2026-11-23T18:40:00Z",
  });
  expect(find({ connections: [down], syncs: [sync({ state: "failed" })] })).toEqual([
    "Acme needs sign-in since Mon 18:40. The token was refused. 2 syncs wait for it.",
  ]);
});

test("a sync that failed by itself says why", () => {
  const failed = sync({ state: "failed", why: "the shop answered 500" });
  expect(find({ connections: [connection({})], syncs: [failed] })).toEqual([
    "Orders of Acme failed. The shop answered 500.",
  ]);
});

test("a tunnel that was switched off is no trouble", () => {
  const tunnel = (state: Tunnel["state"]) => ({ id: "tun_1", name: "bore", state }) as Tunnel;
  expect(find({ tunnels: [tunnel("off"), tunnel("failed")] })).toEqual([
    "bore has stopped. Nobody outside reaches it.",
  ]);
});

test("a tunnel that is on and does not prove itself is trouble", () => {
  const tunnel = { id: "tun_1", name: "bore", state: "unproved" } as Tunnel;
  expect(find({ tunnels: [tunnel] })).toEqual([
    "bore is on, and not proved yet. Senders may not reach your inboxes.",
  ]);
});

test("a check that failed is trouble, though the connection can still be used", () => {
  const fault = { why: "127.0.0.1 answered 500", at: "2026-11-24T12:40:00Z" };
  expect(
    find({ connections: [connection({ fault })], syncs: [sync({ state: "failed" })] }),
  ).toEqual(["Acme check failed 12:40. 127.0.0.1 answered 500.", "Orders of Acme failed."]);
});

test("a sign-in that ends soon is told before it does", () => {
  const ending = connection({ sign_in_ends_at: "2026-12-02T08:00:00Z" });
  expect(find({ connections: [ending] })).toEqual([
    "Acme sign-in ends 2 Dec 08:00. Sign in again before it ends, so that nothing stops.",
  ]);
});

test("an inbox without its secret is trouble", () => {
  const inbox = {
    id: "inb_1",
    name: "Shop",
    registration: { state: "by_hand" },
    missing_secrets: ["signing_secret"],
  } as unknown as Inbox;
  expect(find({ inboxes: [inbox] })).toEqual([
    "Shop has no signing secret, so it refuses everything that is sent to it.",
  ]);
});
