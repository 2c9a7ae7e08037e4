import { expect, test } from "vitest";
import { largest, stack } from "./stack";

test("each part stands on those before it", () => {
  expect(
    stack([
      [1, 2],
      [3, 0],
      [1, 1],
    ]),
  ).toEqual([
    [1, 2],
    [4, 2],
    [5, 3],
  ]);
});

const part = (title: string, ...values: number[]) => ({ title, values });

test("small parts become one", () => {
  const parts = [part("a", 1, 0), part("b", 5, 5), part("c", 1, 1), part("d", 9, 0)];
  expect(largest(parts, 2)).toEqual([part("b", 5, 5), part("d", 9, 0), part("2 others", 2, 1)]);
});

test("one part alone keeps its name", () => {
  expect(largest([part("a", 1), part("b", 2), part("c", 3)], 2).map((p) => p.title)).toEqual([
    "c",
    "b",
    "a",
  ]);
});
