import { expect, test } from "vitest";
import * as words from "./words";

const now = new Date("2026-11-24T13:05:22.118Z");
const zone = "Europe/Berlin";
const before = (ms: number) => new Date(now.getTime() - ms);

test("a log shows the clock of the chosen zone", () => {
  expect(words.clock(now, zone)).toBe("14:05:22.118");
  expect(words.clock(now, "UTC")).toBe("13:05:22.118");
});

test("midnight is 00, not 24", () => {
  expect(words.minute(new Date("2026-11-24T23:00:00Z"), zone)).toBe("00:00");
});

test("days begin at midnight of the zone", () => {
  const late = new Date("2026-11-23T23:30:00Z");
  expect(words.dayLine(late, now, zone)).toBe("Today");
  expect(words.dayLine(late, now, "UTC")).toBe("Yesterday, Mon 23 Nov");
  expect(words.dayLine(new Date("2026-11-22T12:00:00Z"), now, zone)).toBe("Sun 22 Nov");
  expect(words.dayLine(new Date("2025-11-22T12:00:00Z"), now, zone)).toBe("Sat 22 Nov 2025");
});

test("what is near is relative, what is far has a name", () => {
  expect(words.relative(before(1_999), now, zone)).toBe("just now");
  expect(words.relative(before(2_000), now, zone)).toBe("2 s ago");
  expect(words.relative(before(59_999), now, zone)).toBe("59 s ago");
  expect(words.relative(before(60_000), now, zone)).toBe("1 min ago");
  expect(words.relative(before(6 * 3_600_000 - 1), now, zone)).toBe("5 h ago");
  expect(words.relative(before(6 * 3_600_000), now, zone)).toBe("08:05");
  expect(words.relative(before(24 * 3_600_000), now, zone)).toBe("Mon 14:05");
  expect(words.relative(before(7 * 24 * 3_600_000), now, zone)).toBe("17 Nov 14:05");
  expect(words.relative(before(-120_000), now, zone)).toBe("in 2 min");
});

test("a moment of another year names the year", () => {
  expect(words.moment(new Date("2025-05-12T10:00:00Z"), now, zone)).toBe("12 May 2025");
});

test("the exact time names its zone", () => {
  expect(words.exact(now, "UTC")).toBe("Tue 24 Nov 2026, 13:05:22.118 UTC");
});

test("numbers have separators", () => {
  expect(words.number(1_204_331)).toBe("1,204,331");
  expect(words.count({ count: 10_000, exact: false })).toBe("10,000+");
  expect(words.counted(1, "event")).toBe("1 event");
  expect(words.counted(0, "event")).toBe("0 events");
});

test("bytes are in KB and MB", () => {
  expect(words.bytes(999)).toBe("999 B");
  expect(words.bytes(1000)).toBe("1.0 KB");
  expect(words.bytes(9_940)).toBe("9.9 KB");
  expect(words.bytes(12_400)).toBe("12 KB");
  expect(words.bytes(999_600)).toBe("1.0 MB");
  expect(words.bytes(3_100_000_000)).toBe("3.1 GB");
});

test("durations have one unit", () => {
  expect(words.duration(340)).toBe("340 ms");
  expect(words.duration(59_999)).toBe("59 s");
  expect(words.duration(47 * 3_600_000)).toBe("47 h");
  expect(words.duration(48 * 3_600_000)).toBe("2 days");
});
