import { expect, test } from "vitest";
import { perMinute, times } from "./rate";

const rate = (step_seconds: number, ...counts: number[][]) => ({
  from: "2026-11-24T13:00:00.000Z",
  step_seconds,
  inboxes: counts.map((counts, at) => ({ inbox: `inb_${at}`, name: `${at}`, counts })),
});

/** So many seconds after the first step began. */
const after = (seconds: number) => new Date(Date.parse("2026-11-24T13:00:00Z") + seconds * 1000);

test("a minute that has just begun counts with a part of the one before", () => {
  // Three steps of a minute, the third 15 s old: 45 s of the second count.
  expect(perMinute(rate(60, [5, 8, 1]), after(135))).toBe(7);
  expect(perMinute(rate(60, [5, 8, 1]), after(120))).toBe(9);
  expect(perMinute(rate(60, [5, 8, 1]), after(180))).toBe(1);
});

test("all inboxes count", () => {
  expect(perMinute(rate(60, [0, 4], [0, 3]), after(120))).toBe(7);
});

test("a minute of shorter steps is their sum", () => {
  expect(perMinute(rate(20, [9, 1, 2, 3]), after(80))).toBe(6);
  expect(perMinute(rate(20), after(0))).toBe(0);
});

test("steps begin at even distances", () => {
  const begin = Date.parse("2026-11-24T13:00:00Z") / 1000;
  expect(times(rate(60, [1, 2, 3]))).toEqual([begin, begin + 60, begin + 120]);
  expect(times(rate(60))).toEqual([]);
});
