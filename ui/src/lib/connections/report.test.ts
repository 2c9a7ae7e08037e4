import { expect, test } from "vitest";
import type { Exchange } from "$lib/api/client";
import { exchangeText, report } from "./report";

const exchange: Exchange = {
  at: "2026-11-24T13:00:00.000Z",
  purpose: "check",
  method: "GET",
  url: "https://api.example.com/v2/shops/4711/me?token=[secret:token]&email=ann@example.com",
  headers: [["authorization", "Bearer [secret:token]"]],
  answer: {
    status: 403,
    headers: [
      ["content-type", "application/json"],
      ["set-cookie", "id=ann"],
    ],
    body: '{"error":{"message":"Ann Bell may not do this"},"items":[{"name":"Ann"}]}',
  },
};

test("its owner sees all that was sent and answered", () => {
  const text = exchangeText(exchange);
  expect(text).toContain("GET https://api.example.com/v2/shops/4711/me");
  expect(text).toContain("403\ncontent-type: application/json");
  expect(text).toContain("Ann Bell may not do this");
});

test("a report has the shape of it and none of its values", () => {
  const text = report({ connector: "shop", way_kind: "header_token" }, exchange, "0.1.0");
  expect(text).toContain("GET https://api.example.com/v2/shops/…/me");
  expect(text).toContain("query: token, email");
  expect(text).toContain("answer: 403, JSON with error.message, items[].name");
  for (const value of ["Ann", "4711", "ann@", "id=", "[secret"]) expect(text).not.toContain(value);
});

test("a request without an answer says why", () => {
  const { answer: _, ...gone } = exchange;
  expect(exchangeText({ ...gone, fault: "connection refused" })).toContain("connection refused");
  expect(report({ connector: "shop" }, { ...gone, fault: "refused" }, "0.1.0")).toContain(
    "answer: none (refused)",
  );
});
