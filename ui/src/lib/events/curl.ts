// An event's request as a command for a POSIX shell.

import type { ExportedRequest } from "$lib/api/client";

/** What curl or the network makes by itself, and would be wrong when sent again. */
const MADE_BY_CURL = new Set([
  "host",
  "content-length",
  "connection",
  "transfer-encoding",
  "accept-encoding",
  "expect",
]);

/** Makes one word of a shell out of any text without a NUL. */
export function quote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

/** The command that sends `request` again. A value that was masked is left out: it is not known here. */
export function curl(request: ExportedRequest): string {
  const headers = request.headers.filter(
    ([name = "", value = ""]) => !MADE_BY_CURL.has(name.toLowerCase()) && !masked(value),
  );
  const words = [
    `curl --globoff -X ${quote(request.method)} ${quote(request.url)}`,
    // A header without a value ends with a semicolon; with a colon curl would drop it.
    ...headers.map(
      ([name, value = ""]) => `-H ${quote(value === "" ? `${name};` : `${name}: ${value}`)}`,
    ),
  ];

  const text = request.body;
  const base64 = request.body_base64;
  if (typeof text === "string" && !text.includes("\0")) {
    // `--data-raw` takes an `@` at the beginning for an `@`.
    if (text !== "") words.push(`--data-raw ${quote(text)}`);
    return words.join(" \\\n  ");
  }
  const encoded = base64 ?? (text ? toBase64(text) : "");
  words.push("--data-binary @-");
  return `printf %s ${quote(encoded)} | base64 -d | \\\n${words.join(" \\\n  ")}`;
}

function masked(value: string): boolean {
  return value === "[masked]" || value.includes("[secret:");
}

function toBase64(text: string): string {
  return btoa(String.fromCharCode(...new TextEncoder().encode(text)));
}
