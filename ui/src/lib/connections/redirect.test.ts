import { expect, test } from "vitest";
import { noWayIn, wayBack, type Here } from "./redirect";

const loopback = { kind: "loopback", url: "http://127.0.0.1:PORT/oauth/callback" } as const;
const https = { kind: "https", url: "https://HOST/oauth/callback" } as const;
const custom = { kind: "custom", url: "patchbay://oauth/callback" } as const;
const tunnel = (public_url: string, address_changes: boolean) => ({
  public_url,
  address_changes,
  kind_title: "Quick tunnel",
});
const nothing: Here = { window: false, tunnels: [] };
const address = (...args: Parameters<typeof wayBack>) => {
  const back = wayBack(...args);
  return back && "address" in back ? back.address : back?.refused;
};

test("where no browser comes back, nothing is to be entered", () => {
  expect(wayBack([], "Acme", nothing)).toBeUndefined();
});

test("a free port is left out, a fixed one is not", () => {
  expect(address([loopback], "Acme", nothing)).toBe("http://127.0.0.1/oauth/callback");
  const fixed = { ...loopback, url: "http://localhost:1717/callback" };
  expect(address([fixed], "Acme", nothing)).toBe("http://localhost:1717/callback");
});

test("only a tunnel whose address stays is good enough, and the reason is said", () => {
  const at = (...tunnels: Here["tunnels"]) => address([https], "Acme", { ...nothing, tunnels });
  expect(at(tunnel("https://hooks.acme.example/", false))).toBe(
    "https://hooks.acme.example/oauth/callback",
  );
  expect(at(tunnel("https://a1b2.quick.example", true))).toContain("another after each start");
  expect(at(tunnel("http://bore.example:4711", false))).toContain("has none yet");
  expect(at()).toContain("has none yet");
});

test("the first that works here is taken", () => {
  expect(address([custom, loopback], "Acme", nothing)).toBe("http://127.0.0.1/oauth/callback");
  expect(address([custom, loopback], "Acme", { ...nothing, window: true })).toBe(custom.url);
  expect(address([https, loopback], "Acme", nothing)).toBe("http://127.0.0.1/oauth/callback");
  expect(address([custom, https], "Acme", nothing)).toBe(custom.url);
});

test("keys that are handed over need a public address that stays", () => {
  expect(noWayIn("Woo", [tunnel("https://hooks.woo.example", false)])).toBeUndefined();
  expect(noWayIn("Woo", [tunnel("https://a1b2.quick.example", true)])).toContain(
    "another after each start",
  );
  expect(noWayIn("Woo", [tunnel("http://bore.example:4711", false)])).toContain("has none yet");
  expect(noWayIn("Woo", [])).toContain("has none yet");
});
