import { expect, test } from "vitest";
import { fits } from "./fits";

test("every word has to be somewhere", () => {
  expect(fits("con_1", "acme shop", ["Shop of Acme"])).toBeGreaterThan(0);
  expect(fits("con_1", "acme till", ["Shop of Acme"])).toBe(0);
  expect(fits("con_1", "", ["Shop of Acme"])).toBeGreaterThan(0);
});

test("what begins with the first word comes first", () => {
  expect(fits("a", "or", ["Orders"])).toBeGreaterThan(fits("b", "or", ["Resync orders"]));
});
