import { expect, test } from "vitest";
import { pretty } from "./pretty";

test("objects and lists are indented", () => {
  expect(pretty('{"a":[1,{"b":null}],"c":""}')).toBe(
    '{\n  "a": [\n    1,\n    {\n      "b": null\n    }\n  ],\n  "c": ""\n}',
  );
});

test("every token stays as it came", () => {
  const big = '{"id":82098291194615450812345,"x":1.10e+02,"k":1,"k":2,"s":"\\u00e9\\"{,}"}';
  const out = pretty(big)!;
  expect(out).toContain("82098291194615450812345");
  expect(out).toContain("1.10e+02");
  expect(out).toContain('"k": 1,\n  "k": 2');
  expect(out).toContain('"\\u00e9\\"{,}"');
});

test("empty objects and lists stay on their line", () => {
  expect(pretty('{ "a" : { } , "b" : [ ] }')).toBe('{\n  "a": {},\n  "b": []\n}');
});

test("what is not JSON is left alone", () => {
  expect(pretty("a=1&b=2")).toBeNull();
  expect(pretty("{")).toBeNull();
  expect(pretty("")).toBeNull();
});

test("a single value is JSON too", () => {
  expect(pretty(' "hello" ')).toBe('"hello"');
});
