import { expect, test } from "vitest";
import { form, schedule, wrong } from "./schedule";

const zone = "Europe/Berlin";

test("a schedule goes through the form and comes out the same", () => {
  for (const each of [
    null,
    { every: "5m" },
    { every: "45s" },
    { cron: "0 6 * * *", zone },
    { cron: "30 18 * * 1,2,5", zone },
    { cron: "*/7 * 1 * *", zone },
  ]) {
    expect(schedule(form(each, "UTC"))).toEqual(each);
  }
});

test("a time of day is offered as one", () => {
  expect(form({ cron: "5 7 * * 1,0", zone }, "UTC")).toMatchObject({
    mode: "daily",
    time: "07:05",
    days: [0, 1],
  });
  expect(form({ cron: "5 7 1 * *", zone }, "UTC").mode).toBe("cron");
  expect(form({ cron: "5 24 * * *", zone }, "UTC").mode).toBe("cron");
});

test("what cannot be a schedule says why", () => {
  const base = form(null, zone);
  expect(wrong(base)).toBeNull();
  expect(wrong({ ...base, mode: "daily", days: [] })).toMatch(/day/);
  expect(wrong({ ...base, mode: "daily", time: "23:59" })).toBeNull();
  expect(wrong({ ...base, mode: "daily", time: "24:00" })).toMatch(/time of day/);
  expect(wrong({ ...base, mode: "cron", cron: "0 6 * *" })).toMatch(/Five parts/);
  expect(wrong({ ...base, mode: "cron", cron: " 0 6  * * * " })).toBeNull();
});
