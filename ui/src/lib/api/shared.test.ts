import { expect, test } from "vitest";
import { shared, type Reader, type Tabs } from "./shared";
import type { Link, Notice } from "./transport";

/** A browser whose tabs share a lock and a channel. */
function browser() {
  const waiting: { gone: AbortSignal; work: () => Promise<void> }[] = [];
  const listeners = new Set<(word: unknown) => void>();
  const streams: { from: string; reader: Reader; open: boolean }[] = [];
  let busy = false;

  const next = async () => {
    const first = waiting.shift();
    if (!first) return;
    if (first.gone.aborted) return next();
    busy = true;
    await first.work();
    busy = false;
    await next();
  };
  const tabs: Tabs = {
    alone(gone, work) {
      waiting.push({ gone, work });
      if (!busy) void next();
    },
    hear(said) {
      listeners.add(said);
      return {
        say: (word) => listeners.forEach((each) => each !== said && each(word)),
        close: () => listeners.delete(said),
      };
    },
  };

  return {
    streams,
    open: () => streams.filter((stream) => stream.open),
    tab() {
      const links: Link[] = [];
      const notices: Notice[] = [];
      const stop = shared(
        (from, reader) => {
          const stream = { from, reader, open: true };
          streams.push(stream);
          return () => (stream.open = false);
        },
        tabs,
        { link: (link) => links.push(link), notice: (notice) => notices.push(notice) },
      );
      return { links, notices, stop };
    },
  };
}

const notice: Notice = { noun: "events", added: 1 };

test("ten tabs read one stream, and all hear it", () => {
  const { tab, streams } = browser();
  const tabs = Array.from({ length: 10 }, tab);

  streams[0]!.reader.link("live");
  streams[0]!.reader.notice(notice, "7");

  expect(streams).toHaveLength(1);
  for (const each of tabs) {
    expect(each.links).toEqual(["connecting", "live"]);
    expect(each.notices).toEqual([notice]);
  }
});

test("a tab that comes later is told how the link is", () => {
  const { tab, streams } = browser();
  tab();
  streams[0]!.reader.link("live");

  expect(tab().links).toEqual(["connecting", "live"]);
});

test("when the one that reads goes, another reads on from where it was", async () => {
  const { tab, streams, open } = browser();
  const first = tab();
  const second = tab();
  streams[0]!.reader.link("live");
  streams[0]!.reader.notice(notice, "7");

  first.stop();
  await Promise.resolve();
  await Promise.resolve();

  expect(open().map((stream) => stream.from)).toEqual(["7"]);
  open()[0]!.reader.notice(notice, "8");
  expect(second.notices).toHaveLength(2);
});

test("a session that is over ends in its own tab alone", async () => {
  const { tab, streams, open } = browser();
  const first = tab();
  const second = tab();

  streams[0]!.reader.link("refused");
  await Promise.resolve();
  await Promise.resolve();

  expect(first.links.at(-1)).toBe("refused");
  expect(second.links).not.toContain("refused");
  expect(open()).toHaveLength(2);
});
