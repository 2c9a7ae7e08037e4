import { expect, test } from "vitest";
import type { Link, Notice } from "./transport";
import { SILENCE, WAITS, web } from "./web";

/** A host that answers each call for changes with the next of `answers`. */
function host(...answers: (Response | Error)[]) {
  const calls: Headers[] = [];
  const signals: (AbortSignal | null | undefined)[] = [];
  const waits: number[] = [];
  let wake: (() => void) | undefined;
  let silent: (() => void) | undefined;
  let page: { left: () => void; back: () => void } | undefined;
  const transport = web({
    fetch: async (input, init) => {
      const headers = new Headers(input instanceof Request ? input.headers : init?.headers);
      calls.push(headers);
      signals.push(init?.signal);
      const answer = answers.shift();
      if (answer instanceof Error || !answer) throw answer ?? new TypeError("gone");
      return answer;
    },
    token: () => "token",
    later: (ms, then) => {
      if (ms === SILENCE) {
        silent = then;
        return () => (silent = undefined);
      }
      waits.push(ms);
      wake = then;
      return () => (wake = undefined);
    },
    tabs: { alone: (_, work) => void work(), hear: () => ({ say: () => {}, close: () => {} }) },
    visits: (left, back) => {
      page = { left, back };
      return () => (page = undefined);
    },
  });
  return {
    transport,
    calls,
    signals,
    waits,
    /** The page is left, or shown again, as by the browser's *Back*. */
    leave: () => page?.left(),
    comeBack: () => page?.back(),
    /** Lets so much time pass that a stream that says nothing counts as dead. */
    hush: () => silent?.(),
    /** Lets the next wait end, if one is on. */
    wake: () => {
      const now = wake;
      wake = undefined;
      now?.();
      return now !== undefined;
    },
  };
}

const stream = (text: string) => new Response(new Blob([text]).stream());

/** Watches until what `done` asks for is there. */
function watch(transport: ReturnType<typeof web>) {
  const notices: Notice[] = [];
  const links: Link[] = [];
  const waiting: (() => void)[] = [];
  const seen = () => waiting.splice(0).forEach((each) => each());
  const stop = transport.watch({
    notice: (notice) => (notices.push(notice), seen()),
    link: (link) => (links.push(link), seen()),
  });
  const until = async (done: () => boolean) => {
    while (!done()) await new Promise<void>((resolve) => waiting.push(resolve));
  };
  return { notices, links, stop, until };
}

test("every request carries the session", async () => {
  const { transport, calls } = host(new Response("{}"));

  await transport.fetch(new Request("http://127.0.0.1:4700/api/status"));

  expect(calls[0]?.get("authorization")).toBe("Bearer token");
});

test("notices come as they are sent", async () => {
  const { transport } = host(stream('id: 4\ndata: {"noun":"events","added":2}\n\n'));
  const { notices, links, until, stop } = watch(transport);

  await until(() => links.includes("lost"));
  stop();

  expect(notices).toEqual([{ noun: "events", added: 2 }]);
  expect(links).toEqual(["connecting", "live", "lost"]);
});

test("a stream that broke goes on after what was seen", async () => {
  const { transport, calls, wake } = host(
    stream('id: 4\ndata: {"noun":"events","added":1}\n\n'),
    stream('id: 5\ndata: {"noun":"syncs","added":0}\n\n'),
  );
  const { notices, links, until, stop } = watch(transport);
  await until(() => links.at(-1) === "lost");

  wake();
  await until(() => notices.length === 2);
  stop();

  expect(calls.map((headers) => headers.get("last-event-id"))).toEqual([null, "4"]);
});

test("a stream that says nothing for long is taken for dead", async () => {
  const { transport, hush, waits } = host(new Response(new ReadableStream()));
  const { links, until, stop } = watch(transport);
  await until(() => links.includes("live"));
  // The first read begins right after.
  await Promise.resolve();

  hush();
  await until(() => links.at(-1) === "lost");
  stop();

  expect(waits).toEqual([WAITS[0]]);
});

test("a host that is gone is asked less and less often", async () => {
  const { transport, waits, wake } = host();
  const { links, until, stop } = watch(transport);
  const lost = () => links.filter((link) => link === "lost").length;

  for (let round = 1; round <= WAITS.length + 1; round += 1) {
    await until(() => lost() === round);
    wake();
  }
  stop();

  expect(waits.slice(0, WAITS.length + 1)).toEqual([...WAITS, WAITS.at(-1)]);
});

test("a session that is over is not tried again", async () => {
  const { transport, waits } = host(new Response("{}", { status: 401 }));
  const { links, until } = watch(transport);

  await until(() => links.includes("refused"));

  expect(waits).toEqual([]);
});

test("who stops watching is told nothing more", async () => {
  const { transport, wake } = host();
  const { links, until, stop } = watch(transport);
  await until(() => links.includes("lost"));

  stop();

  expect(wake()).toBe(false);
  expect(links).toEqual(["connecting", "lost"]);
});

test("a page that is left holds no connection, and listens anew when it is shown again", async () => {
  const quiet = () => new Response(new ReadableStream());
  const { transport, leave, comeBack, signals } = host(quiet(), quiet());
  const { links, until, stop } = watch(transport);
  await until(() => links.includes("live"));

  leave();
  expect(signals[0]?.aborted).toBe(true);
  comeBack();
  await until(() => links.filter((link) => link === "live").length === 2);
  stop();

  expect(signals.map((signal) => signal?.aborted)).toEqual([true, true]);
});
