import { expect, test } from "vitest";
import type { Field } from "$lib/api/client";
import { asked, signs } from "./own";

const field = (name: string, more: Partial<Field> = {}) =>
  ({ name, title: name, choices: [], required: false, ...more }) as Field;
const RULE = [
  field("proof", { default: "none" }),
  field("signature"),
  field("message"),
  field("digest"),
  field("prefix"),
  field("signing_secret", { secret: true }),
];
const names = (values: Record<string, string>) => asked(RULE, values).map((each) => each.name);

test("a sender that proves nothing is asked nothing else", () => {
  expect(names({})).toEqual(["proof"]);
  expect(signs(RULE, {})).toBe(false);
});

test("each proof asks for what it reads", () => {
  expect(names({ proof: "token" })).toEqual(["proof", "signature", "prefix", "signing_secret"]);
  expect(names({ proof: "standard_webhooks" })).toEqual(["proof", "signing_secret"]);
  expect(names({ proof: "hmac" })).toEqual(RULE.map((each) => each.name));
  expect(signs(RULE, { proof: "hmac" })).toBe(true);
});

test("a question of that name in another connector hides nothing", () => {
  const others = [field("proof", { default: "token" }), field("per_minute")];
  expect(asked(others, {})).toEqual(others);
  expect(signs(others, {})).toBeUndefined();
});
