// How long a token is still good, in words.

import { duration } from "$lib/time/words";

/** `good for 52 min`, or that it is over: it is had anew before the next call. */
export function tokenLeft(until: Date, now: Date): string {
  const left = until.getTime() - now.getTime();
  return left > 0 ? `good for ${duration(left)}` : "over, renewed with the next call";
}
