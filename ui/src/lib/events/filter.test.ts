import { expect, test } from "vitest";
import { change, filtered, query, read } from "./filter";

const now = new Date("2026-11-24T13:00:00Z");

test("an address holds the filter, and what is empty is not in it", () => {
  const params = change(new URLSearchParams("event=evt_1&type=a"), {
    type: null,
    q: "till",
    inbox: "",
  });
  expect(params.toString()).toBe("event=evt_1&q=till");
  expect(read(params)).toEqual({ inbox: "", type: "", q: "till", time: "" });
});

test("a time that nobody offers is any time", () => {
  expect(read(new URLSearchParams("time=3y")).time).toBe("");
});

test("a span of time begins at a moment", () => {
  expect(query(read(new URLSearchParams("time=1h&type=a")), now)).toEqual({
    type: "a",
    since: "2026-11-24T12:00:00.000Z",
  });
});

test("only what leaves something out is a filter", () => {
  expect(filtered(read(new URLSearchParams("event=evt_1")))).toBe(false);
  expect(filtered(read(new URLSearchParams("q=x")))).toBe(true);
});
