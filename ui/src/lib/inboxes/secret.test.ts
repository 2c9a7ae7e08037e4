import { expect, test } from "vitest";
import { make } from "./secret";

test("a secret is 32 bytes in the form that senders know, and new each time", () => {
  const secret = make();
  expect(secret).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/);
  expect(atob(secret.slice("whsec_".length)).length).toBe(32);
  expect(make()).not.toBe(secret);
});
