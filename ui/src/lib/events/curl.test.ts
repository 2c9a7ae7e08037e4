import { execFileSync } from "node:child_process";
import { expect, test } from "vitest";
import { curl, quote } from "./curl";

const request = (more: Partial<Parameters<typeof curl>[0]>) => ({
  method: "POST",
  url: "http://127.0.0.1:4701/in/k",
  headers: [] as [string, string][],
  body: "{}",
  ...more,
});

/** What a shell makes of the command: the arguments that curl would get. */
function shell(command: string): string[] {
  const script = `curl() { for word in "$@"; do printf '%s\\0' "$word"; done; }\n${command}`;
  return execFileSync("sh", ["-c", script], { encoding: "utf8" }).split("\0").slice(0, -1);
}

test("a quoted text is one word for the shell, whatever is in it", () => {
  for (const text of ["it's", "$(id) `id` $HOME", "a\nb\\", '"', "'''", "-x", ""]) {
    expect(execFileSync("sh", ["-c", `printf %s ${quote(text)}`], { encoding: "utf8" })).toBe(text);
  }
});

test("the body arrives as it came", () => {
  const body = `@it's {"a": "$x"}\n`;
  expect(shell(curl(request({ body }))).slice(-2)).toEqual(["--data-raw", body]);
});

test("headers are sent again, but for those that curl makes and those that are masked", () => {
  const headers: [string, string][] = [
    ["Host", "example.com"],
    ["Content-Length", "2"],
    ["Authorization", "[masked]"],
    ["X-Token", "[secret:token]"],
    ["webhook-id", "msg_1"],
    ["X-Empty", ""],
  ];
  const words = shell(curl(request({ headers })));
  expect(words.filter((_, at) => words[at - 1] === "-H")).toEqual([
    "webhook-id: msg_1",
    "X-Empty;",
  ]);
});

test("brackets in an address are no pattern", () => {
  const words = shell(curl(request({ url: "http://h/in/k?a[]=1&b={2}" })));
  expect(words.slice(0, 4)).toEqual(["--globoff", "-X", "POST", "http://h/in/k?a[]=1&b={2}"]);
});

test("bytes that are no text go through base64", () => {
  const command = curl(request({ body: null, body_base64: "AP8K" }));
  const script = `curl() { cat | od -An -tx1; }\n${command}`;
  expect(execFileSync("sh", ["-c", script], { encoding: "utf8" }).trim()).toBe("00 ff 0a");
});
