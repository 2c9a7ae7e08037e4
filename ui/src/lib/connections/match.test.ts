import { expect, test } from "vitest";
import type { ConnectorSummary } from "$lib/api/client";
import { match } from "./match";

const connector = (id: string, name: string, about: string, family = "general") =>
  ({ id, name, about, family }) as ConnectorSummary;
const all = [
  connector("salesforce", "Salesforce", "Customers and leads"),
  connector("shopify", "Shopify", "Orders of a shop"),
  connector("shop-ware", "Garage", "Repairs"),
];
const ids = (typed: string) => match(all, typed).map((each) => each.id);

test("nothing typed is everything", () => {
  expect(ids("  ")).toEqual(["salesforce", "shopify", "shop-ware"]);
});

test("every word has to fit, in any place", () => {
  expect(ids("orders SHOP")).toEqual(["shopify"]);
  expect(ids("leads orders")).toEqual([]);
});

test("what it is for is found too", () => {
  const parcels = [connector("a", "Alpha", "Labels and rates", "shipping"), ...all];
  expect(match(parcels, "shipping").map((each) => each.id)).toEqual(["a"]);
});

test("a name that begins with it comes first", () => {
  expect(ids("s")[0]).toBe("salesforce");
  expect(ids("shop")).toEqual(["shopify", "shop-ware"]);
});
