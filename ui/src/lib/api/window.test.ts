import { expect, test } from "vitest";
import { answer, head } from "./window";

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
