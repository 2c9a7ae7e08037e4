import { expect, test } from "vitest";
import type { Connector, Webhooks } from "$lib/api/client";
import { arrivals, asked, firstThatWorks, minutes, reaches, tellers } from "./arrive";

const connector = (has_api: boolean, webhooks: boolean) =>
  ({ has_api, webhooks: webhooks ? {} : null }) as unknown as Connector;
const every = { every: "5m", title: "5 minutes", streams: 2 };
const ids = (options: readonly { id: string }[]) => options.map((each) => each.id);

test("what a connector cannot do is not offered", () => {
  expect(ids(arrivals(connector(true, false), false, every))).toEqual(["ask"]);
  expect(ids(arrivals(connector(false, true), false, every))).toEqual(["webhook"]);
  expect(ids(arrivals(connector(true, true), false, every))).toEqual(["ask", "webhook", "both"]);
  expect(arrivals(connector(false, false), false, every)).toEqual([]);
});

test("the first that works now is the default", () => {
  expect(firstThatWorks(arrivals(connector(true, true), false, every))).toBe("ask");
  expect(firstThatWorks(arrivals(connector(false, true), false, every))).toBe("webhook");
  expect(firstThatWorks([])).toBeUndefined();
});

test("a webhook needs an address that was proved, unless its sender is on this machine", () => {
  expect(reaches({ sandbox: false }, "off")).toBe(false);
  expect(reaches({ sandbox: false }, "unproved")).toBe(false);
  expect(reaches({ sandbox: false }, "reachable")).toBe(true);
  expect(reaches({ sandbox: true }, "off")).toBe(true);
  const note = (reachable: boolean) => arrivals(connector(true, true), reachable, every)[1]?.note;
  expect([note(false), note(true)]).toEqual(["needs a public address", "works now"]);
});

test("asking tells its price", () => {
  expect(arrivals(connector(true, false), false, every)[0]?.text).toContain("576 calls a day");
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

test("a secret that the connection has is never asked for again", () => {
  expect(asked(webhooks({ secret_from: "connection" }), "patchbay")).toEqual([]);
  expect(asked(webhooks({ secret_from: "registration" }), "patchbay")).toEqual([]);
  expect(asked(webhooks({ secret_from: "connection", registers: false }), "user")).toEqual([]);
  expect(asked(webhooks({}), "patchbay")).toHaveLength(1);
});

test("what the user makes in the sender's settings is signed with another secret", () => {
  expect(asked(webhooks({ secret_from: "connection" }), "user")).toHaveLength(1);
});
