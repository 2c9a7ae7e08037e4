import { expect, test } from "vitest";
import type { Link, Notice } from "./transport";
import { WAITS } from "./web";
import { answer, head, inWindow, type News } from "./window";

/** An answer as the window's command gives it. */
function raw(head: unknown, body: Uint8Array = new Uint8Array()): ArrayBuffer {
  const json = new TextEncoder().encode(JSON.stringify(head));
  const bytes = new Uint8Array(4 + json.length + body.length);
  new DataView(bytes.buffer).setUint32(0, json.length);
  bytes.set(json, 4);
  bytes.set(body, 4 + json.length);
  return bytes.buffer;
}

test("an answer is taken apart into head and body", async () => {
  const body = new Uint8Array([0, 255, 10]);
  const response = answer(raw({ status: 201, headers: [["x-a", "u"]] }, body));

  expect(response.status).toBe(201);
  expect(new Uint8Array(await response.arrayBuffer())).toEqual(body);
});

test("an answer that can have no body has none", () => {
  expect(answer(raw({ status: 204, headers: [] })).body).toBeNull();
});

test("a header that came twice is there twice", () => {
  const response = answer(
    raw({
      status: 200,
      headers: [
        ["x-a", "1"],
        ["x-a", "2"],
      ],
    }),
  );

  expect(response.headers.get("x-a")).toBe("1, 2");
});

test("a request goes with its method, its path with query, and its type", () => {
  const get = new Request("http://host/api/events?q=a%20b&type=%C3%A9");
  const post = new Request("http://host/api/syncs", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: "{}",
  });

  expect(head(get)).toEqual({ "x-method": "GET", "x-path": "/api/events?q=a%20b&type=%C3%A9" });
  expect(head(post)).toEqual({
    "x-method": "POST",
    "x-path": "/api/syncs",
    "x-content-type": "application/json",
  });
});

/** A window that refuses to tell anything so many times. */
function refusing(times: number) {
  const waits: number[] = [];
  const links: Link[] = [];
  const notices: Notice[] = [];
  let tell: (news: News) => void = () => {};
  let wake = () => {};
  const stop = inWindow({
    watch: (told) => {
      tell = told;
      times -= 1;
      return times < 0 ? Promise.resolve() : Promise.reject(new Error("refused"));
    },
    later: (ms, then) => {
      waits.push(ms);
      wake = then;
      return () => (wake = () => {});
    },
  }).watch({ notice: (notice) => notices.push(notice), link: (link) => links.push(link) });
  /** Lets what was asked be answered, and the next wait end. */
  const next = async () => {
    await Promise.resolve();
    await Promise.resolve();
    wake();
  };
  return { waits, links, notices, stop, next, tell: (news: News) => tell(news) };
}

test("who is refused the notices asks again, less and less often", async () => {
  const window = refusing(2);

  await window.next();
  await window.next();
  window.tell({ link: "live" });
  window.tell({ noun: "events", added: 1 });

  expect(window.waits).toEqual([WAITS[0], WAITS[1]]);
  expect(window.links).toEqual(["connecting", "lost", "lost", "live"]);
  expect(window.notices).toEqual([{ noun: "events", added: 1 }]);
});

test("a window whose host is gone says so, and that it is back", async () => {
  const window = refusing(0);

  window.tell({ link: "live" });
  window.tell({ link: "lost" });
  window.tell({ link: "live" });

  expect(window.links).toEqual(["connecting", "live", "lost", "live"]);
});

test("who stops watching in the window is told nothing more", async () => {
  const window = refusing(1);

  window.stop();
  await window.next();
  window.tell({ link: "live" });

  expect(window.links).toEqual(["connecting"]);
  expect(window.waits).toEqual([]);
});
