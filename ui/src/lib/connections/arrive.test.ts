import { expect, test } from "vitest";
import type { Connector, Webhooks } from "$lib/api/client";
import { arrivals, firstThatWorks, minutes, reaches, tellers, toTell } from "./arrive";

const connector = (has_api: boolean, webhooks: boolean, socket?: Connector["socket"]) =>
  ({ has_api, webhooks: webhooks ? {} : null, socket }) as unknown as Connector;
const key = "key";
const every = { every: "5m", title: "5 minutes", streams: 2 };
const ids = (options: readonly { id: string }[]) => options.map((each) => each.id);

test("what a connector cannot do is not offered", () => {
  expect(ids(arrivals(connector(true, false), key, false, every))).toEqual(["ask"]);
  expect(ids(arrivals(connector(false, true), key, false, every))).toEqual(["webhook"]);
  expect(ids(arrivals(connector(true, true), key, false, every))).toEqual([
    "ask",
    "webhook",
    "both",
  ]);
  expect(arrivals(connector(false, false), key, false, every)).toEqual([]);
});

test("a socket is for the ways in that can open it, and needs no address", () => {
  const socket = { ways: ["key"] };
  const offered = arrivals(connector(true, true, socket), key, false, every);
  expect(ids(offered)).toEqual(["ask", "webhook", "both", "socket"]);
  expect(offered[3]?.works).toBe(true);
  expect(ids(arrivals(connector(true, true, socket), "app", false, every))).not.toContain("socket");
  expect(firstThatWorks(arrivals(connector(false, true, socket), key, false, every))).toBe(
    "socket",
  );
});

test("the first that works now is the default", () => {
  expect(firstThatWorks(arrivals(connector(true, true), key, false, every))).toBe("ask");
  expect(firstThatWorks(arrivals(connector(false, true), key, false, every))).toBe("webhook");
  expect(firstThatWorks([])).toBeUndefined();
});

test("a webhook needs an address that was proved, unless its sender is on this machine", () => {
  expect(reaches({ sandbox: false }, "off")).toBe(false);
  expect(reaches({ sandbox: false }, "unproved")).toBe(false);
  expect(reaches({ sandbox: false }, "reachable")).toBe(true);
  expect(reaches({ sandbox: true }, "off")).toBe(true);
  const note = (reachable: boolean) =>
    arrivals(connector(true, true), key, reachable, every)[1]?.note;
  expect([note(false), note(true)]).toEqual(["needs a public address", "works now"]);
});

test("asking tells its price", () => {
  expect(arrivals(connector(true, false), key, false, every)[0]?.text).toContain("576 calls a day");
  expect([minutes("15m"), minutes("6h")]).toEqual([15, 360]);
});

const webhooks = (more: Partial<Webhooks>) =>
  ({ registers: true, register_ways: [], secret_from: "user", secrets: [{}], ...more }) as Webhooks;

test("who tells the sender depends on the way in", () => {
  expect(tellers(webhooks({}), "key")).toEqual(["patchbay", "user"]);
  expect(tellers(webhooks({ register_ways: ["app"] }), "app")).toEqual(["patchbay", "user"]);
  expect(tellers(webhooks({ register_ways: ["app"] }), "key")).toEqual(["user"]);
  expect(tellers(webhooks({ registers: false }), "key")).toEqual(["user"]);
});

const inbox = (...missing_secrets: string[]) => ({ id: "inb_1", missing_secrets });
const secrets = [{ name: "signing_secret" }] as Webhooks["secrets"];

test("a secret that the connection has is never asked for again", () => {
  const shared = webhooks({ secret_from: "connection", secrets });
  expect(toTell(inbox(), shared, "patchbay")).toBeNull();
  expect(toTell(inbox(), { ...shared, secret_from: "registration" }, "patchbay")).toBeNull();
  expect(toTell(inbox(), { ...shared, registers: false }, "user")?.secrets).toEqual([]);
});

test("a secret that only its user can bring is asked for", () => {
  expect(toTell(inbox(), webhooks({ secrets }), "patchbay")?.secrets).toEqual(secrets);
  const without = webhooks({ secret_from: "connection", registers: false, secrets });
  expect(toTell(inbox("signing_secret"), without, "user")?.secrets).toEqual(secrets);
});

test("what the user makes in the sender's settings is signed with another secret", () => {
  const shared = webhooks({ secret_from: "connection", secrets });
  expect(toTell(inbox(), shared, "user")?.secrets).toEqual(secrets);
});
