import { expect, test } from "vitest";
import { lines } from "./lines";

const now = new Date("2026-11-24T13:00:00Z");
const row = (id: string, at: string) => ({ id, at });
const texts = (...rows: { id: string; at: string }[]) =>
  lines(rows, (each) => each.at, now, "UTC").map((line) =>
    line.kind === "day" ? line.text : line.row.id,
  );

test("today needs no line, every other day has one", () => {
  expect(
    texts(
      row("c", "2026-11-24T12:00:00Z"),
      row("b", "2026-11-23T23:59:59Z"),
      row("a", "2026-11-23T00:00:00Z"),
      row("z", "2026-11-22T23:59:59Z"),
    ),
  ).toEqual(["c", "Yesterday, Mon 23 Nov", "b", "a", "Sun 22 Nov", "z"]);
});

test("a log that ends before today begins with its day", () => {
  expect(texts(row("b", "2026-11-23T12:00:00Z"))).toEqual(["Yesterday, Mon 23 Nov", "b"]);
});
