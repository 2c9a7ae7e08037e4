import { beforeAll, expect, test, vi } from "vitest";

beforeAll(() => {
  vi.stubGlobal("localStorage", { getItem: () => null, setItem: () => {} });
});

async function press(...pressed: [string, number][]) {
  const { sequence } = await import("./keys.svelte");
  const next = sequence();
  const known = new Set(["j", "g e", "g s", "e"]);
  return pressed.map(([key, at]) => next(key, at, known));
}

test("one key does what it is bound to", async () => {
  expect(await press(["j", 0], ["x", 1])).toEqual(["j", null]);
});

test("two keys in a row are one binding", async () => {
  expect(await press(["g", 0], ["e", 1199])).toEqual([null, "g e"]);
});

test("the first of two is forgotten after a while", async () => {
  expect(await press(["g", 0], ["e", 1200])).toEqual([null, "e"]);
});

test("a pair that means nothing leaves its second key alone", async () => {
  expect(await press(["g", 0], ["j", 10])).toEqual([null, "j"]);
});
