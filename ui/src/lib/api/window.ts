// The window's door: one command that carries a request and its answer as bytes, and one channel
// for notices. JSON would turn a body into an array of numbers, so both ways are raw.

import { Channel, invoke } from "@tauri-apps/api/core";
import type { Link, Notice, Transport } from "./transport";
import { WAITS } from "./web";

/** What comes over the channel: a notice, or whether notices come. */
export type News = Notice | { link: Link };

/** What `inWindow` needs of the window, so that a test can give its own. */
export interface Surroundings {
  /** Asks for news; fails where that is refused. */
  watch(told: (news: News) => void): Promise<unknown>;
  /** Calls back after so many milliseconds, and returns how to take that back. */
  later(ms: number, then: () => void): () => void;
}

/** Statuses that the `Response` constructor accepts only without a body. */
const BODILESS = new Set([101, 204, 205, 304]);

/** Takes apart an answer: four bytes with the length of a JSON head, the head, the body. */
export function answer(bytes: ArrayBuffer): Response {
  const length = new DataView(bytes).getUint32(0);
  const head = JSON.parse(new TextDecoder().decode(new Uint8Array(bytes, 4, length))) as {
    status: number;
    headers: [string, string][];
  };
  const body = BODILESS.has(head.status) ? null : bytes.slice(4 + length);
  return new Response(body, { status: head.status, headers: head.headers });
}

/** What goes with a request's bytes: method, path with query, and the body's type if there is one. */
export function head(request: Request): Record<string, string> {
  const url = new URL(request.url);
  const type = request.headers.get("content-type");
  return {
    "x-method": request.method,
    "x-path": url.pathname + url.search,
    ...(type ? { "x-content-type": type } : {}),
  };
}

/** The window that this page is in. */
export const surroundings: Surroundings = {
  watch(told) {
    const notices = new Channel<News>();
    notices.onmessage = told;
    return invoke("watch", { notices });
  },
  later(ms, then) {
    const timer = setTimeout(then, ms);
    return () => clearTimeout(timer);
  },
};

/** Makes the window's transport. */
export function inWindow({ watch, later }: Surroundings = surroundings): Transport {
  return {
    kind: "window",

    async fetch(request) {
      const body = new Uint8Array(await request.arrayBuffer());
      return answer(await invoke<ArrayBuffer>("request", body, { headers: head(request) }));
    },

    watch(listener) {
      let over = false;
      let failures = 0;
      let takeBack = () => {};

      const ask = () => {
        watch((news) => {
          if (over) return;
          failures = 0;
          if ("link" in news) listener.link(news.link);
          else listener.notice(news);
        }).catch(() => {
          if (over) return;
          listener.link("lost");
          takeBack = later(WAITS[Math.min(failures, WAITS.length - 1)] ?? 5000, ask);
          failures += 1;
        });
      };

      listener.link("connecting");
      ask();
      return () => {
        over = true;
        takeBack();
      };
    },
  };
}
