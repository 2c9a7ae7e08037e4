import { expect, test } from "vitest";
import type { ConnectorSummary } from "$lib/api/client";
import {
  families,
  FAMILIES,
  inside,
  kindOf,
  makeReady,
  offered,
  proved,
  signsInAt,
  whatCan,
} from "./kinds";

const named = (name: string, more: Partial<ConnectorSummary> = {}) =>
  ({ id: name, name, status: "documented", connects: true, ...more }) as ConnectorSummary;

test("what can be connected is named, and the rest counted", () => {
  expect(whatCan([])).toBe("");
  expect(whatCan([named("Stripe")])).toBe("Stripe.");
  expect(whatCan([named("Any", { connects: false }), named("Stripe")])).toBe("Stripe or Any.");
  expect(whatCan(["A", "B", "C", "D", "E", "F"].map((name) => named(name)))).toBe(
    "A, B, C, D and 2 more.",
  );
});

test("the sandbox is no account, and is offered only where it runs", () => {
  const shop = named("Sandbox shop", { status: "sandbox" });
  expect(whatCan([shop, named("Stripe")])).toBe("Stripe.");
  expect(offered([shop], true)).toHaveLength(1);
  expect(offered([shop], false)).toHaveLength(0);
});

test("what is not proved is not called tried", () => {
  const word = (status: ConnectorSummary["status"], tried_here: boolean) =>
    proved({ status, tried_here }).word;
  expect(word("documented", false)).toBe("documented");
  expect(word("documented", true)).toBe("tried here");
  expect(word("tried", false)).toBe("tried");
  expect(word("sandbox", true)).toBe("pretend");
});

test("many connectors are shown in families, few in one row", () => {
  const some = (count: number) =>
    Array.from({ length: count }, (_, at) => named(`C${at}`, { family: at % 2 ? "mail" : "shop" }));
  expect(families(some(8))).toEqual([{ id: "all", connectors: some(8) }]);
  expect(families(some(9)).map((each) => [each.title, each.connectors.length])).toEqual([
    ["Shops and tills", 5],
    ["Mail", 4],
  ]);
  expect(families(some(0))).toEqual([{ id: "all", connectors: [] }]);
  expect(new Set(FAMILIES.map((each) => each.id)).size).toBe(FAMILIES.length);
});

test("what brings nothing but takes orders, as a mail server does, is an API too", () => {
  const kind = (connects: boolean, has_webhooks: boolean) =>
    kindOf(named("Acme", { connects, has_webhooks, has_api: false }));
  expect([kind(true, false), kind(true, true), kind(false, true)]).toEqual([
    "api",
    "both",
    "webhooks",
  ]);
});

test("what stands for many systems is no place to make something ready at", () => {
  expect(makeReady({ name: "Stripe", docs: "https://stripe.example" })).toBe(
    "Make it ready at Stripe",
  );
  expect(makeReady({ name: "Mail", docs: null })).toBe("Make it ready over there");
});

test("names in a title are spelled as they are", () => {
  expect(inside("Records by GraphQL")).toBe("records by GraphQL");
});

test("a sign-in that goes elsewhere is told by who asks for it", () => {
  expect(signsInAt("Mail", { title: "Sign in with Google" })).toBe("Google");
  expect(signsInAt("Square", { title: "Sign in with Square, with the app's secret" })).toBe(
    "Square",
  );
  expect(signsInAt("GitHub", { title: "Sign in with a code" })).toBe("GitHub");
  expect(signsInAt("Shopify", { title: "Sign in to the shop" })).toBe("Shopify");
  expect(signsInAt("Shopify", undefined)).toBe("Shopify");
});
