// Events a minute, from counts in steps.

import type { Rate } from "$lib/api/client";

/** How many events came in the last whole minute of the span. */
export function perMinute(rate: Rate): number {
  const steps = Math.max(1, Math.round(60 / rate.step_seconds));
  let sum = 0;
  for (const inbox of rate.inboxes) {
    // The last step is still filling up, so the minute ends before it.
    for (const count of inbox.counts.slice(-steps - 1, -1)) sum += count;
  }
  return sum;
}

/** When each step begins, in seconds since 1970. */
export function times(rate: Rate): number[] {
  const from = Date.parse(rate.from) / 1000;
  const steps = Math.max(0, ...rate.inboxes.map((inbox) => inbox.counts.length));
  return Array.from({ length: steps }, (_, step) => from + step * rate.step_seconds);
}
