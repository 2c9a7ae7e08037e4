import { expect, test } from "vitest";
import { newSince } from "./news";

const now = new Date("2026-11-25T12:00:00Z");

test("what was looked at is not new any more, and nothing is for more than a day", () => {
  expect(newSince(null, now)).toBe("2026-11-24T12:00:00.000Z");
  expect(newSince("2026-11-25T11:30:00Z", now)).toBe("2026-11-25T11:30:00.000Z");
  expect(newSince("2026-11-20T11:30:00Z", now)).toBe("2026-11-24T12:00:00.000Z");
  expect(newSince("nonsense", now)).toBe("2026-11-24T12:00:00.000Z");
});
