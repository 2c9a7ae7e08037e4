// The browser's door: HTTP to where the page came from, with the session token as bearer.

import { shared, type Open, type Reader, type Tabs } from "./shared";
import { parser } from "./sse";
import type { Notice, Transport } from "./transport";

/** What `web` needs from the browser, so that a test can give its own. */
export interface Surroundings {
  fetch: typeof fetch;
  token(): string | null;
  /** Calls back after so many milliseconds, and returns how to take that back. */
  later(ms: number, then: () => void): () => void;
  /** The tabs that share one stream. */
  tabs: Tabs;
  /**
   * Calls back when the page is put aside and when it is shown again, and returns how to take that back. A
   * browser keeps pages that were left, whole and with their connections, to go back to them at once.
   */
  visits(left: () => void, back: () => void): () => void;
}

/** Waits before trying again, in milliseconds; the last one is repeated. */
export const WAITS = [250, 500, 1000, 2000, 5000] as const;

/**
 * How long the stream may say nothing, in milliseconds. The host says something every 15 s; after a sleep
 * or on a network that was changed, a dead stream would otherwise look alive.
 */
export const SILENCE = 40_000;

/** Makes the browser's transport. */
export function web(surroundings: Surroundings): Transport {
  const authorized = (headers: Headers) => {
    const token = surroundings.token();
    if (token) headers.set("authorization", `Bearer ${token}`);
    return headers;
  };

  const open: Open = (from, reader) => {
    const gone = new AbortController();
    let lastId = from;
    let failures = 0;
    let takeBack = () => {};

    const again = () => {
      if (gone.signal.aborted) return;
      reader.link("lost");
      const wait = WAITS[Math.min(failures, WAITS.length - 1)] ?? 5000;
      failures += 1;
      takeBack = surroundings.later(wait, () => void read());
    };

    const read = async () => {
      try {
        const headers = authorized(new Headers({ accept: "text/event-stream" }));
        if (lastId) headers.set("last-event-id", lastId);
        const answer = await surroundings.fetch("/api/changes", {
          headers,
          signal: gone.signal,
          cache: "no-store",
        });
        if (gone.signal.aborted) return;
        if (answer.status === 401) return reader.link("refused");
        if (!answer.ok || !answer.body) return again();

        failures = 0;
        reader.link("live");
        await deliver(answer.body, reader, surroundings.later, (id) => (lastId = id));
      } catch {
        // A broken stream and a host that is gone are the same to us: try again.
      }
      again();
    };

    void read();
    return () => {
      gone.abort();
      takeBack();
    };
  };

  return {
    kind: "web",

    fetch(request) {
      authorized(request.headers);
      return surroundings.fetch(request);
    },

    watch(listener) {
      let stop: (() => void) | null = null;
      const begin = () => (stop ??= shared(open, surroundings.tabs, listener));
      const end = () => {
        stop?.();
        stop = null;
      };
      const forget = surroundings.visits(end, begin);
      begin();
      return () => {
        forget();
        end();
      };
    },
  };
}

async function deliver(
  body: ReadableStream<Uint8Array>,
  to: Reader,
  later: Surroundings["later"],
  seen: (id: string) => void,
) {
  const next = parser();
  const decoder = new TextDecoder();
  const reader = body.getReader();
  for (;;) {
    const hush = later(SILENCE, () => void reader.cancel());
    const { done, value } = await reader.read().finally(hush);
    if (done) return;
    for (const message of next(decoder.decode(value, { stream: true }))) {
      to.notice(JSON.parse(message.data) as Notice, message.id);
      if (message.id) seen(message.id);
    }
  }
}
