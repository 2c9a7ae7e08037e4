import { expect, test } from "vitest";
import { loginCode } from "./session";

test("a login code is read from behind the hash", () => {
  expect(loginCode("#login=aB3-_x")).toBe("aB3-_x");
  expect(loginCode("")).toBeNull();
  expect(loginCode("#other=1")).toBeNull();
});
