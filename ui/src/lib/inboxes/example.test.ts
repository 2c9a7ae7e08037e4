import { execFileSync } from "node:child_process";
import { createHmac } from "node:crypto";
import { expect, test } from "vitest";
import { example } from "./example";

const inbox = (connector: string, signed: boolean) => ({
  connector,
  signed,
  local_url: "http://127.0.0.1:4701/in/key",
});

/** The arguments that curl would get. */
function run(script: string): string[] {
  const shell = `curl() { for word in "$@"; do printf '%s\\0' "$word"; done; }\n${script}`;
  return execFileSync("sh", ["-c", shell], { encoding: "utf8" }).split("\0").slice(0, -1);
}

test("an unsigned example is one command", () => {
  const words = run(example(inbox("any", false))!);
  expect(words[0]).toBe("http://127.0.0.1:4701/in/key");
  expect(words.at(-1)).toBe('{"type":"hello","from":"me"}');
});

test("a signed example carries the signature that the scheme asks for", () => {
  const key = Buffer.from("a key of some length, 32 bytes..");
  const script = example(inbox("standard-webhooks", true))!.replace(
    /^SECRET='[^']*'/,
    `SECRET='whsec_${key.toString("base64")}'`,
  );
  const headers = Object.fromEntries(
    run(script)
      .filter((_, at, words) => words[at - 1] === "-H")
      .map((header) => header.split(": ") as [string, string]),
  );
  const body = run(script).at(-1)!;
  const signed = `${headers["webhook-id"]}.${headers["webhook-timestamp"]}.${body}`;

  expect(headers["webhook-signature"]).toBe(
    `v1,${createHmac("sha256", key).update(signed).digest("base64")}`,
  );
});

test("where only the sender can sign there is no example", () => {
  expect(example(inbox("shopify", true))).toBeNull();
});
