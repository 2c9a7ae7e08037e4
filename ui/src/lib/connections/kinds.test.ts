import { expect, test } from "vitest";
import type { ConnectorSummary } from "$lib/api/client";
import { offered, whatCan } from "./kinds";

const named = (name: string, more: Partial<ConnectorSummary> = {}) =>
  ({ id: name, name, status: "documented", has_api: true, ...more }) as ConnectorSummary;

test("what can be connected is named, and the rest counted", () => {
  expect(whatCan([])).toBe("");
  expect(whatCan([named("Stripe")])).toBe("Stripe.");
  expect(whatCan([named("Any", { has_api: false }), named("Stripe")])).toBe("Stripe or Any.");
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
