import { expect, test } from "vitest";
import { parser } from "./sse";

function read(...pieces: string[]) {
  const next = parser();
  return pieces.flatMap((piece) => next(piece));
}

test("a message ends with an empty line", () => {
  expect(read('id: 7\ndata: {"noun":"events"}\n')).toEqual([]);
  expect(read('id: 7\ndata: {"noun":"events"}\n\n')).toEqual([
    { id: "7", data: '{"noun":"events"}' },
  ]);
});

test("pieces may break anywhere", () => {
  expect(read("id: 1", "2\nda", "ta: a\n", "\nid: 13\ndata: b\n\n")).toEqual([
    { id: "12", data: "a" },
    { id: "13", data: "b" },
  ]);
});

test("a line break of two characters may be cut in half", () => {
  expect(read("data: a\r", "\n\r", "\ndata: b\r\n\r\n")).toEqual([
    { id: "", data: "a" },
    { id: "", data: "b" },
  ]);
});

test("comments keep the line warm and mean nothing", () => {
  expect(read(": still here\n\n", "data: a\n\n")).toEqual([{ id: "", data: "a" }]);
});

test("data of several lines is joined", () => {
  expect(read("data: a\ndata: b\n\n")).toEqual([{ id: "", data: "a\nb" }]);
});

test("the id stays until another one comes", () => {
  expect(read("id: 3\ndata: a\n\ndata: b\n\n").map((message) => message.id)).toEqual(["3", "3"]);
});
