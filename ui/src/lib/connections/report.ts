// What can be told of a request that did not go well: all of it to its owner, and its shape to others.

import type { Connection, Exchange } from "$lib/api/client";
import { pretty } from "$lib/ui/pretty";

/** The request and its answer as lines, as they were but for secrets, which the host has masked. */
export function exchangeText(exchange: Exchange): string {
  const headers = (list: readonly (readonly string[])[]) =>
    list.map(([name, value]) => `${name}: ${value}`);
  const lines = [`${exchange.method} ${exchange.url}`, ...headers(exchange.headers)];
  if (exchange.body) lines.push("", pretty(exchange.body) ?? exchange.body);
  lines.push("");
  if (exchange.answer) {
    const { status, headers: back, body } = exchange.answer;
    lines.push(String(status), ...headers(back));
    if (body) lines.push("", pretty(body) ?? body);
  } else {
    lines.push(exchange.fault ?? "no answer");
  }
  return lines.join("\n");
}

/** Headers that say what went wrong and nothing about whom it happened to. */
const TELLING = /^(content-type|retry-after|www-authenticate|server|date|x-ratelimit-[a-z-]+)$/i;

/**
 * A report to give to others: who was called and how it was answered. No value of the user's: of addresses
 * only the host and the path's length, of bodies only the size and, where they are JSON, the names in them.
 */
export function report(
  connection: Pick<Connection, "connector" | "way_kind">,
  exchange: Exchange,
  version: string,
): string {
  const url = new URL(exchange.url, "http://unknown");
  const lines = [
    `Patchbay ${version}, connector ${connection.connector}, way in ${connection.way_kind ?? "none"}`,
    `${exchange.purpose} at ${exchange.at}`,
    `${exchange.method} ${url.protocol}//${url.host}${shape(url.pathname)}`,
    `query: ${[...url.searchParams.keys()].join(", ") || "none"}`,
    `headers sent: ${exchange.headers.map(([name]) => name).join(", ") || "none"}`,
  ];
  const { answer } = exchange;
  if (answer) {
    lines.push(`answer: ${answer.status}, ${describe(answer.body)}`);
    for (const [name, value] of answer.headers)
      if (TELLING.test(name ?? "")) lines.push(`${name}: ${value}`);
  } else {
    lines.push(`answer: none (${exchange.fault ?? "unknown"})`);
  }
  return lines.join("\n");
}

/** A path with what looks like an id left out: `/shops/1234/orders` → `/shops/…/orders`. */
function shape(path: string): string {
  return path
    .split("/")
    .map((part) => (/\d|^.{25,}$/.test(part) && !/^v\d+$/.test(part) ? "…" : part))
    .join("/");
}

function describe(body: string): string {
  if (body === "") return "empty";
  try {
    return `JSON with ${names(JSON.parse(body)).join(", ") || "no names"}`;
  } catch {
    return `${body.length} characters of ${/^\s*</.test(body) ? "HTML" : "text"}`;
  }
}

/** The names in a JSON value, two levels deep. */
function names(value: unknown, before = "", depth = 0): string[] {
  if (Array.isArray(value)) return names(value[0], `${before}[]`, depth);
  if (typeof value !== "object" || value === null || depth > 1) return before ? [before] : [];
  return Object.entries(value).flatMap(([name, inner]) =>
    names(inner, before ? `${before}.${name}` : name, depth + 1),
  );
}
