// What every page may ask for. Keys begin with the noun, so that notices find them.

import { createQuery } from "@tanstack/svelte-query";
import { api, ask } from "$lib/api/client";

/** How often what ages without anybody's doing is asked for again, in milliseconds. */
const AGES = 15_000;
/** How often the sandbox shop's numbers are asked for, in milliseconds. */
const SHOP_SELLS = 2_000;

export const status = () =>
  createQuery(() => ({
    queryKey: ["status"],
    queryFn: () => ask(api.GET("/api/status")),
    refetchInterval: AGES,
  }));

export const settings = () =>
  createQuery(() => ({ queryKey: ["settings"], queryFn: () => ask(api.GET("/api/settings")) }));

export const connectors = () =>
  createQuery(() => ({
    queryKey: ["connectors"],
    queryFn: async () => (await ask(api.GET("/api/connectors"))).connectors,
  }));

export const connections = () =>
  createQuery(() => ({
    queryKey: ["connections"],
    queryFn: async () => (await ask(api.GET("/api/connections"))).connections,
  }));

export const inboxes = () =>
  createQuery(() => ({
    queryKey: ["inboxes"],
    queryFn: async () => (await ask(api.GET("/api/inboxes"))).inboxes,
  }));

export const syncs = () =>
  createQuery(() => ({
    queryKey: ["syncs"],
    queryFn: async () => (await ask(api.GET("/api/syncs"))).syncs,
  }));

export const tunnels = () =>
  createQuery(() => ({
    queryKey: ["tunnels"],
    queryFn: async () => (await ask(api.GET("/api/tunnels"))).tunnels,
  }));

/** The shop says nothing of its numbers, so that they are asked for while somebody looks. */
export const sandbox = () =>
  createQuery(() => ({
    queryKey: ["sandbox"],
    queryFn: () => ask(api.GET("/api/sandbox")),
    refetchInterval: SHOP_SELLS,
  }));

/** How many events there are in all. */
export const eventCount = () =>
  createQuery(() => ({
    queryKey: ["events", "count"],
    queryFn: () => ask(api.GET("/api/events/count")),
  }));

/** Events a minute, by inbox, over the last hour. */
export const eventRate = () =>
  createQuery(() => ({
    queryKey: ["events", "rate"],
    queryFn: () => ask(api.GET("/api/events/rate", { params: { query: { minutes: 60 } } })),
    refetchInterval: AGES,
  }));
