import { expect, test } from "vitest";
import { perMinute, times } from "./rate";

const rate = (step_seconds: number, ...counts: number[][]) => ({
  from: "2026-11-24T13:00:00.000Z",
  step_seconds,
  inboxes: counts.map((counts, at) => ({ inbox: `inb_${at}`, name: `${at}`, counts })),
});

test("the minute that is still filling up does not count", () => {
  expect(perMinute(rate(60, [5, 7, 1], [0, 2, 9]))).toBe(9);
});

test("a minute of shorter steps is their sum", () => {
  expect(perMinute(rate(20, [9, 1, 2, 3, 50]))).toBe(6);
});

test("steps begin at even distances", () => {
  const begin = Date.parse("2026-11-24T13:00:00Z") / 1000;
  expect(times(rate(60, [1, 2, 3]))).toEqual([begin, begin + 60, begin + 120]);
  expect(times(rate(60))).toEqual([]);
});
