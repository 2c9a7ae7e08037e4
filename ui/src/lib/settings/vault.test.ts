import { expect, test } from "vitest";
import { vaultWords as words } from "./vault";

test("a vault that works asks for nothing", () => {
  const said = words({ kind: "keychain", state: "ready" });
  expect(said.text).toContain("keychain of this computer");
  expect(said.todo).toBeUndefined();
  expect(said.command).toBeUndefined();
});

test("a sealed file warns of its key", () => {
  expect(words({ kind: "sealed_file", state: "ready" }).text).toContain("Keep a copy");
});

test("where there is none, one command helps", () => {
  const said = words({ kind: "missing", state: "missing", message: "no keychain answers" });
  expect(said.text).not.toContain("no keychain answers");
  expect(said.detail).toBe("no keychain answers");
  expect(said.command).toBe("patchbay vault init");
});

test("what the host advises comes before what the page would", () => {
  const said = words({ kind: "keychain", state: "broken", hint: "Enter the secret again." });
  expect(said.todo).toBe("Enter the secret again.");
  expect(said.command).toBeUndefined();
});

test("a locked vault says what waits", () => {
  const said = words({ kind: "keychain", state: "locked" });
  expect(said.text).toContain("held until it opens");
  expect(said.todo).toContain("Unlock it");
});
