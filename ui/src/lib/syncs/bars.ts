// The last runs of a sync as bars.

import type { SyncRun } from "$lib/api/client";

/** Bars that are shown. */
export const BARS = 30;
const LOWEST = 0.2;

export interface Bar {
  id: string;
  run: SyncRun;
  /** 0 to 1. */
  height: number;
}

/** Milliseconds that a run took, up to `now` where it still runs. */
export function took(run: SyncRun, now: Date): number {
  const end = run.ended_at ? Date.parse(run.ended_at) : now.getTime();
  return Math.max(0, end - Date.parse(run.started_at));
}

/**
 * The newest runs, oldest first. Heights are by the square root of the time taken, so that one long first
 * run does not flatten all others.
 */
export function bars(runs: readonly SyncRun[], now: Date): Bar[] {
  const shown = runs.slice(0, BARS).reverse();
  const longest = Math.max(1, ...shown.map((run) => took(run, now)));
  return shown.map((run) => ({
    id: run.id,
    run,
    height: LOWEST + (1 - LOWEST) * Math.sqrt(took(run, now) / longest),
  }));
}
