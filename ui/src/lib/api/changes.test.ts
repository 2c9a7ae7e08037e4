import { expect, test } from "vitest";
import { shows, stale } from "./changes";

const notice = (noun: string) => ({ noun, added: 1 });

test("a notice makes its own noun stale, and those that carry something of it", () => {
  expect(stale([notice("refusals")])).toEqual(new Set(["refusals"]));
  expect(stale([notice("records")])).toEqual(new Set(["records", "syncs"]));
});

test("several notices are one refetch", () => {
  expect(stale([notice("events"), notice("events")])).toEqual(
    new Set(["events", "inboxes", "status"]),
  );
});

test("a star makes everything stale", () => {
  const nouns = stale([notice("events"), notice("*")]);
  expect(nouns).toBeNull();
  expect(shows(nouns, ["settings"])).toBe(true);
});

test("a query shows the noun its key begins with", () => {
  const nouns = stale([notice("syncs")]);
  expect(shows(nouns, ["syncs", "syn_1"])).toBe(true);
  expect(shows(nouns, ["events", "syncs"])).toBe(false);
});
