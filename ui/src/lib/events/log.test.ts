import { expect, test } from "vitest";
import { Log, type From } from "./log.svelte";

/** A log of the numbers up to `newest`, as the API would give it. */
function numbers(newest: number) {
  const source = { newest, asked: [] as From[] };
  const log = new Log<{ id: string }>(async (from) => {
    source.asked.push(from);
    const all = Array.from({ length: source.newest }, (_, at) => source.newest - at);
    const older = from.before ? all.filter((n) => n < Number(from.before)) : all;
    const rows = from.after
      ? older.filter((n) => n > Number(from.after)).slice(-from.limit)
      : older.slice(0, from.limit);
    const last = rows.at(-1);
    return {
      rows: rows.map((n) => ({ id: String(n) })),
      next: last !== undefined && last > 1 ? String(last) : null,
      previous: rows[0] !== undefined ? String(rows[0]) : (from.after ?? null),
    };
  });
  return { log, source };
}

const first = (log: Log<{ id: string }>) => log.span.rows[0]?.id;

test("what is new is shown at once while the list stands at its top", async () => {
  const { log, source } = numbers(10);
  await log.restart();
  source.newest = 13;

  await log.arrived();

  expect(first(log)).toBe("13");
  expect(log.waiting).toEqual([]);
});

test("what is new waits while somebody reads further down", async () => {
  const { log, source } = numbers(10);
  await log.restart();
  await log.top(false);
  source.newest = 13;
  await log.arrived();
  source.newest = 14;

  await log.arrived();

  expect(first(log)).toBe("10");
  expect(log.waiting.map((row) => row.id)).toEqual(["14", "13", "12", "11"]);

  await log.top(true);

  expect(first(log)).toBe("14");
});

test("a frozen list stays, even at its top", async () => {
  const { log, source } = numbers(10);
  await log.restart();
  log.freeze(true);
  source.newest = 12;
  await log.arrived();
  await log.top(true);

  expect(first(log)).toBe("10");

  log.freeze(false);

  expect(first(log)).toBe("12");
});

test("where more waits than is worth keeping, the list begins anew", async () => {
  const { log, source } = numbers(10);
  await log.restart();
  await log.top(false);
  source.newest = 5000;
  await log.arrived();

  expect(log.overflowing).toBe(true);
  expect(log.waiting.length).toBe(1000);

  await log.jump();

  expect(first(log)).toBe("5000");
  expect(log.overflowing).toBe(false);
});

test("older rows are loaded when the end is near, until there are none", async () => {
  const { log } = numbers(350);
  await log.restart();
  expect(log.span.rows.length).toBe(200);

  await log.near("bottom");

  expect(log.span.rows.length).toBe(350);
  expect(log.span.older).toBe(false);
});

test("rows that were dropped at the new end come back without a hole", async () => {
  const { log } = numbers(4000);
  await log.restart();
  await log.top(false);
  while (log.span.older) await log.near("bottom");
  expect(log.span.rows.length).toBe(3000);
  expect(log.span.newer).toBe(true);

  while (log.span.newer) await log.near("top");

  const ids = log.span.rows.map((row) => Number(row.id));
  expect(ids[0]).toBe(4000);
  expect(ids.every((id, at) => at === 0 || id === ids[at - 1]! - 1)).toBe(true);
});

test("an empty log begins with its first row", async () => {
  const { log, source } = numbers(0);
  await log.restart();
  source.newest = 1;

  await log.arrived();

  expect(first(log)).toBe("1");
});

test("an answer to an older question is dropped", async () => {
  const answers: ((rows: { id: string }[]) => void)[] = [];
  const log = new Log<{ id: string }>(
    () =>
      new Promise((resolve) =>
        answers.push((rows) => resolve({ rows, next: null, previous: null })),
      ),
  );
  const [one, two] = [log.restart(), log.restart()];
  answers[1]!([{ id: "new" }]);
  answers[0]!([{ id: "old" }]);
  await Promise.all([one, two]);

  expect(first(log)).toBe("new");
});
