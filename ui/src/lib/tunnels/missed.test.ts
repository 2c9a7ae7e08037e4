import { expect, test } from "vitest";
import { whatIsMissed } from "./missed";

const tunnel = { public_url: "https://hooks.example.com", address_changes: false };
const named = (...names: string[]) => names.map((name) => ({ name }));

test("what is missed is named", () => {
  expect(whatIsMissed(tunnel, [])).toBe(
    "What senders send to https://hooks.example.com is missed until it runs again, unless they try again later.",
  );
  expect(whatIsMissed(tunnel, named("Shop", "Help desk"))).toContain("for Shop and Help desk is");
  expect(whatIsMissed(tunnel, named("A", "B", "C", "D", "E"))).toContain(
    "for A, B, C and 2 more is",
  );
  expect(whatIsMissed({ ...tunnel, address_changes: true }, [])).toMatch(/another address\.$/);
});
