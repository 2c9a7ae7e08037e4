import { expect, test } from "vitest";
import { FAULTS, shown, WELL } from "./faults";

test("every fault can be set", () => {
  expect(FAULTS.map((fault) => fault.name).sort()).toEqual(Object.keys(WELL).sort());
});

test("a fault that is off says so", () => {
  expect(shown({ unit: "share" }, 0)).toBe("off");
  expect(shown({ unit: "share" }, 0.2)).toBe("20 %");
  expect(shown({ unit: "ms" }, 250)).toBe("250 ms");
  expect(shown({ unit: "ms" }, 3000)).toBe("3 s");
});
