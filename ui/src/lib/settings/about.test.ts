import { expect, test } from "vitest";
import { DOCUMENTS, LICENCES, platformName, titleOf, withoutTitle } from "./about";

test("documents are called after their files", () => {
  expect(titleOf("../docs/first-webhook.md")).toBe("First webhook");
  expect(DOCUMENTS.map((each) => each.title)).toContain("First webhook");
});

test("documents and licences can be read without a network", async () => {
  expect(await LICENCES[0]!.text()).toContain("Apache License");
  expect(await LICENCES[1]!.text()).toContain("Permission is hereby granted");
  for (const each of DOCUMENTS) expect(await each.text()).not.toMatch(/^\s*# /);
});

test("only the first heading is left out", () => {
  expect(withoutTitle("# One\n\nText\n\n# Two\n")).toBe("\nText\n\n# Two\n");
  expect(withoutTitle("Text\n")).toBe("Text\n");
});

test("platforms are spelt as their makers do", () => {
  expect(["macos", "linux", "plan9"].map(platformName)).toEqual(["macOS", "Linux", "plan9"]);
});
