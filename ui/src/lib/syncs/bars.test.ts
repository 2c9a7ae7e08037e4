import { expect, test } from "vitest";
import type { SyncRun } from "$lib/api/client";
import { bars, took } from "./bars";

const now = new Date("2026-11-24T13:00:00Z");
const run = (id: string, seconds: number | null) =>
  ({
    id,
    started_at: "2026-11-24T12:59:00.000Z",
    ended_at:
      seconds === null
        ? null
        : new Date(Date.parse("2026-11-24T12:59:00Z") + seconds * 1000).toISOString(),
  }) as SyncRun;

test("the oldest run is at the left, and no more than thirty are shown", () => {
  const runs = Array.from({ length: 31 }, (_, at) => run(String(at), 1));
  const shown = bars(runs, now);
  expect(shown.length).toBe(30);
  expect(shown[0]?.id).toBe("29");
  expect(shown.at(-1)?.id).toBe("0");
});

test("the longest run is full, and the shortest can still be seen", () => {
  const [short, long] = bars([run("long", 100), run("short", 0)], now);
  expect(long?.height).toBe(1);
  expect(short?.height).toBeCloseTo(0.2);
});

test("a run that still runs has taken as long as it has run", () => {
  expect(took(run("a", null), now)).toBe(60_000);
});
