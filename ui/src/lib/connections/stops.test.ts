import { expect, test } from "vitest";
import type { Hanging } from "$lib/api/client";
import { stops } from "./stops";

const hangs: Hanging = {
  syncs: [
    { id: "syn_1", stream: "orders" },
    { id: "syn_2", stream: "products" },
  ],
  inboxes: [{ id: "inb_1", name: "Acme" }],
  records: { count: 12_031, exact: true },
};
const nothing: Hanging = { syncs: [], inboxes: [], records: { count: 0, exact: true } };
const shop = { connector_name: "Shopify", revokes: true, secrets: true };
const title = (stream: string) => stream.charAt(0).toUpperCase() + stream.slice(1);

test("what is lost with a connection is named", () => {
  const lines = stops("delete", shop, hangs, title);
  expect(lines[0]).toBe("2 syncs end: Orders, Products.");
  expect(lines[1]).toBe("12,031 records are deleted.");
  expect(lines[2]).toContain("Acme");
  expect(lines[3]).toContain("taken back at Shopify");
});

test("what stays good over there is said", () => {
  expect(stops("delete", { ...shop, revokes: false }, nothing, title)).toEqual([
    "Its secrets leave the vault. At Shopify they are good until you remove them there.",
  ]);
});

test("no secrets are spoken of where there are none", () => {
  const open = { ...shop, revokes: false, secrets: false };
  expect(stops("delete", open, nothing, title)).toEqual([
    "It has no secrets, so nothing stays good anywhere.",
  ]);
  expect(stops("off", open, nothing, title)).toEqual(["Nothing of it is lost."]);
});

test("switching off loses nothing", () => {
  expect(stops("off", shop, hangs, title)).toEqual([
    "2 syncs wait until it is switched on: Orders, Products.",
    "Its inboxes go on: Acme.",
    "Its secrets stay where they are.",
  ]);
});
