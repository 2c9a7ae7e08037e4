// Events a minute, from counts in steps.

import type { Rate } from "$lib/api/client";

/**
 * How many events came in the minute before `now`. The last step is still filling up, so that of the oldest
 * step that the minute touches only a part counts.
 */
export function perMinute(rate: Rate, now: Date): number {
  const steps = Math.max(0, ...rate.inboxes.map((inbox) => inbox.counts.length));
  const begun = Date.parse(rate.from) / 1000 + (steps - 1) * rate.step_seconds;
  const filled = Math.min(Math.max(now.getTime() / 1000 - begun, 0), rate.step_seconds);

  let sum = 0;
  for (const inbox of rate.inboxes) {
    let left = 60;
    for (let at = inbox.counts.length - 1; at >= 0 && left > 0; at -= 1) {
      const seconds = at === inbox.counts.length - 1 ? filled : rate.step_seconds;
      const share = seconds === 0 ? 1 : Math.min(1, left / seconds);
      sum += (inbox.counts[at] ?? 0) * share;
      left -= seconds;
    }
  }
  return Math.round(sum);
}

/** When each step begins, in seconds since 1970. */
export function times(rate: Rate): number[] {
  const from = Date.parse(rate.from) / 1000;
  const steps = Math.max(0, ...rate.inboxes.map((inbox) => inbox.counts.length));
  return Array.from({ length: steps }, (_, step) => from + step * rate.step_seconds);
}
