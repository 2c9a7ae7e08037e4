import { expect, test } from "vitest";
import { after, before, beside, empty, MOST, type Span } from "./span";

const rows = (from: number, to: number) =>
  Array.from({ length: from - to + 1 }, (_, at) => ({ id: String(from - at) }));
const span = (from: number, to: number): Span<{ id: string }> => ({
  rows: rows(from, to),
  older: true,
  newer: false,
});

test("newer rows come first", () => {
  const next = before(span(3, 1), rows(5, 4), false);
  expect(next.rows.map((row) => row.id)).toEqual(["5", "4", "3", "2", "1"]);
  expect(next.older).toBe(true);
});

test("what does not fit is dropped at the other end, and known to be there", () => {
  const full = span(MOST, 1);
  const up = before({ ...full, older: false }, rows(MOST + 1, MOST + 1), false);
  expect(up.rows.length).toBe(MOST);
  expect(up.rows.at(-1)?.id).toBe("2");
  expect(up.older).toBe(true);

  const down = after(full, rows(0, -1), false);
  expect(down.rows[0]?.id).toBe(String(MOST - 2));
  expect(down.newer).toBe(true);
  expect(down.older).toBe(false);
});

test("exactly so much fits", () => {
  const next = after(span(MOST, 2), rows(1, 1), false);
  expect(next.rows.length).toBe(MOST);
  expect(next.newer).toBe(false);
});

test("the neighbour of a row stops at the ends", () => {
  const three = rows(3, 1);
  expect(beside(three, "2", 1)?.id).toBe("1");
  expect(beside(three, "1", 1)?.id).toBe("1");
  expect(beside(three, "3", -1)?.id).toBe("3");
  expect(beside(three, "9", 1)?.id).toBe("3");
  expect(beside([], null, 1)).toBeUndefined();
  expect(empty.rows).toEqual([]);
});
