import { expect, test } from "vitest";
import { whatGoes } from "./loss";

const count = (count: number, exact = true) => ({ count, exact });

test("what goes is counted over the sandbox alone", () => {
  expect(
    whatGoes(
      [
        { sandbox: true, events: count(12_031) },
        { sandbox: false, events: count(500) },
      ],
      [
        { sandbox: true, records: count(1) },
        { sandbox: false, records: count(9) },
      ],
    ),
  ).toContain("12,031 events and 1 record go for good");
});

test("what was not counted to the end is more than that", () => {
  expect(whatGoes([{ sandbox: true, events: count(10_000, false) }], [])).toContain(
    "more than 10,000 events and 0 records",
  );
});
