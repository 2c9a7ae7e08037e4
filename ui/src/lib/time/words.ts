// Times, durations, numbers and bytes as words. Everything takes the zone and the moment it is
// read at, so that a test can choose them.

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** English is the app's language; the clock is 24 hours in lists, as instruments have it. */
const LANGUAGE = "en-GB";

const formats = new Map<string, Intl.DateTimeFormat>();

function format(zone: string | undefined, options: Intl.DateTimeFormatOptions) {
  const key = `${zone}${JSON.stringify(options)}`;
  let found = formats.get(key);
  if (!found) {
    found = new Intl.DateTimeFormat(LANGUAGE, { timeZone: zone, hourCycle: "h23", ...options });
    formats.set(key, found);
  }
  return found;
}

/** `14:05:22.118`: the clock of a log. */
export function clock(at: Date, zone?: string): string {
  return format(zone, {
    hour: "2-digit",
    minute: "2-digit",
    second: "2-digit",
    fractionalSecondDigits: 3,
  }).format(at);
}

/** `14:05`. */
export function minute(at: Date, zone?: string): string {
  return format(zone, { hour: "2-digit", minute: "2-digit" }).format(at);
}

/** `2026-05-12`: the day a moment falls on in the zone, to compare and to group by. */
export function day(at: Date, zone?: string): string {
  const parts = format(zone, { year: "numeric", month: "2-digit", day: "2-digit" }).formatToParts(
    at,
  );
  const part = (type: string) => parts.find((each) => each.type === type)?.value ?? "";
  return `${part("year")}-${part("month")}-${part("day")}`;
}

function daysBetween(earlier: Date, later: Date, zone?: string): number {
  return Math.round((Date.parse(day(later, zone)) - Date.parse(day(earlier, zone))) / DAY);
}

/** The line between days: `Today`, `Yesterday, Mon 23 Nov`, `Sun 22 Nov`, `Sun 22 Nov 2025`. */
export function dayLine(at: Date, now: Date, zone?: string): string {
  const ago = daysBetween(at, now, zone);
  if (ago === 0) return "Today";
  const sameYear = day(at, zone).slice(0, 4) === day(now, zone).slice(0, 4);
  const name = format(zone, {
    weekday: "short",
    day: "numeric",
    month: "short",
    ...(sameYear ? {} : { year: "numeric" }),
  })
    .format(at)
    .replace(",", "");
  return ago === 1 ? `Yesterday, ${name}` : name;
}

/** A moment named as briefly as is clear: `14:05`, `Mon 14:05`, `12 May 14:05`, `12 May 2025`. */
export function moment(at: Date, now: Date, zone?: string): string {
  const away = Math.abs(daysBetween(at, now, zone));
  if (away === 0) return minute(at, zone);
  if (away < 7) {
    return `${format(zone, { weekday: "short" }).format(at)} ${minute(at, zone)}`;
  }
  if (day(at, zone).slice(0, 4) === day(now, zone).slice(0, 4)) {
    return `${format(zone, { day: "numeric", month: "short" }).format(at)} ${minute(at, zone)}`;
  }
  return format(zone, { day: "numeric", month: "short", year: "numeric" }).format(at);
}

/** `Tue 24 Nov 2026, 14:05:22.118 CET`: everything there is to say. */
export function exact(at: Date, zone?: string): string {
  const date = format(zone, { weekday: "short", day: "numeric", month: "short", year: "numeric" })
    .format(at)
    .replace(",", "");
  const name =
    format(zone, { timeZoneName: "short" })
      .formatToParts(at)
      .find((part) => part.type === "timeZoneName")?.value ?? "";
  return `${date}, ${clock(at, zone)} ${name}`.trim();
}

/** How long ago or how soon, near by; a named moment when it is further away than a few hours. */
export function relative(at: Date, now: Date, zone?: string): string {
  const away = now.getTime() - at.getTime();
  const distance = Math.abs(away);
  if (distance < 2 * SECOND) return "just now";
  if (distance >= 6 * HOUR) return moment(at, now, zone);
  const words = duration(distance);
  return away > 0 ? `${words} ago` : `in ${words}`;
}

/** `3 s`, `4 min`, `2 h`, `5 days`: one unit, rounded down. */
export function duration(ms: number): string {
  if (ms < SECOND) return `${Math.max(0, Math.round(ms))} ms`;
  if (ms < MINUTE) return `${Math.floor(ms / SECOND)} s`;
  if (ms < HOUR) return `${Math.floor(ms / MINUTE)} min`;
  if (ms < 2 * DAY) return `${Math.floor(ms / HOUR)} h`;
  return `${Math.floor(ms / DAY)} days`;
}

const numbers = new Intl.NumberFormat("en-US");

/** `1,204,331`. */
export function number(value: number): string {
  return numbers.format(value);
}

/** `12,031`, or `10,000+` where counting stopped early. */
export function count(value: { count: number; exact: boolean }): string {
  return value.exact ? number(value.count) : `${number(value.count)}+`;
}

/** `1 event`, `1,204 events`. */
export function counted(value: number, one: string, many = `${one}s`): string {
  return `${number(value)} ${value === 1 ? one : many}`;
}

/** `812 B`, `4.1 KB`, `3.1 GB`. */
export function bytes(value: number): string {
  if (value < 1000) return `${value} B`;
  const units = ["KB", "MB", "GB", "TB"];
  let amount = value;
  let unit = -1;
  do {
    amount /= 1000;
    unit += 1;
  } while (amount >= 999.5 && unit < units.length - 1);
  return `${amount < 10 ? amount.toFixed(1) : Math.round(amount)} ${units[unit]}`;
}
