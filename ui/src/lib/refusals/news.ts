// Which refusals are news to somebody who has looked at them before.

/** What is older than this is no news, whether or not anybody looked, in milliseconds. */
const NEWS = 24 * 3_600_000;

/** From when on refusals count as new. */
export function newSince(seen: string | null, now: Date): string {
  const day = now.getTime() - NEWS;
  const looked = seen ? Date.parse(seen) || 0 : 0;
  return new Date(Math.max(day, looked)).toISOString();
}
