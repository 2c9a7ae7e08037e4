// What can be done with a sync.

import { createMutation } from "@tanstack/svelte-query";
import { api, ask, type Sync } from "$lib/api/client";
import { done, said } from "$lib/ui/toasts.svelte";

const name = (sync: Sync) => sync.stream_title.toLowerCase();

/** Runs a sync now; `full` reads everything again. */
export const runSync = () =>
  createMutation(() => ({
    mutationFn: ({ sync, full }: { sync: Sync; full: boolean }) =>
      ask(api.POST("/api/syncs/{id}/run", { params: { path: { id: sync.id } }, body: { full } })),
    onError: said,
  }));

/** Stops the run that is at work. What is stored stays, and the next run goes on from there. */
export const stopSync = () =>
  createMutation(() => ({
    mutationFn: async (sync: Sync) => {
      const run = sync.runs.find((each) => each.state === "running");
      if (!run) return;
      await ask(api.POST("/api/sync-runs/{id}/cancel", { params: { path: { id: run.id } } }));
      done(`Stopped ${name(sync)}. The next run goes on from here.`);
    },
    onError: said,
  }));

export const pauseSync = () =>
  createMutation(() => ({
    mutationFn: async ({ sync, paused }: { sync: Sync; paused: boolean }) => {
      await ask(
        api.PATCH("/api/syncs/{id}", { params: { path: { id: sync.id } }, body: { paused } }),
      );
      done(paused ? `Paused ${name(sync)}.` : `${sync.stream_title} runs by its schedule again.`);
    },
    onError: said,
  }));
