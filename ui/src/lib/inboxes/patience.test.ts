import { expect, test } from "vitest";
import { patienceOf } from "./patience";

test.each([
  [undefined, null],
  [{}, null],
  [
    { tries: 8, over_s: 14_400, then: "subscription deleted" },
    "After 8 tries over 4 h: subscription deleted.",
  ],
  [{ tries: 1 }, "After 1 try: it does not try again."],
  [{ over_s: 600, then: "the event is lost" }, "After 10 min: the event is lost."],
  [{ then: "webhook switched off" }, "Webhook switched off."],
])("%j is said as %s", (known, said) => {
  expect(patienceOf(known)).toBe(said);
});
