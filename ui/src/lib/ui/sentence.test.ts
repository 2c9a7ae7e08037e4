import { expect, test } from "vitest";
import { sentence } from "./sentence";

test("what the host says becomes a sentence", () => {
  expect(sentence("the token was refused")).toBe("The token was refused.");
  expect(sentence(" is that so? ")).toBe("Is that so?");
  expect(sentence("")).toBe("");
});

test("an address at its beginning is spelled as it is", () => {
  expect(sentence("acme.example cannot be reached")).toBe("acme.example cannot be reached.");
  expect(sentence("http://127.0.0.1:1/me answers nothing")).toBe(
    "http://127.0.0.1:1/me answers nothing.",
  );
  expect(sentence("gone. It was removed")).toBe("Gone. It was removed.");
});
