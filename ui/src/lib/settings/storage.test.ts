import { expect, test } from "vitest";
import { diskAdvice, diskState, LITTLE } from "./storage";

const disk = (free_bytes: number, full = false) => ({ database_bytes: 1, free_bytes, full });

test("a disk with plenty of room says nothing", () => {
  expect(diskState(disk(LITTLE))).toBeNull();
  expect(diskAdvice(disk(LITTLE))).toBeNull();
});

test("a disk that fills up warns before it is full", () => {
  expect(diskState(disk(LITTLE - 1))?.tone).toBe("warn");
  expect(diskAdvice(disk(LITTLE - 1))).toContain("soon");
});

test("a full disk is broken, however much is free by now", () => {
  expect(diskState(disk(LITTLE * 5, true))?.tone).toBe("bad");
  expect(diskAdvice(disk(LITTLE * 5, true))).toContain("Nothing that was accepted is lost");
});
