import { expect, test } from "vitest";
import { finished } from "./finished";

const works = { half_made: false, checked_at: "2026-11-24T13:00:00Z", syncs: 0, inboxes: 0 };
const fault = { why: "nobody answers", at: "2026-11-24T14:00:00Z" };
const never = { ...works, checked_at: null, fault };

test("what has worked once is not thrown away, whatever went wrong since", () => {
  expect(finished(works)).toBe(true);
  expect(finished({ ...works, fault })).toBe(true);
});

test("what has never worked is", () => {
  expect(finished({ ...works, half_made: true })).toBe(false);
  expect(finished(never)).toBe(false);
});

test("what was not asked yet, or has something hanging on it, is not", () => {
  expect(finished({ ...never, fault: null })).toBe(true);
  expect(finished({ ...never, syncs: 1 })).toBe(true);
  expect(finished({ ...never, inboxes: 1 })).toBe(true);
});
