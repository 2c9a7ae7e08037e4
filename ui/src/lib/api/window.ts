// The window's door: one command that carries a request and its answer as bytes, and one channel
// for notices. JSON would turn a body into an array of numbers, so both ways are raw.

import { Channel, invoke } from "@tauri-apps/api/core";
import type { Notice, Transport } from "./transport";

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

/** Makes the window's transport. */
export function inWindow(): Transport {
  return {
    kind: "window",

    async fetch(request) {
      const body = new Uint8Array(await request.arrayBuffer());
      return answer(await invoke<ArrayBuffer>("request", body, { headers: head(request) }));
    },

    watch(listener) {
      let over = false;
      const notices = new Channel<Notice>();
      notices.onmessage = (notice) => {
        if (!over) listener.notice(notice);
      };

      listener.link("connecting");
      invoke("watch", { notices }).then(
        () => listener.link("live"),
        () => listener.link("lost"),
      );
      return () => {
        over = true;
      };
    },
  };
}
