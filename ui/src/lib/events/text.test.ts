import { expect, test } from "vitest";
import { decode } from "./text";

test("UTF-8 is text", () => {
  expect(decode(new TextEncoder().encode("Grüße ✓"))).toEqual({ kind: "text", text: "Grüße ✓" });
  expect(decode(new Uint8Array())).toEqual({ kind: "text", text: "" });
});

test("what is not UTF-8 is shown byte by byte", () => {
  expect(decode(new Uint8Array([0xff, 0x41]))).toEqual({
    kind: "bytes",
    text: `000000  ff 41${" ".repeat(42)}  .A`,
  });
});

test("a NUL makes it no text", () => {
  expect(decode(new Uint8Array([0x61, 0])).kind).toBe("bytes");
});
